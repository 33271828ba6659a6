/*
 * untrusted: runs a script of somebody's who may mean no good, within limits.
 *
 *     untrusted script.lua
 *
 * It may hold the loop for 100 ms and run for 2 seconds, have 64 MiB, 100 tasks and 20 files. What
 * would reach around halo is taken away: io, os, ffi, debug, C modules, bytecode. The exit status
 * is 0, or 1 after a message.
 */
#include <lauxlib.h>
#include <stdio.h>

#include "halo_lua.h"

static const char *const taken[] = {"io",       "os",      "debug",   "jit",      "package",
                                    "require",  "module",  "load",    "dofile",   "loadstring",
                                    "loadfile", "getfenv", "setfenv", "newproxy", "collectgarbage"};

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

/*
 * The script has halo and fs, and of Lua what computes. Without its metatable halo loads nothing
 * else, such as halo.process; a buffer's pointer would be ffi. It runs under lua_cpcall().
 */
static int take_away(lua_State *L)
{
    static const char given[] = "halo = require 'halo' fs = halo.fs setmetatable(halo, nil) "
                                "require('halo.core').Buffer.ptr = nil";

    if (luaL_loadbuffer(L, given, sizeof(given) - 1, "=given") != 0)
        return lua_error(L);
    lua_call(L, 0, 0);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        lua_pushnil(L);
        lua_setglobal(L, taken[i]);
    }
    lua_getglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    return 0;
}

/* Returns 0, or 1 after a message. */
static int run(struct halo_lua *halo, const char *path)
{
    lua_State *L = halo_lua_state(halo);

    if (lua_cpcall(L, take_away, NULL) == 0 && luaL_loadfilex(L, path, "t") == 0 &&
        halo_lua_run(halo, L, 0, 0) == 0)
        return 0;
    fprintf(stderr, "untrusted: %s\n", lua_tostring(L, -1) ? lua_tostring(L, -1) : "an error");
    return 1;
}

int main(int argc, char **argv)
{
    struct halo_lua *halo;
    int code = argc == 2 ? halo_lua_new(&halo, NULL, &limits) : HALO_LUA_INVALID;

    if (code != 0) {
        fprintf(stderr, argc == 2 ? "untrusted: %s\n" : "usage: untrusted script.lua\n",
                halo_lua_describe(code));
        return 2;
    }
    int failed = run(halo, argv[1]);
    halo_lua_close(halo, 1000);
    halo_lua_free(halo);
    return failed;
}
