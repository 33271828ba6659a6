/*
 * wide.h: text as libedit has it, in wide characters, and as Lua has it, in bytes.
 */
#ifndef HALO_WIDE_H
#define HALO_WIDE_H

#include <lua.h>
#include <stddef.h>
#include <wchar.h>

/* Pushes text as bytes; characters that have none in this locale are left out. */
void halo_wide_push(lua_State *L, const wchar_t *text, size_t count);

/* Turns bytes into a wide string of the caller's; bytes that are no characters are left out. */
wchar_t *halo_wide_from(const char *bytes, size_t size, wchar_t *wide, size_t max);

#endif
