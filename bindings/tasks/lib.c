/*
 * The functions of Lua that deal with tasks and time.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "args.h"
#include "tasks/group.h"
#include "tasks/scheduler.h"

#define SECONDS_MAX 1e9

/* ---- what Lua calls: tasks ----------------------------------------------------------------- */

static struct halo_task *check_task(lua_State *L, int arg, const char *name)
{
    return halo_check_type(L, arg, halo_task_type, name);
}

static int spawn(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TFUNCTION)
        return halo_arg_type_error(L, 1, "spawn", "function");
    struct halo_lua *lua = halo_lua_self(L);
    halo_task_note_origin(L, lua, halo_task_new(L, lua, lua_gettop(L) - 1));
    return 1;
}

static int push_ended(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    halo_task_claim(task);
    if (lua->task)
        halo_task_tell(lua->task, task);
    return halo_task_push_outcome(L, lua, 1);
}

/* Whether a task waits, over joins alone, for another one. */
static bool waits_for(const struct halo_task *task, const struct halo_task *other)
{
    while (task && task != other)
        task = task->joined;
    return task && other;
}

/* join(task): true and its results, or false and its error. */
static int join(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_task *task = check_task(L, 1, "join");

    halo_check_cancelled(L, lua);
    if (task == lua->task)
        return halo_error(L, "a task cannot join itself");
    if (waits_for(task, lua->task))
        return halo_error(L, "this join closes a cycle: that task waits for this one");
    if (halo_task_is_over(task))
        return push_ended(L, lua, task);
    if (!lua->task) {
        if (halo_sched_run(L, lua, task, false, -1) != 0)
            return lua_error(L);
        return push_ended(L, lua, task);
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

static int cancel_all(lua_State *L)
{
    halo_task_cancel_all(L, halo_lua_self(L));
    return 0;
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
        halo_task_push(L, lua, lua->task);
    else
        lua_pushnil(L);
    return 1;
}

const char *halo_task_state_name(const struct halo_task *task)
{
    static const char *const names[] = {"ready", "running", "waiting", "ended", "failed"};
    return task->was_cancelled ? "cancelled" : names[task->state];
}

static int task_tostring(lua_State *L)
{
    const struct halo_task *task = check_task(L, 1, "tostring");
    lua_pushfstring(L, "task %d (%s)", (int)task->id, halo_task_state_name(task));
    return 1;
}

/* status(task): a word, and what it waits for and since when where it waits. */
static int status(lua_State *L)
{
    const struct halo_task *task = check_task(L, 1, "status");
    lua_pushstring(L, halo_task_state_name(task));
    if (task->state != HALO_TASK_WAITING)
        return 1;
    lua_pushstring(L, task->waits);
    lua_pushnumber(L, (double)task->since_ns / 1e9);
    return 3;
}

/* ---- what Lua calls: time and waiting ------------------------------------------------------ */

static int yield(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    halo_check_cancelled(L, lua);
    if (!halo_can_wait(L, lua))
        return lua_pushboolean(L, 1), 1;
    lua_settop(L, 0);
    lua_pushboolean(L, 1);
    return halo_let_others(L, lua, 1);
}

uint64_t halo_deadline(double seconds)
{
    if (seconds > SECONDS_MAX)
        seconds = SECONDS_MAX;
    return halo_now_ns() + (uint64_t)(seconds * 1e9);
}

/* A signal ends it only where that is meant to end everything. */
static void sleep_here(struct halo_lua *lua, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                             .tv_nsec = (long)(deadline_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR &&
           !atomic_load(&lua->interrupt))
        continue;
}

static int sleep_until(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    double seconds = halo_check_seconds(L, 1, "sleep");

    halo_check_cancelled(L, lua);
    uint64_t deadline_ns = halo_deadline(seconds);
    if (!halo_can_wait(L, lua)) {
        sleep_here(lua, deadline_ns);
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

/* ---- registration -------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"spawn", spawn},           {"join", join},         {"cancel", cancel},
    {"cancel_all", cancel_all}, {"current", current},   {"status", status},
    {"yield", yield},           {"sleep", sleep_until}, {"now", now},
    {"tasks", halo_task_list},  {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", halo_task_gc},
    {"__tostring", task_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {NULL, NULL},
};

void halo_open_tasks(lua_State *L)
{
    halo_register(L, functions);
    halo_open_type(L, halo_task_type, metamethods, methods);
}
