/*
 * A poll watches a duplicate of its descriptor, since epoll takes each only once, and a reader and
 * a writer may wait for the same one.
 */
#include "engines/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engines/engine.h"
#include "fd.h"
#include "ops/ops.h"

#define EVENTS_MAX 64

int halo_poller_open(struct halo_poller *poller, int wake_fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int fd = halo_fd_move_up(epoll_create1(EPOLL_CLOEXEC));

    if (fd < 0)
        return -errno;
    if (wake_fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, wake_fd, &event) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    poller->epoll_fd_plus_one = fd + 1;
    return 0;
}

void halo_poller_close(struct halo_poller *poller)
{
    if (halo_poller_is_open(poller))
        close(halo_poller_fd(poller));
    poller->epoll_fd_plus_one = 0;
}

void halo_poller_submit(struct halo_poller *poller, struct halo_op *op, struct halo_list *answered)
{
    short wanted = halo_op_poll_events(op);
    struct epoll_event event = {.events = (uint32_t)wanted | EPOLLONESHOT, .data.ptr = op};

    op->watched_fd = fcntl(op->fd, F_DUPFD_CLOEXEC, HALO_FD_FIRST);
    if (op->watched_fd >= 0 &&
        epoll_ctl(halo_poller_fd(poller), EPOLL_CTL_ADD, op->watched_fd, &event) == 0) {
        op->in_poller = true;
        poller->watched++;
        return;
    }
    /* What epoll will not watch (EPERM) never waits: /dev/null and its like. */
    int error = errno;
    if (op->watched_fd >= 0)
        close(op->watched_fd);
    halo_engine_answer(answered, op, error == EPERM ? wanted : -error);
}

static void unwatch(struct halo_poller *poller, struct halo_op *op)
{
    epoll_ctl(halo_poller_fd(poller), EPOLL_CTL_DEL, op->watched_fd, NULL);
    close(op->watched_fd);
    op->in_poller = false;
    poller->watched--;
}

void halo_poller_cancel(struct halo_poller *poller, struct halo_op *op, struct halo_list *answered)
{
    unwatch(poller, op);
    halo_engine_answer(answered, op, -ECANCELED);
}

bool halo_poller_collect(struct halo_poller *poller, struct halo_list *answered)
{
    struct epoll_event events[EVENTS_MAX];
    bool woken = false;
    int count = epoll_wait(halo_poller_fd(poller), events, EVENTS_MAX, 0);

    for (int i = 0; i < count; i++) {
        struct halo_op *op = events[i].data.ptr;
        if (!op) {
            woken = true;
            continue;
        }
        unwatch(poller, op);
        halo_engine_answer(answered, op, events[i].events);
    }
    return woken;
}
