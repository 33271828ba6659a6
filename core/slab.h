/*
 * slab.h: the records of operations, their memory, and how to find one by its sequence number.
 *
 * Sequence numbers are a plain 64-bit counter and never reused, so a completion that comes too
 * late can only be unknown, never reach another waiter. The record of number n stands at
 * n & mask of a power-of-two table; a number whose place is still taken by a long operation is
 * skipped. Distinct places stay distinct when the mask grows by a bit, which makes growing a copy.
 */
#ifndef HALO_SLAB_H
#define HALO_SLAB_H

#include "halo.h"

#define HALO_SEQ_FIRST 16u /* smaller ones belong to the engines' own submissions */

/* What free records keep of their memory: each so much, and all of them together. */
#define HALO_STORAGE_KEPT (16u << 10)
#define HALO_SLAB_KEPT    (1u << 20)

enum halo_op_state {
    HALO_OP_FREE,     /* in the slab */
    HALO_OP_FILLING,  /* with the caller, not submitted */
    HALO_OP_WAITING,  /* for its turn on the file, or for the file to be idle */
    HALO_OP_QUEUED,   /* for room in the engine */
    HALO_OP_RUNNING,  /* with the engine */
    HALO_OP_ANSWERED, /* by the engine; the loop has yet to look at the answer */
    HALO_OP_PAUSED,   /* on the loop's retry timer */
    HALO_OP_DONE      /* ended */
};

struct halo_slab {
    struct halo_op **table;
    size_t mask;
    size_t live;
    size_t kept; /* bytes at the storage of free records */
    uint64_t next_seq;
    struct halo_op *free;
    struct halo_slab_chunk *chunks;
};

/* Returns 0 or -ENOMEM. */
int halo_slab_init(struct halo_slab *slab);
/* Frees every record, and their storage with them. */
void halo_slab_free(struct halo_slab *slab);
/* A record with a fresh sequence number, or NULL when memory is out. */
struct halo_op *halo_slab_acquire(struct halo_slab *slab);
void halo_slab_release(struct halo_slab *slab, struct halo_op *op);

/* The record of a sequence number, or NULL where nobody knows it. */
static inline struct halo_op *halo_slab_find(const struct halo_slab *slab, uint64_t seq)
{
    struct halo_op *op = slab->table[seq & slab->mask];
    return op && op->seq == seq ? op : NULL;
}

#endif
