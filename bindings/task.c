/*
 * Tasks: their making, their end, cancellation, and the functions of Lua that deal with them. A
 * task that is alive is kept in a registry table together with its coroutine; one that is over
 * lives as long as somebody holds its Task, with the results in the Task's environment table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "sched.h"

#define SLEEP_MAX_S 1e9

/* ---- making -------------------------------------------------------------------------------- */

static int anchor(lua_State *L, struct halo_lua *lua)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    lua_insert(L, -2);
    int reference = luaL_ref(L, -2);
    lua_pop(L, 1);
    return reference;
}

static void push_task(lua_State *L, struct halo_lua *lua, const struct halo_task *task)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    lua_rawgeti(L, -1, task->anchor);
    lua_remove(L, -2);
}

struct halo_task *halo_task_new(lua_State *L, struct halo_lua *lua, int nargs)
{
    struct halo_task *task = lua_newuserdata(L, sizeof(*task));
    memset(task, 0, sizeof(*task));
    luaL_getmetatable(L, HALO_TASK_TYPE);
    lua_setmetatable(L, -2);

    lua_State *co = lua_newthread(L);
    /* Nothing may fail between the two anchors and the last line, or they would stay. */
    lua_checkstack(co, nargs + LUA_MINSTACK);
    task->timer.user = task;
    task->co = task->current = co;
    task->id = ++lua->next_id;
    task->co_anchor = anchor(L, lua);
    lua_pushvalue(L, -1);
    task->anchor = anchor(L, lua);
    lua_insert(L, -(nargs + 2));

    halo_push_mark(co);
    lua_xmove(L, co, nargs + 1);
    lua->tasks++;
    halo_task_wake(lua, task, nargs);
    return task;
}

/* ---- the end ------------------------------------------------------------------------------- */

static void forget_failure(struct halo_task *task)
{
    if (!task->failed_link)
        return;
    *task->failed_link = task->failed_next;
    if (task->failed_next)
        task->failed_next->failed_link = task->failed_link;
    task->failed_link = NULL;
    free(task->report);
    task->report = NULL;
}

static void report_failure(struct halo_lua *lua, struct halo_task *task)
{
    fflush(stdout);
    fprintf(stderr, "%s\n", task->report ? task->report : "halo: a task failed (out of memory)");
    lua->failures++;
    forget_failure(task);
}

static void remember_failure(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    char title[48];
    snprintf(title, sizeof(title), "halo: task %llu failed", (unsigned long long)task->id);
    task->report = halo_traceback(L, task->co, title);
    task->failed_next = lua->failed;
    task->failed_link = &lua->failed;
    if (lua->failed)
        lua->failed->failed_link = &task->failed_next;
    lua->failed = task;
    lua->failed_lately = true;
}

static bool is_cancellation(lua_State *L, const struct halo_lua *lua, lua_State *co)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* Moves count values from the coroutine into a table that becomes the Task's environment. */
static void keep_results(lua_State *L, struct halo_lua *lua, struct halo_task *task, int count)
{
    task->nresults = count;
    if (count == 0)
        return;
    push_task(L, lua, task);
    lua_createtable(L, count, 0);
    for (int i = count; i > 0; i--) {
        lua_xmove(task->co, L, 1);
        lua_rawseti(L, -2, i);
    }
    lua_setfenv(L, -2);
    lua_pop(L, 1);
}

int halo_task_push_outcome(lua_State *L, struct halo_lua *lua, int index)
{
    const struct halo_task *task = lua_touserdata(L, index);

    lua_pushboolean(L, task->state == HALO_TASK_ENDED && !task->was_cancelled);
    if (task->was_cancelled) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
        return 2;
    }
    if (task->nresults > 0) {
        lua_getfenv(L, index);
        int results = lua_gettop(L);
        luaL_checkstack(L, task->nresults, "too many results to join");
        for (int i = 1; i <= task->nresults; i++)
            lua_rawgeti(L, results, i);
        lua_remove(L, results);
    }
    return 1 + task->nresults;
}

static void wake_joiners(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    push_task(L, lua, task);
    int index = lua_gettop(L);
    while (task->joiners) {
        struct halo_task *joiner = task->joiners;
        task->joiners = joiner->next;
        joiner->joined = NULL;
        int count = halo_task_push_outcome(L, lua, index);
        if (!lua_checkstack(joiner->current, count))
            luaL_error(L, "too many results to join");
        lua_xmove(L, joiner->current, count);
        halo_task_wake(lua, joiner, count);
    }
    lua_pop(L, 1);
}

