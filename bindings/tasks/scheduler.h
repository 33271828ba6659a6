/* scheduler.h: running tasks. The scheduler is the only place that resumes a coroutine. */
#ifndef HALO_TASKS_SCHEDULER_H
#define HALO_TASKS_SCHEDULER_H

#include "tasks/state.h"

enum halo_run_end {
    HALO_RUN_DONE,
    HALO_RUN_ERROR,    /* memory is out, or a finalizer has raised an error */
    HALO_RUN_DEADLOCK, /* with once, only the host can bring on what the tasks wait for; without,
                          all have been cancelled */
    HALO_RUN_EXPIRED   /* without once: the time in all is over, and tasks go on all the same */
};

/*
 * Runs tasks until the given one has ended (NULL: until none is alive) or, with once, for one turn
 * that waits up to timeout_ns. Unless that is DONE, status is a Lua error code, and the error is on
 * top of halo's own stack, lua->L. Not to be called while it runs: lua->scheduling.
 */
enum halo_run_end halo_run(struct halo_lua *lua, struct halo_task *until, bool once,
                           int64_t timeout_ns, int *status);

/* A full collection. A finalizer's error is printed, since nobody else could take it. */
void halo_collect(lua_State *L);

/* The same where Lua's memory is limited and runs short: LuaJIT does not collect because of that.
 */
void halo_collect_early(struct halo_lua *lua);

void halo_open_scheduler(lua_State *L);

#endif
