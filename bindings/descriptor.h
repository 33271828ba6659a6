/* descriptor.h: waiting for descriptors; halo.poll wraps it for the user. */
#ifndef HALO_DESCRIPTOR_H
#define HALO_DESCRIPTOR_H

#include <lua.h>

void halo_open_descriptor(lua_State *L);

#endif
