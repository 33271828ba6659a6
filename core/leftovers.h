/* leftovers.h: names that are removed at the end, unless they have been given up before. */
#ifndef HALO_LEFTOVERS_H
#define HALO_LEFTOVERS_H

#include <stdbool.h>

#include "halo.h"

/*
 * Removes all of them; called when nothing is under way any more. Where something still is (busy),
 * those are left whose directory could make the caller wait.
 */
void halo_leftovers_remove(struct halo_loop *loop, bool busy);
/* Forgets all of them. */
void halo_leftovers_free(struct halo_loop *loop);

#endif
