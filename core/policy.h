/*
 * policy.h: which way an operation goes.
 *
 *   direct   the plain system call, now, on the loop's thread
 *   try      the same, where it is expected to be short
 *   engine   the ring, batched with the others of this turn, or the pool
 *
 * Being woken by a kernel worker costs ten times what most system calls take. So an operation goes
 * direct when nothing else could use the time; and it is tried, whatever else is going on, where
 * only this kernel is asked (no network, no FUSE), its kind has been short lately, and this turn
 * has time left. One that turns out long closes that way to its kind for a while: the answers are
 * on a disk then, and the ring fetches many at once.
 *
 * The policy looks at nothing but its own counts: the caller knows the operation and its files.
 */
#ifndef HALO_POLICY_H
#define HALO_POLICY_H

#include "halo.h"

enum halo_way { HALO_WAY_ENGINE, HALO_WAY_DIRECT, HALO_WAY_TRY };

/* Reads of files whose system does not say whether they would wait are a kind of their own. */
#define HALO_KIND_BLIND_READ HALO_OP_COUNT
#define HALO_KINDS           (HALO_OP_COUNT + 1)

struct halo_policy {
    uint64_t spent_ns;           /* tried in this turn */
    uint16_t skip[HALO_KINDS];   /* operations of a kind that go to the engine unasked */
    uint8_t strikes[HALO_KINDS]; /* times in a row that one was long */
};

/* Whether an operation of a kind may be tried now. Each no counts down to the next yes. */
bool halo_policy_may_try(struct halo_policy *policy, unsigned kind);

/* What a read that is not timed is assumed to have cost, by its bytes. */
#define HALO_READ_NS(bytes) (500 + (uint64_t)(bytes) / 8)

/* Says how long a try took; or that it had no answer ready. */
void halo_policy_took(struct halo_policy *policy, unsigned kind, uint64_t ns);
void halo_policy_missed(struct halo_policy *policy, unsigned kind);

/* A new turn begins. */
static inline void halo_policy_turn(struct halo_policy *policy)
{
    policy->spent_ns = 0;
}

#define HALO_SLICE_NS 500000 /* of tries in one turn: the most that others wait for them */

/* True when this turn's tries have used their time: others should run now. */
static inline bool halo_policy_is_due(const struct halo_policy *policy)
{
    return policy->spent_ns > HALO_SLICE_NS;
}

#endif
