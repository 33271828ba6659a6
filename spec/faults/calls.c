/*
 * The system calls of halo's own objects (--wrap, see the Makefile, which reads their names from
 * here): one that is made within an operation's twin may fail, having done nothing. A close is
 * carried out all the same, as Linux does it.
 */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

struct statx;

static _Thread_local const char *way = "twin";

static char swapped[2][PATH_MAX];
static bool openat2_denied;

void faults_set_names(const char *one, const char *other)
{
    snprintf(swapped[0], PATH_MAX, "%s", one);
    snprintf(swapped[1], PATH_MAX, "%s", other);
}

void faults_deny_openat2(bool denied)
{
    openat2_denied = denied;
}

int REAL(renameat2)(int base, const char *path, int base2, const char *path2, unsigned flags);
int REAL(unlinkat)(int base, const char *path, int flags);

/* What somebody else may do between any two calls. */
static void swap(void)
{
    if (swapped[1][0])
        REAL(renameat2)(AT_FDCWD, swapped[0], AT_FDCWD, swapped[1], RENAME_EXCHANGE);
    else
        REAL(unlinkat)(AT_FDCWD, swapped[0], 0);
}

/* Of one that moves bytes. */
static int next_move(const char *name)
{
    bool within = faults_within(false);
    faults_within(within);
    int error = within ? faults_next(FAULTS_CALL, FAULTS_ANY_OP, name, way) : 0;
    if (error != FAULTS_SWAP)
        return error;
    swap();
    return 0;
}

static int next_fault(const char *name)
{
    int error = next_move(name);
    return error == FAULTS_NONE_MOVED ? 0 : error;
}

