#include "uring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "clock.h"
#include "engine.h"
#include "epoll.h"
#include "held.h"
#include "kernel.h"
#include "loop.h"
#include "model.h"
#include "ops/ops.h"
#include "sqe.h"
#include "trace.h"

#define ERESTARTSYS 512
#define JOBS_MAX    20000
#define POISON      0xa5
#define OPCODES     64
#define WOKEN_NS    5000  /* a poll is told soon */
#define RING_FD     99999 /* no real one */

enum state {
    SUBMITTED, /* takes effect when it is due */
    POLLING,   /* until its descriptor is ready */
    EFFECTIVE, /* is completed when it is due */
    COMPLETED  /* is posted when the kernel is entered */
};

struct job {
    struct io_uring_sqe sqe;
    enum state state;
    uint64_t due_ns;
    int result;
    struct held held; /* of an operation; those of the ring itself have none */
};

static struct io_uring *ring;
static struct job jobs[JOBS_MAX];
static size_t count;
static unsigned words[6]; /* heads, tails and flags, which both sides see */
static bool deferred;     /* completions are posted to those who ask for events */

/* ---- jobs ---------------------------------------------------------------------------------- */

static struct halo_op *find_op(uint64_t number)
{
    return number < HALO_SEQ_FIRST ? NULL : halo_slab_find(&engine_loop()->slab, number);
}

static struct job *find_job(uint64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (jobs[i].sqe.user_data == number)
            return &jobs[i];
    return NULL;
}

static void set_due(struct job *job, enum state state, int result)
{
    job->state = state;
    job->result = result;
    job->due_ns = clock_now_ns() + weather_delay_ns();
}

size_t uring_jobs(void)
{
    size_t operations = 0;
    for (size_t i = 0; i < count; i++)
        operations += jobs[i].held.op != NULL;
    return operations;
}

static bool reads(const struct job *job)
{
    return job->state == SUBMITTED && job->sqe.opcode == IORING_OP_READ;
}

void uring_scribble(void)
{
    const struct job *job = count > 0 ? &jobs[weather_below(count)] : NULL;
    if (job && reads(job))
        memset((void *)(uintptr_t)job->sqe.addr, POISON, job->sqe.len);
}

/* ---- completions --------------------------------------------------------------------------- */

static void post(struct job *job)
{
    unsigned tail = *ring->cq.ktail;

    if (tail - *ring->cq.khead >= ring->cq.ring_entries)
        fail("the completion queue runs over");
    if (job->held.op)
        held_check(&job->held);
    trace("post", job->sqe.user_data, job->result);
    ring->cq.cqes[tail & ring->cq.ring_mask] =
        (struct io_uring_cqe){.user_data = job->sqe.user_data, .res = job->result};
    *ring->cq.ktail = tail + 1;
    *job = jobs[--count];
}

static bool post_all(void)
{
    for (size_t i = count; i-- > 0;)
        if (jobs[i].state == COMPLETED)
            post(&jobs[i]);
    *ring->sq.kflags = 0;
    return *ring->cq.ktail != *ring->cq.khead;
}

static void complete(struct job *job)
{
    if (!deferred) {
        post(job);
        return;
    }
    job->state = COMPLETED;
    job->due_ns = KERNEL_NEVER;
    *ring->sq.kflags = IORING_SQ_TASKRUN;
}

/* ---- effects ------------------------------------------------------------------------------- */

static int cancel_result(void)
{
    static const int interrupted[] = {-EINTR, -ERESTARTSYS, -ERESTARTSYS - 1, -ERESTARTSYS - 4};
    return weather_chance(200) ? interrupted[weather_below(4)] : -ECANCELED;
}

/* A cancel comes in time, cuts a write, is too late, or is not heeded at all. */
static int cancel(uint64_t number)
{
    struct job *job = find_job(number);
    unsigned luck = (unsigned)weather_below(100);

    if (!job || job->state == COMPLETED)
        return -ENOENT;
    if (job->state == EFFECTIVE)
        return -EALREADY;
    if (job->sqe.opcode == IORING_OP_WRITE && job->sqe.len > 1 && luck < 20)
        job->sqe.len = 1 + (unsigned)weather_below(job->sqe.len - 1);
    else if (luck < 75 || job->state == POLLING)
        set_due(job, EFFECTIVE, cancel_result());
    return luck < 50 ? 0 : -EALREADY;
}

/* What the loop does for itself, such as to take something back, cannot be told to anybody. */
static int run_operation(const struct job *job)
{
    bool own = job->held.op && job->held.op->user == engine_loop();

    if (!own && weather_chance(weather.faults / 4))
        return -ECANCELED; /* by itself, as where no worker can be started */
    weather_hush(own);
    int result = (int)sqe_run(&job->sqe);
    weather_hush(-own);
    return result;
}

