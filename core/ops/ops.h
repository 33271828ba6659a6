/*
 * ops.h: the one table of operations. A row says everything that sets an operation apart; to add
 * one is to add a row and its blocking twin in ops_*.c, and a line in the bindings.
 */
#ifndef HALO_OPS_H
#define HALO_OPS_H

#include "halo.h"

#define HALO_NO_OPCODE     255
#define HALO_TRY_BYTES_MAX (256 << 10) /* of data that may be moved on the loop's thread */

struct io_uring_sqe;

enum halo_step { HALO_STEP_DONE, HALO_STEP_AGAIN, HALO_STEP_LATER };

struct halo_op_row {
    const char *name;
    uint8_t opcode;      /* IORING_OP_*, or HALO_NO_OPCODE: always the pool */
    uint8_t poll_events; /* what to poll a stream for before, or 0 */
    bool on_file;        /* it counts on op->file */
    bool no_base;        /* there is no system call for it that takes a directory */
    /* Fills in the rest of a zeroed SQE. */
    void (*prepare)(struct io_uring_sqe *sqe, const struct halo_op *op);
    bool quick; /* mostly short: may be tried on the loop's thread, see policy.h */
    /* As the twin, but -EAGAIN where it would wait or be long; NULL where that cannot be told. */
    int64_t (*attempt)(struct halo_op *op);
    /* The blocking twin: the plain system call. Returns its result or -errno. */
    int64_t (*block)(struct halo_op *op);
    /* Before the start, or NULL: returns 0, or -errno to end the operation at once. */
    int (*begin)(struct halo_loop *loop, struct halo_op *op);
    /* At the answer, or NULL: sets op->result and returns DONE, or wants another round. */
    enum halo_step (*finish)(struct halo_loop *loop, struct halo_op *op, int64_t result);
};

extern const struct halo_op_row halo_op_table[HALO_OP_COUNT];

static inline bool halo_op_is(const struct halo_op *op, enum halo_op_code code)
{
    return op->row == &halo_op_table[code];
}

/* What a poll of this operation waits for: POLL* bits. */
static inline short halo_op_poll_events(const struct halo_op *op)
{
    return (short)(halo_op_is(op, HALO_OP_POLL) ? op->flags : op->row->poll_events);
}

#endif
