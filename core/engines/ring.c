/*
 * The ring engine: io_uring for the operations that have an opcode here, worker threads for the
 * others. The kernel is asked at the start which have one, and use corrects that: a ring that
 * answers EINVAL where the plain system call then succeeds is not asked again.
 *
 * Submissions gather in the queue until wait() hands them over together. One function, emit(),
 * takes an SQE and counts it until its completion has been seen. At most max_in_flight operations,
 * half as many polls and one cancel for each of them are in the ring, so that the completion queue
 * never overflows; further polls go to an epoll instance, which is itself polled.
 *
 * A ring that refuses later, as by a seccomp filter of the host's, leaves everything to these two.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <liburing.h>

#include "check.h"
#include "loop.h"
#include "ops/ops.h"
#include "engines/poller.h"
#include "engines/uring.h"
#include "engines/workers.h"
#include "fd.h"

/* Sequence numbers below HALO_SEQ_FIRST are the ring's own submissions. */
#define SEQ_WAKE   1
#define SEQ_CANCEL 2
#define SEQ_POLLER 3

#define SUBMIT_TRIES          1000
#define INTERRUPTIONS_AT_ONCE 16
#define PAUSE_NS              2000000 /* between two of them */

struct ring {
    struct io_uring uring;
    struct halo_loop *loop;
    struct halo_workers *workers;
    struct halo_poller poller;
    unsigned held;          /* submissions whose completion has not been seen */
    unsigned polls;         /* of those, the polls of operations */
    unsigned interruptions; /* of the latest calls, one after the other */
    bool wake_armed;        /* the loop's wake descriptor is polled, */
    bool poller_armed;      /* and the epoll instance */
    bool cancels_owed;      /* there was no room for some cancel */
    bool reaped;            /* completions were seen since the turn began */
    bool tells_work;        /* a flag says when the kernel has completions to post */
    int event_fd;           /* for a host that polls, or -1 */
    int spare_fd;           /* the same before one has asked for it, or -1 */
    bool refused;           /* there is no way into it any more */
    unsigned stranded;      /* operations that were in it then, and have not been answered */
    bool has_opcode[HALO_OP_COUNT];
};

/* ---- completion ---------------------------------------------------------------------------- */

static void to_workers(struct ring *ring, struct halo_op *op)
{
    ring->loop->stats.pool++;
    op->in_pool = true;
    halo_workers_submit(ring->workers, op);
}

/* Polls that the completion queue has no room for, or that the ring cannot do. */
static void to_poller(struct ring *ring, struct halo_op *op)
{
    int error = 0;
    if (!halo_poller_is_open(&ring->poller))
        error = halo_poller_open(&ring->poller, -1);
    if (error)
        halo_engine_answer(&ring->loop->answered, op, error);
    else
        halo_poller_submit(&ring->poller, op, &ring->loop->answered);
}

/*
 * To read from a FUSE file that is opened with direct_io, the kernel asks the daemon; but the
 * ring's reads it ends at the size that it knows, which may be an old one. So the plain call has
 * the last word on the end of a file that is not local.
 */
static bool is_doubtful_end(const struct halo_op *op, int result)
{
    return result == 0 && halo_op_is(op, HALO_OP_READ) && op->length > op->done &&
           !op->slot->stream && !op->slot->local;
}

static void complete(struct ring *ring, uint64_t seq, int result)
{
    struct halo_op *op = halo_slab_find(&ring->loop->slab, seq);
    /* From a ring that refuses polls were taken away, and it may answer them yet. */
    if (!op || op->in_pool) {
        ring->loop->stats.unknown += !ring->refused;
        return;
    }
    HALO_CHECK(op->state == HALO_OP_RUNNING, "a completion for an operation that was not running");
    ring->stranded -= ring->refused;
    bool polls = halo_op_polls(op);
    ring->polls -= polls;
    /*
     * The ring may know the opcode and not what is asked of it; and it cancels by itself where it
     * can start no worker. In both cases nothing has happened yet, and the plain call decides. It
     * does as well where a file lacks the right to write and the offsets to do it at (EBADF).
     */
    bool invalid = result == -EINVAL || result == -EOPNOTSUPP || result == -EBADF;
    bool undecided = invalid || result == -ECANCELED || is_doubtful_end(op, result);
    if (!op->cancelled && undecided && !polls) {
        op->pool_only = true;
        op->refused = invalid;
        to_workers(ring, op);
        return;
    }
    /*
     * A terminal wakes those who poll it when its settings change, and the kernel cannot poll it
     * anew, as it has two queues: EINVAL. An epoll instance can.
     */
    if (polls && result == -EINVAL && !op->cancelled) {
        to_poller(ring, op);
        return;
    }
    if (polls && result == -EINVAL)
        result = -ECANCELED;
    halo_engine_answer(&ring->loop->answered, op, result);
}

