/*
 * blocking.h: who holds the loop, told on standard error where that was asked for
 * (--warn-blocking): tasks that go on for longer than a limit before they wait, and calls of halo's
 * that wait on the spot, since nothing can be suspended where they are made. Each place is told
 * once, and how often it was there at the end. Where it was not asked for, lua->blocking is NULL,
 * and that is all that is looked at.
 */
#ifndef HALO_TASKS_BLOCKING_H
#define HALO_TASKS_BLOCKING_H

#include "tasks/state.h"

#define HALO_BLOCKING_LIMIT_MAX_MS 3600000

/* Warns from now on. Returns false where memory is out. */
bool halo_blocking_warn(struct halo_lua *lua, uint32_t limit_ms);
/* Tells what there is to tell at the end, and warns no more. */
void halo_blocking_end(struct halo_lua *lua);

/* A task is about to go on; it has waited, or ended with that status. */
void halo_blocking_resume(struct halo_lua *lua, const struct halo_task *task);
void halo_blocking_leave(struct halo_lua *lua, const struct halo_task *task, int status);

/*
 * A call of halo's has returned, or is about to wait, having begun then. What it took is not the
 * task's doing; where the task could not be suspended, it is told.
 */
void halo_blocking_called(lua_State *L, struct halo_lua *lua, const char *name, uint64_t began_ns,
                          bool on_the_spot);

#endif
