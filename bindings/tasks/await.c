/*
 * Waiting: the way from a call into the scheduler and back. Where the calling coroutine cannot be
 * suspended (a table.sort comparison, a C callback, no task at all), the call waits on the spot;
 * other tasks' results are kept until the scheduler has its turn again.
 */
#include "tasks/scheduler.h"

/* An interruption reaches a task here that never leaves the scheduler the time to look. */
static bool is_cancelled(struct halo_lua *lua)
{
    struct halo_task *task = lua->task;
    if (!task || task->shields > 0)
        return false;
    if (atomic_load_explicit(&lua->interrupt, memory_order_relaxed))
        lua->interrupted = task->cancelled = true;
    return task->cancelled;
}

void halo_check_cancelled(lua_State *L, struct halo_lua *lua)
{
    if (is_cancelled(lua)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
        lua_error(L);
    }
}

int halo_push_cancelled(lua_State *L, struct halo_lua *lua)
{
    if (!is_cancelled(lua))
        return 0;
    lua_pushboolean(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    return 2;
}

bool halo_should_yield(const struct halo_lua *lua)
{
    if (lua->ready && halo_loop_spent_ns(lua->loop) > lua->quantum_end_ns)
        return true;
    return halo_loop_is_due(lua->loop) &&
           (lua->ready || lua->stepping || halo_loop_busy(lua->loop));
}

int halo_let_others(lua_State *L, struct halo_lua *lua, int count)
{
    halo_push_mark(L);
    lua_insert(L, -(count + 1));
    halo_task_wake(lua, lua->task, count);
    lua->yield = HALO_YIELD_WAIT;
    return lua_yield(L, lua_gettop(L));
}

int halo_await(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    bool suspend = halo_can_wait(L, lua);
    unsigned flags = suspend && (lua->ready || lua->stepping) ? 0 : HALO_ALONE;

    if (!halo_op_submit(lua->loop, op, flags)) {
        int count = halo_push_result(L, lua, op, L);
        return suspend && halo_should_yield(lua) ? halo_let_others(L, lua, count) : count;
    }
    if (!suspend) {
        halo_op_wait(lua->loop, op);
        return halo_push_result(L, lua, op, L);
    }
    struct halo_task *task = lua->task;
    op->user = task;
    task->op = op;
    lua->yield = HALO_YIELD_WAIT;
    task->state = HALO_TASK_WAITING;
    task->waits = halo_op_name(op);
    task->since_ns = halo_now_ns();
    halo_push_mark(L);
    return lua_yield(L, lua_gettop(L));
}

int halo_park(lua_State *L, struct halo_lua *lua, const char *waits)
{
    halo_task_wait(lua, lua->task, waits);
    halo_push_mark(L);
    return lua_yield(L, lua_gettop(L));
}
