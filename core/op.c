#include "op.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <linux/openat2.h>

#include "check.h"
#include "dispatch.h"
#include "fence.h"
#include "ops/ops.h"

#define EAGAIN_MAX            8
#define INTERRUPTIONS_AT_ONCE 16
#define INTERRUPTIONS_MAX     1000
#define REFUSAL_NS            500        /* so that a loop of refusals lets others run, too */
#define CLOSE_BYTES_MAX       (1u << 20) /* written; above that a close may start to flush */

/* ---- the end ------------------------------------------------------------------------------- */

static bool start(struct halo_loop *loop, struct halo_op *op);
static void hand_back(struct halo_loop *loop, struct halo_op *op);

/* A loop, not a recursion: an operation that ends at once may let more of them start. */
static void start_ready(struct halo_loop *loop)
{
    struct halo_op *op;

    if (loop->starting)
        return;
    loop->starting = true;
    while ((op = halo_list_take(&loop->ready))) {
        op->state = HALO_OP_WAITING;
        if (halo_file_may_start(op) && start(loop, op))
            hand_back(loop, op);
    }
    loop->starting = false;
}

static bool polls_before(const struct halo_op *op)
{
    return halo_op_polls(op) && !halo_op_is(op, HALO_OP_POLL);
}

/* A reader that polls the stream already need not wait for more bytes: its poll ends. */
static void keep_unclaimed(struct halo_loop *loop, struct halo_op *op)
{
    bool peeks = halo_op_is(op, HALO_OP_READ) && op->flags & HALO_READ_PEEK && op->headed;

    if ((!op->abandoned && !peeks) || !op->row->keep)
        return;
    int64_t result = op->result;
    struct halo_op *reader = halo_file_keep(op);
    if (peeks && !op->abandoned) {
        op->result = result;
        op->headed = false; /* its memory is the file's now, and the next read frees it */
        op->data = op->into;
    }
    if (reader && reader->state == HALO_OP_RUNNING && polls_before(reader) && !reader->cancelled)
        loop->engine->cancel(loop->engine_state, reader);
}

static void retire(struct halo_loop *loop, struct halo_op *op)
{
    op->state = HALO_OP_DONE;
    loop->stats.retired++;
    keep_unclaimed(loop, op);
    halo_files_leave(op, &loop->ready);
    start_ready(loop);
}

static void leave_base(struct halo_loop *loop, struct halo_op *op)
{
    if (!op->base_slot)
        return;
    halo_files_leave_base(op, &loop->ready);
    start_ready(loop);
}

/*
 * The record is used once more, to take back what it brought the first time, from the same base.
 * Returns true when that is under way.
 */
static bool take_back(struct halo_loop *loop, struct halo_op *op)
{
    op->undoing = true;
    if (!op->row->undo(loop, op))
        return false;
    op->slot = NULL;
    op->state = HALO_OP_FILLING;
    op->cancelled = op->abandoned = op->placed = op->pool_only = false;
    return halo_op_submit(loop, op, 0);
}

/*
 * The order matters: an operation that waited for this one may end at once, and comes after it.
 * What is to be taken back comes after that: its base may be waited for by a close, on the spot.
 */
static void hand_back(struct halo_loop *loop, struct halo_op *op)
{
    bool undo = halo_op_wants_undo(op);

    if (!undo)
        halo_list_append(&loop->completed, op);
    retire(loop, op);
    if (undo && !take_back(loop, op)) {
        leave_base(loop, op);
        halo_list_append(&loop->completed, op);
    }
}

/* ---- complete ------------------------------------------------------------------------------ */

/* Results that say only that the call was interrupted, ERESTARTSYS and its kin included. */
static bool is_interruption(int64_t result)
{
    return result == -EINTR || (result <= -512 && result >= -516);
}

/* When to ask again after an answer that says nothing. Lengthy twins have done so already. */
static enum halo_step ask_again(struct halo_op *op, int64_t result)
{
    if (is_interruption(result)) {
        if (op->row->lengthy || op->interruptions++ > INTERRUPTIONS_MAX)
            return HALO_STEP_DONE;
        return op->interruptions > INTERRUPTIONS_AT_ONCE ? HALO_STEP_LATER : HALO_STEP_AGAIN;
    }
    if (result != -EAGAIN || halo_op_is(op, HALO_OP_LOCK))
        return HALO_STEP_DONE;
    if (halo_op_is(op, HALO_OP_POLL))
        return op->retries++ < EAGAIN_MAX ? HALO_STEP_AGAIN : HALO_STEP_DONE;
    if (!op->row->on_file)
        return HALO_STEP_DONE;
    /* Files such as /proc/kmsg wait only without O_NONBLOCK, which issue() takes off. */
    op->pool_only |= op->slot->clear_nonblock;
    /* A stream that somebody else has emptied, or a file system that wants a second try. */
    bool again = op->slot->stream || op->retries++ < EAGAIN_MAX;
    return again ? HALO_STEP_AGAIN : HALO_STEP_DONE;
}

