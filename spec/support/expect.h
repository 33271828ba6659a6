/* expect.h: what a program of C expects, for specs: the first thing that is otherwise ends it. */
#ifndef EXPECT_H
#define EXPECT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The same for numbers, which it shows. */
#define EXPECT_EQUAL(expected, value)                                                              \
    do {                                                                                           \
        long is_value = (long)(value);                                                             \
        if (is_value != (long)(expected)) {                                                        \
            printf("%s:%d: %s is %ld, not %s\n", __FILE__, __LINE__, #value, is_value, #expected); \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct expect_case {
    const char *name;
    void (*run)(void);
};

/* Runs the case that is named; prints "as expected" where it comes to its end. */
static inline int expect_run(const struct expect_case *cases, int argc, char **argv)
{
    for (; argc > 1 && cases->name; cases++) {
        if (strcmp(cases->name, argv[1]) != 0)
            continue;
        cases->run();
        puts("as expected");
        return 0;
    }
    puts("there is no such case");
    return 2;
}

#endif
