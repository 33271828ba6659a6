/*
 * fuzz.h: what the fuzzers share. Each is a program that is run with inputs, which are any bytes,
 * and that ends by abort() where halo breaks a promise. libFuzzer makes the inputs up; replay.c
 * takes those of the corpus.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The two functions by which libFuzzer knows a program; the first is called once. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what is wrong, then aborts. */
__attribute__((noreturn, format(printf, 1, 2))) void fuzz_fail(const char *format, ...);

/* An input, read from its start. Where it has come to its end there are zeros. */
struct input {
    const uint8_t *at, *end;
};

static inline bool input_has_more(const struct input *input)
{
    return input->at < input->end;
}

static inline uint8_t input_byte(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

/* A number below the limit. */
static inline unsigned input_below(struct input *input, unsigned limit)
{
    return input_byte(input) % limit;
}

static inline uint64_t input_number(struct input *input, unsigned bytes)
{
    uint64_t number = 0;
    while (bytes-- > 0)
        number = number << 8 | input_byte(input);
    return number;
}

#endif
