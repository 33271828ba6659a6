/*
 * The scheduler's loop. A turn runs what is ready, hands everything that was submitted to the
 * kernel at once, and resumes each task whose operation has ended with the operation's result.
 * lua_resume() is called here and nowhere else, and never while a task runs.
 *
 * The loop runs under lua_pcall(): turning a result into Lua values can run out of memory, and
 * that must become an error of the task that asked, not of the process.
 */
#include "tasks/scheduler.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "tasks/blocking.h"
#include "tasks/coroutine.h"
#include "tasks/describe.h"
#include "tasks/group.h"
#include "tasks/handle.h"
#include "tasks/join.h"
#include "tasks/port.h"
#include "tasks/report.h"
#include "tasks/token.h"
#include "tasks/watch.h"

/* How long one task may go on at once before others that are ready would notice. */
#define QUANTUM_NS 50000

#define RESERVE_BYTES 65536 /* of limited memory, for a collection */

static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

void halo_collect(lua_State *L)
{
    char line[400];

    if (lua_cpcall(L, collect, NULL) == 0)
        return;
    const char *message = lua_tostring(L, -1);
    snprintf(line, sizeof(line), "error in a finalizer: %s", message ? message : "(no message)");
    lua_pop(L, 1);
    halo_log(halo_lua_of(L), line);
}

void halo_collect_early(struct halo_lua *lua)
{
    struct halo_memory *memory = lua->memory;

    if (!memory || !memory->max || memory->used < memory->collect_at)
        return;
    memory->max += RESERVE_BYTES; /* the call itself needs some */
    halo_collect(lua->L);
    memory->max -= RESERVE_BYTES;
    size_t left = memory->max > memory->used ? memory->max - memory->used : 0;
    memory->collect_at = memory->used + left / 2;
}

/* ---- one task ------------------------------------------------------------------------------ */

/* Its group and those who join it are told, and it is no longer kept. */
static void leave(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    halo_group_leave(L, lua, task);
    halo_join_tell(L, lua, task);
    halo_task_retire(L, lua, task);
    if (task->handle)
        halo_handle_end(lua, task->handle);
}

static void end_task(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status)
{
    halo_task_settle(L, lua, task, status);
    if (status == LUA_ERRMEM && lua->memory)
        lua->memory->collect_at = 0;
    leave(L, lua, task);
}

/* Whether LuaJIT takes what lies below the values of a resume for values too, as on aarch64. */
#if defined(__x86_64__) || defined(__i386__)
#define TAKES_ALL false
#else
#define TAKES_ALL true
#endif

/* Takes away what lies below the count values that a suspended call is to return. */
static void clear_below(lua_State *co, int count)
{
    int below = lua_gettop(co) - count;

    if (below == 0 || lua_status(co) != LUA_YIELD)
        return;
    if (below < count) {
        for (int i = 0; i < below; i++)
            lua_remove(co, 1);
    } else {
        for (int i = count; i > 0; i--)
            lua_replace(co, i);
        if (below > count)
            lua_settop(co, count);
    }
}

static int resume(lua_State *L, struct halo_lua *lua, struct halo_task *task, int nargs)
{
    if (lua->stress)
        halo_collect(L);
    if (TAKES_ALL || lua->stress)
        clear_below(task->current, nargs);
    lua->running = task->current;
    lua->yield = HALO_YIELD_USER;
    int status = lua_resume(task->current, nargs);
    lua->running = NULL;
    return status;
}

/* Runs a task until it waits or ends, generators included. Returns the status of its end. */
static int run_coroutines(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    int nargs = task->nargs, status = 0;

    for (;;) {
        if (nargs >= 0)
            status = resume(L, lua, task, nargs);
        if (status == LUA_YIELD && lua->yield == HALO_YIELD_WAIT)
            return status;
        if (status == LUA_YIELD && lua->yield == HALO_YIELD_RESUME) {
            nargs = lua->yielded;
        } else if (task->depth > 0) {
            nargs = halo_coroutine_return(L, lua, task, status);
            if (nargs < 0)
                status = LUA_ERRRUN;
        } else if (status == LUA_YIELD) {
            /* A C library yielded from the task itself: nobody takes the values. */
            lua_settop(task->current, 0);
            halo_push_mark(task->current);
            halo_task_wake(lua, task, 0);
            return status;
        } else {
            return status;
        }
    }
}

/* One that was cancelled before it began, other than by a timeout, which lets it begin, or under a
 * shield. */
