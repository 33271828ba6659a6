/*
 * interrupt.h: an interruption of code that computes, which comes between two instructions. What
 * is halo's own among it is not stopped: it would leave a scope before its tasks have ended, or a
 * file that it was about to remove.
 */
#ifndef HALO_TASKS_INTERRUPT_H
#define HALO_TASKS_INTERRUPT_H

#include "tasks/state.h"

/* Raises the interruption in the running task, unless it is shielded: in place of an answer. */
void halo_interrupt_raise(lua_State *L, struct halo_lua *lua);

/*
 * The same from a hook, in a task that has not been told. Returns 1 where that is in halo's own
 * code, and the program's is to go on first.
 */
int halo_interrupt_stop(lua_State *L, struct halo_lua *lua);

#endif
