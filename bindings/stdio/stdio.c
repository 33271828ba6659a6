#include "stdio/stdio.h"

#include <string.h>

#include "stdio/lua_file.h"
#include "stdio/stream.h"

/* ---- names and numbers of errors ----------------------------------------------------------- */

/* error_of(code): the text and the number of "ENOENT". */
static int stdio_error_of(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    int error = 1;

    while (error < 200 && strcmp(halo_error_name(error), name) != 0)
        error++;
    lua_pushstring(L, strerror(error));
    lua_pushinteger(L, error);
    return 2;
}

/* error_text(number) */
static int stdio_error_text(lua_State *L)
{
    lua_pushstring(L, strerror((int)luaL_checkinteger(L, 1)));
    return 1;
}

/*
 * install(io.stdout, room): true where LuaJIT's files are understood. From then on what C's stdout
 * has pending goes out by operations as well; room is the table that is told when the turn ends.
 */
static int stdio_install(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct luajit_file *file = lua_touserdata(L, 1);

    if (!halo_stream_is_known() || !file || lua_objlen(L, 1) != sizeof(*file) ||
        file->stream != stdout || !lua_getmetatable(L, 1))
        return LEFT_TO_LUAJIT;
    lua->stdio_meta = lua_topointer(L, -1);
    lua->has_stdio = true;
    lua_settop(L, 2);
    lua->stdout_room = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushboolean(L, 1);
    return 1;
}

/*
 * is_file(value): whether it is one of LuaJIT's; whether it is open; and its descriptor, or -1
 * where halo can do nothing with it, as in a child of fork().
 */
static int stdio_is_file(lua_State *L)
{
    const struct halo_lua *lua = halo_lua_self(L);
    const struct luajit_file *file = halo_stdio_file(L, lua, 1);
    bool is_open = file && file->stream;

    lua_pushboolean(L, file != NULL);
    lua_pushboolean(L, is_open);
    lua_pushinteger(L, is_open && halo_stdio_is_usable(lua) ? fileno(file->stream) : -1);
    return 3;
}

static const luaL_Reg functions[] = {
    {"error_of", stdio_error_of},
    {"error_text", stdio_error_text},
    {"install", stdio_install},
    {"is_file", stdio_is_file},
    {NULL, NULL},
};

void halo_open_stdio(lua_State *L)
{
    lua_newtable(L);
    halo_register(L, functions);
    halo_open_stdio_reading(L);
    halo_open_stdio_writing(L);
    halo_open_stdio_opening(L);
    lua_setfield(L, -2, "stdio");
}
