/* join.h: a task that waits for another one's end. */
#ifndef HALO_TASKS_JOIN_H
#define HALO_TASKS_JOIN_H

#include "tasks/task.h"

/* Suspends the running task until the other one has ended. The caller returns what this returns. */
int halo_join_park(lua_State *L, struct halo_lua *lua, struct halo_task *task);
/* Whether that task waits, through joins alone, for the running one. */
bool halo_join_closes_cycle(const struct halo_lua *lua, const struct halo_task *task);
/* Tells those who have joined a task that it has ended. */
void halo_join_tell(lua_State *L, struct halo_lua *lua, struct halo_task *task);
/* Tells the running task of one that has ended. The caller returns what this returns. */
int halo_join_ended(lua_State *L, struct halo_lua *lua, int index);

void halo_open_join(lua_State *L);

#endif
