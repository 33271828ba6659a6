/*
 * engine.h: the simulated engine, which stands where core/engines/ring.c and pool.c do otherwise.
 */
#ifndef SIMULATOR_ENGINE_H
#define SIMULATOR_ENGINE_H

#include <stddef.h>

/* Operations that it has not answered. */
size_t engine_jobs(void);
/* Those that it had not answered when the loop was closed, which waits for so long and no longer.
 */
size_t engine_given_up(void);

#endif
