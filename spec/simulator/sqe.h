/*
 * sqe.h: what io_uring does with a submission, by the calls of calls.c.
 */
#ifndef SIMULATOR_SQE_H
#define SIMULATOR_SQE_H

#include <stdbool.h>
#include <stdint.h>

struct io_uring_sqe;

/* Carries a submission out, which is no poll. Returns its result. */
int64_t sqe_run(const struct io_uring_sqe *sqe);
/* Whether it does so for an opcode. */
bool sqe_knows(unsigned opcode);

#endif