/* Appends what has completed. Safe at any time: it calls nobody. */
static void reap(struct ring *ring)
{
    struct io_uring_cqe *cqe;

    for (unsigned left = io_uring_cq_ready(&ring->uring); left > 0; left--) {
        if (io_uring_peek_cqe(&ring->uring, &cqe) != 0)
            break;
        uint64_t seq = cqe->user_data;
        int result = cqe->res;
        io_uring_cqe_seen(&ring->uring, cqe);
        HALO_CHECK(ring->held > 0, "more completions than submissions");
        ring->held--;
        ring->reaped = true;
        if (seq >= HALO_SEQ_FIRST)
            complete(ring, seq, result);
        ring->wake_armed &= seq != SEQ_WAKE;
        ring->poller_armed &= seq != SEQ_POLLER;
    }
}

static void collect_workers(struct ring *ring)
{
    struct halo_list *answered = &ring->loop->answered;
    struct halo_op *last = answered->last;

    halo_workers_collect(ring->workers, answered);
    for (struct halo_op *op = last ? last->next : answered->first; op; op = op->next)
        if (op->refused && op->result >= 0)
            ring->has_opcode[op->row->code] = false;
}

/* ---- a ring that refuses later ------------------------------------------------------------- */

/* Carries on with an operation that the ring will not answer. */
static void take_away(struct ring *ring, struct halo_op *op)
{
    op->in_pool = true;
    if (op->cancelled)
        halo_engine_answer(&ring->loop->answered, op, -ECANCELED);
    else if (halo_op_polls(op))
        to_poller(ring, op);
    else
        to_workers(ring, op);
}

static void take_away_submissions(struct ring *ring)
{
    struct io_uring_sq *sq = &ring->uring.sq;
    unsigned first = *sq->khead;

    for (unsigned at = first; at != sq->sqe_tail; at++) {
        uint64_t seq = sq->sqes[at & *sq->kring_mask].user_data;
        struct halo_op *op = seq < HALO_SEQ_FIRST ? NULL : halo_slab_find(&ring->loop->slab, seq);
        ring->held--;
        if (op)
            take_away(ring, op);
    }
    sq->sqe_head = sq->sqe_tail = first;
}

/* What tells of workers' answers and of wakes has to wake a host that polls as well. */
static void join_wakes(const struct ring *ring)
{
    (void)dup3(ring->event_fd, ring->loop->wake_fd, O_CLOEXEC);
    halo_event_set(ring->event_fd);
}

/*
 * Somebody has closed the ring's descriptor, or forbidden io_uring_enter(). What the kernel was not
 * given yet, workers do, and polls, of which it holds a file and no memory, start anew. The rest
 * is the kernel's: it ends where its completions come by themselves.
 */
static void give_up(struct ring *ring, int error)
{
    struct halo_loop *loop = ring->loop;

    ring->refused = true;
    memset(ring->has_opcode, 0, sizeof(ring->has_opcode));
    snprintf(loop->reason, sizeof(loop->reason), "io_uring worked here, until it answered %s",
             halo_error_name(-error));
    take_away_submissions(ring);
    for (size_t i = 0; i <= loop->slab.mask; i++) {
        struct halo_op *op = loop->slab.table[i];
        if (!op || op->state != HALO_OP_RUNNING || op->in_pool || op->in_poller)
            continue;
        if (halo_op_polls(op))
            take_away(ring, op);
        else
            ring->stranded++;
    }
    ring->polls = 0;
    if (error == -EBADF || error == -EOPNOTSUPP)
        ring->uring.ring_fd = -1; /* that number is nobody's any more, or another's */
    if (ring->event_fd >= 0)
        join_wakes(ring);
}

