/*
 * file.h: the File userdata. It holds a handle, never a descriptor, and the path for messages.
 */
#ifndef HALO_LUA_FILE_H
#define HALO_LUA_FILE_H

#include "tasks/state.h"

struct halo_lua_file {
    const char *type;
    uint64_t handle;      /* 0 until it has been opened */
    bool is_base;         /* a directory that halo's own calls on paths may begin in */
    bool is_alias;        /* the handle is another File's, which closes it */
    bool is_stdout;       /* C's stdout writes to the same */
    struct halo_out *out; /* what it has been given to write, or NULL where it has no buffer */
    size_t length;
    char path[]; /* with a NUL behind */
};

/* Pushes a File that is not open yet. */
struct halo_lua_file *halo_file_new(lua_State *L, const char *path, size_t length);
/* Pushes nil, message, code for an error of a call that needs no operation. Returns 3. */
int halo_push_file_error(lua_State *L, int error, const struct halo_lua_file *file);
/* The File at an argument; raises where it is something else. */
struct halo_lua_file *halo_check_file(lua_State *L, int arg, const char *name);

void halo_open_file(lua_State *L);

#endif
