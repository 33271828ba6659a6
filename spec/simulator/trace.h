/*
 * trace.h: what happens, event by event, and the end where a promise is broken.
 */
#ifndef SIMULATOR_TRACE_H
#define SIMULATOR_TRACE_H

#include <stdbool.h>
#include <stdint.h>

/* The seed is told with every failure; with on, every event is printed. */
void trace_begin(uint64_t seed, bool on);
/* Adds an event; the hash of them all is what two runs of a seed must have in common. */
void trace(const char *what, uint64_t subject, int64_t value);
uint64_t trace_hash(void);
uint64_t trace_events(void);

/* Ends the process: a promise is broken. */
__attribute__((format(printf, 1, 2), noreturn)) void fail(const char *format, ...);

#endif
