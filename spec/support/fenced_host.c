/*
 * A host with a fence: fenced_host RO RW REMOVED SCRIPT ARGUMENT... lets a script read below RO and
 * write below RW, and takes the libraries REMOVED away; with "+x" behind these it may start
 * programs.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "halo_lua.h"

static bool allow(struct halo_lua *halo, const char *path, unsigned right)
{
    return !*path || halo_lua_allow(halo, path, right) == 0;
}

/* Returns what is wrong, or NULL. */
static const char *run(struct halo_lua *halo, lua_State *L, int argc, char **argv)
{
    char *more = strchr(argv[3], '+');
    unsigned others = more ? HALO_LUA_MAY_EXECUTE : 0;

    if (more)
        *more = '\0';
    if (halo_lua_allow(halo, NULL, others) != 0 || !allow(halo, argv[1], HALO_LUA_MAY_READ) ||
        !allow(halo, argv[2], HALO_LUA_MAY_WRITE))
        return halo_lua_message(halo);
    if (luaL_loadfilex(L, argv[4], "t") != 0)
        return lua_tostring(L, -1);
    if (halo_lua_remove_libraries(halo, argv[3]) != 0)
        return halo_lua_message(halo);
    for (int i = 5; i < argc; i++)
        lua_pushstring(L, argv[i]);
    return halo_lua_run(halo, L, argc - 5, 0) == 0 ? NULL : lua_tostring(L, -1);
}

int main(int argc, char **argv)
{
    struct halo_lua *halo;

    if (argc < 5 || halo_lua_new(&halo, NULL, NULL) != 0)
        return EXIT_FAILURE;
    const char *problem = run(halo, halo_lua_state(halo), argc, argv);
    if (problem)
        fprintf(stderr, "%s\n", problem);
    halo_lua_free(halo);
    return problem ? EXIT_FAILURE : EXIT_SUCCESS;
}