static void wait_without_ring(struct ring *ring, int64_t timeout_ns)
{
    struct pollfd polled[] = {{.fd = ring->loop->wake_fd, .events = POLLIN},
                              {.fd = halo_poller_fd(&ring->poller), .events = POLLIN}};

    timeout_ns = halo_workers_bound_wait(ring->workers, timeout_ns);
    if (ring->stranded > 0 && (timeout_ns < 0 || timeout_ns > PAUSE_NS))
        timeout_ns = PAUSE_NS;
    struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    if (timeout_ns != 0)
        ppoll(polled, sizeof(polled) / sizeof(polled[0]), timeout_ns < 0 ? NULL : &timeout, NULL);
    halo_event_clear(ring->loop->wake_fd);
    if (halo_poller_is_open(&ring->poller))
        halo_poller_collect(&ring->poller, &ring->loop->answered);
    reap(ring);
    collect_workers(ring);
}

/* ---- submission ---------------------------------------------------------------------------- */

/* What cannot be submitted now stays queued; what has completed may be in its way. */
static void check_submitted(struct ring *ring, int result)
{
    static const struct timespec pause = {.tv_nsec = PAUSE_NS};
    bool interrupted = result == -EINTR;
    bool busy = result == -EAGAIN || result == -EBUSY || result == -ENOMEM;
    unsigned held = ring->held;

    if (result < 0 && !busy && !interrupted && result != -ETIME && !ring->refused)
        give_up(ring, result);
    ring->interruptions = interrupted ? ring->interruptions + 1 : 0;
    if (!busy && ring->interruptions < INTERRUPTIONS_AT_ONCE)
        return;
    reap(ring);
    if (ring->held == held)
        nanosleep(&pause, NULL);
}

static struct io_uring_sqe *take_sqe(struct ring *ring)
{
    bool room = !ring->refused && ring->held < ring->uring.cq.ring_entries;
    return room ? io_uring_get_sqe(&ring->uring) : NULL;
}

/* Takes an SQE for a submission of that number; NULL where the kernel takes no more, for long. */
static struct io_uring_sqe *emit(struct ring *ring, uint64_t seq)
{
    struct io_uring_sqe *sqe = take_sqe(ring);

    for (int tries = 0; !sqe; tries++) {
        bool long_enough = tries == SUBMIT_TRIES || halo_loop_is_interrupted(ring->loop);
        if (ring->refused || (tries > 1 && long_enough))
            return NULL;
        check_submitted(ring, io_uring_submit(&ring->uring));
        reap(ring);
        sqe = take_sqe(ring);
    }
    memset(sqe, 0, sizeof(*sqe));
    sqe->user_data = seq;
    ring->held++;
    return sqe;
}

static void set_user_data(struct io_uring_sqe *sqe, uint64_t seq)
{
    sqe->user_data = seq; /* the prepare functions of older libraries clear it */
}

static bool arm(struct ring *ring, uint64_t seq, int fd)
{
    struct io_uring_sqe *sqe = emit(ring, seq);
    if (!sqe)
        return false;
    io_uring_prep_poll_add(sqe, fd, POLLIN);
    set_user_data(sqe, seq);
    return true;
}

static struct io_uring_sqe *emit_op(struct ring *ring, const struct halo_op *op, bool polls)
{
    if (!ring->has_opcode[op->now->code] || ((op->pool_only || op->below) && !polls))
        return NULL;
    if (polls && ring->polls >= ring->loop->config.max_in_flight / 2)
        return NULL;
    return emit(ring, op->seq);
}

static void ring_submit(void *state, struct halo_op *op)
{
    struct ring *ring = state;
    bool polls = halo_op_polls(op);
    struct io_uring_sqe *sqe = emit_op(ring, op, polls);

    op->in_pool = ring->refused;
    if (sqe) {
        ring->loop->stats.ring++;
        ring->polls += polls;
        op->now->prepare(sqe, op);
        set_user_data(sqe, op->seq);
    } else if (polls) {
        to_poller(ring, op);
    } else {
        to_workers(ring, op);
    }
}

