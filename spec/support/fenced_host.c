/*
 * A host with a fence: fenced_host RO RW REMOVED SCRIPT ARGUMENT... lets a script read below RO and
 * write below RW, or what stands behind a + of either as well, and takes the libraries REMOVED
 * away.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "halo_lua.h"

static int fail(lua_State *L, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, lua_tostring(L, -1));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    int status = EXIT_SUCCESS;

    if (!L || argc < 5)
        return EXIT_FAILURE;
    luaL_openlibs(L);
    halo_lua_open(L);
    if (halo_lua_allow(L, NULL, 0) != 0 || (*argv[1] && halo_lua_allow(L, argv[1], 1) != 0) ||
        (*argv[2] && halo_lua_allow(L, argv[2], 2) != 0))
        return fail(L, "allow");
    if (luaL_loadfilex(L, argv[4], "t") != 0)
        return fail(L, "load");
    if (halo_lua_remove_libraries(L, argv[3]) != 0)
        return fail(L, "remove");
    for (int i = 5; i < argc; i++)
        lua_pushstring(L, argv[i]);
    if (halo_lua_run(L, argc - 5, 0) != 0)
        status = fail(L, "run");
    halo_lua_close(L);
    lua_close(L);
    return status;
}
