/* Taking what has been read into the buffers of Lua's files, and filling them. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs.h"
#include "stdio/lua_file.h"
#include "stdio/stdio.h"
#include "stdio/stream.h"
#include "tasks/task.h"

#define TAKE_MAX      0x7fffff00 /* bytes */
#define NUMBER_LENGTH 4096       /* no number is longer, and if one is C reads it by itself */
#define FILL_BYTES    16384

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
    FILE *stream = halo_stdio_readable(L, lua, 1);
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
    FILE *stream = halo_stdio_readable(L, halo_lua_self(L), 1);
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
    FILE *stream = halo_stdio_readable(L, halo_lua_self(L), 1);
    double count = luaL_checknumber(L, 2);
    size_t length;

    if (!stream)
        return LEFT_TO_LUAJIT;
    const char *bytes = halo_stream_unread(stream, &length);
    return take_bytes(L, stream, bytes, count < (double)length ? (size_t)count : length);
}

/* take_segment(file, count): so much at most, up to the first newline, which comes along. */
static int stdio_take_segment(lua_State *L)
{
    FILE *stream = halo_stdio_readable(L, halo_lua_self(L), 1);
    double count = luaL_checknumber(L, 2);
    size_t length;

    if (!stream)
        return LEFT_TO_LUAJIT;
    const char *bytes = halo_stream_unread(stream, &length);
    if (count < (double)length)
        length = (size_t)count;
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
    FILE *stream = halo_stdio_readable(L, lua, 1);

    if (!stream || !halo_stdio_is_usable(lua))
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

    lua_pushboolean(L, halo_stdio_is_alone_with(lua, file) && !halo_is_cancelled(L, lua));
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
    FILE *stream = halo_stdio_readable(L, lua, 2);
    char bytes[FILL_BYTES];
    size_t unread;

    if (!stream || !lua->loop || !halo_stdio_is_usable(lua) || halo_stream_pending(stream) > 0 ||
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
    FILE *stream = halo_stdio_readable(L, halo_lua_self(L), 1);
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
    FILE *stream = halo_stdio_readable(L, halo_lua_self(L), 1);
    size_t length;
    const char *data = luaL_checklstring(L, 2, &length);

    lua_pushboolean(L, stream && halo_stream_put_back(stream, data, length));
    return 1;
}

/* set_end(file): it has met its end, as feof() of a C function will find. */
static int stdio_set_end(lua_State *L)
{
    FILE *stream = halo_stdio_readable(L, halo_lua_self(L), 1);
    if (stream)
        halo_stream_set_end(stream);
    return 0;
}

/* As C does, which asks for the size: files of /proc have one, but no seek to their end. */
static off_t seek_to(int fd, off_t offset, int whence)
{
    struct stat now;

    if (whence == SEEK_END && fstat(fd, &now) == 0 && S_ISREG(now.st_mode)) {
        offset += now.st_size;
        whence = SEEK_SET;
    }
    return lseek(fd, offset, whence);
}

/*
 * C's reader is behind the descriptor, by what is unread. To ask where it is leaves that so, but
 * not of a file that programs inherit: they are to go on from there.
 */
static off_t seek_from(FILE *stream, off_t offset, int whence)
{
    size_t unread;

    halo_stream_unread(stream, &unread);
    if (whence != SEEK_CUR || offset != 0 || fileno(stream) <= STDERR_FILENO) {
        halo_stream_forget_unread(stream);
        return seek_to(fileno(stream), offset, whence);
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
    FILE *stream = halo_stdio_readable(L, lua, 1);

    if (!stream || halo_stream_pending(stream) > 0 || !halo_stdio_is_usable(lua))
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
    {NULL, NULL},
};

void halo_open_stdio_reading(lua_State *L)
{
    halo_register(L, functions);
}