/*
 * A poll that ended although nobody cancelled the operation: bytes were given back to the file, or
 * the kernel has given it up, as it does where what it waited on goes away.
 */
static bool polls_again(struct halo_op *op)
{
    if (!halo_op_polls(op))
        return false;
    return (op->headed && op->slot->kept) || op->retries++ < EAGAIN_MAX;
}

/* What leads out of a root is refused like what is outside of all. */
static int64_t refuse_outside(struct halo_op *op, int64_t result)
{
    if (result != -HALO_OUTSIDE && result != -HALO_OUTSIDE2)
        return result;
    op->lacking = result == -HALO_OUTSIDE ? op->needs : op->needs2;
    return -EACCES;
}

/* Decides what an answer means: the operation is done, or needs another round. */
static enum halo_step judge(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    bool poll_before = polls_before(op);

    if (op->rooted)
        result = refuse_outside(op, result);
    if (op->cancelled &&
        (is_interruption(result) || result == -EAGAIN || (poll_before && result >= 0)))
        result = -ECANCELED;
    op->polled = poll_before && result >= 0;
    if (op->polled || (result == -ECANCELED && !op->cancelled && polls_again(op)))
        return HALO_STEP_AGAIN;
    enum halo_step step = ask_again(op, result);
    if (step != HALO_STEP_DONE)
        return step;
    if (is_interruption(result))
        result = -EINTR;
    if (op->row->finish)
        return op->row->finish(loop, op, result);
    op->result = result;
    return HALO_STEP_DONE;
}

void halo_op_complete(struct halo_loop *loop, struct halo_op *op)
{
    HALO_CHECK(op->state == HALO_OP_ANSWERED, "an operation was answered twice");
    if (op->counted)
        halo_dispatch_vacate(loop, op);

    enum halo_step step = judge(loop, op, op->result);
    if (step == HALO_STEP_AGAIN && op->cancelled) {
        op->result = -ECANCELED;
        step = HALO_STEP_DONE;
    }
    /* Another one may have given back bytes that come before those still in the stream. */
    if (step == HALO_STEP_AGAIN && op->headed && halo_file_take_kept(op))
        step = HALO_STEP_DONE;
    if (step == HALO_STEP_AGAIN)
        halo_dispatch_op(loop, op);
    else if (step == HALO_STEP_LATER)
        halo_dispatch_pause(loop, op);
    else
        hand_back(loop, op);
}

/* ---- at once ------------------------------------------------------------------------------- */

/*
 * Runs the operation on this thread. Returns false where it turns out to need the engine after all:
 * for another round elsewhere, for a pause, or because an interrupt has to be noticed.
 */
static bool run_directly(struct halo_loop *loop, struct halo_op *op)
{
    enum halo_step step;

    op->now = op->row;
    op->interrupt = &loop->interrupted;
    loop->stats.direct++;
    do {
        int64_t result = halo_op_block(op);
        /* It has seen the interrupt: a worker's call can be cancelled. A file may say it, too. */
        bool stopped = result == -ECANCELED && !op->cancelled && halo_loop_is_interrupted(loop);
        step = stopped ? HALO_STEP_AGAIN : judge(loop, op, result);
    } while (step == HALO_STEP_AGAIN && !op->pool_only && !halo_loop_is_interrupted(loop));
    op->interrupt = NULL;
    if (step == HALO_STEP_LATER)
        halo_dispatch_pause(loop, op);
    else if (step == HALO_STEP_AGAIN)
        halo_dispatch_op(loop, op);
    return step == HALO_STEP_DONE;
}

static unsigned kind_of(const struct halo_op *op)
{
    bool blind = halo_op_is(op, HALO_OP_READ) && op->slot->blind;
    return blind ? HALO_KIND_BLIND_READ : op->row->code;
}

/* Runs an operation that can tell when it would wait. What is left is the engine's to do. */
static bool attempt(struct halo_loop *loop, struct halo_op *op)
{
    enum halo_step step = HALO_STEP_AGAIN;

    op->now = op->row;
    while (step == HALO_STEP_AGAIN && !halo_loop_is_interrupted(loop)) {
        int64_t result = op->row->attempt(op);
        if (result == -EAGAIN) {
            halo_policy_missed(&loop->policy, kind_of(op));
            break;
        }
        step = judge(loop, op, result);
    }
    loop->stats.direct += step == HALO_STEP_DONE;
    if (step == HALO_STEP_LATER)
        halo_dispatch_pause(loop, op);
    else if (step == HALO_STEP_AGAIN)
        halo_dispatch_op(loop, op);
    return step == HALO_STEP_DONE;
}

