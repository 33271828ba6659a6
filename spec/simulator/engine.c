/*
 * The simulated engine, which takes the place of both the ring and the pool in half of the runs. An
 * operation is a job that takes effect at one time and is answered at another; both are drawn, so
 * that what was submitted first may end last. In between
 *
 *   - it is carried out as the ring would, by the submission that its row has prepared, or as a
 *     worker would, by the row's blocking twin;
 *   - the memory that a read goes to is scribbled on, as the kernel may do up to the answer;
 *   - a cancel comes in time, cuts a write, is too late, or is not heeded at all.
 *
 * What must not change while the engine has it is looked at again before it is used.
 */
#include "engine.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "held.h"
#include "loop.h"
#include "model.h"
#include "ops/ops.h"
#include "sqe.h"
#include "trace.h"
#include "weather.h"
#include "worker.h"

#define TURN_NS     2000
#define TOGETHER_NS 50000 /* answers as far apart as this may come in one turn */
#define TIMER_NS    1000000
#define POISON      0xa5
#define ERESTARTSYS 512
#define JOBS_MAX    20000
#define EVENTS_MAX  3000000 /* more than any program has that comes to an end */
#define NEVER       UINT64_MAX

enum job_state {
    JOB_SUBMITTED, /* takes effect when it is due */
    JOB_WORKING,   /* a worker stands still in the middle of it, and goes on when it is due */
    JOB_POLLING,   /* until its descriptor is ready */
    JOB_EFFECTIVE  /* is answered when it is due */
};

struct job {
    struct halo_op *op;
    enum job_state state;
    uint64_t due_ns;
    int64_t result;
    bool by_ring;
    struct io_uring_sqe sqe;
    struct worker *worker;
    struct held held;
};

struct engine {
    struct halo_loop *loop;
    bool is_ring;
    uint32_t running; /* jobs that are no polls */
    size_t count;
    struct job jobs[JOBS_MAX];
};

static struct engine *current;
static size_t given_up;

/* ---- jobs ---------------------------------------------------------------------------------- */

static bool wants_ring(const struct engine *engine, const struct halo_op *op)
{
    return engine->is_ring && op->now->opcode != HALO_NO_OPCODE && !op->pool_only && !op->below &&
           weather_chance(weather.ring);
}

static void prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    memset(sqe, 0, sizeof(*sqe));
    if (op->now->prepare)
        op->now->prepare(sqe, op);
}

/* Up to the answer, the memory of a read is the engine's. */
static void scribble(const struct job *job)
{
    if (job->state == JOB_SUBMITTED && halo_op_is(job->op, HALO_OP_READ))
        memset((void *)(uintptr_t)job->sqe.addr, POISON, job->sqe.len);
}

static void engine_submit(void *state, struct halo_op *op)
{
    struct engine *engine = state;
    bool polls = halo_op_polls(op);

    if (!polls && ++engine->running > engine->loop->config.max_in_flight)
        fail("%u operations are in flight, more than may be", engine->running);
    if (engine->count == JOBS_MAX)
        fail("too many polls");
    struct job *job = &engine->jobs[engine->count++];
    *job = (struct job){
        .op = op,
        .state = polls ? JOB_POLLING : JOB_SUBMITTED,
        .due_ns = polls ? NEVER : clock_now_ns() + weather_delay_ns(),
        .by_ring = wants_ring(engine, op),
    };
    held_take(&job->held, op);
    prepare(&job->sqe, op);
    if (!polls)
        scribble(job);
    *(job->by_ring ? &engine->loop->stats.ring : &engine->loop->stats.pool) += 1;
    trace("submit", op->seq, op->now->code);
}

static void answer(struct engine *engine, struct job *job, int64_t result)
{
    struct halo_op *op = job->op;

    held_check(&job->held);
    trace("answer", op->seq, result);
    engine->running -= !halo_op_polls(op);
    *job = engine->jobs[--engine->count];
    halo_engine_answer(&engine->loop->answered, op, result);
}

