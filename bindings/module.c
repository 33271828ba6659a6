/*
 * Opening halo in a Lua state. The Lua side is embedded; its modules are run once a state, whatever
 * becomes of package.loaded, since they stand for the one loop of that state.
 */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "descriptor.h"
#include "embedded.h"
#include "fs/buffer.h"
#include "fs/fs.h"
#include "module.h"
#include "process.h"
#include "stdio/stdio.h"
#include "tasks/blocking.h"
#include "tasks/coroutine.h"
#include "tasks/describe.h"
#include "tasks/group.h"
#include "tasks/handle.h"
#include "tasks/join.h"
#include "tasks/lib.h"
#include "tasks/port.h"
#include "tasks/report.h"
#include "tasks/scheduler.h"
#include "tasks/token.h"
#include "terminal/editor.h"
#include "terminal/screen.h"

/* ---- modules ------------------------------------------------------------------------------- */

static const struct halo_embedded *find_embedded(const char *name)
{
    const struct halo_embedded *module = halo_embedded;
    while (module->name && strcmp(module->name, name) != 0)
        module++;
    return module->name ? module : NULL;
}

/*
 * Pushes the module's function. The text is for a LuaJIT that refuses what the build's has
 * compiled: halo.so may be loaded by another one.
 */
static void load_embedded(lua_State *L, const struct halo_embedded *module)
{
    size_t size = (size_t)(module->code_end - module->code);

    if (size > 0 && luaL_loadbuffer(L, module->code, size, module->name) == 0)
        return;
    lua_pushfstring(L, HALO_SOURCE_PREFIX "/%s", module->name);
    if (luaL_loadbuffer(L, module->start, (size_t)(module->end - module->start),
                        lua_tostring(L, -1)) != 0)
        lua_error(L);
}

/*
 * module(name): the module of that name, which is run the first time it is asked for. Also what
 * require() finds in package.preload. Besides its name it gets newproxy, which scripts may not
 * have: see guard_hook() in host/new.c.
 */
static int require_embedded(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, HALO_MODULES_KEY);
    lua_getfield(L, 2, name);
    if (!lua_isnil(L, -1))
        return 1;
    lua_pop(L, 1);
    const struct halo_embedded *module = find_embedded(name);
    if (!module)
        return luaL_error(L, "module '%s' is not part of halo", name);
    load_embedded(L, module);
    lua_pushvalue(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, HALO_NEWPROXY_KEY);
    lua_call(L, 2, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

/* sources(): the text of each embedded module, by its name; for the help at the prompt. */
static int sources(lua_State *L)
{
    lua_newtable(L);
    for (const struct halo_embedded *module = halo_embedded; module->name; module++) {
        lua_pushlstring(L, module->start, (size_t)(module->end - module->start));
        lua_setfield(L, -2, module->name);
    }
    return 1;
}

/*
 * getenv(name): a variable that may decide what halo does, and where. A program that has more
 * rights than its caller, as one that is set-user-id, gets nil.
 */
static int trusted_getenv(lua_State *L)
{
    lua_pushstring(L, secure_getenv(luaL_checkstring(L, 1)));
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

/*
 * Too late to be the rule to close here: halo_lua_close() should have come before lua_close(). The
 * state may be half made.
 */
static int state_gc(lua_State *L)
{
    struct halo_lua *lua = lua_touserdata(L, 1);
    halo_report_lost(lua);
    halo_lua_close_loop(lua, HALO_CLOSE_DEADLINE_MS);
    halo_blocking_end(lua);
    halo_handles_orphan(lua);
    if (lua->port)
        halo_port_release(lua->port);
    free(lua->message);
    lua->port = NULL;
    lua->message = NULL;
    return 0;
}

/* The C functions, as module "halo.core". */
static void make_core(lua_State *L)
{
    lua_newtable(L);
    halo_open_tasks(L);
    halo_open_join(L);
    halo_open_group(L);
    halo_open_describe(L);
    halo_open_report(L);
    halo_open_scheduler(L);
    halo_open_tokens(L);
    halo_open_file(L);
    halo_open_buffer(L);
    halo_open_fs(L);
    halo_open_await(L);
    halo_open_gather(L);
    halo_open_fast(L);
    halo_open_fs_data(L);
    halo_open_fs_meta(L);
    halo_open_stat(L);
    halo_open_process(L);
    halo_open_descriptor(L);
    halo_open_stdio(L);
    halo_open_fs_names(L);
    halo_open_lfs(L);
    halo_open_fs_watch(L);
    halo_open_random(L);
    halo_open_runtime(L);
    halo_open_coroutine(L);
    halo_open_screen(L);
    halo_open_editor(L);
    lua_pushcfunction(L, trusted_getenv);
    lua_setfield(L, -2, "getenv");
    lua_pushcfunction(L, sources);
    lua_setfield(L, -2, "sources");
    lua_pushcfunction(L, require_embedded);
    lua_setfield(L, -2, "module");
}

void halo_open_state(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, HALO_MODULES_KEY);
    bool open = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!open) {
        halo_lua_make(L, state_gc);
        lua_newtable(L);
        make_core(L);
        lua_setfield(L, -2, "halo.core");
        lua_setfield(L, LUA_REGISTRYINDEX, HALO_MODULES_KEY);
        lua_getglobal(L, "newproxy");
        lua_setfield(L, LUA_REGISTRYINDEX, HALO_NEWPROXY_KEY);
        preload_all(L);
        /* The head of the registry's own free list: luaL_unref() needs no memory then. */
        lua_pushboolean(L, 1);
        luaL_unref(L, LUA_REGISTRYINDEX, luaL_ref(L, LUA_REGISTRYINDEX));
    }
}

int luaopen_halo(lua_State *L)
{
    halo_open_state(L);
    push_module(L, "halo");
    return 1;
}

static int open_part(lua_State *L, const char *name)
{
    /* The module halo requires this one itself, which would look like a loop. */
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_pushnil(L);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
    luaopen_halo(L);
    push_module(L, name);
    return 1;
}

int luaopen_halo_fs(lua_State *L)
{
    return open_part(L, "halo.fs");
}

int luaopen_halo_io(lua_State *L)
{
    return open_part(L, "halo.io");
}

/* For plain luajit alone, which looks for it in halo.so. */
HALO_API int luaopen_halo_lfs(lua_State *L);
int luaopen_halo_lfs(lua_State *L)
{
    return open_part(L, "halo.lfs");
}
