/* A runtime's beginning and its end: the state, its memory, what the host's options say. */
#include <luajit.h>
#include <lualib.h>
#include <string.h>

#include "args.h"
#include "host/host.h"
#include "host/memory.h"
#include "module.h"
#include "tasks/state.h"
#include "tasks/blocking.h"
#include "tasks/watch.h"

#define GC_PAUSE 125 /* percent: where memory is limited, a collection begins soon */

struct opening {
    struct halo_lua *halo;
    const struct halo_lua_options *options;
    struct halo_memory *memory; /* where it is limited */
    lua_State *state;
    bool makes_state;
    bool is_out; /* memory */
    enum halo_engine_kind engine;
    bool refused;
};

/* ---- options ------------------------------------------------------------------------------- */

static bool find_engine(const char *name, enum halo_engine_kind *kind)
{
    static const char *const names[] = {"auto", "ring", "pool"};
    for (int i = 0; i < 3; i++) {
        if (name && strcmp(name, names[i]) != 0)
            continue;
        *kind = (enum halo_engine_kind)i;
        return true;
    }
    return false;
}

static bool are_valid(const struct halo_lua_options *options, bool makes_state,
                      enum halo_engine_kind *engine)
{
    if (!makes_state && (options->allocator || options->max_memory))
        return false;
    if (options->max_bytes && options->max_bytes < HALO_BYTES_MIN)
        return false;
    return options->max_files <= HALO_FILES_MAX &&
           options->max_in_flight <= HALO_MAX_IN_FLIGHT_LIMIT &&
           options->pool_threads <= HALO_THREADS_MAX && find_engine(options->engine, engine);
}

/* print, for a host that wants to have what is printed. */
static int print(lua_State *L)
{
    struct halo_lua *lua = lua_touserdata(L, lua_upvalueindex(1));
    int count = lua_gettop(L);
    luaL_Buffer buffer;
    size_t length;

    lua_getglobal(L, "tostring");
    luaL_buffinit(L, &buffer);
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, count + 1);
        lua_pushvalue(L, i);
        lua_call(L, 1, 1);
        if (!lua_isstring(L, -1))
            return luaL_error(L, "'tostring' must return a string to 'print'");
        luaL_addvalue(&buffer);
        if (i < count)
            luaL_addchar(&buffer, '\t');
    }
    luaL_pushresult(&buffer);
    const char *text = lua_tolstring(L, -1, &length);
    lua->options.on_print(lua, text, length, lua->options.user);
    return 0;
}

static void remove_field(lua_State *L, const char *table, const char *name)
{
    lua_getglobal(L, table);
    if (lua_istable(L, -1)) {
        lua_pushnil(L);
        lua_setfield(L, -2, name);
    }
    lua_pop(L, 1);
}

/* The handler of a call of xpcall: what is being stopped does not come to it. */
static int handle(lua_State *L)
{
    const struct halo_lua *lua = lua_touserdata(L, lua_upvalueindex(1));

    lua_settop(L, 1);
    if (lua->watch.stopping)
        return 1;
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* guard(handler) */
static int guard(lua_State *L)
{
    lua_settop(L, 1);
    if (!lua_isfunction(L, 1))
        return 1; /* which xpcall refuses */
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_pushcclosure(L, handle, 2);
    return 1;
}

static void forget(lua_State *L, const char *table, const char *name)
{
    lua_getglobal(L, "package");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, table);
        lua_pushnil(L);
        lua_setfield(L, -2, name);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/*
 * LuaJIT's load takes an error of its reader's for its own and goes on, but as if it still were in
 * the hook that has raised it, which is never called again. So the reader is called here.
 */
static const char wrapping[] =
    "local xpcall, guard, load, pcall, type, concat = ... "
    "local function read_all(reader) "
    "  local pieces, count = {}, 0 "
    "  while true do "
    "    local ok, piece = pcall(reader) "
    "    if not ok then return nil, piece end "
    "    if piece == nil or piece == '' then return concat(pieces) end "
    "    if type(piece) ~= 'string' and type(piece) ~= 'number' then "
    "      return nil, 'reader function must return a string' "
    "    end "
    "    count = count + 1 "
    "    pieces[count] = piece "
    "  end "
    "end "
    "return function(f, handler, ...) return xpcall(f, guard(handler), ...) end, "
    "function(chunk, name, ...) "
    "  if type(chunk) ~= 'function' then return load(chunk, name, ...) end "
    "  local text, message = read_all(chunk) "
    "  if not text then return nil, message end "
    "  if name == nil then name = '=(load)' end "
    "  return load(text, name, ...) "
    "end";

/*
 * What a script could turn the hook off by, or run where it does not look: not in a finalizer, in
 * what LuaJIT tells of by a callback, nor in the handler of an error that the hook has raised.
 */
static void guard_hook(lua_State *L, struct halo_lua *lua)
{
    remove_field(L, "jit", "on");
    remove_field(L, "jit", "attach");
    forget(L, "preload", "jit.profile");
    forget(L, "loaded", "jit.profile");
    remove_field(L, "debug", "sethook");
    lua_pushnil(L);
    lua_setglobal(L, "newproxy");
    if (luaL_loadbuffer(L, wrapping, sizeof(wrapping) - 1, HALO_SOURCE_PREFIX "/guard") != 0)
        lua_error(L);
    lua_getglobal(L, "xpcall");
    lua_pushlightuserdata(L, lua);
    lua_pushcclosure(L, guard, 1);
    lua_getglobal(L, "load");
    lua_getglobal(L, "pcall");
    lua_getglobal(L, "type");
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "concat");
    lua_remove(L, -2);
    lua_call(L, 6, 2);
    lua_pushvalue(L, -1);
    lua_setglobal(L, "load");
    lua_setglobal(L, "loadstring"); /* LuaJIT's takes a reader, too */
    lua_setglobal(L, "xpcall");
}

