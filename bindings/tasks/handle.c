/* What a host holds of a task, from its making on until the host gives it back. */
#include "tasks/handle.h"

#include <stdlib.h>

struct halo_lua_task *halo_handle_new(lua_State *L, struct halo_lua *lua)
{
    lua_pushboolean(L, 1);
    int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    struct halo_lua_task *handle = calloc(1, sizeof(*handle));

    if (!handle) {
        luaL_unref(L, LUA_REGISTRYINDEX, anchor);
        luaL_error(L, "not enough memory");
        return NULL;
    }
    handle->lua = lua;
    handle->thread = lua->thread;
    handle->anchor = anchor;
    handle->next = lua->handles;
    handle->link = &lua->handles;
    if (lua->handles)
        lua->handles->link = &handle->next;
    lua->handles = handle;
    return handle;
}

void halo_handle_attach(lua_State *L, struct halo_lua_task *handle, struct halo_task *task)
{
    lua_rawseti(L, LUA_REGISTRYINDEX, handle->anchor);
    handle->task = task;
    task->handle = handle;
    task->watched = true;
}

void halo_handle_push(lua_State *L, const struct halo_lua_task *handle)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, handle->anchor);
}

void halo_handle_end(struct halo_lua *lua, struct halo_lua_task *handle)
{
    if (!handle->ended || handle->due)
        return;
    handle->due = true;
    handle->next_due = NULL;
    *lua->ended_end = handle;
    lua->ended_end = &handle->next_due;
}

static struct halo_lua_task *take_due(struct halo_lua *lua)
{
    struct halo_lua_task *handle = lua->ended;
    if (!handle)
        return NULL;
    lua->ended = handle->next_due;
    if (!lua->ended)
        lua->ended_end = &lua->ended;
    handle->due = false;
    return handle;
}

void halo_handles_tell(struct halo_lua *lua)
{
    struct halo_lua_task *handle;

    while ((handle = take_due(lua))) {
        void (*ended)(struct halo_lua_task *, void *) = handle->ended;
        handle->ended = NULL; /* it may release the handle */
        if (ended)
            ended(handle, handle->user);
    }
}

static void leave_due(struct halo_lua *lua, const struct halo_lua_task *handle)
{
    struct halo_lua_task **link = &lua->ended;

    if (!handle->due)
        return;
    while (*link != handle)
        link = &(*link)->next_due;
    *link = handle->next_due;
    if (!*link)
        lua->ended_end = link;
}

/* Nobody waits for a task's failure any more, unless it has failed: then it was there to be had. */
void halo_handle_free(struct halo_lua_task *handle)
{
    struct halo_lua *lua = handle->lua;

    if (lua) {
        leave_due(lua, handle);
        if (handle->task) {
            handle->task->handle = NULL;
            handle->task->watched &= halo_task_is_over(handle->task);
        }
        *handle->link = handle->next;
        if (handle->next)
            handle->next->link = handle->link;
        luaL_unref(lua->L, LUA_REGISTRYINDEX, handle->anchor);
    }
    free(handle);
}

void halo_handles_orphan(struct halo_lua *lua)
{
    for (struct halo_lua_task *handle = lua->handles; handle; handle = handle->next) {
        handle->lua = NULL;
        handle->task = NULL;
    }
    lua->handles = lua->ended = NULL;
}
