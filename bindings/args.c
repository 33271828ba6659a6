#include "args.h"

#include <string.h>

#include "halo.h"

const char halo_task_type[] = "Task", halo_file_type[] = "File", halo_buffer_type[] = "Buffer",
           halo_group_type[] = "group";

bool halo_is_own_source(const char *source)
{
    return strncmp(source, HALO_SOURCE_PREFIX, sizeof(HALO_SOURCE_PREFIX) - 1) == 0;
}

bool halo_is_in_own_code(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "S", &ar);
        if (*ar.what != 'C')
            return halo_is_own_source(ar.source);
    }
    return false;
}

/* Pushes "file:line: " of the innermost Lua frame that is not halo's own, or "". */
static void push_where(lua_State *L)
{
    lua_Debug ar;
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && !halo_is_own_source(ar.source)) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

void halo_push_misuse(lua_State *L, const char *message)
{
    push_where(L);
    lua_pushstring(L, message);
    lua_concat(L, 2);
}

int halo_error(lua_State *L, const char *message)
{
    halo_push_misuse(L, message);
    return lua_error(L);
}

/* Whether the function on top of the stack is a method of that name of a File or a Buffer. */
static bool is_method(lua_State *L, const char *name)
{
    const char *const types[] = {halo_file_type, halo_buffer_type};
    bool same = false;

    for (int i = 0; i < 2 && !same; i++) {
        luaL_getmetatable(L, types[i]);
        lua_getfield(L, -1, "__index");
        lua_getfield(L, -1, name);
        same = lua_rawequal(L, -1, -4);
        lua_pop(L, 3);
    }
    return same;
}

/*
 * The name by which user code has called a method, where that is what it has called. It is compared
 * with the function, since the caller of a function that calls in its tail position says what that
 * was called.
 */
static const char *called_method(lua_State *L)
{
    lua_Debug ar;
    int level = 0;

    for (; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && !halo_is_own_source(ar.source))
            break;
    }
    if (level == 0 || !lua_getstack(L, level - 1, &ar))
        return NULL;
    lua_getinfo(L, "nf", &ar);
    bool found = ar.name && strcmp(ar.namewhat, "method") == 0 && is_method(L, ar.name);
    lua_pop(L, 1);
    return found ? ar.name : NULL;
}

int halo_arg_error(lua_State *L, int arg, const char *name, const char *message)
{
    const char *method = called_method(L);
    if (method) {
        arg--;
        name = method;
    }
    return halo_error(L, lua_pushfstring(L, "bad argument #%d to '%s' (%s)", arg, name, message));
}

int halo_arg_type_error(lua_State *L, int arg, const char *name, const char *expected)
{
    const char *got = lua_type(L, arg) == LUA_TNONE ? "no value" : luaL_typename(L, arg);
    if (arg > 1 && lua_isfunction(L, arg)) /* as in luv, or in node */
        got = "function: the call returns its result, and takes no callback";
    return halo_arg_error(L, arg, name, lua_pushfstring(L, "%s expected, got %s", expected, got));
}

void *halo_check_type(lua_State *L, int arg, const char *type, const char *name)
{
    void *userdata = halo_to_type(L, arg, type);
    if (!userdata)
        halo_arg_type_error(L, arg, name, type);
    return userdata;
}

const char *halo_check_path(lua_State *L, int arg, const char *name, size_t *length)
{
    if (lua_type(L, arg) != LUA_TSTRING)
        halo_arg_type_error(L, arg, name, "path (a string)");
    const char *path = lua_tolstring(L, arg, length);
    if (memchr(path, '\0', *length))
        halo_arg_error(L, arg, name, "the path contains a NUL byte");
    return path;
}

uint64_t halo_check_size(lua_State *L, int arg, const char *name, uint64_t max)
{
    if (lua_type(L, arg) != LUA_TNUMBER)
        halo_arg_type_error(L, arg, name, "number");
    double value = lua_tonumber(L, arg);
    /* Written so that NaN fails as well; only then is the conversion defined. */
    if (!(value >= 0 && value <= (double)max)) {
        lua_pushnumber(L, (double)max);
        const char *most = max == HALO_OFFSET_MAX ? "2^53" : lua_tostring(L, -1);
        halo_arg_error(L, arg, name,
                       lua_pushfstring(L, "a number from 0 to %s expected, got %f", most, value));
    }
    uint64_t whole = (uint64_t)value;
    if ((double)whole != value)
        halo_arg_error(L, arg, name,
                       lua_pushfstring(L, "an integral number expected, got %f", value));
    return whole;
}

uint64_t halo_opt_size(lua_State *L, int arg, const char *name, uint64_t max, uint64_t fallback)
{
    return lua_isnoneornil(L, arg) ? fallback : halo_check_size(L, arg, name, max);
}

double halo_check_seconds(lua_State *L, int arg, const char *name)
{
    if (lua_type(L, arg) != LUA_TNUMBER)
        halo_arg_type_error(L, arg, name, "number of seconds");
    double value = lua_tonumber(L, arg);
    if (!(value >= 0))
        halo_arg_error(L, arg, name, "a time in seconds must not be negative");
    return value;
}
