/*
 * workers.h: threads that run the blocking twins. The pool engine gives them everything, the ring
 * engine what the kernel has no opcode for.
 */
#ifndef HALO_WORKERS_H
#define HALO_WORKERS_H

#include "list.h"

struct halo_workers;

/* Starts no thread yet. wake_fd is an eventfd, written when answers are there. NULL: no memory. */
struct halo_workers *halo_workers_create(uint32_t max_threads, int wake_fd);
/* Waits for the threads to end; every job has been collected, or was given up. */
void halo_workers_close(struct halo_workers *workers);

/* Queues an operation. A thread is started where none is idle and fewer than the most run. */
void halo_workers_submit(struct halo_workers *workers, struct halo_op *op);
/* Answers -ECANCELED for an operation that no thread has begun; does nothing once one has. */
void halo_workers_cancel(struct halo_workers *workers, struct halo_op *op,
                         struct halo_list *answered);
/* Moves those that have been run since the last call, with op->result set, to a list. */
void halo_workers_collect(struct halo_workers *workers, struct halo_list *answered);
/* The longest wait for answers: where a wake has failed, a look now and then makes up for it. */
int64_t halo_workers_bound_wait(const struct halo_workers *workers, int64_t timeout_ns);

#endif
