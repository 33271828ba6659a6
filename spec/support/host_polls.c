/*
 * Descriptors of a host's that scripts wait for by halo.poll(), while the host waits for halo's:
 * `host_polls CASE`.
 *
 *     eventfd socket   the host makes it ready, again and again, and is woken for each
 *     many             of many a few are ready at a time
 *     cancelled        waits that are given up leave nothing
 *     closed           the host closes it while a script waits, and its number is used again
 */
#include <lauxlib.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "expect.h"
#include "halo_lua.h"

#define ROUNDS     500L
#define MANY       100L
#define PATIENT_MS 20000
#define QUIET_MS   200

static struct halo_lua *halo;
static lua_State *L;
static int ends[2]; /* the script's, and the host's */
static long polls;

static int take(lua_State *of)
{
    char data[8];
    EXPECT(read((int)luaL_checkinteger(of, 1), data, sizeof(data)) > 0);
    return 0;
}

static struct halo_lua_task *spawn(const char *code)
{
    struct halo_lua_task *task;
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, code, strlen(code), "=script", &task));
    return task;
}

static void begin(void)
{
    EXPECT_EQUAL(0, halo_lua_new(&halo, NULL, NULL));
    L = halo_lua_state(halo);
    lua_register(L, "take", take);
    lua_pushinteger(L, ends[0]);
    lua_setglobal(L, "FD");
}

static void make_eventfd(void)
{
    ends[0] = ends[1] = eventfd(0, EFD_CLOEXEC);
}

static void signal_end(void)
{
    const uint64_t one = 1;
    EXPECT_EQUAL(sizeof(one), write(ends[1], &one, sizeof(one)));
}

static void expect_result(struct halo_lua_task *task, const char *expected)
{
    EXPECT(halo_lua_task_results(task, L) == 1);
    if (strcmp(lua_tostring(L, -1), expected) != 0)
        puts(lua_tostring(L, -1));
    EXPECT(strcmp(lua_tostring(L, -1), expected) == 0);
    lua_settop(L, 0);
    EXPECT_EQUAL(0, halo_lua_task_release(task));
}

static void end(void)
{
    EXPECT_EQUAL(0, halo_lua_close(halo, -1));
    EXPECT_EQUAL(0, halo_lua_free(halo));
}

/* Waits for halo, no longer than it says; false where the time is up and nothing has come. */
static bool wait_for_halo(int most_ms)
{
    struct pollfd polled = {.fd = halo_lua_fd(halo), .events = POLLIN};
    int timeout_ms = halo_lua_timeout_ms(halo);

    if (timeout_ms < 0 || timeout_ms > most_ms)
        timeout_ms = most_ms;
    polls++;
    return poll(&polled, 1, timeout_ms) > 0;
}

/* Steps until nothing comes for a while. Returns how many tasks are alive. */
static int settle(void)
{
    int alive;
    do
        alive = halo_lua_step(halo, 0);
    while (wait_for_halo(QUIET_MS));
    return alive;
}

/* Until so many have been taken. */
static void await_count(int wanted)
{
    for (int count = 0; count < wanted; lua_settop(L, 0)) {
        EXPECT(wait_for_halo(PATIENT_MS) || halo_lua_timeout_ms(halo) == 0);
        halo_lua_step(halo, 0);
        lua_getglobal(L, "count");
        count = (int)lua_tointeger(L, -1);
    }
}

/* ---- ready, again and again ---------------------------------------------------------------- */

static void go_round(const char *code)
{
    begin();
    struct halo_lua_task *task = spawn(code);
    EXPECT(settle() > 0);
    polls = 0;
    EXPECT(!wait_for_halo(QUIET_MS)); /* idle it does not come round */
    EXPECT_EQUAL(1, polls);
    polls = 0;
    for (int i = 0; i < ROUNDS; i++) {
        signal_end();
        await_count(i + 1);
    }
    printf("%ld polls\n", polls);
    EXPECT(polls <= 3 * ROUNDS);
    while (halo_lua_step(halo, 0) > 0)
        wait_for_halo(PATIENT_MS);
    expect_result(task, "r");
    end();
}

static const char reader[] = "local halo, got = require 'halo' count = 0 for i = 1, 500 do "
                             "got = halo.poll(FD) take(FD) count = i end return got";

static void on_eventfd(void)
{
    make_eventfd();
    go_round(reader);
    close(ends[0]);
}

