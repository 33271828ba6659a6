#include "tasks/interrupt.h"

#include <stdatomic.h>

#include "args.h"
#include "tasks/shield.h"
#include "tasks/task.h"

/* Whether the innermost Lua function is halo's own: it may be that which C was called by. */
static bool is_in_own_code(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "S", &ar);
        if (*ar.what != 'C')
            return halo_is_own_source(ar.source);
    }
    return false;
}

void halo_interrupt_raise(lua_State *L, struct halo_lua *lua)
{
    /* A collection that the scheduler makes is not the task's: the loop will tell of it. */
    if (!lua->running || halo_is_shielded(L, lua))
        return;
    lua->interrupted = true;
    lua->task->cancelled = true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    lua_error(L);
}

static void stop(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    halo_interrupt_stop(L, halo_lua_get(L));
}

/*
 * The loop has told the tasks of it where a task has come back to the loop first, from compiled
 * code, which knows no hooks: each of them is raised in by its next call that waits, and is not to
 * be disturbed when it cleans up after that.
 */
void halo_interrupt_stop(lua_State *L, struct halo_lua *lua)
{
    if (!lua->running || !atomic_load(&lua->interrupt))
        return;
    if (is_in_own_code(L) && !halo_is_shielded(L, lua))
        lua_sethook(L, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    else
        halo_interrupt_raise(L, lua);
}
