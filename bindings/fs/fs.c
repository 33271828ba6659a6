/* The filesystem calls: what they share, and the numbers that Lua needs to know. */
#include "fs/fs.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/listing.h"

static uint64_t take_base(lua_State *L, int arg)
{
    const struct halo_lua_file *directory = halo_to_type(L, arg, halo_file_type);
    if (!directory || !directory->is_base)
        return 0; /* the check of the path will say that a File is none */
    uint64_t handle = directory->handle;
    lua_remove(L, arg);
    return handle;
}

uint64_t halo_take_base(lua_State *L)
{
    return take_base(L, 1);
}

uint64_t halo_take_base2(lua_State *L)
{
    return take_base(L, 2);
}

struct halo_op *halo_new_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code)
{
    struct halo_loop *loop = halo_lua_loop(L, lua);
    struct halo_op *op = halo_op_new(loop, code);
    if (!op)
        luaL_error(L, "not enough memory");
    return op;
}

struct halo_op *halo_new_file_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code,
                                 const char *name)
{
    const struct halo_lua_file *file = halo_check_file(L, 1, name);
    struct halo_op *op = halo_new_op(L, lua, code);
    op->file = file->handle;
    return op;
}

struct halo_op *halo_set_paths(lua_State *L, struct halo_lua *lua, struct halo_op *op,
                               const char *path, size_t length, const char *path2, size_t length2)
{
    if (halo_op_set_paths(op, path, length, path2, length2) < 0) {
        halo_op_release(lua->loop, op);
        luaL_error(L, "not enough memory");
    }
    return op;
}

struct halo_op *halo_new_path_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code,
                                 const char *name)
{
    size_t length;
    uint64_t base = halo_take_base(L);
    const char *path = halo_check_path(L, 1, name, &length);
    struct halo_op *op = halo_new_op(L, lua, code);
    op->base = base;
    return halo_set_paths(L, lua, op, path, length, NULL, 0);
}

struct halo_op *halo_new_paths_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code,
                                  const char *name)
{
    size_t length, length2;
    uint64_t base = halo_take_base(L), base2 = halo_take_base2(L);
    const char *path = halo_check_path(L, 1, name, &length);
    const char *path2 = halo_check_path(L, 2, name, &length2);
    struct halo_op *op = halo_new_op(L, lua, code);
    op->base = base;
    op->base2 = base2;
    return halo_set_paths(L, lua, op, path, length, path2, length2);
}

int halo_await_path(lua_State *L, enum halo_op_code code, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(L, lua, halo_new_path_op(L, lua, code, name));
}

int halo_await_file(lua_State *L, enum halo_op_code code, const char *name)
{
    struct halo_lua *lua = halo_lua_self(L);
    return halo_await(L, lua, halo_new_file_op(L, lua, code, name));
}

/* ---- numbers ------------------------------------------------------------------------------- */

struct number {
    const char *name;
    double value;
};

static const struct number flags[] = {
    {"RDONLY", O_RDONLY},     {"WRONLY", O_WRONLY},   {"RDWR", O_RDWR},
    {"CREAT", O_CREAT},       {"EXCL", O_EXCL},       {"TRUNC", O_TRUNC},
    {"APPEND", O_APPEND},     {"DIRECT", O_DIRECT},   {"DIRECTORY", O_DIRECTORY},
    {"NOFOLLOW", O_NOFOLLOW}, {"SYNC", O_SYNC},       {"DSYNC", O_DSYNC},
    {"NONBLOCK", O_NONBLOCK}, {"NOATIME", O_NOATIME}, {"NOCTTY", O_NOCTTY},
    {"PATH", O_PATH},         {"TMPFILE", O_TMPFILE}, {NULL, 0},
};

static const struct number events[] = {
    {"ACCESS", IN_ACCESS},
    {"MODIFY", IN_MODIFY},
    {"ATTRIB", IN_ATTRIB},
    {"CLOSE_WRITE", IN_CLOSE_WRITE},
    {"CLOSE_NOWRITE", IN_CLOSE_NOWRITE},
    {"OPEN", IN_OPEN},
    {"MOVED_FROM", IN_MOVED_FROM},
    {"MOVED_TO", IN_MOVED_TO},
    {"CREATE", IN_CREATE},
    {"DELETE", IN_DELETE},
    {"DELETE_SELF", IN_DELETE_SELF},
    {"MOVE_SELF", IN_MOVE_SELF},
    {"UNMOUNT", IN_UNMOUNT},
    {"Q_OVERFLOW", IN_Q_OVERFLOW},
    {"IGNORED", IN_IGNORED},
    {"ISDIR", IN_ISDIR},
    {"ONLYDIR", IN_ONLYDIR},
    {"DONT_FOLLOW", IN_DONT_FOLLOW},
    {"EXCL_UNLINK", IN_EXCL_UNLINK},
    {"MASK_ADD", IN_MASK_ADD},
    {NULL, 0},
};

/* The largest value of an offset or a size, and of permission bits. */
static const struct number limits[] = {
    {"size", HALO_OFFSET_MAX},
    {"mode", HALO_MODE_MAX},
    {NULL, 0},
};

static const struct number file_types[] = {
    {"fifo", S_IFIFO}, {"char", S_IFCHR},    {"dir", S_IFDIR},     {"block", S_IFBLK},
    {"file", S_IFREG}, {"symlink", S_IFLNK}, {"socket", S_IFSOCK}, {NULL, 0},
};

/* The letters of fs.access. */
static const struct number access_bits[] = {{"r", R_OK}, {"w", W_OK}, {"x", X_OK}, {NULL, 0}};

