#include "weather.h"

#include <errno.h>

#include "trace.h"

#define FAULTS_MAX 8

struct weather weather;

static uint64_t state;
static unsigned counts[FAULT_GROUPS];
static int hushed;

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

    state = seed;
    weather = (struct weather){
        .faults = one_of(faults, 5),
        .shorts = one_of(shorts, 3),
        .slow = one_of(slow, 3),
        .pauses = one_of(pauses, 3),
        .ring = one_of(ring, 3),
        .unknown = weather_chance(500) ? 200 : 0,
        .one_mount = weather_chance(500),
        .openat2 = weather_chance(800),
        .engines = weather_chance(500),
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
