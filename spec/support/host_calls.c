/*
 * Calls of halo_lua.h that examples/host.c has no use for: `host_calls CASE` prints what they
 * return. The specs compare that with what the header says.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "halo_lua.h"

static int panic(lua_State *L)
{
    printf("panic: %s\n", lua_tostring(L, -1));
    fflush(stdout);
    _exit(3);
}

static void load(lua_State *L, const char *code)
{
    if (luaL_loadbuffer(L, code, strlen(code), "=script") != 0)
        panic(L);
}

/* Prints an outcome, with the value on top of the stack where that is an error, and drops it. */
static void say(lua_State *L, const char *call, int outcome, int is_error)
{
    printf("%s: %d", call, outcome);
    if (is_error) {
        printf(" %s", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    printf(" (%d)\n", lua_gettop(L));
}

static void step(lua_State *L)
{
    int alive = halo_lua_step(L, 0);
    say(L, "step", alive, alive < 0);
}

static void results(lua_State *L)
{
    for (int wanted = -1; wanted <= 3; wanted += 4) {
        load(L, "local t = {} for i = 1, 7997 do t[i] = i end return unpack(t, 1, 7997)");
        int status = halo_lua_run(L, 0, wanted);
        say(L, "run", status, status != 0);
        lua_settop(L, 0);
    }
    load(L, "return 1");
    int status = halo_lua_run(L, 0, 3);
    printf("run: %d %d %d\n", status, lua_gettop(L), lua_isnil(L, -1));
    lua_settop(L, 0);
}

static void stuck(lua_State *L)
{
    load(L, "local halo = require 'halo' channel = halo.channel() got = channel:recv()");
    say(L, "spawn", halo_lua_spawn(L, 0), 0);
    lua_settop(L, 0);
    step(L);
    step(L);
    load(L, "channel:send 'value'");
    halo_lua_spawn(L, 0);
    lua_settop(L, 0);
    step(L);
    lua_getglobal(L, "got");
    printf("got %s\n", lua_tostring(L, -1));
    lua_settop(L, 0);
    step(L);
}

static void deadlock(lua_State *L)
{
    load(L, "local halo = require 'halo' local me = halo.current()"
            "halo.scope(function() me:join() end)");
    halo_lua_spawn(L, 0);
    lua_settop(L, 0);
    for (int i = 0; i < 4; i++)
        step(L);
    step(L);
}

/* Steps, is interrupted, steps, and so on, and says how many tasks are left. */
static void interrupt_twice(lua_State *L, const char *script)
{
    load(L, script);
    halo_lua_spawn(L, 0);
    lua_settop(L, 0);
    for (int i = 0; i < 5; i++)
        halo_lua_step(L, 0);
    halo_lua_interrupt(halo_lua_handle(L));
    for (int i = 0; i < 5; i++)
        halo_lua_step(L, 0);
    step(L);
    halo_lua_interrupt(halo_lua_handle(L));
    for (int i = 0; i < 5; i++)
        halo_lua_step(L, 0);
    step(L);
}

static void interrupt(lua_State *L)
{
    interrupt_twice(L, "local halo = require 'halo'"
                       "halo.scope(function(s)"
                       "  s:defer(function() halo.sleep(1000) end) halo.sleep(1000) end)");
}

/* The task that waits for the members of a scope must let them end. */
static void interrupt_members(lua_State *L)
{
    interrupt_twice(L, "local halo = require 'halo'"
                       "halo.scope(function(s)"
                       "  s:spawn(function() halo.shield(halo.sleep, 1000) end)"
                       "  halo.sleep(1000) end)");
}

static void closed(lua_State *L)
{
    halo_lua_close(L);
    load(L, "return 1");
    int status = halo_lua_run(L, 0, 0);
    say(L, "run", status, 1);
    step(L);
    say(L, "configure", halo_lua_configure(L, &(struct halo_lua_options){.engine = "none"}), 1);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(lua_State *);
    } cases[] = {{"results", results},
                 {"stuck", stuck},
                 {"deadlock", deadlock},
                 {"interrupt", interrupt},
                 {"interrupt_members", interrupt_members},
                 {"closed", closed}};
    lua_State *L = luaL_newstate();

    lua_atpanic(L, panic);
    luaL_openlibs(L);
    halo_lua_open(L);
    lua_settop(L, 0);
    for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++)
        if (strcmp(cases[i].name, argv[1]) == 0)
            cases[i].run(L);
    halo_lua_close(L);
    lua_close(L);
    return 0;
}
