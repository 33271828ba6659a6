/*
 * engine.h: the engines of the simulator, which stand for halo's own.
 */
#ifndef SIMULATOR_ENGINE_H
#define SIMULATOR_ENGINE_H

#include <stddef.h>

struct halo_loop;

extern const struct halo_engine simulated_ring, simulated_pool;
size_t simulated_jobs(void);
size_t simulated_given_up(void);

/* From here on the loop is being closed: it has to wait for what is under way. */
void engine_begin_end(void);
/* The loop whose engine is open, or was. */
struct halo_loop *engine_loop(void);
/* Operations that the engine has, */
size_t engine_jobs(void);
/* and those that it had when it was closed: what they hold stays open. */
size_t engine_given_up(void);

#endif
