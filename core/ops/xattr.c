/*
 * Extended attributes. A value is fetched into storage behind the paths; the largest there is
 * decides the room, so that one call is enough.
 */
#include "ops/ops.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include <liburing.h>

#include "loop.h"
#include "ops/op_functions.h"

#define VALUE_MAX 65536 /* XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h */

int halo_getxattr_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    size_t paths = (size_t)(op->path2 - op->storage) + strlen(op->path2) + 1;
    if (!halo_op_storage(op, paths + VALUE_MAX))
        return -ENOMEM;
    op->data = (uint8_t *)op->storage + paths;
    return 0;
}

void halo_getxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_getxattr(sqe, op->path2, (char *)op->data, op->path, VALUE_MAX);
}

int64_t halo_getxattr_block(struct halo_op *op)
{
    return halo_result_of(getxattr(op->path, op->path2, op->data, VALUE_MAX));
}

void halo_fgetxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fgetxattr(sqe, op->fd, op->path2, (char *)op->data, VALUE_MAX);
}

int64_t halo_fgetxattr_block(struct halo_op *op)
{
    return halo_result_of(fgetxattr(op->fd, op->path2, op->data, VALUE_MAX));
}

void halo_setxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_setxattr(sqe, op->path2, (const char *)op->data, op->path, (int)op->flags,
                           (unsigned)op->length);
}

int64_t halo_setxattr_block(struct halo_op *op)
{
    return halo_result_of(setxattr(op->path, op->path2, op->data, op->length, (int)op->flags));
}

void halo_fsetxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fsetxattr(sqe, op->fd, op->path2, (const char *)op->data, (int)op->flags,
                            (unsigned)op->length);
}

int64_t halo_fsetxattr_block(struct halo_op *op)
{
    return halo_result_of(fsetxattr(op->fd, op->path2, op->data, op->length, (int)op->flags));
}

int halo_listxattr_begin(struct halo_loop *loop, struct halo_op *op)
{
    size_t path = op->path ? strlen(op->path) + 1 : 0;
    (void)loop;
    if (!halo_op_storage(op, path + VALUE_MAX))
        return -ENOMEM;
    op->data = (uint8_t *)op->storage + path;
    return 0;
}

int64_t halo_listxattr_block(struct halo_op *op)
{
    return halo_result_of(listxattr(op->path, (char *)op->data, VALUE_MAX));
}

int64_t halo_flistxattr_block(struct halo_op *op)
{
    return halo_result_of(flistxattr(op->fd, (char *)op->data, VALUE_MAX));
}

int64_t halo_removexattr_block(struct halo_op *op)
{
    return halo_result_of(removexattr(op->path, op->path2));
}

int64_t halo_fremovexattr_block(struct halo_op *op)
{
    return halo_result_of(fremovexattr(op->fd, op->path2));
}
