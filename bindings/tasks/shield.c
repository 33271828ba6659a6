/*
 * A task counts the shields of the coroutines it is in: its own, and the generators that run on its
 * behalf. For every other coroutine, one that has yielded, or one that the standard resume runs
 * from a callback in C, a table keeps its count.
 */
#include "tasks/shield.h"

#include "tasks/task.h"

static uint32_t kept(lua_State *L, const struct halo_lua *lua, lua_State *co)
{
    if (lua->shields == LUA_NOREF)
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->shields);
    lua_pushthread(co);
    if (co != L)
        lua_xmove(co, L, 1);
    lua_rawget(L, -2);
    uint32_t count = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 2);
    return count;
}

static void keep(lua_State *L, struct halo_lua *lua, lua_State *co, uint32_t count)
{
    if (lua->shields == LUA_NOREF) {
        lua_newtable(L);
        lua_newtable(L);
        lua_pushliteral(L, "k");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
        lua->shields = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->shields);
    lua_pushthread(co);
    if (co != L)
        lua_xmove(co, L, 1);
    if (count > 0)
        lua_pushinteger(L, (lua_Integer)count);
    else
        lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

bool halo_is_shielded(lua_State *L, const struct halo_lua *lua)
{
    if (halo_breaks_shields(lua))
        return false;
    return lua->task->shields > 0 || (L != lua->running && kept(L, lua, L) > 0);
}

/* Those of the coroutines that wait for the one that runs. */
static uint32_t outer_shields(const struct halo_task *task)
{
    return task->depth > 0 ? task->callers[task->depth - 1].shields : 0;
}

void halo_shield_change(lua_State *L, struct halo_lua *lua, bool more)
{
    struct halo_task *task = lua->task;

    if (L != lua->running) {
        uint32_t count = kept(L, lua, L);
        if (more || count > 0)
            keep(L, lua, L, more ? count + 1 : count - 1);
    } else if (more) {
        task->shields++;
    } else if (task->shields > outer_shields(task)) {
        task->shields--;
    }
}

void halo_shields_enter(lua_State *L, struct halo_lua *lua, struct halo_task *task, lua_State *co)
{
    uint32_t count = kept(L, lua, co);
    if (count > 0)
        keep(L, lua, co, 0);
    task->shields += count;
}

void halo_shields_leave(lua_State *L, struct halo_lua *lua, struct halo_task *task, lua_State *co,
                        uint32_t before)
{
    uint32_t count = task->shields - before;
    task->shields = before;
    if (count > 0)
        keep(L, lua, co, count);
}
