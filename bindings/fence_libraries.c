/* Taking libraries away from a state. halo's own modules keep what they need in their upvalues. */
#include <lualib.h>
#include <string.h>

#include "args.h"
#include "embedded.h"
#include "fence.h"
#include "host/host.h"
#include "tasks/state.h"

static void get_package_field(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "package");
    lua_remove(L, -2);
    if (lua_istable(L, -1))
        lua_getfield(L, -1, name);
    else
        lua_pushnil(L);
    lua_remove(L, -2);
}

static void set_nil(lua_State *L, int table, const char *name)
{
    if (!lua_istable(L, table))
        return;
    lua_pushvalue(L, table);
    lua_pushnil(L);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* Takes a name out of a table of package: loaded, preload. */
static void forget(lua_State *L, const char *table, const char *name)
{
    get_package_field(L, table);
    set_nil(L, lua_gettop(L), name);
    lua_pop(L, 1);
}

static void set_global_nil(lua_State *L, const char *name)
{
    lua_pushnil(L);
    lua_setglobal(L, name);
}

static void remove_library(lua_State *L, const char *name)
{
    set_global_nil(L, name);
    forget(L, "loaded", name);
    forget(L, "preload", name);
}

static void remove_field(lua_State *L, const char *library, const char *name)
{
    lua_getglobal(L, library);
    set_nil(L, lua_gettop(L), name);
    lua_pop(L, 1);
}

/* ---- one by one ---------------------------------------------------------------------------- */

/* The module string.buffer, as it is or will be in package.loaded; or nil. */
static void push_string_buffer(lua_State *L)
{
    static const char name[] = LUA_STRLIBNAME ".buffer";

    get_package_field(L, "loaded");
    get_package_field(L, "preload");
    if (lua_istable(L, -2) && lua_istable(L, -1)) {
        lua_getfield(L, -2, name);
        lua_getfield(L, -2, name);
        if (lua_isnil(L, -2) && lua_isfunction(L, -1)) {
            lua_pushstring(L, name);
            lua_call(L, 1, 1);
            lua_pushvalue(L, -1);
            lua_setfield(L, -5, name);
        } else {
            lua_pop(L, 1);
        }
    } else {
        lua_pushnil(L);
    }
    forget(L, "preload", name); /* it would make another one, with all of its methods */
}

/* By these a buffer of LuaJIT's gives a pointer of ffi's, or what lies in memory. */
static void remove_pointers(lua_State *L)
{
    static const char *const names[] = {"ref", "reserve", "commit"};
    int top = lua_gettop(L);

    push_string_buffer(L);
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "new");
        lua_call(L, 0, 1);
        if (luaL_getmetafield(L, -1, "__index"))
            for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                set_nil(L, lua_gettop(L), names[i]);
    }
    lua_settop(L, top);
}

static void remove_ffi(lua_State *L)
{
    remove_library(L, "ffi");
    remove_pointers(L);
}

