/*
 * Awaiting operations. What the kernel still holds when nobody waits for it any more is let go of,
 * never freed: the operation's record stays until its own completion, and with it what it points
 * to. Halo's buffers are lent for as long.
 */
#include "fs/await.h"

#include <sys/file.h>

#include "fs/buffer.h"
#include "args.h"
#include "fs/out.h"
#include "fs/result.h"
#include "tasks/blocking.h"
#include "tasks/task.h"

/* ---- buffers ------------------------------------------------------------------------------- */

#define BUFFER_INDEX 2 /* among the arguments of every call that takes one */

/* Lends the call's argument to the operation where that uses a halo.buffer, or takes it back. */
static void lend(const struct halo_op *op, struct halo_lua_buffer *buffer, int by)
{
    enum halo_op_code kind = halo_op_kind(op);

    if (kind == HALO_OP_WRITE && (op->flags & HALO_WRITE_FROM))
        buffer->writers += (uint32_t)by;
    if ((kind == HALO_OP_READ || kind == HALO_OP_READFILE) && (op->flags & HALO_READ_INTO))
        buffer->readers += (uint32_t)by;
}

static void release(struct halo_lua *lua, struct halo_op *op, lua_State *co)
{
    lend(op, lua_touserdata(co, BUFFER_INDEX), -1);
    halo_op_release(lua->loop, op);
}

/* An operation came back that nobody waits for: see anchor_arguments(). */
static void forget(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    if (op->anchor) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, op->anchor);
        lua_rawgeti(L, -1, BUFFER_INDEX);
        lend(op, lua_touserdata(L, -1), -1);
        lua_pop(L, 2);
        luaL_unref(L, LUA_REGISTRYINDEX, op->anchor);
    }
    halo_op_release(lua->loop, op);
}

/* ---- cancellation -------------------------------------------------------------------------- */

/* A worker may be writing to the record, so only its kind can tell. */
static bool uses_lua_memory(const struct halo_op *op)
{
    enum halo_op_code kind = halo_op_kind(op);
    return kind == HALO_OP_READ || kind == HALO_OP_READFILE || kind == HALO_OP_WRITE ||
           kind == HALO_OP_SETXATTR || kind == HALO_OP_FSETXATTR;
}

static bool changes_names(const struct halo_op *op)
{
    switch (halo_op_kind(op)) {
    case HALO_OP_RENAME:
    case HALO_OP_REMOVE:
    case HALO_OP_RMDIR:
    case HALO_OP_LINK:
    case HALO_OP_SYMLINK:
    case HALO_OP_MKNOD:
    case HALO_OP_COPYFILE:
        return true;
    case HALO_OP_MKDIR:
        return !(op->flags & HALO_MKDIR_UNDO);
    default:
        return false;
    }
}

/* What a task must have done whether it was cancelled or not. */
static bool is_clean_up(const struct halo_op *op)
{
    enum halo_op_code kind = halo_op_kind(op);
    return kind == HALO_OP_CLOSE || (kind == HALO_OP_LOCK && op->flags == LOCK_UN) ||
           (kind == HALO_OP_REMOVE && op->flags & HALO_REMOVE_LEFTOVER) ||
           (kind == HALO_OP_WRITE && op->flags & HALO_WRITE_BEHIND);
}

struct anchoring {
    struct halo_op *op;
    lua_State *co;
};

static int anchor(lua_State *L)
{
    const struct anchoring *anchoring = lua_touserdata(L, 1);
    lua_State *co = anchoring->co;
    int count = lua_gettop(co);

    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(co, i);
        lua_xmove(co, L, 1);
        lua_rawseti(L, -2, i);
    }
    anchoring->op->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/*
 * The task goes on at once, so the values that its stack kept alive must be kept elsewhere while
 * the kernel uses them. False where memory is out.
 */
static bool anchor_arguments(lua_State *L, struct halo_op *op, lua_State *co)
{
    struct anchoring anchoring = {.op = op, .co = co};

    if (!uses_lua_memory(op) || lua_cpcall(L, anchor, &anchoring) == 0)
        return true;
    lua_pop(L, 1);
    return false;
}

/* The result of an operation that has ended is the task's: nothing that was taken is lost. */
static int leave(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_op *op = task->wait.on;

    if (halo_op_has_ended(op))
        return LUA_NOREF;
    if (!anchor_arguments(L, op, task->current)) {
        halo_op_cancel(lua->loop, op); /* it ends soon, and the task goes on then */
        return LUA_NOREF;
    }
    op->user = NULL;
    bool goes_on = is_clean_up(op);
    halo_op_abandon(lua->loop, op);
    if (goes_on)
        return lua->cancelled;
    bool undone = halo_op_has_ended(op) && op->result < 0;
    return changes_names(op) && !undone ? lua->uncertain : lua->cancelled;
}

/* The call was made in a task that had been cancelled already. */
static int refuse(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    if (!is_clean_up(op) || !halo_op_submit(lua->loop, op, 0))
        halo_op_release(lua->loop, op);
    return halo_give_cancelled(L, lua);
}

