/*
 * weather.h: what the seed decides. Everything that a kernel may do one way or another is asked
 * here: how long something takes, whether it fails and with what, how much of it is done.
 *
 * A seed gives a run its weather once: from a calm day, on which nothing fails, to a storm.
 */
#ifndef SIMULATOR_WEATHER_H
#define SIMULATOR_WEATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which errors a call may fail with. */
enum fault_group {
    FAULT_OPEN,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_NAME, /* makes, changes or removes one */
    FAULT_LOOK, /* changes nothing */
    FAULT_CLOSE,
    FAULT_LOCK,
    FAULT_GROUPS
};

struct weather {
    unsigned faults;  /* per mille of the calls that fail */
    unsigned shorts;  /* per mille of the reads and writes that are cut */
    unsigned slow;    /* per mille of the operations that take long */
    unsigned pauses;  /* per mille of the system calls after which a worker stands still */
    unsigned ring;    /* per mille of the operations that have an opcode and use it */
    unsigned unknown; /* per mille of the directory entries that do not tell their type */
    bool one_mount;   /* all is on one local file system */
    bool openat2;     /* the kernel has that call */
    bool engines;     /* the engines are halo's own, on a model of io_uring and threads */
};

extern struct weather weather;

void weather_begin(uint64_t seed);
/* A number below limit, which is not 0. */
uint64_t weather_below(uint64_t limit);
bool weather_chance(unsigned per_mille);

/* 0, or the errno that a call fails with now. */
int weather_fault(enum fault_group group);
/* How many calls of a group have failed so. */
unsigned weather_faults(enum fault_group group);
void weather_count_fault(enum fault_group group);
/* Faults are off while quiet is above 0, as when the loop cleans up after itself. */
void weather_hush(int by);
/* How much of so many bytes is moved: all, or some, and never none. */
size_t weather_shorten(size_t length);
/* How long an operation takes. */
uint64_t weather_delay_ns(void);

#endif