static bool never_begins(const struct halo_task *task)
{
    return task->cancelled && !task->started && !task->shields &&
           !(task->group && task->group->late);
}

static void run_task(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (never_begins(task)) {
        end_task(L, lua, task, 0);
        return;
    }
    task->started = true;
    task->state = HALO_TASK_RUNNING;
    lua->task = task;
    lua->resumes++;
    lua->quantum_end_ns = QUANTUM_NS + (lua->loop ? halo_loop_spent_ns(lua->loop) : 0);
    if (lua->blocking)
        halo_blocking_resume(lua, task);
    halo_watch_begin(lua); /* later: what is stopped for having held the loop is told of as well */
    int status = run_coroutines(L, lua, task);
    if (lua->blocking)
        halo_blocking_leave(lua, task, status);
    halo_watch_end(L, lua);
    if (status != LUA_YIELD)
        end_task(L, lua, task, status);
    lua->task = NULL;
}

static bool is_turn_used_up(const struct halo_lua *lua)
{
    return lua->loop && halo_loop_is_due(lua->loop);
}

/*
 * Runs what is ready now. What becomes ready meanwhile waits for the next turn, and so does what
 * is left once this one's time is used up, or an interruption has come: what has ended should be
 * known by then.
 */
static void run_ready(lua_State *L, struct halo_lua *lua)
{
    struct halo_task *last = lua->ready_last;
    while (lua->ready) {
        struct halo_task *task = lua->ready;
        lua->ready = task->next;
        run_task(L, lua, task);
        if (task == last || is_turn_used_up(lua) || atomic_load(&lua->interrupt))
            break;
    }
}

/* ---- what has ended ------------------------------------------------------------------------ */

static void ring_alarms(lua_State *L, struct halo_lua *lua)
{
    struct halo_timer *timer;
    while (lua->loop && (timer = halo_loop_next_timer(lua->loop))) {
        struct halo_alarm *alarm = timer->user;
        alarm->ring(L, lua, alarm);
    }
}

