/*
 * Processes: started and waited for by operations, signalled at once. A process is a File that has
 * a pidfd in it, which users do not see.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs.h"

/* ---- pipes --------------------------------------------------------------------------------- */

/* Gives a new descriptor a File, or closes it and returns -errno. */
static int own(struct halo_loop *loop, struct halo_lua_file *file, int fd)
{
    int error = halo_file_adopt(loop, fd, false, &file->handle);
    if (error < 0)
        close(fd);
    return error;
}

/* pipe(name): Files of both ends, first the one to read from; or nil, message, code. */
static int process_pipe(lua_State *L)
{
    struct halo_loop *loop = halo_lua_loop(L, halo_lua_self(L));
    size_t length;
    const char *name = halo_check_path(L, 1, "pipe", &length);
    struct halo_lua_file *ends[2] = {halo_file_new(L, name, length),
                                     halo_file_new(L, name, length)};
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return halo_push_error(L, errno, name, NULL);
    int error = own(loop, ends[0], fds[0]);
    int error2 = own(loop, ends[1], fds[1]);
    if (error < 0 || error2 < 0)
        return halo_push_error(L, error < 0 ? -error : -error2, name, NULL);
    return 2;
}

/*
 * null(): a File of /dev/null, which is no business of a fence's: it says who may start programs.
 * Or nil, message, code.
 */
static int process_null(lua_State *L)
{
    static const char path[] = "/dev/null";
    struct halo_loop *loop = halo_lua_loop(L, halo_lua_self(L));
    struct halo_lua_file *file = halo_file_new(L, path, sizeof(path) - 1);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int error = fd < 0 ? -errno : own(loop, file, fd);

    return error < 0 ? halo_push_error(L, -error, path, NULL) : 1;
}

/* ---- starting ------------------------------------------------------------------------------ */

/* spawn(command, argv, options): where they lie on the stack, and where the new File does. */
enum { COMMAND = 1, ARGV, OPTIONS, PROCESS };

_Static_assert(PROCESS == HALO_OPEN_FILE_INDEX, "the result is looked for there");

/* The bytes that the strings of the array at index take, with what points to them. */
static size_t array_size(lua_State *L, int index)
{
    size_t count = lua_objlen(L, index), size = (count + 1) * sizeof(char *);

    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (int)i);
        size += lua_objlen(L, -1) + 1;
        lua_pop(L, 1);
    }
    return size;
}

/* Copies the array of strings, which Lua has checked, to *memory, and moves that on. */
static char **copy_array(lua_State *L, int index, char **memory)
{
    size_t count = lua_objlen(L, index);
    char **array = (char **)(void *)*memory, *text = *memory + (count + 1) * sizeof(char *);

    for (size_t i = 0; i < count; i++) {
        size_t length;
        lua_rawgeti(L, index, (int)i + 1);
        const char *string = lua_tolstring(L, -1, &length);
        array[i] = memcpy(text, string, length + 1);
        text += length + 1;
        lua_pop(L, 1);
    }
    array[count] = NULL;
    *memory = text;
    return array;
}

/* The next place where a pointer may lie. */
static size_t align(size_t size)
{
    return (size + sizeof(char *) - 1) / sizeof(char *) * sizeof(char *);
}

/*
 * The descriptor of the File among the options; -1 where there is none; -EBADF if it is closed. A
 * stream of the process shares its position with the File.
 */
static int option_fd(lua_State *L, const struct halo_lua *lua, const char *name, bool shared)
{
    lua_getfield(L, OPTIONS, name);
    const struct halo_lua_file *file = halo_to_type(L, -1, halo_file_type);
    lua_pop(L, 1);
    if (!file)
        return -1;
    return shared ? halo_file_share(lua->loop, file->handle)
                  : halo_file_fd(lua->loop, file->handle);
}

