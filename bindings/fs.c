/*
 * The filesystem calls: one short function an operation. Each checks its arguments, fills in the
 * operation and awaits it; what comes of it is in result.c. halo.fs (lua/halo/fs.lua) wraps them
 * for the user, since a cancellation can be raised there and not from a resumed C function.
 */
#include <fcntl.h>
#include <string.h>

#include "args.h"
#include "buffer.h"
#include "file.h"
#include "sched.h"

#define READ_MAX           0x7fff0000u /* bytes: longer strings are more than LuaJIT can hold */
#define MODE_MAX           07777
#define OPEN_MODE_DEFAULT  0644
#define MKDIR_MODE_DEFAULT 0777

/* ---- helpers ------------------------------------------------------------------------------- */

static struct halo_op *new_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code)
{
    struct halo_loop *loop = halo_lua_loop(L, lua);
    halo_check_cancelled(L, lua);
    struct halo_op *op = halo_op_new(loop, code);
    if (!op)
        luaL_error(L, "not enough memory");
    return op;
}

static struct halo_op *new_file_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code,
                                   const char *name)
{
    const struct halo_lua_file *file = halo_check_file(L, 1, name);
    struct halo_op *op = new_op(L, lua, code);
    op->file = file->handle;
    return op;
}

static struct halo_op *new_path_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code,
                                   const char *name)
{
    size_t length;
    const char *path = halo_check_path(L, 1, name, &length);
    struct halo_op *op = new_op(L, lua, code);
    if (halo_op_set_paths(op, path, length, NULL, 0) < 0) {
        halo_op_release(lua->loop, op);
        luaL_error(L, "not enough memory");
    }
    return op;
}

/* An operation that takes a path and nothing else. */
static int await_path(lua_State *L, enum halo_op_code code, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(L, lua, new_path_op(L, lua, code, name));
}

/* An operation that takes a file and nothing else. */
static int await_file(lua_State *L, enum halo_op_code code, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(L, lua, new_file_op(L, lua, code, name));
}

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
    const char *mode = lua_tostring(L, arg);
    if (!parse_mode(mode, &flags))
        halo_arg_error(
            L, arg, "open",
            lua_pushfstring(L, "invalid mode '%s': 'r', 'w' or 'a', then '+', 'x'", mode));
    return flags;
}

static int fs_open(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    size_t length;
    const char *path = halo_check_path(L, 1, "open", &length);
    uint32_t flags = check_open_flags(L, 2);
    uint32_t mode = (uint32_t)halo_opt_size(L, 3, "open", MODE_MAX, OPEN_MODE_DEFAULT);

    lua_settop(L, HALO_OPEN_FILE_INDEX - 1);
    halo_file_new(L, path, length);
    struct halo_op *op = new_path_op(L, lua, HALO_OP_OPEN, "open");
    op->flags = flags;
    op->mode = mode;
    return halo_await(L, lua, op);
}

/* A close is carried out even in a task that was cancelled: clean-up must not leak the file. */
static int fs_close(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "close");
    const struct halo_task *task = lua->task;

    if (task && task->cancelled && task->shields == 0) {
        struct halo_op *op = halo_op_new(halo_lua_loop(L, lua), HALO_OP_CLOSE);
        if (op) {
            op->file = file->handle;
            if (!halo_op_submit(lua->loop, op, 0))
                halo_op_release(lua->loop, op);
        }
    }
    return await_file(L, HALO_OP_CLOSE, "close");
}

/* ---- data ---------------------------------------------------------------------------------- */

static int fs_read(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    halo_check_file(L, 1, "read");
    uint64_t length = halo_check_size(L, 2, "read", HALO_OFFSET_MAX);
    uint64_t offset = halo_opt_size(L, 3, "read", HALO_OFFSET_MAX, HALO_POSITION);

    struct halo_op *op = new_file_op(L, lua, HALO_OP_READ, "read");
    op->length = length < READ_MAX ? (size_t)length : READ_MAX;
    op->offset = offset;
    return halo_await(L, lua, op);
}

static int fs_read_into(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    halo_check_file(L, 1, "read_into");
    const struct halo_lua_buffer *buffer = halo_to_buffer(L, 2);
    if (!buffer)
        return halo_arg_type_error(L, 2, "read_into", "buffer");
    uint64_t length = halo_opt_size(L, 3, "read_into", HALO_OFFSET_MAX, buffer->size);
    uint64_t offset = halo_opt_size(L, 4, "read_into", HALO_OFFSET_MAX, HALO_POSITION);
    if (length > buffer->size)
        return halo_arg_error(L, 3, "read_into", "more bytes than the buffer has");

    struct halo_op *op = new_file_op(L, lua, HALO_OP_READ, "read_into");
    op->data = buffer->data;
    op->length = (size_t)length;
    op->offset = offset;
    op->flags = HALO_READ_INTO;
    return halo_await(L, lua, op);
}

/* The bytes of a string or a buffer at index, or NULL. */
static const uint8_t *to_bytes(lua_State *L, int index, size_t *length)
{
    if (lua_type(L, index) == LUA_TSTRING)
        return (const uint8_t *)lua_tolstring(L, index, length);
    const struct halo_lua_buffer *buffer = halo_to_buffer(L, index);
    if (!buffer)
        return NULL;
    *length = buffer->size;
    return buffer->data;
}

