/* describe.h: what the tasks are doing, for people. */
#ifndef HALO_TASKS_DESCRIBE_H
#define HALO_TASKS_DESCRIBE_H

#include "tasks/state.h"

/* Pushes a text with a line for each live task: its number, what it waits for and where. */
void halo_describe_all(lua_State *L, struct halo_lua *lua);

void halo_open_describe(lua_State *L);

#endif
