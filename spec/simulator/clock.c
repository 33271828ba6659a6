#include "clock.h"

#define START_NS 1000000000000

static uint64_t now_ns = START_NS;

uint64_t clock_now_ns(void)
{
    return now_ns;
}

void clock_pass_ns(uint64_t ns)
{
    now_ns += ns;
}

void clock_pass_until_ns(uint64_t time_ns)
{
    if (time_ns > now_ns)
        now_ns = time_ns;
}
