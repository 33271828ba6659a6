/*
 * The command halo. What it does with its arguments is in lua/halo/terminal/command.lua; here are
 * the Lua state, the signals and the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "halo_lua.h"

#define EXIT_INTERRUPTED 130
#define INSTRUCTIONS_MAX 1000000

static lua_State *interrupted_state;
static struct halo_lua *volatile interrupted_halo; /* until its end */
static int prompt_fd;

static void raise_interrupted(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    halo_lua_raise_interrupted(L);
}

/*
 * The first signal ends the wait, cancels every task and stops a chunk that computes. Code that
 * LuaJIT has compiled does not look; the second signal ends the process, as does one that comes
 * when there is nothing left to be cancelled.
 */
static void on_interrupt(int signal)
{
    static volatile sig_atomic_t count;
    int error = errno;
    (void)signal;
    if (count++ > 0 || !interrupted_halo)
        _exit(EXIT_INTERRUPTED);
    if (halo_lua_interrupt(interrupted_halo))
        lua_sethook(interrupted_state, raise_interrupted,
                    LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    errno = error;
}

static int forget_state(lua_State *L)
{
    (void)L;
    interrupted_halo = NULL;
    return 0;
}

/* A finalizer says when the state goes: later ones come first, so that halo's own comes after it.
 */
static void remember_state(lua_State *L)
{
    lua_newuserdata(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, forget_state);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    luaL_ref(L, LUA_REGISTRYINDEX);
    interrupted_state = L;
    interrupted_halo = halo_lua_handle(L);
}

static void install_signals(lua_State *L)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    remember_state(L);
    sigaction(SIGINT, &action, NULL);
    /* A closed pipe and a full quota are answers of write(2), not reasons to die. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

/* ---- at the prompt ------------------------------------------------------------------------- */

/* What computes at the prompt ends by this, and then the prompt need not hear of it. */
static void end_computation(lua_State *L, lua_Debug *ar)
{
    uint64_t count;
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    while (read(prompt_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
    lua_pushliteral(L, "interrupted");
    lua_error(L);
}

/*
 * At the prompt the signal does not end anything by itself: the prompt reads of it from a
 * descriptor, in the loop. Where Lua computes and never comes back to the loop, the hook ends it:
 * after so many instructions that the prompt would have taken it away before.
 */
static void on_prompt_interrupt(int signal)
{
    const uint64_t one = 1;
    int error = errno;
    (void)signal;
    if (!interrupted_halo)
        _exit(EXIT_INTERRUPTED);
    if (write(prompt_fd, &one, sizeof(one)) == sizeof(one))
        lua_sethook(interrupted_state, end_computation, LUA_MASKCOUNT, INSTRUCTIONS_MAX);
    errno = error;
}

static int calm(lua_State *L)
{
    lua_sethook(L, NULL, 0, 0);
    return 0;
}

/* catch_interrupts(): {fd = a descriptor that tells of each, calm = what to call after that}. */
static int catch_interrupts(lua_State *L)
{
    struct sigaction action = {.sa_handler = on_prompt_interrupt};
    prompt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (prompt_fd < 0)
        return luaL_error(L, "interrupts cannot be caught: %s", strerror(errno));
    sigaction(SIGINT, &action, NULL);
    lua_newtable(L);
    lua_pushinteger(L, prompt_fd);
    lua_setfield(L, -2, "fd");
    lua_pushcfunction(L, calm);
    lua_setfield(L, -2, "calm");
    return 1;
}

static int is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

static const luaL_Reg means[] = {
    {"catch_interrupts", catch_interrupts},
    {"is_terminal", is_terminal},
    {NULL, NULL},
};

/* ---- the command --------------------------------------------------------------------------- */

struct command {
    int argc;
    char **argv;
    int status;
};

static void push_arguments(lua_State *L, const struct command *command)
{
    lua_createtable(L, command->argc, 1);
    for (int i = 0; i < command->argc; i++) {
        lua_pushstring(L, command->argv[i]);
        lua_rawseti(L, -2, i);
    }
}

/* With more rights than its caller, it does not look for modules where that one says (LUA_PATH). */
static void distrust_environment(lua_State *L)
{
    lua_pushboolean(L, getauxval(AT_SECURE) != 0);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
}

/* Runs under lua_cpcall(), so that whatever goes wrong becomes a message and a status. */
static int run_command(lua_State *L)
{
    struct command *command = lua_touserdata(L, 1);

    distrust_environment(L);
    luaL_openlibs(L);
    halo_lua_open(L);
    install_signals(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "halo.terminal.command");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "finish");
    lua_getfield(L, -2, "main");
    push_arguments(L, command);
    lua_newtable(L);
    luaL_register(L, NULL, means);
    if (halo_lua_run(L, 2, 1) != 0)
        return lua_error(L);
    lua_call(L, 1, 1);
    command->status = (int)lua_tointeger(L, -1);
    halo_lua_close(L);
    return 0;
}

/* Without a standard descriptor, whatever is opened first would be read from or printed to. */
static void fill_standard_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct command command = {.argc = argc, .argv = argv, .status = EXIT_FAILURE};

    fill_standard_fds();
    lua_State *L = luaL_newstate();

    if (!L) {
        fprintf(stderr, "halo: out of memory\n");
        return EXIT_FAILURE;
    }
    if (lua_cpcall(L, run_command, &command) != 0) {
        const char *message = lua_tostring(L, -1);
        fprintf(stderr, "halo: %s\n", message ? message : "error");
    }
    lua_close(L);
    return command.status;
}
