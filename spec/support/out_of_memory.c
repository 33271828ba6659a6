/*
 * Runs a script in a host whose memory is out from the Nth allocation on, for N = 0, 1, 2 ... until
 * the script ends before it comes to that: each time in a process of its own.
 *
 *     out_of_memory lua|core once|ever SCRIPT CHECK
 *
 * "lua" fails Lua's allocations and "core" those of halo itself (malloc and its kin are wrapped by
 * the linker), one only or all that follow. The run must end with 0, or an error that says what is
 * the matter; then the script CHECK runs in the same state, with all the memory there is, and must
 * find that nothing was lost. Prints how many runs there were, and each that went wrong.
 */
#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "halo_lua.h"

#define RUNS_MAX   5000
#define PATIENCE_S 20

enum { CLEAN = 0, HIT = 10, WRONG = 11, PANIC = 12 };

static long left = -1; /* allocations until one fails; negative: none does */
static bool fails_lua, once;

static bool fails(bool is_lua)
{
    if (left < 0 || is_lua != fails_lua)
        return false;
    if (left > 0)
        return left--, false;
    if (once)
        left = -2;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails(false) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(false) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails(false) ? NULL : __real_realloc(memory, size);
}

static void *allocate(void *user, void *memory, size_t before, size_t size)
{
    (void)user;
    if (size == 0) {
        free(memory);
        return NULL;
    }
    return size > before && fails(true) ? NULL : __real_realloc(memory, size);
}

static int panic(lua_State *L)
{
    (void)L;
    _exit(PANIC);
}

static const char *message_of(lua_State *L)
{
    return lua_isstring(L, -1) ? lua_tostring(L, -1) : luaL_typename(L, -1);
}

static void load(lua_State *L, const char *path)
{
    if (luaL_loadfile(L, path) != 0) {
        printf("%s\n", message_of(L));
        exit(WRONG);
    }
}

/* One run, in a process of its own. Returns its exit status. */
static int run(long n, const char *script, const char *check)
{
    lua_State *L = lua_newstate(allocate, NULL);
    int status;

    alarm(PATIENCE_S);
    lua_atpanic(L, panic);
    luaL_openlibs(L);
    /* LuaJIT itself looks for a function at a wrong place where memory is out in compiled code. */
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    luaopen_halo(L);
    struct halo_lua *halo = halo_lua_of(L);
    load(L, script);
    left = n;
    status = halo_lua_run(halo, L, 0, 0);
    bool hit = left == 0 || left == -2;
    left = -1;
    if (status != 0 && (!hit || !strstr(message_of(L), "memory"))) {
        printf("run %ld: status %d: %s\n", n, status, message_of(L));
        return WRONG;
    }
    load(L, check);
    if (halo_lua_run(halo, L, 0, 0) != 0) {
        printf("after run %ld: %s\n", n, message_of(L));
        return WRONG;
    }
    halo_lua_close(halo, -1);
    lua_close(L);
    return hit ? HIT : CLEAN;
}

int main(int argc, char **argv)
{
    int wrong = 0, status = -1;
    long n = 0;

    if (argc != 5)
        return 2;
    fails_lua = strcmp(argv[1], "lua") == 0;
    once = strcmp(argv[2], "once") == 0;
    for (; n < RUNS_MAX && status != CLEAN; n++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            exit(run(n, argv[3], argv[4]));
        waitpid(child, &status, 0);
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (code != CLEAN && code != HIT) {
            printf("run %ld ended with %d\n", n, code);
            wrong++;
        }
        status = code;
    }
    printf("%ld runs, %d went wrong\n", n, wrong);
    return wrong > 0 || status != CLEAN;
}
