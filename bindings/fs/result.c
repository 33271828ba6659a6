/*
 * From a completion to Lua values: the one place that knows what each operation returns.
 */
#include "fs/result.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>

#include "args.h"
#include "fs/file.h"
#include "fs/listing.h"
#include "fs/out.h"
#include "fs/stat.h"
#include "tasks/shield.h"
#include "tasks/task.h"

/* ---- errors -------------------------------------------------------------------------------- */

/* "ENOENT: no such file or directory", in the manner of libuv: the text without its capital. */
static void push_text(lua_State *L, int error, const char *text)
{
    char first[2] = {(char)tolower((unsigned char)text[0]), '\0'};
    if (isupper((unsigned char)text[1]))
        first[0] = text[0];
    lua_pushfstring(L, "%s: %s%s", halo_error_name(error), first, text + 1);
}

static int push_message(lua_State *L, int error, const char *text, const char *path,
                        const char *path2)
{
    lua_pushnil(L);
    push_text(L, error, text);
    if (path)
        lua_pushfstring(L, ": %s", path);
    else
        lua_pushliteral(L, "");
    if (path2)
        lua_pushfstring(L, " -> %s", path2);
    else
        lua_pushliteral(L, "");
    lua_concat(L, 3);
    lua_pushstring(L, halo_error_name(error));
    return 3;
}

int halo_push_error(lua_State *L, int error, const char *path, const char *path2)
{
    return push_message(L, error, strerror(error), path, path2);
}

/* What a fence says that lets a call not by. */
static const char *refusal(const struct halo_lua *lua, unsigned right)
{
    bool flags = lua->fenced_by_flags;
    switch (right) {
    case HALO_MAY_READ:
        return flags ? "not allowed (--allow-read)" : "not allowed to read";
    case HALO_MAY_WRITE:
        return flags ? "not allowed (--allow-write)" : "not allowed to write";
    case HALO_MAY_EXECUTE:
        return flags ? "not allowed (--no-exec)" : "not allowed to start programs";
    default:
        return "not allowed";
    }
}

int halo_push_refusal(lua_State *L, const struct halo_lua *lua, unsigned right, const char *path)
{
    return push_message(L, EACCES, refusal(lua, right), path, NULL);
}

int halo_push_file_error(lua_State *L, int error, const struct halo_lua_file *file)
{
    const char *text = error == EBADF ? "the file is closed" : strerror(error);
    return push_message(L, error, text, file->path, NULL);
}

/* EBADF has these causes here, and none is a bad descriptor. */
static const char *bad_file(const struct halo_lua *lua, const struct halo_op *op)
{
    enum halo_op_code kind = halo_op_kind(op);
    struct halo_file_info info;

    if (halo_file_info(lua->loop, op->file, &info) < 0)
        return "the file is closed";
    if (info.flags & O_PATH)
        return "the file is only a place (PATH)";
    return kind == HALO_OP_WRITE || kind == HALO_OP_FALLOCATE ? "the file is not open for writing"
                                                              : "the file is not open for reading";
}

static bool has_two_paths(const struct halo_op *op)
{
    enum halo_op_code kind = halo_op_kind(op);
    return kind == HALO_OP_RENAME || kind == HALO_OP_LINK || kind == HALO_OP_SYMLINK ||
           kind == HALO_OP_COPYFILE;
}

/* A write for nobody ends the task by which it was made, unless that is shielded. */
static bool ends_task(lua_State *L, struct halo_lua *lua, const struct halo_op *op)
{
    int fd = op->result == -EPIPE ? halo_file_fd(lua->loop, op->file) : -EBADF;

    if (fd < 0 || !halo_out_is_unread(lua, fd, EPIPE))
        return false;
    struct halo_task *task = lua->delivering ? lua->delivering : lua->task;
    if (!task || (lua->delivering ? task->shields > 0 : halo_is_shielded(L, lua)))
        return false;
    task->cancelled = true;
    return true;
}

/* The call's first argument is the file or the path it is about, the second maybe a path too. */
static int push_failure(lua_State *L, struct halo_lua *lua, const struct halo_op *op,
                        lua_State *from)
{
    int error = (int)-op->result;
    const struct halo_lua_file *file = halo_to_type(from, 1, halo_file_type);
    const char *path2 = has_two_paths(op) ? lua_tostring(from, 2) : NULL;
    const char *text = strerror(error);

    if (halo_op_lacks(op))
        text = refusal(lua, halo_op_lacks(op));
    if (error == EXDEV && halo_op_is_confined(op))
        text = "the path leads out of the directory, or to another file system";
    if (file && error == EBADF)
        text = bad_file(lua, op);
    else if (error == EBADF && op->base)
        text = "the directory is closed";
    if (error == ESPIPE && (halo_op_kind(op) == HALO_OP_HASH || halo_op_kind(op) == HALO_OP_FHASH))
        text = "no regular file, which alone has contents to hash";
    if (file && error == EINVAL && halo_op_kind(op) == HALO_OP_WRITE)
        text = "invalid argument: a file opened to append takes no offset, and one opened with "
               "DIRECT only aligned ones";
    return push_message(L, error, text, file ? file->path : lua_tostring(from, 1), path2);
}

