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
#include "ops/shared.h"

#define VALUE_MAX 65536 /* XATTR_SIZE_MAX and XATTR_LIST_MAX of linux/limits.h */

static int getxattr_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    size_t paths = (size_t)(op->path2 - op->storage) + strlen(op->path2) + 1;
    if (!halo_op_storage(op, paths + VALUE_MAX))
        return -ENOMEM;
    op->data = (uint8_t *)op->storage + paths;
    return 0;
}

static void getxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_getxattr(sqe, op->path2, (char *)op->data, op->path, VALUE_MAX);
}

static int64_t getxattr_block(struct halo_op *op)
{
    return halo_result_of(getxattr(op->path, op->path2, op->data, VALUE_MAX));
}

static int64_t lgetxattr_block(struct halo_op *op)
{
    return halo_result_of(lgetxattr(op->path, op->path2, op->data, VALUE_MAX));
}

static void fgetxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fgetxattr(sqe, op->fd, op->path2, (char *)op->data, VALUE_MAX);
}

static int64_t fgetxattr_block(struct halo_op *op)
{
    return halo_result_of(fgetxattr(op->fd, op->path2, op->data, VALUE_MAX));
}

static void setxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_setxattr(sqe, op->path2, (const char *)op->data, op->path, (int)op->flags,
                           (unsigned)op->length);
}

static int64_t setxattr_block(struct halo_op *op)
{
    return halo_result_of(setxattr(op->path, op->path2, op->data, op->length, (int)op->flags));
}

static int64_t lsetxattr_block(struct halo_op *op)
{
    return halo_result_of(lsetxattr(op->path, op->path2, op->data, op->length, (int)op->flags));
}

static void fsetxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fsetxattr(sqe, op->fd, op->path2, (const char *)op->data, (int)op->flags,
                            (unsigned)op->length);
}

static int64_t fsetxattr_block(struct halo_op *op)
{
    return halo_result_of(fsetxattr(op->fd, op->path2, op->data, op->length, (int)op->flags));
}

static int listxattr_begin(struct halo_loop *loop, struct halo_op *op)
{
    size_t path = op->path ? strlen(op->path) + 1 : 0;
    (void)loop;
    if (!halo_op_storage(op, path + VALUE_MAX))
        return -ENOMEM;
    op->data = (uint8_t *)op->storage + path;
    return 0;
}

static int64_t listxattr_block(struct halo_op *op)
{
    return halo_result_of(listxattr(op->path, (char *)op->data, VALUE_MAX));
}

static int64_t llistxattr_block(struct halo_op *op)
{
    return halo_result_of(llistxattr(op->path, (char *)op->data, VALUE_MAX));
}

static int64_t flistxattr_block(struct halo_op *op)
{
    return halo_result_of(flistxattr(op->fd, (char *)op->data, VALUE_MAX));
}

static int64_t removexattr_block(struct halo_op *op)
{
    return halo_result_of(removexattr(op->path, op->path2));
}

static int64_t lremovexattr_block(struct halo_op *op)
{
    return halo_result_of(lremovexattr(op->path, op->path2));
}

static int64_t fremovexattr_block(struct halo_op *op)
{
    return halo_result_of(fremovexattr(op->fd, op->path2));
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_getxattr_row = {
    .code = HALO_OP_GETXATTR,
    .name = "getxattr",
    .opcode = IORING_OP_GETXATTR,
    .no_base = true,
    .quick = true,
    .only_reads = true,
    .begin = getxattr_begin,
    .prepare = getxattr_prepare,
    .block = getxattr_block,
};

const struct halo_op_row halo_lgetxattr_row = {
    .code = HALO_OP_LGETXATTR,
    .name = "lgetxattr",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .no_follow = true,
    .quick = true,
    .only_reads = true,
    .begin = getxattr_begin,
    .block = lgetxattr_block,
};

const struct halo_op_row halo_fgetxattr_row = {
    .code = HALO_OP_FGETXATTR,
    .name = "fgetxattr",
    .opcode = IORING_OP_FGETXATTR,
    .on_file = true,
    .quick = true,
    .begin = getxattr_begin,
    .prepare = fgetxattr_prepare,
    .block = fgetxattr_block,
};

const struct halo_op_row halo_setxattr_row = {
    .code = HALO_OP_SETXATTR,
    .name = "setxattr",
    .opcode = IORING_OP_SETXATTR,
    .no_base = true,
    .quick = true,
    .prepare = setxattr_prepare,
    .block = setxattr_block,
};

const struct halo_op_row halo_lsetxattr_row = {
    .code = HALO_OP_LSETXATTR,
    .name = "lsetxattr",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .no_follow = true,
    .quick = true,
    .block = lsetxattr_block,
};

const struct halo_op_row halo_fsetxattr_row = {
    .code = HALO_OP_FSETXATTR,
    .name = "fsetxattr",
    .opcode = IORING_OP_FSETXATTR,
    .on_file = true,
    .quick = true,
    .alters = true,
    .prepare = fsetxattr_prepare,
    .block = fsetxattr_block,
};

const struct halo_op_row halo_listxattr_row = {
    .code = HALO_OP_LISTXATTR,
    .name = "listxattr",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .quick = true,
    .only_reads = true,
    .begin = listxattr_begin,
    .block = listxattr_block,
};

const struct halo_op_row halo_llistxattr_row = {
    .code = HALO_OP_LLISTXATTR,
    .name = "llistxattr",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .no_follow = true,
    .quick = true,
    .only_reads = true,
    .begin = listxattr_begin,
    .block = llistxattr_block,
};

const struct halo_op_row halo_flistxattr_row = {
    .code = HALO_OP_FLISTXATTR,
    .name = "flistxattr",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .quick = true,
    .begin = listxattr_begin,
    .block = flistxattr_block,
};

const struct halo_op_row halo_removexattr_row = {
    .code = HALO_OP_REMOVEXATTR,
    .name = "removexattr",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .quick = true,
    .block = removexattr_block,
};

const struct halo_op_row halo_lremovexattr_row = {
    .code = HALO_OP_LREMOVEXATTR,
    .name = "lremovexattr",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .no_follow = true,
    .quick = true,
    .block = lremovexattr_block,
};

const struct halo_op_row halo_fremovexattr_row = {
    .code = HALO_OP_FREMOVEXATTR,
    .name = "fremovexattr",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .quick = true,
    .alters = true,
    .block = fremovexattr_block,
};
