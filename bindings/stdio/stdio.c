#include "stdio/stdio.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs.h"
#include "stdio/stream.h"
#include "tasks/task.h"

/*
 * What a function here does not do, it leaves to LuaJIT's own: it returns nothing then, and nothing
 * has happened. Wrong arguments are among that, so that the words about them are LuaJIT's.
 */
#define LEFT_TO_LUAJIT 0

#define TAKE_MAX      0x7fffff00 /* bytes */
#define NUMBER_LENGTH 4096       /* no number is longer, and if one is C reads it by itself */

/* The payload of LuaJIT's userdata. */
struct luajit_file {
    FILE *stream; /* NULL once it is closed */
    uint32_t type;
};

#define FILL_BYTES 16384

#define TYPE_MASK 3u
#define TYPE_FILE 0u

static struct luajit_file *to_file(lua_State *L, const struct halo_lua *lua, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || lua_objlen(L, index) != sizeof(struct luajit_file) ||
        !lua_getmetatable(L, index))
        return NULL;
    bool is_file = lua_topointer(L, -1) == lua->stdio_meta;
    lua_pop(L, 1);
    return is_file ? lua_touserdata(L, index) : NULL;
}

/* The FILE of one that is open; or NULL, in a child of fork() as well, where no loop is. */
static FILE *to_stream(lua_State *L, const struct halo_lua *lua, int index)
{
    const struct luajit_file *file = to_file(L, lua, index);
    return file ? file->stream : NULL;
}

static bool is_usable(const struct halo_lua *lua)
{
    return !lua->closed && !(lua->loop && halo_loop_is_forked(lua->loop));
}

static FILE *to_readable(lua_State *L, const struct halo_lua *lua, int index)
{
    FILE *stream = to_stream(L, lua, index);
    return stream && halo_stream_can_read(stream) ? stream : NULL;
}

static FILE *to_writable(lua_State *L, const struct halo_lua *lua, int index)
{
    FILE *stream = to_stream(L, lua, index);
    return stream && halo_stream_can_write(stream) ? stream : NULL;
}

static bool is_alone(const struct halo_lua *lua)
{
    return lua->loop && halo_submit_flags(lua) == HALO_ALONE && !halo_loop_busy(lua->loop);
}

/* Whether nothing else could run while LuaJIT's own reads or writes a file of this machine. */
static bool is_alone_with(const struct halo_lua *lua, const struct halo_lua_file *file)
{
    struct halo_file_info info;

    return is_alone(lua) && !(file->out && file->out->used > 0) &&
           halo_file_info(lua->loop, file->handle, &info) == 0 && info.local;
}

/* ---- taking what has been read ------------------------------------------------------------- */

static int take_bytes(lua_State *L, FILE *stream, const char *bytes, size_t length)
{
    lua_pushlstring(L, bytes, length);
    halo_stream_skip(stream, length);
    return 1;
}

static int take_line(lua_State *L, FILE *stream, bool chop)
{
    size_t length;
    const char *bytes = halo_stream_unread(stream, &length);
    const char *end = length > 0 ? memchr(bytes, '\n', length) : NULL;

    if (!end || memchr(bytes, '\0', (size_t)(end - bytes)))
        return LEFT_TO_LUAJIT;
    lua_pushlstring(L, bytes, (size_t)(end - bytes) + !chop);
    halo_stream_skip(stream, (size_t)(end - bytes) + 1);
    return 1;
}

static int take_count(lua_State *L, FILE *stream, double count)
{
    size_t length;
    const char *bytes = halo_stream_unread(stream, &length);

    if (!(count >= 0 && count <= TAKE_MAX) || length == 0 || (size_t)count > length)
        return LEFT_TO_LUAJIT;
    return take_bytes(L, stream, bytes, (size_t)count);
}

static bool may_be_of_a_number(char letter)
{
    return isalnum((unsigned char)letter) || (letter && strchr("+-.,", letter));
}

/*
 * A number is C's to scan, once it is sure to lie in the buffer as a whole. At the end of the file
 * nothing comes behind what there is. The second value says that this is the answer, which is nil
 * where there is no number.
 */
