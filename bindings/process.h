/* process.h: starting other programs, and waiting for them; halo.process wraps it for the user. */
#ifndef HALO_PROCESS_H
#define HALO_PROCESS_H

#include <lua.h>

void halo_open_process(lua_State *L);

#endif
