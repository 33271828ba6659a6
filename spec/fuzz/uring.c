/*
 * What ring.c sees of io_uring: liburing's functions, over the kernel of kernel.h.
 */
#include <errno.h>
#include <string.h>

#include "jobs.h"

#define STEP_NS    1000
#define OPCODES    64
#define ALL        4096
#define SEQ_POLLER 3 /* the ring's poll of the poller */

/* ---- submissions and completions ----------------------------------------------------------- */

static void post(struct io_uring *uring, uint64_t seq, int64_t result)
{
    struct io_uring_cq *cq = &uring->cq;

    if (*cq->ktail - *cq->khead >= cq->ring_entries)
        fuzz_fail("the completion queue overflows");
    cq->cqes[*cq->ktail & cq->ring_mask] = (struct io_uring_cqe){
        .user_data = seq,
        .res = (int)result,
        .flags = kernel_draw(2) * IORING_CQE_F_MORE,
    };
    ++*cq->ktail;
}

static void end_in_ring(struct io_uring *uring, size_t at)
{
    struct job job = job_take(at);
    uint64_t seq = job.sqe.user_data;
    int64_t result = seq <= KERNEL_SEQ_OWN_MAX ? 0 : job_result(&job);

    if (job.sqe.opcode == IORING_OP_ASYNC_CANCEL && kernel_draw(4) == 1) {
        seq = kernel_draw_unknown();
        result = (int64_t)kernel_draw(256) - 128;
    }
    post(uring, seq, result);
}

static void take_submissions(struct io_uring *uring)
{
    struct io_uring_sq *sq = &uring->sq;
    unsigned left = sq->sqe_tail - *sq->khead;

    if (kernel_draw(8) == 1 && left > 0)
        left = kernel_draw(left);
    for (; left > 0; left--) {
        const struct io_uring_sqe *sqe = &sq->sqes[*sq->khead & sq->ring_mask];
        job_add(PLACE_RING, uring, NULL)->sqe = *sqe;
        if (sqe->opcode == IORING_OP_ASYNC_CANCEL)
            job_cancel(uring, sqe->addr);
        ++*sq->khead;
    }
}

static void end_some(struct io_uring *uring, bool wait)
{
    unsigned count = kernel_is_kind() ? ALL : kernel_draw(5);
    size_t at;

    if (kernel_is_kind() && job_has_any(PLACE_POLLER) && job_find_own(uring, SEQ_POLLER, &at))
        end_in_ring(uring, at);
    for (unsigned i = 0; i < count && job_find(uring, kernel_draw(4) == 1, &at); i++)
        end_in_ring(uring, at);
    if (wait && *uring->cq.ktail == *uring->cq.khead && job_find(uring, false, &at))
        end_in_ring(uring, at);
}

/* One call of io_uring_enter(). */
static int enter(struct io_uring *uring, bool wait, int64_t timeout_ns)
{
    static const int16_t refusals[] = {EINTR, EAGAIN, EBUSY, ENOMEM};

    kernel_pass_ns(STEP_NS);
    job_check_all();
    if (kernel_draw(16) == 1)
        return -refusals[kernel_draw(4)];
    take_submissions(uring);
    end_some(uring, wait);
    bool idle = *uring->cq.ktail == *uring->cq.khead && !job_has_any(PLACE_WORKERS);
    if (wait && idle && timeout_ns > 0) {
        kernel_pass_ns((uint64_t)timeout_ns);
        return -ETIME;
    }
    return 0;
}

/* ---- liburing ------------------------------------------------------------------------------ */

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        fuzz_fail("no memory");
    return memory;
}

static unsigned round_up(unsigned number)
{
    unsigned power = 1;
    while (power < number)
        power *= 2;
    return power;
}

int io_uring_queue_init_params(unsigned entries, struct io_uring *uring,
                               struct io_uring_params *params)
{
    memset(uring, 0, sizeof(*uring));
    uring->flags = params->flags;
    uring->features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
    uring->ring_fd = -1;
    unsigned *numbers = zeroed(8, sizeof(*numbers));
    uring->sq.khead = &numbers[0];
    uring->sq.ktail = &numbers[1];
    uring->sq.kflags = &numbers[2];
    uring->cq.khead = &numbers[3];
    uring->cq.ktail = &numbers[4];
    uring->sq.ring_ptr = numbers;
    uring->sq.ring_entries = round_up(entries);
    uring->sq.ring_mask = uring->sq.ring_entries - 1;
    uring->sq.sqes = zeroed(uring->sq.ring_entries, sizeof(struct io_uring_sqe));
    uring->cq.ring_entries = round_up(params->cq_entries);
    uring->cq.ring_mask = uring->cq.ring_entries - 1;
    uring->cq.cqes = zeroed(uring->cq.ring_entries, sizeof(struct io_uring_cqe));
    return 0;
}

void io_uring_queue_exit(struct io_uring *uring)
{
    free(uring->sq.ring_ptr);
    free(uring->sq.sqes);
    free(uring->cq.cqes);
}

/* The ring of the probe's NOP; it comes before the input. */
int io_uring_submit_and_wait(struct io_uring *uring, unsigned count)
{
    (void)count;
    return enter(uring, true, -1);
}

int io_uring_submit(struct io_uring *uring)
{
    return enter(uring, false, 0);
}

int io_uring_submit_and_get_events(struct io_uring *uring)
{
    return enter(uring, false, 0);
}

int io_uring_submit_and_wait_timeout(struct io_uring *uring, struct io_uring_cqe **cqe,
                                     unsigned count, struct __kernel_timespec *timeout,
                                     sigset_t *signals)
{
    (void)cqe, (void)count, (void)signals;
    return enter(uring, true, timeout->tv_sec * 1000000000 + timeout->tv_nsec);
}

int __io_uring_get_cqe(struct io_uring *uring, struct io_uring_cqe **cqe, unsigned submit,
                       unsigned count, sigset_t *signals)
{
    (void)uring, (void)cqe, (void)submit, (void)count, (void)signals;
    return -EAGAIN;
}

struct io_uring_probe *io_uring_get_probe_ring(struct io_uring *uring)
{
    struct io_uring_probe *probe =
        zeroed(1, sizeof(*probe) + OPCODES * sizeof(struct io_uring_probe_op));

    (void)uring;
    probe->last_op = OPCODES - 1;
    for (unsigned i = 0; i < OPCODES; i++)
        probe->ops[i] = (struct io_uring_probe_op){(uint8_t)i, 0, IO_URING_OP_SUPPORTED, 0};
    return probe;
}

void io_uring_free_probe(struct io_uring_probe *probe)
{
    free(probe);
}

int io_uring_register_eventfd(struct io_uring *uring, int fd)
{
    (void)uring, (void)fd;
    return -EINVAL;
}

int io_uring_register_iowq_max_workers(struct io_uring *uring, unsigned *counts)
{
    (void)uring, (void)counts;
    return 0;
}

int io_uring_ring_dontfork(struct io_uring *uring)
{
    (void)uring;
    return 0;
}
