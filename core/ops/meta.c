/* What is known of a file beside its data. */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <liburing.h>

#include "loop.h"
#include "ops/op_functions.h"

/* ---- stat ---------------------------------------------------------------------------------- */

void halo_stat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, op->base_fd, op->path, 0, HALO_STATX_WANTED, op->statx);
}

int64_t halo_stat_block(struct halo_op *op)
{
    return halo_result_of(statx(op->base_fd, op->path, 0, HALO_STATX_WANTED, op->statx));
}

void halo_lstat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, op->base_fd, op->path, AT_SYMLINK_NOFOLLOW, HALO_STATX_WANTED,
                        op->statx);
}

int64_t halo_lstat_block(struct halo_op *op)
{
    return halo_result_of(
        statx(op->base_fd, op->path, AT_SYMLINK_NOFOLLOW, HALO_STATX_WANTED, op->statx));
}

void halo_fstat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, op->fd, "", AT_EMPTY_PATH, HALO_STATX_WANTED, op->statx);
}

int64_t halo_fstat_block(struct halo_op *op)
{
    return halo_result_of(statx(op->fd, "", AT_EMPTY_PATH, HALO_STATX_WANTED, op->statx));
}

/* ---- permissions and owners ---------------------------------------------------------------- */

int64_t halo_access_block(struct halo_op *op)
{
    return halo_result_of(faccessat(op->base_fd, op->path, (int)op->mode, 0));
}

int64_t halo_chmod_block(struct halo_op *op)
{
    return halo_result_of(fchmodat(op->base_fd, op->path, op->mode, 0));
}

int64_t halo_fchmod_block(struct halo_op *op)
{
    return halo_result_of(fchmod(op->fd, op->mode));
}

int64_t halo_chown_block(struct halo_op *op)
{
    return halo_result_of(fchownat(op->base_fd, op->path, op->uid, op->gid, 0));
}

int64_t halo_lchown_block(struct halo_op *op)
{
    return halo_result_of(fchownat(op->base_fd, op->path, op->uid, op->gid, AT_SYMLINK_NOFOLLOW));
}

int64_t halo_fchown_block(struct halo_op *op)
{
    return halo_result_of(fchown(op->fd, op->uid, op->gid));
}

/* ---- times --------------------------------------------------------------------------------- */

int64_t halo_utime_block(struct halo_op *op)
{
    return halo_result_of(utimensat(op->base_fd, op->path, op->times, 0));
}

int64_t halo_lutime_block(struct halo_op *op)
{
    return halo_result_of(utimensat(op->base_fd, op->path, op->times, AT_SYMLINK_NOFOLLOW));
}

int64_t halo_futime_block(struct halo_op *op)
{
    return halo_result_of(futimens(op->fd, op->times));
}

/* ---- file systems -------------------------------------------------------------------------- */

static int64_t give_statfs(struct halo_op *op, const struct statfs *status)
{
    op->path = op->path2 = NULL;
    if (!halo_op_storage(op, sizeof(*status)))
        return -ENOMEM;
    memcpy(op->storage, status, sizeof(*status));
    op->data = (uint8_t *)op->storage;
    return sizeof(*status);
}

int64_t halo_statfs_block(struct halo_op *op)
{
    struct statfs status;
    return statfs(op->path, &status) < 0 ? -errno : give_statfs(op, &status);
}

int64_t halo_fstatfs_block(struct halo_op *op)
{
    struct statfs status;
    return fstatfs(op->fd, &status) < 0 ? -errno : give_statfs(op, &status);
}

int64_t halo_sync_block(struct halo_op *op)
{
    (void)op;
    sync();
    return 0;
}
