/*
 * What halo.lfs needs beside halo's own calls: locks on Lua's files, and the link by which a
 * directory is locked, which a finalizer may have to remove.
 */
#include <errno.h>
#include <fcntl.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/file.h"
#include "fs/fs.h"

#define FD_FIRST 3 /* that is no standard one */

/*
 * lock_stdio(file, "r", "w" or "u", start, length): true, or nil and the system's words. The file
 * is one of io's that is open. It never waits for who has the lock.
 */
static int lfs_lock_stdio(lua_State *L)
{
    FILE *const *file = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    char kind = *luaL_checkstring(L, 2);
    int type = kind == 'r' ? F_RDLCK : kind == 'w' ? F_WRLCK : F_UNLCK;
    struct flock lock = {
        .l_type = (short)type,
        .l_whence = SEEK_SET,
        .l_start = (off_t)lua_tointeger(L, 3),
        .l_len = (off_t)lua_tointeger(L, 4),
    };

    if (fcntl(fileno(*file), F_SETLK, &lock) == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
}

/*
 * A finalizer cannot wait for the loop, whose fence nobody passes otherwise. So the link is held by
 * a descriptor of its directory, in which the fence has let it be made: no name leads elsewhere.
 */
struct link {
    int fd; /* -1 once it is for others to remove */
    char name[];
};

static const char link_type[] = "halo.lfs.link";

/* hold_link(directory, name): what removes the name in that open directory when it is collected. */
static int lfs_hold_link(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *directory = halo_to_type(L, 1, halo_file_type);
    size_t length;
    const char *name = luaL_checklstring(L, 2, &length);
    struct link *link = lua_newuserdata(L, sizeof(*link) + length + 1);

    link->fd = -1;
    memcpy(link->name, name, length + 1);
    luaL_getmetatable(L, link_type);
    lua_setmetatable(L, -2);
    int fd = directory && lua->loop ? halo_file_fd(lua->loop, directory->handle) : -EBADF;
    if (fd >= 0)
        link->fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_FIRST);
    return 1;
}

static void close_link(struct link *link)
{
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

static int link_collect(lua_State *L)
{
    struct link *link = lua_touserdata(L, 1);
    if (link->fd >= 0)
        unlinkat(link->fd, link->name, 0);
    close_link(link);
    return 0;
}

/* release_link(link): it stays where it is. */
static int lfs_release_link(lua_State *L)
{
    close_link(luaL_checkudata(L, 1, link_type));
    return 0;
}

static const luaL_Reg functions[] = {
    {"lock_stdio", lfs_lock_stdio},
    {"hold_link", lfs_hold_link},
    {"release_link", lfs_release_link},
    {NULL, NULL},
};

void halo_open_lfs(lua_State *L)
{
    luaL_newmetatable(L, link_type);
    lua_pushcfunction(L, link_collect);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_newtable(L);
    halo_register(L, functions);
    lua_setfield(L, -2, "lfs");
}
