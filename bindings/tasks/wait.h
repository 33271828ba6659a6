/*
 * wait.h: what a task waits for. Each kind of waiting is a row {what, cancel, deliver}, and the
 * task has a record of the wait it is in. The code that brings what is waited for takes the task
 * out of its own lists and wakes it; to end the wait early, the kind is asked to do that.
 *
 * A call that waits records that and yields all of its arguments, which therefore stay on the stack
 * of the suspended coroutine: that is what keeps strings, buffers and files alive while the kernel
 * uses them.
 */
#ifndef HALO_TASKS_WAIT_H
#define HALO_TASKS_WAIT_H

#include "tasks/state.h"

struct halo_wait_kind {
    const char *what; /* in a word */
    /*
     * Ends the wait of a task before it has got anything. Returns the reference of the value that
     * its call raises, or LUA_NOREF where it waits on: what it waits for has come, or will soon,
     * and it gets that then.
     */
    int (*cancel)(lua_State *L, struct halo_lua *lua, struct halo_task *task);
    /* The operation it waits for has ended: leaves its values on the task's stack. Or NULL. */
    int (*deliver)(lua_State *L, struct halo_lua *lua, struct halo_task *task);
    /* deliver has raised an error: lets go of the operation. */
    void (*drop)(struct halo_lua *lua, struct halo_task *task);
};

struct halo_wait {
    const struct halo_wait_kind *kind; /* NULL while the task does not wait */
    const char *what;                  /* in a word, which may say more than the kind's */
    uint64_t since_ns;
    void *on;                      /* the operation, the task, the group */
    struct halo_task *next, *prev; /* others that wait for the same one */
};

/* The tasks that wait for one thing, the first of them first. */
struct halo_waiters {
    struct halo_task *first, *last;
};

void halo_waiters_add(struct halo_waiters *waiters, struct halo_task *task);
void halo_waiters_remove(struct halo_waiters *waiters, struct halo_task *task);

/* A timer with a function to call. It lives in its owner's memory, which must outlive it. */
struct halo_alarm {
    struct halo_timer timer;
    void (*ring)(lua_State *L, struct halo_lua *lua, struct halo_alarm *alarm);
};

/* Raises an error when memory is out. */
void halo_alarm_set(lua_State *L, struct halo_lua *lua, struct halo_alarm *alarm, double seconds);
void halo_alarm_stop(struct halo_lua *lua, struct halo_alarm *alarm);

/* ---- for a call ---------------------------------------------------------------------------- */

/* True where this coroutine can be suspended: elsewhere a call waits without letting others run. */
static inline bool halo_can_wait(lua_State *L, const struct halo_lua *lua)
{
    return L == lua->running && lua_isyieldable(L);
}

/* Records that the running task waits. */
void halo_wait_for(struct halo_lua *lua, const struct halo_wait_kind *kind, const char *what,
                   void *on);
/*
 * Suspends the running task until halo_task_wake(). The caller returns what this returns. Only
 * where halo_can_wait(), and after halo_is_cancelled().
 */
int halo_park(lua_State *L, struct halo_lua *lua, const struct halo_wait_kind *kind,
              const char *what, void *on);
/* Until a wake from Lua. */
extern const struct halo_wait_kind halo_wait_for_wake;

/*
 * Whether the running task should let others go on: tasks that are ready after its quantum,
 * operations that have ended after the loop's slice.
 */
bool halo_should_yield(const struct halo_lua *lua);
/*
 * Lets the tasks that are ready go on first, before the count values on top of the stack are what
 * the call returns. The caller returns what this returns. Only where halo_can_wait().
 */
int halo_let_others(lua_State *L, struct halo_lua *lua, int count);

/* ---- to end a wait ------------------------------------------------------------------------- */

/* Puts a task that waits into the ready queue; nargs values lie on its current stack. */
void halo_task_wake(struct halo_lua *lua, struct halo_task *task, int nargs);
/*
 * Cancels a task, with the helpers that work for it; false where it has ended. Needs no memory: it
 * never raises.
 */
bool halo_task_cancel(lua_State *L, struct halo_lua *lua, struct halo_task *task);

/*
 * Marks, on its stack, a coroutine that belongs to the scheduler: one that a task owns, or is
 * suspended in. Nobody else may resume it.
 */
void halo_push_mark(lua_State *L);
bool halo_is_marked(lua_State *co);
/* Whether the value on top of co is one that a cancellation raises. */
bool halo_is_cancellation(lua_State *L, const struct halo_lua *lua, lua_State *co);

#endif
