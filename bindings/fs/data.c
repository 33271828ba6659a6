/* Calls on a file's data. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "fs/fs.h"
#include "tasks/task.h"

#define OPEN_MODE_DEFAULT 0644

/* ---- open and close ------------------------------------------------------------------------ */

static bool parse_mode(const char *mode, uint32_t *flags)
{
    bool update = false, exclusive = false;

    for (const char *letter = mode[0] ? mode + 1 : mode; *letter; letter++) {
        update |= *letter == '+';
        exclusive |= *letter == 'x';
        if (!strchr("+xbe", *letter))
            return false;
    }
    uint32_t access = update ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
    switch (mode[0]) {
    case 'r':
        *flags = access;
        break;
    case 'w':
        *flags = access | O_CREAT | O_TRUNC;
        break;
    case 'a':
        *flags = access | O_CREAT | O_APPEND;
        break;
    default:
        return false;
    }
    /* To be the one who creates the file is the point of "x", with "r" as well. */
    if (exclusive)
        *flags = (*flags & ~(uint32_t)O_TRUNC) | O_CREAT | O_EXCL;
    return true;
}

static uint32_t check_open_flags(lua_State *L, int arg)
{
    uint32_t flags = O_RDONLY;

    if (lua_type(L, arg) == LUA_TNUMBER)
        return (uint32_t)halo_check_size(L, arg, "open", INT32_MAX);
    if (lua_isnoneornil(L, arg))
        return flags;
    if (lua_type(L, arg) != LUA_TSTRING)
        halo_arg_type_error(L, arg, "open", "mode (a string or a number of fs.flags)");
    size_t length;
    const char *mode = lua_tolstring(L, arg, &length);
    if (length != strlen(mode) || !parse_mode(mode, &flags))
        halo_arg_error(
            L, arg, "open",
            lua_pushfstring(L,
                            "invalid mode '%s': 'r', 'w' or 'a', with '+' to read and write, and "
                            "'x' to be the creator",
                            mode));
    return flags;
}

/* open(path, mode, permissions, known_as): the last is what the File says its path is, if given. */
static int fs_open(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    size_t length;
    uint64_t base = halo_take_base(L);
    const char *path = halo_check_path(L, 1, "open", &length);
    uint32_t flags = check_open_flags(L, 2);
    uint32_t mode = (uint32_t)halo_opt_size(L, 3, "open", HALO_MODE_MAX, OPEN_MODE_DEFAULT);
    const char *known_as = lua_isstring(L, 4) ? lua_tolstring(L, 4, &length) : path;

    lua_settop(L, HALO_OPEN_FILE_INDEX);
    halo_file_new(L, known_as, length);
    lua_replace(L, HALO_OPEN_FILE_INDEX);
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_OPEN, "open");
    op->base = base;
    op->flags = flags;
    op->mode = mode;
    return halo_await(L, lua, op);
}

static int fs_close(lua_State *L)
{
    return halo_await_file(L, HALO_OP_CLOSE, "close");
}

/* ---- data ---------------------------------------------------------------------------------- */

/* Nothing is read by a read of 0 bytes, but it says whether the file has ended. */
static struct halo_op *new_read(lua_State *L, const struct halo_lua_file *file, uint64_t length,
                                uint64_t offset)
{
    struct halo_op *op = halo_new_op(L, halo_lua_self(L), HALO_OP_READ);
    op->file = file->handle;
    op->length = length < HALO_STRING_MAX ? (size_t)length : HALO_STRING_MAX;
    op->offset = offset;
    if (length == 0) {
        op->length = 1;
        op->flags = HALO_READ_PEEK;
    }
    return op;
}

static int fs_read(lua_State *L)
{
    const struct halo_lua_file *file = halo_check_file(L, 1, "read");
    uint64_t length =
        halo_check_size(L, 2, "read", halo_bytes_max(halo_lua_self(L), HALO_OFFSET_MAX));
    return halo_await(L, halo_lua_self(L), new_read(L, file, length, HALO_POSITION));
}

