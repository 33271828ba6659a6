#include "timers.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

uint64_t halo_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool earlier(const struct halo_timer *a, const struct halo_timer *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->order < b->order;
}

static void place(struct halo_timers *timers, struct halo_timer *timer, uint32_t i)
{
    timers->heap[i] = timer;
    timer->index = i + 1;
}

static void sift_up(struct halo_timers *timers, struct halo_timer *timer, uint32_t i)
{
    while (i > 0 && earlier(timer, timers->heap[(i - 1) / 2])) {
        place(timers, timers->heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    place(timers, timer, i);
}

static void sift_down(struct halo_timers *timers, struct halo_timer *timer, uint32_t i)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && earlier(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!earlier(timers->heap[child], timer))
            break;
        place(timers, timers->heap[child], i);
        i = child;
    }
    place(timers, timer, i);
}

void halo_timers_free(struct halo_timers *timers)
{
    free(timers->heap);
}

int halo_timers_start(struct halo_timers *timers, struct halo_timer *timer, uint64_t deadline_ns)
{
    halo_timers_stop(timers, timer);
    if (timers->count == timers->capacity) {
        uint32_t capacity = timers->capacity ? timers->capacity * 2 : 64;
        struct halo_timer **heap = realloc(timers->heap, capacity * sizeof(struct halo_timer *));
        if (!heap)
            return -ENOMEM;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    timer->deadline_ns = deadline_ns;
    timer->order = timers->next_order++;
    sift_up(timers, timer, timers->count++);
    return 0;
}

void halo_timers_stop(struct halo_timers *timers, struct halo_timer *timer)
{
    if (!timer->index)
        return;
    uint32_t i = timer->index - 1;
    timer->index = 0;
    struct halo_timer *last = timers->heap[--timers->count];
    if (last == timer)
        return;
    /* The last one may belong above or below the hole, as it comes from another branch. */
    if (i > 0 && earlier(last, timers->heap[(i - 1) / 2]))
        sift_up(timers, last, i);
    else
        sift_down(timers, last, i);
}
