#include "host/values.h"

#define RESULTS_MAX 7900 /* on a host's stack, of which LuaJIT gives a C function 8,000 places */

static int push_error(lua_State *L, struct halo_lua *lua, const struct halo_task *task)
{
    int index = lua_gettop(L);
    halo_task_push_outcome(L, lua, index); /* false, and the error */
    lua_replace(L, index);
    lua_settop(L, index);
    return task->was_cancelled ? HALO_LUA_CANCELLED : HALO_LUA_FAILED;
}

int halo_host_push_outcome(lua_State *L, struct halo_lua *lua, const struct halo_task *task,
                           int wanted)
{
    int index = lua_gettop(L);

    if (task->state == HALO_TASK_FAILED || task->was_cancelled)
        return push_error(L, lua, task);
    if (wanted == LUA_MULTRET)
        wanted = task->nresults;
    if (index + wanted > RESULTS_MAX) {
        lua_pop(L, 1);
        return HALO_LUA_NO_MEMORY;
    }
    if (!halo_make_room(L, wanted + 1)) {
        lua_settop(L, index - 1);
        return HALO_LUA_NO_MEMORY;
    }
    lua_getfenv(L, index);
    for (int i = 1; i <= wanted; i++) {
        if (i <= task->nresults)
            lua_rawgeti(L, index + 1, i);
        else
            lua_pushnil(L);
    }
    lua_remove(L, index + 1);
    lua_remove(L, index);
    return wanted;
}
