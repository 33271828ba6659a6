/*
 * args.h: checks of arguments. Misuse raises an error that names the function and the argument,
 * at the line of the first frame that is not halo's own, however deep in halo it is noticed.
 */
#ifndef HALO_ARGS_H
#define HALO_ARGS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* halo's own Lua chunks are named "=[halo]...", so that positions and tracebacks can skip them. */
#define HALO_SOURCE_PREFIX "=[halo]"
bool halo_is_own_source(const char *source);

/* Whether the innermost Lua function is halo's own: it may be that which C was called by. */
bool halo_is_in_own_code(lua_State *L);

/* Raises message at the caller's line. */
int halo_error(lua_State *L, const char *message);
/* Pushes what halo_error() would raise. */
void halo_push_misuse(lua_State *L, const char *message);
/*
 * Raises "bad argument #arg to 'name' (message)". As Lua does, it leaves the File or Buffer out of
 * the count where it was called as a method, and names that.
 */
int halo_arg_error(lua_State *L, int arg, const char *name, const char *message);
/* Raises "bad argument #arg to 'name' (expected expected, got ...)". */
int halo_arg_type_error(lua_State *L, int arg, const char *name, const char *expected);

/*
 * halo's userdata start with a pointer to the name of their type, which is quicker to look at than
 * a metatable. The name is the metatable's key in the registry, too.
 */
extern const char halo_task_type[], halo_file_type[], halo_buffer_type[], halo_group_type[];

/* The userdata at index where it is of that type, or NULL. */
static inline void *halo_to_type(lua_State *L, int index, const char *type)
{
    if (lua_type(L, index) != LUA_TUSERDATA || lua_objlen(L, index) < sizeof(type))
        return NULL;
    const char *const *userdata = lua_touserdata(L, index);
    return *userdata == type ? (void *)(uintptr_t)userdata : NULL;
}

/* The userdata at an argument; raises where it is something else. */
void *halo_check_type(lua_State *L, int arg, const char *type, const char *name);
/* A path: a string, not a number, without a NUL byte. */
const char *halo_check_path(lua_State *L, int arg, const char *name, size_t *length);
/* An integral number 0..max; an absent one gives fallback. */
uint64_t halo_check_size(lua_State *L, int arg, const char *name, uint64_t max);
uint64_t halo_opt_size(lua_State *L, int arg, const char *name, uint64_t max, uint64_t fallback);
/* A time in seconds that is not negative and not NaN. */
double halo_check_seconds(lua_State *L, int arg, const char *name);

#endif
