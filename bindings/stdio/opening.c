/* Making files of Lua's over descriptors of halo's, and taking the descriptors back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs.h"
#include "stdio/lua_file.h"
#include "stdio/stdio.h"
#include "stdio/stream.h"

#define TYPE_MASK 3u
#define TYPE_FILE 0u

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
    struct luajit_file *file = halo_stdio_file(L, lua, 1);
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
    struct luajit_file *file = halo_stdio_file(L, lua, 2);

    if (!file || !file->stream || (file->type & TYPE_MASK) != TYPE_FILE ||
        !halo_stdio_is_usable(lua) || halo_stream_pending(file->stream) > 0 ||
        closes_at_once(lua, own))
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
    struct luajit_file *file = halo_stdio_file(L, lua, 2);

    if (!own || own->out || !file || !file->stream || (file->type & TYPE_MASK) != TYPE_FILE ||
        !halo_stdio_is_usable(lua) || !lua->loop)
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

static const luaL_Reg functions[] = {
    {"mode", stdio_mode},
    {"become", stdio_become},
    {"detach", stdio_detach},
    {"collect", stdio_collect},
    {NULL, NULL},
};

void halo_open_stdio_opening(lua_State *L)
{
    halo_register(L, functions);
}
