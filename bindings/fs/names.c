/* Calls on names and directories. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs/fs.h"
#include "fs/listing.h"

#define MKDIR_MODE_DEFAULT 0777
#define MKNOD_MODE_DEFAULT 0644

/* rename(from, to, flags) */
static int fs_rename(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_paths_op(L, lua, HALO_OP_RENAME, "rename");
    op->flags = (uint32_t)lua_tointeger(L, 3);
    return halo_await(L, lua, op);
}

static int fs_remove(lua_State *L)
{
    return halo_await_path(L, HALO_OP_REMOVE, "remove");
}

/* remove_leftover(name): as remove(), and it comes to be in a task that was cancelled as well. */
static int fs_remove_leftover(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_REMOVE, "remove");
    op->flags = HALO_REMOVE_LEFTOVER;
    return halo_await(L, lua, op);
}

static int await_mkdir(lua_State *L, uint32_t flags)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint64_t base = halo_take_base(L);
    uint32_t mode = (uint32_t)halo_opt_size(L, 2, "mkdir", HALO_MODE_MAX, MKDIR_MODE_DEFAULT);
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_MKDIR, "mkdir");
    op->base = base;
    op->mode = mode;
    op->flags = flags;
    return halo_await(L, lua, op);
}

/* mkdir(path, mode) */
static int fs_mkdir(lua_State *L)
{
    return await_mkdir(L, 0);
}

/* mkdir_undone(path, mode): as mkdir(), but where it is cancelled there is no directory, or soon.
 */
static int fs_mkdir_undone(lua_State *L)
{
    return await_mkdir(L, HALO_MKDIR_UNDO);
}

static int fs_rmdir(lua_State *L)
{
    return halo_await_path(L, HALO_OP_RMDIR, "rmdir");
}

static int fs_link(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(L, lua, halo_new_paths_op(L, lua, HALO_OP_LINK, "link"));
}

static int fs_symlink(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(L, lua, halo_new_paths_op(L, lua, HALO_OP_SYMLINK, "symlink"));
}

static int fs_readlink(lua_State *L)
{
    return halo_await_path(L, HALO_OP_READLINK, "readlink");
}

static int fs_realpath(lua_State *L)
{
    return halo_await_path(L, HALO_OP_REALPATH, "realpath");
}

static int await_mknod(lua_State *L, uint64_t base, uint32_t mode, uint64_t device,
                       const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_op *op = halo_new_path_op(L, lua, HALO_OP_MKNOD, name);
    op->base = base;
    op->mode = mode;
    op->offset = device;
    return halo_await(L, lua, op);
}

static int fs_mkfifo(lua_State *L)
{
    uint64_t base = halo_take_base(L);
    uint32_t mode = (uint32_t)halo_opt_size(L, 2, "mkfifo", HALO_MODE_MAX, MKNOD_MODE_DEFAULT);
    return await_mknod(L, base, mode | S_IFIFO, 0, "mkfifo");
}

static uint32_t check_node_type(lua_State *L, int arg)
{
    static const char *const names[] = {"file", "fifo", "socket", "char", "block"};
    static const uint32_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
    const char *name = lua_type(L, arg) == LUA_TSTRING ? lua_tostring(L, arg) : "";

    if (lua_isnoneornil(L, arg))
        return S_IFREG;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return types[i];
    halo_arg_error(L, arg, "mknod", "'file', 'fifo', 'socket', 'char' or 'block' expected");
    return 0;
}

/* mknod(path, type, mode, major, minor) */
static int fs_mknod(lua_State *L)
{
    size_t length;
    uint64_t base = halo_take_base(L);
    halo_check_path(L, 1, "mknod", &length);
    uint32_t type = check_node_type(L, 2);
    uint32_t mode = (uint32_t)halo_opt_size(L, 3, "mknod", HALO_MODE_MAX, MKNOD_MODE_DEFAULT);
    uint32_t major_number = (uint32_t)halo_opt_size(L, 4, "mknod", UINT32_MAX, 0);
    uint32_t minor_number = (uint32_t)halo_opt_size(L, 5, "mknod", UINT32_MAX, 0);
    return await_mknod(L, base, mode | type, makedev(major_number, minor_number), "mknod");
}

static int fs_readdir(lua_State *L)
{
    return halo_await_path(L, HALO_OP_READDIR, "readdir");
}

/*
 * list(file, path, skip, flags, fields): a row of the entries of a directory. The way to it from
 * the File is the path without its first bytes.
 */
