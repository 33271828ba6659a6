/*
 * list.h: the queues of operations. A record is in one queue at a time, linked through itself, so
 * that no queue ever allocates.
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
    if (list->last)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
}

static inline void halo_list_remove(struct halo_list *list, struct halo_op *op)
{
    if (op->prev)
        op->prev->next = op->next;
    else
        list->first = op->next;
    if (op->next)
        op->next->prev = op->prev;
    else
        list->last = op->prev;
    op->next = op->prev = NULL;
}

static inline struct halo_op *halo_list_take(struct halo_list *list)
{
    struct halo_op *op = list->first;
    if (op)
        halo_list_remove(list, op);
    return op;
}

#endif
