/*
 * The loop: creation and closing, one turn, and the way of an operation through it. What differs
 * from operation to operation is in ops.c, from engine to engine in ring.c and pool.c.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "ops/ops.h"

#define PAUSE_NS   5000000 /* between two tries of what cannot be waited for */
#define EAGAIN_MAX 8
#define REFUSAL_NS 500 /* so that a loop of refusals lets others run, too */

/* ---- one operation: start ------------------------------------------------------------------ */

/* Gives an operation to the engine. */
static void issue(struct halo_loop *loop, struct halo_op *op)
{
    if (op->slot)
        halo_file_clear_nonblock(op->slot);
    bool poll_first =
        op->slot && op->slot->stream && op->row->poll_events && !op->polled && op->length > 0;
    op->now = poll_first ? &halo_op_table[HALO_OP_POLL] : op->row;
    op->state = HALO_OP_RUNNING;
    /* A stream may be quiet for ever: whoever polls it must not take the place of others. */
    op->counted = op->now != &halo_op_table[HALO_OP_POLL];
    loop->running += op->counted;
    loop->engine->submit(loop->engine_state, op);
}

/* What is over the engine's limit waits its turn, in order. */
static void issue_or_queue(struct halo_loop *loop, struct halo_op *op)
{
    if (loop->running < loop->config.max_in_flight && !loop->backlog.first) {
        issue(loop, op);
        return;
    }
    op->state = HALO_OP_BACKLOG;
    halo_list_append(&loop->backlog, op);
    loop->stats.queued++;
}

static void issue_backlog(struct halo_loop *loop)
{
    while (loop->backlog.first && loop->running < loop->config.max_in_flight) {
        loop->stats.queued--;
        issue(loop, halo_list_take(&loop->backlog));
    }
}

/* Tries an operation again in a few milliseconds, without holding up a worker meanwhile. */
static void pause_op(struct halo_loop *loop, struct halo_op *op)
{
    op->state = HALO_OP_PAUSED;
    halo_list_append(&loop->paused, op);
    if (!loop->pause_timer.index &&
        halo_timers_start(&loop->timers, &loop->pause_timer, halo_now_ns() + PAUSE_NS) < 0) {
        /* Without memory for the timer it is tried again at once, which is only less polite. */
        halo_list_remove(&loop->paused, op);
        issue_or_queue(loop, op);
    }
}

static void end_pause(struct halo_loop *loop)
{
    struct halo_list paused = loop->paused;
    struct halo_op *op;

    loop->paused = (struct halo_list){0};
    while ((op = halo_list_take(&paused)))
        issue_or_queue(loop, op);
}

/* ---- one operation: end -------------------------------------------------------------------- */

/* Results that say only that the call was interrupted, ERESTARTSYS and its kin included. */
static bool is_interruption(int64_t result)
{
    return result == -EINTR || (result <= -512 && result >= -516);
}

/* Decides what an answer means: the operation is done, or needs another round. */
static enum halo_step digest(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    bool polled = op->now == &halo_op_table[HALO_OP_POLL] && op->row != op->now;

    if (op->cancelled && (is_interruption(result) || result == -EAGAIN || (polled && result >= 0)))
        result = -ECANCELED;
    if (is_interruption(result))
        return HALO_STEP_AGAIN;
    if (polled && result >= 0) {
        op->polled = true;
        return HALO_STEP_AGAIN;
    }
    op->polled = false;
    if (result == -EAGAIN && op->row->on_file && !halo_op_is(op, HALO_OP_LOCK)) {
        /* Files such as /proc/kmsg wait only without O_NONBLOCK, which issue() takes off. */
        op->pool_only |= op->slot->clear_nonblock;
        /* A stream that somebody else has emptied, or a file system that wants a second try. */
        if (op->slot->stream || op->retries++ < EAGAIN_MAX)
            return HALO_STEP_AGAIN;
    }
    if (op->row->finish)
        return op->row->finish(loop, op, result);
    op->result = result;
    return HALO_STEP_DONE;
}

static void retire(struct halo_loop *loop, struct halo_op *op)
{
    op->state = HALO_OP_DONE;
    loop->stats.retired++;
    halo_loop_leave_files(loop, op);
}

