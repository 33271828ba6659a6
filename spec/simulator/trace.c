#include "trace.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define EXIT_BROKEN 3

static uint64_t hash = 0xcbf29ce484222325, events, seed_of_all;
static bool printing;

void trace_begin(uint64_t seed, bool on)
{
    seed_of_all = seed;
    printing = on;
}

/* FNV-1a. */
static void add(const void *data, size_t length)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
}

void trace(const char *what, uint64_t subject, int64_t value)
{
    uint64_t now_ns = clock_now_ns();

    add(what, strlen(what));
    add(&now_ns, sizeof(now_ns));
    add(&subject, sizeof(subject));
    add(&value, sizeof(value));
    events++;
    if (printing)
        fprintf(stderr, "%12.3f us  %-10s %6llu %lld\n", (double)clock_now_ns() / 1e3, what,
                (unsigned long long)subject, (long long)value);
}

uint64_t trace_hash(void)
{
    return hash;
}

uint64_t trace_events(void)
{
    return events;
}

void fail(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "seed %llu: ", (unsigned long long)seed_of_all);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(EXIT_BROKEN);
}
