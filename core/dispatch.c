#include "dispatch.h"

#include <fcntl.h>

#include "check.h"
#include "ops/ops.h"

#define PAUSE_NS 5000000 /* between two tries of what cannot be waited for */

/* ---- where it lies ------------------------------------------------------------------------- */

static void look_up(struct halo_loop *loop, struct halo_op *op, int base_fd, const char *path,
                    uint32_t resolve)
{
    bool follow = !op->row->no_follow, resolved;

    if (halo_op_is(op, HALO_OP_OPEN) && (op->flags & (O_NOFOLLOW | O_EXCL)))
        follow = false;
    uint8_t place =
        halo_mounts_locate(&loop->files.mounts, base_fd, path, follow, resolve, &resolved);
    op->resolved &= resolved;
    if (!op->place)
        op->place = place;
}

/* A close is not counted on its file, but goes to that file's place like the others. */
static bool is_on_file(const struct halo_op *op)
{
    return op->row->on_file || halo_op_is(op, HALO_OP_CLOSE);
}

void halo_dispatch_locate(struct halo_loop *loop, struct halo_op *op)
{
    if (op->placed)
        return;
    op->placed = op->resolved = true;
    if (is_on_file(op)) {
        op->place = op->slot->place;
        /* Of a file whose attributes are kept, these are asked for. */
        if (!op->place && op->base_slot && !op->base_slot->stream)
            op->place = op->base_slot->place;
        return;
    }
    if (op->path && op->row->lookup != HALO_LOOKUP_PATH2)
        look_up(loop, op, op->base_fd, op->path, op->resolve);
    if (op->path2 && op->row->lookup != HALO_LOOKUP_PATH)
        look_up(loop, op, op->base2_fd, op->path2, op->resolve2);
}

/* ---- room ---------------------------------------------------------------------------------- */

static bool wants_poll(const struct halo_op *op)
{
    if (halo_op_is(op, HALO_OP_POLL))
        return true;
    return op->slot && op->slot->stream && op->row->poll_events && !op->polled && op->length > 0;
}

/* One slow place may take half of the workers, all of them together three quarters. */
static bool has_share(const struct halo_loop *loop, const struct halo_op *op)
{
    uint32_t threads = loop->config.pool_threads;
    uint32_t each = threads > 1 ? threads / 2 : 1;
    uint32_t all = threads > 3 ? threads - threads / 4 : each;

    return !op->place || (loop->shares[op->place].running < each && loop->slow_running < all);
}

static void occupy(struct halo_loop *loop, const struct halo_op *op)
{
    loop->running++;
    if (op->place) {
        loop->shares[op->place].running++;
        loop->slow_running++;
    }
}

void halo_dispatch_vacate(struct halo_loop *loop, const struct halo_op *op)
{
    HALO_CHECK(loop->running > 0, "more answers than operations");
    loop->running--;
    if (op->place) {
        loop->shares[op->place].running--;
        loop->slow_running--;
    }
}

/* ---- issue --------------------------------------------------------------------------------- */

/* Gives an operation to the engine. A poll may last for ever, and takes up no room. */
static void issue(struct halo_loop *loop, struct halo_op *op)
{
    if (op->slot)
        halo_file_clear_nonblock(op->slot);
    op->now = wants_poll(op) ? halo_op_table[HALO_OP_POLL] : op->row;
    op->state = HALO_OP_RUNNING;
    op->counted = !halo_op_polls(op);
    if (op->counted)
        occupy(loop, op);
    loop->engine->submit(loop->engine_state, op);
}

static void queue(struct halo_loop *loop, struct halo_op *op, struct halo_list *list)
{
    op->state = HALO_OP_QUEUED;
    halo_list_append(list, op);
    loop->stats.queued++;
    loop->slow_waiting += list != &loop->backlog;
}

void halo_dispatch_unqueue(struct halo_loop *loop, struct halo_op *op)
{
    loop->slow_waiting -= op->queue != &loop->backlog;
    loop->stats.queued--;
    halo_list_remove(op);
}

/*
 * While there is room for all, it does not matter which place an operation is on. Those that were
 * not looked up are fewer than what the slow places leave to the others, see has_share().
 */
static bool needs_place(const struct halo_loop *loop, const struct halo_op *op)
{
    bool crowded = loop->running >= loop->config.pool_threads / 8;
    return crowded || is_on_file(op) ||
           (halo_op_is(op, HALO_OP_OPEN) && loop->config.engine != HALO_ENGINE_POOL);
}

void halo_dispatch_op(struct halo_loop *loop, struct halo_op *op)
{
    bool polls = wants_poll(op);

    if (!polls && needs_place(loop, op))
        halo_dispatch_locate(loop, op);
    if (!polls && !has_share(loop, op))
        queue(loop, op, &loop->shares[op->place].waiting);
    else if (!polls && (loop->running >= loop->config.max_in_flight || loop->backlog.first))
        queue(loop, op, &loop->backlog);
    else
        issue(loop, op);
}

static void issue_slow(struct halo_loop *loop)
{
    for (int place = 1; place < HALO_PLACES && loop->slow_waiting > 0; place++) {
        struct halo_list *waiting = &loop->shares[place].waiting;
        while (waiting->first && has_share(loop, waiting->first)) {
            struct halo_op *op = waiting->first;
            if (loop->running >= loop->config.max_in_flight)
                return;
            halo_dispatch_unqueue(loop, op);
            issue(loop, op);
        }
    }
}

void halo_dispatch_queued(struct halo_loop *loop)
{
    while (loop->backlog.first && loop->running < loop->config.max_in_flight) {
        struct halo_op *op = loop->backlog.first;
        halo_dispatch_unqueue(loop, op);
        if (has_share(loop, op))
            issue(loop, op);
        else
            queue(loop, op, &loop->shares[op->place].waiting);
    }
    if (loop->slow_waiting > 0)
        issue_slow(loop);
}

void halo_dispatch_pause(struct halo_loop *loop, struct halo_op *op)
{
    if (!loop->pause_timer.index &&
        halo_timers_start(&loop->timers, &loop->pause_timer, halo_now_ns() + PAUSE_NS) < 0) {
        halo_dispatch_op(loop, op); /* without memory for the timer it is only less polite */
        return;
    }
    op->state = HALO_OP_PAUSED;
    halo_list_append(&loop->paused, op);
}

void halo_dispatch_end_pause(struct halo_loop *loop)
{
    struct halo_op *op;

    halo_timers_stop(&loop->timers, &loop->pause_timer);
    while ((op = halo_list_take(&loop->paused)))
        halo_dispatch_op(loop, op);
}
