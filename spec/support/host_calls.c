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

static struct halo_lua *halo;

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

/* Prints an outcome, with halo's message where that says more. */
static void say(const char *call, int outcome)
{
    bool more = outcome < 0 && outcome >= HALO_LUA_EXPIRED;
    printf("%s: %d%s%s (%d)\n", call, outcome, more ? " " : "", more ? halo_lua_message(halo) : "",
           lua_gettop(halo_lua_state(halo)));
}

static void step(void)
{
    say("step", halo_lua_step(halo, 0));
}

static void spawn(const char *code)
{
    int outcome = halo_lua_spawn_text(halo, code, strlen(code), "=script", NULL);
    if (outcome != 0)
        say("spawn", outcome);
}

static void results(lua_State *L)
{
    for (int wanted = -1; wanted <= 3; wanted += 4) {
        load(L, "local t = {} for i = 1, 7997 do t[i] = i end return unpack(t, 1, 7997)");
        int status = halo_lua_run(halo, L, 0, wanted);
        printf("run: %d %s\n", status, status ? lua_tostring(L, -1) : "");
        lua_settop(L, 0);
    }
    load(L, "return 1");
    int status = halo_lua_run(halo, L, 0, 3);
    printf("run: %d %d %d\n", status, lua_gettop(L), lua_isnil(L, -1));
    lua_settop(L, 0);
}

static void stuck(lua_State *L)
{
    spawn("local halo = require 'halo' channel = halo.channel() got = channel:recv()");
    step();
    step();
    spawn("channel:send 'value'");
    step();
    lua_getglobal(L, "got");
    printf("got %s\n", lua_tostring(L, -1));
    lua_settop(L, 0);
    step();
}

/* Nothing that only another task can bring on, and yet the host may end it. */
static void deadlock(lua_State *L)
{
    (void)L;
    spawn("local halo = require 'halo' local me = halo.current()"
          "halo.scope(function() me:join() end)");
    for (int i = 0; i < 3; i++)
        step();
    halo_lua_interrupt(halo);
    for (int i = 0; i < 4; i++)
        halo_lua_step(halo, 0);
    step();
}

/* Steps, is interrupted, steps, and so on, and says how many tasks are left. */
static void interrupt_twice(const char *script)
{
    spawn(script);
    for (int i = 0; i < 5; i++)
        halo_lua_step(halo, 0);
    halo_lua_interrupt(halo);
    for (int i = 0; i < 5; i++)
        halo_lua_step(halo, 0);
    step();
    halo_lua_interrupt(halo);
    for (int i = 0; i < 5; i++)
        halo_lua_step(halo, 0);
    step();
}

static void interrupt(lua_State *L)
{
    (void)L;
    interrupt_twice("local halo = require 'halo'"
                    "halo.scope(function(s)"
                    "  s:defer(function() halo.sleep(1000) end) halo.sleep(1000) end)");
}

/* The task that waits for the members of a scope must let them end. */
static void interrupt_members(lua_State *L)
{
    (void)L;
    interrupt_twice("local halo = require 'halo'"
                    "halo.scope(function(s)"
                    "  s:spawn(function() halo.shield(halo.sleep, 1000) end)"
                    "  halo.sleep(1000) end)");
}

static int until_interrupt; /* instructions */

static void interrupt_at(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    if (--until_interrupt == 0)
        halo_lua_interrupt(halo);
    if (until_interrupt <= 0)
        halo_lua_raise_interrupted(L);
}

/* What a script has logged: no scope ends before what is in it, and what was deferred is done. */
static int is_unwound(const char *log)
{
    const char *inner = strchr(log, 'i'), *outer = strchr(log, 'o'), *end = strchr(log, 'e');
    if ((strchr(log, 'I') && !inner) || (strchr(log, 'O') && !outer))
        return 0;
    if (inner && outer && inner > outer)
        return 0;
    return !end || !outer || outer < end;
}

/* An interruption at each instruction in turn of a script with scopes, halo's own included. */
static void interrupt_each(lua_State *L)
{
    int count = 0;
    spawn("jit.off()"); /* which knows no hooks */
    halo_lua_step(halo, -1);
    do {
        until_interrupt = ++count;
        spawn("log = '' local halo = require 'halo'"
              "local function add(what) log = log .. what end "
              "pcall(halo.scope, function(s)"
              "  s:defer(function() halo.yield() add 'o' end) add 'O' "
              "  s:spawn(halo.scope, function(t)"
              "    t:defer(function() halo.yield() add 'i' end) add 'I' halo.yield() end)"
              "  s:spawn(halo.shield, function() halo.yield() end)"
              "  halo.yield() end) "
              "add 'e'");
        lua_sethook(L, interrupt_at, LUA_MASKCOUNT, 1);
        while (halo_lua_step(halo, -1) > 0)
            continue;
        lua_sethook(L, NULL, 0, 0);
        lua_getglobal(L, "log");
        if (lua_isstring(L, -1) && !is_unwound(lua_tostring(L, -1)))
            printf("at %d: %s\n", count, lua_tostring(L, -1));
        lua_settop(L, 0);
    } while (until_interrupt <= 0);
    printf("interrupted: %s\n", count > 200 ? "often" : "hardly");
}

static int wake_step(lua_State *L)
{
    (void)L;
    halo_lua_wake(halo);
    return 0;
}

/* The wake comes while a call waits on the spot, and is for the step around that all the same. */
static void wake(lua_State *L)
{
    lua_register(L, "wake_step", wake_step);
    spawn("path = os.tmpname() os.remove(path) local fs = require 'halo.fs' "
          "assert(fs.mkfifo(path)) fifo = assert(fs.open(path, 'r+'))");
    while (halo_lua_step(halo, -1) > 0)
        continue;
    spawn("wake_step() io.popen('sleep 0.1; echo x >' .. path) "
          "local _ = ('x'):gsub('x', function() fifo:read(1) end) os.remove(path) "
          "require('halo').sleep(1000)");
    alarm(20);
    printf("step: %d\n", halo_lua_step(halo, -1));
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
                 {"interrupt_each", interrupt_each},
                 {"wake", wake}};
    lua_State *L = luaL_newstate();

    lua_atpanic(L, panic);
    luaL_openlibs(L);
    if (halo_lua_new(&halo, L, NULL) != 0)
        return 2;
    for (size_t i = 0; argc > 1 && i < sizeof(cases) / sizeof(cases[0]); i++)
        if (strcmp(cases[i].name, argv[1]) == 0)
            cases[i].run(L);
    halo_lua_close(halo, -1);
    lua_close(L);
    return 0;
}