static int take_number(lua_State *L, FILE *stream, bool at_end)
{
    size_t length, digits = 0, blanks = 0;
    const char *bytes = halo_stream_unread(stream, &length);
    double number;

    while (blanks < length && isspace((unsigned char)bytes[blanks]))
        blanks++;
    while (blanks + digits < length && may_be_of_a_number(bytes[blanks + digits]))
        digits++;
    if (blanks + digits == length && digits < NUMBER_LENGTH && !at_end)
        return LEFT_TO_LUAJIT;
    /* What is no part of any number stands at the end, or C would ask the descriptor for more. */
    if (at_end && !halo_stream_add(stream, "!", 1))
        return luaL_error(L, "not enough memory");
    int scanned = fscanf(stream, "%lf", &number);
    if (at_end)
        halo_stream_take_last(stream);
    if (scanned == 1)
        lua_pushnumber(L, number);
    else
        lua_pushnil(L);
    lua_pushboolean(L, 1);
    return 2;
}

/*
 * take(file [, format]): what a read by that one format gives, where it lies in the buffer; and
 * true where that is the answer even if it is nil.
 */
static int stdio_take(lua_State *L)
{
    const struct halo_lua *lua = halo_lua_self(L);
    FILE *stream = to_readable(L, lua, 1);
    int count = lua_gettop(L);

    if (!stream || count > 2)
        return LEFT_TO_LUAJIT;
    halo_stream_clear(stream);
    if (count == 1)
        return take_line(L, stream, true);
    if (lua_type(L, 2) == LUA_TNUMBER)
        return take_count(L, stream, (double)lua_tointeger(L, 2));
    const char *format = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    format += format[0] == '*';
    if (format[0] == 'l' || format[0] == 'L')
        return take_line(L, stream, format[0] == 'l');
    return format[0] == 'n' ? take_number(L, stream, false) : LEFT_TO_LUAJIT;
}

/* take_number(file, at_end): as take(file, "n"), and what it has taken for that. */
static int stdio_take_number(lua_State *L)
{
    FILE *stream = to_readable(L, halo_lua_self(L), 1);
    size_t before, after;

    if (!stream)
        return LEFT_TO_LUAJIT;
    halo_stream_unread(stream, &before);
    int count = take_number(L, stream, lua_toboolean(L, 2));
    const char *bytes = halo_stream_unread(stream, &after);
    if (count == LEFT_TO_LUAJIT || after > before)
        return count;
    lua_pushlstring(L, bytes - (before - after), before - after);
    return 3;
}

/* take_up_to(file, count): as many bytes as there are, and not more than that. */
static int stdio_take_up_to(lua_State *L)
{
    FILE *stream = to_readable(L, halo_lua_self(L), 1);
    double count = luaL_checknumber(L, 2);
    size_t length;

    if (!stream)
        return LEFT_TO_LUAJIT;
    const char *bytes = halo_stream_unread(stream, &length);
    return take_bytes(L, stream, bytes, count < (double)length ? (size_t)count : length);
}

/* take_segment(file): all there is up to the first newline, which comes along. */
static int stdio_take_segment(lua_State *L)
{
    FILE *stream = to_readable(L, halo_lua_self(L), 1);
    size_t length;

    if (!stream)
        return LEFT_TO_LUAJIT;
    const char *bytes = halo_stream_unread(stream, &length);
    const char *end = length > 0 ? memchr(bytes, '\n', length) : NULL;
    return take_bytes(L, stream, bytes, end ? (size_t)(end + 1 - bytes) : length);
}

/* ---- filling ------------------------------------------------------------------------------- */

/*
 * begin_reading(file): how many bytes C would read now; 0 where something is to be written before.
 */
static int stdio_begin_reading(lua_State *L)
{
    const struct halo_lua *lua = halo_lua_self(L);
    FILE *stream = to_readable(L, lua, 1);

    if (!stream || !is_usable(lua))
        return LEFT_TO_LUAJIT;
    bool pending = halo_stream_pending(stream) > 0;
    lua_pushnumber(L, pending ? 0 : (double)halo_stream_begin_reading(stream));
    return 1;
}

/* alone(File): whether LuaJIT's own may read by itself, since that holds up nobody. */
static int stdio_alone(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "read");

    lua_pushboolean(L, is_alone_with(lua, file) && !halo_is_cancelled(L, lua));
    return 1;
}

/*
 * fill(File, file): reads into the buffer where that does not wait. true where there is more, false
 * at the end; nothing where an operation has to do it.
 */
static int stdio_fill(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *own = halo_check_file(L, 1, "read");
    FILE *stream = to_readable(L, lua, 2);
    char bytes[FILL_BYTES];
    size_t unread;

    if (!stream || !lua->loop || !is_usable(lua) || halo_stream_pending(stream) > 0 ||
        halo_is_cancelled(L, lua) || halo_should_yield(lua))
        return LEFT_TO_LUAJIT;
    size_t size = halo_stream_begin_reading(stream);
    halo_stream_unread(stream, &unread);
    off_t offset = lseek(fileno(stream), 0, SEEK_CUR);
    if (size < 2 || offset < 0)
        return LEFT_TO_LUAJIT;
    int64_t got =
        halo_fast_read(lua->loop, own->handle, bytes, size < sizeof(bytes) ? size : sizeof(bytes),
                       (uint64_t)offset, halo_submit_flags(lua));
    if (got < 0 || !halo_stream_add(stream, bytes, (size_t)got))
        return LEFT_TO_LUAJIT;
    lseek(fileno(stream), offset + got, SEEK_SET);
    lua_pushboolean(L, got > 0);
    return 1;
}