static bool try_directly(struct halo_loop *loop, struct halo_op *op)
{
    uint64_t start_ns = halo_now_ns();
    bool done = op->row->attempt ? attempt(loop, op) : run_directly(loop, op);

    if (done || !op->row->attempt)
        halo_policy_took(&loop->policy, kind_of(op), halo_now_ns() - start_ns);
    return done;
}

/* A read says when it would wait, and need not be timed: copying takes as long as its bytes. */
static bool try_read(struct halo_loop *loop, struct halo_op *op)
{
    uint64_t start_ns = op->slot->blind ? halo_now_ns() : 0;
    bool done = attempt(loop, op);
    uint64_t copy_ns = HALO_READ_NS(op->done);

    if (!done)
        return false;
    if (start_ns) {
        uint64_t took_ns = halo_now_ns() - start_ns;
        halo_policy_took(&loop->policy, kind_of(op), took_ns > copy_ns ? took_ns - copy_ns : 0);
    }
    halo_policy_took(&loop->policy, HALO_OP_READ, copy_ns);
    return true;
}

/* ---- start --------------------------------------------------------------------------------- */

static bool may_try(struct halo_loop *loop, struct halo_op *op)
{
    if (!op->row->quick || op->no_try)
        return false;
    /* O_DIRECT reads a disk, which can do many at a time. */
    if (op->row->on_file && ((op->slot->flags & O_DIRECT) || op->length > HALO_TRY_BYTES_MAX))
        return false;
    if (!halo_policy_may_try(&loop->policy, kind_of(op)))
        return false;
    halo_dispatch_locate(loop, op);
    return op->place == 0 && op->resolved;
}

static enum halo_way choose(struct halo_loop *loop, struct halo_op *op)
{
    /* Closing a local file hardly ever waits, unless much was written to it. */
    if (halo_op_is(op, HALO_OP_CLOSE) && op->slot->local && op->slot->written < CLOSE_BYTES_MAX &&
        loop->config.engine != HALO_ENGINE_POOL)
        return HALO_WAY_DIRECT;
    if (loop->config.engine != HALO_ENGINE_AUTO || op->pool_only)
        return HALO_WAY_ENGINE;
    if (halo_op_is(op, HALO_OP_POLL) || (op->row->on_file && op->slot->stream))
        return HALO_WAY_ENGINE;
    if (op->alone) {
        /* Alone, it makes no turns: nothing else would renew the slice and the mounts. */
        halo_policy_turn(&loop->policy);
        loop->files.mounts.fresh = false;
        /* A long copy goes to a worker: it cannot be begun anew once it has been interrupted. */
        return halo_op_is(op, HALO_OP_COPYFILE) ? HALO_WAY_TRY : HALO_WAY_DIRECT;
    }
    return may_try(loop, op) ? HALO_WAY_TRY : HALO_WAY_ENGINE;
}

/* After a write behind that failed nothing is written; one without bytes has only waited. */
static bool ends_early(struct halo_op *op)
{
    op->result = op->slot->behind_error;
    return op->result || (op->length == 0 && op->flags & HALO_WRITE_BEHIND);
}

/* Takes the way that the policy says. Returns true when the operation has ended already. */
static bool start(struct halo_loop *loop, struct halo_op *op)
{
    if (op->headed && halo_file_take_kept(op))
        return true;
    if (halo_op_is(op, HALO_OP_WRITE) && ends_early(op))
        return true;
    switch (choose(loop, op)) {
    case HALO_WAY_DIRECT:
        return run_directly(loop, op);
    case HALO_WAY_TRY:
        return halo_op_is(op, HALO_OP_READ) ? try_read(loop, op) : try_directly(loop, op);
    default:
        halo_dispatch_op(loop, op);
        return false;
    }
}

/* ---- for the caller ------------------------------------------------------------------------ */

struct halo_op *halo_op_new(struct halo_loop *loop, enum halo_op_code code)
{
    struct halo_op *op = halo_slab_acquire(&loop->slab);
    if (op) {
        op->row = halo_op_table[code];
        op->offset = HALO_POSITION;
        op->fd = -1;
    }
    return op;
}

