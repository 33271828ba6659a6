#include "fs/file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "fs/out.h"
#include "fs/result.h"

struct halo_lua_file *halo_file_new(lua_State *L, const char *path, size_t length)
{
    struct halo_lua_file *file = lua_newuserdata(L, sizeof(*file) + length + 1);
    file->type = halo_file_type;
    file->handle = 0;
    file->is_base = file->is_alias = file->is_stdout = false;
    file->out = NULL;
    file->length = length;
    memcpy(file->path, path, length);
    file->path[length] = '\0';
    luaL_getmetatable(L, halo_file_type);
    lua_setmetatable(L, -2);
    return file;
}

/* Mostly the method was called with a dot where a colon should be. */
static void wrong_self(lua_State *L, int arg, const char *name)
{
    const char *got = lua_isnone(L, arg) ? "no value" : luaL_typename(L, arg);
    halo_arg_error(L, arg, name,
                   lua_pushfstring(L, "File expected, got %s: file:%s(...) passes it", got, name));
}

struct halo_lua_file *halo_check_file(lua_State *L, int arg, const char *name)
{
    struct halo_lua_file *file = halo_to_type(L, arg, halo_file_type);
    if (!file)
        wrong_self(L, arg, name);
    return file;
}

/* A finalizer must neither wait nor raise: the loop closes the file later, where it might. */
static int file_gc(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_lua_file *file = lua_touserdata(L, 1);
    if (file->out && file->out->used > 0 && lua->loop) {
        halo_out_forget(lua, file);
        return 0;
    }
    halo_out_free(lua, file);
    if (file->handle && !file->is_alias && lua->loop)
        halo_file_drop(lua->loop, file->handle);
    return 0;
}

static bool is_open(const struct halo_lua *lua, const struct halo_lua_file *file)
{
    struct halo_file_info info;
    return lua->loop && halo_file_info(lua->loop, file->handle, &info) == 0;
}

static int file_tostring(lua_State *L)
{
    const struct halo_lua_file *file = halo_check_file(L, 1, "tostring");
    bool open = is_open(halo_lua_self(L), file);
    lua_pushfstring(L, open ? "file (%s)" : "file (closed, %s)", file->path);
    return 1;
}

static int file_is_open(lua_State *L)
{
    lua_pushboolean(L, is_open(halo_lua_self(L), halo_check_file(L, 1, "is_open")));
    return 1;
}

static int file_path(lua_State *L)
{
    const struct halo_lua_file *file = halo_check_file(L, 1, "path");
    lua_pushlstring(L, file->path, file->length);
    return 1;
}

/* fd(file): the descriptor, to look at but never to close; or nil. */
static int file_fd(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "fd");
    int fd = lua->loop ? halo_file_fd(lua->loop, file->handle) : -1;
    if (fd < 0)
        return 0;
    lua_pushinteger(L, fd);
    return 1;
}

/* metatables(): those of a File and of a Buffer, which getmetatable() does not give. */
static int file_metatables(lua_State *L)
{
    luaL_getmetatable(L, halo_file_type);
    luaL_getmetatable(L, halo_buffer_type);
    return 2;
}

/* as_base(file): the same File, which may from now on stand before the path of a call. */
static int file_as_base(lua_State *L)
{
    struct halo_lua_file *file = halo_check_type(L, 1, halo_file_type, "at");
    file->is_base = true;
    lua_settop(L, 1);
    return 1;
}

/* alias(file): another File of the same, to stand before a path; the user's own is none for that.
 */
static int file_alias(lua_State *L)
{
    const struct halo_lua_file *file = halo_check_type(L, 1, halo_file_type, "at");
    struct halo_lua_file *alias = halo_file_new(L, file->path, file->length);
    alias->handle = file->handle;
    alias->is_base = alias->is_alias = true;
    return 1;
}

