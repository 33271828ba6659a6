/*
 * memory.h: a Lua state that halo makes, and its memory: the host's allocator, or LuaJIT's own, and
 * a limit.
 */
#ifndef HALO_HOST_MEMORY_H
#define HALO_HOST_MEMORY_H

#include "tasks/state.h"

/*
 * options may be NULL. memory is NULL where nobody looks. Returns NULL when memory is out. Until
 * halo_memory_opened() LuaJIT gets what it asks for.
 */
lua_State *halo_memory_new_state(const struct halo_lua_options *options,
                                 struct halo_memory **memory);
/* Its libraries are open. False where there was too little memory for them. */
bool halo_memory_opened(struct halo_memory *memory);
void halo_memory_close_state(lua_State *L, struct halo_memory *memory);

#endif
