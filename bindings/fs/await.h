/*
 * await.h: how an operation gets from a call into the scheduler and back. Where the calling
 * coroutine cannot be suspended (a table.sort comparison, a C callback, no task at all), the call
 * waits on the spot; other tasks' results are kept until the scheduler has its turn again.
 */
#ifndef HALO_FS_AWAIT_H
#define HALO_FS_AWAIT_H

#include "tasks/wait.h"

/* Those of a submission: whether anything else could run meanwhile. */
static inline unsigned halo_submit_flags(const struct halo_lua *lua)
{
    return lua->ready || lua->stepping ? 0 : HALO_ALONE;
}

/*
 * Runs an operation: submits it and suspends the task, or waits for it where that is not possible,
 * or has its result at once. In a task that was cancelled it only gives the cancellation, having
 * carried out a close or an unlock first. The caller returns what this returns.
 */
int halo_await(lua_State *L, struct halo_lua *lua, struct halo_op *op);

/*
 * Submits a write behind, which has no cancel, and waits until it and all before it are written:
 * the result is count.
 */
int halo_await_behind(lua_State *L, struct halo_lua *lua, struct halo_op *op, size_t count);

void halo_open_await(lua_State *L);

#endif
