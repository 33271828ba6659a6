/*
 * scheduler.h: the scheduler. It owns the tasks and is the only place that resumes a coroutine.
 *
 * A task is a coroutine plus what it waits for. A call that has to wait records that in the task
 * and yields all of its arguments, which therefore stay on the stack of the suspended coroutine:
 * that is what keeps strings, buffers and files alive while the kernel uses them. The scheduler
 * itself keeps each live task in a registry table, so that no collection can take one that waits.
 */
#ifndef HALO_SCHEDULER_H
#define HALO_SCHEDULER_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>

#include "halo.h"
#include "halo_lua.h"

#define HALO_STATE_KEY "halo.state" /* in the registry */

enum halo_task_state {
    HALO_TASK_READY,   /* in the ready queue */
    HALO_TASK_RUNNING, /* between a resume and its yield */
    HALO_TASK_WAITING, /* for an operation, a timer, another task, or to be woken */
    HALO_TASK_ENDED,   /* results, below which the stack is empty */
    HALO_TASK_FAILED   /* an error value on top of the stack */
};

/* Why a coroutine has yielded. The call that yields sets it; a user's own yield leaves it USER. */
enum halo_yield { HALO_YIELD_USER, HALO_YIELD_WAIT, HALO_YIELD_RESUME };

struct halo_group;
struct halo_report;

/* A coroutine that waits for the generator it has resumed. */
struct halo_caller {
    lua_State *co;
    uint32_t shields; /* of the task, without those that the generator is in */
};

struct halo_task {
    const char *type;

    /* What each resume touches. */
    lua_State *current; /* the innermost coroutine: its own, or a generator's on its behalf */
    struct halo_op *op; /* the operation it waits for */
    const char *waits;  /* what for, in a word, while its state is WAITING */
    uint64_t since_ns;
    uint32_t depth;   /* generators that run on its behalf, one in another */
    uint32_t shields; /* calls of halo.shield() it is in */
    int nargs;        /* values on current's stack to resume it with */
    uint8_t state;    /* enum halo_task_state */
    bool started;
    bool parked;            /* it waits for halo_task_wake() from Lua */
    bool cancelled;         /* every call that may wait raises, outside of a shield */
    struct halo_task *next; /* in the ready queue, or among the joiners of a task */

    /* Whatever else it waits for. */
    struct halo_timer timer;
    struct halo_task *joined;   /* the task */
    struct halo_group *awaited; /* the group */

    /* What it is and where it belongs. */
    uint64_t id, parent_id;
    lua_State *co;               /* its own coroutine */
    struct halo_caller *callers; /* those that wait for the generators, innermost last */
    uint32_t capacity;           /* of callers */
    int anchor, co_anchor;       /* places in the table that keeps the live ones from collection */
    struct halo_task *joiners;   /* the tasks that wait for it */
    struct halo_group *group;    /* a scope's, or NULL */
    struct halo_group *family;   /* of the halo.run() it descends from, or NULL */
    struct halo_task *group_next, **group_link;
    const char *spawned_source; /* kept by the registry */
    int spawned_line;

    /* Once it is over: the Task's environment table holds the results, or the error. */
    int nresults;
    bool was_cancelled;
    bool watched; /* its failure has somebody to take it */
    char *report; /* what to print unless somebody joins it, or NULL */
    char *cause;  /* the report of a task whose failure it was told of when it joined it */
    struct halo_task *failed_next, **failed_link;
    uint64_t failed_order; /* among all failures */
};

/* All of halo's state in one Lua state; a userdata in its registry. */
struct halo_lua {
    struct halo_loop *loop; /* made with the first operation */
    struct halo_config config;
    bool closed;
    uint64_t configurable_at; /* operations submitted before the program's first one */
    bool engine_chosen;       /* by the user */
    uint8_t chosen_engine;
    bool stepping; /* a host calls, and waits for its turn */
    bool scheduling;
    bool stress; /* HALO_GC=stress: a full collection at every resume */

    struct halo_task *ready, *ready_last;
    struct halo_task *task;     /* running now, or NULL */
    lua_State *running;         /* the coroutine that was resumed; only it can yield to us */
    uint32_t resumes;           /* of coroutines */
    uint64_t quantum_end_ns;    /* of the loop's time, after which others that are ready go on */
    uint8_t yield;              /* enum halo_yield, of the latest yield */
    int yielded;                /* HALO_YIELD_RESUME: values that were moved to the generator */
    struct halo_op *delivering; /* its result is being turned into Lua values */

