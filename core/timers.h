/*
 * timers.h: the clock, and a binary heap of the timers that are armed. A timer knows its place in
 * the heap, so that stopping one costs no search; equal deadlines run out in the order they were
 * started.
 */
#ifndef HALO_TIMERS_H
#define HALO_TIMERS_H

#include "halo.h"

struct halo_timers {
    struct halo_timer **heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t next_order;
};

void halo_timers_free(struct halo_timers *timers);
int halo_timers_start(struct halo_timers *timers, struct halo_timer *timer, uint64_t deadline_ns);
void halo_timers_stop(struct halo_timers *timers, struct halo_timer *timer);

/* The timer that runs out first, or NULL. */
static inline struct halo_timer *halo_timers_first(const struct halo_timers *timers)
{
    return timers->count ? timers->heap[0] : NULL;
}

#endif