/* The searchers behind those of package.preload and package.path are of C modules. */
static void remove_loadlib(lua_State *L)
{
    remove_field(L, "package", "loadlib");
    lua_getglobal(L, "package");
    if (lua_istable(L, -1)) {
        lua_pushliteral(L, "");
        lua_setfield(L, -2, "cpath");
        lua_getfield(L, -1, "loaders");
        for (int i = (int)lua_objlen(L, -1); lua_istable(L, -1) && i > 2; i--) {
            lua_pushnil(L);
            lua_rawseti(L, -2, i);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void remove_loadfile(lua_State *L)
{
    set_global_nil(L, "loadfile");
    set_global_nil(L, "dofile");
    remove_field(L, "package", "searchpath");
    get_package_field(L, "loaders");
    if (lua_istable(L, -1)) {
        for (int i = 2; i < (int)lua_objlen(L, -1); i++) {
            lua_rawgeti(L, -1, i + 1);
            lua_rawseti(L, -2, i);
        }
        lua_pushnil(L);
        lua_rawseti(L, -2, (int)lua_objlen(L, -2));
    }
    lua_pop(L, 1);
}

/* load(chunk [, name [, mode [, env]]]), for text. */
static int load_text(lua_State *L)
{
    bool has_env = lua_gettop(L) > 3;

    lua_settop(L, 4);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    lua_settop(L, has_env ? 4 : 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static void remove_bytecode(lua_State *L)
{
    static const char *const names[] = {"load", "loadstring"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        lua_getglobal(L, names[i]);
        lua_pushcclosure(L, load_text, 1);
        lua_setglobal(L, names[i]);
    }
    remove_field(L, "string", "dump");
}

static void remove_io(lua_State *L)
{
    remove_library(L, "io");
}

static void remove_os(lua_State *L)
{
    remove_library(L, "os");
}

static void remove_debug(lua_State *L)
{
    remove_library(L, "debug");
}

static void remove_jit(lua_State *L)
{
    static const char *const names[] = {"jit", "jit.util", "jit.opt", "jit.profile"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        remove_library(L, names[i]);
}

static void remove_exec(lua_State *L)
{
    remove_field(L, "os", "execute");
    remove_field(L, "io", "popen");
}

static bool is_public(const char *name)
{
    static const char *const names[] = {"halo",         "halo.fs", "halo.path",
                                        "halo.process", "halo.io", "halo.lfs"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool is_table(lua_State *L, const char *name)
{
    lua_getglobal(L, name);
    bool is = lua_istable(L, -1);
    lua_pop(L, 1);
    return is;
}

/* What the command has, and what stands in the place of Lua's own libraries where those are. */
static bool is_for_others(lua_State *L, const char *name)
{
    if (strncmp(name, "halo.terminal.", 14) == 0)
        return true;
    return strncmp(name, "halo.io.", 8) == 0 && !(is_table(L, "io") && is_table(L, "os"));
}

/* All modules, before anything goes: they have in their upvalues what they need. */
static void load_modules(lua_State *L)
{
    for (const struct halo_embedded *module = halo_embedded; module->name; module++) {
        get_package_field(L, "preload");
        lua_getfield(L, -1, module->name);
        if (lua_isfunction(L, -1) && !is_for_others(L, module->name)) {
            lua_pushstring(L, module->name);
            lua_call(L, 1, 1);
            get_package_field(L, "loaded");
            lua_insert(L, -2);
            lua_setfield(L, -2, module->name);
        }
        lua_pop(L, 2);
    }
}

/* The functions in package.preload give any of them, and so those of the public ones go, too. */
static void remove_internals(lua_State *L)
{
    for (const struct halo_embedded *module = halo_embedded; module->name; module++) {
        if (!is_public(module->name))
            forget(L, "loaded", module->name);
        forget(L, "preload", module->name);
    }
    forget(L, "loaded", "halo.core");
    forget(L, "preload", "halo.core");
}

/* ---- all ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*remove)(lua_State *L);
} libraries[] = {
    {"internals", remove_internals},
    {"ffi", remove_ffi},
    {"loadlib", remove_loadlib},
    {"loadfile", remove_loadfile},
    {"exec", remove_exec},
    {"bytecode", remove_bytecode},
    {"io", remove_io},
    {"os", remove_os},
    {"debug", remove_debug},
    {"jit", remove_jit},
};

#define LIBRARIES (sizeof(libraries) / sizeof(libraries[0]))
#define SEPARATOR " ,"

/* Which library a word means: its place; LIBRARIES for all; raises for none. */
static size_t find_library(lua_State *L, const char *word, size_t length)
{
    if (length == 3 && memcmp(word, "all", 3) == 0)
        return LIBRARIES;
    for (size_t i = 0; i < LIBRARIES; i++)
        if (strlen(libraries[i].name) == length && memcmp(word, libraries[i].name, length) == 0)
            return i;
    lua_pushlstring(L, word, length);
    return (size_t)luaL_error(L, "no library '%s' to remove", lua_tostring(L, -1));
}

void halo_remove_libraries(lua_State *L, const char *names)
{
    bool wanted[LIBRARIES] = {false};

    luaL_checkstack(L, LUA_MINSTACK, NULL);
    for (const char *word = names + strspn(names, SEPARATOR); *word;) {
        size_t length = strcspn(word, SEPARATOR);
        size_t found = find_library(L, word, length);
        for (size_t i = 0; i < LIBRARIES; i++)
            wanted[i] |= found == i || found == LIBRARIES;
        word += length;
        word += strspn(word, SEPARATOR);
    }
    load_modules(L);
    for (size_t i = 0; i < LIBRARIES; i++)
        if (wanted[i])
            libraries[i].remove(L);
}

static int remove_protected(lua_State *L)
{
    halo_remove_libraries(L, lua_touserdata(L, 1));
    return 0;
}

int halo_lua_remove_libraries(struct halo_lua *halo, const char *names)
{
    int code = halo_host_check_idle(halo);

    if (code == 0 && !names)
        code = HALO_LUA_INVALID;
    if (code != 0)
        return code;
    int status = lua_cpcall(halo->L, remove_protected, (void *)(uintptr_t)names);
    return status == 0 ? 0 : halo_host_fail(halo, status);
}