/* add(file, data): puts what was read from the descriptor behind what is unread. */
static int stdio_add(lua_State *L)
{
    FILE *stream = to_readable(L, halo_lua_self(L), 1);
    size_t length;
    const char *data = luaL_checklstring(L, 2, &length);

    if (stream && !halo_stream_add(stream, data, length))
        return luaL_error(L, "not enough memory");
    lua_pushboolean(L, stream != NULL);
    return 1;
}

/* put_back(file, data): puts what was taken before what is unread. */
static int stdio_put_back(lua_State *L)
{
    FILE *stream = to_readable(L, halo_lua_self(L), 1);
    size_t length;
    const char *data = luaL_checklstring(L, 2, &length);

    lua_pushboolean(L, stream && halo_stream_put_back(stream, data, length));
    return 1;
}

/* set_end(file): it has met its end, as feof() of a C function will find. */
static int stdio_set_end(lua_State *L)
{
    FILE *stream = to_readable(L, halo_lua_self(L), 1);
    if (stream)
        halo_stream_set_end(stream);
    return 0;
}

/* C's reader is behind the descriptor, by what is unread. */
static off_t seek_from(FILE *stream, off_t offset, int whence)
{
    size_t unread;

    halo_stream_unread(stream, &unread);
    if (whence != SEEK_CUR || offset != 0) {
        halo_stream_forget_unread(stream);
        return lseek(fileno(stream), offset, whence);
    }
    off_t position = lseek(fileno(stream), 0, SEEK_CUR);
    return position < 0 ? position : position - (off_t)unread;
}

/*
 * seek(file, whence, offset): the position, or nil and an error's number. Nothing where something
 * is to be written before, or LuaJIT's own need not read for it.
 */
static int stdio_seek(lua_State *L)
{
    const struct halo_lua *lua = halo_lua_self(L);
    FILE *stream = to_readable(L, lua, 1);

    if (!stream || halo_stream_pending(stream) > 0 || !is_usable(lua))
        return LEFT_TO_LUAJIT;
    halo_stream_begin_reading(stream);
    off_t position = seek_from(stream, (off_t)luaL_checknumber(L, 3), (int)luaL_checkinteger(L, 2));
    if (position < 0) {
        lua_pushnil(L);
        lua_pushinteger(L, errno);
        return 2;
    }
    halo_stream_clear(stream);
    lua_pushnumber(L, (double)position);
    return 1;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Whose bytes these are when they have gone out together: those that were pending come first. */
static void fill_op(struct halo_op *op, FILE *stream, const char *data, size_t due)
{
    size_t pending = halo_stream_pending(stream);

    halo_stream_take_pending(stream, op->data);
    if (due > pending)
        memcpy(op->data + pending, data, due - pending);
}

/* Writes that many bytes: those that are pending, and the first ones of data behind them. */
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

/*
 * Whether LuaJIT's own may write by itself: nothing else could run meanwhile. A stream has to have
 * room for that many bytes, or an interrupt would not end the wait.
 */
static bool may_write_alone(const struct halo_lua *lua, const struct halo_lua_file *file,
                            size_t due)
{
    struct pollfd ready = {.events = POLLOUT};

    if (is_alone_with(lua, file))
        return true;
    if (due > PIPE_BUF || !is_alone(lua) || (file->out && file->out->used > 0))
        return false;
    ready.fd = halo_file_fd(lua->loop, file->handle);
    return ready.fd >= 0 && poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT;
}

/*
 * write(File, file, ...): the count of bytes that went out, or nil, message, code. Nothing where
 * LuaJIT's own only has to put them into the buffer.
 */
static int stdio_write(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "write");
    FILE *stream = to_writable(L, lua, 2);
    size_t length;

    if (!stream || !is_usable(lua) || !join_arguments(L))
        return LEFT_TO_LUAJIT;
    bool first = !halo_stream_is_writing(stream);
    if ((first && !halo_is_cancelled(L, lua) && may_write_alone(lua, file, 0)) ||
        !halo_stream_begin_writing(stream))
        return LEFT_TO_LUAJIT;
    const char *data = lua_tolstring(L, 3, &length);
    /* C's first write does not use a buffer that it would fill. */
    bool goes_past = first && length >= halo_stream_size(stream);
    if (!goes_past && halo_stream_holds(stream, data, length))
        return LEFT_TO_LUAJIT;
    if (halo_is_cancelled(L, lua))
        return halo_give_cancelled(L, lua);
    size_t due = halo_stream_due(stream, data, length);
    if (!goes_past && may_write_alone(lua, file, due))
        return LEFT_TO_LUAJIT;
    return await_write(L, lua, file, stream, data, length, due);
}

