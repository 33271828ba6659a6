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
#include "ops/shared.h"

/* ---- stat ---------------------------------------------------------------------------------- */

static void stat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, op->base_fd, op->path, 0, HALO_STATX_WANTED, op->statx);
}

static int64_t stat_block(struct halo_op *op)
{
    return halo_result_of(statx(op->base_fd, op->path, 0, HALO_STATX_WANTED, op->statx));
}

static void lstat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, op->base_fd, op->path, AT_SYMLINK_NOFOLLOW, HALO_STATX_WANTED,
                        op->statx);
}

static int64_t lstat_block(struct halo_op *op)
{
    return halo_result_of(
        statx(op->base_fd, op->path, AT_SYMLINK_NOFOLLOW, HALO_STATX_WANTED, op->statx));
}

static void fstat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, op->fd, "", AT_EMPTY_PATH, HALO_STATX_WANTED, op->statx);
}

static int64_t fstat_block(struct halo_op *op)
{
    return halo_result_of(statx(op->fd, "", AT_EMPTY_PATH, HALO_STATX_WANTED, op->statx));
}

/* ---- permissions and owners ---------------------------------------------------------------- */

static int64_t access_block(struct halo_op *op)
{
    return halo_result_of(faccessat(op->base_fd, op->path, (int)op->mode, 0));
}

static int64_t chmod_block(struct halo_op *op)
{
    return halo_result_of(fchmodat(op->base_fd, op->path, op->mode, 0));
}

static int64_t fchmod_block(struct halo_op *op)
{
    return halo_result_of(fchmod(op->fd, op->mode));
}

static int64_t chown_block(struct halo_op *op)
{
    return halo_result_of(fchownat(op->base_fd, op->path, op->uid, op->gid, 0));
}

static int64_t lchown_block(struct halo_op *op)
{
    return halo_result_of(fchownat(op->base_fd, op->path, op->uid, op->gid, AT_SYMLINK_NOFOLLOW));
}

static int64_t fchown_block(struct halo_op *op)
{
    return halo_result_of(fchown(op->fd, op->uid, op->gid));
}

/* ---- times --------------------------------------------------------------------------------- */

static int64_t utime_block(struct halo_op *op)
{
    return halo_result_of(utimensat(op->base_fd, op->path, op->times, 0));
}

static int64_t lutime_block(struct halo_op *op)
{
    return halo_result_of(utimensat(op->base_fd, op->path, op->times, AT_SYMLINK_NOFOLLOW));
}

static int64_t futime_block(struct halo_op *op)
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

static int64_t statfs_block(struct halo_op *op)
{
    struct statfs status;
    return statfs(op->path, &status) < 0 ? -errno : give_statfs(op, &status);
}

static int64_t fstatfs_block(struct halo_op *op)
{
    struct statfs status;
    return fstatfs(op->fd, &status) < 0 ? -errno : give_statfs(op, &status);
}

static int64_t sync_block(struct halo_op *op)
{
    (void)op;
    sync();
    return 0;
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_stat_row = {
    .code = HALO_OP_STAT,
    .name = "stat",
    .opcode = IORING_OP_STATX,
    .quick = true,
    .only_reads = true,
    .prepare = stat_prepare,
    .block = stat_block,
};

const struct halo_op_row halo_lstat_row = {
    .code = HALO_OP_LSTAT,
    .name = "lstat",
    .opcode = IORING_OP_STATX,
    .no_follow = true,
    .quick = true,
    .only_reads = true,
    .prepare = lstat_prepare,
    .block = lstat_block,
};

const struct halo_op_row halo_fstat_row = {
    .code = HALO_OP_FSTAT,
    .name = "fstat",
    .opcode = IORING_OP_STATX,
    .on_file = true,
    .quick = true,
    .prepare = fstat_prepare,
    .block = fstat_block,
};

const struct halo_op_row halo_access_row = {
    .code = HALO_OP_ACCESS,
    .name = "access",
    .opcode = HALO_NO_OPCODE,
    .quick = true,
    .only_reads = true,
    .block = access_block,
};

const struct halo_op_row halo_chmod_row = {
    .code = HALO_OP_CHMOD,
    .name = "chmod",
    .opcode = HALO_NO_OPCODE,
    .quick = true,
    .block = chmod_block,
};

const struct halo_op_row halo_fchmod_row = {
    .code = HALO_OP_FCHMOD,
    .name = "fchmod",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .quick = true,
    .alters = true,
    .block = fchmod_block,
};

const struct halo_op_row halo_chown_row = {
    .code = HALO_OP_CHOWN,
    .name = "chown",
    .opcode = HALO_NO_OPCODE,
    .quick = true,
    .block = chown_block,
};

const struct halo_op_row halo_lchown_row = {
    .code = HALO_OP_LCHOWN,
    .name = "lchown",
    .opcode = HALO_NO_OPCODE,
    .no_follow = true,
    .quick = true,
    .block = lchown_block,
};

const struct halo_op_row halo_fchown_row = {
    .code = HALO_OP_FCHOWN,
    .name = "fchown",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .quick = true,
    .alters = true,
    .block = fchown_block,
};

const struct halo_op_row halo_utime_row = {
    .code = HALO_OP_UTIME,
    .name = "utime",
    .opcode = HALO_NO_OPCODE,
    .quick = true,
    .block = utime_block,
};

const struct halo_op_row halo_lutime_row = {
    .code = HALO_OP_LUTIME,
    .name = "lutime",
    .opcode = HALO_NO_OPCODE,
    .no_follow = true,
    .quick = true,
    .block = lutime_block,
};

const struct halo_op_row halo_futime_row = {
    .code = HALO_OP_FUTIME,
    .name = "futime",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .quick = true,
    .alters = true,
    .block = futime_block,
};

const struct halo_op_row halo_statfs_row = {
    .code = HALO_OP_STATFS,
    .name = "statfs",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .quick = true,
    .only_reads = true,
    .block = statfs_block,
};

const struct halo_op_row halo_fstatfs_row = {
    .code = HALO_OP_FSTATFS,
    .name = "fstatfs",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .quick = true,
    .block = fstatfs_block,
};

const struct halo_op_row halo_sync_row = {
    .code = HALO_OP_SYNC,
    .name = "sync",
    .opcode = HALO_NO_OPCODE,
    .block = sync_block,
};
