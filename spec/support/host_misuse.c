/*
 * What halo_lua.h says of calls that are wrong: `host_misuse CASE` tries them, and prints
 * "as expected" or what was not so.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>

#include "expect.h"
#include "halo_lua.h"

#define ALLOCATIONS_MAX 100000
#define RUNTIMES        50

static struct halo_lua *halo;
static lua_State *L;
static struct halo_lua_task *task;

static void begin(void)
{
    EXPECT_EQUAL(0, halo_lua_new(&halo, NULL, NULL));
    L = halo_lua_state(halo);
}

static int spawn(const char *code)
{
    return halo_lua_spawn_text(halo, code, strlen(code), "=script", &task);
}

static void count(struct halo_lua_task *of, void *user)
{
    (void)of;
    ++*(int *)user;
}

static int nothing(lua_State *of)
{
    (void)of;
    return 0;
}

/* Each function that takes a runtime or a task answers with this code, and does nothing. */
static void expect_refused(int code)
{
    struct halo_lua_task *made = task;

    lua_pushcfunction(L, nothing);
    EXPECT_EQUAL(code, halo_lua_spawn(halo, L, 0, &made));
    EXPECT(!made);
    EXPECT_EQUAL(code, halo_lua_spawn_text(halo, "", 0, NULL, NULL));
    EXPECT_EQUAL(code, halo_lua_run(halo, L, 0, 0));
    EXPECT_EQUAL(code, halo_lua_step(halo, 0));
    EXPECT_EQUAL(code, halo_lua_fd(halo));
    EXPECT_EQUAL(code, halo_lua_register(halo, "name", nothing));
    EXPECT_EQUAL(-1, halo_lua_timeout_ms(halo));
    EXPECT_EQUAL(1, lua_gettop(L));
    lua_settop(L, 0);
}

/* ---- NULL and the like --------------------------------------------------------------------- */

static void null(void)
{
    begin();
    EXPECT_EQUAL(0, spawn("return 1"));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_new(NULL, NULL, NULL));
    EXPECT(!halo_lua_of(NULL) && !halo_lua_state(NULL));
    EXPECT(halo_lua_describe(0) && halo_lua_describe(-1000) && halo_lua_message(NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_spawn(NULL, L, 0, NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_spawn(halo, NULL, 0, NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_spawn(halo, L, 0, NULL)); /* nothing is on the stack */
    lua_pushinteger(L, 1);
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_spawn(halo, L, 0, NULL)); /* no function is */
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_spawn(halo, L, -1, NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_run(halo, L, 0, 0));
    EXPECT_EQUAL(1, lua_gettop(L));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_spawn_text(halo, NULL, 0, NULL, NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_spawn_text(NULL, "", 0, NULL, NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_run(NULL, NULL, 0, 0));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_step(NULL, 0));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_fd(NULL));
    EXPECT_EQUAL(-1, halo_lua_timeout_ms(NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_register(NULL, "name", nothing));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_register(halo, NULL, nothing));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_register(halo, "name", NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_close(NULL, 0));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_free(NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_task_status(NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_task_cancel(NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_task_results(NULL, L));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_task_results(task, NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_task_at_end(NULL, count, NULL));
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_task_release(NULL));
    halo_lua_interrupt(NULL);
    EXPECT_EQUAL(0, halo_lua_failures(NULL));
    halo_lua_wake(NULL);
    halo_lua_end_unread(NULL, NULL);
    halo_lua_task_release(task);
    halo_lua_free(halo);
}

static void options(void)
{
    const struct halo_lua_options wrong[] = {
        {.engine = "none"},         {.max_files = 1u << 21}, {.max_in_flight = 1u << 20},
        {.pool_threads = 1u << 20}, {.max_bytes = 1},
    };
    struct halo_lua *other;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_new(&halo, NULL, &wrong[i]));
        EXPECT(!halo);
    }
    /* In a state of the host's its memory is the host's business; and it has one runtime. */
    L = luaL_newstate();
    luaL_openlibs(L);
    EXPECT_EQUAL(HALO_LUA_INVALID,
                 halo_lua_new(&halo, L, &(struct halo_lua_options){.max_memory = 1u << 30}));
    EXPECT(!halo_lua_of(L));
    EXPECT_EQUAL(0, halo_lua_new(&halo, L, &(struct halo_lua_options){.max_tasks = 5}));
    EXPECT_EQUAL(0, halo_lua_new(&other, L, NULL));
    EXPECT(other == halo && halo_lua_state(halo) == L);
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_new(&other, L, &(struct halo_lua_options){0}));
    EXPECT_EQUAL(0, lua_gettop(L));
    /* A state of another runtime is none of this one's. */
    EXPECT_EQUAL(0, halo_lua_new(&other, NULL, NULL));
    lua_pushcfunction(halo_lua_state(other), nothing);
    EXPECT_EQUAL(HALO_LUA_INVALID, halo_lua_spawn(halo, halo_lua_state(other), 0, NULL));
    EXPECT_EQUAL(0, halo_lua_free(other));
    EXPECT_EQUAL(0, halo_lua_free(halo));
    lua_close(L);
}

