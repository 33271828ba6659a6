/*
 * The ring engine: io_uring for the operations that have an opcode here, worker threads for the
 * others. Whether one has is asked of the kernel at the start, and corrected by use: a ring that
 * answers EINVAL where the plain system call then succeeds is not asked again.
 *
 * Submissions gather in the queue until wait() hands them over together. One function, emit(),
 * takes an SQE, and it fills it in at once. At most max_in_flight operations and one cancel for
 * each of them are in the ring, so that a completion queue of twice that never overflows.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <liburing.h>

#include "check.h"
#include "loop.h"
#include "ops/ops.h"
#include "engines/workers.h"

/* Sequence numbers below HALO_SEQ_FIRST are the ring's own submissions. */
#define SEQ_WAKE   1
#define SEQ_CANCEL 2
#define SEQ_NOP    3

#define SQ_ENTRIES_MAX 1024u
#define KERNEL_WORKERS 64u /* a few that hang must not keep the others from working */

struct ring {
    struct io_uring uring;
    struct halo_loop *loop;
    struct halo_workers *workers;
    struct halo_list answered;
    int event_fd; /* for a host that polls, or -1 */
    bool has_opcode[HALO_OP_COUNT];
};

/* ---- set-up -------------------------------------------------------------------------------- */

static int set_up(struct ring *ring, const struct halo_config *config)
{
    static const unsigned tries[] = {
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* 6.1 */
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN, /* 5.19 */
        0,
    };
    unsigned entries = config->max_in_flight;
    int error = 0;

    if (entries > SQ_ENTRIES_MAX)
        entries = SQ_ENTRIES_MAX;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        struct io_uring_params params = {
            .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | tries[i],
            .cq_entries = 2 * config->max_in_flight + 1,
        };
        error = io_uring_queue_init_params(entries, &ring->uring, &params);
        if (error != -EINVAL)
            break;
    }
    if (error)
        return error;
    /* Waiting with a timeout needs EXT_ARG (5.11); without NODROP answers could be lost. */
    unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
    if ((ring->uring.features & needed) == needed)
        return 0;
    io_uring_queue_exit(&ring->uring);
    return -ENOSYS;
}

/* Some sandboxes grant io_uring_setup() and refuse io_uring_enter(). */
static int try_nop(struct ring *ring)
{
    struct io_uring_cqe *cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    HALO_CHECK(sqe, "a new ring has no room");
    io_uring_prep_nop(sqe);
    sqe->user_data = SEQ_NOP;
    int submitted;
    do
        submitted = io_uring_submit_and_wait(&ring->uring, 1);
    while (submitted == -EINTR);
    if (submitted < 0)
        return submitted;
    int error = io_uring_wait_cqe(&ring->uring, &cqe);
    if (!error)
        io_uring_cqe_seen(&ring->uring, cqe);
    return error;
}

static int probe(struct ring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->uring);
    if (!probe)
        return -ENOMEM;
    for (int i = 0; i < HALO_OP_COUNT; i++) {
        int opcode = halo_op_table[i].opcode;
        ring->has_opcode[i] = opcode != HALO_NO_OPCODE && io_uring_opcode_supported(probe, opcode);
    }
    io_uring_free_probe(probe);
    return 0;
}

/* ---- submission ---------------------------------------------------------------------------- */

/* What cannot be submitted now (EAGAIN, EBUSY, ENOMEM, EINTR) stays queued for the next time. */
static void check_submitted(int result)
{
    HALO_CHECK(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -ENOMEM ||
                   result == -EINTR || result == -ETIME,
               strerror(-result));
}

static struct io_uring_sqe *emit(struct ring *ring, uint64_t seq)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    while (!sqe) {
        check_submitted(io_uring_submit(&ring->uring));
        sqe = io_uring_get_sqe(&ring->uring);
    }
    memset(sqe, 0, sizeof(*sqe));
    sqe->user_data = seq;
    return sqe;
}

