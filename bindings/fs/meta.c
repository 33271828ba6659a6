/* Calls on what is known of a file beside its data. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/stat.h"

#define ID_KEEP  UINT32_MAX
#define TIME_MAX 9007199254740992.0 /* seconds */

static int fs_stat(lua_State *L)
{
    halo_check_stat(L, "stat");
    return halo_await_path(L, HALO_OP_STAT, "stat");
}

static int fs_lstat(lua_State *L)
{
    halo_check_stat(L, "lstat");
    return halo_await_path(L, HALO_OP_LSTAT, "lstat");
}

static int fs_fstat(lua_State *L)
{
    halo_check_stat(L, "fstat");
    return halo_await_file(L, HALO_OP_FSTAT, "fstat");
}

/* statfs(path) and calls on extended attributes take a File in its place, and a base before it. */
static int fs_statfs(lua_State *L)
{
    const struct halo_lua_file *file = halo_to_type(L, 1, halo_file_type);
    if (file && !file->is_base)
        return halo_await_file(L, HALO_OP_FSTATFS, "statfs");
    return halo_await_path(L, HALO_OP_STATFS, "statfs");
}

static int fs_sync(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(L, lua, halo_new_op(L, lua, HALO_OP_SYNC));
}

static int fs_truncate(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint64_t base = halo_take_base(L);
    uint64_t size = halo_check_size(L, 2, "truncate", HALO_OFFSET_MAX);
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_TRUNCATE, "truncate");
    op->base = base;
    op->offset = size;
    return halo_await(L, lua, op);
}

/* ---- permissions and owners ---------------------------------------------------------------- */

static int fs_access(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_ACCESS, "access");
    op->mode = (uint32_t)lua_tointeger(L, 2);
    return halo_await(L, lua, op);
}

static int fs_chmod(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint64_t base = halo_take_base(L);
    uint32_t mode = (uint32_t)halo_check_size(L, 2, "chmod", HALO_MODE_MAX);
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_CHMOD, "chmod");
    op->base = base;
    op->mode = mode;
    return halo_await(L, lua, op);
}

static int fs_fchmod(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint32_t mode = (uint32_t)halo_check_size(L, 2, "fchmod", HALO_MODE_MAX);
    struct halo_op *op = halo_new_file_op(L, lua, HALO_OP_FCHMOD, "fchmod");
    op->mode = mode;
    return halo_await(L, lua, op);
}

/* nil leaves an owner as it is. */
static int await_chown_path(lua_State *L, enum halo_op_code code, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint64_t base = halo_take_base(L);
    uint64_t uid = halo_opt_size(L, 2, name, ID_KEEP - 1, ID_KEEP);
    uint64_t gid = halo_opt_size(L, 3, name, ID_KEEP - 1, ID_KEEP);
    struct halo_op *op = halo_new_path_op(L, lua, code, name);
    op->base = base;
    op->uid = (uint32_t)uid;
    op->gid = (uint32_t)gid;
    return halo_await(L, lua, op);
}

static int fs_chown(lua_State *L)
{
    return await_chown_path(L, HALO_OP_CHOWN, "chown");
}

static int fs_lchown(lua_State *L)
{
    return await_chown_path(L, HALO_OP_LCHOWN, "lchown");
}

static int fs_fchown(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint64_t uid = halo_opt_size(L, 2, "fchown", ID_KEEP - 1, ID_KEEP);
    uint64_t gid = halo_opt_size(L, 3, "fchown", ID_KEEP - 1, ID_KEEP);
    struct halo_op *op = halo_new_file_op(L, lua, HALO_OP_FCHOWN, "fchown");
    op->uid = (uint32_t)uid;
    op->gid = (uint32_t)gid;
    return halo_await(L, lua, op);
}

/* ---- times --------------------------------------------------------------------------------- */

