/*
 * What the tasks are doing, for people: halo.tasks(), and the message of a deadlock.
 */
#include <stdint.h>

#include "args.h"
#include "tasks/scheduler.h"

#define SOURCES_MAX 4096

/* Calls visit for each live task, with it on top of L. */
void halo_task_each(lua_State *L, struct halo_lua *lua,
                    void (*visit)(lua_State *, struct halo_lua *, struct halo_task *))
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    int count = (int)lua_objlen(L, -1);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_type(L, -1) == LUA_TUSERDATA)
            visit(L, lua, lua_touserdata(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

bool halo_task_any_parked(lua_State *L, struct halo_lua *lua)
{
    bool parked = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    for (int i = (int)lua_objlen(L, -1); i > 0 && !parked; i--) {
        lua_rawgeti(L, -1, i);
        const struct halo_task *task = halo_to_type(L, -1, halo_task_type);
        parked = task && task->parked;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return parked;
}

/* Pushes "file:line" of the task's innermost frame that is not halo's own. */
static void push_place(lua_State *L, const struct halo_task *task)
{
    lua_State *co = task->current;
    lua_Debug ar;
    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sl", &ar);
        if (ar.currentline > 0 && !halo_is_own_source(ar.source)) {
            lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
            return;
        }
    }
    /* A tail call has left no frame: where it was spawned is the best there is. */
    if (task->spawned_source)
        lua_pushfstring(L, "%s:%d", task->spawned_source, task->spawned_line);
    else
        lua_pushliteral(L, "?");
}

void halo_task_note_origin(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    lua_Debug ar;
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline <= 0 || halo_is_own_source(ar.source))
            continue;
        task->spawned_line = ar.currentline;
        /* The name is kept by the registry, once however many tasks it has spawned. */
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->sources);
        lua_pushstring(L, ar.short_src);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        /* A program that makes chunks without end is not followed any further. */
        if (lua_isnil(L, -1) && lua->source_count++ >= SOURCES_MAX) {
            lua_pop(L, 3);
            return;
        }
        if (lua_isnil(L, -1)) {
            lua_pushvalue(L, -2);
            lua_pushboolean(L, 1);
            lua_rawset(L, -5);
        }
        lua_pop(L, 1);
        task->spawned_source = lua_tostring(L, -1);
        lua_pop(L, 2);
        return;
    }
}

static void describe_one(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)lua;
    /* The text so far lies below the table of tasks and the task. */
    lua_pushvalue(L, -3);
    lua_pushfstring(L, "\n\ttask %d waits in %s at ", (int)task->id,
                    task->waits ? task->waits : "nothing");
    push_place(L, task);
    lua_concat(L, 3);
    lua_replace(L, -4);
}

void halo_task_describe_all(lua_State *L, struct halo_lua *lua)
{
    lua_pushliteral(L, "deadlock: every task waits for another one");
    halo_task_each(L, lua, describe_one);
}

/* ---- halo.tasks() -------------------------------------------------------------------------- */

static void list_one(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)lua;
    lua_createtable(L, 0, 8);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "task");
    lua_pushnumber(L, (double)task->id);
    lua_setfield(L, -2, "id");
    lua_pushnumber(L, (double)task->parent_id);
    lua_setfield(L, -2, "parent");
    lua_pushstring(L, halo_task_state_name(task));
    lua_setfield(L, -2, "status");
    push_place(L, task);
    lua_setfield(L, -2, "at");
    if (task->spawned_source) {
        lua_pushfstring(L, "%s:%d", task->spawned_source, task->spawned_line);
        lua_setfield(L, -2, "spawned_at");
    }
    if (task->waits) {
        lua_pushstring(L, task->waits);
        lua_setfield(L, -2, "waits_for");
        lua_pushnumber(L, (double)task->since_ns / 1e9);
        lua_setfield(L, -2, "since");
    }
    /* The list lies below the table of tasks, the task and this entry. */
    lua_rawseti(L, -4, (int)lua_objlen(L, -4) + 1);
}

int halo_task_list(lua_State *L)
{
    lua_newtable(L);
    halo_task_each(L, halo_lua_self(L), list_one);
    return 1;
}
