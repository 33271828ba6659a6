/*
 * The scheduler's loop. A turn runs what is ready, hands everything that was submitted to the
 * kernel at once, and resumes each task whose operation has ended with the operation's result.
 * lua_resume() is called here and nowhere else, and never while a task runs.
 *
 * The loop runs under lua_cpcall(): turning a result into Lua values can run out of memory, and
 * that must become an error of the task that asked, not of the process.
 */
#include "tasks/group.h"

#include <stdio.h>
#include <string.h>

static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

void halo_collect(lua_State *L)
{
    if (lua_cpcall(L, collect, NULL) == 0)
        return;
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "halo: error in a finalizer: %s\n", message ? message : "(no message)");
    lua_pop(L, 1);
}

/* Work at once, on behalf of one task, that others who are ready wait for without noticing. */
#define QUANTUM_NS 50000

/* ---- one task ------------------------------------------------------------------------------ */

void halo_task_wake(struct halo_lua *lua, struct halo_task *task, int nargs)
{
    task->state = HALO_TASK_READY;
    task->waits = NULL;
    task->nargs = nargs;
    task->next = NULL;
    if (lua->ready)
        lua->ready_last->next = task;
    else
        lua->ready = task;
    lua->ready_last = task;
}

void halo_task_wait(struct halo_lua *lua, struct halo_task *task, const char *waits)
{
    lua->yield = HALO_YIELD_WAIT;
    task->state = HALO_TASK_WAITING;
    task->waits = waits;
    task->since_ns = halo_now_ns();
}

/* A generator yielded, returned or failed: its values go to the coroutine that resumed it. */
static int return_to_caller(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status)
{
    lua_State *co = task->current;
    const struct halo_caller *level = &task->callers[--task->depth];
    lua_State *caller = level->co;
    int count = status == 0 || status == LUA_YIELD ? lua_gettop(co) : 1;

    if (task->shields != level->shields)
        halo_leave_shields(L, lua, task, co, level->shields);
    task->current = caller;
    if (!lua_checkstack(caller, count + 1)) {
        lua_pushboolean(caller, 0);
        lua_pushliteral(caller, "too many results to resume");
        return 2;
    }
    lua_pushboolean(caller, status == 0 || status == LUA_YIELD);
    lua_xmove(co, caller, count);
    return count + 1;
}

/* Runs a task until it waits or is over, generators included. */
static void run_task(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    int nargs = task->nargs;
    int status;

    if (task->cancelled && !task->started) {
        task->was_cancelled = true;
        halo_task_end(L, lua, task, 0);
        return;
    }
    task->started = true;
    task->state = HALO_TASK_RUNNING;
    lua->task = task;
    lua->resumes++;
    lua->quantum_end_ns = QUANTUM_NS + (lua->loop ? halo_loop_spent_ns(lua->loop) : 0);
    for (;;) {
        if (lua->stress)
            halo_collect(L);
        lua->running = task->current;
        lua->yield = HALO_YIELD_USER;
        status = lua_resume(task->current, nargs);
        lua->running = NULL;
        if (status == LUA_YIELD && lua->yield == HALO_YIELD_WAIT)
            break;
        if (status == LUA_YIELD && lua->yield == HALO_YIELD_RESUME) {
            nargs = lua->yielded;
        } else if (task->depth > 0) {
            nargs = return_to_caller(L, lua, task, status);
        } else if (status == LUA_YIELD) {
            /* A C library yielded from the task itself: nobody takes the values. */
            lua_settop(task->current, 0);
            halo_push_mark(task->current);
            halo_task_wake(lua, task, 0);
            break;
        } else {
            halo_task_end(L, lua, task, status);
            break;
        }
    }
    lua->task = NULL;
}

static bool is_turn_used_up(const struct halo_lua *lua)
{
    return lua->loop && halo_loop_is_due(lua->loop);
}

/*
 * Runs what is ready now. What becomes ready meanwhile waits for the next turn, and so does what
 * is left once this one's time is used up: what has ended should be known by then.
 */
static void run_ready(lua_State *L, struct halo_lua *lua)
{
    struct halo_task *last = lua->ready_last;
    while (lua->ready) {
        struct halo_task *task = lua->ready;
        lua->ready = task->next;
        run_task(L, lua, task);
        if (task == last || is_turn_used_up(lua))
            break;
    }
}

/* ---- what has ended ------------------------------------------------------------------------ */

static void release_forgotten(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    if (op->anchor)
        luaL_unref(L, LUA_REGISTRYINDEX, op->anchor);
    halo_op_release(lua->loop, op);
}

static void deliver_timers(struct halo_lua *lua)
{
    struct halo_timer *timer;
    while (lua->loop && (timer = halo_loop_next_timer(lua->loop))) {
        struct halo_task *task = timer->user;
        if (task->awaited)
            task->awaited->waiting = NULL;
        task->awaited = NULL;
        lua_pushboolean(task->current, 1);
        halo_task_wake(lua, task, 1);
    }
}