static void cancel_in_ring(struct ring *ring, const struct halo_op *op)
{
    struct io_uring_sqe *sqe = emit(ring, SEQ_CANCEL);
    /* Room may have been made by this very operation. */
    if (!sqe) {
        ring->cancels_owed = true;
        return;
    }
    io_uring_prep_cancel64(sqe, op->seq, 0);
    set_user_data(sqe, SEQ_CANCEL);
}

static void ring_cancel(void *state, struct halo_op *op)
{
    struct ring *ring = state;

    if (op->in_poller)
        halo_poller_cancel(&ring->poller, op, &ring->loop->answered);
    else if (op->in_pool)
        halo_workers_cancel(ring->workers, op, &ring->loop->answered);
    else
        cancel_in_ring(ring, op);
}

static void cancel_owed(struct ring *ring)
{
    const struct halo_slab *slab = &ring->loop->slab;

    ring->cancels_owed = false;
    for (size_t i = 0; i <= slab->mask && !ring->cancels_owed; i++) {
        const struct halo_op *op = slab->table[i];
        if (op && op->cancelled && op->state == HALO_OP_RUNNING && !op->in_pool && !op->in_poller)
            cancel_in_ring(ring, op);
    }
}

/* ---- turns --------------------------------------------------------------------------------- */

static void enter(struct ring *ring, int64_t timeout_ns)
{
    struct io_uring_cqe *cqe;
    struct __kernel_timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    int result;
    /* Deferred task work posts completions only for a caller who asks for events. */
    if (timeout_ns == 0)
        result = io_uring_submit_and_get_events(&ring->uring);
    else if (timeout_ns < 0)
        result = io_uring_submit_and_wait(&ring->uring, 1);
    else
        result = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, &timeout, NULL);
    check_submitted(ring, result);
}

static bool has_submissions(const struct ring *ring)
{
    return io_uring_sq_ready(&ring->uring) > 0;
}

