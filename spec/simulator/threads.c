#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "calls.h"
#include "clock.h"
#include "kernel.h"
#include "trace.h"
#include "worker.h"

#define THREADS_MAX 64
#define SHORTLY_NS  20000

struct thread {
    struct worker *worker;
    void *(*run)(void *context);
    void *context;
    uint64_t due_ns;       /* goes on then */
    const void *condition; /* that it waits for */
    bool ended;
};

static struct thread threads[THREADS_MAX], loop_thread;
static size_t count;
static struct thread *running = &loop_thread;

/* ---- time ---------------------------------------------------------------------------------- */

static int64_t run_thread(void *context)
{
    struct thread *thread = context;
    thread->run(thread->context);
    return 0;
}

static uint64_t shortly_ns(void)
{
    return clock_now_ns() + weather_below(SHORTLY_NS);
}

static void go_on(struct thread *thread)
{
    struct thread *before = running;

    thread->due_ns = 0;
    running = thread;
    thread->ended = worker_go_on(thread->worker);
    running = before;
    if (thread->ended) {
        worker_result(thread->worker);
        thread->due_ns = KERNEL_NEVER;
    } else if (thread->due_ns == 0) { /* it stands still in a system call */
        thread->due_ns = clock_now_ns() + weather_delay_ns();
    }
}

static struct thread *first(void)
{
    struct thread *first = NULL;
    for (size_t i = 0; i < count; i++)
        if (!threads[i].ended && (!first || threads[i].due_ns < first->due_ns))
            first = &threads[i];
    return first;
}

uint64_t threads_next_ns(void)
{
    const struct thread *thread = first();
    return thread ? thread->due_ns : KERNEL_NEVER;
}

void threads_pass(void)
{
    go_on(first());
}

size_t threads_busy(void)
{
    size_t busy = 0;
    for (size_t i = 0; i < count; i++)
        busy += !threads[i].ended && !threads[i].condition;
    return busy;
}

static void stand_still(uint64_t until_ns)
{
    running->due_ns = until_ns > 0 ? until_ns : 1;
    worker_stand_still();
}

/* A thread may be held up between any two steps, also while it has a lock. */
static void hold_up(void)
{
    if (running != &loop_thread && weather_chance(weather.pauses))
        stand_still(shortly_ns());
}

int WRAP(pthread_create)(pthread_t *thread, const pthread_attr_t *attributes,
                         void *(*run)(void *context), void *context)
{
    (void)thread;
    (void)attributes;
    if (count == THREADS_MAX || weather_chance(weather.faults / 4))
        return EAGAIN;
    struct thread *new = &threads[count++];
    *new = (struct thread){.run = run, .context = context, .due_ns = shortly_ns()};
    new->worker = worker_new(run_thread, new);
    trace("thread", count, 0);
    return 0;
}

/* ---- locks --------------------------------------------------------------------------------- */

/* Nobody else looks into one, and its memory begins as zeros: who has it stands there. */
static struct thread **owner_of(pthread_mutex_t *mutex)
{
    return (struct thread **)(void *)mutex;
}

int WRAP(pthread_mutex_lock)(pthread_mutex_t *mutex)
{
    struct thread **owner = owner_of(mutex);

    hold_up();
    while (*owner) {
        if (*owner == running)
            fail("a lock is taken by the thread that has it");
        if (running != &loop_thread)
            stand_still(shortly_ns());
        else if ((*owner)->ended || (*owner)->due_ns == KERNEL_NEVER)
            fail("a lock is kept by a thread that waits");
        else
            go_on(*owner); /* the loop stands as long, and no time passes */
    }
    *owner = running;
    hold_up();
    return 0;
}

int WRAP(pthread_mutex_unlock)(pthread_mutex_t *mutex)
{
    if (*owner_of(mutex) != running)
        fail("a lock is given back by a thread that does not have it");
    *owner_of(mutex) = NULL;
    hold_up();
    return 0;
}

/* ---- conditions ---------------------------------------------------------------------------- */

int WRAP(pthread_cond_wait)(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (running == &loop_thread)
        fail("the loop waits for its threads");
    if (*owner_of(mutex) != running)
        fail("a thread waits without the lock");
    *owner_of(mutex) = NULL;
    running->condition = condition;
    stand_still(weather_chance(10) ? shortly_ns() : KERNEL_NEVER); /* some wake for no reason */
    running->condition = NULL;
    return WRAP(pthread_mutex_lock)(mutex);
}

static void wake(struct thread *thread)
{
    thread->condition = NULL;
    thread->due_ns = shortly_ns();
}

int WRAP(pthread_cond_signal)(pthread_cond_t *condition)
{
    size_t first = count > 0 ? weather_below(count) : 0;

    if (loop_thread.condition == condition)
        loop_thread.condition = NULL;
    for (size_t i = 0; i < count; i++) {
        struct thread *thread = &threads[(first + i) % count];
        if (!thread->ended && thread->condition == condition) {
            wake(thread);
            break;
        }
    }
    return 0;
}

int WRAP(pthread_cond_broadcast)(pthread_cond_t *condition)
{
    for (size_t i = 0; i < count; i++)
        if (!threads[i].ended && threads[i].condition == condition)
            wake(&threads[i]);
    return 0;
}

static bool was_signalled(void *context)
{
    (void)context;
    return !loop_thread.condition;
}

/* The loop alone waits so, for its threads to end. */
int WRAP(pthread_cond_timedwait)(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                 const struct timespec *deadline)
{
    uint64_t deadline_ns = (uint64_t)deadline->tv_sec * 1000000000 + (uint64_t)deadline->tv_nsec;

    *owner_of(mutex) = NULL;
    loop_thread.condition = condition;
    bool signalled = kernel_wait(was_signalled, NULL, deadline_ns);
    loop_thread.condition = NULL;
    WRAP(pthread_mutex_lock)(mutex);
    return signalled ? 0 : ETIMEDOUT;
}
