/*
 * The functions of halo_lua.h for hosts, but for the opening. None of them lets an error out: what
 * may raise one runs on a stack of halo's own, under lua_cpcall(), since a host's is not protected.
 */
#include <limits.h>

#include "args.h"
#include "tasks/blocking.h"
#include "tasks/report.h"
#include "tasks/scheduler.h"
#include "tasks/shield.h"
#include "tasks/task.h"

#define RESULTS_MAX 7900 /* on a host's stack, of which LuaJIT gives a C function 8,000 places */

struct call {
    lua_State *host;
    struct halo_lua *lua;
    const struct halo_lua_options *options;
    int nargs;
    struct halo_task *task;
};

/* Runs a function with the call. An error is left on the host's stack, and its code returned. */
static int protect(struct call *call, lua_CFunction function)
{
    int status = lua_cpcall(call->lua->L, function, call);
    if (status != 0)
        lua_xmove(call->lua->L, call->host, 1);
    return status;
}

/* ---- options ------------------------------------------------------------------------------- */

static void set_number(lua_State *L, const char *name, unsigned value)
{
    if (value == 0)
        return;
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static int configure(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    const struct halo_lua_options *options = call->options;

    lua_getfield(L, LUA_REGISTRYINDEX, HALO_MODULES_KEY);
    lua_getfield(L, -1, "halo.core");
    lua_getfield(L, -1, "configure");
    lua_createtable(L, 0, 3);
    if (options->engine) {
        lua_pushstring(L, options->engine);
        lua_setfield(L, -2, "engine");
    }
    set_number(L, "max_files", options->max_files);
    set_number(L, "max_in_flight", options->max_in_flight);
    lua_call(L, 1, 0);
    return 0;
}

int halo_lua_configure(lua_State *L, const struct halo_lua_options *options)
{
    struct call call = {.host = L, .lua = halo_lua_get(L), .options = options};
    return protect(&call, configure) == 0 ? 0 : -1;
}

/* ---- tasks --------------------------------------------------------------------------------- */

/* In a finalizer or a C function of a task the scheduler is busy already. */
static int check_idle(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    if (call->lua->closed)
        return luaL_error(L, "halo has been closed");
    if (call->lua->scheduling)
        return luaL_error(L, "the scheduler cannot run inside of itself, as in a finalizer");
    return 0;
}

/* The Task takes the place of the function and its arguments on the host's stack. */
static int make_task(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    luaL_checkstack(L, call->nargs + LUA_MINSTACK, "too many arguments");
    lua_xmove(call->host, L, call->nargs + 1);
    call->task = halo_task_new(L, call->lua, call->nargs);
    lua_xmove(L, call->host, 1);
    return 0;
}

/* As make_task(); an error takes the place of all that, too. */
static int take_task(struct call *call)
{
    int below = lua_gettop(call->host) - call->nargs - 1;
    int status = lua_cpcall(call->lua->L, make_task, call);
    if (status == 0)
        return 0;
    lua_settop(call->host, below);
    lua_xmove(call->lua->L, call->host, 1);
    return status;
}

int halo_lua_spawn(lua_State *L, int nargs)
{
    struct call call = {.host = L, .lua = halo_lua_get(L), .nargs = nargs};
    return take_task(&call);
}

/* Runs until the task has ended, and then until all have. */
static int run_all(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    int status;

    if (halo_run(lua, task, false, -1, &status) == HALO_RUN_DONE) {
        /* A task that fails cancels what it has started. */
        if (task->state == HALO_TASK_FAILED || task->was_cancelled)
            halo_task_cancel_all(lua->L, lua);
        halo_run(lua, NULL, false, -1, &status);
    }
    if (status != 0)
        lua_xmove(lua->L, L, 1);
    if (lua->failed || lua->failed_lately)
        halo_collect(lua->L);
    halo_report_all(lua);
    return status;
}

/* The values of a Task's table, as many as are wanted, take its place. */
static int push_results(lua_State *L, const struct halo_task *task, int wanted)
{
    int index = lua_gettop(L);

    if (wanted == LUA_MULTRET)
        wanted = task->nresults;
    if (index + wanted > RESULTS_MAX) {
        lua_pop(L, 1);
        lua_pushliteral(L, "too many results");
        return LUA_ERRRUN;
    }
    if (!halo_make_room(L, wanted + 1)) {
        lua_replace(L, index);
        return LUA_ERRMEM;
    }
    lua_getfenv(L, index);
    for (int i = 1; i <= wanted; i++) {
        if (i <= task->nresults)
            lua_rawgeti(L, index + 1, i);
        else
            lua_pushnil(L);
    }
    lua_remove(L, index + 1);
    lua_remove(L, index);
    return 0;
}

static int push_error(lua_State *L, struct halo_lua *lua, const struct halo_task *task)
{
    int index = lua_gettop(L);
    halo_task_push_outcome(L, lua, index); /* false, and the error */
    lua_replace(L, index);
    lua_settop(L, index);
    return task->status == LUA_ERRMEM ? LUA_ERRMEM : LUA_ERRRUN;
}

int halo_lua_run(lua_State *L, int nargs, int nresults)
{
    struct call call = {.host = L, .lua = halo_lua_get(L), .nargs = nargs};
    int below = lua_gettop(L) - nargs - 1;
    int status = protect(&call, check_idle);

    if (status != 0) {
        lua_replace(L, below + 1);
        lua_settop(L, below + 1);
        return status;
    }
    status = take_task(&call);
    if (status != 0)
        return status;
    call.task->watched = true;
    status = run_all(L, call.lua, call.task);
    if (status != 0) {
        lua_remove(L, below + 1);
        return status;
    }
    if (call.task->state == HALO_TASK_FAILED || call.task->was_cancelled)
        return push_error(L, call.lua, call.task);
    return push_results(L, call.task, nresults);
}

int halo_lua_step(lua_State *L, int timeout_ms)
{
    struct call call = {.host = L, .lua = halo_lua_get(L)};
    int64_t timeout_ns = timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000;
    int status;

    if (protect(&call, check_idle) != 0)
        return -1;
    enum halo_run_end end = halo_run(call.lua, NULL, true, timeout_ns, &status);
    if (end == HALO_RUN_DONE)
        return (int)call.lua->tasks;
    lua_xmove(call.lua->L, L, 1);
    return end == HALO_RUN_STUCK ? HALO_LUA_STUCK : -1;
}

/* ---- the host's loop ----------------------------------------------------------------------- */

int halo_lua_fd(lua_State *L)
{
    const struct halo_lua *lua = halo_lua_get(L);
    return lua->loop ? halo_loop_fd(lua->loop) : -1;
}

int halo_lua_timeout_ms(lua_State *L)
{
    const struct halo_lua *lua = halo_lua_get(L);
    if (lua->ready)
        return 0;
    int64_t ns = lua->loop ? halo_loop_timeout_ns(lua->loop) : -1;
    /* Rounded up, or a host would come back just before the timer a few times over. */
    int64_t ms = ns < 0 ? -1 : (ns + 999999) / 1000000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* ---- functions that wait --------------------------------------------------------------------- */

void halo_lua_push_function(lua_State *L, const char *name, lua_CFunction fn)
{
    lua_getfield(L, LUA_REGISTRYINDEX, HALO_MODULES_KEY);
    lua_getfield(L, -1, "halo.wait");
    lua_getfield(L, -1, "wrap");
    lua_pushcfunction(L, fn);
    lua_pushstring(L, name);
    lua_call(L, 2, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* ---- interruption and the end -------------------------------------------------------------- */

struct halo_lua *halo_lua_handle(lua_State *L)
{
    return halo_lua_get(L);
}

int halo_lua_interrupt(struct halo_lua *handle)
{
    atomic_store(&handle->interrupt, true);
    if (handle->loop)
        halo_loop_interrupt(handle->loop);
    return handle->running != NULL;
}

void halo_lua_raise_interrupted(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);
    if (!lua->task || halo_is_shielded(L, lua))
        return;
    lua->interrupted = true;
    lua->task->cancelled = true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    lua_error(L);
}

void halo_lua_end_unread(struct halo_lua *handle, void (*unread)(void))
{
    handle->unread = unread;
}

unsigned halo_lua_failures(lua_State *L)
{
    return halo_lua_get(L)->failures;
}

void halo_lua_close(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);
    halo_report_all(lua);
    halo_lua_close_loop(lua);
    halo_blocking_end(lua);
}
