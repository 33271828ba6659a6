/*
 * What a host may do where halo calls it: in push, in a finalizer, at any moment of an
 * interruption. `host_push CASE` prints "as expected" or what was not so.
 */
#include <lauxlib.h>
#include <time.h>

#include "expect.h"
#include "halo_lua.h"

#define PATIENCE_S 20

static struct halo_lua *halo;
static lua_State *L;
static struct halo_lua_task *task;
static halo_lua_push push;
static bool at_once, is_over;
static unsigned calls;

/* ---- a script's calls ---------------------------------------------------------------------- */

static halo_lua_token token;

static int ask(lua_State *of)
{
    token = halo_lua_token_new(of, NULL, NULL);
    if (at_once)
        halo_lua_complete(token, push, NULL);
    return halo_lua_await(of, token);
}

/* What the code returns, as text; whether push runs in the task's own call, or in the loop. */
static const char *result_of(const char *code, halo_lua_push by, bool in_call)
{
    push = by;
    at_once = in_call;
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, code, strlen(code), "=script", &task));
    EXPECT(halo_lua_step(halo, 0) >= 0);
    if (!in_call)
        EXPECT(halo_lua_complete(token, push, NULL));
    while (halo_lua_step(halo, -1) > 0)
        continue;
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    return lua_tostring(L, -1);
}

static void begin(void)
{
    EXPECT_EQUAL(0, halo_lua_new(&halo, NULL, NULL));
    L = halo_lua_state(halo);
    EXPECT_EQUAL(0, halo_lua_register(halo, "ask", ask));
}

static void expect_result(const char *expected, const char *code, halo_lua_push by)
{
    for (int in_call = 0; in_call < 2; in_call++) {
        begin();
        const char *result = result_of(code, by, in_call);
        if (strcmp(result, expected) != 0)
            puts(result);
        EXPECT(strcmp(result, expected) == 0);
        EXPECT_EQUAL(0, halo_lua_free(halo));
    }
}

/* ---- push ---------------------------------------------------------------------------------- */

static int push_and_spawn(lua_State *of, void *data)
{
    (void)data;
    lua_getglobal(of, "note");
    lua_pushliteral(of, "spawned");
    EXPECT_EQUAL(0, halo_lua_spawn(halo, of, 1, NULL));
    EXPECT_EQUAL(0, lua_gettop(of));
    lua_pushliteral(of, "value");
    return 1;
}

static void spawns(void)
{
    expect_result("value spawned",
                  "function note(text) noted = text end local value = ask() "
                  "require('halo').sleep(0.01) return value .. ' ' .. tostring(noted)",
                  push_and_spawn);
}

static int push_and_cancel(lua_State *of, void *data)
{
    (void)data;
    EXPECT_EQUAL(1, halo_lua_task_cancel(task));
    lua_pushliteral(of, "value");
    return 1;
}

/* What has come is the task's; it hears of the cancellation in the call after that. */
static void cancels(void)
{
    expect_result("value cancelled",
                  "local value = ask() local ok, err = pcall(require('halo').sleep, 1000) "
                  "return value .. (ok and ' slept' or ' ' .. tostring(err))",
                  push_and_cancel);
}

static int push_and_yield(lua_State *of, void *data)
{
    (void)data;
    return lua_yield(of, 0);
}

static int push_and_await(lua_State *of, void *data)
{
    (void)data;
    return halo_lua_await(of, halo_lua_token_new(of, NULL, NULL));
}

/* In the frame of its own that a lua_CFunction has. */
static int push_alone(lua_State *of, void *data)
{
    (void)data;
    EXPECT_EQUAL(0, lua_gettop(of));
    lua_settop(of, 0);
    lua_pushliteral(of, "value");
    return 1;
}

