/* lib.h: the functions that halo's Lua side is built on: tasks, time, and the runtime itself. */
#ifndef HALO_TASKS_LIB_H
#define HALO_TASKS_LIB_H

#include <lua.h>

/* Each adds its functions to the table on top of the stack. */
void halo_open_tasks(lua_State *L);
void halo_open_runtime(lua_State *L);

#endif