void halo_task_end(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status)
{
    int count = task->started ? lua_gettop(task->co) - 1 : 0; /* without the mark at the bottom */

    if (status != 0) {
        count = 1;
        task->was_cancelled = task->cancelled && is_cancellation(L, lua, task->co);
        if (!task->was_cancelled && !task->joiners && !task->watched)
            remember_failure(L, lua, task);
    }
    keep_results(L, lua, task, count);
    task->state = status == 0 ? HALO_TASK_ENDED : HALO_TASK_FAILED;
    task->waits = NULL;
    wake_joiners(L, lua, task);
    free(task->callers);
    task->callers = NULL;

    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    luaL_unref(L, -1, task->co_anchor);
    luaL_unref(L, -1, task->anchor);
    lua_pop(L, 1);
    task->co = task->current = NULL;
    lua->tasks--;
}

void halo_task_report(struct halo_lua *lua)
{
    while (lua->failed)
        report_failure(lua, lua->failed);
}

/* ---- cancellation -------------------------------------------------------------------------- */

static void leave_joined(struct halo_task *task)
{
    struct halo_task **link = &task->joined->joiners;
    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    task->joined = NULL;
}

/*
 * Lets go of the operation the task waits for. The task goes on at once, so that the values it
 * had kept on its stack must be kept elsewhere while the kernel uses them.
 */
