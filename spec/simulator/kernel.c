#include "kernel.h"

#include "clock.h"
#include "model.h"
#include "threads.h"
#include "trace.h"
#include "uring.h"
#include "weather.h"

#define TOGETHER_NS 50000 /* answers as far apart as this may come in one turn */
#define TIMER_NS    1000000
#define LONG_NS     500000000
#define EVENTS_MAX  3000000 /* more than any program has that comes to an end */
#define IN_VAIN_MAX 1000

static bool in_vain;
static unsigned times_in_vain;

static uint64_t earliest(uint64_t one_ns, uint64_t other_ns)
{
    return one_ns < other_ns ? one_ns : other_ns;
}

/* Does what is next, which must not be later than the deadline. Returns whether there is any. */
static bool step(uint64_t deadline_ns)
{
    uring_look_at_polls();
    uint64_t ring_ns = uring_next_ns(), threads_ns = threads_next_ns();
    uint64_t streams_ns = model_streams_next_ns();
    uint64_t next_ns = earliest(ring_ns, earliest(threads_ns, streams_ns));

    if (next_ns > deadline_ns || next_ns == KERNEL_NEVER)
        return false;
    if (trace_events() > EVENTS_MAX)
        fail("the program does not come to an end");
    clock_pass_until_ns(next_ns);
    if (next_ns == streams_ns)
        model_streams_pass();
    else if (next_ns == ring_ns)
        uring_pass();
    else
        threads_pass();
    uring_scribble();
    return true;
}

void kernel_catch_up(void)
{
    while (step(clock_now_ns()))
        ;
}

/* A loop that looks now and then, while nothing is under way, looks for ever. */
static void count_in_vain(bool nothing)
{
    times_in_vain = in_vain && nothing ? times_in_vain + 1 : 0;
    if (times_in_vain > IN_VAIN_MAX)
        fail("the loop waits again and again, and nothing is under way: a wake was lost");
}

bool kernel_wait(bool (*ready)(void *context), void *context, uint64_t deadline_ns)
{
    uint64_t start_ns = clock_now_ns();
    bool is_ready = ready(context);

    in_vain = false;
    while (!is_ready || !weather_chance(500)) {
        if (!step(deadline_ns))
            break;
        /* Often a timer runs out in the same turn, so that an end and a cancel meet. */
        bool timer = deadline_ns != KERNEL_NEVER && deadline_ns - clock_now_ns() < TIMER_NS;
        bool was_ready = is_ready;
        is_ready = ready(context);
        uint64_t together_ns = clock_now_ns() + weather_below(TOGETHER_NS);
        if (is_ready && !was_ready && !(timer && weather_chance(300)))
            deadline_ns = earliest(deadline_ns, together_ns);
    }
    if (!is_ready && deadline_ns == KERNEL_NEVER)
        fail("the loop waits for ever, and nothing is under way: a wake was lost");
    if (!is_ready) {
        clock_pass_until_ns(deadline_ns);
        in_vain = clock_now_ns() - start_ns > LONG_NS;
    }
    trace("wait", is_ready, 0);
    count_in_vain(uring_next_ns() == KERNEL_NEVER && threads_next_ns() == KERNEL_NEVER &&
                  model_streams_next_ns() == KERNEL_NEVER);
    return is_ready;
}

bool kernel_waited_in_vain(void)
{
    return in_vain;
}
