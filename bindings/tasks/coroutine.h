/*
 * coroutine.h: generators, the coroutines that tasks resume, and the way back to their resumers.
 */
#ifndef HALO_TASKS_COROUTINE_H
#define HALO_TASKS_COROUTINE_H

#include "tasks/task.h"

/*
 * The task's generator has yielded, returned or failed: its values go to the coroutine that resumed
 * it, which the task goes on in. Returns their count there, or -1 where that one has no room for
 * them and can only fail by the error on top of its stack.
 */
int halo_coroutine_return(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status);

void halo_open_coroutine(lua_State *L);

#endif
