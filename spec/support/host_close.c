/*
 * A close whose deadline passes: `host_close CASE DIRECTORY`, where every call in the directory
 * takes seconds (slow_fuse.c). It prints how many operations are left.
 *
 *     made own    in a state of halo's, or of the host's
 *     shared      beside another runtime, which works on
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "expect.h"
#include "halo_lua.h"

#define DEADLINE_MS 300
#define SLACK_MS    700 /* on a busy machine */

static const char *directory;
static halo_lua_token token;
static int pushed, told;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int push(lua_State *L, void *data)
{
    (void)L;
    (void)data;
    return pushed++, 0;
}

static int ask(lua_State *L)
{
    token = halo_lua_token_new(L, NULL, NULL);
    return halo_lua_await(L, token);
}

static void count(struct halo_lua_task *task, void *user)
{
    (void)task;
    (void)user;
    told++;
}

static struct halo_lua *begin(lua_State *L)
{
    struct halo_lua *halo;
    EXPECT_EQUAL(0, halo_lua_new(&halo, L, NULL));
    EXPECT_EQUAL(0, halo_lua_register(halo, "ask", ask));
    lua_pushstring(halo_lua_state(halo), directory);
    lua_setglobal(halo_lua_state(halo), "DIRECTORY");
    return halo;
}

static struct halo_lua_task *spawn(struct halo_lua *halo, const char *code)
{
    struct halo_lua_task *task;
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, code, strlen(code), "=script", &task));
    EXPECT_EQUAL(0, halo_lua_task_at_end(task, count, NULL));
    return task;
}

/* Much that hangs: of each kind that a close has to let go of. */
static struct halo_lua_task *hang(struct halo_lua *halo)
{
    struct halo_lua_task *task =
        spawn(halo, "local halo = require 'halo' local fs = halo.fs local buffer = "
                    "halo.buffer(4096) file = assert(fs.open(DIRECTORY .. '/file', 'r+')) "
                    "halo.spawn(file.pread_into, file, buffer, 4096, 0) "
                    "halo.spawn(file.pwrite, file, ('x'):rep(4096), 0) "
                    "for i = 1, 4 do halo.spawn(fs.stat, DIRECTORY .. '/file' .. i) "
                    "  halo.spawn(fs.readfile, DIRECTORY .. '/file' .. i) "
                    "  halo.spawn(fs.open, DIRECTORY .. '/new' .. i, 'w') end "
                    "halo.spawn(ask) hanging = true halo.sleep(1000)");
    for (bool hanging = false; !hanging;) {
        EXPECT(halo_lua_step(halo, 100) > 0);
        lua_getglobal(halo_lua_state(halo), "hanging");
        hanging = lua_toboolean(halo_lua_state(halo), -1);
        lua_pop(halo_lua_state(halo), 1);
    }
    for (int i = 0; i < 5; i++)
        EXPECT(halo_lua_step(halo, 10) > 0);
    return task;
}

static void *complete(void *unused)
{
    EXPECT(!halo_lua_complete(token, push, NULL));
    return unused;
}

static void expect_closed(struct halo_lua *halo, struct halo_lua_task *task)
{
    pthread_t thread;

    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_step(halo, 0));
    EXPECT_EQUAL(0, halo_lua_close(halo, 0));
    EXPECT_EQUAL(HALO_LUA_TASK_WAITING, halo_lua_task_status(task));
    EXPECT_EQUAL(HALO_LUA_CLOSED, halo_lua_task_cancel(task));
    EXPECT_EQUAL(0, pthread_create(&thread, NULL, complete, NULL));
    pthread_join(thread, NULL);
    halo_lua_wake(halo);
    halo_lua_interrupt(halo);
}

/* Returns how many are left. */
static int close_in_time(struct halo_lua *halo)
{
    double begin_ms = now_ms();
    int left = halo_lua_close(halo, DEADLINE_MS);
    double took_ms = now_ms() - begin_ms;

    EXPECT(left > 0);
    if (took_ms > DEADLINE_MS + SLACK_MS)
        printf("it took %.0f ms\n", took_ms);
    return left;
}

static void end(lua_State *L)
{
    struct halo_lua *halo = begin(L);
    struct halo_lua_task *task = hang(halo);
    int left = close_in_time(halo);

    expect_closed(halo, task);
    EXPECT_EQUAL(0, halo_lua_free(halo));
    /* The state is still there, and so is what the handle tells. */
    EXPECT_EQUAL(HALO_LUA_TASK_WAITING, halo_lua_task_status(task));
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    EXPECT(!halo_lua_complete(token, push, NULL));
    EXPECT(pushed == 0 && told == 0);
    printf("left: %s\n", left > 0 ? "some" : "none");
}

static void made(void)
{
    end(NULL);
}

/* The host's own, which it does not close. */
static lua_State *kept;

static void own(void)
{
    kept = luaL_newstate();
    luaL_openlibs(kept);
    end(kept);
    EXPECT(luaL_dostring(kept, "collectgarbage() collectgarbage() return file:read(1)") != 0);
    EXPECT(strstr(lua_tostring(kept, -1), "halo has been closed"));
}

static void shared(void)
{
    struct halo_lua *other = begin(NULL);
    struct halo_lua_task *task;

    EXPECT(halo_lua_fd(other) > 2);
    end(NULL);
    task = spawn(other, "assert(require('halo').fs.stat('/').type == 'dir')"
                        "return require('halo').process.run { 'true' }");
    while (halo_lua_step(other, -1) > 0)
        continue;
    EXPECT_EQUAL(1, told);
    EXPECT(halo_lua_task_results(task, halo_lua_state(other)) > 0);
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    EXPECT_EQUAL(0, halo_lua_close(other, -1));
    EXPECT_EQUAL(0, halo_lua_free(other));
}

int main(int argc, char **argv)
{
    static const struct expect_case cases[] = {
        {"made", made}, {"own", own}, {"shared", shared}, {NULL, NULL}};

    directory = argc > 2 ? argv[2] : ".";
    return expect_run(cases, argc, argv);
}