/* A function that says -1 and sets errno. */
#define FAULTY(type, name, declared, passed)                                                       \
    type REAL(name) declared;                                                                      \
    type WRAP(name) declared                                                                       \
    {                                                                                              \
        int error = next_fault(#name);                                                             \
        if (error && error != FAULTS_SHORT) {                                                      \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
        return REAL(name) passed;                                                                  \
    }

/* The same, which moves bytes and may move fewer. */
#define MOVES(name, declared, passed)                                                              \
    ssize_t REAL(name) declared;                                                                   \
    ssize_t WRAP(name) declared                                                                    \
    {                                                                                              \
        int error = next_move(#name);                                                              \
        if (error == FAULTS_NONE_MOVED)                                                            \
            return 0;                                                                              \
        if (error && error != FAULTS_SHORT) {                                                      \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
        if (error && size > 0)                                                                     \
            size = 1;                                                                              \
        return REAL(name) passed;                                                                  \
    }

MOVES(read, (int fd, void *data, size_t size), (fd, data, size))
MOVES(write, (int fd, const void *data, size_t size), (fd, data, size))
MOVES(pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
MOVES(pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
MOVES(copy_file_range, (int from, off_t *in, int to, off_t *out, size_t size, unsigned flags),
      (from, in, to, out, size, flags))

/* Those of one part, which are all that halo makes. */
#define MOVES_PART(name)                                                                           \
    ssize_t REAL(name)(int fd, const struct iovec *parts, int count, off_t at, int flags);         \
    ssize_t WRAP(name)(int fd, const struct iovec *parts, int count, off_t at, int flags)          \
    {                                                                                              \
        struct iovec part = parts[0];                                                              \
        int error = next_move(#name);                                                              \
        if (error == FAULTS_NONE_MOVED)                                                            \
            return 0;                                                                              \
        if (error && error != FAULTS_SHORT) {                                                      \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
        if (error && part.iov_len > 0)                                                             \
            part.iov_len = 1;                                                                      \
        return REAL(name)(fd, count == 1 ? &part : parts, count, at, flags);                       \
    }

MOVES_PART(preadv2)
MOVES_PART(pwritev2)

FAULTY(ssize_t, getdents64, (int fd, void *entries, size_t size), (fd, entries, size))
FAULTY(off_t, lseek, (int fd, off_t at, int whence), (fd, at, whence))
FAULTY(int, fsync, (int fd), (fd))
FAULTY(int, fdatasync, (int fd), (fd))
FAULTY(int, sync_file_range, (int fd, off64_t at, off64_t size, unsigned flags),
       (fd, at, size, flags))
FAULTY(int, ftruncate, (int fd, off_t size), (fd, size))
FAULTY(int, truncate, (const char *path, off_t size), (path, size))
FAULTY(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
FAULTY(int, flock, (int fd, int what), (fd, what))
FAULTY(int, fstat, (int fd, struct stat *status), (fd, status))
FAULTY(int, fstatat, (int base, const char *path, struct stat *status, int flags),
       (base, path, status, flags))
FAULTY(int, statx, (int base, const char *path, int flags, unsigned mask, struct statx *status),
       (base, path, flags, mask, status))
FAULTY(int, fstatfs, (int fd, struct statfs *status), (fd, status))
FAULTY(int, statfs, (const char *path, struct statfs *status), (path, status))
FAULTY(int, access, (const char *path, int mode), (path, mode))
FAULTY(int, faccessat, (int base, const char *path, int mode, int flags), (base, path, mode, flags))
FAULTY(int, chmod, (const char *path, mode_t mode), (path, mode))
FAULTY(int, fchmod, (int fd, mode_t mode), (fd, mode))
FAULTY(int, fchmodat, (int base, const char *path, mode_t mode, int flags),
       (base, path, mode, flags))
FAULTY(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
FAULTY(int, fchownat, (int base, const char *path, uid_t uid, gid_t gid, int flags),
       (base, path, uid, gid, flags))
FAULTY(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
FAULTY(int, utimensat, (int base, const char *path, const struct timespec times[2], int flags),
       (base, path, times, flags))
FAULTY(int, renameat, (int base, const char *path, int base2, const char *path2),
       (base, path, base2, path2))
FAULTY(int, renameat2, (int base, const char *path, int base2, const char *path2, unsigned flags),
       (base, path, base2, path2, flags))
FAULTY(int, unlinkat, (int base, const char *path, int flags), (base, path, flags))
FAULTY(int, mkdirat, (int base, const char *path, mode_t mode), (base, path, mode))
FAULTY(int, mknodat, (int base, const char *path, mode_t mode, dev_t device),
       (base, path, mode, device))
FAULTY(int, linkat, (int base, const char *path, int base2, const char *path2, int flags),
       (base, path, base2, path2, flags))
FAULTY(int, symlinkat, (const char *text, int base, const char *path), (text, base, path))
FAULTY(ssize_t, readlinkat, (int base, const char *path, char *text, size_t size),
       (base, path, text, size))
FAULTY(ssize_t, getxattr, (const char *path, const char *name, void *value, size_t size),
       (path, name, value, size))
FAULTY(ssize_t, lgetxattr, (const char *path, const char *name, void *value, size_t size),
       (path, name, value, size))
FAULTY(ssize_t, fgetxattr, (int fd, const char *name, void *value, size_t size),
       (fd, name, value, size))
FAULTY(int, setxattr,
       (const char *path, const char *name, const void *value, size_t size, int flags),
       (path, name, value, size, flags))
FAULTY(int, lsetxattr,
       (const char *path, const char *name, const void *value, size_t size, int flags),
       (path, name, value, size, flags))
FAULTY(int, fsetxattr, (int fd, const char *name, const void *value, size_t size, int flags),
       (fd, name, value, size, flags))
FAULTY(ssize_t, listxattr, (const char *path, char *names, size_t size), (path, names, size))
FAULTY(ssize_t, llistxattr, (const char *path, char *names, size_t size), (path, names, size))
FAULTY(ssize_t, flistxattr, (int fd, char *names, size_t size), (fd, names, size))
FAULTY(int, removexattr, (const char *path, const char *name), (path, name))
FAULTY(int, lremovexattr, (const char *path, const char *name), (path, name))
FAULTY(int, fremovexattr, (int fd, const char *name), (fd, name))
FAULTY(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))

/* ---- those of another form ----------------------------------------------------------------- */

int REAL(close)(int fd);
int WRAP(close)(int fd)
{
    int error = next_fault("close");
    int result = REAL(close)(fd);
    if (error && error != FAULTS_SHORT) {
        errno = error;
        return -1;
    }
    return result;
}

/* A function that returns its error. */
#define RETURNS(name, declared, passed)                                                            \
    int REAL(name) declared;                                                                       \
    int WRAP(name) declared                                                                        \
    {                                                                                              \
        int error = next_fault(#name);                                                             \
        return error && error != FAULTS_SHORT ? error : REAL(name) passed;                         \
    }

RETURNS(posix_fadvise, (int fd, off_t at, off_t size, int advice), (fd, at, size, advice))
RETURNS(posix_spawn_file_actions_init, (void *actions), (actions))
RETURNS(posix_spawn_file_actions_adddup2, (void *actions, int fd, int to), (actions, fd, to))
RETURNS(posix_spawn_file_actions_addfchdir_np, (void *actions, int fd), (actions, fd))
RETURNS(posix_spawn_file_actions_addclosefrom_np, (void *actions, int from), (actions, from))
RETURNS(posix_spawnattr_init, (void *attributes), (attributes))
RETURNS(posix_spawnattr_setflags, (void *attributes, short flags), (attributes, flags))

char *REAL(realpath)(const char *path, char *resolved);
char *WRAP(realpath)(const char *path, char *resolved)
{
    int error = next_fault("realpath");
    if (!error || error == FAULTS_SHORT)
        return REAL(realpath)(path, resolved);
    errno = error;
    return NULL;
}

int REAL(open)(const char *path, int flags, ...);
int WRAP(open)(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    int error = next_fault("open");
    if (!error || error == FAULTS_SHORT)
        return REAL(open)(path, flags, mode);
    errno = error;
    return -1;
}

int REAL(openat)(int base, const char *path, int flags, ...);
int WRAP(openat)(int base, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    int error = next_fault("openat");
    if (!error || error == FAULTS_SHORT)
        return REAL(openat)(base, path, flags, mode);
    errno = error;
    return -1;
}

int REAL(ioctl)(int fd, unsigned long request, ...);
int WRAP(ioctl)(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    int error = next_fault("ioctl");
    if (!error || error == FAULTS_SHORT)
        return REAL(ioctl)(fd, request, argument);
    errno = error;
    return -1;
}

/* Of these halo makes openat2. */
long REAL(syscall)(long number, ...);
long WRAP(syscall)(long number, ...)
{
    va_list rest;
    long a[5];
    va_start(rest, number);
    for (int i = 0; i < 5; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    int error = openat2_denied ? ENOSYS : next_fault("openat2");
    if (!error || error == FAULTS_SHORT)
        return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4]);
    errno = error;
    return -1;
}

/* ---- what counts beside the twins ---------------------------------------------------------- */

/* Tries without a record, see core/fast.c: they decline what fails. */
#define TRIES(name, declared, passed)                                                              \
    int64_t REAL(name) declared;                                                                   \
    int64_t WRAP(name) declared                                                                    \
    {                                                                                              \
        bool before = faults_within(true);                                                         \
        way = "try";                                                                               \
        int64_t result = REAL(name) passed;                                                        \
        way = "twin";                                                                              \
        faults_within(before);                                                                     \
        return result;                                                                             \
    }

struct halo_loop;

TRIES(halo_fast_read,
      (struct halo_loop * loop, uint64_t file, void *data, size_t length, uint64_t offset,
       unsigned flags),
      (loop, file, data, length, offset, flags))
TRIES(halo_fast_write,
      (struct halo_loop * loop, uint64_t file, const void *data, size_t length, uint64_t offset,
       unsigned flags),
      (loop, file, data, length, offset, flags))
TRIES(halo_fast_stat,
      (struct halo_loop * loop, const char *path, bool follow, struct statx *status,
       unsigned flags),
      (loop, path, follow, status, flags))
TRIES(halo_fast_fstat,
      (struct halo_loop * loop, uint64_t file, struct statx *status, unsigned flags),
      (loop, file, status, flags))
TRIES(halo_fast_readfile,
      (struct halo_loop * loop, const char *path, void *data, size_t size, int *stream_fd,
       unsigned flags),
      (loop, path, data, size, stream_fd, flags))
