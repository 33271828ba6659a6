/*
 * faults.so, preloaded: calls of libc and of liburing that fail, or take long. HALO_FAULTS says
 * which, as rules with a blank between them,
 *
 *     CALL:ERRNO:DELAY_MS:SKIP:COUNT:PATH
 *
 * of which the first that fits a call decides. The first SKIP calls are let through, the COUNT
 * after them fail with ERRNO (all of them where COUNT is -1), having done nothing. ERRNO 0 means
 * to return 0, and -1 to do what was asked after all. PATH, unless it is empty, has to be a part
 * of the path that is given, or that the descriptor leads to. Each call that a rule has decided
 * is a line in the file HALO_FAULTS_LOG. An open with O_PATH is none.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 16

struct rule {
    char call[40], path[200];
    int error;
    long delay_ms;
    int skip, count;
    atomic_int seen;
};

static struct rule rules[RULES_MAX];
static int rule_count;
static const char *log_path;

__attribute__((constructor)) static void parse(void)
{
    const char *text = getenv("HALO_FAULTS");
    int length;

    log_path = getenv("HALO_FAULTS_LOG");
    while (text && *text && rule_count < RULES_MAX) {
        struct rule *rule = &rules[rule_count];
        if (sscanf(text, "%39[^:]:%d:%ld:%d:%d:%n", rule->call, &rule->error, &rule->delay_ms,
                   &rule->skip, &rule->count, &length) < 5)
            break;
        rule_count++;
        text += length;
        length = (int)strcspn(text, " ");
        snprintf(rule->path, sizeof(rule->path), "%.*s", length, text);
        text += length;
        text += strspn(text, " ");
    }
}

/* Ours below go around the one that is replaced here. */
static long plain(long number, long a, long b, long c, long d)
{
    static long (*real)(long, ...);
    if (!real)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real(number, a, b, c, d);
}

static void note(const char *call)
{
    char line[64];
    if (!log_path)
        return;
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC;
    int fd = (int)plain(SYS_openat, AT_FDCWD, (long)log_path, flags, 0644);
    int length = snprintf(line, sizeof(line), "%s\n", call);
    plain(SYS_write, fd, (long)line, length, 0);
    plain(SYS_close, fd, 0, 0, 0);
}

static bool fits(const struct rule *rule, const char *call, int fd, const char *path)
{
    char link[64], target[512] = "";

    if (strcmp(rule->call, call) != 0)
        return false;
    if (!rule->path[0])
        return true;
    if (path)
        return strstr(path, rule->path);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    long length = plain(SYS_readlinkat, AT_FDCWD, (long)link, (long)target, sizeof(target) - 1);
    target[length > 0 ? length : 0] = '\0';
    return strstr(target, rule->path);
}

static void wait_ms(long ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (ms > 0)
        plain(SYS_nanosleep, (long)&rest, 0, 0, 0);
}

/* Whether the call is decided: then *error is what it fails with, or 0. */
static bool decide(const char *call, int fd, const char *path, int *error)
{
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (!fits(rule, call, fd, path))
            continue;
        int seen = atomic_fetch_add(&rule->seen, 1);
        if (seen < rule->skip || (rule->count >= 0 && seen >= rule->skip + rule->count))
            continue;
        note(call);
        wait_ms(rule->delay_ms);
        *error = rule->error;
        return rule->error >= 0;
    }
    return false;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A function of libc, which says -1 and sets errno. */
