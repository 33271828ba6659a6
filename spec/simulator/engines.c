/*
 * Which engine runs: halo's own one, on a model of the kernel's part (uring.c, threads.c, epoll.c),
 * or the simulated one. The seed decides.
 */
#include "calls.h"
#include "clock.h"
#include "engine.h"
#include "kernel.h"
#include "loop.h"
#include "op.h"
#include "ops/ops.h"
#include "threads.h"
#include "trace.h"
#include "uring.h"

#define TURN_NS 2000
#define END_NS  4000000000

extern const struct halo_engine REAL(halo_engine_ring), REAL(halo_engine_pool);

static const struct halo_engine *behind;
static struct halo_loop *current;
static size_t given_up;
static uint64_t end_ns;

struct halo_loop *engine_loop(void)
{
    return current;
}

size_t engine_jobs(void)
{
    return weather.engines ? uring_jobs() : simulated_jobs();
}

size_t engine_given_up(void)
{
    return weather.engines ? given_up : simulated_given_up();
}

static int ring_open(struct halo_loop *loop, void **state)
{
    current = loop;
    behind = weather.engines ? &REAL(halo_engine_ring) : &simulated_ring;
    return behind->open(loop, state);
}

static int pool_open(struct halo_loop *loop, void **state)
{
    current = loop;
    behind = weather.engines ? &REAL(halo_engine_pool) : &simulated_pool;
    return behind->open(loop, state);
}

static void submit(void *state, struct halo_op *op)
{
    trace("submit", op->seq, op->now->code);
    if (weather.engines && !halo_op_polls(op) && current->running > current->config.max_in_flight)
        fail("%u operations are in flight, more than may be", current->running);
    behind->submit(state, op);
}

static void cancel(void *state, struct halo_op *op)
{
    trace("cancel", op->seq, op->state);
    behind->cancel(state, op);
}

/* What has been waited for in vain, and is there all the same, has not been announced. */
static void wait_for_engine(void *state, int64_t timeout_ns)
{
    const struct halo_list *answered = &current->answered;

    if (!weather.engines) {
        behind->wait(state, timeout_ns);
        return;
    }
    clock_pass_ns(weather_below(TURN_NS));
    kernel_catch_up();
    behind->wait(state, timeout_ns);
    for (const struct halo_op *op = answered->first; op; op = op->next)
        trace("answer", op->seq, op->result);
    if (answered->first && kernel_waited_in_vain())
        fail("an answer was there, and the loop slept on: a wake was lost");
}

static bool pending(void *state)
{
    return behind->pending(state);
}

static int fd(void *state)
{
    return behind->fd(state);
}

void engine_begin_end(void)
{
    end_ns = clock_now_ns();
}

/* What hangs is given up, after some seconds and not before. */
static void check_end(void)
{
    unsigned under_way = 0;
    for (size_t i = 0; i <= current->slab.mask; i++)
        under_way += halo_op_is_under_way(current->slab.table[i]);
    if (end_ns > 0 && under_way > 0 && clock_now_ns() - end_ns < END_NS)
        fail("the end has not waited for %u operations", under_way);
}

static void close_engine(void *state)
{
    check_end();
    size_t under_way = uring_jobs() + threads_busy();
    behind->close(state);
    given_up = under_way;
}

const struct halo_engine WRAP(halo_engine_ring) = {
    .name = "ring",
    .open = ring_open,
    .submit = submit,
    .cancel = cancel,
    .wait = wait_for_engine,
    .pending = pending,
    .fd = fd,
    .close = close_engine,
};

const struct halo_engine WRAP(halo_engine_pool) = {
    .name = "pool",
    .open = pool_open,
    .submit = submit,
    .cancel = cancel,
    .wait = wait_for_engine,
    .pending = pending,
    .fd = fd,
    .close = close_engine,
};
