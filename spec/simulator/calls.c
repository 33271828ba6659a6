/*
 * The system calls of halo's own objects: descriptors, data, and the rest. Each takes time, may
 * fail by the weather, and goes to the model; only what is about a descriptor of the process itself
 * goes on to the real one.
 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "model.h"
#include "trace.h"
#include "weather.h"
#include "worker.h"

#define CALL_NS        2000
#define LONG_CALL_NS   200000
#define RESOLVE_CACHED 0x20

int64_t give(const char *name, int64_t subject, int64_t result)
{
    clock_pass_ns(weather_chance(20) ? weather_below(LONG_CALL_NS) : weather_below(CALL_NS));
    trace(name, (uint64_t)subject, result);
    if (weather_chance(weather.pauses))
        worker_stand_still();
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

/* ---- opening and closing ------------------------------------------------------------------- */

int WRAP(openat)(int base, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    GIVE(FAULT_OPEN, base, model_open(base, path, flags, mode, 0));
}

int WRAP(open)(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    GIVE(FAULT_OPEN, AT_FDCWD, model_open(AT_FDCWD, path, flags, mode, 0));
}

/* The kernel's cache does not have every name. */
static int64_t open_how(int base, const char *path, const struct open_how *how)
{
    if ((how->resolve & RESOLVE_CACHED) && weather_chance(100))
        return -EAGAIN;
    return model_open(base, path, (int)how->flags, (mode_t)how->mode, how->resolve);
}

long WRAP(syscall)(long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    int base = va_arg(arguments, int);
    const char *path = va_arg(arguments, const char *);
    const struct open_how *how = va_arg(arguments, const struct open_how *);
    va_end(arguments);
    if (number != SYS_openat2)
        fail("system call %ld is not modelled", number);
    if (!weather.openat2)
        return give("syscall", base, -ENOSYS);
    GIVE(FAULT_OPEN, base, open_how(base, path, how));
}

int REAL(close)(int fd);
int WRAP(close)(int fd)
{
    if (!model_owns(fd))
        return REAL(close)(fd);
    int fault = weather_fault(FAULT_CLOSE);
    int error = model_close(fd); /* the number is free whatever close(2) says */
    if (error)
        fail("close of descriptor %d, which is not open", fd);
    return (int)give("close", fd, -fault);
}

int REAL(fcntl)(int fd, int command, ...);
int WRAP(fcntl)(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    long value = va_arg(arguments, long);
    va_end(arguments);
    if (!model_owns(fd))
        return REAL(fcntl)(fd, command, value);
    struct model_handle *handle = model_handle(fd);
    if (!handle)
        return (int)give("fcntl", fd, -EBADF);
    if (command == F_DUPFD_CLOEXEC)
        return (int)give("fcntl", fd, model_duplicate(fd));
    if (command == F_SETFL)
        handle->flags = (handle->flags & ~O_NONBLOCK) | ((int)value & O_NONBLOCK);
    return (int)give("fcntl", fd, command == F_GETFL ? handle->flags : 0);
}

/* ---- data ---------------------------------------------------------------------------------- */

ssize_t REAL(read)(int fd, void *data, size_t length);
ssize_t WRAP(read)(int fd, void *data, size_t length)
{
    if (!model_owns(fd))
        return REAL(read)(fd, data, length);
    GIVE(FAULT_READ, fd, model_read(fd, data, weather_shorten(length), -1));
}

ssize_t WRAP(pread)(int fd, void *data, size_t length, off_t offset)
{
    GIVE(FAULT_READ, fd, model_read(fd, data, weather_shorten(length), offset));
}

/* With RWF_NOWAIT the answer may be that it would have to wait; FIFOs do not know the flag. */
ssize_t WRAP(preadv2)(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    const struct model_handle *handle = model_handle(fd);
    (void)count;
    (void)flags;
    if (handle && handle->node->stream)
        return give("preadv2", fd, -EOPNOTSUPP);
    if (weather_chance(100))
        return give("preadv2", fd, -EAGAIN);
    GIVE(FAULT_READ, fd, model_read(fd, parts->iov_base, weather_shorten(parts->iov_len), offset));
}

ssize_t REAL(write)(int fd, const void *data, size_t length);
ssize_t WRAP(write)(int fd, const void *data, size_t length)
{
    if (!model_owns(fd))
        return REAL(write)(fd, data, length);
    GIVE(FAULT_WRITE, fd, model_write(fd, data, weather_shorten(length), -1));
}

ssize_t WRAP(pwrite)(int fd, const void *data, size_t length, off_t offset)
{
    GIVE(FAULT_WRITE, fd, model_write(fd, data, weather_shorten(length), offset));
}

ssize_t WRAP(pwritev2)(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    (void)parts;
    (void)count;
    (void)offset;
    (void)flags;
    return give("pwritev2", fd, -EOPNOTSUPP);
}

struct model_node *node_of(int fd)
{
    struct model_handle *handle = model_handle(fd);
    return handle ? handle->node : NULL;
}

/* A failure is told once; the next call would succeed although the data is lost. */
static int64_t sync_node(int fd)
{
    struct model_node *node = node_of(fd);
    if (!node)
        return -EBADF;
    if (node->stream)
        return -EINVAL;
    int lost = node->lost;
    node->lost = 0;
    node->dirty = false;
    return -lost;
}

