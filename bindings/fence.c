/*
 * The fence of a Lua state: what its host allows, and what the command does to fence a script. No
 * script can get at these functions: they are C's, and the command's own Lua forgets them once it
 * has used them.
 */
#include "fence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "host/host.h"
#include "tasks/state.h"

_Static_assert(HALO_LUA_MAY_READ == HALO_MAY_READ && HALO_LUA_MAY_WRITE == HALO_MAY_WRITE &&
                   HALO_LUA_MAY_EXECUTE == HALO_MAY_EXECUTE && HALO_LUA_MAY_ADOPT == HALO_MAY_ADOPT,
               "halo_lua.h names the same rights as halo.h");

/* Returns 0 or -errno. */
static int allow(struct halo_lua *lua, const char *path, unsigned rights)
{
    int error = lua->fence ? 0 : halo_fence_create(&lua->fence);
    if (error || (!path && !rights))
        return error;
    return halo_fence_allow(lua->fence, path, rights);
}

struct call {
    const char *path;
    unsigned rights;
};

static int allow_protected(lua_State *L)
{
    const struct call *call = lua_touserdata(L, 1);
    struct halo_lua *lua = halo_lua_get(L);

    if (lua->loop && !lua->fence)
        return luaL_error(L, "halo_lua_allow() must come before the first operation");
    int error = allow(lua, call->path, call->rights);
    if (error < 0)
        return luaL_error(L, "cannot allow %s: %s", call->path ? call->path : "that",
                          strerror(-error));
    return 0;
}

int halo_lua_allow(struct halo_lua *halo, const char *path, unsigned rights)
{
    struct call call = {.path = path, .rights = rights};
    int code = halo_host_check_idle(halo);

    if (code != 0)
        return code;
    int status = lua_cpcall(halo->L, allow_protected, &call);
    return status == 0 ? 0 : halo_host_fail(halo, status);
}

/* ---- for the command ----------------------------------------------------------------------- */

/* An array of {path, rights} as rules, in memory that Lua collects. */
static size_t to_rules(lua_State *L, int index, struct halo_kernel_rule **rules)
{
    size_t count = lua_objlen(L, index);

    *rules = lua_newuserdata(L, (count + 1) * sizeof(**rules));
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (int)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        (*rules)[i] = (struct halo_kernel_rule){
            .path = lua_tostring(L, -2),
            .rights = (unsigned)lua_tointeger(L, -1),
        };
        lua_pop(L, 3);
    }
    return count;
}

/*
 * kernel(rules, paths, execution): true, or nil and what is wrong. What libc reads once, it reads
 * before.
 */
static int kernel(lua_State *L)
{
    struct halo_kernel_fence fence = {
        .paths = lua_toboolean(L, 2),
        .execution = lua_toboolean(L, 3),
    };
    struct halo_kernel_rule *rules;
    const char *path;

    fence.count = to_rules(L, 1, &rules);
    fence.rules = rules;
    tzset();
    int error = halo_kernel_fence(&fence, &path);
    if (error == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    if (path)
        lua_pushfstring(L, "%s: %s", path, strerror(-error));
    else
        lua_pushfstring(L,
                        "this kernel has no Landlock, which holds scripts (%s): it takes Linux "
                        "5.13, with landlock among its security modules (lsm=)",
                        strerror(-error));
    return 2;
}

/* allow([path,] rights): true, or nil and what is wrong. */
static int allow_from_lua(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);
    const char *path = lua_isnil(L, 1) ? NULL : luaL_checkstring(L, 1);
    int error = allow(lua, path, (unsigned)luaL_checkinteger(L, 2));

    lua->fenced_by_flags = true;
    if (error == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path ? path : "?", strerror(-error));
    return 2;
}

/* allows(path, rights): whether the path's names would be let by. */
static int allows(lua_State *L)
{
    const struct halo_lua *lua = halo_lua_get(L);
    lua_pushboolean(L, !lua->fence || halo_fence_allows(lua->fence, luaL_checkstring(L, 1),
                                                        (unsigned)luaL_checkinteger(L, 2)));
    return 1;
}

/* remove(names): the libraries. */
static int remove_libraries(lua_State *L)
{
    halo_remove_libraries(L, luaL_checkstring(L, 1));
    return 0;
}

/* The real path of what is there, or nil. */
static int real_path(lua_State *L)
{
    char *path = realpath(luaL_checkstring(L, 1), NULL);
    lua_pushstring(L, path);
    free(path);
    return 1;
}

/* close_others(): what the program that started this one has left open, but for 0 to 2. */
static int close_others(lua_State *L)
{
    (void)L;
    closefrom(STDERR_FILENO + 1);
    return 0;
}

static const luaL_Reg functions[] = {
    {"kernel", kernel},
    {"allow", allow_from_lua},
    {"allows", allows},
    {"remove", remove_libraries},
    {"close_others", close_others},
    {"real_path", real_path},
    {NULL, NULL},
};

void halo_push_fence_means(lua_State *L)
{
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    lua_setfield(L, -2, "fence");
}
