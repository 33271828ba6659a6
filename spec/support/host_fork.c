/*
 * A host that forks: `host_fork CASE` calls every function of halo_lua.h in the child, and goes on
 * in the parent.
 *
 *     made own    a runtime in a state of halo's, or of the host's, with much under way
 *     fresh       one that has not begun
 *     locked      while other threads complete tokens: a child finds no lock held
 */
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"
#include "halo_lua.h"

#define THREADS   3
#define CHILDREN  100
#define PATIENT_S 20

static struct halo_lua *halo;
static lua_State *L;
static bool is_own;
static struct halo_lua_task *waiting, *ended;
static halo_lua_token token;
static int pushed;

static void begin(void)
{
    L = NULL;
    if (is_own) {
        L = luaL_newstate();
        luaL_openlibs(L);
    }
    EXPECT_EQUAL(0, halo_lua_new(&halo, L, NULL));
    L = halo_lua_state(halo);
}

static void finish(void)
{
    EXPECT_EQUAL(0, halo_lua_close(halo, -1));
    EXPECT_EQUAL(0, halo_lua_free(halo));
    if (is_own)
        lua_close(L);
}

static struct halo_lua_task *spawn(const char *code)
{
    struct halo_lua_task *task;
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, code, strlen(code), "=script", &task));
    return task;
}

static void expect_result(struct halo_lua_task *task, const char *expected)
{
    EXPECT_EQUAL(1, halo_lua_task_results(task, L));
    EXPECT(strcmp(expected, lua_tostring(L, -1)) == 0);
    lua_settop(L, 0);
    EXPECT_EQUAL(0, halo_lua_task_release(task));
}

/* A runtime that works, from its making to its end. */
static void work(void)
{
    struct halo_lua_task *task = spawn("local fs = require 'halo.fs' return fs.stat('/').type");
    while (halo_lua_step(halo, -1) > 0)
        continue;
    expect_result(task, "dir");
}

static int push(lua_State *of, void *data)
{
    (void)data;
    pushed++;
    if (of)
        lua_pushliteral(of, "answer");
    return of ? 1 : 0;
}

static int ask(lua_State *of)
{
    token = halo_lua_token_new(of, NULL, NULL);
    return halo_lua_await(of, token);
}

static int make_token(lua_State *of)
{
    halo_lua_token_new(of, NULL, NULL);
    return 0;
}

static int await_token(lua_State *of)
{
    return halo_lua_await(of, token);
}

static int nothing(lua_State *of)
{
    (void)of;
    return 0;
}

static void count(struct halo_lua_task *task, void *user)
{
    (void)task;
    ++*(int *)user;
}

static void unread(void)
{
}

static int fail_as_hook(lua_State *of)
{
    halo_lua_raise_interrupted(of);
    return 0;
}

/* In the child, whose exit status says whether all was as the header says. */
static pid_t in_child(void (*fn)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(PATIENT_S);
        fn();
        fflush(stdout);
        _exit(0);
    }
    return child;
}

static void expect_end(pid_t child)
{
    int status;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT_EQUAL(0, status);
}

/* ---- with much under way ------------------------------------------------------------------- */

static void expect_raised(lua_CFunction fn)
{
    lua_pushcfunction(L, fn);
    EXPECT(lua_pcall(L, 0, 0, 0) != 0);
    EXPECT(strstr(lua_tostring(L, -1), "fork"));
    lua_settop(L, 0);
}

static void call_on_runtime(void)
{
    struct halo_lua_task *made = ended;
    struct halo_lua *same;

    EXPECT_EQUAL(-1, halo_lua_timeout_ms(halo));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_fd(halo));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_step(halo, -1));
    lua_pushcfunction(L, nothing);
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_run(halo, L, 0, 0));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_spawn(halo, L, 0, &made));
    EXPECT(!made);
    EXPECT_EQUAL(1, lua_gettop(L));
    lua_settop(L, 0);
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_spawn_text(halo, "", 0, NULL, NULL));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_register(halo, "name", nothing));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_allow(halo, "/", HALO_LUA_MAY_READ));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_remove_libraries(halo, "all"));
    EXPECT(strstr(halo_lua_describe(HALO_LUA_FORKED), "fork"));
    EXPECT(halo_lua_message(halo) && halo_lua_failures(halo) == 0);
    EXPECT(halo_lua_of(L) == halo && halo_lua_state(halo) == L);
    EXPECT(halo_lua_new(&same, L, NULL) == 0 && same == halo);
    halo_lua_wake(halo);
    halo_lua_interrupt(halo);
    halo_lua_end_unread(halo, unread);
    halo_lua_push_function(L, "name", nothing);
    lua_settop(L, 0);
    lua_pushcfunction(L, fail_as_hook);
    EXPECT_EQUAL(0, lua_pcall(L, 0, 0, 0));
}