/* Asks the operations on a file that is being closed to end. */
static void cancel_all_on(struct halo_loop *loop, const struct halo_op *close)
{
    for (size_t i = 0; i <= loop->slab.mask; i++) {
        struct halo_op *op = loop->slab.table[i];
        if (halo_op_is_under_way(op) && op != close &&
            (op->slot == close->slot || op->base_slot == close->slot ||
             op->base2_slot == close->slot))
            halo_op_cancel(loop, op);
    }
}

static int begin(struct halo_loop *loop, struct halo_op *op)
{
    if (halo_loop_has_forked(loop))
        return -EOWNERDEAD;
    int error = halo_files_enter(&loop->files, op);
    if (error)
        return error;
    if (loop->config.fence && (error = halo_fence_enter(loop->config.fence, op)) != 0)
        return error;
    if (halo_op_is(op, HALO_OP_CLOSE) && op->slot->in_flight > 0)
        cancel_all_on(loop, op);
    return op->row->begin ? op->row->begin(loop, op) : 0;
}

bool halo_op_submit(struct halo_loop *loop, struct halo_op *op, unsigned flags)
{
    HALO_CHECK(op->state == HALO_OP_FILLING, "an operation was submitted twice");
    halo_loop_count_submitted(loop);
    op->alone = halo_loop_is_alone(loop, flags, 1);

    int error = begin(loop, op);
    if (error) {
        loop->policy.spent_ns += REFUSAL_NS;
        op->result = error;
        retire(loop, op);
        return false;
    }
    if (!halo_file_may_start(op)) {
        op->state = HALO_OP_WAITING;
        return true;
    }
    if (!start(loop, op))
        return true;
    retire(loop, op);
    return false;
}

/*
 * A close that was cancelled would leave its descriptor open, with nobody to close it, and an undo
 * what it takes back. But a lock that is given back for another may have to wait for that.
 */
static bool is_never_cancelled(const struct halo_op *op)
{
    return halo_op_is(op, HALO_OP_CLOSE) || (op->undoing && !halo_op_is(op, HALO_OP_LOCK)) ||
           (halo_op_is(op, HALO_OP_REMOVE) && op->flags & HALO_REMOVE_LEFTOVER) ||
           (halo_op_is(op, HALO_OP_WRITE) && op->flags & HALO_WRITE_BEHIND);
}

void halo_op_cancel(struct halo_loop *loop, struct halo_op *op)
{
    /* In a child of fork() it is the parent's operation. */
    if (op->cancelled || is_never_cancelled(op) || halo_loop_has_forked(loop))
        return;
    __atomic_store_n(&op->cancelled, true, __ATOMIC_RELAXED); /* a worker may look */
    switch (op->state) {
    case HALO_OP_RUNNING:
        loop->engine->cancel(loop->engine_state, op);
        return;
    case HALO_OP_QUEUED:
        halo_dispatch_unqueue(loop, op);
        break;
    case HALO_OP_PAUSED:
        halo_list_remove(op);
        if (!loop->paused.first)
            halo_timers_stop(&loop->timers, &loop->pause_timer);
        break;
    case HALO_OP_WAITING:
        halo_list_remove(op);
        break;
    default:
        return;
    }
    op->now = op->row;
    enum halo_step step = judge(loop, op, -ECANCELED);
    HALO_CHECK(step == HALO_STEP_DONE, "a cancelled operation wants to go on");
    hand_back(loop, op);
}

void halo_op_abandon(struct halo_loop *loop, struct halo_op *op)
{
    bool with_engine = op->state == HALO_OP_RUNNING || op->state == HALO_OP_ANSWERED;

    op->abandoned = true;
    if (with_engine && op->row->strays && !halo_op_polls(op) && !op->straying)
        halo_file_let_stray(op);
    halo_op_cancel(loop, op);
}

void halo_op_release(struct halo_loop *loop, struct halo_op *op)
{
    HALO_CHECK(op->state == HALO_OP_DONE || op->state == HALO_OP_FILLING,
               "an operation was released while the kernel may still use it");
    keep_unclaimed(loop, op);
    if (op->state == HALO_OP_DONE && halo_op_wants_undo(op)) {
        op->user = loop;
        if (take_back(loop, op))
            return;
    }
    leave_base(loop, op);
    halo_slab_release(&loop->slab, op);
}

bool halo_op_has_ended(const struct halo_op *op)
{
    return op->state == HALO_OP_DONE;
}

enum halo_op_code halo_op_kind(const struct halo_op *op)
{
    return op->row->code;
}

bool halo_op_is_confined(const struct halo_op *op)
{
    return (op->resolve | op->resolve2) & RESOLVE_BENEATH;
}

unsigned halo_op_lacks(const struct halo_op *op)
{
    return op->lacking;
}

const char *halo_op_name(const struct halo_op *op)
{
    return op->row->name;
}