/* Puts the result onto the stack of the coroutine that waits for it. */
static int deliver(lua_State *L, struct halo_lua *lua, struct halo_op *op, lua_State *co)
{
    if (halo_result_is_plain(op))
        return halo_push_result(co, lua, op, co);
    int top = lua_gettop(L);
    lua->delivering = op;
    int count = halo_push_result(L, lua, op, co);
    lua->delivering = NULL;
    lua_xmove(L, co, count);
    lua_settop(L, top); /* what it took to make them */
    return count;
}

static void deliver_ops(lua_State *L, struct halo_lua *lua)
{
    struct halo_op *op;
    while (lua->loop && (op = halo_loop_next(lua->loop))) {
        struct halo_task *task = op->user;
        if (!task) {
            release_forgotten(L, lua, op);
            continue;
        }
        int count = deliver(L, lua, op, task->current);
        task->op = NULL;
        halo_task_wake(lua, task, count);
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

struct run {
    struct halo_lua *lua;
    struct halo_task *until;
    bool once;
    bool turned;
    bool deadlock;
    int64_t timeout_ns;
};

/*
 * A failure that nobody has joined is reported when its Task is collected, since up to then
 * somebody may still join it. So that this does not take long, a collection is made when the loop
 * has nothing else to do.
 */
static void find_failures(lua_State *L, struct halo_lua *lua)
{
    lua->failed_lately = false;
    halo_collect(L);
    halo_task_report_lost(lua);
}

static void tell_interrupt(lua_State *L, struct halo_lua *lua)
{
    atomic_store(&lua->interrupt, false);
    lua->interrupted = true;
    halo_task_cancel_all(L, lua);
}

/* Nothing is ready, in flight or timed, and tasks are alive: they wait for each other. */
static void break_deadlock(lua_State *L, struct run *run)
{
    if (run->deadlock)
        luaL_error(L, "deadlock: tasks that were cancelled wait on");
    run->deadlock = true;
    halo_task_describe_all(L, run->lua);
    halo_task_cancel_all(L, run->lua);
}

static bool is_finished(const struct run *run)
{
    if (run->once && !run->deadlock)
        return run->turned;
    return run->until ? halo_task_is_over(run->until) : run->lua->tasks == 0;
}

static void run_turn(lua_State *L, struct run *run)
{
    struct halo_lua *lua = run->lua;
    int64_t timeout_ns = lua->ready ? 0 : run->once ? run->timeout_ns : -1;

    if (lua->loop) {
        halo_loop_turn(lua->loop, timeout_ns);
        if (atomic_load(&lua->interrupt))
            tell_interrupt(L, lua);
        deliver_timers(lua);
        deliver_ops(L, lua);
    }
    if (lua->lost)
        halo_task_report_lost(lua);
    run->turned = true;
}

static int run_loop(lua_State *L)
{
    struct run *run = lua_touserdata(L, 1);
    struct halo_lua *lua = run->lua;

    for (;;) {
        run_ready(L, lua);
        if (is_finished(run))
            break;
        if (lua->failed_lately && !lua->ready)
            find_failures(L, lua);
        if (lua->ready || (lua->loop && halo_loop_busy(lua->loop)))
            run_turn(L, run);
        else if (run->once && (lua->tasks == 0 || halo_task_any_parked(L, lua)))
            break; /* the host may yet send on a channel, or release a semaphore */
        else
            break_deadlock(L, run);
    }
    if (run->deadlock)
        lua_error(L); /* the description is on top */
    return 0;
}

/*
 * An error got out of the loop itself: memory is out, or a finalizer of the program's raised while
 * the loop worked for a task. That task gets it: in its call, or as its own failure. Returns false
 * where there is nobody to give it to.
 */
static bool recover(lua_State *L, struct halo_lua *lua)
{
    struct halo_op *op = lua->delivering;
    struct halo_task *task = op ? op->user : lua->task;

    lua->delivering = NULL;
    lua->task = NULL;
    lua->running = NULL;
    if (!task)
        return false;
    if (!op) {
        halo_task_abort(L, lua, task);
        lua_pop(L, 1);
        return true;
    }
    halo_op_release(lua->loop, op);
    task->op = NULL;
    lua_pushnil(task->current);
    lua_xmove(L, task->current, 1);
    halo_push_mark(task->current);
    halo_task_wake(lua, task, 3);
    return true;
}

int halo_sched_run(lua_State *L, struct halo_lua *lua, struct halo_task *until, bool once,
                   int64_t timeout_ns)
{
    struct run run = {.lua = lua, .until = until, .once = once, .timeout_ns = timeout_ns};
    int status;

    if (lua->scheduling) {
        lua_pushliteral(L, "the scheduler cannot run inside of itself, as in a finalizer");
        return LUA_ERRRUN;
    }
    lua->scheduling = true;
    lua->stepping = once;
    do
        status = lua_cpcall(L, run_loop, &run);
    while (status != 0 && !run.deadlock && recover(L, lua));
    lua->scheduling = lua->stepping = false;
    /* An interruption was for what ran, not for what a host may run next. */
    if (lua->tasks == 0)
        atomic_store(&lua->interrupt, false);
    lua->delivering = NULL;
    lua->task = NULL;
    lua->running = NULL;
    return status;
}