/* ---- after the close, from another thread, from inside ------------------------------------- */

static void after_close(void)
{
    int ended = 0;

    begin();
    EXPECT_EQUAL(0, spawn("require('halo').sleep(1000)"));
    EXPECT_EQUAL(0, halo_lua_task_at_end(task, count, &ended));
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    EXPECT_EQUAL(0, halo_lua_close(halo, 0));
    expect_refused(HALO_LUA_CLOSED);
    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_task_cancel(task));
    halo_lua_interrupt(halo);
    halo_lua_wake(halo);
    EXPECT(luaL_dostring(L, "return require('halo').sleep(1)") != 0 || lua_gettop(L) >= 0);
    EXPECT(luaL_dostring(L, "return require('halo').fs.open('/')") != 0);
    EXPECT(strstr(lua_tostring(L, -1), "halo has been closed"));
    EXPECT(luaL_dostring(L, "require('halo').run(print)") != 0);
    EXPECT(strstr(lua_tostring(L, -1), "halo has been closed"));
    lua_settop(L, 0);
    EXPECT_EQUAL(0, halo_lua_free(halo));
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    EXPECT_EQUAL(0, ended);
}

static void *call_all(void *unused)
{
    (void)unused;
    expect_refused(HALO_LUA_WRONG_THREAD);
    EXPECT_EQUAL(HALO_LUA_WRONG_THREAD, halo_lua_close(halo, 0));
    EXPECT_EQUAL(HALO_LUA_WRONG_THREAD, halo_lua_free(halo));
    EXPECT_EQUAL(HALO_LUA_WRONG_THREAD, halo_lua_task_status(task));
    EXPECT_EQUAL(HALO_LUA_WRONG_THREAD, halo_lua_task_cancel(task));
    EXPECT_EQUAL(HALO_LUA_WRONG_THREAD, halo_lua_task_results(task, L));
    EXPECT_EQUAL(HALO_LUA_WRONG_THREAD, halo_lua_task_at_end(task, NULL, NULL));
    EXPECT_EQUAL(HALO_LUA_WRONG_THREAD, halo_lua_task_release(task));
    halo_lua_wake(halo);
    halo_lua_interrupt(halo);
    return NULL;
}

static void wrong_thread(void)
{
    pthread_t thread;

    begin();
    EXPECT_EQUAL(0, spawn("return 'still'"));
    EXPECT_EQUAL(0, pthread_create(&thread, NULL, call_all, NULL));
    pthread_join(thread, NULL);
    EXPECT_EQUAL(0, halo_lua_step(halo, -1));
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    halo_lua_task_release(task);
    halo_lua_free(halo);
}

static int meddle(lua_State *of)
{
    struct halo_lua_task *made;

    EXPECT(halo_lua_of(of) == halo);
    EXPECT_EQUAL(HALO_LUA_BUSY, halo_lua_step(halo, 0));
    lua_pushcfunction(of, nothing);
    EXPECT_EQUAL(HALO_LUA_BUSY, halo_lua_run(halo, of, 0, 0));
    EXPECT_EQUAL(HALO_LUA_BUSY, halo_lua_close(halo, 0));
    EXPECT_EQUAL(HALO_LUA_BUSY, halo_lua_free(halo));
    EXPECT_EQUAL(0, halo_lua_spawn(halo, of, 0, &made));
    EXPECT_EQUAL(0, halo_lua_task_release(made));
    EXPECT_EQUAL(HALO_LUA_TASK_ACTIVE, halo_lua_task_status(task));
    EXPECT_EQUAL(HALO_LUA_RUNNING, halo_lua_task_results(task, of));
    EXPECT_EQUAL(0, halo_lua_register(halo, "later", nothing));
    EXPECT(halo_lua_fd(halo) > 2);
    lua_pushinteger(of, 5);
    return 1;
}

static int meddle_at_end(lua_State *of)
{
    (void)of;
    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_step(halo, 0));
    return 0;
}

