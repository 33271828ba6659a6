/*
 * The command halo. What it does with its arguments is in lua/halo/terminal/command.lua; here are
 * the Lua state, the signals and the exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include "args.h"
#include "fence.h"
#include "halo_lua.h"
#include "terminal/screen.h"

#define SWALLOWED_MAX 1000 /* cancellations by a script that goes on printing for nobody */

/* What the prompt reads, beside 1 for each interrupt. */
#define CONTINUED (1ull << 48) /* Ctrl-Z is over */
#define RESIZED   (1ull << 32) /* the terminal has another size */

#define INSTRUCTIONS_MAX 1000000
/* After which the hook looks again: some task may compute that has not heard of it. */
#define INSTRUCTIONS_LOOK 1000

static lua_State *interrupted_state;
static struct halo_lua *volatile interrupted_halo; /* until its end */
static volatile sig_atomic_t ended_by;             /* a signal: that is how the command ends */
static bool pipe_ignored;                          /* SIGPIPE was, before the command began */
static int prompt_fd;
static struct termios terminal_before; /* of the prompt */
static bool terminal_changed;

/* ---- signals ------------------------------------------------------------------------------- */

static void handle(int signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(signal, &action, NULL);
}

static bool is_ignored(int signal)
{
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* The process ends as one that has no handler: whoever waits for it learns of the signal. */
static void die_by(int signal)
{
    sigset_t set;

    if (terminal_changed) {
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
        halo_screen_leave();
    }
    handle(signal, SIG_DFL);
    raise(signal);
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    _exit(128 + signal); /* the first process of a container does not die by signals */
}

static void raise_interrupted(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_sethook(L, raise_interrupted, LUA_MASKCOUNT, INSTRUCTIONS_LOOK);
    if (interrupted_halo && halo_lua_raise_interrupted(L))
        lua_sethook(L, raise_interrupted, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/*
 * The first signal ends the wait, cancels every task and stops a chunk that computes. Code that
 * LuaJIT has compiled does not look; the second signal ends the process, as does one that comes
 * when there is nothing left to be cancelled.
 */
static void on_ending(int signal)
{
    int error = errno;
    if (ended_by || !interrupted_halo)
        die_by(signal);
    ended_by = signal;
    halo_lua_interrupt(interrupted_halo);
    lua_sethook(interrupted_state, raise_interrupted, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT,
                1);
    errno = error;
}

/* Nobody reads what is printed: the tasks have been cancelled, and then the command ends. */
static void on_unread(void)
{
    static unsigned swallowed;
    if (swallowed++ > SWALLOWED_MAX)
        die_by(SIGPIPE);
    if (!ended_by && !pipe_ignored)
        ended_by = SIGPIPE;
}

static void on_nothing(int signal)
{
    (void)signal;
}

static int forget_state(lua_State *L)
{
    (void)L;
    interrupted_halo = NULL;
    return 0;
}

/* A finalizer says when the state goes: later ones come first, and so before halo's own. */
static void remember_state(lua_State *L)
{
    lua_newuserdata(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, forget_state);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    luaL_ref(L, LUA_REGISTRYINDEX);
    interrupted_state = L;
    interrupted_halo = halo_lua_of(L);
}

/*
 * What was ignored stays so, as under nohup. A closed pipe and a full quota are answers of
 * write(2), not reasons to die; that is a handler's doing, since what is ignored would be ignored
 * by the programs that a script starts as well.
 */
static void install_signals(lua_State *L)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

    remember_state(L);
    for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
        if (!is_ignored(ending[i]))
            handle(ending[i], on_ending);
    pipe_ignored = is_ignored(SIGPIPE);
    if (!pipe_ignored)
        handle(SIGPIPE, on_nothing);
    if (!is_ignored(SIGXFSZ))
        handle(SIGXFSZ, on_nothing);
    halo_lua_end_unread(interrupted_halo, on_unread);
}

/* end_unread(): ends the process at once, where nobody reads what it prints. */
static int end_unread(lua_State *L)
{
    (void)L;
    if (ended_by == SIGPIPE)
        die_by(SIGPIPE);
    return 0;
}

/* ---- at the prompt ------------------------------------------------------------------------- */

/*
 * What computes at the prompt ends by this, and then the prompt need not hear of it. It ends in
 * code of the user's own: some of halo's would take the error for an answer of the system's.
 */
static void end_computation(lua_State *L, lua_Debug *ar)
{
    uint64_t count;

    (void)ar;
    if (halo_is_in_own_code(L)) {
        lua_sethook(L, end_computation, LUA_MASKCOUNT, 1);
        return;
    }
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
    if (!interrupted_halo)
        die_by(signal);
    if (write(prompt_fd, &one, sizeof(one)) == sizeof(one))
        lua_sethook(interrupted_state, end_computation, LUA_MASKCOUNT, INSTRUCTIONS_MAX);
    errno = error;
}

/*
 * Ctrl-Z stops the command with the terminal as it was before, and Ctrl-\ ends it so: the line
 * editor has other settings, which it finds again when the command goes on.
 */
static void on_prompt_stop(int signal)
{
    const uint64_t went_on = CONTINUED;
    struct termios edited;
    int error = errno;
    sigset_t set;

    if (signal != SIGTSTP)
        die_by(signal);
    tcgetattr(STDIN_FILENO, &edited);
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
    halo_screen_leave();
    handle(signal, SIG_DFL);
    raise(signal);
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* here it stops */
    handle(signal, on_prompt_stop);
    tcsetattr(STDIN_FILENO, TCSANOW, &edited);
    halo_screen_return();
    error = write(prompt_fd, &went_on, sizeof(went_on)) < 0 ? errno : error;
    errno = error;
}

static void on_prompt_resize(int signal)
{
    const uint64_t resized = RESIZED;
    int error = errno;

    (void)signal;
    errno = write(prompt_fd, &resized, sizeof(resized)) < 0 ? errno : error;
}

/* The process dies of these with its terminal restored. A sanitizer has its own handlers. */
static void catch_crashes(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action;

    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        if (sigaction(crashes[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL)
            handle(crashes[i], die_by);
}

static int calm(lua_State *L)
{
    lua_sethook(L, NULL, 0, 0);
    return 0;
}

/*
 * catch_interrupts(): {fd = a descriptor that tells of each, of Ctrl-Z once that is over, and of
 * another size; calm = what to call after an interrupt}.
 */
static int catch_interrupts(lua_State *L)
{
    prompt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (prompt_fd < 0)
        return luaL_error(L, "interrupts cannot be caught: %s", strerror(errno));
    terminal_changed = tcgetattr(STDIN_FILENO, &terminal_before) == 0;
    if (!is_ignored(SIGINT))
        handle(SIGINT, on_prompt_interrupt);
    if (terminal_changed && !is_ignored(SIGTSTP))
        handle(SIGTSTP, on_prompt_stop);
    if (terminal_changed) {
        handle(SIGQUIT, on_prompt_stop);
        handle(SIGWINCH, on_prompt_resize);
        catch_crashes();
    }
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
    {"end_unread", end_unread},
    {NULL, NULL},
};

static void push_means(lua_State *L)
{
    lua_newtable(L);
    luaL_register(L, NULL, means);
    lua_pushboolean(L, pipe_ignored);
    lua_setfield(L, -2, "pipe_ignored");
    halo_push_fence_means(L);
}

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

/* Whether -E is among the options: luaL_openlibs() has to know, before Lua reads any of them. */
static bool ignores_environment(int argc, char **argv)
{
    for (int i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        char letter = argv[i][1];
        if (strcmp(argv[i], "-E") == 0)
            return true;
        if (letter == 'b' || strcmp(argv[i], "--") == 0)
            return false;
        if (strchr("elj", letter) && !argv[i][2])
            i++;
    }
    return false;
}

/*
 * Modules are not looked for where the environment says (LUA_PATH) if that was asked for, or if the
 * command has more rights than its caller.
 */
static void set_environment(lua_State *L, const struct command *command)
{
    bool ignored = ignores_environment(command->argc, command->argv);
    lua_pushboolean(L, ignored || getauxval(AT_SECURE) != 0);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
}

/* Runs under lua_cpcall(), so that whatever goes wrong becomes a message and a status. */
static int run_command(lua_State *L)
{
    struct command *command = lua_touserdata(L, 1);

    set_environment(L, command);
    luaL_openlibs(L);
    luaopen_halo(L);
    install_signals(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "halo.terminal.command");
    lua_call(L, 1, 1);
    push_means(L);
    lua_getfield(L, -2, "finish");
    lua_getfield(L, -3, "main");
    push_arguments(L, command);
    lua_pushvalue(L, -4);
    if (halo_lua_run(interrupted_halo, L, 2, 1) != 0)
        return lua_error(L);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 1);
    command->status = (int)lua_tointeger(L, -1);
    halo_lua_close(interrupted_halo, -1);
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
    if (lua_cpcall(L, run_command, &command) != 0 && !ended_by) {
        const char *message = lua_tostring(L, -1);
        fprintf(stderr, "halo: %s\n", message ? message : "error");
    }
    lua_close(L);
    if (ended_by)
        die_by(ended_by);
    return command.status;
}
