#include "weather.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CLOCK_START_NS 1000000000000
#define FAULTS_MAX     8
#define EXIT_BROKEN    3

struct weather weather;

static uint64_t first_state, state, now_ns, hash, events;
static unsigned counts[FAULT_GROUPS];
static int hushed;
static bool printing;

/* ---- chance -------------------------------------------------------------------------------- */

/* splitmix64: any seed is as good as another. */
static uint64_t next(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

uint64_t weather_below(uint64_t limit)
{
    return next() % limit;
}

bool weather_chance(unsigned per_mille)
{
    return per_mille > 0 && weather_below(1000) < per_mille;
}

static unsigned one_of(const unsigned *choices, size_t count)
{
    return choices[weather_below(count)];
}

void weather_begin(uint64_t seed)
{
    static const unsigned faults[] = {0, 0, 5, 20, 100}, shorts[] = {0, 50, 400},
                          slow[] = {0, 20, 200}, pauses[] = {0, 50, 500}, ring[] = {0, 500, 1000};

    state = first_state = seed;
    now_ns = CLOCK_START_NS;
    hash = 0xcbf29ce484222325;
    events = 0;
    hushed = 0;
    memset(counts, 0, sizeof(counts));
    weather = (struct weather){
        .faults = one_of(faults, 5),
        .shorts = one_of(shorts, 3),
        .slow = one_of(slow, 3),
        .pauses = one_of(pauses, 3),
        .ring = one_of(ring, 3),
        .unknown = weather_chance(500) ? 200 : 0,
        .one_mount = weather_chance(500),
    };
}

/* ---- faults -------------------------------------------------------------------------------- */

static const int errors[FAULT_GROUPS][FAULTS_MAX] = {
    [FAULT_OPEN] = {EIO, ENOMEM, EMFILE, ENFILE, EINTR, EROFS},
    [FAULT_READ] = {EIO, EINTR, ENOMEM},
    [FAULT_WRITE] = {EIO, ENOSPC, EDQUOT, EINTR, ENOMEM},
    [FAULT_SYNC] = {EIO, ENOSPC, EDQUOT, EINTR},
    [FAULT_NAME] = {EIO, ENOSPC, EDQUOT, EROFS, ENOMEM, EINTR},
    [FAULT_LOOK] = {EIO, ENOMEM, EINTR},
    [FAULT_CLOSE] = {EIO, EINTR, ENOSPC, EDQUOT},
    [FAULT_LOCK] = {EINTR, ENOLCK, EIO},
};

int weather_fault(enum fault_group group)
{
    unsigned count = 0;

    if (hushed > 0 || !weather_chance(weather.faults))
        return 0;
    while (count < FAULTS_MAX && errors[group][count])
        count++;
    int error = errors[group][weather_below(count)];
    counts[group]++;
    trace("fault", group, -error);
    return error;
}

unsigned weather_faults(enum fault_group group)
{
    return counts[group];
}

void weather_count_fault(enum fault_group group)
{
    counts[group]++;
}

void weather_hush(int by)
{
    hushed += by;
}

size_t weather_shorten(size_t length)
{
    if (hushed > 0 || length < 2 || !weather_chance(weather.shorts))
        return length;
    return 1 + weather_below(length - 1);
}

uint64_t weather_delay_ns(void)
{
    if (weather_chance(weather.slow))
        return weather_below(weather_chance(30) ? 100000000000 : 20000000);
    return weather_chance(300) ? 0 : weather_below(50000);
}

/* ---- the clock ----------------------------------------------------------------------------- */

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

/* ---- the trace ----------------------------------------------------------------------------- */

/* FNV-1a. */
static void add(const void *data, size_t length)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
}

void trace(const char *what, uint64_t subject, int64_t value)
{
    add(what, strlen(what));
    add(&now_ns, sizeof(now_ns));
    add(&subject, sizeof(subject));
    add(&value, sizeof(value));
    events++;
    if (printing)
        fprintf(stderr, "%12.3f us  %-10s %6llu %lld\n", (double)(now_ns - CLOCK_START_NS) / 1e3,
                what, (unsigned long long)subject, (long long)value);
}

uint64_t trace_hash(void)
{
    return hash;
}

uint64_t trace_events(void)
{
    return events;
}

void trace_print(bool on)
{
    printing = on;
}

void fail(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "seed %llu: ", (unsigned long long)first_state);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(EXIT_BROKEN);
}