#define FAULTY(type, name, fd, path, declared, passed)                                             \
    __attribute__((visibility("default"))) type name declared                                      \
    {                                                                                              \
        int error;                                                                                 \
        if (decide(#name, fd, path, &error)) {                                                     \
            errno = error;                                                                         \
            return error ? -1 : 0;                                                                 \
        }                                                                                          \
        return REAL(name) passed;                                                                  \
    }

FAULTY(ssize_t, read, fd, NULL, (int fd, void *data, size_t size), (fd, data, size))
FAULTY(ssize_t, write, fd, NULL, (int fd, const void *data, size_t size), (fd, data, size))
FAULTY(ssize_t, pread, fd, NULL, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
FAULTY(ssize_t, pwrite, fd, NULL, (int fd, const void *data, size_t size, off_t at),
       (fd, data, size, at))
FAULTY(ssize_t, preadv2, fd, NULL, (int fd, const struct iovec *v, int n, off_t at, int flags),
       (fd, v, n, at, flags))
FAULTY(int, fsync, fd, NULL, (int fd), (fd))
FAULTY(int, fdatasync, fd, NULL, (int fd), (fd))
FAULTY(int, sync_file_range, fd, NULL, (int fd, off64_t at, off64_t size, unsigned flags),
       (fd, at, size, flags))
FAULTY(ssize_t, copy_file_range, from, NULL,
       (int from, off64_t *in, int to, off64_t *out, size_t size, unsigned flags),
       (from, in, to, out, size, flags))
FAULTY(ssize_t, pwritev2, fd, NULL, (int fd, const struct iovec *v, int n, off_t at, int flags),
       (fd, v, n, at, flags))
FAULTY(ssize_t, getdents64, fd, NULL, (int fd, void *entries, size_t size), (fd, entries, size))
FAULTY(int, eventfd, -1, NULL, (unsigned count, int flags), (count, flags))
FAULTY(int, epoll_create1, -1, NULL, (int flags), (flags))
FAULTY(ssize_t, getrandom, -1, NULL, (void *data, size_t size, unsigned flags), (data, size, flags))

static mode_t mode_of(int flags, va_list rest)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

__attribute__((visibility("default"))) int open(const char *path, int flags, ...)
{
    va_list rest;
    int error;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (!(flags & O_PATH) && decide("open", -1, path, &error)) {
        errno = error;
        return -1;
    }
    return REAL(open)(path, flags, mode);
}

__attribute__((visibility("default"))) int openat(int directory, const char *path, int flags, ...)
{
    va_list rest;
    int error;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (!(flags & O_PATH) && decide("open", -1, path, &error)) {
        errno = error;
        return -1;
    }
    return REAL(openat)(directory, path, flags, mode);
}

/* What libc has no function for; of these, openat2 counts as an open. */
__attribute__((visibility("default"))) long syscall(long number, ...)
{
    va_list rest;
    long a[6];
    int error;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    const struct open_how *how = (const struct open_how *)a[2];
    if (number == SYS_openat2 && !(how->flags & O_PATH) &&
        decide("open", -1, (const char *)a[1], &error)) {
        errno = error;
        return -1;
    }
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define SIGNAL_BYTES 7777 /* a calloc of so many says that those after it count, or no longer */

extern void *__libc_calloc(size_t count, size_t size);

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
    static atomic_bool counting;
    int error;

    if (count == SIGNAL_BYTES)
        counting = !counting;
    else if (counting && decide("calloc", -1, NULL, &error)) {
        errno = error;
        return NULL;
    }
    return __libc_calloc(count, size);
}

/* Functions of liburing, which say -errno. They enter the kernel, and all go by the name "enter".
 */
#define FAULTY_ENTER(name, declared, passed)                                                       \
    extern int name declared;                                                                      \
    __attribute__((visibility("default"))) int name declared                                       \
    {                                                                                              \
        int error;                                                                                 \
        if (decide("enter", -1, NULL, &error))                                                     \
            return -error;                                                                         \
        return REAL(name) passed;                                                                  \
    }

FAULTY_ENTER(io_uring_submit, (struct io_uring * ring), (ring))
FAULTY_ENTER(io_uring_submit_and_wait, (struct io_uring * ring, unsigned n), (ring, n))
FAULTY_ENTER(io_uring_submit_and_get_events, (struct io_uring * ring), (ring))
FAULTY_ENTER(io_uring_get_events, (struct io_uring * ring), (ring))
FAULTY_ENTER(io_uring_submit_and_wait_timeout,
             (struct io_uring * ring, struct io_uring_cqe **cqe, unsigned n,
              struct __kernel_timespec *timeout, sigset_t *mask),
             (ring, cqe, n, timeout, mask))

/* ---- what older kernels answer ------------------------------------------------------------- */

/* "setup" fails, and "features" leaves the ring without any. */
__attribute__((visibility("default"))) int
io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
    int error;
    if (decide("setup", -1, NULL, &error))
        return -error;
    int result = REAL(io_uring_queue_init_params)(entries, ring, params);
    if (decide("features", -1, NULL, &error))
        ring->features = params->features = 0;
    return result;
}

__attribute__((visibility("default"))) struct io_uring_probe *
io_uring_get_probe_ring(struct io_uring *ring)
{
    int error;
    return decide("probe", -1, NULL, &error) ? NULL : REAL(io_uring_get_probe_ring)(ring);
}

#define MNT_ID_UNIQUE 0x4000u

/* "mount_id": a kernel that knows no number of a mount at all, or (errno 0) no unique one. */
__attribute__((visibility("default"))) int statx(int base, const char *path, int flags,
                                                 unsigned mask, struct statx *status)
{
    int error;
    bool old = (mask & MNT_ID_UNIQUE) && decide("mount_id", -1, NULL, &error);
    if (old)
        mask &= ~MNT_ID_UNIQUE;
    int result = REAL(statx)(base, path, flags, mask, status);
    if (old && error)
        status->stx_mask &= ~STATX_MNT_ID;
    return result;
}

/* The table of mounts is that of HALO_FAULTS_MOUNTS, if there is one. */
__attribute__((visibility("default"))) FILE *fopen(const char *path, const char *mode)
{
    const char *table = getenv("HALO_FAULTS_MOUNTS");
    int error;
    if (decide("fopen", -1, path, &error)) {
        errno = error;
        return NULL;
    }
    return REAL(fopen)(table && strstr(path, "mountinfo") ? table : path, mode);
}

/* Of the page that tells of a fork. */
__attribute__((visibility("default"))) void *mmap(void *at, size_t size, int protection, int flags,
                                                  int fd, off_t offset)
{
    int error;
    if (size == 1 && decide("mmap", -1, NULL, &error)) {
        errno = error;
        return MAP_FAILED;
    }
    return REAL(mmap)(at, size, protection, flags, fd, offset);
}
