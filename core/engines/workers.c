/*
 * One lock guards the two queues and the counts. A worker holds it to take a job and to hand in its
 * answer, never while it runs one. Answers are announced by a write to the loop's eventfd, one for
 * each time that the queue of answers stops being empty.
 *
 * Threads start when a job finds none idle, up to the most, and stay. They block all signals, so
 * that a signal always reaches a thread of the host's own. A worker that hangs in a dead file
 * system does not keep the process from ending: close() gives up on it after a while.
 */
#include "engines/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engines/engine.h"
#include "fd.h"
#include "ops/ops.h"

#define STACK_BYTES (256u << 10)
#define LOOK_NS     1000000000 /* between two looks for answers that could not be announced */

struct halo_workers {
    pthread_mutex_t lock;
    pthread_cond_t job_queued;
    pthread_cond_t thread_ended;
    struct halo_list jobs;
    struct halo_list answers;
    _Atomic bool answered; /* a look at this spares the loop the lock */
    uint32_t queued;       /* jobs */
    uint32_t outstanding;  /* submitted and not collected; the loop's own count */
    uint32_t threads;
    uint32_t idle;
    uint32_t max_threads;
    int wake_fd;
    bool closing;
    bool unannounced; /* the latest write to wake_fd has failed: the next answer tries again */
};

struct halo_workers *halo_workers_create(uint32_t max_threads, int wake_fd)
{
    struct halo_workers *workers = calloc(1, sizeof(*workers));
    if (!workers)
        return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->job_queued, NULL);
    pthread_cond_init(&workers->thread_ended, &attributes);
    pthread_condattr_destroy(&attributes);
    workers->max_threads = max_threads;
    workers->wake_fd = wake_fd;
    return workers;
}

/* Called with the lock held. After close() nobody listens, and the descriptor may be another's. */
static void answer(struct halo_workers *workers, struct halo_op *op)
{
    bool first = !workers->answers.first || workers->unannounced;
    halo_list_append(&workers->answers, op);
    atomic_store_explicit(&workers->answered, true, memory_order_release);
    if (first && !workers->closing)
        workers->unannounced = !halo_event_set(workers->wake_fd);
}

static void *work(void *context)
{
    struct halo_workers *workers = context;

    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (!workers->jobs.first && !workers->closing) {
            workers->idle++;
            pthread_cond_wait(&workers->job_queued, &workers->lock);
            workers->idle--;
        }
        struct halo_op *op = halo_list_take(&workers->jobs);
        if (!op)
            break;
        workers->queued--;
        pthread_mutex_unlock(&workers->lock);
        op->result = halo_op_block(op);
        pthread_mutex_lock(&workers->lock);
        answer(workers, op);
    }
    workers->threads--;
    pthread_cond_signal(&workers->thread_ended);
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* Called with the lock held. If no thread can be started, those that run serve the job later. */
static int start_thread(struct halo_workers *workers)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &attributes, work, workers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (!error)
        workers->threads++;
    return error;
}

void halo_workers_submit(struct halo_workers *workers, struct halo_op *op)
{
    workers->outstanding++;
    pthread_mutex_lock(&workers->lock);
    bool more = workers->queued >= workers->idle && workers->threads < workers->max_threads;
    /* With no thread at all (RLIMIT_NPROC) the job still has to be done: here. */
    if (more && start_thread(workers) != 0 && workers->threads == 0) {
        op->result = halo_op_block(op);
        answer(workers, op);
    } else {
        halo_list_append(&workers->jobs, op);
        workers->queued++;
        pthread_cond_signal(&workers->job_queued);
    }
    pthread_mutex_unlock(&workers->lock);
}

void halo_workers_cancel(struct halo_workers *workers, struct halo_op *op,
                         struct halo_list *answered)
{
    pthread_mutex_lock(&workers->lock);
    bool found = op->queue == &workers->jobs;
    if (found) {
        halo_list_remove(op);
        workers->queued--;
    }
    pthread_mutex_unlock(&workers->lock);
    if (!found)
        return;
    workers->outstanding--;
    halo_engine_answer(answered, op, -ECANCELED);
}

void halo_workers_collect(struct halo_workers *workers, struct halo_list *answered)
{
    struct halo_op *op;

    if (!atomic_load_explicit(&workers->answered, memory_order_acquire))
        return;
    pthread_mutex_lock(&workers->lock);
    atomic_store_explicit(&workers->answered, false, memory_order_relaxed);
    while ((op = halo_list_take(&workers->answers))) {
        workers->outstanding--;
        halo_engine_answer(answered, op, op->result);
    }
    pthread_mutex_unlock(&workers->lock);
}

int64_t halo_workers_bound_wait(const struct halo_workers *workers, int64_t timeout_ns)
{
    bool longer = timeout_ns < 0 || timeout_ns > LOOK_NS;
    return longer && workers->outstanding > 0 ? LOOK_NS : timeout_ns;
}

void halo_workers_close(struct halo_workers *workers)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += 1;
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    pthread_cond_broadcast(&workers->job_queued);
    /* For what has not been answered by now the loop has waited long enough. */
    while (workers->threads > workers->outstanding)
        if (pthread_cond_timedwait(&workers->thread_ended, &workers->lock, &deadline) != 0)
            break;
    bool hung = workers->threads > 0;
    pthread_mutex_unlock(&workers->lock);
    /* A thread that hangs in a system call still uses this memory. */
    if (hung)
        return;
    pthread_cond_destroy(&workers->job_queued);
    pthread_cond_destroy(&workers->thread_ended);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