/* In this order: whoever has waited for this one may end at once, and comes behind it. */
static void hand_on(struct halo_loop *loop, struct halo_op *op)
{
    halo_list_append(&loop->completed, op);
    retire(loop, op);
}

void halo_loop_answer(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    HALO_CHECK(op->state == HALO_OP_RUNNING, "an operation was answered twice");
    HALO_CHECK(!op->counted || loop->running > 0, "more answers than operations");
    loop->running -= op->counted;

    enum halo_step step = digest(loop, op, result);
    if (step == HALO_STEP_AGAIN && op->cancelled) {
        op->result = -ECANCELED;
        step = HALO_STEP_DONE;
    }
    if (step == HALO_STEP_AGAIN) {
        issue(loop, op);
    } else if (step == HALO_STEP_LATER) {
        pause_op(loop, op);
    } else {
        hand_on(loop, op);
    }
    issue_backlog(loop);
}

/* ---- one operation: directly --------------------------------------------------------------- */

/*
 * Runs the operation on this thread. Returns false where it turns out to need the engine after
 * all: for another round elsewhere, or a pause.
 */
static bool run_directly(struct halo_loop *loop, struct halo_op *op)
{
    enum halo_step step;

    op->now = op->row;
    loop->stats.direct++;
    do
        step = digest(loop, op, op->row->block(op));
    while (step == HALO_STEP_AGAIN && !op->pool_only && !atomic_load(&loop->interrupted));
    if (step == HALO_STEP_LATER)
        pause_op(loop, op);
    else if (step == HALO_STEP_AGAIN)
        issue_or_queue(loop, op);
    return step == HALO_STEP_DONE;
}

/* Runs it where it can say by itself that it would wait. What is left is the engine's to do. */
static bool attempt(struct halo_loop *loop, struct halo_op *op)
{
    enum halo_step step = HALO_STEP_AGAIN;

    op->now = op->row;
    while (step == HALO_STEP_AGAIN) {
        int64_t result = op->row->attempt(op);
        if (result == -EAGAIN) {
            halo_policy_missed(&loop->policy, halo_op_kind(op));
            issue_or_queue(loop, op);
            return false;
        }
        step = digest(loop, op, result);
    }
    loop->stats.direct++;
    return true;
}

static bool try_directly(struct halo_loop *loop, struct halo_op *op)
{
    /* A read that would wait says so: it need not be watched. */
    if (halo_op_is(op, HALO_OP_READ)) {
        bool done = attempt(loop, op);
        if (done)
            halo_policy_took(&loop->policy, HALO_OP_READ, HALO_READ_NS(op->done));
        return done;
    }
    uint64_t start_ns = halo_now_ns();
    bool done = op->row->attempt ? attempt(loop, op) : run_directly(loop, op);
    if (done || !op->row->attempt)
        halo_policy_took(&loop->policy, halo_op_kind(op), halo_now_ns() - start_ns);
    return done;
}

/* Takes the way that the policy says. Returns true when the operation is done already. */
static bool set_out(struct halo_loop *loop, struct halo_op *op, unsigned flags)
{
    switch (halo_policy_choose(loop, op, flags)) {
    case HALO_WAY_DIRECT:
        return run_directly(loop, op);
    case HALO_WAY_TRY:
        return try_directly(loop, op);
    default:
        issue_or_queue(loop, op);
        return false;
    }
}

void halo_loop_start(struct halo_loop *loop, struct halo_op *op)
{
    if (set_out(loop, op, 0))
        hand_on(loop, op);
}

/* ---- operations, for the caller ------------------------------------------------------------ */

struct halo_op *halo_op_new(struct halo_loop *loop, enum halo_op_code code)
{
    struct halo_op *op = halo_slab_acquire(&loop->slab);
    if (op) {
        op->row = &halo_op_table[code];
        op->offset = HALO_POSITION;
        op->fd = -1;
    }
    return op;
}

char *halo_op_storage(struct halo_op *op, size_t size)
{
    if (size <= op->stored)
        return op->storage;
    size_t path2_at = op->path2 ? (size_t)(op->path2 - op->storage) : 0;
    char *storage = realloc(op->storage, size);
    if (!storage)
        return NULL;
    op->storage = storage;
    op->stored = size;
    if (op->path)
        op->path = storage;
    if (op->path2)
        op->path2 = storage + path2_at;
    return storage;
}

