/*
 * A host with a fence: fenced_host RO RW REMOVED SCRIPT ARGUMENT... lets a script read below RO and
 * write below RW, or what stands behind a + of either as well, and takes the libraries REMOVED
 * away.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "halo_lua.h"

static int fail(const struct halo_lua *halo, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, halo_lua_message(halo));
    return EXIT_FAILURE;
}

static bool allow(struct halo_lua *halo, const char *path, unsigned right)
{
    return !*path || halo_lua_allow(halo, path, right) == 0;
}

int main(int argc, char **argv)
{
    struct halo_lua *halo;
    int status = EXIT_SUCCESS;

    if (argc < 5 || halo_lua_new(&halo, NULL, NULL) != 0)
        return EXIT_FAILURE;
    lua_State *L = halo_lua_state(halo);
    if (halo_lua_allow(halo, NULL, 0) != 0 || !allow(halo, argv[1], HALO_LUA_MAY_READ) ||
        !allow(halo, argv[2], HALO_LUA_MAY_WRITE))
        return fail(halo, "allow");
    if (luaL_loadfilex(L, argv[4], "t") != 0)
        return EXIT_FAILURE;
    if (halo_lua_remove_libraries(halo, argv[3]) != 0)
        return fail(halo, "remove");
    for (int i = 5; i < argc; i++)
        lua_pushstring(L, argv[i]);
    if (halo_lua_run(halo, L, argc - 5, 0) != 0) {
        fprintf(stderr, "run: %s\n", lua_tostring(L, -1));
        status = EXIT_FAILURE;
    }
    halo_lua_free(halo);
    return status;
}
