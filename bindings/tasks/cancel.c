/*
 * Cancellation. It reaches the call in which a task waits at once, and each later one that may
 * wait until the task has ended. What the kernel still holds is let go of, never freed: the
 * operation's record stays until its own completion, and with it what it points to.
 */
#include "tasks/group.h"
#include "tasks/scheduler.h"

static void leave_joined(struct halo_task *task)
{
    struct halo_task **link = &task->joined->joiners;
    while (*link != task)
        link = &(*link)->next;
    *link = task->next;
    task->joined = NULL;
}

/* A worker may be writing to the record, so that its kind must do to tell. */
static bool uses_lua_memory(const struct halo_op *op)
{
    enum halo_op_code kind = halo_op_kind(op);
    return kind == HALO_OP_READ || kind == HALO_OP_READFILE || kind == HALO_OP_WRITE ||
           kind == HALO_OP_SETXATTR || kind == HALO_OP_FSETXATTR;
}

/*
 * Lets go of the operation the task waits for. The task goes on at once, so that the values it
 * had kept on its stack must be kept elsewhere while the kernel uses them.
 */
static void abandon_op(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_op *op = task->op;
    int count = lua_gettop(task->current);

    if (uses_lua_memory(op)) {
        lua_createtable(L, count, 0);
        for (int i = 1; i <= count; i++) {
            lua_pushvalue(task->current, i);
            lua_xmove(task->current, L, 1);
            lua_rawseti(L, -2, i);
        }
        op->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    op->user = NULL;
    task->op = NULL;
    halo_op_abandon(lua->loop, op);
}

/* The call that waits returns false (or nil), the cancellation, and the mark for its wrapper. */
static void interrupt_wait(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    lua_State *co = task->current;

    if (task->op) {
        abandon_op(L, lua, task);
        lua_pushnil(co);
    } else {
        lua_pushboolean(co, 0);
    }
    task->parked = false;
    if (task->awaited)
        task->awaited->waiting = NULL;
    task->awaited = NULL;
    if (task->joined)
        leave_joined(task);
    if (task->timer.index)
        halo_timer_stop(lua->loop, &task->timer);
    lua_rawgeti(co, LUA_REGISTRYINDEX, lua->cancelled);
    halo_push_mark(co);
    halo_task_wake(lua, task, 3);
}

bool halo_task_cancel(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (halo_task_is_over(task) || lua->closed)
        return false;
    if (!task->cancelled && task->state == HALO_TASK_WAITING && task->shields == 0)
        interrupt_wait(L, lua, task);
    task->cancelled = true;
    return true;
}

static void cancel_one(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (task != lua->task)
        halo_task_cancel(L, lua, task);
}

void halo_task_cancel_all(lua_State *L, struct halo_lua *lua)
{
    halo_task_each(L, lua, cancel_one);
}

void halo_lua_raise_interrupted(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);
    if (!lua->task || lua->task->shields > 0)
        return;
    lua->interrupted = true;
    lua->task->cancelled = true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    lua_error(L);
}