static void apply(lua_State *L, struct halo_lua *lua, struct opening *opening)
{
    const struct halo_lua_options *options = opening->options;

    lua->options = *options;
    lua->options.engine = NULL; /* the host's text */
    lua->given = lua->config = (struct halo_config){.max_files = options->max_files,
                                                    .max_in_flight = options->max_in_flight,
                                                    .pool_threads = options->pool_threads,
                                                    .engine = opening->engine};
    lua->max_tasks = options->max_tasks;
    lua->max_bytes = options->max_bytes;
    if (options->on_print) {
        lua_pushlightuserdata(L, lua);
        lua_pushcclosure(L, print, 1);
        lua_setglobal(L, "print");
    }
    bool compiles = !options->no_jit && !options->stop_ms && !options->max_memory;
    if (!compiles || opening->makes_state)
        luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | (compiles ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
    if (options->max_memory)
        lua_gc(L, LUA_GCSETPAUSE, GC_PAUSE);
    if (options->stop_ms)
        guard_hook(L, lua);
    halo_watch_open(L, lua);
    if (options->warn_blocking_ms)
        opening->is_out = !halo_blocking_warn(lua, options->warn_blocking_ms);
    lua->is_given = true;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* False where memory is out. */
static bool open_libraries(lua_State *L, struct opening *opening)
{
    luaL_openlibs(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, LUA_FFILIBNAME);
    lua_call(L, 1, 0);
    opening->is_out = !halo_memory_opened(opening->memory);
    if (opening->memory) /* which may be out: compiled code does not survive that */
        luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    return !opening->is_out;
}

/* Runs under lua_cpcall(). */
static int open(lua_State *L)
{
    static const struct halo_lua_options defaults;
    struct opening *opening = lua_touserdata(L, 1);

    if (opening->makes_state && !open_libraries(L, opening))
        return 0;
    luaopen_halo(L);
    struct halo_lua *lua = halo_lua_get(L);
    /* Another one's options hold, or a script has begun to use halo. */
    opening->refused = opening->options && (lua->is_given || lua->loop);
    if (!opening->options)
        opening->options = &defaults;
    if (!lua->is_given && !opening->refused && !lua->loop)
        apply(L, lua, opening);
    if (!lua->state)
        lua->state = opening->state;
    if (opening->makes_state) {
        lua->memory = opening->memory;
        lua->is_made = true;
    }
    opening->halo = lua;
    return 0;
}

/* In a state of halo's own, which goes where that fails. */
static int open_new(struct opening *opening)
{
    lua_State *L = halo_memory_new_state(opening->options, &opening->memory);

    if (!L)
        return LUA_ERRMEM;
    opening->state = L;
    opening->makes_state = true;
    int status = lua_cpcall(L, open, opening);
    /* An error of a module that finds no memory is another one by then. */
    if (opening->is_out || (status != 0 && opening->memory && opening->memory->refused))
        status = LUA_ERRMEM;
    if (status != 0)
        halo_memory_close_state(L, opening->memory);
    return status;
}

int halo_lua_new(struct halo_lua **halo, lua_State *L, const struct halo_lua_options *options)
{
    struct opening opening = {.options = options, .state = L};
    int status;

    if (!halo)
        return HALO_LUA_INVALID;
    *halo = NULL;
    if (options && !are_valid(options, !L, &opening.engine))
        return HALO_LUA_INVALID;
    if (L) {
        status = lua_cpcall(L, open, &opening);
        if (status != 0)
            lua_pop(L, 1);
        else if (opening.is_out)
            status = LUA_ERRMEM;
    } else {
        status = open_new(&opening);
    }
    if (status != 0)
        return status == LUA_ERRMEM ? HALO_LUA_NO_MEMORY : HALO_LUA_FAILED;
    if (opening.refused)
        return HALO_LUA_INVALID;
    *halo = opening.halo;
    return 0;
}

lua_State *halo_lua_state(const struct halo_lua *halo)
{
    return halo ? halo->state : NULL;
}

/* ---- the end ------------------------------------------------------------------------------- */

int halo_lua_free(struct halo_lua *halo)
{
    int code = halo_lua_close(halo, -1);
    if (code < 0)
        return code;
    if (halo->is_made && halo->left == 0)
        halo_memory_close_state(halo->state, halo->memory);
    return 0;
}
