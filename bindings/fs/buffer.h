/*
 * buffer.h: halo.buffer, memory to read into and write from. It is part of its userdata, which
 * Lua never moves, so that it lives exactly as long as something refers to it.
 */
#ifndef HALO_LUA_BUFFER_H
#define HALO_LUA_BUFFER_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct halo_lua_buffer {
    const char *type;
    size_t size;
    uint8_t *data;    /* aligned to 4096 bytes, as O_DIRECT wants it; its owner stands before it */
    uint32_t readers; /* operations in flight that read into it: at most one, */
    uint32_t writers; /* and those that write from it */
};

/*
 * A buffer is lent to an operation from when that gets under way until its own completion, whether
 * somebody waits for it or not.
 */
/* Whether it may be looked at now or, with change, written to. */
static inline bool halo_buffer_is_free(const struct halo_lua_buffer *buffer, bool change)
{
    return buffer->readers == 0 && !(change && buffer->writers > 0);
}
/* Raises where it may not. */
void halo_buffer_check(lua_State *L, const struct halo_lua_buffer *buffer, bool change);

void halo_open_buffer(lua_State *L);

#endif