int WRAP(fsync)(int fd)
{
    GIVE(FAULT_SYNC, fd, sync_node(fd));
}

int WRAP(fdatasync)(int fd)
{
    GIVE(FAULT_SYNC, fd, sync_node(fd));
}

int WRAP(sync_file_range)(int fd, off_t offset, off_t length, unsigned flags)
{
    (void)offset;
    (void)length;
    (void)flags;
    GIVE(FAULT_SYNC, fd, sync_node(fd));
}

void WRAP(sync)(void)
{
    give("sync", 0, 0);
}

static int64_t truncate_fd(int fd, off_t size)
{
    struct model_handle *handle = model_handle(fd);
    if (!handle)
        return -EBADF;
    if ((handle->flags & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    return model_truncate(handle->node, (size_t)size);
}

int WRAP(ftruncate)(int fd, off_t size)
{
    GIVE(FAULT_WRITE, fd, truncate_fd(fd, size));
}

static int64_t truncate_path(const char *path, off_t size)
{
    struct model_node *node;
    int error = model_find(AT_FDCWD, path, true, &node);
    return error ? error : model_truncate(node, (size_t)size);
}

int WRAP(truncate)(const char *path, off_t size)
{
    GIVE(FAULT_WRITE, 0, truncate_path(path, size));
}

int WRAP(fallocate)(int fd, int mode, off_t offset, off_t length)
{
    GIVE(FAULT_WRITE, fd, model_fallocate(fd, mode, offset, length));
}

/* Returns its error. */
int WRAP(posix_fadvise)(int fd, off_t offset, off_t length, int advice)
{
    const struct model_node *node = node_of(fd);
    (void)offset;
    (void)length;
    (void)advice;
    int error = !node ? EBADF : node->stream ? ESPIPE : 0;
    give("fadvise", fd, -error);
    return error;
}

off_t REAL(lseek)(int fd, off_t offset, int whence);
off_t WRAP(lseek)(int fd, off_t offset, int whence)
{
    if (!model_owns(fd))
        return REAL(lseek)(fd, offset, whence);
    return give("lseek", fd, model_seek(fd, offset, whence));
}

int WRAP(flock)(int fd, int how)
{
    GIVE(FAULT_LOCK, fd, model_flock(fd, how));
}

/* Copies a piece, where it does at all. */
static int64_t copy_range(int from, off_t *in, int to, off_t *out, size_t length)
{
    char piece[4096];
    if (weather_chance(200))
        return -EXDEV;
    ssize_t got = model_read(from, piece, length < sizeof(piece) ? length : sizeof(piece), *in);
    if (got > 0)
        got = model_write(to, piece, weather_shorten((size_t)got), *out);
    if (got > 0) {
        *in += got;
        *out += got;
    }
    return got;
}

ssize_t WRAP(copy_file_range)(int from, off_t *in, int to, off_t *out, size_t length,
                              unsigned flags)
{
    (void)flags;
    GIVE(FAULT_WRITE, to, copy_range(from, in, to, out, length));
}

int WRAP(ioctl)(int fd, unsigned long request, ...)
{
    return (int)give("ioctl", fd, request == FICLONE ? -EOPNOTSUPP : -ENOTTY);
}

/* ---- the rest ------------------------------------------------------------------------------ */

int REAL(poll)(struct pollfd *polled, nfds_t count, int timeout_ms);
int WRAP(poll)(struct pollfd *polled, nfds_t count, int timeout_ms)
{
    if (count != 1 || !model_owns(polled->fd))
        return REAL(poll)(polled, count, timeout_ms);
    polled->revents = model_poll(polled->fd, polled->events);
    return (int)give("poll", polled->fd, polled->revents != 0);
}

static char mountinfo[] = "1 0 0:1 / / rw - ext4 disk rw\n"
                          "2 1 0:2 / /slow rw - fuse.slow other rw\n";

/* The table of mounts is all that halo reads by streams of C. */
FILE *WRAP(fopen)(const char *path, const char *mode)
{
    (void)mode;
    if (strcmp(path, "/proc/self/mountinfo") != 0) {
        errno = ENOENT;
        return NULL;
    }
    size_t first_line = strcspn(mountinfo, "\n") + 1;
    return fmemopen(mountinfo, weather.one_mount ? first_line : strlen(mountinfo), "r");
}

int WRAP(clock_gettime)(clockid_t clock, struct timespec *now)
{
    (void)clock;
    clock_pass_ns(30);
    now->tv_sec = (time_t)(clock_now_ns() / 1000000000);
    now->tv_nsec = (long)(clock_now_ns() % 1000000000);
    return 0;
}

static void pass(const struct timespec *time)
{
    clock_pass_ns((uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec);
}

int WRAP(nanosleep)(const struct timespec *time, struct timespec *left)
{
    (void)left;
    pass(time);
    return 0;
}

int WRAP(clock_nanosleep)(clockid_t clock, int flags, const struct timespec *time,
                          struct timespec *left)
{
    (void)clock;
    (void)flags;
    (void)left;
    pass(time);
    return 0;
}

ssize_t WRAP(getrandom)(void *data, size_t length, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)data)[i] = (uint8_t)weather_below(256);
    return (ssize_t)length;
}