static void take_effect(struct job *job)
{
    int result = 0;

    if (job->sqe.opcode == IORING_OP_ASYNC_CANCEL)
        result = cancel(job->sqe.addr);
    else if (job->sqe.opcode != IORING_OP_NOP)
        result = run_operation(job);
    trace("effect", job->sqe.user_data, result);
    set_due(job, EFFECTIVE, result);
}

static struct job *first_job(void)
{
    struct job *first = NULL;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].due_ns != KERNEL_NEVER && (!first || jobs[i].due_ns < first->due_ns))
            first = &jobs[i];
    return first;
}

uint64_t uring_next_ns(void)
{
    const struct job *job = first_job();
    return job ? job->due_ns : KERNEL_NEVER;
}

void uring_pass(void)
{
    struct job *job = first_job();

    if (job->held.op)
        held_check(&job->held);
    if (job->state == EFFECTIVE) {
        complete(job);
        return;
    }
    if (job->held.op)
        held_check_unchanged(&job->held);
    take_effect(job);
}

int REAL(poll)(struct pollfd *polled, nfds_t polled_count, int timeout_ms);

static short ready_events(const struct job *job)
{
    struct pollfd polled = {.fd = job->sqe.fd, .events = (short)job->sqe.poll32_events};

    if (model_owns(polled.fd))
        return model_poll(polled.fd, polled.events);
    if (REAL(poll)(&polled, 1, 0) > 0)
        return polled.revents;
    return epoll_is_ready(polled.fd) ? POLLIN : 0;
}

void uring_look_at_polls(void)
{
    for (size_t i = 0; i < count; i++) {
        int ready = jobs[i].state == POLLING ? ready_events(&jobs[i]) : 0;
        if (ready & POLLNVAL)
            fail("a poll of descriptor %d, which has been closed", jobs[i].sqe.fd);
        if (!ready)
            continue;
        /* A device that has two queues to wait in cannot be polled by the ring. */
        bool refused = jobs[i].held.op && weather_chance(weather.faults / 4);
        set_due(&jobs[i], EFFECTIVE, refused ? -EINVAL : ready);
        jobs[i].due_ns = clock_now_ns() + weather_below(WOKEN_NS);
    }
}

/* ---- submissions --------------------------------------------------------------------------- */

static void take(const struct io_uring_sqe *sqe)
{
    struct halo_op *op = find_op(sqe->user_data);

    if (count == JOBS_MAX)
        fail("too many submissions");
    if (!op && sqe->user_data >= HALO_SEQ_FIRST)
        fail("a submission of operation %llu, which there is not",
             (unsigned long long)sqe->user_data);
    if (op && find_job(sqe->user_data))
        fail("operation %llu is submitted twice", (unsigned long long)sqe->user_data);
    struct job *job = &jobs[count++];
    *job = (struct job){.sqe = *sqe};
    if (op)
        held_take(&job->held, op);
    set_due(job, SUBMITTED, 0);
    if (sqe->opcode == IORING_OP_POLL_ADD) {
        job->state = POLLING;
        job->due_ns = KERNEL_NEVER;
    }
    if (reads(job))
        memset((void *)(uintptr_t)sqe->addr, POISON, sqe->len);
    trace("take", sqe->user_data, sqe->opcode);
}

/* Takes what has been queued; sometimes not all of it. */
static int take_all(void)
{
    unsigned head = *ring->sq.khead, queued = ring->sq.sqe_tail - head;
    unsigned most = queued > 1 && weather_chance(weather.shorts / 4)
                        ? 1 + (unsigned)weather_below(queued)
                        : queued;

    for (unsigned i = 0; i < most; i++)
        take(&ring->sq.sqes[(head + i) & ring->sq.ring_mask]);
    *ring->sq.khead = head + most;
    return (int)most;
}

static int refusal(void)
{
    static const int errors[] = {EINTR, EAGAIN, EBUSY, ENOMEM};
    if (*ring->cq.ktail == 0)
        return 0; /* a ring that refuses from the start is not taken */
    return weather_chance(weather.faults / 4) ? errors[weather_below(4)] : 0;
}

static bool has_posted(void *context)
{
    (void)context;
    return post_all();
}

