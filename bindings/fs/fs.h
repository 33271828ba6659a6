/*
 * fs.h: what the files of the filesystem calls share. Each call checks its arguments, fills in an
 * operation and awaits it; results are made in result.c. halo.fs (lua/halo/fs/) wraps them for the
 * user, since a cancellation can be raised there and not from a resumed C function.
 */
#ifndef HALO_LUA_FS_H
#define HALO_LUA_FS_H

#include "args.h"
#include "fs/await.h"
#include "fs/buffer.h"
#include "fs/file.h"
#include "fs/out.h"
#include "fs/result.h"

#define HALO_MODE_MAX   07777
#define HALO_STRING_MAX 0x7fff0000u /* bytes: longer strings are more than LuaJIT can hold */

/* The bytes that a call may make at most. */
static inline uint64_t halo_bytes_max(const struct halo_lua *lua, uint64_t otherwise)
{
    return lua->max_bytes && lua->max_bytes < otherwise ? lua->max_bytes : otherwise;
}

/*
 * A call on paths takes the File of a directory before them, which relative ones start from, where
 * core.as_base() has made it one for that: from users it would be a mistake. core.AT_FDCWD stands
 * there for the working directory. Takes it off the stack and returns its handle, or 0. The core
 * keeps the directory open meanwhile.
 */
uint64_t halo_take_base(lua_State *L);
/* The same of a File that stands before the second path, which starts from there then. */
uint64_t halo_take_base2(lua_State *L);

/* A new operation. */
struct halo_op *halo_new_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code);
/* The same on the File that is the first argument. */
struct halo_op *halo_new_file_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code,
                                 const char *name);
/* The same on the path that is the first argument; and on the first two. */
struct halo_op *halo_new_path_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code,
                                 const char *name);
struct halo_op *halo_new_paths_op(lua_State *L, struct halo_lua *lua, enum halo_op_code code,
                                  const char *name);

/* Gives an operation its path, or both (path2 may be NULL), and returns it. */
struct halo_op *halo_set_paths(lua_State *L, struct halo_lua *lua, struct halo_op *op,
                               const char *path, size_t length, const char *path2, size_t length2);

/* Calls that take a path, or a file, and nothing else. */
int halo_await_path(lua_State *L, enum halo_op_code code, const char *name);
int halo_await_file(lua_State *L, enum halo_op_code code, const char *name);

void halo_open_fs(lua_State *L);
void halo_open_fast(lua_State *L);
void halo_open_gather(lua_State *L);
void halo_open_lfs(lua_State *L);
void halo_open_fs_data(lua_State *L);
void halo_open_fs_meta(lua_State *L);
void halo_open_fs_names(lua_State *L);
void halo_open_fs_watch(lua_State *L);
void halo_open_random(lua_State *L);
void halo_open_stat(lua_State *L);

#endif
