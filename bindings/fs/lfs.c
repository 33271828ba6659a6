/*
 * What halo.lfs needs beside halo's own calls: locks on Lua's files, and the
 * removal of a name by a finalizer.
 */
#include <errno.h>
#include <fcntl.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs.h"

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

/* unlink(path): for a finalizer, which must not wait for the loop. */
static int lfs_unlink(lua_State *L)
{
    unlinkat(AT_FDCWD, luaL_checkstring(L, 1), 0);
    return 0;
}

static const luaL_Reg functions[] = {
    {"lock_stdio", lfs_lock_stdio},
    {"unlink", lfs_unlink},
    {NULL, NULL},
};

void halo_open_lfs(lua_State *L)
{
    lua_newtable(L);
    halo_register(L, functions);
    lua_setfield(L, -2, "lfs");
}
