/*
 * list.h: the queues of operations. A record is in one queue at a time, knows which, and carries
 * the links itself: no queue ever allocates, and leaving one takes no search.
 */
#ifndef HALO_LIST_H
#define HALO_LIST_H

#include "halo.h"

struct halo_list {
    struct halo_op *first, *last;
};

static inline void halo_list_append(struct halo_list *list, struct halo_op *op)
{
    op->next = NULL;
    op->prev = list->last;
    op->queue = list;
    if (list->last)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
}

/* Takes an operation out of the queue it is in. */
static inline void halo_list_remove(struct halo_op *op)
{
    struct halo_list *list = op->queue;
    if (op->prev)
        op->prev->next = op->next;
    else
        list->first = op->next;
    if (op->next)
        op->next->prev = op->prev;
    else
        list->last = op->prev;
    op->next = op->prev = NULL;
    op->queue = NULL;
}

static inline struct halo_op *halo_list_take(struct halo_list *list)
{
    struct halo_op *op = list->first;
    if (op)
        halo_list_remove(op);
    return op;
}

/* Moves all of a queue behind another one. */
static inline void halo_list_append_all(struct halo_list *list, struct halo_list *from)
{
    struct halo_op *op;
    while ((op = halo_list_take(from)))
        halo_list_append(list, op);
}

#endif
