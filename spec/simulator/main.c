/*
 * The simulator: runs a Lua program under halo, on a file system and a kernel that are a model of
 * them, once for each seed.
 *
 *     halo SCRIPT FIRST COUNT [TWICE [ARGUMENT...]]
 *
 * The script returns the program, a function that gets the seed and the arguments. Each seed is a
 * child process of its own, so that one that crashes or hangs is told apart, and sees the same
 * memory at the same addresses whenever it is run: Lua's tables are ordered by those. With TWICE
 * not 0 a second child must come to the same trace. JOBS in the environment is how many run at
 * once. A first failure ends the run with status 1 and names its seed.
 */
#include <dlfcn.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "halo_lua.h"
#include "model.h"
#include "module.h"
#include "trace.h"
#include "weather.h"

#define JOBS_MAX       64
#define SECONDS_MAX    60 /* of a run that takes a hundredth of one */
#define EXIT_USAGE     2
#define FIRST_ARGUMENT 5

struct outcome {
    uint64_t hash, events;
};

struct child {
    pid_t pid;
    uint64_t seed;
    bool again;
    uint64_t hash; /* of the first time */
};

static struct outcome *outcomes; /* shared with the children, one for each */
static struct child children[JOBS_MAX];
static lua_State *program;
static unsigned jobs = 1;
static bool failed;
static uint64_t total_events, total_hash, done;

/* ---- one seed ------------------------------------------------------------------------------ */

static const char *message(lua_State *L)
{
    return lua_tostring(L, -1) ? lua_tostring(L, -1) : "the program failed";
}

/* Makes the state that every child begins with: the program is on its stack. */
static lua_State *load(const char *script)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    luaopen_halo(L);
    simulator_open(L);
    lua_settop(L, 0);
    if (luaL_loadfile(L, script) != 0 || lua_pcall(L, 0, 1, 0) != 0)
        fail("%s", message(L));
    return L;
}

static void run_program(lua_State *L, uint64_t seed, int argc, char **argv)
{
    struct halo_lua *halo = halo_lua_of(L);

    lua_pushnumber(L, (double)seed);
    for (int i = FIRST_ARGUMENT; i < argc; i++)
        lua_pushstring(L, argv[i]);
    if (halo_lua_run(halo, L, lua_gettop(L) - 1, 0) != 0)
        fail("%s", message(L));
    if (halo_lua_failures(halo) > 0)
        fail("a task failed");
    engine_begin_end();
    halo_lua_close(halo, -1);
    lua_close(L);
    if (model_open_count() > 0 && engine_given_up() == 0)
        fail("%u descriptors are open after the end", model_open_count());
}

static void run_child(struct outcome *outcome, uint64_t seed, int argc, char **argv)
{
    alarm(SECONDS_MAX);
    weather_begin(seed);
    trace_begin(seed, getenv("SIMULATOR_TRACE") != NULL);
    model_begin();
    run_program(program, seed, argc, argv);
    *outcome = (struct outcome){.hash = trace_hash(), .events = trace_events()};
    fflush(stdout);
    _exit(EXIT_SUCCESS);
}

/* ---- all of them --------------------------------------------------------------------------- */

static void start(struct child *child, uint64_t seed, int argc, char **argv)
{
    child->seed = seed;
    child->pid = fork();
    if (child->pid == 0)
        run_child(&outcomes[child - children], seed, argc, argv);
    if (child->pid < 0)
        perror("fork");
}

static void tell_failure(const struct child *child, int status)
{
    failed = true;
    if (WIFSIGNALED(status))
        printf("seed %llu: %s\n", (unsigned long long)child->seed,
               WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status)));
    else
        printf("seed %llu failed\n", (unsigned long long)child->seed);
    fflush(stdout);
}

/* Returns true where the seed has to be run once more. */
static bool finish(struct child *child, int status, bool twice)
{
    const struct outcome *outcome = &outcomes[child - children];

    child->pid = 0;
    if (status != 0) {
        tell_failure(child, status);
        return false;
    }
    if (child->again && outcome->hash != child->hash) {
        printf("seed %llu: two runs differ\n", (unsigned long long)child->seed);
        failed = true;
        return false;
    }
    child->again = twice && !child->again;
    child->hash = outcome->hash;
    if (child->again)
        return true;
    total_events += outcome->events;
    total_hash ^= outcome->hash * (2 * child->seed + 1);
    done++;
    return false;
}

static struct child *find_child(pid_t pid)
{
    for (unsigned i = 0; i < jobs; i++)
        if (children[i].pid == pid)
            return &children[i];
    return NULL;
}

static void run_all(uint64_t seed, uint64_t end, bool twice, int argc, char **argv)
{
    unsigned running = 0;
    struct child *child;
    int status;

    while (running > 0 || (seed < end && !failed)) {
        if (seed < end && !failed && (child = find_child(0))) {
            start(child, seed++, argc, argv);
            running++;
            continue;
        }
        child = find_child(wait(&status));
        if (!child)
            continue;
        running--;
        if (finish(child, status, twice)) {
            start(child, child->seed, argc, argv);
            running++;
        }
    }
}

/*
 * LuaJIT asks the kernel for a random number, by which it orders tables and gives up on traces. It
 * finds this function in the place of the C library's, and gets the same number each time.
 */
__attribute__((visibility("default"))) long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long values[6];
    va_list arguments;

    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        values[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_getrandom)
        return memset((void *)values[0], 1, (size_t)values[1]) ? values[1] : -1;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    return real(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

/* Where nothing is put at random addresses, a seed does the same in each process. */
static void fix_addresses(char **argv)
{
    int before = personality(0xffffffff);
    if (before >= 0 && !(before & ADDR_NO_RANDOMIZE) &&
        personality((unsigned long)before | ADDR_NO_RANDOMIZE) >= 0)
        execv("/proc/self/exe", argv);
}

static double seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s SCRIPT FIRST COUNT [TWICE [ARGUMENT...]]\n", argv[0]);
        return EXIT_USAGE;
    }
    fix_addresses(argv);
    uint64_t first = strtoull(argv[2], NULL, 10), count = strtoull(argv[3], NULL, 10);
    bool twice = argc > 4 && strcmp(argv[4], "0") != 0;
    const char *wanted = getenv("JOBS");
    if (wanted && atoi(wanted) > 0)
        jobs = (unsigned)atoi(wanted) < JOBS_MAX ? (unsigned)atoi(wanted) : JOBS_MAX;
    outcomes = mmap(NULL, JOBS_MAX * sizeof(*outcomes), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    program = load(argv[1]);
    double start_s = seconds();
    run_all(first, first + count, twice, argc, argv);
    printf("%llu seeds, %.0f a second, %llu events, trace %016llx\n", (unsigned long long)done,
           (double)done / (seconds() - start_s), (unsigned long long)total_events,
           (unsigned long long)total_hash);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
