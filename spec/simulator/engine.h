/*
 * engine.h: the simulated engine, which stands where core/engines/ring.c and pool.c do otherwise.
 */
#ifndef SIMULATOR_ENGINE_H
#define SIMULATOR_ENGINE_H

#include <stddef.h>

/* Operations that it has not answered. */
size_t engine_jobs(void);

#endif