    uint64_t next_id, next_failure;
    unsigned tasks; /* alive */
    int anchors;    /* registry references: the table of what is kept from collection, */
    int cancelled;  /* the value that a cancellation raises, */
    unsigned source_count;
    int sources; /* and the names of chunks that have spawned tasks */
    int shields; /* of generators that yielded inside of one: coroutine -> count; or LUA_NOREF */
    struct halo_group *collected; /* being finalized */

    struct halo_report *lost; /* failures of Tasks that were collected, to be printed in order */
    struct halo_task *failed; /* with nobody joining them, yet */
    bool failed_lately;
    unsigned failures;     /* that were reported */
    atomic_bool interrupt; /* halo_lua_interrupt() was called */
    bool interrupted;      /* and the tasks have been told */
};

/* halo's state of this Lua state; raises an error where halo is not open. */
struct halo_lua *halo_lua_get(lua_State *L);
/* The same from a C function that was registered with it as its first upvalue. */
static inline struct halo_lua *halo_lua_self(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* The loop, created with the first call. Raises an error where it cannot be had. */
struct halo_loop *halo_lua_loop(lua_State *L, struct halo_lua *lua);

/* ---- waiting ------------------------------------------------------------------------------- */

/* True where this coroutine can be suspended: elsewhere a call waits without letting others run. */
static inline bool halo_can_wait(lua_State *L, const struct halo_lua *lua)
{
    return L == lua->running && lua_isyieldable(L);
}

/*
 * Runs an operation: submits it and suspends the task, or waits for it where that is not
 * possible, or has its result at once. The caller returns what this returns.
 */
int halo_await(lua_State *L, struct halo_lua *lua, struct halo_op *op);

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

/*
 * Suspends the running task until halo_task_wake(); waits says what for. The caller returns what
 * this returns. Only where halo_can_wait().
 */
int halo_park(lua_State *L, struct halo_lua *lua, const char *waits);

/* Raises the cancellation where the running task has been cancelled and is not shielded. */
void halo_check_cancelled(lua_State *L, struct halo_lua *lua);
/* Where it has been, pushes false and the cancellation, and returns 2; else 0. */
int halo_push_cancelled(lua_State *L, struct halo_lua *lua);

/* ---- tasks --------------------------------------------------------------------------------- */

/* Makes a task of the function and nargs arguments on top of L, pops them, pushes the Task. */
struct halo_task *halo_task_new(lua_State *L, struct halo_lua *lua, int nargs);
/* Ends a task that the scheduler itself has failed at, with the error on top of L. */
void halo_task_abort(lua_State *L, struct halo_lua *lua, struct halo_task *task);
/* A full collection; an error of a finalizer is printed, where it would be nobody's. */
void halo_collect(lua_State *L);
/* Ends a task whose coroutine returned (status 0) or failed: results, joiners, report. */
void halo_task_end(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status);
/*
 * Pushes true and the results of the Task at that index, which is over, or false and its error.
 * Returns the count.
 */
int halo_task_push_outcome(lua_State *L, struct halo_lua *lua, int index);
/* Marks the running task as waiting, with what it waits for in a word. */
void halo_task_wait(struct halo_lua *lua, struct halo_task *task, const char *waits);
/* Puts a task that waits into the ready queue; nargs values lie on its current stack. */
void halo_task_wake(struct halo_lua *lua, struct halo_task *task, int nargs);
/* Cancels a task; false where it has ended. May raise when memory is out, with no change made. */
bool halo_task_cancel(lua_State *L, struct halo_lua *lua, struct halo_task *task);
/* Cancels every task but the running one. */
void halo_task_cancel_all(lua_State *L, struct halo_lua *lua);
/* Pushes the Task of a task that is alive. */
void halo_task_push(lua_State *L, struct halo_lua *lua, const struct halo_task *task);
/* The end of a wait of so many seconds, from now, on the clock of timers. */
uint64_t halo_deadline(double seconds);
/* describe.c: calls visit for each live task, with it on top of L. */
void halo_task_each(lua_State *L, struct halo_lua *lua,
                    void (*visit)(lua_State *, struct halo_lua *, struct halo_task *));
/* True where a task waits for halo_task_wake() from Lua, which a host can bring about. */
bool halo_task_any_parked(lua_State *L, struct halo_lua *lua);
/* Remembers the user's line that makes the task. */
void halo_task_note_origin(lua_State *L, struct halo_lua *lua, struct halo_task *task);
/* Pushes a text with a line for each live task: its number, what it waits for and where. */
void halo_task_describe_all(lua_State *L, struct halo_lua *lua);
/* tasks(): the list behind halo.tasks(). */
int halo_task_list(lua_State *L);
/* "ready", "running", "waiting", "ended", "failed" or "cancelled". */
const char *halo_task_state_name(const struct halo_task *task);
/* Somebody has the failure of the task now: it need not be reported. */
void halo_task_claim(struct halo_task *task);
/* Remembers for the report of a task's own failure that it was told of another's. */
void halo_task_tell(struct halo_task *joiner, const struct halo_task *task);
/* Whether the value on top of co is the one that a cancellation raises. */
bool halo_is_cancellation(lua_State *L, const struct halo_lua *lua, lua_State *co);
/* Frees what a task needs only while it is alive. */
void halo_task_free(struct halo_task *task);
/* The Task's finalizer. */
int halo_task_gc(lua_State *L);
/* Prints the failures that nobody has joined, and forgets them. */
void halo_task_report(struct halo_lua *lua);
/* Of those, the ones that nobody can join any more. */
void halo_task_report_lost(struct halo_lua *lua);

static inline bool halo_task_is_over(const struct halo_task *task)
{
    return task->state == HALO_TASK_ENDED || task->state == HALO_TASK_FAILED;
}

/* ---- running ------------------------------------------------------------------------------- */

/*
 * Runs tasks until the given one is over (NULL: until none is alive) or, with once, for one
 * turn that waits up to timeout_ns. Returns 0, or a Lua error code with the error on L's stack.
 */
int halo_sched_run(lua_State *L, struct halo_lua *lua, struct halo_task *until, bool once,
                   int64_t timeout_ns);

/* ---- other files of the bindings ----------------------------------------------------------- */

/*
 * coroutine.c: marks, on its stack, a coroutine that belongs to the scheduler: one that a task
 * owns, or is suspended in. Nobody else may resume it.
 */
void halo_push_mark(lua_State *L);
/*
 * A generator that yields from inside of a shield takes it along, and brings it back when it is
 * resumed: its caller is not shielded meanwhile.
 */
void halo_leave_shields(lua_State *L, struct halo_lua *lua, struct halo_task *task, lua_State *co,
                        uint32_t before);
bool halo_is_marked(lua_State *co);

/*
 * True where the operation's result is a number or true: to push one needs no memory, and cannot
 * fail.
 */
bool halo_result_is_plain(const struct halo_op *op);
/*
 * result.c: pushes the values of an operation that has ended onto L, releases it, and returns
 * their count. from is the stack on which the call's arguments lie: L itself, or the coroutine
 * that is suspended in the call.
 */
int halo_push_result(lua_State *L, struct halo_lua *lua, struct halo_op *op, lua_State *from);
#define HALO_OPEN_FILE_INDEX 4  /* where fs.open() keeps the File that it is opening */
#define HALO_READ_INTO       1u /* op->flags of a read: the result is a count, not a string */
/* Pushes nil, message, code for an errno, with the message's paths or NULL. Returns 3. */
int halo_push_error(lua_State *L, int error, const char *path, const char *path2);

/*
 * traceback.c: a malloc'ed text: the error on top of co, its traceback, where the task was
 * spawned, and the failure behind it. NULL without memory. task may be NULL.
 */
char *halo_traceback(lua_State *L, lua_State *co, const char *title, const struct halo_task *task,
                     int level);
int halo_report(lua_State *L);
int halo_note(lua_State *L);

/* Registration: each pushes nothing and adds its functions to the table on top of the stack. */
void halo_open_tasks(lua_State *L);
void halo_open_group(lua_State *L);
void halo_open_fs(lua_State *L);
void halo_open_file(lua_State *L);
void halo_open_buffer(lua_State *L);
void halo_open_coroutine(lua_State *L);
void halo_open_runtime(lua_State *L);

/* Makes a type of userdata: its metatable, and its methods as a field of the table on top. */
void halo_open_type(lua_State *L, const char *type, const luaL_Reg *metamethods,
                    const luaL_Reg *methods);
/* Registers functions with halo's state as their upvalue into the table on top. */
void halo_register(lua_State *L, const luaL_Reg *functions);

#endif
