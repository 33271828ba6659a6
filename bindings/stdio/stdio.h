/*
 * stdio.h: Lua's own files, the userdata that io.open makes, for halo.io (lua/halo/io/): what their
 * FILEs have in their buffers is looked at, taken and put there, and written by operations.
 */
#ifndef HALO_STDIO_STDIO_H
#define HALO_STDIO_STDIO_H

#include "tasks/state.h"

/* Each adds its functions to the table on top of the stack. */
void halo_open_stdio_reading(lua_State *L);
void halo_open_stdio_writing(lua_State *L);
void halo_open_stdio_opening(lua_State *L);

void halo_open_stdio(lua_State *L);

#endif