/* ---- cancels ------------------------------------------------------------------------------- */

/* What an operation is answered that a cancel has reached. */
static int64_t cancel_result(const struct job *job)
{
    static const int interrupted[] = {-EINTR, -ERESTARTSYS, -ERESTARTSYS - 1, -ERESTARTSYS - 4};
    return job->by_ring && weather_chance(200) ? interrupted[weather_below(4)] : -ECANCELED;
}

static void end_soon(struct job *job, int64_t result)
{
    job->state = JOB_EFFECTIVE;
    job->result = result;
    job->due_ns = clock_now_ns() + weather_delay_ns();
}

static struct job *find_job(struct engine *engine, const struct halo_op *op)
{
    for (size_t i = 0; i < engine->count; i++)
        if (engine->jobs[i].op == op)
            return &engine->jobs[i];
    fail("a cancel for operation %llu, which the engine does not have",
         (unsigned long long)op->seq);
}

static void engine_cancel(void *state, struct halo_op *op)
{
    struct engine *engine = state;
    struct job *job = find_job(engine, op);
    unsigned luck = (unsigned)weather_below(100);

    trace("cancel", op->seq, job->state);
    if (job->state == JOB_EFFECTIVE || job->state == JOB_WORKING)
        return; /* too late; a lengthy twin looks by itself */
    bool cuts = job->by_ring && halo_op_is(op, HALO_OP_WRITE) && job->sqe.len > 1;
    if (job->state == JOB_SUBMITTED && cuts && luck < 20)
        job->sqe.len = 1 + (unsigned)weather_below(job->sqe.len - 1);
    else if (luck < 50)
        answer(engine, job, cancel_result(job));
    else if (luck < 75 || job->state == JOB_POLLING)
        end_soon(job, cancel_result(job));
}

/* ---- effects ------------------------------------------------------------------------------- */

/* As in ring.c: what the ring cannot do, or will not by itself, is left to a worker. */
static bool falls_back(const struct job *job, int64_t result)
{
    bool refused = result == -EINVAL || result == -EOPNOTSUPP || result == -EBADF;
    return job->by_ring && !job->op->cancelled && (refused || result == -ECANCELED);
}

/* What the loop does for itself, such as to take something back, cannot be told to anybody. */
static bool is_own(const struct job *job)
{
    return job->op->user == current->loop;
}

static int64_t run_by_ring(const struct job *job)
{
    bool unasked = !is_own(job) && weather_chance(weather.faults / 4);
    return unasked ? -ECANCELED : sqe_run(&job->sqe);
}

static int64_t run_twin(void *context)
{
    struct halo_op *op = context;
    return halo_op_block(op);
}

static void take_effect(struct job *job)
{
    struct halo_op *op = job->op;
    bool own = is_own(job), ended = true;

    if (job->state == JOB_SUBMITTED && !job->by_ring)
        job->worker = worker_new(run_twin, op);
    weather_hush(own);
    int64_t result = job->by_ring ? run_by_ring(job) : 0;
    if (!job->by_ring)
        ended = worker_go_on(job->worker);
    weather_hush(-own);
    if (!ended) {
        job->state = JOB_WORKING;
        job->due_ns = clock_now_ns() + weather_delay_ns();
        return;
    }
    if (!job->by_ring)
        result = worker_result(job->worker);
    trace("effect", op->seq, result);
    if (falls_back(job, result)) {
        op->pool_only = true;
        job->by_ring = false;
        job->due_ns = clock_now_ns() + weather_delay_ns();
        return;
    }
    end_soon(job, result);
}

