/*
 * op.h: the life of one operation.
 *
 *     submit     the files it uses count it; its row may refuse it
 *     start      it has its turn: it runs at once on this thread, or
 *     dispatch     goes to the engine, or to a queue while there is no room, see dispatch.h
 *     complete   the engine has answered: it is done, or needs another round
 *     retire     it has ended: it passes its turn on and leaves its files, so others may start
 *     release    the record goes back; a result that nobody took is kept for another, or undone
 *
 * Where it is known at its end that nobody takes its result, it is undone before it comes back.
 *
 * The caller sees submit and release, which are in halo.h; the rest happens behind them.
 */
#ifndef HALO_OP_H
#define HALO_OP_H

#include "loop.h"

/* Works off the engine's answer to an operation, which stands in op->result. */
void halo_op_complete(struct halo_loop *loop, struct halo_op *op);

/* Of what the slab's table has, in which none is free. */
static inline bool halo_op_is_under_way(const struct halo_op *op)
{
    return op && op->state != HALO_OP_FILLING && op->state != HALO_OP_DONE;
}

#endif
