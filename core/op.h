/*
 * op.h: the way of one operation.
 *
 *     submit     it is counted on its files; its row looks at it
 *     start      it has its turn: at once on this thread, or
 *     dispatch     to the engine, or to a queue where that has no room, see dispatch.h
 *     complete   the engine's answer: done, or another round
 *     retire     it has ended, gives its turn on and leaves its files, which lets others start
 *     release    the record goes back; what nobody has taken is kept for another, or undone
 *
 * All but dispatch and complete are in halo.h for the caller, or happen behind it.
 */
#ifndef HALO_OP_H
#define HALO_OP_H

#include "loop.h"

/* Works off the engine's answer to an operation, which stands in op->result. */
void halo_op_complete(struct halo_loop *loop, struct halo_op *op);
static inline bool halo_op_is_under_way(const struct halo_op *op)
{
    return op && op->state != HALO_OP_FREE && op->state != HALO_OP_FILLING &&
           op->state != HALO_OP_DONE;
}

#endif