static double check_seconds(lua_State *L, int index, int arg, const char *name)
{
    double seconds = lua_tonumber(L, index);
    if (lua_type(L, index) != LUA_TNUMBER || !(fabs(seconds) <= TIME_MAX))
        halo_arg_error(L, arg, name, "a time is nil, 'now', seconds or {seconds, nanoseconds}");
    return seconds;
}

/* On top of the stack, out of the table at an argument. */
static long check_nanoseconds(lua_State *L, int arg, const char *name)
{
    double value = lua_isnil(L, -1) ? 0 : lua_tonumber(L, -1);
    bool is_number = lua_isnil(L, -1) || lua_type(L, -1) == LUA_TNUMBER;
    if (!is_number || !(value >= 0 && value < 1e9) || value != floor(value))
        halo_arg_error(L, arg, name, "the nanoseconds of a time are a whole number below 10^9");
    return (long)value;
}

/* nil leaves the time as it is; a table {seconds, nanoseconds} is exact where a number is not. */
static struct timespec check_time(lua_State *L, int arg, const char *name)
{
    struct timespec time = {.tv_sec = 0, .tv_nsec = UTIME_OMIT};

    if (lua_isnoneornil(L, arg))
        return time;
    if (lua_type(L, arg) == LUA_TSTRING && strcmp(lua_tostring(L, arg), "now") == 0) {
        time.tv_nsec = UTIME_NOW;
        return time;
    }
    if (lua_istable(L, arg)) {
        lua_rawgeti(L, arg, 1);
        double seconds = check_seconds(L, -1, arg, name);
        if (seconds != floor(seconds))
            halo_arg_error(L, arg, name,
                           "the seconds of {seconds, nanoseconds} are a whole number");
        time.tv_sec = (time_t)seconds;
        lua_rawgeti(L, arg, 2);
        time.tv_nsec = check_nanoseconds(L, arg, name);
        lua_pop(L, 2);
        return time;
    }
    double seconds = check_seconds(L, arg, arg, name);
    double whole = floor(seconds);
    long nsec = (long)((seconds - whole) * 1e9);
    bool carry = nsec >= 1000000000; /* as of a number just below a whole one */
    time.tv_sec = (time_t)whole + carry;
    time.tv_nsec = carry ? 0 : nsec;
    return time;
}

static int await_utime(lua_State *L, enum halo_op_code code, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    bool on_file = code == HALO_OP_FUTIME;
    uint64_t base = on_file ? 0 : halo_take_base(L);
    struct timespec atime = check_time(L, 2, name), mtime = check_time(L, 3, name);
    struct halo_op *op =
        on_file ? halo_new_file_op(L, lua, code, name) : halo_new_path_op(L, lua, code, name);
    op->base = base;
    op->times[0] = atime;
    op->times[1] = mtime;
    return halo_await(L, lua, op);
}

static int fs_utime(lua_State *L)
{
    return await_utime(L, HALO_OP_UTIME, "utime");
}

static int fs_lutime(lua_State *L)
{
    return await_utime(L, HALO_OP_LUTIME, "lutime");
}

static int fs_futime(lua_State *L)
{
    return await_utime(L, HALO_OP_FUTIME, "futime");
}

/* ---- extended attributes ------------------------------------------------------------------- */

/*
 * The first argument is a path or a File, the second the attribute's name where there is one. What
 * is about a symbolic link itself takes no File, which is never of one: both codes are the same.
 */
static struct halo_op *new_xattr_op(lua_State *L, struct halo_lua *lua, enum halo_op_code by_path,
                                    enum halo_op_code by_file, bool named, const char *name)
{
    size_t path_length = 0, attribute_length = 0;
    uint64_t base = halo_take_base(L);
    const struct halo_lua_file *file =
        by_file == by_path ? NULL : halo_to_type(L, 1, halo_file_type);
    const char *path = file ? "" : halo_check_path(L, 1, name, &path_length);
    if (named && lua_type(L, 2) != LUA_TSTRING)
        halo_arg_type_error(L, 2, name, "name of an attribute (a string)");
    const char *attribute = named ? halo_check_path(L, 2, name, &attribute_length) : NULL;

