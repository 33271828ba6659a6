/*
 * Opening halo in a Lua state, and the functions of halo_lua.h. The Lua side is embedded; its
 * modules are run once a state, whatever becomes of package.loaded, since they stand for the one
 * loop of that state.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "embedded.h"
#include "tasks/scheduler.h"

#define MODULES_KEY       "halo.modules"
#define CLOSE_DEADLINE_MS 5000

/* ---- the state ----------------------------------------------------------------------------- */

struct halo_lua *halo_lua_get(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, HALO_STATE_KEY);
    struct halo_lua *lua = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!lua)
        luaL_error(L, "halo is not open in this Lua state: call halo_lua_open()");
    return lua;
}

void halo_register(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_getfield(L, LUA_REGISTRYINDEX, HALO_STATE_KEY);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -2, functions->name);
    }
}

/*
 * A type's metatable, out of the reach of Lua, and the table of its methods, which becomes a field
 * of the table on top of the stack.
 */
void halo_open_type(lua_State *L, const char *type, const luaL_Reg *metamethods,
                    const luaL_Reg *methods)
{
    luaL_newmetatable(L, type);
    halo_register(L, metamethods);
    lua_pushstring(L, type);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    halo_register(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_setfield(L, -3, type);
    lua_pop(L, 1);
}

static void close_loop(struct halo_lua *lua)
{
    if (lua->loop)
        halo_loop_close(lua->loop, CLOSE_DEADLINE_MS);
    lua->loop = NULL;
    lua->closed = true;
}

/* Too late to be the rule: halo_lua_close() should have come before lua_close(). */
static int state_gc(lua_State *L)
{
    struct halo_lua *lua = lua_touserdata(L, 1);
    halo_task_report_lost(lua);
    close_loop(lua);
    return 0;
}

/* The value that a cancellation raises: a table, so that no string can be taken for it. */
static void make_cancelled(lua_State *L, struct halo_lua *lua)
{
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "ECANCELED");
    lua_setfield(L, -2, "code");
    lua->cancelled = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void make_state(lua_State *L)
{
    struct halo_lua *lua = lua_newuserdata(L, sizeof(*lua));
    memset(lua, 0, sizeof(*lua));
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, state_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, HALO_STATE_KEY);
    lua_newtable(L);
    /* The head of luaL_unref()'s free list, without which it would leave a hole in the table. */
    lua_pushinteger(L, 0);
    lua_rawseti(L, -2, 0);
    lua->anchors = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    lua->sources = luaL_ref(L, LUA_REGISTRYINDEX);
    lua->shields = LUA_NOREF;
    make_cancelled(L, lua);
}

/* ---- modules ------------------------------------------------------------------------------- */

static const struct halo_embedded *find_embedded(const char *name)
{
    const struct halo_embedded *module = halo_embedded;
    while (module->name && strcmp(module->name, name) != 0)
        module++;
    return module->name ? module : NULL;
}

/* Pushes the module of that name, which is run the first time it is asked for. */
static int require_embedded(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, MODULES_KEY);
    lua_getfield(L, 2, name);
    if (!lua_isnil(L, -1))
        return 1;
    lua_pop(L, 1);
    const struct halo_embedded *module = find_embedded(name);
    if (!module)
        return luaL_error(L, "module '%s' is not part of halo", name);
    lua_pushfstring(L, HALO_SOURCE_PREFIX "/%s", name);
    if (luaL_loadbuffer(L, module->start, (size_t)(module->end - module->start),
                        lua_tostring(L, -1)) != 0)
        return lua_error(L);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

static void push_module(lua_State *L, const char *name)
{
    lua_pushcfunction(L, require_embedded);
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
}

static void preload_all(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    for (const struct halo_embedded *module = halo_embedded; module->name; module++) {
        lua_pushcfunction(L, require_embedded);
        lua_setfield(L, -2, module->name);
    }
    lua_pushcfunction(L, require_embedded);
    lua_setfield(L, -2, "halo.core");
    lua_pop(L, 2);
}

/* The C functions, as module "halo.core". */
static void make_core(lua_State *L)
{
    lua_newtable(L);
    halo_open_tasks(L);
    halo_open_group(L);
    halo_open_file(L);
    halo_open_buffer(L);
    halo_open_fs(L);
    halo_open_runtime(L);
    halo_open_coroutine(L);
}

