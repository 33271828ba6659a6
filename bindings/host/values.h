/* values.h: what a task has brought, on a stack of the host's. */
#ifndef HALO_HOST_VALUES_H
#define HALO_HOST_VALUES_H

#include "tasks/task.h"

/*
 * The outcome of a task that has ended takes the place of its Task, on top of L: as many results as
 * are wanted, or the error. Returns the count of results, or a code of halo_lua.h: HALO_LUA_FAILED
 * and HALO_LUA_CANCELLED with the error, HALO_LUA_NO_MEMORY with nothing.
 */
int halo_host_push_outcome(lua_State *L, struct halo_lua *lua, const struct halo_task *task,
                           int wanted);

#endif