/* A turn that does not wait need not enter the kernel where that has nothing to say. */
static bool has_work(const struct ring *ring)
{
    if (has_submissions(ring) || ring->event_fd >= 0)
        return true;
    if (!ring->tells_work)
        return ring->held > (unsigned)ring->wake_armed + ring->poller_armed;
    return IO_URING_READ_ONCE(*ring->uring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static bool ring_pending(void *state)
{
    const struct ring *ring = state;
    /* Of streams a ring that refuses does not tell a host any more, which has to come and look. */
    bool unseen = ring->stranded > 0 || ring->poller.watched > 0;
    return has_submissions(ring) || (ring->refused && ring->event_fd >= 0 && unseen);
}

static int new_event_fd(void)
{
    return halo_fd_move_up(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/*
 * Before Linux 5.18 to register an eventfd waits for all that is under way, maybe for ever. Such a
 * kernel is given one while there is nothing yet.
 */
static int register_early(struct ring *ring)
{
    if (ring->tells_work)
        return 0;
    int fd = new_event_fd();
    if (fd < 0)
        return -errno;
    if (io_uring_register_eventfd(&ring->uring, fd) < 0)
        return close(fd); /* then there will be the ring's own descriptor */
    ring->spare_fd = fd;
    return 0;
}

/*
 * A poll of the ring's own descriptor does not show deferred task work, which posts the
 * completions; an eventfd does, at a cost that only those who ask for it pay. Wakes go to it
 * directly: an eventfd that the ring polls signals another one only once, since Linux 6.11.
 */
static int ring_fd(void *state)
{
    struct ring *ring = state;
    if (ring->event_fd >= 0)
        return ring->event_fd;
    bool registered = ring->spare_fd >= 0;
    int fd = registered ? ring->spare_fd : new_event_fd();
    if (fd < 0)
        return -errno;
    if (!registered && !ring->refused && io_uring_register_eventfd(&ring->uring, fd) < 0)
        return close(fd), ring->uring.ring_fd;
    ring->event_fd = fd;
    ring->spare_fd = -1;
    if (ring->refused)
        return join_wakes(ring), fd;
    /* It does not tell of what ended before it was registered, nor of who was woken. */
    bool woken = halo_event_take(ring->loop->wake_fd);
    (void)dup3(fd, ring->loop->wake_fd, O_CLOEXEC);
    enter(ring, 0);
    if (woken || io_uring_cq_ready(&ring->uring) > 0)
        halo_event_set(fd);
    return fd;
}

static void arm_all(struct ring *ring)
{
    if (!ring->wake_armed && ring->event_fd < 0)
        ring->wake_armed = arm(ring, SEQ_WAKE, ring->loop->wake_fd);
    if (!ring->poller_armed && halo_poller_is_open(&ring->poller))
        ring->poller_armed = arm(ring, SEQ_POLLER, halo_poller_fd(&ring->poller));
}

/* A host's descriptor tells of wakes, and the ring does not: that is waited for. */
static void wait_as_host(struct ring *ring, int64_t timeout_ns)
{
    enter(ring, 0);
    if (timeout_ns == 0 || io_uring_cq_ready(&ring->uring) > 0)
        return;
    halo_event_wait(ring->event_fd, timeout_ns);
    enter(ring, 0);
}

static void ring_wait(void *state, int64_t timeout_ns)
{
    struct ring *ring = state;

    if (ring->event_fd >= 0 && halo_event_take(ring->event_fd))
        timeout_ns = 0;
    if (ring->refused) {
        wait_without_ring(ring, timeout_ns);
        return;
    }
    ring->reaped = false;
    if (ring->cancels_owed)
        cancel_owed(ring);
    arm_all(ring);
    /* Room for these was made by collecting what will not be told of again. */
    if (ring->reaped)
        timeout_ns = 0;
    int64_t bound_ns = halo_workers_bound_wait(ring->workers, timeout_ns);
    if (ring->event_fd >= 0)
        wait_as_host(ring, bound_ns);
    else if (timeout_ns != 0 || has_work(ring))
        enter(ring, bound_ns);
    reap(ring);
    if (!ring->wake_armed && ring->event_fd < 0)
        halo_event_clear(ring->loop->wake_fd);
    if (!ring->poller_armed && halo_poller_is_open(&ring->poller))
        halo_poller_collect(&ring->poller, &ring->loop->answered);
    collect_workers(ring);
    arm_all(ring);
    if (ring->event_fd >= 0 && has_submissions(ring))
        check_submitted(ring, io_uring_submit(&ring->uring));
}

/* ---- open and close ------------------------------------------------------------------------ */

static void ring_close(void *state)
{
    struct ring *ring = state;
    if (ring->workers)
        halo_workers_close(ring->workers);
    halo_poller_close(&ring->poller);
    io_uring_queue_exit(&ring->uring);
    if (ring->event_fd >= 0)
        close(ring->event_fd);
    if (ring->spare_fd >= 0)
        close(ring->spare_fd);
    free(ring);
}

static int ring_open(struct halo_loop *loop, void **state)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    ring->loop = loop;
    ring->event_fd = ring->spare_fd = -1;
    int error = halo_uring_open(&ring->uring, &loop->config, &ring->tells_work, ring->has_opcode);
    if (error) {
        free(ring);
        return error;
    }
    error = register_early(ring);
    if (!error) {
        ring->workers = halo_workers_create(loop->config.pool_threads, loop->wake_fd);
        error = ring->workers ? 0 : -ENOMEM;
    }
    if (error) {
        ring_close(ring);
        return error;
    }
    ring->wake_armed = arm(ring, SEQ_WAKE, loop->wake_fd);
    *state = ring;
    return 0;
}

static bool ring_by_ring(const void *state, enum halo_op_code code)
{
    return ((const struct ring *)state)->has_opcode[code];
}

const struct halo_engine halo_engine_ring = {
    .name = "ring",
    .open = ring_open,
    .submit = ring_submit,
    .cancel = ring_cancel,
    .wait = ring_wait,
    .pending = ring_pending,
    .fd = ring_fd,
    .by_ring = ring_by_ring,
    .close = ring_close,
};
