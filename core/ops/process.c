/*
 * Processes. One is known by a descriptor (pidfd_open(2)), which is a file of the loop's: it polls
 * readable when the process has ended, so that no worker is held by a wait, and its number cannot
 * come to mean another process before it is reaped.
 */
#include "ops/ops.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "loop.h"
#include "ops/shared.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int open_pidfd(pid_t pid)
{
    return halo_fd_move_up((int)syscall(SYS_pidfd_open, pid, 0));
}

/* ---- starting ------------------------------------------------------------------------------ */

/* Those of standard streams and of the directory, in one array. */
static int *own_fd(struct halo_spawn *spawn, int i)
{
    return i < 3 ? &spawn->fds[i] : &spawn->cwd_fd;
}

static void close_own(struct halo_spawn *spawn)
{
    for (int i = 0; i < 4; i++)
        if (*own_fd(spawn, i) >= 0)
            close(*own_fd(spawn, i));
}

/* The caller may close its files while a worker starts the process. */
static int duplicate(struct halo_spawn *spawn)
{
    int error = 0;

    for (int i = 0; i < 4; i++) {
        int *fd = own_fd(spawn, i);
        if (*fd < 0)
            continue;
        *fd = error ? -1 : fcntl(*fd, F_DUPFD_CLOEXEC, HALO_FD_FIRST);
        if (*fd < 0 && !error)
            error = -errno;
    }
    if (error)
        close_own(spawn);
    return error;
}

static int spawn_begin(struct halo_loop *loop, struct halo_op *op)
{
    int error = duplicate(op->spawn);
    if (error)
        return error;
    error = halo_files_reserve(&loop->files, loop->config.max_files, &op->slot);
    if (error)
        close_own(op->spawn);
    return error;
}

/* Nothing of this process's is left to the new one but its three streams. */
static int add_actions(posix_spawn_file_actions_t *actions, const struct halo_spawn *spawn)
{
    int error = 0;

    if (spawn->cwd_fd >= 0)
        error = posix_spawn_file_actions_addfchdir_np(actions, spawn->cwd_fd);
    for (int i = 0; i < 3 && !error; i++)
        if (spawn->fds[i] >= 0)
            error = posix_spawn_file_actions_adddup2(actions, spawn->fds[i], i);
    return error ? error : posix_spawn_file_actions_addclosefrom_np(actions, HALO_FD_FIRST);
}

/*
 * Workers block all signals, and a program with a loop of its own mostly ignores SIGPIPE: the new
 * process should know nothing of either, unless it is to have what a shell's child would have.
 */
static int set_attributes(posix_spawnattr_t *attributes, const struct halo_spawn *spawn)
{
    int flags = POSIX_SPAWN_SETSIGMASK;
    sigset_t signals;

    sigemptyset(&signals);
    posix_spawnattr_setsigmask(attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    posix_spawnattr_setsigdefault(attributes, &signals);
    posix_spawnattr_setpgroup(attributes, 0);
    if (!spawn->keeps_ignored)
        flags |= POSIX_SPAWN_SETSIGDEF;
    if (spawn->group)
        flags |= POSIX_SPAWN_SETPGROUP;
    return posix_spawnattr_setflags(attributes, (short)flags);
}

/* Returns the process's number or -errno. */
static int64_t start(const struct halo_spawn *spawn)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = 0;

    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return -error;
    error = posix_spawnattr_init(&attributes);
    if (error)
        goto destroy_actions;
    error = add_actions(&actions, spawn);
    if (!error)
        error = set_attributes(&attributes, spawn);
    if (!error)
        error = posix_spawnp(&pid, spawn->argv[0], &actions, &attributes, spawn->argv,
                             spawn->envp ? spawn->envp : environ);
    posix_spawnattr_destroy(&attributes);
destroy_actions:
    posix_spawn_file_actions_destroy(&actions);
    return error ? -error : pid;
}

/*
 * A descriptor is had before the process is, since nobody could wait for one that came to be
 * without: where there is no room for it, nothing is started.
 */
