/*
 * policy.h: which way an operation goes.
 *
 *   direct   the plain system call, now, on the loop's thread
 *   try      the same, where it is expected to be short
 *   engine   the ring, batched with the others of this turn, or the pool
 *
 * To be woken up by a kernel worker costs ten times what most system calls take. So an operation
 * goes direct when nothing else could use the time (but for a long copy); and it is tried, whatever
 * else is going on, where only this kernel is asked (no network, no FUSE), the kind of operation
 * has been short lately, and this turn has time left. One that turns out long closes the way for
 * its kind for a while: then the answers are on a disk, and the ring fetches many of them at once.
 */
#ifndef HALO_POLICY_H
#define HALO_POLICY_H

#include "halo.h"

enum halo_way { HALO_WAY_ENGINE, HALO_WAY_DIRECT, HALO_WAY_TRY };

struct halo_policy {
    uint64_t spent_ns;              /* tried in this turn */
    bool refreshed;                 /* the mounts have been looked at in this turn */
    uint16_t skip[HALO_OP_COUNT];   /* operations of a kind that go to the engine unasked */
    uint8_t strikes[HALO_OP_COUNT]; /* times in a row that one was long */
};

enum halo_way halo_policy_choose(struct halo_loop *loop, const struct halo_op *op, unsigned flags);

/* What a read that need not be watched is taken to have cost, by its bytes. */
#define HALO_READ_NS(bytes) (500 + (uint64_t)(bytes) / 8)

/* A try took so long; or it had no answer at hand. */
void halo_policy_took(struct halo_policy *policy, enum halo_op_code code, uint64_t ns);
void halo_policy_missed(struct halo_policy *policy, enum halo_op_code code);

/*
 * True when nothing could use the time that the caller waits for an operation: it says so by
 * HALO_ALONE, and nothing is under way but its own operations.
 */
bool halo_policy_is_alone(const struct halo_loop *loop, unsigned flags, unsigned own);

/* True where a path leads to file systems of this kernel alone, as far as its words tell. */
bool halo_policy_is_local(struct halo_loop *loop, const char *path);

/* A new turn begins. */
void halo_policy_turn(struct halo_policy *policy);

/* True when this turn's tries have used their time: others should run now. */
bool halo_policy_is_due(const struct halo_policy *policy);

#endif
