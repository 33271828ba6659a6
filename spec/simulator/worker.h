/*
 * worker.h: a worker thread of the pool, as the simulator has them: it runs a function, such as the
 * blocking twin of an operation, on a stack of its own, and may stand still in the middle of it,
 * between two system calls, while the loop and other workers go on. Only one runs at a time, and
 * which one is drawn.
 */
#ifndef SIMULATOR_WORKER_H
#define SIMULATOR_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct worker;

/* A worker that has not begun. */
struct worker *worker_new(int64_t (*run_it)(void *context), void *context);
/* Lets it go on, up to its end or to where it stands still. Returns true at the end. */
bool worker_go_on(struct worker *worker);
/* What the function has returned; the worker is gone then. */
int64_t worker_result(struct worker *worker);
/* The running worker stands still; without one nothing happens. */
void worker_stand_still(void);

#endif
