/* Watching by inotify(7), whose descriptor is a file of the loop's, to be read; and polls. */
#include "ops/ops.h"

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>

#include <liburing.h>

#include "loop.h"
#include "ops/shared.h"

static int64_t watch_block(struct halo_op *op)
{
    return halo_result_of(inotify_add_watch(op->fd, op->path, op->flags));
}

static int64_t unwatch_block(struct halo_op *op)
{
    return halo_result_of(inotify_rm_watch(op->fd, (int)op->flags));
}

/* ---- poll ---------------------------------------------------------------------------------- */

static void poll_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_poll_add(sqe, op->fd, (unsigned)halo_op_poll_events(op));
}

static int64_t poll_block(struct halo_op *op)
{
    struct pollfd polled = {.fd = op->fd, .events = halo_op_poll_events(op)};
    return poll(&polled, 1, -1) < 0 ? -errno : polled.revents;
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_watch_row = {
    .code = HALO_OP_WATCH,
    .name = "watch",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .block = watch_block,
};

const struct halo_op_row halo_unwatch_row = {
    .code = HALO_OP_UNWATCH,
    .name = "unwatch",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .block = unwatch_block,
};

const struct halo_op_row halo_poll_row = {
    .code = HALO_OP_POLL,
    .name = "poll",
    .opcode = IORING_OP_POLL_ADD,
    .prepare = poll_prepare,
    .block = poll_block,
};