    struct halo_op *op = halo_new_op(L, lua, file ? by_file : by_path);
    op->base = base;
    if (file)
        op->file = file->handle;
    if (halo_op_set_paths(op, path, path_length, attribute, attribute_length) < 0) {
        halo_op_release(lua->loop, op);
        luaL_error(L, "not enough memory");
    }
    return op;
}

static int fs_getxattr(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(L, lua,
                      new_xattr_op(L, lua, HALO_OP_GETXATTR, HALO_OP_FGETXATTR, true, "getxattr"));
}

static int fs_lgetxattr(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(
        L, lua, new_xattr_op(L, lua, HALO_OP_LGETXATTR, HALO_OP_LGETXATTR, true, "lgetxattr"));
}

/* setxattr(path or file, name, value, flags) */
static int set_xattr(lua_State *L, enum halo_op_code by_path, enum halo_op_code by_file,
                     const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    size_t length;
    uint64_t base = halo_take_base(L);
    if (lua_type(L, 3) != LUA_TSTRING)
        return halo_arg_type_error(L, 3, name, "string");
    const char *value = lua_tolstring(L, 3, &length);
    struct halo_op *op = new_xattr_op(L, lua, by_path, by_file, true, name);
    op->base = base;
    op->data = (uint8_t *)(uintptr_t)value; /* it is only read from */
    op->length = length;
    op->flags = (uint32_t)lua_tointeger(L, 4);
    return halo_await(L, lua, op);
}

static int fs_setxattr(lua_State *L)
{
    return set_xattr(L, HALO_OP_SETXATTR, HALO_OP_FSETXATTR, "setxattr");
}

static int fs_lsetxattr(lua_State *L)
{
    return set_xattr(L, HALO_OP_LSETXATTR, HALO_OP_LSETXATTR, "lsetxattr");
}

static int fs_llistxattr(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(
        L, lua, new_xattr_op(L, lua, HALO_OP_LLISTXATTR, HALO_OP_LLISTXATTR, false, "llistxattr"));
}

static int fs_lremovexattr(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(
        L, lua,
        new_xattr_op(L, lua, HALO_OP_LREMOVEXATTR, HALO_OP_LREMOVEXATTR, true, "lremovexattr"));
}

static int fs_listxattr(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(
        L, lua, new_xattr_op(L, lua, HALO_OP_LISTXATTR, HALO_OP_FLISTXATTR, false, "listxattr"));
}

static int fs_removexattr(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(
        L, lua,
        new_xattr_op(L, lua, HALO_OP_REMOVEXATTR, HALO_OP_FREMOVEXATTR, true, "removexattr"));
}

static const luaL_Reg functions[] = {
    {"stat", fs_stat},
    {"lstat", fs_lstat},
    {"fstat", fs_fstat},
    {"statfs", fs_statfs},
    {"sync", fs_sync},
    {"truncate", fs_truncate},
    {"access", fs_access},
    {"chmod", fs_chmod},
    {"fchmod", fs_fchmod},
    {"chown", fs_chown},
    {"lchown", fs_lchown},
    {"fchown", fs_fchown},
    {"utime", fs_utime},
    {"lutime", fs_lutime},
    {"futime", fs_futime},
    {"getxattr", fs_getxattr},
    {"lgetxattr", fs_lgetxattr},
    {"setxattr", fs_setxattr},
    {"lsetxattr", fs_lsetxattr},
    {"listxattr", fs_listxattr},
    {"llistxattr", fs_llistxattr},
    {"removexattr", fs_removexattr},
    {"lremovexattr", fs_lremovexattr},
    {NULL, NULL},
};

void halo_open_fs_meta(lua_State *L)
{
    halo_register(L, functions);
}
