/*
 * The worker threads and the poller, as the engines see them, over the kernel of kernel.h: both do
 * what the input says.
 */
#include <errno.h>
#include <poll.h>

#include "engines/engine.h"
#include "engines/poller.h"
#include "engines/workers.h"
#include "jobs.h"

#define ALL 4096

/* ---- the workers --------------------------------------------------------------------------- */

struct halo_workers *halo_workers_create(uint32_t max_threads, int wake_fd)
{
    (void)max_threads, (void)wake_fd;
    struct halo_workers *workers = malloc(1);
    if (!workers)
        fuzz_fail("no memory");
    return workers;
}

void halo_workers_close(struct halo_workers *workers)
{
    free(workers);
}

void halo_workers_submit(struct halo_workers *workers, struct halo_op *op)
{
    job_add(PLACE_WORKERS, workers, op);
}

/* Where the worker has begun it goes on. */
void halo_workers_cancel(struct halo_workers *workers, struct halo_op *op,
                         struct halo_list *answered)
{
    size_t at;

    (void)workers;
    if (!job_find_op(workers, op, &at))
        fuzz_fail("a cancel for an operation that no worker has");
    if (kernel_draw(2) == 1)
        return;
    job_take(at);
    halo_engine_answer(answered, op, -ECANCELED);
}

void halo_workers_collect(struct halo_workers *workers, struct halo_list *answered)
{
    size_t at;

    (void)workers;
    for (unsigned i = kernel_is_kind() ? ALL : kernel_draw(3);
         i > 0 && job_find(workers, true, &at); i--) {
        struct job job = job_take(at);
        halo_engine_answer(answered, job.op, job_result(&job));
    }
}

int64_t halo_workers_bound_wait(const struct halo_workers *workers, int64_t timeout_ns)
{
    (void)workers;
    return timeout_ns;
}

/* ---- the poller ---------------------------------------------------------------------------- */

int halo_poller_open(struct halo_poller *poller, int wake_fd)
{
    (void)wake_fd;
    if (kernel_draw(8) == 1)
        return -EMFILE;
    poller->epoll_fd_plus_one = 1;
    return 0;
}

void halo_poller_close(struct halo_poller *poller)
{
    poller->epoll_fd_plus_one = 0;
}

void halo_poller_submit(struct halo_poller *poller, struct halo_op *op, struct halo_list *answered)
{
    (void)poller;
    if (kernel_draw(8) == 1) {
        halo_engine_answer(answered, op, kernel_draw_error());
        return;
    }
    op->in_poller = true;
    job_add(PLACE_POLLER, poller, op);
}

void halo_poller_cancel(struct halo_poller *poller, struct halo_op *op, struct halo_list *answered)
{
    size_t at;

    (void)poller;
    if (!job_find_op(poller, op, &at))
        fuzz_fail("a cancel for an operation that the poller has not");
    job_take(at);
    op->in_poller = false;
    halo_engine_answer(answered, op, -ECANCELED);
}

bool halo_poller_collect(struct halo_poller *poller, struct halo_list *answered)
{
    size_t at;

    (void)poller;
    for (unsigned i = kernel_is_kind() ? ALL : kernel_draw(3); i > 0 && job_find(poller, true, &at);
         i--) {
        struct job job = job_take(at);
        job.op->in_poller = false;
        halo_engine_answer(answered, job.op, POLLIN | POLLOUT);
    }
    return false;
}
