/*
 * shared.h: what the files of the operations share.
 */
#ifndef HALO_OPS_SHARED_H
#define HALO_OPS_SHARED_H

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "ops/ops.h"

#define OPCODE_FTRUNCATE 55 /* since Linux 6.9; older headers do not name it */

#define HALO_STATX_WANTED (STATX_BASIC_STATS | STATX_BTIME)

/*
 * A path that is refused wherever it would lead. io_uring checks in another order than the system
 * call, and would report another fault: the plain call has to decide.
 */
static inline bool halo_path_is_refused(const char *path)
{
    size_t length = strlen(path);
    return length == 0 || length >= PATH_MAX;
}

/* A system call's result as an operation's: -errno where it failed. */
static inline int64_t halo_result_of(int64_t returned)
{
    return returned < 0 ? -errno : returned;
}

/*
 * Opens a file without waiting for the other end of a FIFO. A file under a lease answers EAGAIN to
 * that, and is opened again so that the lease's holder is waited for; at_once leaves the EAGAIN.
 * Returns the descriptor or -errno. All files are opened by this, but for those that the ring
 * opens.
 */
int halo_open_at(int base_fd, const char *path, int flags, mode_t mode, bool at_once);

/* As pread(2), but fails with EAGAIN where it would have to wait for a disk. */
int64_t halo_read_cached(struct halo_file *file, void *data, size_t length, off_t offset);

/* Whether the operation has been asked to end; for twins that make many system calls. */
static inline bool halo_op_is_cancelled(const struct halo_op *op)
{
    return __atomic_load_n(&op->cancelled, __ATOMIC_RELAXED) ||
           (op->interrupt && __atomic_load_n(op->interrupt, __ATOMIC_RELAXED));
}

#define HALO_RETRIES_AT_ONCE 16
#define HALO_RETRIES_MAX     1000

/*
 * Whether a call that a signal has interrupted should be made again, after a pause once that keeps
 * happening; tries counts from 0. For twins that make many calls: starting the operation over would
 * repeat what has been done.
 */
static inline bool halo_op_retries(const struct halo_op *op, unsigned *tries)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    if (++*tries > HALO_RETRIES_MAX || halo_op_is_cancelled(op))
        return false;
    if (*tries > HALO_RETRIES_AT_ONCE)
        nanosleep(&pause, NULL);
    return true;
}

/* As halo_open_at() below the operation's base; one that is interrupted is made again. */
static inline int halo_op_open_at(const struct halo_op *op, const char *path, int flags,
                                  mode_t mode, bool at_once)
{
    unsigned tries = 0;
    int fd;

    do
        fd = halo_open_at(op->base_fd, path, flags, mode, at_once);
    while (fd == -EINTR && halo_op_retries(op, &tries));
    return fd;
}

/*
 * As fstatat(2), or of a descriptor itself where path is NULL; one that is interrupted, as a file
 * system in user space may be, is made again. Returns 0 or -errno.
 */
static inline int halo_op_stat_at(const struct halo_op *op, int fd, const char *path,
                                  struct stat *status, int flags)
{
    unsigned tries = 0;
    int result;

    do
        result = (int)halo_result_of(path ? fstatat(fd, path, status, flags) : fstat(fd, status));
    while (result == -EINTR && halo_op_retries(op, &tries));
    return result;
}

#endif
