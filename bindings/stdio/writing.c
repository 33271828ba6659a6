/* Writing what the buffers of Lua's files cannot hold. */
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio_ext.h>
#include <string.h>

#include "fs/fs.h"
#include "stdio/lua_file.h"
#include "stdio/stdio.h"
#include "stdio/stream.h"
#include "tasks/task.h"

#define WHOLE_LENGTH 14
#define WHOLE_MAX    1e14

/* Whose bytes these are when they have gone out together: those that were pending come first. */
static void fill_op(struct halo_op *op, FILE *stream, const char *data, size_t due)
{
    size_t pending = halo_stream_pending(stream);

    halo_stream_take_pending(stream, op->data);
    if (due > pending)
        memcpy(op->data + pending, data, due - pending);
}

/*
 * Writes that many bytes: those that are pending, and the first ones of data behind them. Where the
 * pending ones were promised before, or the last ones stay in the buffer, no cancel ends that.
 */
static int await_write(lua_State *L, struct halo_lua *lua, const struct halo_lua_file *file,
                       FILE *stream, const char *data, size_t length, size_t due)
{
    size_t pending = halo_stream_pending(stream);
    struct halo_op *op = halo_new_op(L, lua, HALO_OP_WRITE);

    op->data = (uint8_t *)halo_op_storage(op, due + 1);
    if (!op->data) {
        halo_op_release(lua->loop, op);
        return luaL_error(L, "not enough memory");
    }
    op->file = file->handle;
    op->length = due;
    fill_op(op, stream, data, due);
    size_t written = due - pending;
    if (pending > 0 || length > written)
        op->flags = HALO_WRITE_BEHIND | HALO_WRITE_TOLD;
    if (length > written)
        fwrite(data + written, 1, length - written, stream);
    return halo_await(L, lua, op);
}

/* The arguments from the third on as one string at the top; false where one is no such thing. */
static bool join_arguments(lua_State *L)
{
    int last = lua_gettop(L);

    for (int arg = 3; arg <= last; arg++)
        if (lua_type(L, arg) != LUA_TSTRING && lua_type(L, arg) != LUA_TNUMBER)
            return false;
    if (last < 3)
        lua_pushliteral(L, "");
    else if (last > 3)
        lua_concat(L, last - 2);
    return true;
}

/* Whether so many bytes go out at once, behind all that was given to the File before. */
static bool goes_at_once(const struct halo_lua *lua, const struct halo_lua_file *file, size_t due)
{
    struct pollfd ready = {.events = POLLOUT};
    struct halo_file_info info;

    if (due > PIPE_BUF || (file->out && file->out->used > 0) ||
        halo_file_info(lua->loop, file->handle, &info) < 0 || info.in_flight > 0)
        return false;
    ready.fd = halo_file_fd(lua->loop, file->handle);
    return info.local || (poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT);
}

/*
 * Whether LuaJIT's own may write by itself, since nothing else could run meanwhile, or the task was
 * cancelled, knows it, and what it has to say need not wait: else one that only prints would never
 * end. A stream has to have room for that many bytes, or an interrupt would not end the wait.
 */
static bool may_write(const struct halo_lua *lua, const struct halo_lua_file *file, size_t due,
                      bool cancelled)
{
    if (!lua->loop)
        return false;
    if (cancelled)
        return lua->task->raised && goes_at_once(lua, file, due);
    return halo_stdio_is_alone_with(lua, file) ||
           (halo_stdio_is_alone(lua) && goes_at_once(lua, file, due));
}

/*
 * write(File, file, ...): the count of bytes that went out, or nil, message, code. Nothing where
 * LuaJIT's own only has to put them into the buffer.
 */
static int stdio_write(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "write");
    FILE *stream = halo_stdio_writable(L, lua, 2);
    size_t length;

    if (!stream || !halo_stdio_is_usable(lua) || !join_arguments(L))
        return LEFT_TO_LUAJIT;
    bool first = !halo_stream_is_writing(stream), cancelled = halo_is_cancelled(L, lua);
    if ((first && !cancelled && may_write(lua, file, 0, false)) ||
        !halo_stream_begin_writing(stream))
        return LEFT_TO_LUAJIT;
    const char *data = lua_tolstring(L, 3, &length);
    /* C's first write does not use a buffer that it would fill. */
    size_t size = halo_stream_size(stream);
    bool goes_past = first && size > 1 && length >= size;
    if (!goes_past && halo_stream_holds(stream, data, length))
        return LEFT_TO_LUAJIT;
    size_t due = halo_stream_due(stream, data, length);
    if (!goes_past && may_write(lua, file, due, cancelled))
        return LEFT_TO_LUAJIT;
    if (cancelled)
        return halo_give_cancelled(L, lua);
    return await_write(L, lua, file, stream, data, length, due);
}

