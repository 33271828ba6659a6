#include "fs/out.h"

#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs.h"
#include "stdio/stream.h"
#include "tasks/wait.h"

/* ---- the buffer ---------------------------------------------------------------------------- */

bool halo_out_make(struct halo_lua *lua, struct halo_lua_file *file, size_t size)
{
    struct halo_out *out = malloc(sizeof(*out) + size + file->length + 1);

    if (!out)
        return false;
    if (!lua->outs)
        lua->outs_end = &lua->outs;
    *out = (struct halo_out){.link = lua->outs_end, .handle = file->handle, .size = size};
    out->path = memcpy(out->data + size, file->path, file->length + 1);
    *lua->outs_end = out;
    lua->outs_end = &out->next;
    file->out = out;
    return true;
}

static void unlink_and_free(struct halo_lua *lua, struct halo_out *out)
{
    *out->link = out->next;
    if (out->next)
        out->next->link = out->link;
    else
        lua->outs_end = out->link;
    free(out);
}

void halo_out_free(struct halo_lua *lua, struct halo_lua_file *file)
{
    if (file->out)
        unlink_and_free(lua, file->out);
    file->out = NULL;
}

void halo_out_forget(struct halo_lua *lua, struct halo_lua_file *file)
{
    lua->forgotten = file->out->forgotten = true;
    file->out = NULL;
}

/* ---- sending ------------------------------------------------------------------------------- */

static struct halo_op *take(struct halo_lua *lua, struct halo_out *out, size_t more)
{
    struct halo_op *op = halo_op_new(lua->loop, HALO_OP_WRITE);

    if (!op)
        return NULL;
    op->data = (uint8_t *)halo_op_storage(op, out->used + more + 1);
    if (!op->data) {
        halo_op_release(lua->loop, op);
        return NULL;
    }
    memcpy(op->data, out->data, out->used);
    op->file = out->handle;
    op->length = out->used + more;
    op->flags = HALO_WRITE_BEHIND;
    op->user = NULL;
    out->used = 0;
    return op;
}

struct halo_op *halo_out_take(lua_State *L, struct halo_lua *lua, struct halo_out *out, size_t more)
{
    struct halo_op *op = take(lua, out, more);
    if (!op)
        luaL_error(L, "not enough memory");
    return op;
}

int halo_out_send(struct halo_lua *lua, struct halo_out *out)
{
    struct halo_op *op = take(lua, out, 0);

    if (!op)
        return -ENOMEM;
    if (!halo_op_submit(lua->loop, op, halo_submit_flags(lua)))
        halo_op_release(lua->loop, op);
    return 0;
}

int halo_out_flush(struct halo_lua *lua, struct halo_out *out)
{
    if (lua->interrupted)
        return halo_out_send(lua, out);

    struct halo_op *op = take(lua, out, 0);
    if (!op)
        return -ENOMEM;
    if (halo_op_submit(lua->loop, op, halo_submit_flags(lua)))
        halo_op_wait(lua->loop, op);
    int error = op->result < 0 ? (int)op->result : 0;
    halo_op_release(lua->loop, op);
    return error;
}

bool halo_out_is_settled(const struct halo_lua *lua, const struct halo_lua_file *file)
{
    return !file->is_stdout || (!lua->stdio_turn && __fpending(stdout) == 0);
}

/* Lua looks at this table to see whether it has the turn. */
static void end_turn(lua_State *L, struct halo_lua *lua)
{
    lua->stdio_turn = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->stdout_room);
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "room");
    lua_pop(L, 1);
}

/* Everything that is written to standard output by the loop goes to the one file, in order. */
static int send_stdio(struct halo_lua *lua, const struct halo_lua_file *file)
{
    struct halo_op *op = halo_op_new(lua->loop, HALO_OP_WRITE);
    size_t pending = halo_stream_pending(stdout);

    if (op)
        op->data = (uint8_t *)halo_op_storage(op, pending + 1);
    if (!op || !op->data) {
        if (op)
            halo_op_release(lua->loop, op);
        return -ENOMEM;
    }
    halo_stream_take_pending(stdout, op->data);
    op->file = file->handle;
    op->length = pending;
    op->flags = HALO_WRITE_BEHIND;
    op->user = NULL;
    if (!halo_op_submit(lua->loop, op, halo_submit_flags(lua)))
        halo_op_release(lua->loop, op);
    return 0;
}

int halo_out_settle_stdio(lua_State *L, struct halo_lua *lua, const struct halo_lua_file *file)
{
    if (halo_out_is_settled(lua, file))
        return 0;
    if (lua->stdio_turn)
        end_turn(L, lua);
    if (__fpending(stdout) == 0)
        return 0;
    /* Where both have something, C has got its own later, from other than Lua. */
    if (file->out && file->out->used > 0 && halo_out_send(lua, file->out) < 0)
        return -ENOMEM;
    if (lua->has_stdio && lua->loop && halo_stream_can_write(stdout))
        return send_stdio(lua, file);
    fflush(stdout);
    return 0;
}

bool halo_out_is_unread(struct halo_lua *lua, int fd, int error)
{
    if (error != EPIPE || !lua->unread || (fd != STDOUT_FILENO && fd != STDERR_FILENO))
        return false;
    if (!lua->is_unread)
        halo_lua_interrupt(lua);
    lua->is_unread = true;
    lua->unread();
    return true;
}

/* ---- files that were forgotten, and the end ------------------------------------------------ */

void halo_out_send_forgotten(struct halo_lua *lua)
{
    struct halo_out *out = lua->forgotten ? lua->outs : NULL;

    lua->forgotten = false;
    for (struct halo_out *next; out; out = next) {
        next = out->next;
        if (!out->forgotten)
            continue;
        if (halo_out_send(lua, out) < 0) {
            lua->forgotten = true; /* the next turn may find more memory */
            continue;
        }
        halo_file_drop(lua->loop, out->handle);
        unlink_and_free(lua, out);
    }
}

void halo_out_send_all(struct halo_lua *lua)
{
    bool may_send = lua->loop && !halo_loop_is_forked(lua->loop);

    for (struct halo_out *out = lua->outs, *next; out; out = next) {
        next = out->next;
        if (may_send && out->used > 0)
            halo_out_send(lua, out);
        out->used = 0;
        if (out->forgotten)
            unlink_and_free(lua, out);
    }
}
