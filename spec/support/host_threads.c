/*
 * Runtimes and threads: `host_threads CASE COUNT` tries what halo_lua.h promises, and prints what
 * it has counted, or what was not so.
 *
 *     two          two runtimes in two threads, COUNT operations each
 *     pending      a close with COUNT operations pending, from inside of many waits
 *     descriptor   COUNT tokens, completed from four threads, for a host that polls the descriptor
 *     cost         what each of COUNT further runtimes takes, in KiB and in microseconds
 */
#include <lauxlib.h>
#include <lualib.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "expect.h"
#include "halo_lua.h"

#define THREADS  4
#define TASKS    64
#define RUNTIMES 64

static long count;

static struct halo_lua *begin(const char *code, struct halo_lua_task **task)
{
    struct halo_lua *halo;
    EXPECT_EQUAL(0, halo_lua_new(&halo, NULL, NULL));
    lua_pushinteger(halo_lua_state(halo), (lua_Integer)count);
    lua_setglobal(halo_lua_state(halo), "COUNT");
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, code, strlen(code), "=script", task));
    return halo;
}

/* The number that the task returns. */
static double finish(struct halo_lua *halo, struct halo_lua_task *task)
{
    lua_State *L = halo_lua_state(halo);
    int results = halo_lua_task_results(task, L);

    if (results != 1)
        puts(lua_tostring(L, -1));
    EXPECT_EQUAL(1, results);
    double number = lua_tonumber(L, -1);
    EXPECT_EQUAL(0, halo_lua_task_release(task));
    EXPECT_EQUAL(0, halo_lua_close(halo, -1));
    EXPECT_EQUAL(0, halo_lua_free(halo));
    return number;
}

/* ---- two runtimes -------------------------------------------------------------------------- */

static void *work(void *done)
{
    struct halo_lua_task *task;
    struct halo_lua *halo =
        begin("local halo, fs = require 'halo', require 'halo.fs' local items, path = {}, "
              "os.tmpname() for i = 1, 16 do items[i] = path .. i end local count = 0 "
              "halo.map(items, function(name) while count < COUNT do "
              "  local f = assert(fs.open(name, 'w+')) assert(f:write(name)) "
              "  assert(f:pread(100, 0) == name) assert(fs.stat(name)) f:close() "
              "  count = count + 5 end fs.remove(name) end) fs.remove(path) return count",
              &task);

    while (halo_lua_step(halo, -1) > 0)
        continue;
    *(double *)done = finish(halo, task);
    return NULL;
}

static void two(void)
{
    pthread_t threads[2];
    double done[2];

    for (int i = 0; i < 2; i++)
        EXPECT_EQUAL(0, pthread_create(&threads[i], NULL, work, &done[i]));
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    EXPECT(done[0] >= (double)count && done[1] >= (double)count);
}

/* ---- a close with much pending ------------------------------------------------------------- */

static void pending(void)
{
    struct halo_lua_task *task;
    struct halo_lua *halo =
        begin("local halo, fs = require 'halo', require 'halo.fs' local path = os.tmpname() "
              "fs.remove(path) fs.mkfifo(path) local fifo = assert(fs.open(path, 'r+')) "
              "fs.remove(path) local zero = assert(fs.open '/dev/zero') "
              "local buffer = halo.buffer(4096) for i = 1, COUNT do halo.spawn(function() "
              "  if i % 4 == 0 then fifo:read(1) elseif i % 4 == 1 then halo.sleep(1000) "
              "  elseif i % 4 == 2 then fs.hash('/proc/self/exe') "
              "  else pcall(zero.read_into, zero, buffer) end end) end halo.sleep(1000)",
              &task);

    EXPECT(halo_lua_step(halo, 0) > 0);
    EXPECT(halo_lua_step(halo, 0) > 0);
    EXPECT_EQUAL(0, halo_lua_close(halo, -1));
    EXPECT_EQUAL(0, halo_lua_free(halo));
    EXPECT_EQUAL(0, halo_lua_task_release(task));
}

/* ---- the descriptor ------------------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static halo_lua_token asked[TASKS];
static int first, waiting;
static bool over;
static long delivered;
static atomic_long completed;

static int push(lua_State *L, void *data)
{
    (void)data;
    delivered++;
    lua_pushinteger(L, 1);
    return 1;
}

static int ask(lua_State *L)
{
    halo_lua_token token = halo_lua_token_new(L, NULL, NULL);

    pthread_mutex_lock(&lock);
    asked[(first + waiting++) % TASKS] = token;
    pthread_cond_signal(&filled);
    pthread_mutex_unlock(&lock);
    return halo_lua_await(L, token);
}

static void *answer(void *unused)
{
    pthread_mutex_lock(&lock);
    for (;;) {
        while (waiting == 0 && !over)
            pthread_cond_wait(&filled, &lock);
        if (waiting == 0)
            break;
        halo_lua_token token = asked[first];
        first = (first + 1) % TASKS;
        waiting--;
        pthread_mutex_unlock(&lock);
        EXPECT(halo_lua_complete(token, push, NULL));
        atomic_fetch_add(&completed, 1);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

/* The library's writes, which are those that wake it. */
static atomic_long wakes;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    atomic_fetch_add(&wakes, 1);
    return __real_write(fd, data, size);
}