/* ---- values -------------------------------------------------------------------------------- */

static int push_file(lua_State *L, const struct halo_op *op, lua_State *from)
{
    struct halo_lua_file *file = lua_touserdata(from, HALO_OPEN_FILE_INDEX);
    file->handle = op->file;
    lua_pushvalue(from, HALO_OPEN_FILE_INDEX);
    if (from != L)
        lua_xmove(from, L, 1);
    return 1;
}

/* Names, each with a NUL behind it. */
static int push_names(lua_State *L, const char *names, size_t size)
{
    int count = 0;

    lua_newtable(L);
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        lua_pushstring(L, name);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static int push_statfs(lua_State *L, const struct halo_op *op)
{
    struct statfs status;
    memcpy(&status, op->data, sizeof(status));
    lua_createtable(L, 0, 9);
    set_number(L, "type", (double)(unsigned long)status.f_type);
    set_number(L, "bsize", (double)status.f_bsize);
    set_number(L, "frsize", (double)(status.f_frsize ? status.f_frsize : status.f_bsize));
    set_number(L, "blocks", (double)status.f_blocks);
    set_number(L, "bfree", (double)status.f_bfree);
    set_number(L, "bavail", (double)status.f_bavail);
    set_number(L, "files", (double)status.f_files);
    set_number(L, "ffree", (double)status.f_ffree);
    set_number(L, "namelen", (double)status.f_namelen);
    return 1;
}

static int push_success(lua_State *L, const struct halo_op *op, lua_State *from)
{
    const char *data = (const char *)op->data;
    size_t size = (size_t)op->result;

    switch (halo_op_kind(op)) {
    case HALO_OP_OPEN:
        return push_file(L, op, from);
    case HALO_OP_SPAWN:
        lua_pushnumber(L, (double)op->result);
        return push_file(L, op, from) + 1;
    case HALO_OP_READ:
    case HALO_OP_READFILE:
        if (op->flags & HALO_READ_INTO)
            lua_pushnumber(L, (double)op->result);
        else if (size == 0 && halo_op_kind(op) == HALO_OP_READ && !(op->flags & HALO_READ_ALL))
            lua_pushnil(L);
        else
            lua_pushlstring(L, data, op->flags & HALO_READ_PEEK ? 0 : size);
        return 1;
    case HALO_OP_READLINK:
    case HALO_OP_REALPATH:
    case HALO_OP_GETXATTR:
    case HALO_OP_LGETXATTR:
    case HALO_OP_FGETXATTR:
    case HALO_OP_HASH:
    case HALO_OP_FHASH:
        lua_pushlstring(L, data, size);
        return 1;
    case HALO_OP_WRITE:
        /* Of one that was sent from a buffer, the count is that of the call that waits. */
        lua_pushnumber(L, op->flags & HALO_WRITE_BEHIND ? op->mode : (double)op->result);
        return 1;
    case HALO_OP_SEEK:
    case HALO_OP_COPYFILE:
    case HALO_OP_WATCH:
    case HALO_OP_POLL:
        lua_pushnumber(L, (double)op->result);
        return 1;
    case HALO_OP_STAT:
    case HALO_OP_LSTAT:
    case HALO_OP_FSTAT:
        return halo_push_stat(L, op->statx, from);
    case HALO_OP_STATFS:
    case HALO_OP_FSTATFS:
        return push_statfs(L, op);
    case HALO_OP_READDIR:
    case HALO_OP_GETDENTS:
        return op->flags & HALO_ROW ? halo_push_row(L, op, from) : halo_push_entries(L, op);
    case HALO_OP_LISTXATTR:
    case HALO_OP_LLISTXATTR:
    case HALO_OP_FLISTXATTR:
        return push_names(L, data, size);
    default:
        lua_pushboolean(L, 1);
        return 1;
    }
}

bool halo_result_is_plain(const struct halo_op *op)
{
    if (op->result < 0)
        return false;
    switch (halo_op_kind(op)) {
    case HALO_OP_READ:
    case HALO_OP_READFILE:
        return op->flags & HALO_READ_INTO;
    case HALO_OP_READLINK:
    case HALO_OP_REALPATH:
    case HALO_OP_GETXATTR:
    case HALO_OP_LGETXATTR:
    case HALO_OP_FGETXATTR:
    case HALO_OP_HASH:
    case HALO_OP_FHASH:
    case HALO_OP_LISTXATTR:
    case HALO_OP_LLISTXATTR:
    case HALO_OP_FLISTXATTR:
    case HALO_OP_STAT:
    case HALO_OP_LSTAT:
    case HALO_OP_FSTAT:
    case HALO_OP_STATFS:
    case HALO_OP_FSTATFS:
    case HALO_OP_READDIR:
    case HALO_OP_GETDENTS:
        return false;
    default:
        return true;
    }
}

int halo_push_result(lua_State *L, struct halo_lua *lua, struct halo_op *op, lua_State *from)
{
    if (op->result >= 0)
        return push_success(L, op, from);
    return ends_task(L, lua, op) ? halo_push_cancelled(L, lua) : push_failure(L, lua, op, from);
}
