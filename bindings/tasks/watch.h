/*
 * watch.h: the limits of time. A task that holds the loop for too long is stopped by a hook, which
 * looks at the clock while it computes. When the time in all is over every task is
 * cancelled, and what goes on in spite of that is given up in two more steps.
 */
#ifndef HALO_TASKS_WATCH_H
#define HALO_TASKS_WATCH_H

#include "tasks/task.h"

enum halo_expiry {
    HALO_EXPIRY_NONE,
    HALO_EXPIRY_CANCELLED, /* the tasks have been, */
    HALO_EXPIRY_BROKEN,    /* and those in shields, */
    HALO_EXPIRY_GIVEN_UP   /* and whoever waits for their end should not wait any longer */
};

/* Limits as the host has given them; sets the hook. The JIT must be off for that to do anything. */
void halo_watch_open(lua_State *L, struct halo_lua *lua);

void halo_watch_start(struct halo_lua *lua);
void halo_watch_stop(lua_State *L, struct halo_lua *lua);

/* A task is about to run: it has the loop now. */
static inline void halo_watch_begin(struct halo_lua *lua)
{
    if (lua->watch.stop_ns)
        halo_watch_start(lua);
}

/* It has given the loop back, or has ended. */
static inline void halo_watch_end(lua_State *L, struct halo_lua *lua)
{
    if (lua->watch.stop_ns)
        halo_watch_stop(L, lua);
}

/* Whether the time in all is over, and not everybody has been told. */
bool halo_watch_is_over(const struct halo_lua *lua);
/* The time that a turn may wait: no longer than the time in all lasts. */
int64_t halo_watch_bound(const struct halo_lua *lua, int64_t timeout_ns);
/* Cancels every task where that is over. */
void halo_watch_look(lua_State *L, struct halo_lua *lua);

#endif