static void set_user_data(struct io_uring_sqe *sqe, uint64_t seq)
{
    sqe->user_data = seq; /* the prepare functions of older libraries clear it */
}

static void arm_wake(struct ring *ring)
{
    struct io_uring_sqe *sqe = emit(ring, SEQ_WAKE);
    io_uring_prep_poll_add(sqe, ring->loop->wake_fd, POLLIN);
    set_user_data(sqe, SEQ_WAKE);
}

static void to_workers(struct ring *ring, struct halo_op *op)
{
    ring->loop->stats.pool++;
    op->in_pool = true;
    halo_workers_submit(ring->workers, op);
}

static void ring_submit(void *state, struct halo_op *op)
{
    struct ring *ring = state;
    bool poll = op->now == &halo_op_table[HALO_OP_POLL];

    op->in_pool = false;
    if (!ring->has_opcode[op->now - halo_op_table] || (op->pool_only && !poll)) {
        to_workers(ring, op);
        return;
    }
    ring->loop->stats.ring++;
    struct io_uring_sqe *sqe = emit(ring, op->seq);
    op->now->prepare(sqe, op);
    set_user_data(sqe, op->seq);
}

static void ring_cancel(void *state, struct halo_op *op)
{
    struct ring *ring = state;

    if (!op->in_pool) {
        struct io_uring_sqe *sqe = emit(ring, SEQ_CANCEL);
        io_uring_prep_cancel64(sqe, op->seq, 0);
        set_user_data(sqe, SEQ_CANCEL);
    } else if (halo_workers_withdraw(ring->workers, op)) {
        op->result = -ECANCELED;
        halo_list_append(&ring->answered, op);
    }
}

/* ---- completion ---------------------------------------------------------------------------- */

static void complete(struct ring *ring, uint64_t seq, int result)
{
    struct halo_op *op = halo_slab_find(&ring->loop->slab, seq);
    if (!op) {
        ring->loop->stats.unknown++;
        return;
    }
    HALO_CHECK(op->state == HALO_OP_RUNNING, "a completion for an operation that was not running");
    /*
     * The ring may know the opcode and not what is asked of it; and it cancels by itself where it
     * can start no worker. In both cases nothing has happened yet, and the plain call decides. It
     * does as well where a file lacks the right to write and the offsets to do it at (EBADF).
     */
    bool invalid = result == -EINVAL || result == -EOPNOTSUPP || result == -EBADF;
    if (!op->cancelled && (invalid || result == -ECANCELED) &&
        op->now != &halo_op_table[HALO_OP_POLL]) {
        op->pool_only = true;
        op->refused = invalid;
        to_workers(ring, op);
        return;
    }
    halo_loop_answer(ring->loop, op, result);
}

static bool reap(struct ring *ring)
{
    struct io_uring_cqe *cqe;
    bool woken = false;

    for (unsigned left = io_uring_cq_ready(&ring->uring); left > 0; left--) {
        if (io_uring_peek_cqe(&ring->uring, &cqe) != 0)
            break;
        uint64_t seq = cqe->user_data;
        int result = cqe->res;
        io_uring_cqe_seen(&ring->uring, cqe);
        if (seq >= HALO_SEQ_FIRST)
            complete(ring, seq, result);
        else if (seq == SEQ_WAKE)
            woken = true;
    }
    return woken;
}

static void collect_workers(struct ring *ring)
{
    for (struct halo_op *op = halo_workers_collect(ring->workers); op;) {
        struct halo_op *next = op->next;
        if (op->refused && op->result >= 0)
            ring->has_opcode[op->row - halo_op_table] = false;
        halo_loop_answer(ring->loop, op, op->result);
        op = next;
    }
}

static void enter(struct ring *ring, int64_t timeout_ns)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec timeout = {.tv_sec = timeout_ns / 1000000000,
                                        .tv_nsec = timeout_ns % 1000000000};
    int result;

    /* Deferred task work posts completions only for a caller who asks for events. */
    if (timeout_ns == 0)
        result = io_uring_submit_and_get_events(&ring->uring);
    else if (timeout_ns < 0)
        result = io_uring_submit_and_wait(&ring->uring, 1);
    else
        result = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, &timeout, NULL);
    check_submitted(result);
}

