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
#include "ops/op_functions.h"

/* ---- names --------------------------------------------------------------------------------- */

/* io_uring looks at both names before it follows the first. */
int halo_names_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    op->pool_only = halo_path_is_refused(op->path2);
    return 0;
}

void halo_rename_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_renameat(sqe, op->base_fd, op->path, op->base_fd, op->path2, op->flags);
}

int64_t halo_rename_block(struct halo_op *op)
{
    if (op->flags == 0)
        return halo_result_of(renameat(op->base_fd, op->path, op->base_fd, op->path2));
    return halo_result_of(renameat2(op->base_fd, op->path, op->base_fd, op->path2, op->flags));
}

void halo_remove_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_unlinkat(sqe, op->base_fd, op->path, 0);
}

int64_t halo_remove_block(struct halo_op *op)
{
    return halo_result_of(unlinkat(op->base_fd, op->path, 0));
}

void halo_mkdir_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_mkdirat(sqe, op->base_fd, op->path, op->mode);
}

int64_t halo_mkdir_block(struct halo_op *op)
{
    return halo_result_of(mkdirat(op->base_fd, op->path, op->mode));
}

void halo_rmdir_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_unlinkat(sqe, op->base_fd, op->path, AT_REMOVEDIR);
}

int64_t halo_rmdir_block(struct halo_op *op)
{
    return halo_result_of(unlinkat(op->base_fd, op->path, AT_REMOVEDIR));
}

/* ---- links --------------------------------------------------------------------------------- */

void halo_link_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_linkat(sqe, op->base_fd, op->path, op->base_fd, op->path2, 0);
}

int64_t halo_link_block(struct halo_op *op)
{
    return halo_result_of(linkat(op->base_fd, op->path, op->base_fd, op->path2, 0));
}

void halo_symlink_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_symlinkat(sqe, op->path, op->base_fd, op->path2);
}

int64_t halo_symlink_block(struct halo_op *op)
{
    return halo_result_of(symlinkat(op->path, op->base_fd, op->path2));
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

int64_t halo_readlink_block(struct halo_op *op)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(op->base_fd, op->path, target, sizeof(target));
    return length < 0 ? -errno : give_text(op, target, (size_t)length);
}

int64_t halo_realpath_block(struct halo_op *op)
{
    char resolved[PATH_MAX];
    if (!realpath(op->path, resolved))
        return -errno;
    return give_text(op, resolved, strlen(resolved));
}

int64_t halo_mknod_block(struct halo_op *op)
{
    return halo_result_of(mknodat(op->base_fd, op->path, op->mode, (dev_t)op->offset));
}
