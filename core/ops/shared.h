/*
 * shared.h: what the files of the operations share.
 */
#ifndef HALO_OPS_SHARED_H
#define HALO_OPS_SHARED_H

#include <errno.h>
#include <fcntl.h>
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

/* Those of an open that does not wait for the other end of a FIFO. */
static inline int halo_open_flags(int flags)
{
    return flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK);
}

/*
 * Opens a file in one of the operation's bases without waiting for the other end of a FIFO. A file
 * under a lease answers EAGAIN to that, and is opened again so that the lease's holder is waited
 * for; at_once leaves the EAGAIN. Returns the descriptor or -errno. All files are opened by this,
 * but for those that the ring opens.
 */
int halo_open_at(const struct halo_op *op, int base_fd, const char *path, int flags, mode_t mode,
                 bool at_once);

/*
 * As mknodat(2): 0 or -errno. Through a device of one's own making all that it holds could be read,
 * whatever its path: behind a fence it is what it is for everybody but root.
 */
static inline int64_t halo_op_make_node(const struct halo_op *op, int dir_fd, const char *name,
                                        mode_t mode, dev_t device)
{
    if (op->no_devices && (S_ISCHR(mode) || S_ISBLK(mode)))
        return -EPERM;
    return halo_result_of(mknodat(dir_fd, name, mode, device));
}

/* What an open in one of the operation's bases answers, where that is a root it must not leave. */
int halo_op_outside(const struct halo_op *op, int base_fd, int fd);

/* As pread(2), but fails with EAGAIN where it would have to wait for a disk. */
int64_t halo_read_cached(struct halo_file *file, void *data, size_t length, off_t offset);

/* Whether the operation has been asked to end; for twins that make many system calls. */
static inline bool halo_op_is_cancelled(const struct halo_op *op)
{
    return __atomic_load_n(&op->cancelled, __ATOMIC_RELAXED) ||
           (op->interrupt && __atomic_load_n(op->interrupt, __ATOMIC_RELAXED));
}

/* As fstatat(2) in one of its bases, where flags is 0 or AT_SYMLINK_NOFOLLOW: 0 or -errno. */
int halo_op_stat_at(const struct halo_op *op, int base_fd, const char *path, int flags,
                    struct stat *status);

/*
 * Looks at what a name in the directory of the operation's path leads to, whose descriptor is
 * dir_fd: 0 or -errno.
 */
int halo_op_look_into(const struct halo_op *op, int dir_fd, const char *name,
                      struct statx *statx_now);

/*
 * Opens what stands before the last name of a path in one of the operation's bases, and finds that
 * name, for a call that makes or changes it there. Returns the descriptor or -errno.
 */
int halo_op_open_above(const struct halo_op *op, int base_fd, const char *path, const char **name);

/*
 * Takes away the name of a file that the operation has made, unless it is another file's by now.
 */
void halo_op_remove_made(const struct halo_op *op, int base_fd, const char *path,
                         const struct stat *made);

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

/* As halo_open_at(); one that is interrupted is made again. */
static inline int halo_op_open_from(const struct halo_op *op, int base_fd, const char *path,
                                    int flags, mode_t mode, bool at_once)
{
    unsigned tries = 0;
    int fd;

    do
        fd = halo_open_at(op, base_fd, path, flags, mode, at_once);
    while (fd == -EINTR && halo_op_retries(op, &tries));
    return fd;
}

/* The same below the operation's base. */
static inline int halo_op_open_at(const struct halo_op *op, const char *path, int flags,
                                  mode_t mode, bool at_once)
{
    return halo_op_open_from(op, op->base_fd, path, flags, mode, at_once);
}

/* As fstat(2): 0 or -errno. One that is interrupted, as of a file in FUSE, is made again. */
static inline int halo_op_fstat(const struct halo_op *op, int fd, struct stat *status)
{
    unsigned tries = 0;
    int result;

    do
        result = (int)halo_result_of(fstat(fd, status));
    while (result == -EINTR && halo_op_retries(op, &tries));
    return result;
}

#endif
