#include "fs/buffer.h"

#include <string.h>

#include "args.h"
#include "fs/fs.h"

#define ALIGNMENT      4096u
#define SIZE_MAX_BYTES (1u << 30)

static struct halo_lua_buffer *check_buffer(lua_State *L, int arg, const char *name)
{
    return halo_check_type(L, arg, halo_buffer_type, name);
}

void halo_buffer_check(lua_State *L, const struct halo_lua_buffer *buffer, bool change)
{
    if (!halo_buffer_is_free(buffer, change))
        halo_error(L, "this buffer is lent to an operation in flight, until that has ended");
}

static int buffer(lua_State *L)
{
    size_t size =
        (size_t)halo_check_size(L, 1, "buffer", halo_bytes_max(halo_lua_self(L), SIZE_MAX_BYTES));
    struct halo_lua_buffer *made = lua_newuserdata(L, sizeof(*made) + size + ALIGNMENT);
    uintptr_t start = (uintptr_t)(made + 1);
    made->type = halo_buffer_type;
    made->size = size;
    made->data = (uint8_t *)((start + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
    made->readers = made->writers = 0;
    memset(made->data, 0, size);
    luaL_getmetatable(L, halo_buffer_type);
    lua_setmetatable(L, -2);
    return 1;
}

static int buffer_string(lua_State *L)
{
    const struct halo_lua_buffer *self = check_buffer(L, 1, "string");
    halo_buffer_check(L, self, false);
    size_t from = (size_t)halo_opt_size(L, 2, "string", self->size, 0);
    size_t count = (size_t)halo_opt_size(L, 3, "string", self->size - from, self->size - from);
    lua_pushlstring(L, (const char *)self->data + from, count);
    return 1;
}

/* set(buffer, string [, i]): copies the string into the buffer at offset i. */
static int buffer_set(lua_State *L)
{
    struct halo_lua_buffer *self = check_buffer(L, 1, "set");
    size_t length;
    if (lua_type(L, 2) != LUA_TSTRING)
        return halo_arg_type_error(L, 2, "set", "string");
    const char *data = lua_tolstring(L, 2, &length);
    if (length > self->size)
        return halo_arg_error(L, 2, "set", "the string is longer than the buffer");
    size_t at = (size_t)halo_opt_size(L, 3, "set", self->size - length, 0);
    halo_buffer_check(L, self, true);
    memcpy(self->data + at, data, length);
    lua_settop(L, 1);
    return 1;
}

/* search(buffer, text [, i [, n]]): the offset of the text in n bytes from offset i, or nil. */
static int buffer_search(lua_State *L)
{
    const struct halo_lua_buffer *self = check_buffer(L, 1, "search");
    size_t length;
    if (lua_type(L, 2) != LUA_TSTRING)
        return halo_arg_type_error(L, 2, "search", "string");
    const char *text = lua_tolstring(L, 2, &length);
    size_t from = (size_t)halo_opt_size(L, 3, "search", self->size, 0);
    size_t count = (size_t)halo_opt_size(L, 4, "search", self->size - from, self->size - from);
    halo_buffer_check(L, self, false);
    const uint8_t *found = memmem(self->data + from, count, text, length);
    if (found)
        lua_pushnumber(L, (double)(found - self->data));
    else
        lua_pushnil(L);
    return 1;
}

static int buffer_address(lua_State *L)
{
    const struct halo_lua_buffer *self = check_buffer(L, 1, "ptr");
    halo_buffer_check(L, self, false);
    lua_pushlightuserdata(L, self->data);
    return 1;
}

static int buffer_size(lua_State *L)
{
    lua_pushnumber(L, (double)check_buffer(L, 1, "size")->size);
    return 1;
}

static int buffer_tostring(lua_State *L)
{
    lua_pushfstring(L, "buffer (%d bytes)", (int)check_buffer(L, 1, "tostring")->size);
    return 1;
}

static const luaL_Reg functions[] = {
    {"buffer", buffer},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"string", buffer_string}, {"set", buffer_set},   {"address", buffer_address},
    {"search", buffer_search}, {"size", buffer_size}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", buffer_tostring},
    {"__len", buffer_size},
    {NULL, NULL},
};

void halo_open_buffer(lua_State *L)
{
    halo_register(L, functions);
    halo_open_type(L, halo_buffer_type, metamethods, methods);
}
