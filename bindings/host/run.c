/* Running tasks: all of them to their end, or a step at a time in the host's own loop. */
#include <limits.h>

#include "host/host.h"
#include "host/values.h"
#include "tasks/port.h"
#include "tasks/blocking.h"
#include "tasks/interrupt.h"
#include "tasks/report.h"
#include "tasks/scheduler.h"
#include "tasks/shield.h"
#include "tasks/token.h"
#include "tasks/watch.h"

/* ---- to the end ---------------------------------------------------------------------------- */

struct call {
    struct halo_lua *lua;
    lua_State *host;
    int nargs;
    struct halo_task *task;
};

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

static int code_of(enum halo_run_end end, int status)
{
    switch (end) {
    case HALO_RUN_DONE:
        return 0;
    case HALO_RUN_DEADLOCK:
        return HALO_LUA_DEADLOCK;
    case HALO_RUN_EXPIRED:
        return HALO_LUA_EXPIRED;
    default:
        return status == LUA_ERRMEM ? HALO_LUA_NO_MEMORY : HALO_LUA_FAILED;
    }
}

/* Runs until the task has ended, and then until all have. An error is left on halo's own stack. */
static int run_all(struct halo_lua *lua, struct halo_task *task)
{
    int status;
    enum halo_run_end end = halo_run(lua, task, false, -1, &status);

    if (end == HALO_RUN_DONE) {
        /* A task that fails cancels what it has started. */
        if (task->state == HALO_TASK_FAILED || task->was_cancelled)
            halo_task_cancel_all(lua->L, lua);
        end = halo_run(lua, NULL, false, -1, &status);
    }
    return code_of(end, status);
}

/* The error on top of halo's own stack is the message, and goes to the host's stack. */
static int give_error(struct halo_lua *lua, lua_State *host, int code)
{
    halo_host_set_message(lua, lua->L);
    lua_xmove(lua->L, host, 1);
    return code;
}

int halo_lua_run(struct halo_lua *halo, lua_State *L, int nargs, int nresults)
{
    struct call call = {.lua = halo, .host = L, .nargs = nargs};
    int code = halo_host_check_idle(halo);

    if (code == 0)
        code = halo_host_check_call(halo, L, nargs);
    if (code == 0 && nresults < LUA_MULTRET)
        code = HALO_LUA_INVALID;
    if (code == 0 && (L == halo->L || L == halo->other))
        code = HALO_LUA_BUSY; /* in a finalizer, within another call of the host's */
    if (code != 0)
        return code;
    int below = lua_gettop(L) - nargs - 1;
    int status = lua_cpcall(halo->L, make_task, &call);
    if (status != 0) {
        lua_settop(L, below);
        return give_error(halo, L, status == LUA_ERRMEM ? HALO_LUA_NO_MEMORY : HALO_LUA_FAILED);
    }
    call.task->watched = true;
    code = run_all(halo, call.task);
    if (code != 0) {
        lua_settop(L, below);
        give_error(halo, L, code);
    }
    if (halo->failed || halo->failed_lately)
        halo_collect(halo->L);
    halo_report_all(halo);
    if (code != 0)
        return code;
    code = halo_host_push_outcome(L, halo, call.task, nresults);
    if (code == HALO_LUA_NO_MEMORY)
        lua_pushliteral(L, "not enough memory");
    if (code == HALO_LUA_CANCELLED)
        halo_host_say(halo, halo_lua_describe(code));
    else if (code < 0)
        halo_host_set_message(halo, L);
    return code < 0 ? code : 0;
}

/* ---- a step at a time ---------------------------------------------------------------------- */

int halo_lua_step(struct halo_lua *halo, int timeout_ms)
{
    int64_t timeout_ns = timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000;
    int status, code = halo_host_check_idle(halo);

    if (code != 0)
        return code;
    code = code_of(halo_run(halo, NULL, true, timeout_ns, &status), status);
    if (code != 0) {
        halo_host_fail(halo, status);
    } else if (halo->watch.expired && halo->tasks > 0) {
        code = HALO_LUA_EXPIRED;
        halo_host_say(halo, halo_lua_describe(code));
    }
    return code != 0 ? code : (int)halo->tasks;
}

static int need_loop(lua_State *L)
{
    halo_lua_loop(L, lua_touserdata(L, 1));
    return 0;
}

int halo_lua_fd(struct halo_lua *halo)
{
    int code = halo_host_check_open(halo);

    if (code != 0)
        return code;
    int status = lua_cpcall(halo->L, need_loop, halo);
    if (status != 0)
        return halo_host_fail(halo, status);
    halo->watched = true;
    return halo_loop_fd(halo->loop);
}

int halo_lua_timeout_ms(const struct halo_lua *halo)
{
    if (halo_host_check_open(halo) != 0)
        return -1;
    if (halo->ready || halo->ended || atomic_load(&halo->interrupt) || halo_token_has_news(halo))
        return 0;
    int64_t ns = halo->loop ? halo_loop_timeout_ns(halo->loop) : -1;
    if (halo->tasks > 0)
        ns = halo_watch_bound(halo, ns);
    /* Rounded up, or a host would come back just before the timer a few times over. */
    int64_t ms = ns < 0 ? -1 : (ns + 999999) / 1000000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void halo_lua_wake(struct halo_lua *halo)
{
    if (halo)
        halo_port_wake(halo->port);
}

/* ---- functions that wait ------------------------------------------------------------------- */

void halo_lua_push_function(lua_State *L, const char *name, lua_CFunction fn)
{
    lua_getfield(L, LUA_REGISTRYINDEX, HALO_MODULES_KEY);
    lua_getfield(L, -1, "halo.wait");
    lua_getfield(L, -1, "wrap");
    halo_token_push_function(L, fn);
    lua_pushstring(L, name);
    lua_call(L, 2, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

struct registration {
    const char *name;
    lua_CFunction fn;
};

static int make_global(lua_State *L)
{
    const struct registration *registration = lua_touserdata(L, 1);
    halo_lua_push_function(L, registration->name, registration->fn);
    lua_setglobal(L, registration->name);
    return 0;
}

int halo_lua_register(struct halo_lua *halo, const char *name, lua_CFunction fn)
{
    struct registration registration = {.name = name, .fn = fn};
    int code = halo_host_check_open(halo);

    if (code == 0 && (!name || !fn))
        code = HALO_LUA_INVALID;
    if (code != 0)
        return code;
    int status = lua_cpcall(halo->L, make_global, &registration);
    return status == 0 ? 0 : halo_host_fail(halo, status);
}

/* ---- interruption and the end -------------------------------------------------------------- */

int halo_lua_raise_interrupted(lua_State *L)
{
    return halo_interrupt_stop(L, halo_lua_get(L));
}

void halo_lua_end_unread(struct halo_lua *halo, void (*unread)(void))
{
    if (halo)
        halo->unread = unread;
}

unsigned halo_lua_failures(const struct halo_lua *halo)
{
    return halo ? halo->failures : 0;
}

int halo_lua_close(struct halo_lua *halo, int deadline_ms)
{
    int code = halo_host_check_thread(halo);

    if (code != 0)
        return code;
    if (halo->scheduling || halo->closing)
        return HALO_LUA_BUSY;
    if (halo->closed)
        return 0;
    halo->closing = true;
    halo_report_all(halo);
    unsigned left =
        halo_lua_close_loop(halo, deadline_ms < 0 ? HALO_CLOSE_DEADLINE_MS : (uint64_t)deadline_ms);
    halo_blocking_end(halo);
    halo->closing = false;
    return left > INT_MAX ? INT_MAX : (int)left;
}
