/*
 * loop.h: the one struct that owns all state.
 *
 * A turn asks the engine to hand over what is queued and to append what has ended to `answered`;
 * then it works that off, operation by operation, see op.h. Whatever waits is in one of the queues
 * here or at its file; the engine itself calls nobody.
 */
#ifndef HALO_LOOP_H
#define HALO_LOOP_H

#include "engines/engine.h"
#include "files.h"
#include "list.h"
#include "policy.h"
#include "slab.h"
#include "timers.h"

/* A file system that may be slow has a share of the engine, and never all of it. */
struct halo_share {
    uint32_t running;
    struct halo_list waiting;
};

struct halo_loop {
    struct halo_config config;
    struct halo_stats stats;

    /* Operations. */
    struct halo_slab slab;
    struct halo_list answered;             /* by the engine, to be worked off */
    struct halo_list backlog;              /* waiting for room in the engine, in order */
    struct halo_list paused;               /* to be tried again when the pause timer runs out */
    struct halo_list ready;                /* have waited at a file, and may start */
    struct halo_list completed;            /* ended, to be handed on */
    bool starting;                         /* those in ready */
    uint32_t running;                      /* with the engine, polls excepted */
    uint32_t slow_running;                 /* of those, on places that may be slow, */
    uint32_t slow_waiting;                 /* and those waiting for their share */
    struct halo_share shares[HALO_PLACES]; /* by places */

    struct halo_files files;
    struct halo_leftover *leftovers; /* names that are removed at the end */
    struct halo_policy policy;

    struct halo_timers timers;
    struct halo_timer pause_timer;

    const struct halo_engine *engine;
    void *engine_state;
    int wake_fd;      /* an eventfd: a worker has an answer, or halo_loop_interrupt() was called */
    bool interrupted; /* by any thread: only looked at atomically */
    char *unforked;   /* a page that is 1 here and wiped to 0 in a child of fork() */
    char reason[192];
};

/* halo_loop_is_forked() for the core itself, where it must cost nothing. */
static inline bool halo_loop_has_forked(const struct halo_loop *loop)
{
    return !*loop->unforked;
}

static inline void halo_loop_count_submitted(struct halo_loop *loop)
{
    struct halo_stats *stats = &loop->stats;
    uint64_t in_flight = ++stats->submitted - stats->retired;
    if (in_flight > stats->in_flight_most)
        stats->in_flight_most = in_flight;
}

static inline bool halo_loop_is_interrupted(const struct halo_loop *loop)
{
    return __atomic_load_n(&loop->interrupted, __ATOMIC_SEQ_CST);
}

/*
 * True when nothing else could use the time that the caller waits: it says so by HALO_ALONE, and
 * nothing is under way but its own operations.
 */
static inline bool halo_loop_is_alone(const struct halo_loop *loop, unsigned flags, unsigned own)
{
    return (flags & HALO_ALONE) && loop->stats.submitted - loop->stats.retired == own &&
           !loop->completed.first && loop->timers.count == 0;
}

#endif
