/*
 * module.h: what the programs know of the simulator beside halo itself: the module "simulator".
 */
#ifndef SIMULATOR_MODULE_H
#define SIMULATOR_MODULE_H

#include <lua.h>

/* Pushes the module. */
int simulator_open(lua_State *L);

#endif
