/*
 * The table of operations in the place of core/ops/ops.c: each row is the core's own, but for the
 * functions that carry it out. These ask whether the answer is to be a fault; then nothing is done.
 * On the ring that is a NOP in the place of the operation, and its completion says the fault.
 */
#include <errno.h>
#include <liburing.h>

#include "engines/engine.h"
#include "engines/poller.h"
#include "faults.h"
#include "ops/ops.h"

#define ERESTARTSYS 512   /* which the kernel keeps to itself, or should */
#define PLANNED_MAX 16384 /* more than the ring holds at once */

#define REAL_ROW(code, row) [code] = &row,
#define OUR_ROW(code, row)  [code] = &rows[code],

static const struct halo_op_row *const real[HALO_OP_COUNT] = {HALO_OP_ROWS(REAL_ROW)};
static struct halo_op_row rows[HALO_OP_COUNT];

const struct halo_op_row *const halo_op_table[HALO_OP_COUNT] = {HALO_OP_ROWS(OUR_ROW)};

/* ---- the ring ------------------------------------------------------------------------------ */

static struct {
    uint64_t seq;
    int error;
} planned[PLANNED_MAX];

static void plan(uint64_t seq, int error)
{
    planned[seq % PLANNED_MAX].seq = seq;
    planned[seq % PLANNED_MAX].error = error;
}

int faults_completion(uint64_t seq)
{
    if (seq == 0 || planned[seq % PLANNED_MAX].seq != seq)
        return 0;
    planned[seq % PLANNED_MAX].seq = 0;
    return -planned[seq % PLANNED_MAX].error;
}

static bool may_be_short(const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_WRITE;
}

static void prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    const struct halo_op_row *row = real[op->now->code];
    int error = faults_next(FAULTS_ANSWER, (int)row->code, row->name, "ring");

    row->prepare(sqe, op);
    if (error == FAULTS_SHORT && may_be_short(sqe) && sqe->len > 0) {
        sqe->len = 1;
    } else if (error && error != FAULTS_SHORT) {
        io_uring_prep_nop(sqe);
        plan(op->seq, error);
    }
}

/* ---- twins --------------------------------------------------------------------------------- */

/* The way that an operation has taken to its twin. */
static const char *way_of(const struct halo_op *op)
{
    return op->interrupt                                 ? "direct"
           : op->in_pool || op->state == HALO_OP_RUNNING ? "worker"
                                                         : "try";
}

static int64_t carry_out(struct halo_op *op, int64_t (*twin)(struct halo_op *))
{
    bool before = faults_within(true);
    int64_t result = twin(op);
    faults_within(before);
    return result;
}

/* As if there were but one byte left to be moved; the record says how many there are in truth. */
static int64_t move_one_byte(struct halo_op *op, int64_t (*twin)(struct halo_op *))
{
    size_t length = op->length;

    if (op->length > op->done)
        op->length = op->done + 1;
    int64_t result = carry_out(op, twin);
    op->length = length;
    return result;
}

/* Linux closes, whatever it answers: the twin takes these as a success, and must not be repeated.
 */
static bool says_nothing(int error)
{
    return error == EINTR || error == ERESTARTSYS || error == ECANCELED;
}

static int64_t answer(struct halo_op *op, const struct halo_op_row *row,
                      int64_t (*twin)(struct halo_op *))
{
    int error = faults_next(FAULTS_ANSWER, (int)row->code, row->name, way_of(op));

    if (error == FAULTS_SHORT)
        return row->code == HALO_OP_READ || row->code == HALO_OP_WRITE ? move_one_byte(op, twin)
                                                                       : carry_out(op, twin);
    if (!error || row->code == HALO_OP_CLOSE) {
        int64_t result = carry_out(op, twin);
        return error && !says_nothing(error) ? -error : result;
    }
    return -error;
}

static int64_t block(struct halo_op *op)
{
    const struct halo_op_row *row = real[op->now->code];
    return answer(op, row, row->block);
}

static int64_t attempt(struct halo_op *op)
{
    const struct halo_op_row *row = real[op->row->code];
    return answer(op, row, row->attempt);
}

/* Polls of the workers' engine have no twin: epoll does them. */
void REAL(halo_poller_submit)(struct halo_poller *poller, struct halo_op *op,
                              struct halo_list *answered);

void WRAP(halo_poller_submit)(struct halo_poller *poller, struct halo_op *op,
                              struct halo_list *answered)
{
    int error = faults_next(FAULTS_ANSWER, HALO_OP_POLL, "poll", "poller");

    if (error && error != FAULTS_SHORT)
        halo_engine_answer(answered, op, -error);
    else
        REAL(halo_poller_submit)(poller, op, answered);
}

__attribute__((constructor)) static void fill_table(void)
{
    for (int code = 0; code < HALO_OP_COUNT; code++) {
        rows[code] = *real[code];
        rows[code].block = block;
        rows[code].attempt = real[code]->attempt ? attempt : NULL;
        rows[code].prepare = real[code]->prepare ? prepare : NULL;
    }
}