/* drain(File, file): writes what is pending: a count, or nil, message, code. Nothing if nothing is.
 */
static int stdio_drain(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "flush");
    FILE *stream = to_writable(L, lua, 2);

    if (!stream || !is_usable(lua) || halo_stream_pending(stream) == 0)
        return LEFT_TO_LUAJIT;
    if (halo_is_cancelled(L, lua))
        return halo_give_cancelled(L, lua);
    return await_write(L, lua, file, stream, "", 0, halo_stream_pending(stream));
}

/* pending(file): whether it has been given bytes that are not written yet. */
static int stdio_pending(lua_State *L)
{
    FILE *stream = to_writable(L, halo_lua_self(L), 1);
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
    FILE *stream = to_writable(L, lua, 1);

    lua_pushnumber(L, stream ? (double)halo_stream_room(stream) : 0);
    if (stream == stdout)
        lua->stdio_turn = true;
    return 1;
}

/* give_up(file): what is pending is not to be written. */
static int stdio_give_up(lua_State *L)
{
    FILE *stream = to_writable(L, halo_lua_self(L), 1);
    if (stream)
        __fpurge(stream);
    return 0;
}

/* flush_all(): as fflush(NULL), for those that halo does not know. */
static int stdio_flush_all(lua_State *L)
{
    (void)L;
    fflush(NULL);
    return 0;
}

/* ---- opening and closing ------------------------------------------------------------------- */

/* As fopen() reads a mode; what it does not know it passes over. */
static bool parse_mode(const char *mode, int *flags)
{
    int access = mode[0] == 'r' ? O_RDONLY : O_WRONLY;

    if (mode[0] != 'r' && mode[0] != 'w' && mode[0] != 'a')
        return false;
    int more = mode[0] == 'w' ? O_CREAT | O_TRUNC : mode[0] == 'a' ? O_CREAT | O_APPEND : 0;
    for (int i = 1; i < 7 && mode[i]; i++) {
        if (mode[i] == '+')
            access = O_RDWR;
        else if (mode[i] == 'x')
            more |= O_EXCL;
    }
    *flags = access | more;
    return true;
}

/* mode(text): its flags, or nothing where fopen() refuses it, or does more. */
static int stdio_mode(lua_State *L)
{
    const char *mode = luaL_checkstring(L, 1);
    int flags;

    if (strstr(mode, "ccs=") || strpbrk(mode, "mc") || !parse_mode(mode, &flags))
        return LEFT_TO_LUAJIT;
    lua_pushinteger(L, flags);
    return 1;
}

/*
 * become(file, File, mode): a file of LuaJIT's gets a new FILE on the descriptor of a File, and
 * owns that from then on. The file, or nil and an error's number.
 */
static int stdio_become(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct luajit_file *file = to_file(L, lua, 1);
    const struct halo_lua_file *from = halo_check_file(L, 2, "open");
    const char *mode = luaL_checkstring(L, 3);

    int fd = file && file->stream ? halo_file_lend(lua->loop, from->handle, true) : -EBADF;
    FILE *stream = fd < 0 ? NULL : fdopen(fd, mode);
    if (!stream) {
        int error = errno;
        halo_file_lend(lua->loop, from->handle, false);
        lua_pushnil(L);
        lua_pushinteger(L, error);
        return 2;
    }
    fclose(file->stream);
    file->stream = stream;
    if (mode[0] == 'a' && !strchr(mode, '+'))
        lseek(fd, 0, SEEK_END); /* as fopen() does */
    lua_settop(L, 1);
    return 1;
}

/* Takes the FILE away from its userdata, and leaves the descriptor to the File. */
static void detach(struct halo_lua *lua, struct luajit_file *file, const struct halo_lua_file *own)
{
    FILE *stream = file->stream;

    file->stream = NULL;
    halo_stream_detach(stream);
    halo_file_lend(lua->loop, own->handle, false);
}

