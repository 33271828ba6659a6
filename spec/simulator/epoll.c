/* Instances of epoll are real ones for what is real; what is the model's they watch here. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "calls.h"
#include "clock.h"
#include "epoll.h"
#include "kernel.h"
#include "model.h"
#include "trace.h"

#define WATCHES_MAX 4096

struct watch {
    int epoll_fd, fd;
    struct epoll_event event;
    bool armed;
};

static struct watch watches[WATCHES_MAX];
static size_t count;

static struct watch *find(int epoll_fd, int fd)
{
    for (size_t i = 0; i < count; i++)
        if (watches[i].epoll_fd == epoll_fd && watches[i].fd == fd)
            return &watches[i];
    return NULL;
}

static int64_t add(int epoll_fd, int fd, const struct epoll_event *event)
{
    const struct model_handle *handle = model_handle(fd);
    if (!handle)
        return -EBADF;
    if (!handle->node->stream)
        return -EPERM;
    if (find(epoll_fd, fd))
        return -EEXIST;
    if (count == WATCHES_MAX)
        return -ENOSPC;
    watches[count++] =
        (struct watch){.epoll_fd = epoll_fd, .fd = fd, .event = *event, .armed = true};
    return 0;
}

static int64_t forget(int epoll_fd, int fd)
{
    struct watch *watch = find(epoll_fd, fd);
    if (!watch)
        return -ENOENT;
    *watch = watches[--count];
    return 0;
}

int REAL(epoll_ctl)(int epoll_fd, int command, int fd, struct epoll_event *event);
int WRAP(epoll_ctl)(int epoll_fd, int command, int fd, struct epoll_event *event)
{
    if (!model_owns(fd))
        return REAL(epoll_ctl)(epoll_fd, command, fd, event);
    if (command == EPOLL_CTL_ADD)
        return (int)give("epoll_ctl", fd, add(epoll_fd, fd, event));
    return (int)give("epoll_ctl", fd, forget(epoll_fd, fd));
}

static uint32_t ready_events(const struct watch *watch)
{
    short wanted = (short)(watch->event.events & (POLLIN | POLLOUT));
    if (!watch->armed)
        return 0;
    short ready = model_poll(watch->fd, wanted);
    if (ready & POLLNVAL)
        fail("descriptor %d was closed while epoll watched it", watch->fd);
    return (uint32_t)ready;
}

int REAL(epoll_wait)(int epoll_fd, struct epoll_event *events, int most, int timeout_ms);
int WRAP(epoll_wait)(int epoll_fd, struct epoll_event *events, int most, int timeout_ms)
{
    int found = 0;

    if (timeout_ms != 0)
        fail("epoll_wait() waits");
    if (weather_chance(weather.faults / 4))
        return (int)give("epoll_wait", epoll_fd, -EINTR);
    for (size_t i = 0; i < count && found < most; i++) {
        uint32_t ready = watches[i].epoll_fd == epoll_fd ? ready_events(&watches[i]) : 0;
        if (!ready)
            continue;
        events[found] = watches[i].event;
        events[found++].events = ready;
        watches[i].armed = !(watches[i].event.events & EPOLLONESHOT);
    }
    int more = found < most ? REAL(epoll_wait)(epoll_fd, events + found, most - found, 0) : 0;
    return (int)give("epoll_wait", epoll_fd, found + (more > 0 ? more : 0));
}

int REAL(poll)(struct pollfd *polled, nfds_t count, int timeout_ms);

bool epoll_is_ready(int epoll_fd)
{
    struct pollfd polled = {.fd = epoll_fd, .events = POLLIN};
    for (size_t i = 0; i < count; i++)
        if (watches[i].epoll_fd == epoll_fd && ready_events(&watches[i]))
            return true;
    return REAL(poll)(&polled, 1, 0) > 0;
}

static bool is_ready(void *context)
{
    return epoll_is_ready(*(int *)context);
}

/* The pool waits for its epoll instance, and nothing else. */
int WRAP(ppoll)(struct pollfd *polled, nfds_t polled_count, const struct timespec *timeout,
                const sigset_t *signals)
{
    uint64_t deadline_ns = KERNEL_NEVER;

    (void)polled_count;
    (void)signals;
    if (weather_chance(weather.faults / 4))
        return (int)give("ppoll", polled->fd, -EINTR);
    if (timeout)
        deadline_ns =
            clock_now_ns() + (uint64_t)timeout->tv_sec * 1000000000 + (uint64_t)timeout->tv_nsec;
    return (int)give("ppoll", polled->fd, kernel_wait(is_ready, &polled->fd, deadline_ns));
}