static void deliver_ops(lua_State *L, struct halo_lua *lua)
{
    struct halo_op *op;
    while (lua->loop && (op = halo_loop_next(lua->loop))) {
        struct halo_task *task = op->user;
        if (!task) {
            lua->forget(L, lua, op);
            continue;
        }
        lua->delivering = task;
        int count = task->wait.kind->deliver(L, lua, task);
        lua->delivering = NULL;
        halo_task_wake(lua, task, count);
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

struct halo_run {
    struct halo_lua *lua;
    struct halo_task *until;
    bool once;
    bool turned;
    bool deadlock;
    bool expired;
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
    halo_report_lost(lua);
}

static void tell_interrupt(lua_State *L, struct halo_lua *lua)
{
    atomic_store(&lua->interrupt, false);
    lua->interrupted = true;
    lua->interrupts++;
    halo_task_cancel_all(L, lua);
}

static int raise_description(lua_State *L)
{
    halo_describe_all(L, lua_touserdata(L, 1));
    return lua_error(L);
}

/* Pushes what the tasks are doing or, where memory is out, that it is. */
static void describe(lua_State *L, struct halo_lua *lua)
{
    int status = lua_cpcall(L, raise_description, lua);
    (void)status; /* always one or the other error */
}

/* Nothing is ready, in flight or timed, and tasks are alive: they wait for each other. */
static void break_deadlock(lua_State *L, struct halo_run *run)
{
    if (run->deadlock)
        luaL_error(L, "deadlock: tasks that were cancelled wait on");
    run->deadlock = true;
    describe(L, run->lua);
    halo_task_cancel_all(L, run->lua);
}

static bool is_finished(struct halo_run *run)
{
    if (run->once)
        return run->turned;
    run->expired = run->lua->watch.expired == HALO_EXPIRY_GIVEN_UP && run->lua->tasks > 0;
    if (run->expired)
        return true;
    return run->until ? halo_task_is_over(run->until) : run->lua->tasks == 0;
}

/* Whether something is under way that ends by itself, or by the host. */
static bool is_busy(const struct halo_lua *lua)
{
    if (atomic_load(&lua->interrupt) || halo_watch_is_over(lua))
        return true;
    return lua->loop && (halo_loop_busy(lua->loop) || halo_token_is_awaited(lua));
}

static void run_turn(lua_State *L, struct halo_run *run)
{
    struct halo_lua *lua = run->lua;
    bool at_once = lua->ready || halo_token_has_news(lua) || !is_busy(lua);

    at_once |= atomic_load(&lua->interrupt); /* it may have come before the loop was there */
    if (run->once)
        at_once |= atomic_load(&lua->port->woken);
    int64_t timeout_ns = at_once ? 0 : run->once ? run->timeout_ns : -1;

    timeout_ns = halo_watch_bound(lua, timeout_ns);
    if (lua->loop) {
        halo_lua_check_forked(L, lua);
        lua->send_forgotten(lua);
        halo_loop_turn(lua->loop, timeout_ns);
        atomic_store(&lua->port->woken, false);
    }
    if (atomic_load(&lua->interrupt))
        tell_interrupt(L, lua);
    if (lua->loop) {
        ring_alarms(L, lua);
        deliver_ops(L, lua);
        halo_token_deliver(L, lua);
    }
    halo_watch_look(L, lua);
    halo_collect_early(lua);
    if (lua->lost)
        halo_report_lost(lua);
    run->turned = true;
}

static int run_loop(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_run *run = lua->run;

    for (;;) {
        run_ready(L, lua);
        halo_handles_tell(lua);
        if (is_finished(run))
            break;
        if (lua->failed_lately && !lua->ready)
            find_failures(L, lua);
        /* A step always makes a turn: what has woken it must not do so for ever. */
        if (run->once || lua->ready || is_busy(lua))
            run_turn(L, run);
        else
            break_deadlock(L, run);
    }
    if (run->once && lua->tasks > 0 && !lua->ready && !is_busy(lua)) {
        run->deadlock = true;
        describe(L, lua);
    }
    if (run->expired)
        lua_pushliteral(L, "the time in all is over, and tasks go on in spite of that");
    if (run->deadlock || run->expired)
        lua_error(L); /* the description is on top */
    return 0;
}

/* A task ends by an error of the loop's own, which is on top of the stack. */
static void give_up(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    const char *message = lua_tostring(L, -1);

    if (task->co) { /* it has not ended yet */
        halo_task_give_up(lua, task, message ? message : "an error in a finalizer");
        leave(L, lua, task);
    }
    lua_pop(L, 1);
}

/* The call that waits for the operation gets the error in the place of a result. */
static void give_error(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    task->wait.kind->drop(lua, task);
    lua_pushnil(task->current);
    lua_xmove(L, task->current, 1);
    halo_push_mark(task->current);
    halo_task_wake(lua, task, 3);
}

/*
 * An error got out of the loop itself: memory is out, or a finalizer of the program's raised while
 * the loop worked for a task. That task gets it: in its call, or as its own failure. Returns false
 * where there is nobody to give it to.
 */
static bool recover(lua_State *L, struct halo_lua *lua)
{
    struct halo_task *receiver = lua->delivering, *task = lua->task;

    lua->delivering = NULL;
    lua->task = NULL;
    lua->running = NULL;
    if (receiver)
        give_error(L, lua, receiver);
    else if (task)
        give_up(L, lua, task);
    return receiver || task;
}

enum halo_run_end halo_run(struct halo_lua *lua, struct halo_task *until, bool once,
                           int64_t timeout_ns, int *status)
{
    lua_State *L = lua->L;
    struct halo_run run = {.lua = lua, .until = until, .once = once, .timeout_ns = timeout_ns};

    halo_collect_early(lua);
    lua->scheduling = true;
    lua->stepping = once;
    lua->run = &run;
    do {
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->run_loop);
        *status = lua_pcall(L, 0, 0, 0); /* which needs no memory */
    } while (*status != 0 && !run.deadlock && !run.expired && recover(L, lua));
    lua->scheduling = lua->stepping = false;
    /* An interruption was for what ran, not for what a host may run next. */
    if (lua->tasks == 0) {
        atomic_store(&lua->interrupt, false);
        lua->interrupts = 0;
    }
    lua->delivering = NULL;
    lua->task = NULL;
    lua->running = NULL;
    lua->run = NULL;
    if (*status == 0)
        return HALO_RUN_DONE;
    return run.deadlock ? HALO_RUN_DEADLOCK : run.expired ? HALO_RUN_EXPIRED : HALO_RUN_ERROR;
}

void halo_open_scheduler(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);
    lua_pushlightuserdata(L, lua);
    lua_pushcclosure(L, run_loop, 1);
    lua->run_loop = luaL_ref(L, LUA_REGISTRYINDEX);
}
