/* What is known of a file, taken from what the kernel says. */
#include <math.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "args.h"
#include "fs/fs.h"
#include "fs/stat.h"
#include "tasks/state.h"

#define NO_NSEC UINT32_MAX

/* What lua_type() says of the FFI's values. LuaJIT's headers for users have no name for it. */
#define TYPE_CDATA 10

/* Of two times, or of the first alone. */
static uint64_t nsec_of_two(const struct statx_timestamp *first,
                            const struct statx_timestamp *second, bool both)
{
    return first->tv_nsec | (uint64_t)(both ? second->tv_nsec : NO_NSEC) << 32;
}

void halo_stat_fill(struct halo_stat *stat, const struct statx *s)
{
#define FILL(type, name, value) stat->name = (type)(value);
    HALO_STAT_FIELDS(FILL)
#undef FILL
}

static bool has_btime(const struct halo_stat *s)
{
    return s->_cbtime_nsec >> 32 != NO_NSEC;
}

/* The fields that are numbers, in the order in which they are shown: NUMBER(name, value). */
#define NUMBERS(NUMBER)                                                                            \
    NUMBER(size, s->size)                                                                          \
    NUMBER(mode, s->mode)                                                                          \
    NUMBER(perm, (double)(s->mode & HALO_MODE_MAX))                                                \
    NUMBER(uid, s->uid)                                                                            \
    NUMBER(gid, s->gid)                                                                            \
    NUMBER(atime, s->atime)                                                                        \
    NUMBER(atime_nsec, (uint32_t)s->_amtime_nsec)                                                  \
    NUMBER(mtime, s->mtime)                                                                        \
    NUMBER(mtime_nsec, s->_amtime_nsec >> 32)                                                      \
    NUMBER(ctime, s->ctime)                                                                        \
    NUMBER(ctime_nsec, (uint32_t)s->_cbtime_nsec)                                                  \
    NUMBER(btime, has_btime(s) ? s->_birth : NAN)                                                  \
    NUMBER(btime_nsec, has_btime(s) ? (double)(s->_cbtime_nsec >> 32) : NAN)                       \
    NUMBER(ino, s->_ino)                                                                           \
    NUMBER(dev, s->_dev)                                                                           \
    NUMBER(rdev, s->rdev)                                                                          \
    NUMBER(nlink, s->nlink)                                                                        \
    NUMBER(blocks, s->blocks)                                                                      \
    NUMBER(blksize, s->blksize)

/* PLACE_size and so on. */
#define PLACE(name, value) PLACE_##name,
enum place { NUMBERS(PLACE) PLACES };
#undef PLACE

#define NAME(name, value) #name,
static const char *const names[] = {NUMBERS(NAME)};
#undef NAME

const int halo_stat_id_place = PLACES;

double halo_stat_number(const struct halo_stat *s, int place)
{
    switch ((enum place)place) {
#define NUMBER(name, value)                                                                        \
    case PLACE_##name:                                                                             \
        return (double)(value);
        NUMBERS(NUMBER)
#undef NUMBER
    case PLACES:
        break;
    }
    return NAN;
}

/* As %llx, which takes longer than the rest of an id. */
static int put_hex(char *text, uint64_t number)
{
    int length = 1;
    while (length < 16 && number >> (4 * length))
        length++;
    for (int i = 0; i < length; i++)
        text[i] = "0123456789abcdef"[number >> (4 * (length - 1 - i)) & 15];
    return length;
}

int halo_stat_id(const struct halo_stat *stat, char *text)
{
    int length = put_hex(text, stat->_dev);
    text[length++] = ':';
    return length + put_hex(text + length, stat->_ino);
}

void halo_push_stat_table(lua_State *L, const struct halo_stat *stat)
{
    char id[HALO_STAT_ID_SIZE];

    lua_createtable(L, 0, 32);
    for (int place = 0; place < PLACES; place++) {
        double number = halo_stat_number(stat, place);
        if (isnan(number))
            continue;
        lua_pushnumber(L, number);
        lua_setfield(L, -2, names[place]);
    }
    lua_pushlstring(L, id, (size_t)halo_stat_id(stat, id));
    lua_setfield(L, -2, "id");
}

static bool is_stat(lua_State *L, const struct halo_lua *lua, int index)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->istype);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->stat_type);
    lua_pushvalue(L, index);
    lua_call(L, 2, 1);
    bool is = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is;
}

void halo_check_stat(lua_State *L, const char *name)
{
    for (int i = 2; i <= 3; i++)
        if (lua_type(L, i) == TYPE_CDATA && !is_stat(L, halo_lua_self(L), i))
            halo_arg_error(L, i, name, "stat expected");
}

int halo_push_stat(lua_State *L, const struct statx *statx, lua_State *from)
{
    struct halo_stat stat;

    halo_stat_fill(&stat, statx);
    if (lua_type(from, 2) == TYPE_CDATA) {
        *(struct halo_stat *)(uintptr_t)lua_topointer(from, 2) = stat;
        lua_pushvalue(from, 2);
        if (from != L)
            lua_xmove(from, L, 1);
    } else {
        halo_push_stat_table(L, &stat);
    }
    return 1;
}

/* ---- for lua/halo/fs/stat.lua -------------------------------------------------------------- */

static const char declaration[] =
#define DECLARE(type, name, value) "const " #type " " #name ";"
    HALO_STAT_FIELDS(DECLARE)
#undef DECLARE
    ;

/*
 * stat_fields(): the struct's declaration and size, the names of the fields that are numbers in the
 * order of their places, and the functions that give such a field and write the id.
 */
static int stat_fields(lua_State *L)
{
    lua_pushstring(L, declaration);
    lua_pushinteger(L, sizeof(struct halo_stat));
    lua_newtable(L);
    for (int place = 0; place < PLACES; place++) {
        lua_pushstring(L, names[place]);
        lua_rawseti(L, -2, place + 1);
    }
    lua_pushlightuserdata(L, (void *)(uintptr_t)halo_stat_number);
    lua_pushlightuserdata(L, (void *)(uintptr_t)halo_stat_id);
    return 5;
}

/* stat_type(istype, type): how C tells, by the FFI, what it may fill. The first call counts. */
static int stat_type(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 2);
    if (lua->stat_type)
        return 0;
    lua->stat_type = luaL_ref(L, LUA_REGISTRYINDEX);
    lua->istype = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* stat_count(stats): how many such userdata holds; what is none has no stats. */
static int stat_count(lua_State *L)
{
    size_t size = lua_type(L, 1) == LUA_TUSERDATA ? lua_objlen(L, 1) : 0;
    lua_pushinteger(L, (lua_Integer)(size / sizeof(struct halo_stat)));
    return 1;
}

/* stat_table(stats, i): one of the stats of a row (listing.c), counted from 0, as a table. */
static int stat_table(lua_State *L)
{
    const struct halo_stat *stats = lua_touserdata(L, 1);
    lua_Integer i = lua_tointeger(L, 2);
    if (lua_type(L, 1) != LUA_TUSERDATA || i < 0 || (size_t)i >= lua_objlen(L, 1) / sizeof(*stats))
        return luaL_error(L, "no such stat");
    halo_push_stat_table(L, &stats[i]);
    return 1;
}

static const luaL_Reg functions[] = {
    {"stat_fields", stat_fields},
    {"stat_type", stat_type},
    {"stat_table", stat_table},
    {"stat_count", stat_count},
    {NULL, NULL},
};

void halo_open_stat(lua_State *L)
{
    halo_register(L, functions);
}
