/*
 * poller.h: polls by an epoll instance, which takes any number of them. The pool engine gives it
 * all polls, the ring engine those for which its completion queue has no room.
 */
#ifndef HALO_POLLER_H
#define HALO_POLLER_H

#include "list.h"

struct halo_poller {
    int epoll_fd_plus_one; /* 0 while it is not open */
    unsigned watched;      /* operations */
};

/* Watches wake_fd beside the operations where it is not -1. Returns 0 or -errno. */
int halo_poller_open(struct halo_poller *poller, int wake_fd);
void halo_poller_close(struct halo_poller *poller);

static inline bool halo_poller_is_open(const struct halo_poller *poller)
{
    return poller->epoll_fd_plus_one != 0;
}

/* A descriptor that polls readable when collect() has something to append. */
static inline int halo_poller_fd(const struct halo_poller *poller)
{
    return poller->epoll_fd_plus_one - 1;
}

/* Watches the operation's descriptor; one that cannot be watched is answered at once. */
void halo_poller_submit(struct halo_poller *poller, struct halo_op *op, struct halo_list *answered);
/* Ends the watch of an operation that is with the poller, which is answered -ECANCELED. */
void halo_poller_cancel(struct halo_poller *poller, struct halo_op *op, struct halo_list *answered);
/* Answers the operations whose descriptors are ready. Returns true where wake_fd is. */
bool halo_poller_collect(struct halo_poller *poller, struct halo_list *answered);

#endif
