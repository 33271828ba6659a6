#include "stdio/lua_file.h"

#include "fs/fs.h"
#include "stdio/stream.h"

struct luajit_file *halo_stdio_file(lua_State *L, const struct halo_lua *lua, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || lua_objlen(L, index) != sizeof(struct luajit_file) ||
        !lua_getmetatable(L, index))
        return NULL;
    bool is_file = lua_topointer(L, -1) == lua->stdio_meta;
    lua_pop(L, 1);
    return is_file ? lua_touserdata(L, index) : NULL;
}

FILE *halo_stdio_stream(lua_State *L, const struct halo_lua *lua, int index)
{
    const struct luajit_file *file = halo_stdio_file(L, lua, index);
    return file ? file->stream : NULL;
}

bool halo_stdio_is_usable(const struct halo_lua *lua)
{
    return !lua->closed && !(lua->loop && halo_loop_is_forked(lua->loop));
}

FILE *halo_stdio_readable(lua_State *L, const struct halo_lua *lua, int index)
{
    FILE *stream = halo_stdio_stream(L, lua, index);
    return stream && halo_stream_can_read(stream) ? stream : NULL;
}

FILE *halo_stdio_writable(lua_State *L, const struct halo_lua *lua, int index)
{
    FILE *stream = halo_stdio_stream(L, lua, index);
    return stream && halo_stream_can_write(stream) ? stream : NULL;
}

bool halo_stdio_is_alone(const struct halo_lua *lua)
{
    return lua->loop && halo_submit_flags(lua) == HALO_ALONE && !halo_loop_busy(lua->loop);
}

bool halo_stdio_is_alone_with(const struct halo_lua *lua, const struct halo_lua_file *file)
{
    struct halo_file_info info;

    return halo_stdio_is_alone(lua) && !(file->out && file->out->used > 0) &&
           halo_file_info(lua->loop, file->handle, &info) == 0 && info.local;
}