static void reentrant(void)
{
    begin();
    lua_register(L, "meddle", meddle);
    EXPECT_EQUAL(0, halo_lua_register(halo, "wrapped", meddle));
    EXPECT_EQUAL(0, spawn("assert(meddle() == 5) assert(wrapped() == 5) later()"
                          "assert(coroutine.wrap(meddle)() == 5)"
                          "assert(coroutine.wrap(function() return wrapped() end)() == 5);"
                          "local _ = ('x'):gsub('x', function() meddle() end) return 1"));
    while (halo_lua_step(halo, -1) > 0)
        continue;
    int results = halo_lua_task_results(task, L);
    if (results != 1)
        puts(lua_tostring(L, -1));
    EXPECT_EQUAL(1, results);
    halo_lua_task_release(task);
    /* A finalizer, at the state's own end. */
    lua_newuserdata(L, 1);
    lua_newtable(L);
    lua_pushcfunction(L, meddle_at_end);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setglobal(L, "kept");
    EXPECT_EQUAL(0, halo_lua_free(halo));
}

/* ---- tokens -------------------------------------------------------------------------------- */

static halo_lua_token token;
static int pushed, dropped, told;

static int push(lua_State *of, void *data)
{
    (void)data;
    if (!of)
        return dropped++, 0;
    pushed++;
    lua_pushliteral(of, "value");
    return 1;
}

static void on_cancelled(halo_lua_token of, void *user)
{
    EXPECT(of.id == token.id && user == &told);
    told++;
}

static int ask(lua_State *of)
{
    token = halo_lua_token_new(of, on_cancelled, &told);
    return halo_lua_await(of, token);
}

static int ask_twice(lua_State *of)
{
    return halo_lua_await(of, token);
}

static void tokens(void)
{
    EXPECT(!halo_lua_complete((halo_lua_token){0}, push, NULL));
    begin();
    halo_lua_register(halo, "ask", ask);
    halo_lua_register(halo, "ask_twice", ask_twice);
    /* Twice: before it is delivered, and after. */
    EXPECT_EQUAL(0, spawn("return ask()"));
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    EXPECT(halo_lua_complete(token, push, NULL) && !halo_lua_complete(token, push, NULL));
    while (halo_lua_step(halo, -1) > 0)
        continue;
    EXPECT(!halo_lua_complete(token, push, NULL));
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    halo_lua_task_release(task);
    /* After its task's end. */
    EXPECT_EQUAL(0, spawn("ask()"));
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    EXPECT_EQUAL(1, halo_lua_task_cancel(task));
    EXPECT_EQUAL(0, halo_lua_step(halo, 0));
    EXPECT(told == 1 && halo_lua_complete(token, push, NULL));
    EXPECT(!halo_lua_complete(token, push, NULL));
    halo_lua_step(halo, 0);
    halo_lua_task_release(task);
    /* Awaited twice, or used up. */
    EXPECT_EQUAL(0, spawn("return tostring(select(2, pcall(ask_twice)))"));
    EXPECT_EQUAL(0, halo_lua_step(halo, 0));
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    EXPECT(strstr(lua_tostring(L, -1), "the token is none, or has been awaited already"));
    halo_lua_task_release(task);
    EXPECT_EQUAL(1, pushed);
    EXPECT(halo_lua_free(halo) == 0 && dropped == 1);
    EXPECT(!halo_lua_complete(token, push, NULL));
}

/* Functions and answers that are not as the header has them: the call is an error. */
static int push_less(lua_State *of, void *data)
{
    (void)of;
    return *(int *)data;
}

static void expect_error(const char *code, int *count, const char *problem)
{
    token.id = 0;
    EXPECT_EQUAL(0, spawn(code));
    halo_lua_step(halo, 0);
    EXPECT(token.id == 0 || halo_lua_complete(token, push_less, count));
    while (halo_lua_step(halo, -1) > 0)
        continue;
    EXPECT_EQUAL(HALO_LUA_FAILED, halo_lua_task_results(task, L));
    if (!strstr(lua_tostring(L, -1), problem))
        puts(lua_tostring(L, -1));
    EXPECT(strstr(lua_tostring(L, -1), problem));
    lua_settop(L, 0);
    halo_lua_task_release(task);
}

