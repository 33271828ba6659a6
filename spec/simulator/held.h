/*
 * held.h: what must not change while an engine has an operation, and whether it has.
 */
#ifndef SIMULATOR_HELD_H
#define SIMULATOR_HELD_H

#include <stddef.h>
#include <stdint.h>

struct halo_op;

struct held {
    const struct halo_op *op;
    uint64_t seq;
    /* As they were at the submission. */
    const void *data;
    const char *path;
    size_t length, done;
    uint64_t offset, print; /* of what is written, and of the path */
    int fd;
};

void held_take(struct held *held, const struct halo_op *op);
/* Fails where the record has been given up, */
void held_check(const struct held *held);
/* or what it has lent has been changed. */
void held_check_unchanged(const struct held *held);

#endif
