/* What Lua calls to have writes gathered, and for the order of standard output. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/fs.h"
#include "tasks/interrupt.h"

#define OUT_BYTES_MAX (1u << 30)

/* set_buffer(file, size): true, or nil, message, code. 0 bytes: none. What is in it goes out. */
static int out_set_buffer(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_lua_file *file = halo_check_file(L, 1, "setvbuf");
    size_t size =
        (size_t)halo_check_size(L, 2, "setvbuf", halo_bytes_max(halo_lua_self(L), OUT_BYTES_MAX));
    struct halo_file_info info;

    int error = halo_file_info(halo_lua_loop(L, lua), file->handle, &info);
    if (error < 0)
        return halo_push_file_error(L, -error, file);
    if (size > 0 && (info.flags & O_ACCMODE) == O_RDONLY)
        return halo_push_file_error(L, EBADF, file);
    if (file->out && file->out->used > 0 && halo_out_send(lua, file->out) < 0)
        return luaL_error(L, "not enough memory");
    halo_out_free(lua, file);
    if (size > 0 && !halo_out_make(lua, file, size))
        return luaL_error(L, "not enough memory");
    lua_pushboolean(L, 1);
    return 1;
}

/* gathers(file): whether there is something that it was given and has not written yet. */
static int out_gathers(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "flush");
    struct halo_file_info info = {0};

    halo_file_info(halo_lua_loop(L, lua), file->handle, &info);
    lua_pushboolean(L, info.behind > 0 || (file->out && file->out->used > 0));
    return 1;
}

/* mark_stdout(file): C's buffer of the same descriptor has to be kept in order with this File. */
static int out_mark_stdout(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_lua_file *file = halo_check_file(L, 1, "stdout");

    file->is_stdout = true;
    if (lua->stdout_file == LUA_NOREF) {
        lua_pushvalue(L, 1);
        lua->stdout_file = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_pushboolean(L, isatty(STDOUT_FILENO));
    return 1;
}

/* settle_stdout(): what halo.stdout has gathered goes out, before others write to the same. */
static int out_settle_stdout(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);

    if (lua->stdout_file == LUA_NOREF || !lua->loop || halo_loop_is_forked(lua->loop))
        return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->stdout_file);
    const struct halo_lua_file *file = lua_touserdata(L, -1);
    struct halo_file_info info;
    if (file->out && halo_file_info(lua->loop, file->handle, &info) == 0 &&
        (file->out->used > 0 || info.behind > 0))
        halo_out_is_unread(lua, STDOUT_FILENO, -halo_out_flush(lua, file->out));
    errno = 0;
    return 0;
}

/*
 * after_print([fd]): after C has written to standard output, or has been told EPIPE by this
 * descriptor: raises the cancellation where nobody reads what is printed.
 */
static int out_after_print(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    bool told = lua->is_unread || !lua_isnoneornil(L, 1);
    int fd = (int)luaL_optinteger(L, 1, STDOUT_FILENO);

    if ((told || ferror(stdout)) && halo_out_is_unread(lua, fd, told ? EPIPE : errno))
        halo_interrupt_raise(L, lua);
    return 0;
}

/* stdout_failed(): whether C could not write some of it, and whether that was for want of readers.
 */
static int out_stdout_failed(lua_State *L)
{
    lua_pushboolean(L, ferror(stdout));
    lua_pushboolean(L, halo_lua_self(L)->is_unread);
    return 2;
}

/* forgive_stdout(): that some of it was not written is as it should be: somebody interrupted it. */
static int out_forgive_stdout(lua_State *L)
{
    (void)L;
    clearerr(stdout);
    return 0;
}

/* finish(): writes all that is gathered; nil, message, code for the first File that fails. */
static int out_finish(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_out *failed = NULL;
    int first = 0;

    if (!lua->loop || halo_loop_is_forked(lua->loop))
        return lua_pushboolean(L, 1), 1;
    for (struct halo_out *out = lua->outs; out; out = out->next) {
        int error = halo_out_flush(lua, out);
        halo_out_is_unread(lua, halo_file_fd(lua->loop, out->handle), -error);
        if (error && !failed) {
            first = error;
            failed = out;
        }
    }
    if (failed)
        return halo_push_error(L, -first, failed->path, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"set_buffer", out_set_buffer},
    {"gathers", out_gathers},
    {"mark_stdout", out_mark_stdout},
    {"settle_stdout", out_settle_stdout},
    {"after_print", out_after_print},
    {"stdout_failed", out_stdout_failed},
    {"finish_writing", out_finish},
    {"forgive_stdout", out_forgive_stdout},
    {NULL, NULL},
};

void halo_open_gather(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);

    lua->send_forgotten = halo_out_send_forgotten;
    lua->send_all = halo_out_send_all;
    lua->stdout_file = lua->stdout_room = LUA_NOREF;
    halo_register(L, functions);
}
