#include "fs/out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs.h"
#include "tasks/wait.h"

#define OUT_BYTES_MAX (1u << 30)

/* ---- the buffer ---------------------------------------------------------------------------- */

bool halo_out_make(struct halo_lua *lua, struct halo_lua_file *file, size_t size)
{
    struct halo_out *out = malloc(sizeof(*out) + size + file->length + 1);
    struct halo_out **last = &lua->outs;

    if (!out)
        return false;
    while (*last)
        last = &(*last)->next;
    *out = (struct halo_out){.link = last, .handle = file->handle, .size = size};
    out->path = memcpy(out->data + size, file->path, file->length + 1);
    *last = out;
    file->out = out;
    return true;
}

static void unlink_and_free(struct halo_out *out)
{
    *out->link = out->next;
    if (out->next)
        out->next->link = out->link;
    free(out);
}

void halo_out_free(struct halo_lua_file *file)
{
    if (file->out)
        unlink_and_free(file->out);
    file->out = NULL;
}

void halo_out_forget(struct halo_lua_file *file)
{
    file->out->forgotten = true;
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

static unsigned flags_of(const struct halo_lua *lua)
{
    return lua->ready || lua->stepping ? 0 : HALO_ALONE;
}

int halo_out_send(struct halo_lua *lua, struct halo_out *out)
{
    struct halo_op *op = take(lua, out, 0);

    if (!op)
        return -ENOMEM;
    if (!halo_op_submit(lua->loop, op, flags_of(lua)))
        halo_op_release(lua->loop, op);
    return 0;
}

int halo_out_flush(struct halo_lua *lua, struct halo_out *out)
{
    struct halo_op *op = take(lua, out, 0);

    if (!op)
        return -ENOMEM;
    if (halo_op_submit(lua->loop, op, flags_of(lua)))
        halo_op_wait(lua->loop, op);
    int error = op->result < 0 ? (int)op->result : 0;
    halo_op_release(lua->loop, op);
    return error;
}

void halo_out_settle_stdio(const struct halo_lua_file *file)
{
    if (file->is_stdout && __fpending(stdout) > 0)
        fflush(stdout);
}

/* ---- files that were forgotten, and the end ------------------------------------------------ */

void halo_out_send_forgotten(struct halo_lua *lua)
{
    for (struct halo_out *out = lua->outs, *next; out; out = next) {
        next = out->next;
        if (!out->forgotten || halo_out_send(lua, out) < 0)
            continue;
        halo_file_drop(lua->loop, out->handle);
        unlink_and_free(out);
    }
}

void halo_out_flush_all(struct halo_lua *lua)
{
    while (lua->outs) {
        if (lua->loop && !halo_loop_is_forked(lua->loop) && lua->outs->used > 0)
            halo_out_flush(lua, lua->outs);
        lua->outs->used = 0;
        struct halo_out *out = lua->outs;
        *out->link = out->next;
        if (out->next)
            out->next->link = out->link;
        out->next = NULL;
        out->link = &out->next; /* its File may be collected later, and frees it then */
        if (out->forgotten)
            free(out);
    }
}

/* ---- what Lua calls ------------------------------------------------------------------------ */

/* set_buffer(file, size): true, or nil, message, code. 0 bytes: none. It is empty before. */
static int out_set_buffer(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_lua_file *file = halo_check_file(L, 1, "setvbuf");
    size_t size = (size_t)halo_check_size(L, 2, "setvbuf", OUT_BYTES_MAX);
    struct halo_file_info info;

    int error = halo_file_info(halo_lua_loop(L, lua), file->handle, &info);
    if (error < 0)
        return halo_push_file_error(L, -error, file);
    if (size > 0 && (info.flags & O_ACCMODE) == O_RDONLY)
        return halo_push_file_error(L, EBADF, file);
    halo_out_free(file);
    if (size > 0 && !halo_out_make(lua, file, size))
        return luaL_error(L, "not enough memory");
    lua_pushboolean(L, 1);
    return 1;
}

/* gathers(file): whether there is something that it was given and has not written yet. */
static int out_gathers(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "flush");
    struct halo_file_info info = {0};

    halo_file_info(halo_lua_loop(L, lua), file->handle, &info);
    lua_pushboolean(L, info.behind > 0 || (file->out && file->out->used > 0));
    return 1;
}

/* mark_stdout(file): C's buffer of the same descriptor has to be kept in order with this File. */
static int out_mark_stdout(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_lua_file *file = halo_check_file(L, 1, "stdout");

    file->is_stdout = true;
    if (lua->stdout_file == LUA_NOREF) {
        lua_pushvalue(L, 1);
        lua->stdout_file = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_pushboolean(L, isatty(STDOUT_FILENO));
    return 1;
}

/* settle_stdout(): what halo.stdout has gathered goes out, before others write to the same. */
static int out_settle_stdout(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);

    if (lua->stdout_file == LUA_NOREF || !lua->loop || halo_loop_is_forked(lua->loop))
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->stdout_file);
    const struct halo_lua_file *file = lua_touserdata(L, -1);
    struct halo_file_info info;
    if (file->out && halo_file_info(lua->loop, file->handle, &info) == 0 &&
        (file->out->used > 0 || info.behind > 0))
        halo_out_flush(lua, file->out);
    return 0;
}

/* finish(): writes all that is gathered; nil, message, code for the first File that fails. */
static int out_finish(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_out *failed = NULL;
    int first = 0;

    if (!lua->loop || halo_loop_is_forked(lua->loop))
        return lua_pushboolean(L, 1), 1;
    for (struct halo_out *out = lua->outs; out; out = out->next) {
        int error = halo_out_flush(lua, out);
        if (error && !failed) {
            first = error;
            failed = out;
        }
    }
    if (failed)
        return halo_push_error(L, -first, failed->path, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"set_buffer", out_set_buffer},   {"gathers", out_gathers},
    {"mark_stdout", out_mark_stdout}, {"settle_stdout", out_settle_stdout},
    {"finish_writing", out_finish},   {NULL, NULL},
};

void halo_open_out(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);

    lua->send_forgotten = halo_out_send_forgotten;
    lua->flush_all = halo_out_flush_all;
    lua->stdout_file = LUA_NOREF;
    halo_register(L, functions);
}