static int fs_pread(lua_State *L)
{
    const struct halo_lua_file *file = halo_check_file(L, 1, "pread");
    uint64_t length =
        halo_check_size(L, 2, "pread", halo_bytes_max(halo_lua_self(L), HALO_OFFSET_MAX));
    uint64_t offset = halo_check_size(L, 3, "pread", HALO_OFFSET_MAX);
    return halo_await(L, halo_lua_self(L), new_read(L, file, length, offset));
}

/* read_all(file, length): to the end, of which length is a guess. */
static int fs_read_all(lua_State *L)
{
    const struct halo_lua_file *file = halo_check_file(L, 1, "read");
    uint64_t length = halo_check_size(L, 2, "read", HALO_OFFSET_MAX);
    struct halo_op *op = new_read(L, file, length, HALO_POSITION);
    op->flags = HALO_READ_ALL;
    op->most = halo_lua_self(L)->max_bytes;
    return halo_await(L, halo_lua_self(L), op);
}

/* The buffer at an argument, to read into. */
static const struct halo_lua_buffer *check_buffer(lua_State *L, int arg, const char *name)
{
    const struct halo_lua_buffer *buffer = halo_to_type(L, arg, halo_buffer_type);
    if (!buffer)
        halo_arg_type_error(L, arg, name, "buffer");
    halo_buffer_check(L, buffer, true);
    return buffer;
}

/* What both have as arguments: file, buffer, length. */
static int read_into(lua_State *L, uint64_t offset, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, name);
    const struct halo_lua_buffer *buffer = check_buffer(L, 2, name);
    uint64_t length = halo_opt_size(L, 3, name, HALO_OFFSET_MAX, buffer->size);
    if (length > buffer->size)
        return halo_arg_error(L, 3, name, "more bytes than the buffer has");

    struct halo_op *op = halo_new_op(L, lua, HALO_OP_READ);
    op->file = file->handle;
    op->data = buffer->data;
    op->length = (size_t)length;
    op->offset = offset;
    op->flags = HALO_READ_INTO;
    return halo_await(L, lua, op);
}

static int fs_read_into(lua_State *L)
{
    return read_into(L, HALO_POSITION, "read_into");
}

static int fs_pread_into(lua_State *L)
{
    halo_check_file(L, 1, "pread_into");
    check_buffer(L, 2, "pread_into");
    return read_into(L, halo_check_size(L, 4, "pread_into", HALO_OFFSET_MAX), "pread_into");
}

/* Makes strings of the numbers in an array, which it leaves as it is: a copy takes its place. */
static void make_strings_in(lua_State *L, int arg)
{
    int count = (int)lua_objlen(L, arg);
    bool any = false;

    for (int i = 1; i <= count && !any; i++) {
        lua_rawgeti(L, arg, i);
        any = lua_type(L, -1) == LUA_TNUMBER;
        lua_pop(L, 1);
    }
    if (!any)
        return;
    lua_createtable(L, count, 0);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, arg, i);
        if (lua_type(L, -1) == LUA_TNUMBER)
            lua_tolstring(L, -1, NULL);
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, arg);
}

/*
 * Makes strings of the numbers among the arguments. That takes memory, so that finalizers may run,
 * which may do anything to the file and to the arrays. Behind it, none runs until all is gathered.
 */
static void make_strings(lua_State *L, int last)
{
    for (int arg = 2; arg <= last; arg++)
        if (lua_type(L, arg) == LUA_TNUMBER)
            lua_tolstring(L, arg, NULL);
        else if (lua_type(L, arg) == LUA_TTABLE)
            make_strings_in(L, arg);
}

/* The bytes of a string or a buffer at index, or NULL. */
static const uint8_t *to_bytes(lua_State *L, int index, size_t *length)
{
    if (lua_type(L, index) == LUA_TSTRING)
        return (const uint8_t *)lua_tolstring(L, index, length);
    const struct halo_lua_buffer *buffer = halo_to_type(L, index, halo_buffer_type);
    if (!buffer)
        return NULL;
    halo_buffer_check(L, buffer, false);
    *length = buffer->size;
    return buffer->data;
}

#define WRITABLE "string, number, buffer or an array of them"