static void call_all(void)
{
    int told = 0;

    call_on_runtime();
    EXPECT_EQUAL(HALO_LUA_TASK_WAITING, halo_lua_task_status(waiting));
    EXPECT_EQUAL(HALO_LUA_RUNNING, halo_lua_task_results(waiting, L));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_task_cancel(waiting));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_task_at_end(waiting, count, &told));
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_task_at_end(ended, count, &told));
    expect_result(ended, "dir");
    expect_raised(make_token);
    expect_raised(await_token);
    EXPECT(!halo_lua_complete(token, push, NULL));
    finish();
    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_task_status(waiting));
    EXPECT_EQUAL(0, halo_lua_task_release(waiting));
    EXPECT(!halo_lua_complete(token, push, NULL));
    EXPECT(told == 0 && pushed == 0);
    begin();
    work();
    finish();
}

static void under_way(void)
{
    begin();
    EXPECT_EQUAL(0, halo_lua_register(halo, "ask", ask));
    ended = spawn("return require('halo').fs.stat('/').type");
    waiting = spawn(
        "local halo = require 'halo' local fs, path = halo.fs, os.tmpname() os.remove(path) "
        "assert(fs.mkfifo(path)) local fifo = assert(fs.open(path, 'r+')) "
        "local reader = halo.spawn(fifo.read, fifo, 10) local answer = ask() fifo:write 'bytes' "
        "os.remove(path) return answer .. reader:join()");
    EXPECT(halo_lua_fd(halo) > 2);
    while (token.id == 0)
        EXPECT(halo_lua_step(halo, 100) > 0);
    for (int i = 0; i < 10; i++) /* what wakes for other reasons has done so */
        EXPECT(halo_lua_step(halo, 10) > 0);
    expect_end(in_child(call_all));
    struct pollfd polled = {.fd = halo_lua_fd(halo), .events = POLLIN};
    EXPECT_EQUAL(0, poll(&polled, 1, 100));
    EXPECT_EQUAL(-1, halo_lua_timeout_ms(halo));
    EXPECT(halo_lua_complete(token, push, NULL));
    while (halo_lua_step(halo, -1) > 0)
        continue;
    expect_result(waiting, "answerbytes");
    expect_result(ended, "dir");
    finish();
}

static void made(void)
{
    under_way();
}

static void own(void)
{
    is_own = true;
    under_way();
}

/* ---- before it begins ---------------------------------------------------------------------- */

static void work_and_finish(void)
{
    halo_lua_register(halo, "ask", ask);
    struct halo_lua_task *task = spawn("return ask()");
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    EXPECT(halo_lua_complete(token, push, NULL));
    while (halo_lua_step(halo, -1) > 0)
        continue;
    expect_result(task, "answer");
    work();
    finish();
}

static void fresh(void)
{
    begin();
    expect_end(in_child(work_and_finish));
    work_and_finish();
}

/* ---- while locks are held ------------------------------------------------------------------ */

static atomic_bool over;

static void *complete_all_the_time(void *unused)
{
    while (!atomic_load(&over)) {
        EXPECT(!halo_lua_complete((halo_lua_token){token.port, 1}, push, NULL));
        halo_lua_wake(halo);
    }
    return unused;
}

static void end_in_child(void)
{
    EXPECT(!halo_lua_complete(token, push, NULL));
    halo_lua_wake(halo);
    EXPECT_EQUAL(HALO_LUA_FORKED, halo_lua_step(halo, -1));
    finish();
    begin();
    finish();
}

static void locked(void)
{
    pthread_t threads[THREADS];

    begin();
    EXPECT_EQUAL(0, halo_lua_register(halo, "ask", ask));
    waiting = spawn("return ask()");
    EXPECT_EQUAL(1, halo_lua_step(halo, 0));
    for (int i = 0; i < THREADS; i++)
        EXPECT_EQUAL(0, pthread_create(&threads[i], NULL, complete_all_the_time, NULL));
    for (int i = 0; i < CHILDREN; i++)
        expect_end(in_child(end_in_child));
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(halo_lua_complete(token, push, NULL));
    while (halo_lua_step(halo, -1) > 0)
        continue;
    expect_result(waiting, "answer");
    finish();
}

int main(int argc, char **argv)
{
    static const struct expect_case cases[] = {
        {"made", made}, {"own", own}, {"fresh", fresh}, {"locked", locked}, {NULL, NULL}};

    return expect_run(cases, argc, argv);
}
