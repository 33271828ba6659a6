#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>

#include "engine.h"
#include "model.h"
#include "trace.h"
#include "weather.h"

static struct model_node *check_node(lua_State *L)
{
    struct model_node *node;
    const char *path = luaL_checkstring(L, 1);
    return model_find(AT_FDCWD, path, false, &node) < 0 ? NULL : node;
}

/* source(path, total): a FIFO that gives so many bytes. */
static int add_source(lua_State *L)
{
    model_add_source(luaL_checkstring(L, 1), (size_t)luaL_checknumber(L, 2));
    return 0;
}

/* silent(path): a FIFO that never gives anything. */
static int add_silent(lua_State *L)
{
    model_add_silent(luaL_checkstring(L, 1));
    return 0;
}

/* sink(path): a FIFO that takes what is written to it. */
static int add_sink(lua_State *L)
{
    model_add_sink(luaL_checkstring(L, 1));
    return 0;
}

/* source_bytes(path, total): what a source gives, all in all. */
static int source_bytes(lua_State *L)
{
    const struct model_node *node = check_node(L);
    size_t total = (size_t)luaL_checknumber(L, 2);
    luaL_Buffer buffer;

    luaL_buffinit(L, &buffer);
    for (size_t i = 0; i < total; i++)
        luaL_addchar(&buffer, (char)model_source_byte(node, i));
    luaL_pushresult(&buffer);
    return 1;
}

/* content(path): a file's bytes, or what a sink has got; nil where there is none. */
static int content(lua_State *L)
{
    const struct model_node *node = check_node(L);
    if (!node || S_ISDIR(node->mode))
        return 0;
    lua_pushlstring(L, node->data ? (const char *)node->data : "", node->size);
    return 1;
}

/* names(path): those in a directory, in a list; nil where there is none. */
static int names(lua_State *L)
{
    const struct model_node *node = check_node(L);
    int count = 0;
    if (!node || !S_ISDIR(node->mode))
        return 0;
    lua_newtable(L);
    for (const struct model_entry *entry = node->entries; entry; entry = entry->next) {
        lua_pushstring(L, entry->name);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/*
 * type(path): "file", "directory", "symlink" or "other", and its number; nil where there is
 * none. */
static int type(lua_State *L)
{
    const struct model_node *node = check_node(L);
    if (!node)
        return 0;
    lua_pushstring(L, S_ISREG(node->mode)   ? "file"
                      : S_ISDIR(node->mode) ? "directory"
                      : S_ISLNK(node->mode) ? "symlink"
                                            : "other");
    lua_pushnumber(L, (double)node->ino);
    return 2;
}

static void check(lua_State *L, int result)
{
    if (result < 0)
        luaL_error(L, "%s: error %d", luaL_checkstring(L, 1), -result);
}

/* mkdir(path), file(path, content): makes one, whatever the weather. */
static int make_directory(lua_State *L)
{
    check(L, model_mkdir(AT_FDCWD, luaL_checkstring(L, 1), 0755));
    return 0;
}

static int make_file(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 2, &length);
    int fd = model_open(AT_FDCWD, luaL_checkstring(L, 1), O_CREAT | O_RDWR, 0644, 0);
    check(L, fd);
    check(L, (int)model_write(fd, text, length, 0));
    model_close(fd);
    return 0;
}

/* symlink(text, path): makes one. */
static int make_symlink(lua_State *L)
{
    check(L, model_symlink(luaL_checkstring(L, 1), AT_FDCWD, luaL_checkstring(L, 2)));
    return 0;
}

/* mode(path): the permission bits. */
static int mode(lua_State *L)
{
    const struct model_node *node = check_node(L);
    lua_pushinteger(L, node ? (lua_Integer)(node->mode & 07777) : -1);
    return 1;
}

/* guard(path, uid): what is made in that directory has to be private until that user owns it. */
static int guard(lua_State *L)
{
    struct model_node *node = check_node(L);
    node->guarded = true;
    node->guard_uid = (uid_t)luaL_checkinteger(L, 2);
    return 0;
}

/* order(path): in that directory names are given to what is on the disk alone. */
static int order(lua_State *L)
{
    check_node(L)->ordered = true;
    return 0;
}

/* own(path, uid): gives it to a user. */
static int own(lua_State *L)
{
    check_node(L)->uid = (uid_t)luaL_checkinteger(L, 2);
    return 0;
}

/* owner(path): its user. */
static int owner(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_node(L)->uid);
    return 1;
}

/* locks(path): how many shared ones, and whether there is an exclusive one. */
static int locks(lua_State *L)
{
    const struct model_node *node = check_node(L);
    lua_pushinteger(L, node ? (lua_Integer)node->shared : 0);
    lua_pushboolean(L, node && node->exclusive);
    return 2;
}

/* under_way(): descriptors that are open, operations with the engine. */
static int under_way(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)model_open_count());
    lua_pushinteger(L, (lua_Integer)engine_jobs());
    return 2;
}

/* calm(): from here on nothing fails, is cut short or takes long. */
static int calm(lua_State *L)
{
    (void)L;
    weather.faults = weather.shorts = weather.slow = 0;
    return 0;
}

/* draw(limit): a number from 1 to limit, by the seed. */
static int draw(lua_State *L)
{
    lua_pushnumber(L, 1 + (double)weather_below((uint64_t)luaL_checknumber(L, 1)));
    return 1;
}

/* faults(group): how many calls have failed by the weather. */
static int faults(lua_State *L)
{
    static const char *const groups[] = {"open", "read",  "write", "sync", "name",
                                         "look", "close", "lock",  NULL};
    lua_pushinteger(
        L, (lua_Integer)weather_faults((enum fault_group)luaL_checkoption(L, 1, NULL, groups)));
    return 1;
}

/* note(text [, number]): an event of the trace. */
static int note(lua_State *L)
{
    trace(luaL_checkstring(L, 1), 0, (int64_t)luaL_optnumber(L, 2, 0));
    return 0;
}

/* fail(text): ends the process; what was promised has been broken. */
static int fail_with(lua_State *L)
{
    fail("%s", luaL_checkstring(L, 1));
}

int simulator_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"source", add_source},
        {"sink", add_sink},
        {"silent", add_silent},
        {"source_bytes", source_bytes},
        {"content", content},
        {"names", names},
        {"locks", locks},
        {"calm", calm},
        {"symlink", make_symlink},
        {"mode", mode},
        {"guard", guard},
        {"order", order},
        {"own", own},
        {"owner", owner},
        {"under_way", under_way},
        {"faults", faults},
        {"draw", draw},
        {"note", note},
        {"type", type},
        {"mkdir", make_directory},
        {"file", make_file},
        {"fail", fail_with},
        {NULL, NULL},
    };
    luaL_register(L, "simulator", functions);
    return 1;
}