int halo_lua_open(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, MODULES_KEY);
    bool open = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!open) {
        make_state(L);
        lua_newtable(L);
        make_core(L);
        lua_setfield(L, -2, "halo.core");
        lua_setfield(L, LUA_REGISTRYINDEX, MODULES_KEY);
        preload_all(L);
    }
    push_module(L, "halo");
    return 1;
}

int luaopen_halo(lua_State *L)
{
    return halo_lua_open(L);
}

int luaopen_halo_fs(lua_State *L)
{
    /* The module halo requires it in its turn, which would look like a loop. */
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_pushnil(L);
    lua_setfield(L, -2, "halo.fs");
    lua_pop(L, 2);
    halo_lua_open(L);
    push_module(L, "halo.fs");
    return 1;
}

/* ---- hosts --------------------------------------------------------------------------------- */

int halo_lua_configure(lua_State *L, const struct halo_lua_options *options)
{
    push_module(L, "halo.core");
    lua_getfield(L, -1, "configure");
    lua_remove(L, -2);
    lua_createtable(L, 0, 3);
    if (options->engine) {
        lua_pushstring(L, options->engine);
        lua_setfield(L, -2, "engine");
    }
    if (options->max_files) {
        lua_pushnumber(L, options->max_files);
        lua_setfield(L, -2, "max_files");
    }
    if (options->max_in_flight) {
        lua_pushnumber(L, options->max_in_flight);
        lua_setfield(L, -2, "max_in_flight");
    }
    return lua_pcall(L, 1, 0, 0) == 0 ? 0 : -1;
}

void halo_lua_spawn(lua_State *L, int nargs)
{
    halo_task_new(L, halo_lua_get(L), nargs);
}

/* With LUA_MULTRET the caller takes what there is, else exactly nresults values. */
static void push_results(lua_State *L, struct halo_lua *lua, int index, int nresults)
{
    halo_task_push_outcome(L, lua, index);
    bool ok = lua_toboolean(L, index + 1);
    lua_remove(L, index + 1);
    lua_remove(L, index);
    if (ok && nresults != LUA_MULTRET)
        lua_settop(L, index - 1 + nresults);
}

/* In a finalizer or a C function of a task the scheduler is busy already. */
static int refuse_run(lua_State *L, const struct halo_lua *lua, int nargs)
{
    if (!lua->scheduling && !lua->closed)
        return 0;
    lua_pop(L, nargs + 1);
    lua_pushstring(L, lua->closed ? "halo has been closed"
                                  : "the scheduler cannot run inside of itself, as in a finalizer");
    return LUA_ERRRUN;
}

int halo_lua_run(lua_State *L, int nargs, int nresults)
{
    struct halo_lua *lua = halo_lua_get(L);
    int refused = refuse_run(L, lua, nargs);
    if (refused)
        return refused;
    struct halo_task *task = halo_task_new(L, lua, nargs);
    int index = lua_gettop(L);

    task->watched = true;
    int status = halo_sched_run(L, lua, task, false, -1);
    bool failed = status == 0 && (task->state == HALO_TASK_FAILED || task->was_cancelled);
    /* Whoever fails takes with it what it has started. */
    if (failed)
        halo_task_cancel_all(L, lua);
    if (status == 0)
        status = halo_sched_run(L, lua, NULL, false, -1);
    if (lua->failed || lua->failed_lately)
        halo_collect(L);
    halo_task_report(lua);
    if (status != 0) {
        lua_remove(L, index);
        return status;
    }
    push_results(L, lua, index, nresults);
    return failed ? LUA_ERRRUN : 0;
}

int halo_lua_step(lua_State *L, int timeout_ms)
{
    struct halo_lua *lua = halo_lua_get(L);
    int64_t timeout_ns = timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000000;
    if (refuse_run(L, lua, -1) != 0)
        return -1;
    if (halo_sched_run(L, lua, NULL, true, timeout_ns) != 0)
        return -1;
    return (int)lua->tasks;
}

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

unsigned halo_lua_failures(lua_State *L)
{
    return halo_lua_get(L)->failures;
}

void halo_lua_close(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);
    halo_task_report(lua);
    close_loop(lua);
}
