/* uring.h: setting up a ring of the kernel's. */
#ifndef HALO_URING_H
#define HALO_URING_H

#include <stdbool.h>

#include <liburing.h>

#include "halo.h"

/*
 * Sets a ring up with what the kernel has, and sees that it can be entered. Tells whether a flag of
 * the ring's says when there are completions to post, and which opcodes it has. Returns 0 or
 * -errno.
 */
int halo_uring_open(struct io_uring *uring, const struct halo_config *config, bool *tells_work,
                    bool has_opcode[HALO_OP_COUNT]);

#endif
