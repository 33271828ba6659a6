/*
 * editor.h: line editing for the prompt.
 */
#ifndef HALO_EDITOR_H
#define HALO_EDITOR_H

#include <lua.h>

/* Puts open_editor() into the table on top of the stack. */
void halo_open_editor(lua_State *L);

#endif