static void flush(struct ring *ring)
{
    if (io_uring_sq_ready(&ring->uring) > 0)
        check_submitted(io_uring_submit(&ring->uring));
}

static bool ring_pending(void *state)
{
    const struct ring *ring = state;
    return ring->answered.first || io_uring_sq_ready(&ring->uring) > 0;
}

/*
 * Whoever polls the ring's own descriptor is not told of deferred task work, which posts the
 * completions; an eventfd is. It costs a little at each completion, so that only those pay who ask.
 */
static int ring_fd(void *state)
{
    struct ring *ring = state;
    if (ring->event_fd >= 0)
        return ring->event_fd;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (io_uring_register_eventfd(&ring->uring, fd) < 0) {
        close(fd);
        return ring->uring.ring_fd;
    }
    ring->event_fd = fd;
    /* What has ended before the descriptor was known it would not tell. */
    check_submitted(io_uring_submit_and_get_events(&ring->uring));
    uint64_t one = 1;
    if (io_uring_cq_ready(&ring->uring) > 0 && write(fd, &one, sizeof(one)) < 0)
        HALO_CHECK(errno == EAGAIN, "a new eventfd cannot be written");
    return fd;
}

static void clear_event(struct ring *ring)
{
    uint64_t count;
    ssize_t got = read(ring->event_fd, &count, sizeof(count));
    (void)got; /* EAGAIN: nothing has happened since */
}

static void ring_wait(void *state, int64_t timeout_ns)
{
    struct ring *ring = state;
    struct halo_op *op;

    if (ring->answered.first)
        timeout_ns = 0;
    if (ring->event_fd >= 0)
        clear_event(ring);
    bool idle =
        ring->event_fd < 0 && ring->loop->running == 0 && io_uring_sq_ready(&ring->uring) == 0;
    if (timeout_ns != 0 || !idle)
        enter(ring, timeout_ns);
    bool woken = reap(ring);
    while ((op = halo_list_take(&ring->answered)))
        halo_loop_answer(ring->loop, op, op->result);
    if (woken) {
        halo_loop_clear_wake(ring->loop);
        arm_wake(ring);
        collect_workers(ring);
    }
    /* A host goes to its own poll from here: what the answers have started must be under way. */
    if (ring->event_fd >= 0)
        flush(ring);
}

/* ---- open and close ------------------------------------------------------------------------ */

static void ring_close(void *state)
{
    struct ring *ring = state;
    if (ring->workers)
        halo_workers_close(ring->workers);
    io_uring_queue_exit(&ring->uring);
    if (ring->event_fd >= 0)
        close(ring->event_fd);
    free(ring);
}

static int ring_open(struct halo_loop *loop, void **state)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    ring->loop = loop;
    ring->event_fd = -1;
    int error = set_up(ring, &loop->config);
    if (error) {
        free(ring);
        return error;
    }
    error = try_nop(ring);
    if (!error)
        error = probe(ring);
    if (!error && !(ring->workers = halo_workers_create(loop->config.pool_threads, loop->wake_fd)))
        error = -ENOMEM;
    if (error) {
        ring_close(ring);
        return error;
    }
    /* These make it better where the kernel has them, and are not missed where it does not. */
    unsigned kernel_workers[2] = {KERNEL_WORKERS, KERNEL_WORKERS};
    io_uring_register_iowq_max_workers(&ring->uring, kernel_workers);
    io_uring_ring_dontfork(&ring->uring);
    arm_wake(ring);
    *state = ring;
    return 0;
}

const struct halo_engine halo_engine_ring = {
    .name = "ring",
    .open = ring_open,
    .submit = ring_submit,
    .cancel = ring_cancel,
    .wait = ring_wait,
    .pending = ring_pending,
    .fd = ring_fd,
    .close = ring_close,
};