/* What stands under another key than 1 to count would be passed over in silence. */
static void check_array(lua_State *L, int arg, const char *name, int count)
{
    int members = 0;

    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1))
        members++;
    if (members != count)
        halo_arg_error(L, arg, name,
                       lua_pushfstring(L,
                                       "the table is no array: it has %d members, %d of them "
                                       "in a row from 1 on",
                                       members, count));
}

/* The bytes of an argument; those of all members where it is an array. */
static size_t measure(lua_State *L, int arg, const char *name)
{
    size_t total = 0, length = 0;

    if (to_bytes(L, arg, &length))
        return length;
    if (lua_type(L, arg) != LUA_TTABLE)
        halo_arg_type_error(L, arg, name, WRITABLE);
    int count = (int)lua_objlen(L, arg);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, arg, i);
        if (!to_bytes(L, -1, &length))
            halo_arg_error(L, arg, name,
                           lua_pushfstring(L, "element %d is no string, number or buffer", i));
        total += length;
        lua_pop(L, 1);
    }
    check_array(L, arg, name, count);
    return total;
}

static size_t append(lua_State *L, int index, uint8_t *to)
{
    size_t length = 0;
    const uint8_t *bytes = to_bytes(L, index, &length);
    memcpy(to, bytes, length);
    return length;
}

/*
 * Puts several pieces together, at a place that has room for all of them: members could be taken
 * out of an array while the kernel writes them.
 */
static void gather(lua_State *L, int last, uint8_t *to)
{
    for (int arg = 2; arg <= last; arg++) {
        if (lua_type(L, arg) != LUA_TTABLE) {
            to += append(L, arg, to);
            continue;
        }
        for (int i = 1, count = (int)lua_objlen(L, arg); i <= count; i++) {
            lua_rawgeti(L, arg, i);
            to += append(L, -1, to);
            lua_pop(L, 1);
        }
    }
}

static void gather_in_op(lua_State *L, struct halo_lua *lua, struct halo_op *op, int last)
{
    op->data = (uint8_t *)halo_op_storage(op, op->length + 1);
    if (!op->data) {
        halo_op_release(lua->loop, op);
        luaL_error(L, "not enough memory");
    }
    gather(L, last, op->data);
}

/*
 * A write to a File with a buffer. Where it does not fit, all goes out together, and the call waits
 * until it is written.
 */
static int write_gathered(lua_State *L, struct halo_lua *lua, const struct halo_lua_file *file,
                          int last, size_t length)
{
    struct halo_out *out = file->out;
    size_t used = out->used;
    struct halo_file_info info;
    int error = halo_file_info(halo_lua_loop(L, lua), file->handle, &info);

    if (error == 0 && info.write_error < 0)
        halo_out_is_unread(lua, halo_file_fd(lua->loop, file->handle), -info.write_error);
    if (halo_is_cancelled(L, lua))
        return halo_give_cancelled(L, lua);
    if (error < 0 || info.write_error < 0)
        return halo_push_file_error(L, error < 0 ? -error : -info.write_error, file);
    if (length > out->size - used) {
        struct halo_op *op = halo_out_take(L, lua, out, length);
        gather(L, last, op->data + used);
        return halo_await_behind(L, lua, op, length);
    }
    gather(L, last, out->data + used);
    out->used += length;
    lua_pushnumber(L, (double)length);
    return halo_can_wait(L, lua) && halo_should_yield(lua) ? halo_let_others(L, lua, 1) : 1;
}

/* Writes the arguments from the second to the last one. */
static int write_all(lua_State *L, int last, uint64_t offset, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, name);
    size_t length = 0;
    make_strings(L, last);
    for (int arg = 2; arg <= last; arg++)
        length += measure(L, arg, name);
    bool is_one = last == 2 && lua_type(L, 2) != LUA_TTABLE;
    if (halo_out_settle_stdio(L, lua, file) < 0)
        return luaL_error(L, "not enough memory");
    if (file->out && offset == HALO_POSITION && length < file->out->size)
        return write_gathered(L, lua, file, last, length);

    struct halo_op *op = halo_new_op(L, lua, HALO_OP_WRITE);
    op->file = file->handle;
    op->length = length;
    op->offset = offset;
    if (is_one) /* a write only reads from it */
        op->data = (uint8_t *)(uintptr_t)to_bytes(L, 2, &op->length);
    else
        gather_in_op(L, lua, op, last);
    op->flags = is_one && lua_type(L, 2) == LUA_TUSERDATA ? HALO_WRITE_FROM : 0;
    return halo_await(L, lua, op);
}

