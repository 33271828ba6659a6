/*
 * threads.h: the threads that core/engines/workers.c starts, as the simulator has them: only one
 * runs at a time, a seed says which and how far, and locks and conditions are watched.
 */
#ifndef SIMULATOR_THREADS_H
#define SIMULATOR_THREADS_H

#include <stddef.h>
#include <stdint.h>

/* When the next thread goes on: UINT64_MAX for never. */
uint64_t threads_next_ns(void);
/* Lets it. */
void threads_pass(void);
/* Threads that stand in the middle of something, and do not wait for work. */
size_t threads_busy(void);

#endif
