/*
 * task.h: a task is a coroutine, what it waits for and where it belongs. One that is alive is kept
 * in a registry table together with its coroutine; one that has ended lives as long as somebody
 * holds its Task, with the results in the Task's environment table.
 */
#ifndef HALO_TASKS_TASK_H
#define HALO_TASKS_TASK_H

#include "tasks/wait.h"

enum halo_task_state {
    HALO_TASK_READY,   /* in the ready queue */
    HALO_TASK_RUNNING, /* between a resume and its yield */
    HALO_TASK_WAITING, /* its wait record says for what */
    HALO_TASK_ENDED,   /* results, below which the stack is empty */
    HALO_TASK_FAILED   /* an error value on top of the stack */
};

/* A coroutine that waits for the generator it has resumed. */
struct halo_caller {
    lua_State *co;
    uint32_t shields; /* of the task, without those that the generator is in */
};

struct halo_task {
    const char *type;

    /* What each resume touches. */
    lua_State *current; /* the innermost coroutine: its own, or a generator's on its behalf */
    struct halo_wait wait;
    uint32_t depth;   /* generators that run on its behalf, one in another */
    uint32_t shields; /* calls of halo.shield() it is in */
    int nargs;        /* values on current's stack to resume it with */
    uint8_t state;    /* enum halo_task_state */
    bool started;
    bool cancelled;         /* every call that may wait raises, outside of a shield */
    bool raised;            /* and one has, or will when the task goes on */
    bool told;              /* its failure belongs to its group */
    bool watched;           /* its failure has somebody to take it */
    bool watches;           /* its group does not wait for it: see spawn_watcher() */
    bool kept;              /* its Task stays anchored after its end, for its group */
    struct halo_task *next; /* in the ready queue */
    struct halo_alarm alarm;

    /* What it is and where it belongs. */
    uint64_t id, parent_id;
    lua_State *co;               /* its own coroutine */
    struct halo_caller *callers; /* those that wait for the generators, innermost last */
    uint32_t capacity;           /* of callers */
    int anchor, co_anchor;       /* places in the table that keeps the live ones from collection */
    struct halo_waiters joiners; /* the tasks that wait for it */
    struct halo_group *group;    /* it is a member of, or NULL: the runtime's own */
    struct halo_group *home;     /* that halo.spawn() joins from it, or NULL likewise */
    struct halo_task *group_next, **group_link;
    struct halo_task *helpers; /* tasks that halo itself has started for it */
    struct halo_task *helped;  /* the one that it helps, or NULL */
    struct halo_task *helper_next, **helper_link;
    struct halo_lua_task *handle; /* the host's, or NULL */
    const char *spawned_source;   /* kept by the registry */
    int spawned_line;

    /* Once it has ended: the Task's environment table holds the results, or the error. */
    int nresults;
    uint8_t status; /* of its coroutine's end: 0, LUA_ERRRUN, LUA_ERRMEM */
    bool was_cancelled;
    bool was_uncertain; /* and with that a change of names may have happened */
    bool given_up;      /* memory was out even to keep its results, or its error */
    char *report;       /* what to print unless somebody joins it, or NULL */
    char *cause;        /* the report of a task whose failure it was told of when it joined it */
    struct halo_task *failed_next, **failed_link;
    uint64_t failed_order; /* among all failures */
};

static inline bool halo_task_is_over(const struct halo_task *task)
{
    return task->state == HALO_TASK_ENDED || task->state == HALO_TASK_FAILED;
}

/* See halo_is_cancelled(). */
bool halo_must_stop(lua_State *L, struct halo_lua *lua);

/*
 * Whether a call that may wait raises the cancellation: the running task has been cancelled, and
 * is not shielded here. Then the call returns what halo_give_cancelled() returns: nil, the
 * cancellation and the mark, for its Lua half to raise, after the other tasks have run. Where
 * nothing can be suspended it gives them at once.
 */
static inline bool halo_is_cancelled(lua_State *L, struct halo_lua *lua)
{
    const struct halo_task *task = lua->task;
    return task &&
           (task->cancelled || atomic_load_explicit(&lua->interrupt, memory_order_relaxed)) &&
           halo_must_stop(L, lua);
}

int halo_give_cancelled(lua_State *L, struct halo_lua *lua);
/* Pushes these three values for a call that has waited. Returns 3. */
int halo_push_cancelled(lua_State *L, const struct halo_lua *lua);

/* Makes a task of the function and nargs arguments on top of L, pops them, pushes the Task. */
struct halo_task *halo_task_new(lua_State *L, struct halo_lua *lua, int nargs);
/* Pushes the Task of a task that is alive, or was kept after its end. */
void halo_task_push(lua_State *L, struct halo_lua *lua, const struct halo_task *task);
/* The Task of one that was kept after its end may be collected. */
void halo_task_let_go(lua_State *L, struct halo_lua *lua, struct halo_task *task);
/*
 * Makes a task the helper of another one, or of the one that this one helps: it is cancelled with
 * it, and when it ends.
 */
void halo_task_help(struct halo_task *helper, struct halo_task *task);

/* Calls visit for each live task, with it on top of L. */
void halo_task_each(lua_State *L, struct halo_lua *lua,
                    void (*visit)(lua_State *, struct halo_lua *, struct halo_task *));
/* Cancels every task but the running one. */
void halo_task_cancel_all(lua_State *L, struct halo_lua *lua);
/* "ready", "running", "waiting", "ended", "failed" or "cancelled". */
const char *halo_task_state_name(const struct halo_task *task);

/*
 * The end has three parts, between which its group and those who join it are told. The first keeps
 * the results (status 0) or the error that lie on its coroutine. Where it cannot, as memory is out,
 * it raises, and halo_task_give_up() takes its place.
 */
void halo_task_settle(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status);
void halo_task_give_up(struct halo_lua *lua, struct halo_task *task, const char *message);
void halo_task_retire(lua_State *L, struct halo_lua *lua, struct halo_task *task);
/*
 * Pushes true and the results of the Task at that index, which has ended, or false and its error.
 * Returns the count.
 */
int halo_task_push_outcome(lua_State *L, struct halo_lua *lua, int index);
/* The Task's finalizer. */
int halo_task_gc(lua_State *L);

#endif