static void yields(void)
{
    const char *code = "return select(2, pcall(ask, 1, 2, 3))";
    expect_result("value", code, push_alone);
    expect_result("script:1: attempt to yield across C-call boundary", code, push_and_yield);
    expect_result("script:1: a host function that waits is made by halo_lua_register() or "
                  "halo_lua_push_function()",
                  code, push_and_await);
}

/* ---- finalizers ---------------------------------------------------------------------------- */

static int spawn_at_end(lua_State *of)
{
    if (is_over) /* the state goes, and what is left in it */
        return 0;
    lua_getglobal(of, "note");
    EXPECT_EQUAL(0, halo_lua_spawn(halo, of, 0, NULL));
    lua_getglobal(of, "note");
    EXPECT_EQUAL(HALO_LUA_BUSY, halo_lua_run(halo, of, 0, 0));
    lua_settop(of, 0);
    calls++;
    return 0;
}

/* A collection comes when it will, also within a spawn of the host's. */
static void finalizers(void)
{
    static const char code[] =
        "local halo, spawn = require('halo'), ... ran = 0 "
        "function note() ran = ran + 1 end "
        "function litter() getmetatable(newproxy(true)).__gc = spawn end "
        "for i = 1, 200 do litter() halo.sleep(0) local text = ('x'):rep(1000 + i) end";
    static const char littering[] = "litter() local text = {}";

    begin();
    EXPECT_EQUAL(0, luaL_loadstring(L, code));
    lua_pushcfunction(L, spawn_at_end);
    EXPECT_EQUAL(0, halo_lua_spawn(halo, L, 1, NULL));
    lua_gc(L, LUA_GCSETPAUSE, 10);
    lua_gc(L, LUA_GCSETSTEPMUL, 5000);
    while (halo_lua_step(halo, -1) > 0)
        continue;
    EXPECT(calls > 0);
    for (unsigned i = 0, before = calls; i < 10000 && calls < before + 20; i++) {
        EXPECT_EQUAL(0,
                     halo_lua_spawn_text(halo, littering, sizeof(littering) - 1, "=script", NULL));
        EXPECT(halo_lua_step(halo, 0) >= 0);
    }
    while (halo_lua_step(halo, -1) > 0)
        continue;
    lua_getglobal(L, "ran");
    EXPECT_EQUAL(calls, lua_tointeger(L, -1));
    EXPECT_EQUAL(0, halo_lua_failures(halo));
    is_over = true;
    EXPECT_EQUAL(0, halo_lua_free(halo));
}

/* ---- an interruption ----------------------------------------------------------------------- */

struct halo_loop;
struct halo_config;
int __real_halo_loop_create(struct halo_loop **loop, const struct halo_config *config);
int __wrap_halo_loop_create(struct halo_loop **loop, const struct halo_config *config);

static bool interrupts;

/* As a signal's handler or another thread would, while the first operation makes the loop. */
int __wrap_halo_loop_create(struct halo_loop **loop, const struct halo_config *config)
{
    if (interrupts)
        halo_lua_interrupt(halo);
    return __real_halo_loop_create(loop, config);
}

static void interruption(void)
{
    static const char code[] = "return tostring(select(2, pcall(require('halo').sleep, 1000)))";

    interrupts = true;
    begin();
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, code, sizeof(code) - 1, "=script", &task));
    time_t began_s = time(NULL);
    while (halo_lua_step(halo, 2 * PATIENCE_S * 1000) > 0)
        continue;
    EXPECT(time(NULL) - began_s < PATIENCE_S);
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    EXPECT(strcmp(lua_tostring(L, -1), "interrupted") == 0);
    halo_lua_task_release(task);
    EXPECT_EQUAL(0, halo_lua_free(halo));
}

int main(int argc, char **argv)
{
    static const struct expect_case cases[] = {
        {"spawns", spawns},         {"cancels", cancels},           {"yields", yields},
        {"finalizers", finalizers}, {"interruption", interruption}, {0},
    };
    return expect_run(cases, argc, argv);
}
