/*
 * kernel.h: the time of the model that halo's own engines run on: the ring, the threads and the
 * streams each do what is due, one after the other, while the loop waits or calls.
 */
#ifndef SIMULATOR_KERNEL_H
#define SIMULATOR_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#define KERNEL_NEVER UINT64_MAX

/* Does what is due by now. */
void kernel_catch_up(void);
/* Lets time pass until ready() or the deadline. Returns whether it is ready. */
bool kernel_wait(bool (*ready)(void *context), void *context, uint64_t deadline_ns);
/* Whether the latest wait was long, and nothing came. */
bool kernel_waited_in_vain(void);

#endif
