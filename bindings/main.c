/*
 * The command halo. What it does with its arguments is in lua/halo/cli.lua; here are the Lua
 * state, the signals and the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "halo_lua.h"

#define EXIT_INTERRUPTED 130

static lua_State *interrupted_state;
static struct halo_lua *volatile interrupted_halo; /* until its end */

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

/* Runs under lua_cpcall(), so that whatever goes wrong becomes a message and a status. */
static int run_command(lua_State *L)
{
    struct command *command = lua_touserdata(L, 1);

    luaL_openlibs(L);
    halo_lua_open(L);
    install_signals(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "halo.cli");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "finish");
    lua_getfield(L, -2, "main");
    push_arguments(L, command);
    if (halo_lua_run(L, 1, 1) != 0)
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