static void on_socket(void)
{
    EXPECT_EQUAL(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    go_round(reader);
    /* It can be written to at once, and its end counts as ready. */
    begin();
    struct halo_lua_task *task =
        spawn("local poll = require('halo').poll local w = poll(FD, 'rw') return w .. poll(FD)");
    EXPECT_EQUAL(1, settle());
    close(ends[1]);
    while (halo_lua_step(halo, 0) > 0)
        EXPECT(wait_for_halo(PATIENT_MS));
    expect_result(task, "wr");
    end();
    close(ends[0]);
}

static void many(void)
{
    int fds[MANY];

    begin();
    lua_newtable(L);
    for (int i = 0; i < MANY; i++) {
        fds[i] = eventfd(0, EFD_CLOEXEC);
        lua_pushinteger(L, fds[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "FDS");
    struct halo_lua_task *task =
        spawn("local halo = require 'halo' count = 0 halo.map(FDS, function(fd) "
              "for _ = 1, 5 do assert(halo.poll(fd) == 'r') take(fd) count = count + 1 end end, "
              "#FDS) return tostring(count)");
    EXPECT(settle() > 0);
    polls = 0;
    for (int round = 0, taken = 0; round < 5; round++)
        for (int i = 0; i < MANY; i++) {
            ends[1] = fds[i * 7L % MANY];
            signal_end();
            await_count(++taken);
        }
    while (halo_lua_step(halo, 0) > 0)
        EXPECT(wait_for_halo(PATIENT_MS));
    EXPECT(polls <= 5 * MANY * 3);
    expect_result(task, "500");
    end();
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
}

/* ---- given up, and closed ------------------------------------------------------------------ */

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1000; fd++)
        count += dup2(fd, fd) == fd;
    return count;
}

static void cancelled(void)
{
    make_eventfd();
    begin();
    struct halo_lua_task *task = spawn("return require('halo').poll(FD, 'w')");
    EXPECT(halo_lua_fd(halo) > 2);
    settle();
    expect_result(task, "w");
    task = spawn("local halo = require 'halo' for i = 1, 50 do assert(select(3, halo.poll(FD, 'r', "
                 "0.001)) == 'ETIMEDOUT') end local some = {} for i = 1, 50 do some[i] = "
                 "halo.spawn(halo.poll, FD) end halo.yield() for i = 1, 50 do some[i]:cancel() end "
                 "for i = 1, 50 do pcall(some[i].join, some[i]) end return 'over'");
    int before = count_descriptors();
    while (halo_lua_step(halo, 0) > 0)
        EXPECT(wait_for_halo(PATIENT_MS) || halo_lua_timeout_ms(halo) >= 0);
    expect_result(task, "over");
    EXPECT_EQUAL(0, settle());
    task = spawn("local st = require('halo').stats() return st.in_flight .. ' ' .. st.timers");
    settle();
    expect_result(task, "0 0");
    EXPECT_EQUAL(before, count_descriptors());
    signal_end(); /* nobody waits for that */
    EXPECT(!wait_for_halo(QUIET_MS));
    end();
    close(ends[0]);
}

static void closed(void)
{
    make_eventfd();
    begin();
    struct halo_lua_task *waiting = spawn("return require('halo').poll(FD)");
    EXPECT_EQUAL(1, settle());
    int number = ends[0];
    close(number);
    make_eventfd();
    EXPECT_EQUAL(number, ends[0]);
    struct halo_lua_task *next = spawn("local got = require('halo').poll(FD) take(FD) return got");
    EXPECT_EQUAL(2, settle());
    signal_end();
    while (halo_lua_task_status(next) < HALO_LUA_TASK_ENDED) {
        EXPECT(wait_for_halo(PATIENT_MS));
        EXPECT(halo_lua_step(halo, 0) > 0);
    }
    expect_result(next, "r");
    /* The one before waits for what is no more, until it is given up. */
    EXPECT_EQUAL(HALO_LUA_TASK_WAITING, halo_lua_task_status(waiting));
    EXPECT_EQUAL(1, halo_lua_task_cancel(waiting));
    EXPECT_EQUAL(0, settle());
    EXPECT_EQUAL(0, halo_lua_task_release(waiting));
    close(ends[0]);
    waiting = spawn("return (select(3, require('halo').poll(FD)))");
    settle();
    expect_result(waiting, "EBADF");
    end();
}

int main(int argc, char **argv)
{
    static const struct expect_case cases[] = {{"eventfd", on_eventfd}, {"socket", on_socket},
                                               {"many", many},          {"cancelled", cancelled},
                                               {"closed", closed},      {NULL, NULL}};

    return expect_run(cases, argc, argv);
}
