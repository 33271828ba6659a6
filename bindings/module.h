/* module.h: opening halo in a Lua state. */
#ifndef HALO_MODULE_H
#define HALO_MODULE_H

#include <lua.h>

/* Makes halo's state, so that require "halo" works; nothing where it is there. May raise. */
void halo_open_state(lua_State *L);

#endif