/* confines(file): whether what leads out of the directory is refused. */
static int file_confines(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "at");
    struct halo_file_info info = {.confines = lua->fence && !file->handle};
    if (lua->loop)
        halo_file_info(lua->loop, file->handle, &info);
    lua_pushboolean(L, info.confines);
    return 1;
}

/* confine(file, how): the same File, for calls that begin in it limited so, see halo.h. */
static int file_confine(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_lua_file *file = halo_check_file(L, 1, "at");
    unsigned how = (unsigned)luaL_checkinteger(L, 2);
    int error = halo_file_confine(halo_lua_loop(L, lua), file->handle, how);
    if (error < 0)
        return halo_push_file_error(L, -error, file);
    lua_settop(L, 1);
    return 1;
}

struct listing {
    lua_State *L;
    struct halo_lua *lua;
};

static void list_open(uint64_t handle, void *context)
{
    const struct listing *listing = context;
    char link[64], path[4096];
    int fd = halo_file_fd(listing->lua->loop, handle);

    if (fd < 0)
        return;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path));
    lua_pushlstring(listing->L, path, length > 0 ? (size_t)length : 0);
    lua_rawseti(listing->L, -2, (int)lua_objlen(listing->L, -2) + 1);
}

/* open_files(): the paths of the files that are open. */
static int file_open_files(lua_State *L)
{
    struct listing listing = {.L = L, .lua = halo_lua_self(L)};
    lua_newtable(L);
    if (listing.lua->loop)
        halo_file_each(listing.lua->loop, list_open, &listing);
    return 1;
}

static const char new_file_key[] = "halo.new_file"; /* pushed without any memory: it is there */

/* new_file(name): a File that has no descriptor yet. */
static int new_file(lua_State *L)
{
    size_t length;
    const char *name = lua_tolstring(L, 1, &length);
    halo_file_new(L, name, length);
    return 1;
}

/*
 * adopt(fd, name, own): a File over a descriptor, which its close leaves open unless it is own. One
 * that is own is closed, too, where there is no memory for the File.
 */
static int file_adopt(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    int fd = (int)halo_check_size(L, 1, "adopt", INT32_MAX);
    size_t length;
    const char *name = halo_check_path(L, 2, "adopt", &length);
    bool own = lua_toboolean(L, 3);

    /* A fence would be none if the host's own files were anybody's who guesses their numbers. */
    if (lua->fence && fd > STDERR_FILENO && !halo_fence_allows(lua->fence, NULL, HALO_MAY_ADOPT))
        return halo_push_refusal(L, lua, HALO_MAY_ADOPT, name);
    lua_settop(L, 2);
    lua_getfield(L, LUA_REGISTRYINDEX, new_file_key);
    lua_pushvalue(L, 2);
    if (lua_pcall(L, 1, 1, 0) != 0) {
        if (own)
            close(fd);
        return lua_error(L);
    }
    struct halo_lua_file *file = lua_touserdata(L, -1);
    int error = halo_file_adopt(halo_lua_loop(L, lua), fd, !own, &file->handle);
    if (error < 0 && own)
        close(fd);
    return error < 0 ? halo_push_error(L, -error, name, NULL) : 1;
}

static const luaL_Reg functions[] = {
    {"adopt", file_adopt},
    {"open_files", file_open_files},
    {"metatables", file_metatables},
    {"as_base", file_as_base},
    {"alias", file_alias},
    {"confine", file_confine},
    {"confines", file_confines},
    {"is_open", file_is_open},
    {"path", file_path},
    {"fd", file_fd},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", file_gc},
    {"__tostring", file_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {NULL, NULL},
};

void halo_open_file(lua_State *L)
{
    halo_register(L, functions);
    halo_open_type(L, halo_file_type, metamethods, methods);
    lua_pushcfunction(L, new_file);
    lua_setfield(L, LUA_REGISTRYINDEX, new_file_key);
    /* No directory at all, in its place before a path: that starts from the working directory. */
    halo_file_new(L, ".", 1)->is_base = true;
    lua_setfield(L, -2, "AT_FDCWD");
}
