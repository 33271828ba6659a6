/*
 * The functions of Lua that deal with tasks and time.
 */
#include "tasks/lib.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include "args.h"
#include "tasks/blocking.h"
#include "tasks/join.h"
#include "tasks/scheduler.h"

#define SECONDS_MAX 1e9 /* of a sleep where nothing else can run */

/* ---- what Lua calls: tasks ----------------------------------------------------------------- */

static struct halo_task *check_task(lua_State *L, int arg, const char *name)
{
    return halo_check_type(L, arg, halo_task_type, name);
}

/* Outside of any task, a join runs the loop. */
static int run_until(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    int status;

    if (lua->scheduling)
        return halo_error(L, "the scheduler cannot run inside of itself, as in a finalizer");
    if (halo_run(lua, task, false, -1, &status) != HALO_RUN_DONE) {
        lua_xmove(lua->L, L, 1);
        return lua_error(L);
    }
    return halo_join_ended(L, lua, 1);
}

/* join(task): true and its results, or false and its error. */
static int join(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_task *task = check_task(L, 1, "join");

    if (halo_is_cancelled(L, lua))
        return halo_give_cancelled(L, lua);
    if (task == lua->task)
        return halo_error(L, "a task cannot join itself");
    if (halo_join_closes_cycle(lua, task))
        return halo_error(L, "this join closes a cycle: that task waits for this one");
    lua_settop(L, 1);
    if (halo_task_is_over(task))
        return halo_join_ended(L, lua, 1);
    if (!lua->task)
        return run_until(L, lua, task);
    if (!halo_can_wait(L, lua))
        return halo_error(L, "join cannot wait here, inside of a callback from C such as "
                             "table.sort's or string.gsub's: join the task before");
    return halo_join_park(L, lua, task);
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
    lua_pushstring(L, task->wait.what);
    lua_pushnumber(L, (double)task->wait.since_ns / 1e9);
    return 3;
}

/* ---- what Lua calls: time and waiting ------------------------------------------------------ */

static int yield(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    if (halo_is_cancelled(L, lua))
        return halo_give_cancelled(L, lua);
    if (!halo_can_wait(L, lua))
        return lua_pushboolean(L, 1), 1;
    lua_settop(L, 0);
    lua_pushboolean(L, 1);
    return halo_let_others(L, lua, 1);
}

static int stop_sleep(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)L;
    halo_alarm_stop(lua, &task->alarm);
    return lua->cancelled;
}

static const struct halo_wait_kind wait_for_time = {.what = "sleep", .cancel = stop_sleep};

/* A signal ends it only where that is meant to end everything. */
static void sleep_here(struct halo_lua *lua, double seconds)
{
    double whole = seconds < SECONDS_MAX ? floor(seconds) : SECONDS_MAX;
    struct timespec left = {.tv_sec = (time_t)whole};

    if (seconds < SECONDS_MAX)
        left.tv_nsec = (long)((seconds - whole) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR &&
           !atomic_load(&lua->interrupt))
        continue;
}

static int sleep_until(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    double seconds = halo_check_seconds(L, 1, "sleep");

    if (halo_is_cancelled(L, lua))
        return halo_give_cancelled(L, lua);
    if (!halo_can_wait(L, lua)) {
        uint64_t began_ns = halo_now_ns();
        sleep_here(lua, seconds);
        if (lua->blocking)
            halo_blocking_called(L, lua, wait_for_time.what, began_ns, true);
        return lua_pushboolean(L, 1), 1;
    }
    halo_alarm_set(L, lua, &lua->task->alarm, seconds);
    return halo_park(L, lua, &wait_for_time, wait_for_time.what, NULL);
}

static int now(lua_State *L)
{
    lua_pushnumber(L, (double)halo_now_ns() / 1e9);
    return 1;
}

/* ---- registration -------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"join", join},         {"cancel", cancel}, {"cancel_all", cancel_all},
    {"current", current},   {"status", status}, {"yield", yield},
    {"sleep", sleep_until}, {"now", now},       {NULL, NULL},
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