struct turns {
    long polls, empty; /* of those, the ones after which a step has delivered nothing */
    long steps;
};

/* The host's loop: poll(2) waits, and nothing else does. */
static void go_round(struct halo_lua *halo, struct turns *turns)
{
    while (turns->steps++, halo_lua_step(halo, 0) > 0) {
        struct pollfd polled = {.fd = halo_lua_fd(halo), .events = POLLIN};
        long before = delivered;
        int timeout_ms = halo_lua_timeout_ms(halo);
        EXPECT(poll(&polled, 1, timeout_ms < 0 ? 20000 : timeout_ms) >= 0);
        EXPECT(polled.revents || timeout_ms >= 0); /* else a completion was missed */
        turns->polls++;
        turns->steps++;
        if (halo_lua_step(halo, 0) <= 0)
            break;
        turns->empty += delivered == before;
    }
}

static void descriptor(void)
{
    struct turns turns = {0}, idle = {0};
    pthread_t threads[THREADS];
    struct halo_lua_task *task;
    struct halo_lua *halo = begin("require('halo').sleep(0.3) return 0", &task);

    /* Idle it hardly ever comes round: once for the timer, and some. */
    EXPECT_EQUAL(0, halo_lua_register(halo, "ask", ask));
    go_round(halo, &idle);
    EXPECT(idle.polls < 10);
    halo_lua_task_release(task);
    for (int i = 0; i < THREADS; i++)
        EXPECT_EQUAL(0, pthread_create(&threads[i], NULL, answer, NULL));
    static const char code[] = "local items, count = {}, 0 for i = 1, 60 do items[i] = i end "
                               "require('halo').map(items, function() while count < COUNT do "
                               "local got = ask() count = count + got end end, 60) return count";
    EXPECT_EQUAL(0, halo_lua_spawn_text(halo, code, sizeof(code) - 1, "=script", &task));
    atomic_store(&wakes, 0);
    go_round(halo, &turns);
    long woken = atomic_load(&wakes);
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_broadcast(&filled);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    EXPECT(delivered == atomic_load(&completed) && delivered >= count);
    printf("%ld tokens, %ld polls, %ld of them for nothing, %ld wakes; %ld while idle\n", delivered,
           turns.polls, turns.empty, woken, idle.polls);
    /* One is enough until a step has taken all that was complete. */
    EXPECT(woken <= turns.steps + 1);
    /* What is completed while a step delivers leaves the descriptor readable once more, at most. */
    EXPECT(turns.polls <= 2 * delivered + 10);
    EXPECT(turns.empty <= delivered / 2 + 10);
    finish(halo, task);
}

/* ---- what one costs ------------------------------------------------------------------------ */

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    EXPECT(file && fscanf(file, "%ld %ld", &pages, &resident) == 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Makes one, in a state of the host's, and has it do something. */
static double start(lua_State *L, struct halo_lua **halo)
{
    double begin_us = now_us();
    EXPECT_EQUAL(0, halo_lua_new(halo, L, NULL));
    EXPECT(halo_lua_fd(*halo) > 2);
    return now_us() - begin_us;
}

static int compare(const void *a, const void *b)
{
    return *(const double *)a > *(const double *)b ? 1 : -1;
}

static void cost(void)
{
    struct halo_lua *halos[RUNTIMES];
    lua_State *states[RUNTIMES];
    double times[RUNTIMES], lua_kib = 0;
    int made = count < RUNTIMES ? (int)count : RUNTIMES;

    states[0] = luaL_newstate();
    luaL_openlibs(states[0]);
    double first_us = start(states[0], &halos[0]);
    long before = resident_kib();
    for (int i = 1; i < made; i++) {
        states[i] = luaL_newstate();
        luaL_openlibs(states[i]);
        EXPECT(luaL_dostring(states[i], "require 'ffi'") == 0);
    }
    long with_states = resident_kib();
    for (int i = 1; i < made; i++) {
        double kib = (double)lua_gc(states[i], LUA_GCCOUNT, 0);
        times[i - 1] = start(states[i], &halos[i]);
        lua_kib += (double)lua_gc(states[i], LUA_GCCOUNT, 0) - kib;
    }
    long after = resident_kib();
    qsort(times, (size_t)made - 1, sizeof(times[0]), compare);
    double kib = (double)(after - with_states) / (made - 1), own_kib = lua_kib / (made - 1);
    printf(
        "%.0f KiB beyond its state, which grows by %.0f to %.0f KiB; %.0f us, at least %.0f, the "
        "first one %.0f\n",
        kib - own_kib, own_kib, own_kib + (double)(with_states - before) / (made - 1),
        times[(made - 1) / 2], times[0], first_us);
    for (int i = 0; i < made; i++) {
        halo_lua_close(halos[i], -1);
        lua_close(states[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct expect_case cases[] = {{"two", two},
                                               {"pending", pending},
                                               {"descriptor", descriptor},
                                               {"cost", cost},
                                               {NULL, NULL}};

    count = argc > 2 ? atol(argv[2]) : 1;
    return expect_run(cases, argc, argv);
}
