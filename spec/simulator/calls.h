/*
 * calls.h: how the system calls of halo's own objects are written here. The linker leads each to
 * WRAP(name) (--wrap, see the Makefile, which reads the names from these files) and knows the real
 * one as REAL(name).
 */
#ifndef SIMULATOR_CALLS_H
#define SIMULATOR_CALLS_H

#include <stdint.h>

#include "weather.h"

/* The linker gives these names. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define WRAP(name) __wrap_##name
#define REAL(name) __real_##name

struct model_node;

/* A result as a system call gives it, which takes time, and in the trace. */
int64_t give(const char *name, int64_t subject, int64_t result);

/* Fails by the weather, or gives a result; which is not asked for where it fails. */
#define GIVE(group, subject, result)                                                               \
    do {                                                                                           \
        int fault_now = weather_fault(group);                                                      \
        return give(__func__ + sizeof("__wrap_") - 1, subject, fault_now ? -fault_now : (result)); \
    } while (0)

/* What a descriptor is open on, or NULL. */
struct model_node *node_of(int fd);

#endif