static void answers(void)
{
    int more = 1, negative = -3;

    begin();
    halo_lua_register(halo, "ask", ask);
    lua_register(L, "unregistered", ask);
    expect_error("ask()", &more, "script:1: push has left too few values");
    expect_error("ask()", &negative, "script:1: push has left too few values");
    expect_error("('x'):gsub('x', unregistered)", &more, "made by halo_lua_register()");
    expect_error("unregistered()", &more, "made by halo_lua_register()");
    EXPECT_EQUAL(0, halo_lua_free(halo));
}

/* A host function that never completes: the end does not wait for it. */
static void never(void)
{
    halo_lua_token kept[RUNTIMES];

    for (int i = 0; i < RUNTIMES; i++) {
        begin();
        halo_lua_register(halo, "ask", ask);
        EXPECT_EQUAL(0, spawn("ask()"));
        for (int j = 0; j < 3; j++)
            EXPECT_EQUAL(1, halo_lua_step(halo, 0)); /* no deadlock: the host may answer */
        EXPECT_EQUAL(-1, halo_lua_timeout_ms(halo));
        kept[i] = token;
        EXPECT_EQUAL(0, halo_lua_close(halo, 0));
        EXPECT(i % 2 || !halo_lua_complete(kept[i], push, NULL));
        EXPECT_EQUAL(0, halo_lua_free(halo));
        halo_lua_task_release(task);
    }
    /* Those of runtimes that are gone reach no other one, however often they are shown. */
    begin();
    halo_lua_register(halo, "ask", ask);
    EXPECT_EQUAL(0, spawn("return ask()"));
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    for (int i = 0; i < 2 * RUNTIMES; i++)
        EXPECT(!halo_lua_complete(kept[i % RUNTIMES], push, NULL));
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    EXPECT(halo_lua_complete(token, push, NULL));
    while (halo_lua_step(halo, -1) > 0)
        continue;
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    halo_lua_task_release(task);
    EXPECT_EQUAL(0, halo_lua_free(halo));
    EXPECT_EQUAL(0, dropped);
}

/* ---- memory -------------------------------------------------------------------------------- */

static long left;
static bool failing;

static void *allocate(void *user, void *block, size_t before, size_t after)
{
    (void)user;
    if (after == 0) {
        free(block);
        return NULL;
    }
    if (failing && after > before && left-- <= 0)
        return NULL;
    return realloc(block, after);
}

static bool is_expected(int code)
{
    return code >= 0 || code == HALO_LUA_NO_MEMORY || code == HALO_LUA_FAILED ||
           code == HALO_LUA_DEADLOCK;
}

/* A host's whole life, in which memory is out from the nth allocation of Lua on. */
static bool live(long n)
{
    const struct halo_lua_options all = {.allocator = allocate, .no_jit = true};
    int alive = 1, ended = 0;

    failing = true;
    left = n;
    task = NULL;
    int code = halo_lua_new(&halo, NULL, &all);
    EXPECT(is_expected(code) && (code == 0) == (halo != NULL));
    if (code == 0) {
        L = halo_lua_state(halo);
        EXPECT(is_expected(halo_lua_register(halo, "ask", ask)));
        EXPECT(is_expected(halo_lua_fd(halo)));
        code = spawn("local halo = require 'halo' halo.spawn(halo.yield):join()"
                     "pcall(halo.timeout, 0, ask) return halo.fs.stat '/' and 1");
        EXPECT(is_expected(code) && (code == 0) == (task != NULL));
        EXPECT(is_expected(halo_lua_task_at_end(task, count, &ended)) || !task);
        for (int i = 0; i < 20 && alive != 0; i++) {
            alive = halo_lua_step(halo, 10);
            EXPECT(is_expected(alive) && halo_lua_message(halo));
        }
        EXPECT(!task || is_expected(halo_lua_task_results(task, L)));
        EXPECT_EQUAL(0, halo_lua_close(halo, -1));
        failing = false;
        EXPECT_EQUAL(0, halo_lua_free(halo));
        halo_lua_task_release(task);
    }
    failing = false;
    return left > 0;
}

static void memory(void)
{
    long n = 0;

    EXPECT(freopen("/dev/null", "w", stderr)); /* what fails is reported there */
    while (n < ALLOCATIONS_MAX && !live(n))
        n++;
    EXPECT(n > 100 && n < ALLOCATIONS_MAX);
}

int main(int argc, char **argv)
{
    static const struct expect_case cases[] = {
        {"null", null},
        {"options", options},
        {"after_close", after_close},
        {"wrong_thread", wrong_thread},
        {"reentrant", reentrant},
        {"tokens", tokens},
        {"answers", answers},
        {"never", never},
        {"memory", memory},
        {NULL, NULL},
    };
    return expect_run(cases, argc, argv);
}
