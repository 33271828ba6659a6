/*
 * What the tasks are doing, for people: halo.tasks(), and the message of a deadlock.
 */
#include "tasks/describe.h"

#include "args.h"
#include "tasks/task.h"

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

static void describe_one(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)lua;
    /* The text so far lies below the table of tasks and the task. */
    lua_pushvalue(L, -3);
    lua_pushfstring(L, "\n\ttask %d waits in %s at ", (int)task->id,
                    task->state == HALO_TASK_WAITING ? task->wait.what : "nothing");
    push_place(L, task);
    lua_concat(L, 3);
    lua_replace(L, -4);
}

void halo_describe_all(lua_State *L, struct halo_lua *lua)
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
    if (task->state == HALO_TASK_WAITING) {
        lua_pushstring(L, task->wait.what);
        lua_setfield(L, -2, "waits_for");
        lua_pushnumber(L, (double)task->wait.since_ns / 1e9);
        lua_setfield(L, -2, "since");
    }
    /* The list lies below the table of tasks, the task and this entry. */
    lua_rawseti(L, -4, (int)lua_objlen(L, -4) + 1);
}

/* tasks(): the list behind halo.tasks(). */
static int list(lua_State *L)
{
    lua_newtable(L);
    halo_task_each(L, halo_lua_self(L), list_one);
    return 1;
}

static const luaL_Reg functions[] = {
    {"tasks", list},
    {NULL, NULL},
};

void halo_open_describe(lua_State *L)
{
    halo_register(L, functions);
}