static bool option_flag(lua_State *L, const char *name)
{
    lua_getfield(L, OPTIONS, name);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* The operation's own memory has all that the new process is made from. NULL: no memory. */
static struct halo_spawn *describe(lua_State *L, struct halo_op *op)
{
    lua_getfield(L, OPTIONS, "env"); /* above the File */
    int env = lua_istable(L, -1) ? lua_gettop(L) : 0;
    size_t argv_size = align(array_size(L, ARGV)), env_size = env ? array_size(L, env) : 0;
    char *memory = halo_op_storage(op, sizeof(struct halo_spawn) + argv_size + env_size);

    if (!memory)
        return NULL;
    struct halo_spawn *spawn = (void *)memory;
    *spawn = (struct halo_spawn){.group = option_flag(L, "group"),
                                 .keeps_ignored = option_flag(L, "keeps_ignored")};
    char *text = memory + sizeof(*spawn), *env_text = text + argv_size;
    spawn->argv = copy_array(L, ARGV, &text);
    if (env)
        spawn->envp = copy_array(L, env, &env_text);
    lua_pop(L, 1);
    return spawn;
}

/*
 * spawn(command, argv, options): a File that stands for the process, and its number; or nil,
 * message, code. Options are Files: stdin, stdout, stderr, cwd; env, an array of "NAME=value";
 * group, keeps_ignored.
 */
static int process_spawn(lua_State *L)
{
    static const char *const streams[] = {"stdin", "stdout", "stderr"};
    struct halo_lua *lua = halo_lua_self(L);
    size_t length;
    const char *command = luaL_checklstring(L, COMMAND, &length);

    lua_settop(L, OPTIONS);
    halo_file_new(L, command, length);
    struct halo_op *op = halo_new_op(L, lua, HALO_OP_SPAWN);
    op->spawn = describe(L, op);
    if (!op->spawn) {
        halo_op_release(lua->loop, op);
        return luaL_error(L, "not enough memory");
    }
    int error = 0;
    for (int i = 0; i < 3; i++) {
        op->spawn->fds[i] = option_fd(L, lua, streams[i], true);
        if (op->spawn->fds[i] < -1)
            error = EBADF;
    }
    op->spawn->cwd_fd = option_fd(L, lua, "cwd", false);
    if (error || op->spawn->cwd_fd < -1) {
        halo_op_release(lua->loop, op);
        return halo_push_error(L, EBADF, command, NULL);
    }
    return halo_await(L, lua, op);
}

/* ---- afterwards ---------------------------------------------------------------------------- */

/* wait_process(process): waits until it has ended, and leaves it to be reaped. */
static int process_wait(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_file_op(L, lua, HALO_OP_WAIT, "wait");
    op->length = 1; /* it is waited for by a poll first */
    return halo_await(L, lua, op);
}

/*
 * reap_process(process): closes its File and frees its number. Gives its exit code, or nil and the
 * number of the signal that has killed it, and whether it has left its core; nil alone where nobody
 * can know, false where it goes on.
 */
static int process_reap(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "wait");
    int how = halo_file_reap(halo_lua_loop(L, lua), file->handle);

    if (how == -EAGAIN) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (how >= 0 && how < HALO_SIGNALED) {
        lua_pushinteger(L, how);
        return 1;
    }
    lua_pushnil(L);
    if (how < 0)
        return 1;
    lua_pushinteger(L, (how - HALO_SIGNALED) % HALO_DUMPED);
    lua_pushboolean(L, how >= HALO_SIGNALED + HALO_DUMPED);
    return 3;
}

/* signal_process(process, number): true, or nil, message, code. */
static int process_signal(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "kill");
    int number = (int)halo_check_size(L, 2, "kill", SIGRTMAX);
    int error = halo_file_signal(halo_lua_loop(L, lua), file->handle, number);
    if (error < 0)
        return halo_push_error(L, -error, file->path, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},
    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},
    {"KILL", SIGKILL},     {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},   {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE},     {"ALRM", SIGALRM}, {"TERM", SIGTERM},   {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ},
    {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},
    {"PWR", SIGPWR},       {"SYS", SIGSYS},
};

/* core.signals: the numbers of signals by their names. */
static void set_signals(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        lua_pushinteger(L, signals[i].number);
        lua_setfield(L, -2, signals[i].name);
    }
    lua_setfield(L, -2, "signals");
}

/* environment(): what this process has, as an array of "NAME=value". */
static int process_environment(lua_State *L)
{
    lua_newtable(L);
    for (int i = 0; environ && environ[i]; i++) {
        lua_pushstring(L, environ[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* is_terminal(fd): whether one of the standard streams is. */
static int process_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)halo_check_size(L, 1, "spawn", INT32_MAX)));
    return 1;
}

static const luaL_Reg functions[] = {
    {"pipe", process_pipe},
    {"null", process_null},
    {"spawn_process", process_spawn},
    {"wait_process", process_wait},
    {"reap_process", process_reap},
    {"signal_process", process_signal},
    {"environment", process_environment},
    {"is_terminal_fd", process_is_terminal},
    {NULL, NULL},
};

void halo_open_process(lua_State *L)
{
    halo_register(L, functions);
    set_signals(L);
}
