/*
 * kernel.h: a kernel that does as the input says. It takes the place of io_uring, which ring.c sees
 * through liburing, of the worker threads and of the poller; and time is its own.
 *
 * What it may do is what a kernel may: end operations in any order and turn, fail them, end them
 * short, refuse opcodes, ask to be called again, heed a cancel in time, too late or not at all. And
 * beyond that it answers numbers that nobody knows: some that never were, and some of operations
 * that have ended. As long as it has an operation it reads and writes the operation's memory.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "fuzz.h"
#include "loop.h"

/* Begins with an input, which says all that follows. */
void kernel_begin(struct input *input);

/* The loop whose operations it has. */
void kernel_serve(struct halo_loop *loop);

/* From here on it ends everything soon, in order and well. */
void kernel_be_kind(void);

/* After the loop's end: nothing is left, no descriptor is open. */
void kernel_end(void);

/* Says which operations have not ended. */
void kernel_tell_left(void);

/* Completions so far whose number nobody knew. */
uint64_t kernel_unknown(void);

/* A new descriptor, of a stream or a file. */
int kernel_open(bool stream);

/* The byte of that number of a stream. */
static inline uint8_t kernel_stream_byte(uint64_t number)
{
    return (uint8_t)(number * 7 + (number >> 8));
}

#endif