/*
 * An array is put together in the operation's own memory: its members could be taken out of it
 * while the kernel writes them.
 */
static void gather(lua_State *L, struct halo_lua *lua, struct halo_op *op)
{
    size_t total = 0, at = 0, length = 0;
    int count = (int)lua_objlen(L, 2);

    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        if (!to_bytes(L, -1, &length)) {
            halo_op_release(lua->loop, op);
            halo_arg_error(L, 2, "write",
                           lua_pushfstring(L, "element %d is no string and no buffer", i));
        }
        total += length;
        lua_pop(L, 1);
    }
    op->data = (uint8_t *)halo_op_storage(op, total + 1);
    op->length = total;
    if (!op->data) {
        halo_op_release(lua->loop, op);
        luaL_error(L, "not enough memory");
    }
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        const uint8_t *bytes = to_bytes(L, -1, &length);
        memcpy(op->data + at, bytes, length);
        at += length;
        lua_pop(L, 1);
    }
}

static int fs_write(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    size_t length = 0;
    halo_check_file(L, 1, "write");
    const uint8_t *bytes = to_bytes(L, 2, &length);
    if (!bytes && lua_type(L, 2) != LUA_TTABLE)
        return halo_arg_type_error(L, 2, "write", "string, buffer or an array of them");
    uint64_t offset = halo_opt_size(L, 3, "write", HALO_OFFSET_MAX, HALO_POSITION);

    struct halo_op *op = new_file_op(L, lua, HALO_OP_WRITE, "write");
    op->data = (uint8_t *)(uintptr_t)bytes; /* a write only reads from it */
    op->length = length;
    op->offset = offset;
    if (!bytes)
        gather(L, lua, op);
    return halo_await(L, lua, op);
}

static int fs_fsync(lua_State *L)
{
    return await_file(L, HALO_OP_FSYNC, "fsync");
}

static int fs_fdatasync(lua_State *L)
{
    return await_file(L, HALO_OP_FDATASYNC, "fdatasync");
}

/* ---- metadata and names -------------------------------------------------------------------- */

static int fs_stat(lua_State *L)
{
    return await_path(L, HALO_OP_STAT, "stat");
}

static int fs_lstat(lua_State *L)
{
    return await_path(L, HALO_OP_LSTAT, "lstat");
}

static int fs_fstat(lua_State *L)
{
    return await_file(L, HALO_OP_FSTAT, "fstat");
}

static int fs_rename(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    size_t from_length, to_length;
    const char *from = halo_check_path(L, 1, "rename", &from_length);
    const char *to = halo_check_path(L, 2, "rename", &to_length);

    struct halo_op *op = new_op(L, lua, HALO_OP_RENAME);
    if (halo_op_set_paths(op, from, from_length, to, to_length) < 0) {
        halo_op_release(lua->loop, op);
        return luaL_error(L, "not enough memory");
    }
    return halo_await(L, lua, op);
}

static int fs_remove(lua_State *L)
{
    return await_path(L, HALO_OP_REMOVE, "remove");
}

static int fs_mkdir(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint32_t mode = (uint32_t)halo_opt_size(L, 2, "mkdir", MODE_MAX, MKDIR_MODE_DEFAULT);
    struct halo_op *op = new_path_op(L, lua, HALO_OP_MKDIR, "mkdir");
    op->mode = mode;
    return halo_await(L, lua, op);
}

static int fs_rmdir(lua_State *L)
{
    return await_path(L, HALO_OP_RMDIR, "rmdir");
}

static int fs_readdir(lua_State *L)
{
    return await_path(L, HALO_OP_READDIR, "readdir");
}

/* ---- registration -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    lua_Integer value;
} flags[] = {
    {"RDONLY", O_RDONLY},     {"WRONLY", O_WRONLY},   {"RDWR", O_RDWR},
    {"CREAT", O_CREAT},       {"EXCL", O_EXCL},       {"TRUNC", O_TRUNC},
    {"APPEND", O_APPEND},     {"DIRECT", O_DIRECT},   {"DIRECTORY", O_DIRECTORY},
    {"NOFOLLOW", O_NOFOLLOW}, {"SYNC", O_SYNC},       {"DSYNC", O_DSYNC},
    {"NONBLOCK", O_NONBLOCK}, {"NOATIME", O_NOATIME}, {"NOCTTY", O_NOCTTY},
    {"PATH", O_PATH},         {"TMPFILE", O_TMPFILE},
};

static const luaL_Reg functions[] = {
    {"open", fs_open},           {"close", fs_close},
    {"read", fs_read},           {"read_into", fs_read_into},
    {"write", fs_write},         {"fsync", fs_fsync},
    {"fdatasync", fs_fdatasync}, {"stat", fs_stat},
    {"lstat", fs_lstat},         {"fstat", fs_fstat},
    {"rename", fs_rename},       {"remove", fs_remove},
    {"mkdir", fs_mkdir},         {"rmdir", fs_rmdir},
    {"readdir", fs_readdir},     {NULL, NULL},
};

void halo_open_fs(lua_State *L)
{
    halo_register(L, functions);
    lua_createtable(L, 0, sizeof(flags) / sizeof(flags[0]));
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        lua_pushinteger(L, flags[i].value);
        lua_setfield(L, -2, flags[i].name);
    }
    lua_setfield(L, -2, "flags");
}