/* drain(File, file): writes what is pending: a count, or nil, message, code. Nothing if nothing is.
 */
static int stdio_drain(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "flush");
    FILE *stream = halo_stdio_writable(L, lua, 2);

    if (!stream || !halo_stdio_is_usable(lua) || halo_stream_pending(stream) == 0)
        return LEFT_TO_LUAJIT;
    bool cancelled = halo_is_cancelled(L, lua);
    size_t due = halo_stream_pending(stream);
    if (may_write(lua, file, due, cancelled))
        return LEFT_TO_LUAJIT;
    if (cancelled)
        return halo_give_cancelled(L, lua);
    return await_write(L, lua, file, stream, "", 0, due);
}

/* pending(file): whether it has been given bytes that are not written yet. */
static int stdio_pending(lua_State *L)
{
    FILE *stream = halo_stdio_writable(L, halo_lua_self(L), 1);
    lua_pushboolean(L, stream && halo_stream_pending(stream) > 0);
    return 1;
}

/*
 * room(file): how many bytes LuaJIT's own may write to it before anybody has to look again. Of C's
 * stdout this is a turn, which halo.stdout takes away when it is written to.
 */
static int stdio_room(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    FILE *stream = halo_stdio_writable(L, lua, 1);

    lua_pushnumber(L, stream ? (double)halo_stream_room(stream) : 0);
    if (stream == stdout)
        lua->stdio_turn = true;
    return 1;
}

/* give_up(file): a write has failed, and what is pending is not to be written. */
static int stdio_give_up(lua_State *L)
{
    FILE *stream = halo_stdio_writable(L, halo_lua_self(L), 1);
    if (stream) {
        __fpurge(stream);
        halo_stream_set_error(stream);
    }
    return 0;
}

/* set_error(file): a write has failed, as ferror() of a C function will find. */
static int stdio_set_error(lua_State *L)
{
    FILE *stream = halo_stdio_writable(L, halo_lua_self(L), 1);
    if (stream)
        halo_stream_set_error(stream);
    return 0;
}

/* flush_all(): as fflush(NULL), for those that halo does not know. */
static int stdio_flush_all(lua_State *L)
{
    (void)L;
    fflush(NULL);
    return 0;
}

/*
 * Called by compiled Lua, with a byte to put behind, or -1. LuaJIT's own writes up to 14 digits:
 * whole numbers of more, and those that are not whole, are left to that, as is -0.
 */
static bool put_number(FILE *stream, double number, int last)
{
    char text[WHOLE_LENGTH + 2], *end = text + sizeof(text), *to = end;

    if (!stream || !(fabs(number) < WHOLE_MAX) || floor(number) != number ||
        (number == 0 && signbit(number)) || halo_stream_room(stream) < sizeof(text))
        return false;
    if (last >= 0)
        *--to = (char)last;
    uint64_t digits = (uint64_t)fabs(number);
    do
        *--to = (char)('0' + digits % 10);
    while (digits /= 10);
    if (number < 0)
        *--to = '-';
    halo_stream_put(stream, to, (size_t)(end - to));
    return true;
}

static bool put_string(FILE *stream, const char *data, double length, int last)
{
    const char byte = (char)last;

    if (!stream || (double)halo_stream_room(stream) < length + 1)
        return false;
    halo_stream_put(stream, data, (size_t)length);
    if (last >= 0)
        halo_stream_put(stream, &byte, 1);
    return true;
}

/* As room(), but of C's stdout only where the turn goes on. */
static double room_of(const struct halo_lua *lua, const FILE *stream)
{
    if (!stream || !halo_stream_can_write(stream) || (stream == stdout && !lua->stdio_turn))
        return 0;
    return (double)halo_stream_room(stream);
}

/* fast(): the addresses of these three, for the FFI, and what the last one takes first. */
static int stdio_fast(lua_State *L)
{
    static bool (*const string)(FILE *, const char *, double, int) = put_string;
    static bool (*const number)(FILE *, double, int) = put_number;
    static double (*const room)(const struct halo_lua *, const FILE *) = room_of;

    lua_pushlightuserdata(L, *(void *const *)&string);
    lua_pushlightuserdata(L, *(void *const *)&number);
    lua_pushlightuserdata(L, *(void *const *)&room);
    lua_pushlightuserdata(L, halo_lua_self(L));
    return 4;
}

static const luaL_Reg functions[] = {
    {"write", stdio_write},         {"drain", stdio_drain},     {"pending", stdio_pending},
    {"room", stdio_room},           {"give_up", stdio_give_up}, {"set_error", stdio_set_error},
    {"flush_all", stdio_flush_all}, {"fast", stdio_fast},       {NULL, NULL},
};

void halo_open_stdio_writing(lua_State *L)
{
    halo_register(L, functions);
}
