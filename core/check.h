/*
 * check.h: invariants. They stay on in release builds: a loop that has lost count of what the
 * kernel holds must stop before it hands a buffer to the wrong reader.
 */
#ifndef HALO_CHECK_H
#define HALO_CHECK_H

/* Prints where and why, then aborts. */
__attribute__((noreturn, cold)) void halo_check_failed(const char *file, int line,
                                                       const char *condition, const char *reason);

#define HALO_CHECK(condition, reason)                                                              \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            halo_check_failed(__FILE__, __LINE__, #condition, reason);                             \
    } while (0)

#endif