static void advance(struct engine *engine, struct job *job)
{
    held_check(&job->held);
    if (job->state == JOB_SUBMITTED)
        held_check_unchanged(&job->held);
    if (job->state == JOB_EFFECTIVE)
        answer(engine, job, job->result);
    else
        take_effect(job);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void look_at_polls(struct engine *engine)
{
    for (size_t i = 0; i < engine->count; i++) {
        struct job *job = &engine->jobs[i];
        short wanted = 0, ready = 0;
        if (job->state == JOB_POLLING)
            wanted = halo_op_poll_events(job->op);
        if (wanted)
            ready = model_poll(job->held.fd, wanted);
        if (ready & POLLNVAL)
            fail("a poll of descriptor %d, which has been closed", job->held.fd);
        if (ready)
            end_soon(job, ready);
    }
}

static struct job *first_job(struct engine *engine)
{
    struct job *first = NULL;
    for (size_t i = 0; i < engine->count; i++)
        if (engine->jobs[i].due_ns != NEVER && (!first || engine->jobs[i].due_ns < first->due_ns))
            first = &engine->jobs[i];
    return first;
}

/* Lets time pass up to what happens next, which must not be later. Returns whether it is. */
static bool step(struct engine *engine, uint64_t deadline_ns)
{
    look_at_polls(engine);
    struct job *job = first_job(engine);
    uint64_t stream_ns = model_streams_next_ns();
    uint64_t next_ns = job ? job->due_ns : NEVER;

    if (stream_ns < next_ns)
        next_ns = stream_ns;
    if (next_ns > deadline_ns)
        return false;
    if (next_ns == NEVER)
        fail("the loop waits for ever, and nothing is under way: a wake was lost (%zu polls)",
             engine->count);
    if (trace_events() > EVENTS_MAX)
        fail("the program does not come to an end");
    clock_pass_until_ns(next_ns);
    if (stream_ns == next_ns)
        model_streams_pass();
    else
        advance(engine, job);
    if (engine->count > 0)
        scribble(&engine->jobs[weather_below(engine->count)]);
    return true;
}

static void engine_wait(void *state, int64_t timeout_ns)
{
    struct engine *engine = state;
    const struct halo_list *answered = &engine->loop->answered;
    bool at_once = timeout_ns == 0 || halo_loop_is_interrupted(engine->loop);

    clock_pass_ns(weather_below(TURN_NS));
    uint64_t deadline_ns =
        timeout_ns < 0 && !at_once ? NEVER : clock_now_ns() + (uint64_t)(at_once ? 0 : timeout_ns);
    while (step(engine, deadline_ns)) {
        if (!answered->first)
            continue;
        /* Often a timer runs out in the same turn, so that an end and a cancel meet. */
        if (deadline_ns - clock_now_ns() < TIMER_NS && weather_chance(300))
            continue;
        if (weather_chance(500))
            return;
        uint64_t together_ns = clock_now_ns() + weather_below(TOGETHER_NS);
        if (together_ns < deadline_ns)
            deadline_ns = together_ns;
    }
    clock_pass_until_ns(deadline_ns);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static int open_as(struct halo_loop *loop, void **state, bool is_ring)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return -ENOMEM;
    engine->loop = loop;
    engine->is_ring = is_ring;
    *state = current = engine;
    return 0;
}

static int ring_open(struct halo_loop *loop, void **state)
{
    return open_as(loop, state, true);
}

static int pool_open(struct halo_loop *loop, void **state)
{
    return open_as(loop, state, false);
}

static bool engine_pending(void *state)
{
    (void)state;
    return false;
}

static int engine_fd(void *state)
{
    return ((const struct engine *)state)->loop->wake_fd;
}

static void engine_close(void *state)
{
    given_up = simulated_jobs();
    current = NULL;
    free(state);
}

size_t simulated_given_up(void)
{
    return given_up;
}

size_t simulated_jobs(void)
{
    return current ? current->count : 0;
}

const struct halo_engine simulated_ring = {
    .name = "ring",
    .open = ring_open,
    .submit = engine_submit,
    .cancel = engine_cancel,
    .wait = engine_wait,
    .pending = engine_pending,
    .fd = engine_fd,
    .close = engine_close,
};

const struct halo_engine simulated_pool = {
    .name = "pool",
    .open = pool_open,
    .submit = engine_submit,
    .cancel = engine_cancel,
    .wait = engine_wait,
    .pending = engine_pending,
    .fd = engine_fd,
    .close = engine_close,
};
