/*
 * For the build: compiles a file of lua/ to LuaJIT's bytecode, so that a start of halo need not.
 *
 *     compile MODULE FILE OUTPUT
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>

#include "args.h"

static int write_piece(lua_State *L, const void *data, size_t size, void *output)
{
    (void)L;
    return fwrite(data, 1, size, output) == size ? 0 : 1;
}

/* The name of the chunk is the one by which tracebacks know that it is not the user's. */
static int load_file(lua_State *L, const char *module, const char *path)
{
    FILE *file = fopen(path, "rb");
    luaL_Buffer text;
    size_t size;

    if (!file)
        return luaL_error(L, "cannot open %s", path);
    luaL_buffinit(L, &text);
    do {
        size = fread(luaL_prepbuffer(&text), 1, LUAL_BUFFERSIZE, file);
        luaL_addsize(&text, size);
    } while (size > 0);
    fclose(file);
    luaL_pushresult(&text);
    const char *code = lua_tolstring(L, -1, &size);
    lua_pushfstring(L, HALO_SOURCE_PREFIX "/%s", module);
    return luaL_loadbuffer(L, code, size, lua_tostring(L, -1)) != 0 ? lua_error(L) : 0;
}

static int compile(lua_State *L)
{
    char **argv = lua_touserdata(L, 1);

    load_file(L, argv[1], argv[2]);
    FILE *output = fopen(argv[3], "wb");
    if (!output || lua_dump(L, write_piece, output) != 0 || fclose(output) != 0)
        return luaL_error(L, "cannot write %s", argv[3]);
    return 0;
}

int main(int argc, char **argv)
{
    lua_State *L = argc == 4 ? luaL_newstate() : NULL;

    if (!L || lua_cpcall(L, compile, argv) != 0) {
        fprintf(stderr, "compile: %s\n", L ? lua_tostring(L, -1) : "MODULE FILE OUTPUT");
        return EXIT_FAILURE;
    }
    lua_close(L);
    return EXIT_SUCCESS;
}
