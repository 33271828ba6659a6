/*
 * shield.h: the calls of halo.shield() that hold a cancellation off. They belong to the coroutine
 * that made them: a generator that yields from inside of one takes it along, and brings it back
 * when it is resumed; its caller is not shielded meanwhile.
 */
#ifndef HALO_TASKS_SHIELD_H
#define HALO_TASKS_SHIELD_H

#include "tasks/state.h"

/* Whether this coroutine of the running task is inside of a shield. */
bool halo_is_shielded(lua_State *L, const struct halo_lua *lua);
/* A second interruption, after which shields no longer hold. */
static inline bool halo_breaks_shields(const struct halo_lua *lua)
{
    return lua->interrupts > 1;
}

/* The coroutine L of the running task goes into one more shield, or out of one. */
void halo_shield_change(lua_State *L, struct halo_lua *lua, bool more);

/* A task goes on in a generator, with the shields that it has kept. */
void halo_shields_enter(lua_State *L, struct halo_lua *lua, struct halo_task *task, lua_State *co);
/* And leaves it: the task's count is what it was before. */
void halo_shields_leave(lua_State *L, struct halo_lua *lua, struct halo_task *task, lua_State *co,
                        uint32_t before);

#endif