static int fs_write(lua_State *L)
{
    return write_all(L, lua_gettop(L), HALO_POSITION, "write");
}

static int fs_pwrite(lua_State *L)
{
    halo_check_file(L, 1, "pwrite");
    make_strings(L, 2);
    measure(L, 2, "pwrite");
    uint64_t offset = halo_check_size(L, 3, "pwrite", HALO_OFFSET_MAX);
    return write_all(L, 2, offset, "pwrite");
}

/* flush(file): a count, once all is written that was given to write before. */
static int fs_flush(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "flush");
    struct halo_op *op;

    halo_lua_loop(L, lua);
    if (file->out) {
        op = halo_out_take(L, lua, file->out, 0);
    } else {
        op = halo_new_op(L, lua, HALO_OP_WRITE);
        op->file = file->handle;
        op->flags = HALO_WRITE_BEHIND;
    }
    return halo_await_behind(L, lua, op, 0);
}

static int fs_fsync(lua_State *L)
{
    return halo_await_file(L, HALO_OP_FSYNC, "fsync");
}

static int fs_fdatasync(lua_State *L)
{
    return halo_await_file(L, HALO_OP_FDATASYNC, "fdatasync");
}

/* ---- size and layout ----------------------------------------------------------------------- */

static int fs_ftruncate(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint64_t size = halo_check_size(L, 2, "ftruncate", HALO_OFFSET_MAX);
    struct halo_op *op = halo_new_file_op(L, lua, HALO_OP_FTRUNCATE, "ftruncate");
    op->offset = size;
    return halo_await(L, lua, op);
}

/* Operations on a range of the file: flags, offset and length from the second argument on. */
static int await_range(lua_State *L, enum halo_op_code code, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint32_t flags = (uint32_t)halo_check_size(L, 2, name, INT32_MAX);
    uint64_t offset = halo_opt_size(L, 3, name, HALO_OFFSET_MAX, 0);
    uint64_t length = halo_opt_size(L, 4, name, HALO_OFFSET_MAX, 0);
    struct halo_op *op = halo_new_file_op(L, lua, code, name);
    op->flags = flags;
    op->offset = offset;
    op->length = (size_t)length;
    return halo_await(L, lua, op);
}

static int fs_fallocate(lua_State *L)
{
    return await_range(L, HALO_OP_FALLOCATE, "fallocate");
}

static int fs_fadvise(lua_State *L)
{
    return await_range(L, HALO_OP_FADVISE, "fadvise");
}

static int fs_sync_range(lua_State *L)
{
    return await_range(L, HALO_OP_SYNC_RANGE, "sync_file_range");
}

static int fs_find(lua_State *L)
{
    return await_range(L, HALO_OP_SEEK, "seek");
}

/* Where the next write goes, or read, but for a file that is appended to; or -errno. */
static int64_t find_position(lua_State *L, const struct halo_lua_file *file)
{
    struct halo_file_info info;
    int error = halo_file_info(halo_lua_loop(L, halo_lua_self(L)), file->handle, &info);
    if (error < 0 || info.stream)
        return error < 0 ? error : -ESPIPE;
    uint64_t pending = info.behind + (file->out ? file->out->used : 0);
    return (int64_t)(info.position + (info.flags & O_APPEND ? 0 : pending));
}

/* seek(file, position) moves the file's own position; tell(file) says it. Neither waits. */
static int fs_seek(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "seek");
    uint64_t position = halo_check_size(L, 2, "seek", HALO_OFFSET_MAX);
    int error = halo_file_seek(halo_lua_loop(L, lua), file->handle, position);
    if (error < 0)
        return halo_push_file_error(L, -error, file);
    lua_pushnumber(L, (double)position);
    return 1;
}

static int fs_tell(lua_State *L)
{
    const struct halo_lua_file *file = halo_check_file(L, 1, "tell");
    int64_t position = find_position(L, file);
    if (position < 0)
        return halo_push_file_error(L, (int)-position, file);
    lua_pushnumber(L, (double)position);
    return 1;
}

