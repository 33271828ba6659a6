#include "held.h"

#include <string.h>

#include "slab.h"
#include "ops/ops.h"
#include "trace.h"

static uint64_t print_of(uint64_t print, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        print = (print ^ bytes[i]) * 0x100000001b3;
    return print;
}

static uint64_t print_op(const struct halo_op *op)
{
    uint64_t print = 1;
    if (halo_op_is(op, HALO_OP_WRITE))
        print = print_of(print, op->data + op->done, op->length - op->done);
    if (op->path)
        print = print_of(print, op->path, strlen(op->path));
    if (op->path2)
        print = print_of(print, op->path2, strlen(op->path2));
    return print;
}

void held_take(struct held *held, const struct halo_op *op)
{
    *held = (struct held){
        .op = op,
        .seq = op->seq,
        .data = op->data,
        .path = op->path,
        .length = op->length,
        .done = op->done,
        .offset = op->offset,
        .fd = op->fd,
        .print = print_op(op),
    };
}

void held_check(const struct held *held)
{
    if (held->op->seq != held->seq || held->op->state != HALO_OP_RUNNING)
        fail("operation %llu was given up while the engine had it", (unsigned long long)held->seq);
}

void held_check_unchanged(const struct held *held)
{
    const struct halo_op *op = held->op;

    if (op->data != held->data || op->path != held->path || op->length != held->length ||
        op->done != held->done || op->offset != held->offset || op->fd != held->fd)
        fail("%s %llu was changed while the engine had it", op->row->name,
             (unsigned long long)held->seq);
    if (print_op(op) != held->print)
        fail("the data or path of %s %llu was changed while the engine had it", op->row->name,
             (unsigned long long)held->seq);
}
