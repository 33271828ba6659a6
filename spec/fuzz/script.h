/*
 * script.h: a fuzzer that is written in Lua. Its file returns a function, which is called with
 * each input, as a task of halo, and raises where something is wrong.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <lua.h>

#include "fuzz.h"

/* The text of a script, to be read before a program gives up what it may do. */
struct script {
    const char *path;
    char *text;
    size_t size;
};

void script_read(struct script *script, const char *path);

/* Makes a state with halo in it, and the script's function on its stack. */
lua_State *script_open(const struct script *script);

/* Calls the function. */
void script_run(lua_State *L, const uint8_t *data, size_t size);

/* Ends halo and the state. */
void script_close(lua_State *L);

#endif
