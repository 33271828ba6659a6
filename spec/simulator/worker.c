#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <ucontext.h>

#include "trace.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#else /* which has to be told where the stack is */
#define __sanitizer_start_switch_fiber(save, bottom, size)  ((void)(save))
#define __sanitizer_finish_switch_fiber(save, bottom, size) ((void)(save))
#endif

#define STACK_BYTES (512u << 10)

struct worker {
    int64_t (*run)(void *context);
    void *context;
    int64_t result;
    bool ended;
    ucontext_t here, loop; /* where it goes on, and where the loop does */
    void *asan_here, *asan_loop;
    const void *loop_stack;
    size_t loop_stack_bytes;
    char *stack;
};

static struct worker *running;

/* The end does not come back: the loop frees the stack. */
static void run(void)
{
    struct worker *worker = running;

    __sanitizer_finish_switch_fiber(NULL, &worker->loop_stack, &worker->loop_stack_bytes);
    worker->result = worker->run(worker->context);
    worker->ended = true;
    __sanitizer_start_switch_fiber(NULL, worker->loop_stack, worker->loop_stack_bytes);
    setcontext(&worker->loop);
}

struct worker *worker_new(int64_t (*run_it)(void *context), void *context)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker || !(worker->stack = malloc(STACK_BYTES)))
        fail("out of memory");
    worker->run = run_it;
    worker->context = context;
    getcontext(&worker->here);
    worker->here.uc_stack.ss_sp = worker->stack;
    worker->here.uc_stack.ss_size = STACK_BYTES;
    makecontext(&worker->here, run, 0);
    return worker;
}

bool worker_go_on(struct worker *worker)
{
    running = worker;
    __sanitizer_start_switch_fiber(&worker->asan_loop, worker->stack, STACK_BYTES);
    swapcontext(&worker->loop, &worker->here);
    __sanitizer_finish_switch_fiber(worker->asan_loop, NULL, NULL);
    running = NULL;
    return worker->ended;
}

void worker_stand_still(void)
{
    struct worker *worker = running;
    int error = errno; /* each thread has its own */

    if (!worker)
        return;
    __sanitizer_start_switch_fiber(&worker->asan_here, worker->loop_stack,
                                   worker->loop_stack_bytes);
    swapcontext(&worker->here, &worker->loop);
    __sanitizer_finish_switch_fiber(worker->asan_here, &worker->loop_stack,
                                    &worker->loop_stack_bytes);
    errno = error;
}

int64_t worker_result(struct worker *worker)
{
    int64_t result = worker->result;
    free(worker->stack);
    free(worker);
    return result;
}
