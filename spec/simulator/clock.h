/*
 * clock.h: the time that halo sees. It stands still but for what the simulator lets pass.
 */
#ifndef SIMULATOR_CLOCK_H
#define SIMULATOR_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void);
void clock_pass_ns(uint64_t ns);
/* Does nothing where that has passed. */
void clock_pass_until_ns(uint64_t time_ns);

#endif
