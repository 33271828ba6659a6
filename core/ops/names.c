/* Names: renaming, removing, linking, making. */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <liburing.h>

#include "loop.h"
#include "ops/shared.h"

/* ---- names --------------------------------------------------------------------------------- */

/* io_uring looks at both names before it follows the first. */
static int names_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    op->pool_only = halo_path_is_refused(op->path2);
    return 0;
}

static void rename_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_renameat(sqe, op->base_fd, op->path, op->base2_fd, op->path2, op->flags);
}

static int64_t rename_block(struct halo_op *op)
{
    if (op->flags == 0)
        return halo_result_of(renameat(op->base_fd, op->path, op->base2_fd, op->path2));
    return halo_result_of(renameat2(op->base_fd, op->path, op->base2_fd, op->path2, op->flags));
}

static void remove_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_unlinkat(sqe, op->base_fd, op->path, 0);
}

static int64_t remove_block(struct halo_op *op)
{
    return halo_result_of(unlinkat(op->base_fd, op->path, 0));
}

static void mkdir_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_mkdirat(sqe, op->base_fd, op->path, op->mode);
}

static int64_t mkdir_block(struct halo_op *op)
{
    return halo_result_of(mkdirat(op->base_fd, op->path, op->mode));
}

/* One that nobody takes is empty still, unless somebody else has found it: then it stays. */
static bool mkdir_undo(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    if (!(op->flags & HALO_MKDIR_UNDO))
        return false;
    op->row = &halo_rmdir_row;
    return true;
}

static void rmdir_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_unlinkat(sqe, op->base_fd, op->path, AT_REMOVEDIR);
}

static int64_t rmdir_block(struct halo_op *op)
{
    return halo_result_of(unlinkat(op->base_fd, op->path, AT_REMOVEDIR));
}

/* ---- links --------------------------------------------------------------------------------- */

static void link_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_linkat(sqe, op->base_fd, op->path, op->base2_fd, op->path2, 0);
}

static int64_t link_block(struct halo_op *op)
{
    return halo_result_of(linkat(op->base_fd, op->path, op->base2_fd, op->path2, 0));
}

static void symlink_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_symlinkat(sqe, op->path, op->base_fd, op->path2);
}

static int64_t symlink_block(struct halo_op *op)
{
    return halo_result_of(symlinkat(op->path, op->base2_fd, op->path2));
}

/* Puts a text into storage, in the place of the path, as the operation's data. */
static int64_t give_text(struct halo_op *op, const char *text, size_t length)
{
    op->path = op->path2 = NULL;
    if (!halo_op_storage(op, length + 1))
        return -ENOMEM;
    memcpy(op->storage, text, length);
    op->data = (uint8_t *)op->storage;
    return (int64_t)length;
}

static int64_t readlink_block(struct halo_op *op)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(op->base_fd, op->path, target, sizeof(target));
    return length < 0 ? -errno : give_text(op, target, (size_t)length);
}

static int64_t realpath_block(struct halo_op *op)
{
    char resolved[PATH_MAX];
    if (!realpath(op->path, resolved))
        return -errno;
    return give_text(op, resolved, strlen(resolved));
}

static int64_t mknod_block(struct halo_op *op)
{
    return halo_op_make_node(op, op->base_fd, op->path, op->mode, (dev_t)op->offset);
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_rename_row = {
    .code = HALO_OP_RENAME,
    .name = "rename",
    .opcode = IORING_OP_RENAMEAT,
    .lookup = HALO_LOOKUP_BOTH,
    .no_follow = true,
    .quick = true,
    .begin = names_begin,
    .prepare = rename_prepare,
    .block = rename_block,
};

const struct halo_op_row halo_remove_row = {
    .code = HALO_OP_REMOVE,
    .name = "remove",
    .opcode = IORING_OP_UNLINKAT,
    .no_follow = true,
    .quick = true,
    .prepare = remove_prepare,
    .block = remove_block,
};

const struct halo_op_row halo_mkdir_row = {
    .code = HALO_OP_MKDIR,
    .name = "mkdir",
    .opcode = IORING_OP_MKDIRAT,
    .no_follow = true,
    .quick = true,
    .prepare = mkdir_prepare,
    .block = mkdir_block,
    .undo = mkdir_undo,
};

const struct halo_op_row halo_rmdir_row = {
    .code = HALO_OP_RMDIR,
    .name = "rmdir",
    .opcode = IORING_OP_UNLINKAT,
    .no_follow = true,
    .quick = true,
    .prepare = rmdir_prepare,
    .block = rmdir_block,
};

const struct halo_op_row halo_link_row = {
    .code = HALO_OP_LINK,
    .name = "link",
    .opcode = IORING_OP_LINKAT,
    .lookup = HALO_LOOKUP_BOTH,
    .no_follow = true,
    .quick = true,
    .begin = names_begin,
    .prepare = link_prepare,
    .block = link_block,
};

const struct halo_op_row halo_symlink_row = {
    .code = HALO_OP_SYMLINK,
    .name = "symlink",
    .opcode = IORING_OP_SYMLINKAT,
    .lookup = HALO_LOOKUP_PATH2,
    .no_follow = true,
    .quick = true,
    .prepare = symlink_prepare,
    .block = symlink_block,
};

const struct halo_op_row halo_readlink_row = {
    .code = HALO_OP_READLINK,
    .name = "readlink",
    .opcode = HALO_NO_OPCODE,
    .no_follow = true,
    .quick = true,
    .only_reads = true,
    .block = readlink_block,
};

const struct halo_op_row halo_realpath_row = {
    .code = HALO_OP_REALPATH,
    .name = "realpath",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .quick = true,
    .only_reads = true,
    .block = realpath_block,
};

const struct halo_op_row halo_mknod_row = {
    .code = HALO_OP_MKNOD,
    .name = "mknod",
    .opcode = HALO_NO_OPCODE,
    .no_follow = true,
    .quick = true,
    .block = mknod_block,
};
