/*
 * buffer.h: halo.buffer, memory to read into and write from. It is part of its userdata, which
 * Lua never moves, so that it lives exactly as long as something refers to it.
 */
#ifndef HALO_LUA_BUFFER_H
#define HALO_LUA_BUFFER_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

struct halo_lua_buffer {
    const char *type;
    size_t size;
    uint8_t *data; /* aligned to 4096 bytes, as O_DIRECT wants it */
};

#endif
