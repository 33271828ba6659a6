/*
 * Calls that are answered at once or not at all: what policy.c calls a try, without the record of
 * an operation. They are for callers to whom the record costs as much as the answer. Whatever is
 * not plainly a success is declined, and then it is as if nothing had been asked: the caller makes
 * an operation of it, which finds out why.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fence.h"
#include "loop.h"
#include "ops/shared.h"
#include "ops/ops.h"

static bool may_start(struct halo_loop *loop, unsigned kind, bool alone)
{
    if (loop->config.engine != HALO_ENGINE_AUTO || halo_loop_has_forked(loop))
        return false;
    if (!alone)
        return loop->policy.skip[kind] == 0 && !halo_policy_is_due(&loop->policy);
    /* A caller that is alone makes no turns, so nothing else would renew the slice. */
    if (halo_policy_is_due(&loop->policy))
        halo_policy_turn(&loop->policy);
    return true;
}

/* A caller that is alone may go anywhere. It must not look at the mounts: no turn renews them. */
static bool may_go(struct halo_loop *loop, enum halo_op_code code, const char *path, bool follow,
                   unsigned flags)
{
    bool alone = halo_loop_is_alone(loop, flags, 0), resolved;

    if (!halo_fence_is_open(loop->config.fence, HALO_MAY_READ) || !may_start(loop, code, alone))
        return false;
    return alone ||
           (halo_mounts_locate(&loop->files.mounts, AT_FDCWD, path, follow, 0, &resolved) == 0 &&
            resolved);
}

/* No write that others follow is under way, and none behind has failed. */
static bool is_settled(const struct halo_file *file)
{
    uint32_t behind = file->behind_begun - file->behind_ended;
    return (file->straying | behind | (uint32_t)file->behind_error) == 0;
}

static struct halo_file *find_quick(struct halo_loop *loop, uint64_t handle)
{
    struct halo_file *file = halo_files_find_open(&loop->files, handle);
    return file && file->local && is_settled(file) && !(file->flags & (O_DIRECT | O_SYNC | O_DSYNC))
               ? file
               : NULL;
}

/* The offset of a call at the file's own position, unless somebody else is using that. */
static bool find_place(const struct halo_file *file, uint64_t *offset)
{
    if (*offset != HALO_POSITION)
        return true;
    *offset = file->position;
    return !file->turn[HALO_SIDE_READ] && !file->shares_offset;
}

static void count_one(struct halo_loop *loop, unsigned kind, uint64_t ns)
{
    halo_loop_count_submitted(loop);
    loop->stats.retired++;
    loop->stats.direct++;
    halo_policy_took(&loop->policy, kind, ns);
}

int64_t halo_fast_read(struct halo_loop *loop, uint64_t handle, void *data, size_t length,
                       uint64_t offset, unsigned flags)
{
    bool alone = halo_loop_is_alone(loop, flags, 0);
    struct halo_file *file = find_quick(loop, handle);
    uint64_t place = offset;
    size_t done = 0;
    int64_t got;

    /* Where nobody can say whether a read would wait, the ordinary way looks at the clock. */
    if (!file || (file->blind && !alone) || !length || length > HALO_TRY_BYTES_MAX ||
        !find_place(file, &place) || !may_start(loop, HALO_OP_READ, alone))
        return HALO_DECLINED;
    do {
        uint8_t *to = (uint8_t *)data + done;
        off_t at = (off_t)(place + done);
        got = alone ? pread(file->fd, to, length - done, at)
                    : halo_read_cached(file, to, length - done, at);
        if (got < 0)
            return HALO_DECLINED;
        done += (size_t)got;
    } while (got > 0 && done < length);
    if (offset == HALO_POSITION)
        file->position = place + done;
    count_one(loop, HALO_OP_READ, HALO_READ_NS(done));
    return (int64_t)done;
}

/* To write a part twice does no harm, but for a file that is appended to. */
int64_t halo_fast_write(struct halo_loop *loop, uint64_t handle, const void *data, size_t length,
                        uint64_t offset, unsigned flags)
{
    struct halo_file *file = find_quick(loop, handle);
    uint64_t place = offset;

    if (!file || !length || length > HALO_TRY_BYTES_MAX || (file->flags & O_APPEND) ||
        !find_place(file, &place) ||
        !may_start(loop, HALO_OP_WRITE, halo_loop_is_alone(loop, flags, 0)))
        return HALO_DECLINED;
    uint64_t start_ns = halo_now_ns();
    ssize_t put = pwrite(file->fd, data, length, (off_t)place);
    if (put < 0 || (size_t)put < length)
        return HALO_DECLINED;
    file->written += length;
    if (offset == HALO_POSITION)
        file->position = place + length;
    count_one(loop, HALO_OP_WRITE, halo_now_ns() - start_ns);
    return (int64_t)length;
}

int64_t halo_fast_stat(struct halo_loop *loop, const char *path, bool follow, struct statx *status,
                       unsigned flags)
{
    enum halo_op_code code = follow ? HALO_OP_STAT : HALO_OP_LSTAT;

    if (!may_go(loop, code, path, follow, flags))
        return HALO_DECLINED;
    uint64_t start_ns = halo_now_ns();
    if (statx(AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW, HALO_STATX_WANTED, status) < 0)
        return HALO_DECLINED;
    count_one(loop, code, halo_now_ns() - start_ns);
    return 0;
}

int64_t halo_fast_fstat(struct halo_loop *loop, uint64_t handle, struct statx *status,
                        unsigned flags)
{
    const struct halo_file *file = find_quick(loop, handle);

    if (!file || !may_start(loop, HALO_OP_FSTAT, halo_loop_is_alone(loop, flags, 0)))
        return HALO_DECLINED;
    uint64_t start_ns = halo_now_ns();
    if (statx(file->fd, "", AT_EMPTY_PATH, HALO_STATX_WANTED, status) < 0)
        return HALO_DECLINED;
    count_one(loop, HALO_OP_FSTAT, halo_now_ns() - start_ns);
    return 0;
}

/* All of a regular file that says how long it is, and fits. Those of /proc say 0. */
static int64_t read_known(int fd, const struct stat *status, void *data, size_t size)
{
    if (!S_ISREG(status->st_mode) || status->st_size <= 0 || status->st_size > (off_t)size)
        return HALO_DECLINED;
    ssize_t got = read(fd, data, size);
    return got == status->st_size ? got : HALO_DECLINED;
}

int64_t halo_fast_readfile(struct halo_loop *loop, const char *path, void *data, size_t size,
                           int *stream_fd, unsigned flags)
{
    struct stat status = {.st_mode = S_IFREG};

    *stream_fd = -1;
    if (!may_go(loop, HALO_OP_READFILE, path, true, flags))
        return HALO_DECLINED;
    uint64_t start_ns = halo_now_ns();
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return HALO_DECLINED;
    if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
        *stream_fd = fd;
        return HALO_DECLINED;
    }
    int64_t result =
        read_known(fd, &status, data, size < HALO_TRY_BYTES_MAX ? size : HALO_TRY_BYTES_MAX);
    close(fd);
    if (result >= 0)
        count_one(loop, HALO_OP_READFILE, halo_now_ns() - start_ns);
    return result;
}