/* advance(file, from, to): moves it where it is as expected, and says whether it was. */
static int fs_advance(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "seek");
    uint64_t to = (uint64_t)lua_tonumber(L, 3);
    lua_pushboolean(L, find_position(L, file) == (int64_t)lua_tonumber(L, 2) &&
                           halo_file_seek(lua->loop, file->handle, to) == 0);
    return 1;
}

/* lock(file, shared, at_once) */
static int fs_lock(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_file_op(L, lua, HALO_OP_LOCK, "lock");
    op->flags = lua_toboolean(L, 2) ? LOCK_SH : LOCK_EX;
    if (lua_toboolean(L, 3))
        op->flags |= LOCK_NB;
    return halo_await(L, lua, op);
}

static int fs_unlock(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_file_op(L, lua, HALO_OP_LOCK, "unlock");
    op->flags = LOCK_UN;
    return halo_await(L, lua, op);
}

/* ---- whole files --------------------------------------------------------------------------- */

static int fs_readfile(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_READFILE, "readfile");
    op->length = halo_bytes_max(lua, HALO_STRING_MAX);
    return halo_await(L, lua, op);
}

/* readfile_into(path, buffer) */
static int fs_readfile_into(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    size_t length;
    uint64_t base = halo_take_base(L);
    halo_check_path(L, 1, "readfile_into", &length);
    const struct halo_lua_buffer *buffer = check_buffer(L, 2, "readfile_into");
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_READFILE, "readfile_into");
    op->base = base;
    op->data = buffer->data;
    op->length = buffer->size;
    op->flags = HALO_READ_INTO;
    return halo_await(L, lua, op);
}

/* copyfile(from, to, flags): each path may have a base before it. */
static int fs_copyfile(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_paths_op(L, lua, HALO_OP_COPYFILE, "copy");
    op->flags = (uint32_t)lua_tointeger(L, 3);
    return halo_await(L, lua, op);
}

/*
 * keep(to, from, flags, mode, uid, gid, atime, nsec, mtime, nsec): what a directory that was copied
 * keeps, both Files; from is nil where there is none to take extended attributes from.
 */
static int fs_keep(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *from = halo_to_type(L, 2, halo_file_type);
    struct halo_op *op = halo_new_file_op(L, lua, HALO_OP_KEEP, "copytree");
    op->base = from ? from->handle : 0;
    op->flags = (uint32_t)lua_tointeger(L, 3);
    op->mode = (uint32_t)lua_tointeger(L, 4);
    op->uid = (uint32_t)lua_tonumber(L, 5);
    op->gid = (uint32_t)lua_tonumber(L, 6);
    for (int i = 0; i < 2; i++) {
        op->times[i].tv_sec = (time_t)lua_tonumber(L, 7 + 2 * i);
        op->times[i].tv_nsec = (long)lua_tonumber(L, 8 + 2 * i);
    }
    return halo_await(L, lua, op);
}

static const luaL_Reg functions[] = {
    {"open", fs_open},
    {"close", fs_close},
    {"read", fs_read},
    {"read_all", fs_read_all},
    {"pread", fs_pread},
    {"read_into", fs_read_into},
    {"pread_into", fs_pread_into},
    {"write", fs_write},
    {"pwrite", fs_pwrite},
    {"flush", fs_flush},
    {"fsync", fs_fsync},
    {"fdatasync", fs_fdatasync},
    {"ftruncate", fs_ftruncate},
    {"fallocate", fs_fallocate},
    {"fadvise", fs_fadvise},
    {"sync_range", fs_sync_range},
    {"find", fs_find},
    {"seek", fs_seek},
    {"tell", fs_tell},
    {"advance", fs_advance},
    {"lock", fs_lock},
    {"unlock", fs_unlock},
    {"readfile", fs_readfile},
    {"readfile_into", fs_readfile_into},
    {"copyfile", fs_copyfile},
    {"keep", fs_keep},
    {NULL, NULL},
};

void halo_open_fs_data(lua_State *L)
{
    halo_register(L, functions);
}