static int fs_list(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    size_t length;
    uint64_t base = halo_take_base(L);
    const char *path = halo_check_path(L, 1, "walk", &length);
    size_t skip = (size_t)halo_check_size(L, 2, "walk", length);
    struct halo_op *op = halo_new_op(L, lua, HALO_OP_READDIR);
    op->base = base;
    op->flags = (uint32_t)lua_tointeger(L, 3) | HALO_ROW;
    return halo_await(L, lua, halo_set_paths(L, lua, op, path + skip, length - skip, NULL, 0));
}

static int fs_getdents(lua_State *L)
{
    return halo_await_file(L, HALO_OP_GETDENTS, "dir");
}

static uint32_t check_algorithm(lua_State *L, int arg)
{
    const char *name = lua_type(L, arg) == LUA_TSTRING ? lua_tostring(L, arg) : NULL;

    if (!name && !lua_isnoneornil(L, arg))
        halo_arg_type_error(L, arg, "hash", "name of an algorithm (a string)");
    if (name && strcmp(name, "xxh3") != 0 && strcmp(name, "sha256") != 0)
        halo_arg_error(L, arg, "hash", "no such algorithm, but xxh3 and sha256");
    return name && strcmp(name, "sha256") == 0 ? HALO_HASH_SHA256 : 0;
}

/* hash(path or file, algorithm) */
static int fs_hash(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint64_t base = halo_take_base(L);
    uint32_t algorithm = check_algorithm(L, 2);
    bool is_file = !base && halo_to_type(L, 1, halo_file_type);
    struct halo_op *op = is_file ? halo_new_file_op(L, lua, HALO_OP_FHASH, "hash")
                                 : halo_new_path_op(L, lua, HALO_OP_HASH, "hash");
    op->base = base;
    op->flags = algorithm;
    return halo_await(L, lua, op);
}

/* hold(directory, name): a hold on what the end removes, or nil where there is no memory for it. */
static int fs_hold(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    uint64_t directory = halo_check_file(L, 1, "hold")->handle;
    struct halo_leftover *left =
        halo_leftover_hold(halo_lua_loop(L, lua), directory, luaL_checkstring(L, 2));
    if (!left)
        return 0;
    lua_pushlightuserdata(L, left);
    return 1;
}

/* release(hold): nil is none. After the end there is nothing to release. */
static int fs_release(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    if (lua->loop && lua_islightuserdata(L, 1))
        halo_leftover_release(lua->loop, lua_touserdata(L, 1));
    return 0;
}

/* cwd(): neither this nor chdir() waits. */
static int fs_cwd(lua_State *L)
{
    /* It may be longer than a path that one can name. */
    for (size_t size = PATH_MAX;; size *= 2) {
        char *path = lua_newuserdata(L, size);
        if (getcwd(path, size))
            return lua_pushstring(L, path), 1;
        if (errno != ERANGE)
            return halo_push_error(L, errno, NULL, NULL);
    }
}

/* chdir(path): not while a relative path may still be looked up. */
static int fs_chdir(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    size_t length;
    const char *path = halo_check_path(L, 1, "chdir", &length);
    struct halo_loop *loop = halo_lua_loop(L, lua);

    if (halo_loop_needs_cwd(loop))
        return halo_push_error(L, EBUSY, path, NULL);
    int error = halo_loop_chdir(loop, path);
    bool refused =
        error == -EACCES && lua->fence && !halo_fence_allows(lua->fence, path, HALO_MAY_READ);
    if (error == -EXDEV || refused)
        return halo_push_refusal(L, lua, HALO_MAY_READ, path);
    if (error < 0)
        return halo_push_error(L, -error, path, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"rename", fs_rename},
    {"remove", fs_remove},
    {"remove_leftover", fs_remove_leftover},
    {"mkdir", fs_mkdir},
    {"mkdir_undone", fs_mkdir_undone},
    {"rmdir", fs_rmdir},
    {"link", fs_link},
    {"symlink", fs_symlink},
    {"readlink", fs_readlink},
    {"realpath", fs_realpath},
    {"mkfifo", fs_mkfifo},
    {"mknod", fs_mknod},
    {"readdir", fs_readdir},
    {"hold", fs_hold},
    {"release", fs_release},
    {"cwd", fs_cwd},
    {"chdir", fs_chdir},
    {"getdents", fs_getdents},
    {"list", fs_list},
    {"hash", fs_hash},
    {NULL, NULL},
};

void halo_open_fs_names(lua_State *L)
{
    halo_register(L, functions);
}
