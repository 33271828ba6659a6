/*
 * workers.h: threads that run the blocking twins. The pool engine gives them everything, the ring
 * engine what the kernel has no opcode for.
 */
#ifndef HALO_WORKERS_H
#define HALO_WORKERS_H

#include "halo.h"

struct halo_workers;

/* Starts no thread yet. wake_fd is an eventfd, written when answers are there. NULL: no memory. */
struct halo_workers *halo_workers_create(uint32_t max_threads, int wake_fd);
/* Waits for the threads to end; every job has been collected, or was given up. */
void halo_workers_close(struct halo_workers *workers);

/* Queues an operation. A thread is started where none is idle and fewer than the most run. */
void halo_workers_submit(struct halo_workers *workers, struct halo_op *op);
/* Takes an operation back that no thread has begun; false where it is too late. */
bool halo_workers_withdraw(struct halo_workers *workers, struct halo_op *op);
/* The operations that have been run since the last call, with op->result set, linked by next. */
struct halo_op *halo_workers_collect(struct halo_workers *workers);

#endif
