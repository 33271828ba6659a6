/*
 * dispatch.h: which operations may go to the engine, and when. It has at most max_in_flight of
 * them, and of those on a place that may be slow no more than its share; the others wait in order.
 */
#ifndef HALO_DISPATCH_H
#define HALO_DISPATCH_H

#include "loop.h"

/* Finds out which file systems it works on, and whether the kernel has all of the path cached. */
void halo_dispatch_locate(struct halo_loop *loop, struct halo_op *op);

/* Gives an operation to the engine, or to a queue where there is no room for it. */
void halo_dispatch_op(struct halo_loop *loop, struct halo_op *op);
/* Gives up the room of one that has been answered. */
void halo_dispatch_vacate(struct halo_loop *loop, const struct halo_op *op);
/* Issues what has waited for room, as far as there is room now. */
void halo_dispatch_queued(struct halo_loop *loop);
/* Takes an operation out of the queue for room. */
void halo_dispatch_unqueue(struct halo_loop *loop, struct halo_op *op);

/* Tries an operation again in a few milliseconds, without holding up a worker meanwhile. */
void halo_dispatch_pause(struct halo_loop *loop, struct halo_op *op);
/* Tries all those again. */
void halo_dispatch_end_pause(struct halo_loop *loop);

#endif
