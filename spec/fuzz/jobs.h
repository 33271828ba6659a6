/*
 * jobs.h: the inside of kernel.h, for the files that show the kernel to the core.
 */
#ifndef JOBS_H
#define JOBS_H

#include <liburing.h>

#include "kernel.h"
#include "ops/ops.h"

#define KERNEL_SEQ_OWN_MAX 15 /* numbers up to that are the ring's own submissions */

enum place { PLACE_RING, PLACE_WORKERS, PLACE_POLLER };

/* What the kernel has: an operation, by its submission, or one of the ring's own. */
struct job {
    enum place place;
    const void *where; /* which ring, workers or poller, and */
    const struct halo_loop *loop;
    struct halo_op *op; /* NULL: the ring's own */
    struct io_uring_sqe sqe;
    bool cancelled;
};

/* A number below the limit, of the input; 0 for a kernel that is kind. */
unsigned kernel_draw(unsigned limit);
bool kernel_is_kind(void);
int64_t kernel_draw_error(void);
/* A number that nobody knows: one that never was, or of an operation that has ended. Counts it. */
uint64_t kernel_draw_unknown(void);
void kernel_pass_ns(uint64_t ns);

struct job *job_add(enum place place, const void *where, struct halo_op *op);
/* Any that is there, but for polls where they are not asked for. */
bool job_find(const void *where, bool polls, size_t *at);
bool job_find_op(const void *where, const struct halo_op *op, size_t *at);
bool job_find_own(const struct io_uring *uring, uint64_t seq, size_t *at);
bool job_has_any(enum place place);
/* Takes one out, to be answered. */
struct job job_take(size_t at);
int64_t job_result(const struct job *job);
void job_cancel(const struct io_uring *uring, uint64_t seq);
/* What the kernel has is what the loop knows to be there, and its memory is. */
void job_check_all(void);

#endif
