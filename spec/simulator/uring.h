/*
 * uring.h: the kernel's side of io_uring: it takes submissions from the queue that it shares with
 * core/engines/ring.c, carries them out in an order of its own, and posts completions.
 */
#ifndef SIMULATOR_URING_H
#define SIMULATOR_URING_H

#include <stddef.h>
#include <stdint.h>

/* When the next submission takes effect or is completed: UINT64_MAX for never. */
uint64_t uring_next_ns(void);
void uring_pass(void);
/* Completes the polls whose descriptors are ready. */
void uring_look_at_polls(void);
/* Writes to memory that a read goes to, as the kernel may up to the completion. */
void uring_scribble(void);
/* Operations that the ring has. */
size_t uring_jobs(void);

#endif
