/*
 * untrusted: runs a script of somebody's who may mean no good, within limits.
 *
 *     untrusted root script.lua
 *
 * It may hold the loop for 100 ms and run for 2 seconds, have 64 MiB, 100 tasks and 20 files. It
 * reads below root, and reaches nothing else; what would reach around halo is taken away. The exit
 * status is 0, or 1 after a message.
 */
#include <lauxlib.h>
#include <stdio.h>

#include "halo_lua.h"

static const struct halo_lua_options limits = {
    .max_files = 20,
    .max_in_flight = 64,
    .pool_threads = 4,
    .max_tasks = 100,
    .max_bytes = 8 << 20,
    .max_memory = 64 << 20,
    .stop_ms = 100,
    .max_time_ms = 2000,
};

/* Returns 0, or 1 after a message. */
static int complain(const char *text)
{
    fprintf(stderr, "untrusted: %s\n", text ? text : "an error");
    return 1;
}

/* First the fence, then the script: it is read by the C library, which no fence of halo's holds. */
static int run(struct halo_lua *halo, const char *root, const char *path)
{
    lua_State *L = halo_lua_state(halo);

    if (halo_lua_allow(halo, root, HALO_LUA_MAY_READ) != 0 ||
        halo_lua_remove_libraries(halo, "all") != 0)
        return complain(halo_lua_message(halo));
    if (luaL_loadfilex(L, path, "t") != 0)
        return complain(lua_tostring(L, -1));
    int code = halo_lua_run(halo, L, 0, 0);
    if (code == 0)
        return 0;
    return complain(lua_gettop(L) > 0 ? lua_tostring(L, -1) : halo_lua_describe(code));
}

int main(int argc, char **argv)
{
    struct halo_lua *halo;

    if (argc != 3) {
        fprintf(stderr, "usage: untrusted root script.lua\n");
        return 2;
    }
    int code = halo_lua_new(&halo, NULL, &limits);
    if (code != 0) {
        complain(halo_lua_describe(code));
        return 2;
    }
    int failed = run(halo, argv[1], argv[2]);
    halo_lua_close(halo, 1000);
    halo_lua_free(halo);
    return failed;
}
