/*
 * The pool engine: every operation is run by a worker thread as its blocking twin. Polls are left
 * to an epoll instance, which watches the loop's wake descriptor as well, so that a quiet pipe or
 * terminal occupies no worker.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "engines/poller.h"
#include "engines/workers.h"
#include "fd.h"
#include "loop.h"
#include "ops/ops.h"

struct pool {
    struct halo_loop *loop;
    struct halo_workers *workers;
    struct halo_poller poller;
};

static void pool_close(void *state)
{
    struct pool *pool = state;
    if (pool->workers)
        halo_workers_close(pool->workers);
    halo_poller_close(&pool->poller);
    free(pool);
}

static int pool_open(struct halo_loop *loop, void **state)
{
    struct pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->loop = loop;
    int error = halo_poller_open(&pool->poller, loop->wake_fd);
    if (!error && !(pool->workers = halo_workers_create(loop->config.pool_threads, loop->wake_fd)))
        error = -ENOMEM;
    if (error) {
        pool_close(pool);
        return error;
    }
    *state = pool;
    return 0;
}

static void pool_submit(void *state, struct halo_op *op)
{
    struct pool *pool = state;
    if (halo_op_polls(op)) {
        halo_poller_submit(&pool->poller, op, &pool->loop->answered);
    } else {
        pool->loop->stats.pool++;
        halo_workers_submit(pool->workers, op);
    }
}

static void pool_cancel(void *state, struct halo_op *op)
{
    struct pool *pool = state;
    if (op->in_poller)
        halo_poller_cancel(&pool->poller, op, &pool->loop->answered);
    else
        halo_workers_cancel(pool->workers, op, &pool->loop->answered);
}

/* epoll_wait() counts in milliseconds, which is too coarse for timers. */
static void wait_readable(const struct pool *pool, int64_t timeout_ns)
{
    struct pollfd polled = {.fd = halo_poller_fd(&pool->poller), .events = POLLIN};
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000,
                               .tv_nsec = timeout_ns % 1000000000};
    ppoll(&polled, 1, timeout_ns < 0 ? NULL : &timeout, NULL);
}

static void pool_wait(void *state, int64_t timeout_ns)
{
    struct pool *pool = state;

    if (timeout_ns != 0)
        wait_readable(pool, halo_workers_bound_wait(pool->workers, timeout_ns));
    if (halo_poller_collect(&pool->poller, &pool->loop->answered))
        halo_event_clear(pool->loop->wake_fd);
    halo_workers_collect(pool->workers, &pool->loop->answered);
}

static bool pool_pending(void *state)
{
    (void)state;
    return false;
}

static int pool_fd(void *state)
{
    return halo_poller_fd(&((struct pool *)state)->poller);
}

const struct halo_engine halo_engine_pool = {
    .name = "pool",
    .open = pool_open,
    .submit = pool_submit,
    .cancel = pool_cancel,
    .wait = pool_wait,
    .pending = pool_pending,
    .fd = pool_fd,
    .close = pool_close,
};