static int64_t spawn_block(struct halo_op *op)
{
    int reserved = open_pidfd(getpid());
    if (reserved < 0)
        return -errno;
    int64_t pid = start(op->spawn);
    close(reserved);
    if (pid < 0)
        return pid;
    op->fd = open_pidfd((pid_t)pid);
    if (op->fd >= 0)
        return pid;
    int error = errno;
    kill((pid_t)pid, SIGKILL);
    waitpid((pid_t)pid, NULL, 0);
    return -error;
}

static enum halo_step spawn_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    struct halo_file *file = op->slot;

    op->slot = NULL;
    close_own(op->spawn);
    op->result = result;
    if (result < 0) {
        halo_files_vacate(&loop->files, file);
        return HALO_STEP_DONE;
    }
    file->fd = op->fd;
    file->state = HALO_FILE_OPEN;
    file->stream = file->local = true; /* it is polled, and closed at once */
    file->pid = (int)result;
    file->leads_group = op->spawn->group;
    op->file = halo_file_handle(file);
    return HALO_STEP_DONE;
}

int halo_file_signal(struct halo_loop *loop, uint64_t handle, int signal_number)
{
    const struct halo_file *file = halo_files_find_open(&loop->files, handle);

    if (!file || !file->pid)
        return -EBADF;
    if (file->leads_group)
        return (int)halo_result_of(kill(-file->pid, signal_number));
    return (int)halo_result_of(syscall(SYS_pidfd_send_signal, file->fd, signal_number, NULL, 0));
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* How the process has ended, or -errno. */
static int ask(int pidfd, int options)
{
    siginfo_t how;

    memset(&how, 0, sizeof(how));
    if (waitid(P_PIDFD, (id_t)pidfd, &how, WEXITED | WNOHANG | options) < 0)
        return -errno;
    if (how.si_pid == 0)
        return -EAGAIN; /* it has not ended */
    if (how.si_code == CLD_EXITED)
        return how.si_status;
    return HALO_SIGNALED + (how.si_code == CLD_DUMPED ? HALO_DUMPED : 0) + how.si_status;
}

/* A wait takes nothing, so that nothing is lost where nobody takes its result. */
static int64_t wait_block(struct halo_op *op)
{
    int how = ask(op->fd, WNOWAIT);
    return how < 0 && how != -ECHILD ? how : 0;
}

int halo_file_reap(struct halo_loop *loop, uint64_t handle)
{
    const struct halo_file *file = halo_files_find_open(&loop->files, handle);
    if (!file || !file->pid)
        return -EBADF;
    int how = ask(file->fd, 0);
    if (how != -EAGAIN)
        halo_file_drop(loop, handle);
    return how;
}

/* ---- nobody's ------------------------------------------------------------------------------ */

static enum halo_step reap_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    op->result = result;
    if (halo_file_reap(loop, op->file) == -EAGAIN)
        halo_file_drop(loop, op->file);
    return HALO_STEP_DONE;
}

static const struct halo_op_row reap_row = {
    .code = HALO_OP_WAIT,
    .name = "wait",
    .opcode = HALO_NO_OPCODE,
    .poll_events = POLLIN,
    .on_file = true,
    .block = wait_block,
    .finish = reap_finish,
};

/* A process that nobody takes is killed and waited for. */
static bool spawn_undo(struct halo_loop *loop, struct halo_op *op)
{
    halo_file_signal(loop, op->file, SIGKILL);
    op->row = &reap_row;
    op->length = 1;
    return true;
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_spawn_row = {
    .code = HALO_OP_SPAWN,
    .name = "spawn",
    .opcode = HALO_NO_OPCODE,
    .begin = spawn_begin,
    .block = spawn_block,
    .finish = spawn_finish,
    .undo = spawn_undo,
};

const struct halo_op_row halo_wait_row = {
    .code = HALO_OP_WAIT,
    .name = "wait",
    .opcode = HALO_NO_OPCODE,
    .poll_events = POLLIN,
    .on_file = true,
    .block = wait_block,
};