static void abandon_op(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_op *op = task->op;
    int count = lua_gettop(task->current);

    if (op->data) {
        lua_createtable(L, count, 0);
        for (int i = 1; i <= count; i++) {
            lua_pushvalue(task->current, i);
            lua_xmove(task->current, L, 1);
            lua_rawseti(L, -2, i);
        }
        op->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    op->user = NULL;
    task->op = NULL;
    halo_op_abandon(lua->loop, op);
}

/* The call that waits returns false (or nil), the cancellation, and a code that its wrapper knows.
 */
static void interrupt_wait(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    lua_State *co = task->current;

    if (task->op) {
        abandon_op(L, lua, task);
        lua_pushnil(co);
    } else {
        lua_pushboolean(co, 0);
    }
    task->parked = false;
    if (task->joined)
        leave_joined(task);
    if (task->timer.index)
        halo_timer_stop(lua->loop, &task->timer);
    lua_rawgeti(co, LUA_REGISTRYINDEX, lua->cancelled);
    halo_push_mark(co);
    halo_task_wake(lua, task, 3);
}

bool halo_task_cancel(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (halo_task_is_over(task))
        return false;
    bool already = task->cancelled;
    task->cancelled = true;
    if (!already && task->state == HALO_TASK_WAITING && task->shields == 0)
        interrupt_wait(L, lua, task);
    return true;
}

/* Calls visit for each live task, with it on top of L. */
static void each_task(lua_State *L, struct halo_lua *lua,
                      void (*visit)(lua_State *, struct halo_lua *, struct halo_task *))
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    int count = (int)lua_objlen(L, -1);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_type(L, -1) == LUA_TUSERDATA)
            visit(L, lua, lua_touserdata(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void cancel_one(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (task != lua->task)
        halo_task_cancel(L, lua, task);
}

void halo_task_cancel_all(lua_State *L, struct halo_lua *lua)
{
    each_task(L, lua, cancel_one);
}

/* ---- what Lua calls: tasks ----------------------------------------------------------------- */

static struct halo_task *check_task(lua_State *L, int arg, const char *name)
{
    return halo_check_type(L, arg, HALO_TASK_TYPE, "Task", name);
}

static int spawn(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TFUNCTION)
        return halo_arg_type_error(L, 1, "spawn", "function");
    halo_task_new(L, halo_lua_self(L), lua_gettop(L) - 1);
    return 1;
}

/* join(task): true and its results, or false and its error. */
static int join(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_task *task = check_task(L, 1, "join");

    halo_check_cancelled(L, lua);
    if (task == lua->task)
        return halo_error(L, "a task cannot join itself");
    forget_failure(task);
    if (halo_task_is_over(task))
        return halo_task_push_outcome(L, lua, 1);
    if (!lua->task) {
        if (halo_sched_run(L, lua, task, false, -1) != 0)
            return lua_error(L);
        forget_failure(task);
        return halo_task_push_outcome(L, lua, 1);
    }
    if (!halo_can_wait(L, lua))
        return halo_error(L, "join cannot wait here, inside of a callback from C such as "
                             "table.sort's or string.gsub's: join the task before");
    struct halo_task *self = lua->task;
    self->joined = task;
    self->next = task->joiners;
    task->joiners = self;
    return halo_park(L, lua, "join");
}

static int cancel(lua_State *L)
{
    struct halo_task *task = check_task(L, 1, "cancel");
    if (halo_task_cancel(L, halo_lua_self(L), task)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "ESRCH: task %d has ended already", (int)task->id);
    lua_pushliteral(L, "ESRCH");
    return 3;
}

/* current(): the running Task, or nil. */
static int current(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    if (lua->task)
        push_task(L, lua, lua->task);
    else
        lua_pushnil(L);
    return 1;
}

static const char *state_name(const struct halo_task *task)
{
    static const char *const names[] = {"ready", "running", "waiting", "ended", "failed"};
    return task->was_cancelled ? "cancelled" : names[task->state];
}

static int task_tostring(lua_State *L)
{
    const struct halo_task *task = check_task(L, 1, "tostring");
    lua_pushfstring(L, "task %d (%s)", (int)task->id, state_name(task));
    return 1;
}

/* status(task): a word, and what it waits for and since when where it waits. */
static int status(lua_State *L)
{
    const struct halo_task *task = check_task(L, 1, "status");
    lua_pushstring(L, state_name(task));
    if (task->state != HALO_TASK_WAITING)
        return 1;
    lua_pushstring(L, task->waits);
    lua_pushnumber(L, (double)task->since_ns / 1e9);
    return 3;
}

static int task_gc(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_task *task = lua_touserdata(L, 1);
    if (task->failed_link)
        report_failure(lua, task);
    free(task->report);
    free(task->callers);
    task->report = NULL;
    task->callers = NULL;
    return 0;
}

/* ---- what Lua calls: time and waiting ------------------------------------------------------ */

static int yield(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    halo_check_cancelled(L, lua);
    if (!halo_can_wait(L, lua))
        return lua_pushboolean(L, 1), 1;
    lua_settop(L, 0);
    halo_push_mark(L);
    lua_pushboolean(L, 1);
    halo_task_wake(lua, lua->task, 1);
    lua->yield = HALO_YIELD_WAIT;
    return lua_yield(L, 2);
}

static void sleep_here(uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                             .tv_nsec = (long)(deadline_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        continue;
}

static int sleep_until(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    double seconds = halo_check_seconds(L, 1, "sleep");

    halo_check_cancelled(L, lua);
    if (seconds > SLEEP_MAX_S)
        seconds = SLEEP_MAX_S;
    uint64_t deadline_ns = halo_now_ns() + (uint64_t)(seconds * 1e9);
    if (!halo_can_wait(L, lua)) {
        sleep_here(deadline_ns);
        return lua_pushboolean(L, 1), 1;
    }
    if (halo_timer_start(halo_lua_loop(L, lua), &lua->task->timer, deadline_ns) < 0)
        return luaL_error(L, "not enough memory");
    return halo_park(L, lua, "sleep");
}

static int now(lua_State *L)
{
    lua_pushnumber(L, (double)halo_now_ns() / 1e9);
    return 1;
}

/* ---- descriptions -------------------------------------------------------------------------- */

/* Pushes "file:line" of the innermost frame that is not halo's own. */
static void push_place(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sl", &ar);
        if (ar.currentline > 0 && !halo_is_own_source(ar.source)) {
            lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "?");
}

static void describe_one(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)lua;
    /* The text so far lies below the table of tasks and the task. */
    lua_pushvalue(L, -3);
    lua_pushfstring(L, "\n\ttask %d waits in %s at ", (int)task->id,
                    task->waits ? task->waits : "nothing");
    push_place(L, task->current);
    lua_concat(L, 3);
    lua_replace(L, -4);
}

void halo_task_describe_all(lua_State *L, struct halo_lua *lua)
{
    lua_pushliteral(L, "deadlock: every task waits for another one");
    each_task(L, lua, describe_one);
}

/* ---- registration -------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"spawn", spawn},       {"join", join},     {"cancel", cancel},
    {"current", current},   {"status", status}, {"yield", yield},
    {"sleep", sleep_until}, {"now", now},       {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", task_gc},
    {"__tostring", task_tostring},
    {NULL, NULL},
};

void halo_open_tasks(lua_State *L)
{
    halo_register(L, functions);
    luaL_newmetatable(L, HALO_TASK_TYPE);
    halo_register(L, metamethods);
    lua_setfield(L, -2, "Task");
}
