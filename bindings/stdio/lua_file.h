/*
 * lua_file.h: the userdata of Lua's own files, and what may be done with one now.
 */
#ifndef HALO_STDIO_LUA_FILE_H
#define HALO_STDIO_LUA_FILE_H

#include <stdio.h>

#include "fs/file.h"

/*
 * What a function of halo.core.stdio does not do, it leaves to LuaJIT's own: it returns nothing
 * then, and nothing has happened. Wrong arguments are among that, so that the words about them are
 * LuaJIT's.
 */
#define LEFT_TO_LUAJIT 0

/* The payload of LuaJIT's userdata. */
struct luajit_file {
    FILE *stream; /* NULL once it is closed */
    uint32_t type;
};

/* The file at index, or NULL; its FILE where it is open, and where it can be read, or written. */
struct luajit_file *halo_stdio_file(lua_State *L, const struct halo_lua *lua, int index);
FILE *halo_stdio_stream(lua_State *L, const struct halo_lua *lua, int index);
FILE *halo_stdio_readable(lua_State *L, const struct halo_lua *lua, int index);
FILE *halo_stdio_writable(lua_State *L, const struct halo_lua *lua, int index);

/* False in a child of fork(), and after halo's end: there is no loop then. */
bool halo_stdio_is_usable(const struct halo_lua *lua);
/* Whether nothing else could run while somebody waits on the spot. */
bool halo_stdio_is_alone(const struct halo_lua *lua);
/* The same, while LuaJIT's own reads or writes a file of this machine, which is no long wait. */
bool halo_stdio_is_alone_with(const struct halo_lua *lua, const struct halo_lua_file *file);

#endif