/* The rest are the options and words of the calls that they are named for. */

static const struct number rename_flags[] = {
    {"noreplace", RENAME_NOREPLACE},
    {"exchange", RENAME_EXCHANGE},
    {NULL, 0},
};

static const struct number setxattr_flags[] = {
    {"create", XATTR_CREATE},
    {"replace", XATTR_REPLACE},
    {NULL, 0},
};

static const struct number fallocate_flags[] = {
    {"keep_size", FALLOC_FL_KEEP_SIZE},
    {"punch_hole", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}, /* the one takes the other */
    {"collapse", FALLOC_FL_COLLAPSE_RANGE},
    {"zero", FALLOC_FL_ZERO_RANGE},
    {"insert", FALLOC_FL_INSERT_RANGE},
    {NULL, 0},
};

static const struct number sync_range_flags[] = {
    {"wait_before", SYNC_FILE_RANGE_WAIT_BEFORE},
    {"write", SYNC_FILE_RANGE_WRITE},
    {"wait_after", SYNC_FILE_RANGE_WAIT_AFTER},
    {NULL, 0},
};

static const struct number advices[] = {
    {"normal", POSIX_FADV_NORMAL},
    {"random", POSIX_FADV_RANDOM},
    {"sequential", POSIX_FADV_SEQUENTIAL},
    {"willneed", POSIX_FADV_WILLNEED},
    {"dontneed", POSIX_FADV_DONTNEED},
    {"noreuse", POSIX_FADV_NOREUSE},
    {NULL, 0},
};

static const struct number find_whences[] = {{"data", SEEK_DATA}, {"hole", SEEK_HOLE}, {NULL, 0}};

static const struct number copy_flags[] = {
    {"exclusive", HALO_COPY_EXCLUSIVE},
    {"reflink", HALO_COPY_REFLINK},
    {"mode", HALO_COPY_MODE},
    {"times", HALO_COPY_TIMES},
    {"no_link", HALO_COPY_NO_LINK},
    {"no_follow", HALO_COPY_NO_FOLLOW},
    {"owner", HALO_COPY_OWNER},
    {"xattrs", HALO_COPY_XATTRS},
    {"any", HALO_COPY_ANY},
    {"single", HALO_COPY_SINGLE},
    {NULL, 0},
};

static const struct number confine_flags[] = {
    {"beneath", HALO_CONFINE_BENEATH},
    {"no_mounts", HALO_CONFINE_NO_MOUNTS},
    {"no_links", HALO_CONFINE_NO_LINKS},
    {NULL, 0},
};

static const struct number list_flags[] = {
    {"stat", HALO_READDIR_STAT},
    {"follow", HALO_READDIR_FOLLOW},
    {"order", HALO_ROW_SORTED},
    {"paths", HALO_ROW_PATHS},
    {"no_symlinks", HALO_READDIR_NO_SYMLINKS},
    {NULL, 0},
};

static const struct {
    const char *name;
    const struct number *numbers;
} tables[] = {
    {"flags", flags},
    {"events", events},
    {"limits", limits},
    {"file_types", file_types},
    {"access_bits", access_bits},
    {"rename_flags", rename_flags},
    {"setxattr_flags", setxattr_flags},
    {"fallocate_flags", fallocate_flags},
    {"sync_range_flags", sync_range_flags},
    {"advices", advices},
    {"find_whences", find_whences},
    {"copy_flags", copy_flags},
    {"confine_flags", confine_flags},
    {"list_flags", list_flags},
};

/* Sets a table of each of these, from names to numbers, in the table on top of the stack. */
static void set_numbers(lua_State *L)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        lua_newtable(L);
        for (const struct number *number = tables[i].numbers; number->name; number++) {
            lua_pushnumber(L, number->value);
            lua_setfield(L, -2, number->name);
        }
        lua_setfield(L, -2, tables[i].name);
    }
}

/* ---- the process's umask ------------------------------------------------------------------- */

/* Asking by umask(2) would leave the process without a mask while others create files. */
static mode_t ask_umask(void)
{
    char line[128];
    unsigned mask = 0;
    FILE *status = fopen("/proc/self/status", "re");
    if (!status)
        return 0;
    while (fgets(line, sizeof(line), status) && sscanf(line, "Umask: %o", &mask) != 1)
        continue;
    fclose(status);
    return (mode_t)mask;
}

/* umask([mask]): sets the process's mask where one is given, and returns the one before. */
static int fs_umask(lua_State *L)
{
    mode_t before;
    if (lua_isnoneornil(L, 1))
        before = ask_umask();
    else
        before = umask((mode_t)halo_check_size(L, 1, "umask", HALO_MODE_MAX));
    lua_pushinteger(L, (lua_Integer)before);
    return 1;
}

/* file_limit(): how many descriptors the process may have. */
static int fs_file_limit(lua_State *L)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
    getrlimit(RLIMIT_NOFILE, &limit);
    lua_pushnumber(L, limit.rlim_cur == RLIM_INFINITY ? HUGE_VAL : (double)limit.rlim_cur);
    return 1;
}

/* ---- registration -------------------------------------------------------------------------- */

/* bytes_max(): what one call may make. */
static int bytes_max(lua_State *L)
{
    lua_pushnumber(L, (double)halo_bytes_max(halo_lua_self(L), HALO_STRING_MAX));
    return 1;
}

static const luaL_Reg functions[] = {
    {"bytes_max", bytes_max},
    {"umask", fs_umask},
    {"file_limit", fs_file_limit},
    {NULL, NULL},
};

void halo_open_fs(lua_State *L)
{
    halo_register(L, functions);
    set_numbers(L);
}