/* Whether its close cannot wait: C's own does it then. */
static bool closes_at_once(const struct halo_lua *lua, const struct halo_lua_file *own)
{
    struct halo_file_info info;
    return halo_file_info(lua->loop, own->handle, &info) < 0 || (info.local && !info.in_flight);
}

/*
 * detach(File, file): true where the File's close is to follow, which closes the descriptor.
 * Nothing where LuaJIT's own closes all of it.
 */
static int stdio_detach(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *own = halo_check_file(L, 1, "close");
    struct luajit_file *file = to_file(L, lua, 2);

    if (!file || !file->stream || (file->type & TYPE_MASK) != TYPE_FILE || !is_usable(lua) ||
        halo_stream_pending(file->stream) > 0 || closes_at_once(lua, own))
        return LEFT_TO_LUAJIT;
    detach(lua, file, own);
    lua_pushboolean(L, 1);
    return 1;
}

/*
 * A finalizer: what is pending is written at the next turn, and the descriptor closed behind it. Of
 * a file of this machine LuaJIT's own does it at once.
 */
static int stdio_collect(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_lua_file *own = halo_to_type(L, 1, halo_file_type);
    struct luajit_file *file = to_file(L, lua, 2);

    if (!own || own->out || !file || !file->stream || (file->type & TYPE_MASK) != TYPE_FILE ||
        !is_usable(lua) || !lua->loop)
        return LEFT_TO_LUAJIT;
    size_t pending = halo_stream_pending(file->stream);
    if (closes_at_once(lua, own) || !halo_out_make(lua, own, pending + 1))
        return LEFT_TO_LUAJIT;
    halo_stream_take_pending(file->stream, own->out->data);
    own->out->used = pending;
    detach(lua, file, own);
    if (pending > 0) {
        halo_out_forget(lua, own);
    } else {
        halo_out_free(lua, own);
        halo_file_drop(lua->loop, own->handle);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- names and numbers of errors ----------------------------------------------------------- */

/* error_of(code): the text and the number of "ENOENT". */
static int stdio_error_of(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    int error = 1;

    while (error < 200 && strcmp(halo_error_name(error), name) != 0)
        error++;
    lua_pushstring(L, strerror(error));
    lua_pushinteger(L, error);
    return 2;
}

/* error_text(number) */
static int stdio_error_text(lua_State *L)
{
    lua_pushstring(L, strerror((int)luaL_checkinteger(L, 1)));
    return 1;
}

/*
 * install(io.stdout, room): true where LuaJIT's files are understood. From then on what C's stdout
 * has pending goes out by operations as well; room is the table that is told when the turn ends.
 */
static int stdio_install(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct luajit_file *file = lua_touserdata(L, 1);

    if (!halo_stream_is_known() || !file || lua_objlen(L, 1) != sizeof(*file) ||
        file->stream != stdout || !lua_getmetatable(L, 1))
        return LEFT_TO_LUAJIT;
    lua->stdio_meta = lua_topointer(L, -1);
    lua->has_stdio = true;
    lua_settop(L, 2);
    lua->stdout_room = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushboolean(L, 1);
    return 1;
}

/* is_file(value): whether it is one of LuaJIT's; and whether it is open. */
static int stdio_is_file(lua_State *L)
{
    const struct luajit_file *file = to_file(L, halo_lua_self(L), 1);

    lua_pushboolean(L, file != NULL);
    lua_pushboolean(L, file && file->stream);
    lua_pushinteger(L, file && file->stream ? fileno(file->stream) : -1);
    return 3;
}

static const luaL_Reg functions[] = {
    {"take", stdio_take},
    {"take_number", stdio_take_number},
    {"take_up_to", stdio_take_up_to},
    {"take_segment", stdio_take_segment},
    {"begin_reading", stdio_begin_reading},
    {"alone", stdio_alone},
    {"fill", stdio_fill},
    {"add", stdio_add},
    {"put_back", stdio_put_back},
    {"set_end", stdio_set_end},
    {"seek", stdio_seek},
    {"write", stdio_write},
    {"drain", stdio_drain},
    {"pending", stdio_pending},
    {"room", stdio_room},
    {"give_up", stdio_give_up},
    {"flush_all", stdio_flush_all},
    {"mode", stdio_mode},
    {"become", stdio_become},
    {"detach", stdio_detach},
    {"collect", stdio_collect},
    {"error_of", stdio_error_of},
    {"error_text", stdio_error_text},
    {"install", stdio_install},
    {"is_file", stdio_is_file},
    {NULL, NULL},
};

void halo_open_stdio(lua_State *L)
{
    lua_newtable(L);
    halo_register(L, functions);
    lua_setfield(L, -2, "stdio");
}
