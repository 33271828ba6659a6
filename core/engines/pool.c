/*
 * The pool engine: every operation is run by a worker thread as its blocking twin. Polls are left
 * to an epoll instance, which watches the loop's wake descriptor as well, so that a quiet pipe or
 * terminal occupies no worker. A poll watches a duplicate of its descriptor, since epoll takes
 * each one once only and a reader and a writer may wait for the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loop.h"
#include "ops/ops.h"
#include "engines/workers.h"

#define EVENTS_MAX 64

struct pool {
    struct halo_loop *loop;
    struct halo_workers *workers;
    int epoll_fd;
    struct halo_list answered; /* to be answered by the next wait, which answers alone may */
};

static void pool_close(void *state)
{
    struct pool *pool = state;
    if (pool->workers)
        halo_workers_close(pool->workers);
    if (pool->epoll_fd >= 0)
        close(pool->epoll_fd);
    free(pool);
}

static int pool_open(struct halo_loop *loop, void **state)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    struct pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->loop = loop;
    pool->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (pool->epoll_fd < 0 || epoll_ctl(pool->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
        int error = errno;
        pool_close(pool);
        return -error;
    }
    pool->workers = halo_workers_create(loop->config.pool_threads, loop->wake_fd);
    if (!pool->workers) {
        pool_close(pool);
        return -ENOMEM;
    }
    *state = pool;
    return 0;
}

static void answer_later(struct pool *pool, struct halo_op *op, int64_t result)
{
    op->result = result;
    halo_list_append(&pool->answered, op);
}

static void watch(struct pool *pool, struct halo_op *op)
{
    short wanted = halo_op_poll_events(op);
    struct epoll_event event = {.events = (uint32_t)wanted | EPOLLONESHOT, .data.ptr = op};

    op->watched_fd = fcntl(op->fd, F_DUPFD_CLOEXEC, 0);
    if (op->watched_fd >= 0 &&
        epoll_ctl(pool->epoll_fd, EPOLL_CTL_ADD, op->watched_fd, &event) == 0)
        return;
    /* What epoll will not watch (EPERM) never waits: /dev/null and its like. */
    int error = errno;
    if (op->watched_fd >= 0)
        close(op->watched_fd);
    answer_later(pool, op, error == EPERM ? wanted : -error);
}

static void unwatch(struct pool *pool, struct halo_op *op)
{
    epoll_ctl(pool->epoll_fd, EPOLL_CTL_DEL, op->watched_fd, NULL);
    close(op->watched_fd);
}

static bool is_poll(const struct halo_op *op)
{
    return op->now == &halo_op_table[HALO_OP_POLL];
}

static void pool_submit(void *state, struct halo_op *op)
{
    struct pool *pool = state;
    if (is_poll(op)) {
        watch(pool, op);
    } else {
        pool->loop->stats.pool++;
        halo_workers_submit(pool->workers, op);
    }
}

static bool is_answered(const struct pool *pool, const struct halo_op *op)
{
    const struct halo_op *answered = pool->answered.first;
    while (answered && answered != op)
        answered = answered->next;
    return answered != NULL;
}

static void pool_cancel(void *state, struct halo_op *op)
{
    struct pool *pool = state;
    if (is_answered(pool, op))
        return;
    if (is_poll(op)) {
        unwatch(pool, op);
        answer_later(pool, op, -ECANCELED);
    } else if (halo_workers_withdraw(pool->workers, op)) {
        answer_later(pool, op, -ECANCELED);
    }
}

static int wait_events(struct pool *pool, struct epoll_event *events, int64_t timeout_ns)
{
    if (timeout_ns > 0) {
        /* epoll_wait() counts in milliseconds, which is too coarse for timers. */
        struct pollfd polled = {.fd = pool->epoll_fd, .events = POLLIN};
        struct timespec timeout = {.tv_sec = timeout_ns / 1000000000,
                                   .tv_nsec = timeout_ns % 1000000000};
        if (ppoll(&polled, 1, &timeout, NULL) <= 0)
            return 0;
    }
    return epoll_wait(pool->epoll_fd, events, EVENTS_MAX, timeout_ns < 0 ? -1 : 0);
}

static void pool_wait(void *state, int64_t timeout_ns)
{
    struct pool *pool = state;
    struct epoll_event events[EVENTS_MAX];
    struct halo_op *op;
    bool woken = false;

    int count = wait_events(pool, events, pool->answered.first ? 0 : timeout_ns);
    for (int i = 0; i < count; i++) {
        op = events[i].data.ptr;
        if (op) {
            unwatch(pool, op);
            halo_loop_answer(pool->loop, op, events[i].events);
        } else {
            woken = true;
        }
    }
    while ((op = halo_list_take(&pool->answered)))
        halo_loop_answer(pool->loop, op, op->result);
    if (!woken)
        return;
    halo_loop_clear_wake(pool->loop);
    for (op = halo_workers_collect(pool->workers); op;) {
        struct halo_op *next = op->next;
        halo_loop_answer(pool->loop, op, op->result);
        op = next;
    }
}

static bool pool_pending(void *state)
{
    return ((struct pool *)state)->answered.first != NULL;
}

static int pool_fd(void *state)
{
    return ((struct pool *)state)->epoll_fd;
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