/* Enters the kernel, and waits up to a deadline for a completion where there is one. */
static int enter(bool events, uint64_t deadline_ns)
{
    int error = refusal();
    kernel_catch_up();
    if (error)
        return (int)give("enter", 0, 0) - error;
    unsigned queued = io_uring_sq_ready(ring);
    int taken = take_all();
    give("enter", 0, taken);
    if (events)
        post_all();
    if (deadline_ns == 0 || (unsigned)taken < queued)
        return taken;
    return kernel_wait(has_posted, NULL, deadline_ns) ? taken : -ETIME;
}

int WRAP(io_uring_submit)(struct io_uring *of)
{
    (void)of;
    return enter(false, 0);
}

int WRAP(io_uring_submit_and_get_events)(struct io_uring *of)
{
    (void)of;
    return enter(true, 0);
}

int WRAP(io_uring_submit_and_wait)(struct io_uring *of, unsigned wanted)
{
    (void)of;
    return enter(true, wanted > 0 ? KERNEL_NEVER : 0);
}

int WRAP(io_uring_submit_and_wait_timeout)(struct io_uring *of, struct io_uring_cqe **cqe,
                                           unsigned wanted, struct __kernel_timespec *timeout,
                                           sigset_t *signals)
{
    uint64_t timeout_ns = (uint64_t)timeout->tv_sec * 1000000000 + (uint64_t)timeout->tv_nsec;

    (void)of;
    (void)wanted;
    (void)signals;
    *cqe = NULL;
    return enter(true, clock_now_ns() + timeout_ns);
}

int WRAP(__io_uring_get_cqe)(struct io_uring *of, struct io_uring_cqe **cqe, unsigned submit,
                             unsigned wanted, sigset_t *signals)
{
    (void)of;
    (void)submit;
    (void)wanted;
    (void)signals;
    *cqe = NULL;
    fail("the ring is asked for a completion that is not there");
}

/* ---- set-up -------------------------------------------------------------------------------- */

static unsigned power_of_two(unsigned least)
{
    unsigned power = 1;
    while (power < least)
        power *= 2;
    return power;
}

static void *zeros(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        fail("out of memory");
    return memory;
}

/* Older kernels do not know each flag. */
static bool knows(unsigned flags)
{
    static unsigned age = 3;
    if (age == 3)
        age = (unsigned)weather_below(3);
    return !(age >= 1 && (flags & IORING_SETUP_DEFER_TASKRUN)) &&
           !(age >= 2 && (flags & IORING_SETUP_COOP_TASKRUN));
}

int WRAP(io_uring_queue_init_params)(unsigned entries, struct io_uring *new,
                                     struct io_uring_params *params)
{
    if (!knows(params->flags))
        return -EINVAL;
    unsigned submissions = power_of_two(entries), completions = power_of_two(params->cq_entries);
    *new = (struct io_uring){
        .sq = {.khead = &words[0],
               .ktail = &words[1],
               .kflags = &words[2],
               .sqes = zeros(submissions * sizeof(struct io_uring_sqe)),
               .ring_mask = submissions - 1,
               .ring_entries = submissions},
        .cq = {.khead = &words[3],
               .ktail = &words[4],
               .cqes = zeros(completions * sizeof(struct io_uring_cqe)),
               .ring_mask = completions - 1,
               .ring_entries = completions},
        .flags = params->flags,
        .features = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP,
        .ring_fd = RING_FD,
    };
    memset(words, 0, sizeof(words));
    count = 0;
    deferred = params->flags & IORING_SETUP_TASKRUN_FLAG;
    ring = new;
    return 0;
}

void WRAP(io_uring_queue_exit)(struct io_uring *of)
{
    free(of->sq.sqes);
    free(of->cq.cqes);
    ring = NULL;
    count = 0;
}

struct io_uring_probe *WRAP(io_uring_get_probe_ring)(struct io_uring *of)
{
    struct io_uring_probe *probe =
        zeros(sizeof(*probe) + OPCODES * sizeof(struct io_uring_probe_op));
    (void)of;
    probe->last_op = OPCODES - 1;
    for (unsigned i = 0; i < OPCODES; i++)
        if (i == IORING_OP_POLL_ADD || (sqe_knows(i) && weather_chance(weather.ring)))
            probe->ops[i].flags = IO_URING_OP_SUPPORTED;
    return probe;
}

void WRAP(io_uring_free_probe)(struct io_uring_probe *probe)
{
    free(probe);
}

int WRAP(io_uring_register_eventfd)(struct io_uring *of, int fd)
{
    (void)of;
    (void)fd;
    return -EINVAL;
}

int WRAP(io_uring_register_iowq_max_workers)(struct io_uring *of, unsigned *values)
{
    (void)of;
    (void)values;
    return -EINVAL;
}

int WRAP(io_uring_ring_dontfork)(struct io_uring *of)
{
    (void)of;
    return 0;
}
