/*
 * fd.h: helpers for descriptors. halo's own stay clear of standard input, output and error: a
 * program that was started without one would read from or print to whatever got its number.
 */
#ifndef HALO_FD_H
#define HALO_FD_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define HALO_FD_FIRST 3

/* Gives a new descriptor, or -1 with errno, a number that is no standard one. */
static inline int halo_fd_move_up(int fd)
{
    if (fd < 0 || fd >= HALO_FD_FIRST)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, HALO_FD_FIRST);
    int error = errno;
    close(fd);
    errno = error;
    return moved;
}

#define HALO_EVENT_TRIES 100

/* Makes an eventfd readable. Returns false where it could not be; EAGAIN says that it is. */
static inline bool halo_event_set(int fd)
{
    uint64_t one = 1;

    for (int tries = 0; tries < HALO_EVENT_TRIES; tries++)
        if (write(fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN)
            return true;
    return false;
}

/* Empties an eventfd. One that could not be read stays readable, and is emptied the next time. */
static inline void halo_event_clear(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof(count));
    (void)got;
}

/* Takes the signals of an eventfd that does not block; false where there are none. */
static inline bool halo_event_take(int fd)
{
    uint64_t count;
    return read(fd, &count, sizeof(count)) == sizeof(count);
}

/* Waits until an eventfd is signalled, and takes that. Negative: for ever. */
static inline void halo_event_wait(int fd, int64_t timeout_ns)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};

    ppoll(&polled, 1, timeout_ns < 0 ? NULL : &timeout, NULL);
    halo_event_take(fd);
}

#endif
