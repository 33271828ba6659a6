/*
 * engine.h: what carries operations out. The loop knows an engine by these functions alone, and
 * no other file knows which one runs, so that a simulated one can stand in for it.
 *
 * An engine takes each operation that is submitted and answers it exactly once, by
 * halo_engine_answer(): it appends to the loop's list of what has been answered and calls nobody.
 * The loop works the list off once wait() has returned. Until then the record and all it points
 * to stay put. The engine carries out op->now, which is the operation's row of the table or the
 * poll that comes before it.
 */
#ifndef HALO_ENGINE_H
#define HALO_ENGINE_H

#include "list.h"
#include "slab.h"

struct halo_engine {
    const char *name;
    /* Makes the engine's state. Returns 0 or -errno. */
    int (*open)(struct halo_loop *loop, void **state);
    /* Takes an operation over; it may stay queued up to the next wait(). */
    void (*submit)(void *state, struct halo_op *op);
    /* Asks for the early end of an operation that was submitted and not answered. */
    void (*cancel)(void *state, struct halo_op *op);
    /*
     * Hands everything queued to the kernel, waits for an answer or for the loop's wake
     * descriptor (timeout_ns negative: for ever, 0: not at all) and appends what has ended.
     */
    void (*wait)(void *state, int64_t timeout_ns);
    /* True where the next wait() has something to hand over that fd() does not show. */
    bool (*pending)(void *state);
    /* A descriptor that polls readable when wait() has something to append. */
    int (*fd)(void *state);
    /* Whether it hands a kind of operation to the ring; or NULL: none. */
    bool (*by_ring)(const void *state, enum halo_op_code code);
    /* Frees the state; every operation has been answered, or its memory is given up. */
    void (*close)(void *state);
};

extern const struct halo_engine halo_engine_ring;
extern const struct halo_engine halo_engine_pool;

/* Answers an operation with a system call's result or -errno. */
static inline void halo_engine_answer(struct halo_list *answered, struct halo_op *op,
                                      int64_t result)
{
    op->result = result;
    op->state = HALO_OP_ANSWERED;
    halo_list_append(answered, op);
}

#endif