int halo_op_set_paths(struct halo_op *op, const char *path, size_t path_length, const char *path2,
                      size_t path2_length)
{
    size_t size = path_length + 1 + (path2 ? path2_length + 1 : 0);
    char *storage = halo_op_storage(op, size);
    if (!storage)
        return -ENOMEM;
    memcpy(storage, path, path_length);
    storage[path_length] = '\0';
    op->path = storage;
    op->path2 = NULL;
    if (path2) {
        memcpy(storage + path_length + 1, path2, path2_length);
        storage[size - 1] = '\0';
        op->path2 = storage + path_length + 1;
    }
    return 0;
}

bool halo_op_submit(struct halo_loop *loop, struct halo_op *op, unsigned flags)
{
    HALO_CHECK(op->state == HALO_OP_FILLING, "an operation was submitted twice");
    loop->stats.submitted++;

    int begun = halo_loop_enter_files(loop, op);
    if (begun == 0 && op->row->begin)
        begun = op->row->begin(loop, op);
    if (begun == 0 && !halo_loop_take_turn(op)) {
        op->state = HALO_OP_WAITING;
        return true;
    }
    if (begun < 0) {
        loop->policy.spent_ns += REFUSAL_NS;
        op->result = begun;
        retire(loop, op);
        return false;
    }
    if (!set_out(loop, op, flags))
        return true;
    retire(loop, op);
    return false;
}

void halo_op_cancel(struct halo_loop *loop, struct halo_op *op)
{
    /* A close is never cancelled: its descriptor would stay open with nobody to close it. */
    if (op->cancelled || halo_op_is(op, HALO_OP_CLOSE))
        return;
    __atomic_store_n(&op->cancelled, true, __ATOMIC_RELAXED); /* a worker may look */
    switch (op->state) {
    case HALO_OP_RUNNING:
        loop->engine->cancel(loop->engine_state, op);
        return;
    case HALO_OP_BACKLOG:
        loop->stats.queued--;
        halo_list_remove(&loop->backlog, op);
        break;
    case HALO_OP_PAUSED:
        halo_list_remove(&loop->paused, op);
        if (!loop->paused.first)
            halo_timers_stop(&loop->timers, &loop->pause_timer);
        break;
    case HALO_OP_WAITING:
        halo_loop_leave_queue(op);
        break;
    default:
        return;
    }
    enum halo_step step = digest(loop, op, -ECANCELED);
    HALO_CHECK(step == HALO_STEP_DONE, "a cancelled operation wants to go on");
    hand_on(loop, op);
}

void halo_op_abandon(struct halo_loop *loop, struct halo_op *op)
{
    op->abandoned = true;
    halo_op_cancel(loop, op);
}

void halo_op_wait(struct halo_loop *loop, struct halo_op *op)
{
    while (op->state != HALO_OP_DONE) {
        if (atomic_load(&loop->interrupted))
            halo_op_cancel(loop, op);
        if (op->state != HALO_OP_DONE)
            halo_loop_collect(loop, -1);
    }
    halo_list_remove(&loop->completed, op);
}

void halo_op_release(struct halo_loop *loop, struct halo_op *op)
{
    HALO_CHECK(op->state == HALO_OP_DONE || op->state == HALO_OP_FILLING,
               "an operation was released while the kernel may still use it");
    if (op->abandoned && halo_op_is(op, HALO_OP_OPEN) && op->result == 0)
        halo_file_drop(loop, op->file);
    halo_slab_release(&loop->slab, op);
}

bool halo_op_has_ended(const struct halo_op *op)
{
    return op->state == HALO_OP_DONE;
}

enum halo_op_code halo_op_kind(const struct halo_op *op)
{
    return (enum halo_op_code)(op->row - halo_op_table);
}

const char *halo_op_name(const struct halo_op *op)
{
    return op->row->name;
}

/* ---- turns --------------------------------------------------------------------------------- */

uint64_t halo_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int64_t until_first_timer(const struct halo_loop *loop)
{
    const struct halo_timer *first = halo_timers_first(&loop->timers);
    if (!first)
        return -1;
    uint64_t now = halo_now_ns();
    return first->deadline_ns > now ? (int64_t)(first->deadline_ns - now) : 0;
}

int64_t halo_loop_timeout_ns(const struct halo_loop *loop)
{
    if (loop->completed.first || loop->files.dropped || loop->engine->pending(loop->engine_state))
        return 0;
    return until_first_timer(loop);
}