/* ---- results ------------------------------------------------------------------------------- */

/* Where there is no room for the result, or no memory, the scheduler abandons the operation. */
static int deliver(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_op *op = task->wait.on;
    lua_State *co = task->current;
    int count;

    if (halo_result_is_plain(op)) {
        count = halo_push_result(co, lua, op, co);
    } else {
        int top = lua_gettop(L);
        count = halo_push_result(L, lua, op, co);
        lua_xmove(L, co, count);
        lua_settop(L, top); /* what it took to make them */
    }
    release(lua, op, co);
    return count;
}

/* push_result(arguments of the call..., op): under lua_pcall(), since memory may be out. */
static int push_result(lua_State *L)
{
    struct halo_op *op = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return halo_push_result(L, halo_lua_self(L), op, L);
}

/* Pushes an operation's result for the call itself; if that fails, nothing it took is lost. */
static int push_own_result(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    int count = lua_gettop(L), status = 0;

    if (halo_result_is_plain(op)) {
        halo_push_result(L, lua, op, L);
    } else if (lua_checkstack(L, count + LUA_MINSTACK)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->push_result);
        for (int i = 1; i <= count; i++)
            lua_pushvalue(L, i);
        lua_pushlightuserdata(L, op);
        status = lua_pcall(L, count + 1, LUA_MULTRET, 0);
    } else {
        lua_pushliteral(L, "stack overflow");
        status = LUA_ERRMEM;
    }
    if (status != 0)
        halo_op_abandon(lua->loop, op);
    halo_op_release(lua->loop, op);
    return status == 0 ? lua_gettop(L) - count : lua_error(L);
}

static void drop(struct halo_lua *lua, struct halo_task *task)
{
    struct halo_op *op = task->wait.on;
    halo_op_abandon(lua->loop, op);
    release(lua, op, task->current);
}

static const struct halo_wait_kind wait_for_op = {
    .what = "operation", .cancel = leave, .deliver = deliver, .drop = drop};

/* What the File has been given to write comes first; its close takes the buffer along. */
static void send_first(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    struct halo_lua_file *file = op->file ? halo_to_type(L, 1, halo_file_type) : NULL;

    if (!file || !file->out || file->handle != op->file)
        return;
    if (file->out->used > 0 && halo_out_send(lua, file->out) < 0) {
        halo_op_release(lua->loop, op);
        luaL_error(L, "not enough memory");
    }
    if (halo_op_kind(op) == HALO_OP_CLOSE)
        halo_out_free(lua, file);
}

/* Of an operation that was submitted: its result, or the wait for it. */
static int await_submitted(lua_State *L, struct halo_lua *lua, struct halo_op *op, bool under_way)
{
    bool suspend = halo_can_wait(L, lua);

    if (!under_way) {
        int count = push_own_result(L, lua, op);
        return suspend && halo_should_yield(lua) ? halo_let_others(L, lua, count) : count;
    }
    if (!suspend) {
        halo_op_wait(lua->loop, op);
        return push_own_result(L, lua, op);
    }
    lend(op, lua_touserdata(L, BUFFER_INDEX), 1);
    op->user = lua->task;
    return halo_park(L, lua, &wait_for_op, halo_op_name(op), op);
}

static int await(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    unsigned flags = halo_can_wait(L, lua) ? halo_submit_flags(lua) : HALO_ALONE;

    send_first(L, lua, op);
    if (halo_is_cancelled(L, lua))
        return refuse(L, lua, op);
    return await_submitted(L, lua, op, halo_op_submit(lua->loop, op, flags));
}

/* Measured, where the user wants to know what waits on the spot. */
static int await_watched(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    uint64_t began_ns = halo_now_ns();
    const char *name = halo_op_name(op);
    bool on_the_spot = !halo_can_wait(L, lua);
    int count = await(L, lua, op);

    halo_blocking_called(L, lua, name, began_ns, on_the_spot);
    return count;
}

int halo_await(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    return lua->blocking ? await_watched(L, lua, op) : await(L, lua, op);
}

int halo_await_behind(lua_State *L, struct halo_lua *lua, struct halo_op *op, size_t count)
{
    op->mode = (uint32_t)count;
    bool under_way = halo_op_submit(lua->loop, op, halo_submit_flags(lua));
    if (!halo_is_cancelled(L, lua))
        return await_submitted(L, lua, op, under_way);
    if (!under_way)
        halo_op_release(lua->loop, op);
    return halo_give_cancelled(L, lua);
}

void halo_open_await(lua_State *L)
{
    static const luaL_Reg functions[] = {{"push_result", push_result}, {NULL, NULL}};
    struct halo_lua *lua = halo_lua_get(L);

    lua->forget = forget;
    lua_newtable(L);
    halo_register(L, functions);
    lua_getfield(L, -1, "push_result");
    lua->push_result = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
}
