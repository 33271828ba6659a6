/*
 * stdio.h: Lua's own files, the userdata that io.open makes, for halo.io (lua/halo/io/): what their
 * FILEs have in their buffers is looked at, taken and put there, and written by operations.
 */
#ifndef HALO_STDIO_STDIO_H
#define HALO_STDIO_STDIO_H

#include "tasks/state.h"

void halo_open_stdio(lua_State *L);

#endif
