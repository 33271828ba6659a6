#include "tasks/interrupt.h"

#include <stdatomic.h>

#include "args.h"
#include "tasks/shield.h"
#include "tasks/task.h"

void halo_interrupt_raise(lua_State *L, struct halo_lua *lua)
{
    /* A collection that the scheduler makes is not the task's: the loop will tell of it. */
    if (!lua->running || halo_is_shielded(L, lua))
        return;
    lua->interrupted = true;
    lua->task->cancelled = lua->task->raised = true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    lua_error(L);
}

/* A task that knows already, from a call that waits, is not to be disturbed when it cleans up. */
int halo_interrupt_stop(lua_State *L, struct halo_lua *lua)
{
    const struct halo_task *task = lua->task;

    if (!lua->running || task->raised || !(task->cancelled || atomic_load(&lua->interrupt)) ||
        halo_is_shielded(L, lua))
        return 0;
    if (halo_is_in_own_code(L))
        return 1;
    halo_interrupt_raise(L, lua);
    return 0;
}
