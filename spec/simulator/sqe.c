#include "sqe.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"
#include "weather.h"

#define OPCODE_FTRUNCATE 55

static int64_t result_of(int64_t returned)
{
    return returned < 0 ? -errno : returned;
}

static bool is_stream(int fd)
{
    const struct model_handle *handle = model_handle(fd);
    return handle && handle->node->stream;
}

/* A ring says so where a file system cannot go on at once, and sometimes without a reason. */
static bool says_again(enum fault_group group)
{
    if (!weather_chance(weather.faults / 4))
        return false;
    weather_count_fault(group);
    return true;
}

static int64_t run_read(const struct io_uring_sqe *sqe)
{
    void *data = (void *)(uintptr_t)sqe->addr;
    if (says_again(FAULT_READ))
        return -EAGAIN;
    if (is_stream(sqe->fd))
        return result_of(read(sqe->fd, data, sqe->len));
    return result_of(pread(sqe->fd, data, sqe->len, (off_t)sqe->off));
}

static int64_t run_write(const struct io_uring_sqe *sqe)
{
    const void *data = (const void *)(uintptr_t)sqe->addr;
    if (says_again(FAULT_WRITE))
        return -EAGAIN;
    if (is_stream(sqe->fd))
        return result_of(write(sqe->fd, data, sqe->len));
    return result_of(pwrite(sqe->fd, data, sqe->len, (off_t)sqe->off));
}

static int64_t run_sync(const struct io_uring_sqe *sqe)
{
    if (sqe->fsync_flags & IORING_FSYNC_DATASYNC)
        return result_of(fdatasync(sqe->fd));
    return result_of(fsync(sqe->fd));
}

static int64_t run_names(const struct io_uring_sqe *sqe)
{
    const char *path = (const char *)(uintptr_t)sqe->addr;
    const char *path2 = (const char *)(uintptr_t)sqe->addr2;
    int base2 = (int)sqe->len;

    switch (sqe->opcode) {
    case IORING_OP_RENAMEAT:
        return result_of(renameat2(sqe->fd, path, base2, path2, sqe->rename_flags));
    case IORING_OP_LINKAT:
        return result_of(linkat(sqe->fd, path, base2, path2, (int)sqe->hardlink_flags));
    case IORING_OP_SYMLINKAT:
        return result_of(symlinkat(path, sqe->fd, path2));
    case IORING_OP_MKDIRAT:
        return result_of(mkdirat(sqe->fd, path, sqe->len));
    default:
        return result_of(unlinkat(sqe->fd, path, (int)sqe->unlink_flags));
    }
}

int64_t sqe_run(const struct io_uring_sqe *sqe)
{
    const char *path = (const char *)(uintptr_t)sqe->addr;

    switch (sqe->opcode) {
    case IORING_OP_OPENAT:
        return result_of(openat(sqe->fd, path, (int)sqe->open_flags, sqe->len));
    case IORING_OP_READ:
        return run_read(sqe);
    case IORING_OP_WRITE:
        return run_write(sqe);
    case IORING_OP_FSYNC:
        return run_sync(sqe);
    case IORING_OP_SYNC_FILE_RANGE:
        return result_of(
            sync_file_range(sqe->fd, (off_t)sqe->off, sqe->len, sqe->sync_range_flags));
    case IORING_OP_FALLOCATE:
        return result_of(fallocate(sqe->fd, (int)sqe->len, (off_t)sqe->off, (off_t)sqe->addr));
    case IORING_OP_FADVISE:
        return -posix_fadvise(sqe->fd, (off_t)sqe->off, sqe->len, (int)sqe->fadvise_advice);
    case OPCODE_FTRUNCATE:
        return result_of(ftruncate(sqe->fd, (off_t)sqe->off));
    case IORING_OP_STATX:
        return result_of(statx(sqe->fd, path, (int)sqe->statx_flags, sqe->len,
                               (struct statx *)(uintptr_t)sqe->off));
    case IORING_OP_RENAMEAT:
    case IORING_OP_LINKAT:
    case IORING_OP_SYMLINKAT:
    case IORING_OP_MKDIRAT:
    case IORING_OP_UNLINKAT:
        return run_names(sqe);
    default:
        return -EINVAL;
    }
}

bool sqe_knows(unsigned opcode)
{
    static const unsigned known[] = {
        IORING_OP_OPENAT,          IORING_OP_READ,      IORING_OP_WRITE,   IORING_OP_FSYNC,
        IORING_OP_SYNC_FILE_RANGE, IORING_OP_FALLOCATE, IORING_OP_FADVISE, OPCODE_FTRUNCATE,
        IORING_OP_STATX,           IORING_OP_RENAMEAT,  IORING_OP_LINKAT,  IORING_OP_SYMLINKAT,
        IORING_OP_MKDIRAT,         IORING_OP_UNLINKAT,
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i] == opcode)
            return true;
    return false;
}