void halo_loop_collect(struct halo_loop *loop, int64_t timeout_ns)
{
    HALO_CHECK(*loop->unforked, "a loop cannot be used after fork(): create another one");
    loop->stats.turns++;
    halo_policy_turn(&loop->policy);
    if (loop->files.dropped)
        halo_loop_close_dropped(loop);
    if (loop->pause_timer.index && (timeout_ns < 0 || timeout_ns > PAUSE_NS))
        timeout_ns = PAUSE_NS;
    loop->engine->wait(loop->engine_state, timeout_ns);
    if (loop->pause_timer.index && loop->pause_timer.deadline_ns <= halo_now_ns()) {
        halo_timers_stop(&loop->timers, &loop->pause_timer);
        end_pause(loop);
    }
}

int halo_loop_turn(struct halo_loop *loop, int64_t timeout_ns)
{
    int64_t until_timer = until_first_timer(loop);
    if (until_timer >= 0 && (timeout_ns < 0 || until_timer < timeout_ns))
        timeout_ns = until_timer;
    if (loop->completed.first || atomic_load(&loop->interrupted))
        timeout_ns = 0;
    halo_loop_collect(loop, timeout_ns);
    return atomic_exchange(&loop->interrupted, false) ? -EINTR : 0;
}

struct halo_op *halo_loop_next(struct halo_loop *loop)
{
    for (;;) {
        struct halo_op *op = halo_list_take(&loop->completed);
        if (!op || op->user != loop)
            return op;
        halo_op_release(loop, op); /* the loop's own: the close of a file that was dropped */
    }
}

struct halo_timer *halo_loop_next_timer(struct halo_loop *loop)
{
    struct halo_timer *first = halo_timers_first(&loop->timers);
    if (!first || first == &loop->pause_timer || first->deadline_ns > halo_now_ns())
        return NULL;
    halo_timers_stop(&loop->timers, first);
    return first;
}

int halo_timer_start(struct halo_loop *loop, struct halo_timer *timer, uint64_t deadline_ns)
{
    return halo_timers_start(&loop->timers, timer, deadline_ns);
}

void halo_timer_stop(struct halo_loop *loop, struct halo_timer *timer)
{
    halo_timers_stop(&loop->timers, timer);
}

void halo_loop_moved(struct halo_loop *loop)
{
    loop->policy.refreshed = false;
}

bool halo_loop_is_due(const struct halo_loop *loop)
{
    return halo_policy_is_due(&loop->policy);
}

uint64_t halo_loop_spent_ns(const struct halo_loop *loop)
{
    return loop->policy.spent_ns;
}

bool halo_loop_busy(const struct halo_loop *loop)
{
    return loop->stats.submitted != loop->stats.retired || loop->completed.first ||
           loop->timers.count > 0;
}

bool halo_loop_has_files(const struct halo_loop *loop)
{
    return loop->files.open > 0;
}

int halo_loop_fd(const struct halo_loop *loop)
{
    return loop->engine->fd(loop->engine_state);
}

bool halo_loop_is_forked(const struct halo_loop *loop)
{
    return !*loop->unforked;
}

void halo_loop_interrupt(struct halo_loop *loop)
{
    uint64_t one = 1;
    atomic_store(&loop->interrupted, true);
    /* The wake descriptor cannot be full, and there is nobody to tell if it were. */
    ssize_t written = write(loop->wake_fd, &one, sizeof(one));
    (void)written;
}

void halo_loop_clear_wake(struct halo_loop *loop)
{
    uint64_t count;
    ssize_t got = read(loop->wake_fd, &count, sizeof(count));
    HALO_CHECK(got == sizeof(count) || errno == EAGAIN, "the wake descriptor is broken");
}

void halo_loop_stats(const struct halo_loop *loop, struct halo_stats *stats)
{
    *stats = loop->stats;
    stats->in_flight = stats->submitted - stats->retired;
    stats->files_open = loop->files.open - loop->files.borrowed;
    stats->timers = loop->timers.count;
}

const char *halo_loop_engine(const struct halo_loop *loop)
{
    return loop->engine->name;
}

const char *halo_loop_engine_reason(const struct halo_loop *loop)
{
    return loop->reason;
}
