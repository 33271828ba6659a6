/* The entries of directories, as Lua values. */
#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/listing.h"
#include "fs/result.h"
#include "fs/stat.h"

static const char *type_name(uint32_t mode)
{
    switch (mode) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "dir";
    case S_IFLNK:
        return "symlink";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "char";
    case S_IFBLK:
        return "block";
    default:
        return "unknown";
    }
}

/* The keys are pushed once: to look them up for each entry would take longer than to set them. */
int halo_push_entries(lua_State *L, const struct halo_op *op)
{
    struct halo_entry entry = {0};
    int count = (int)op->result;

    lua_createtable(L, count, 0);
    int keys = lua_gettop(L);
    lua_pushliteral(L, "name");
    lua_pushliteral(L, "type");
    for (int i = 1; i <= count; i++) {
        halo_op_entry(op, &entry);
        lua_createtable(L, 0, 2);
        lua_pushvalue(L, keys + 1);
        lua_pushstring(L, entry.name);
        lua_rawset(L, -3);
        lua_pushvalue(L, keys + 2);
        lua_pushstring(L, type_name(entry.mode));
        lua_rawset(L, -3);
        lua_rawseti(L, keys, i);
    }
    lua_pop(L, 2);
    return 1;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct halo_entry *first = a, *second = b;
    return strcmp(first->name, second->name);
}

/* The fields that are wanted of each stat. */
struct places {
    const uint8_t *at;
    int count;
};

static struct places to_places(lua_State *L, int index)
{
    size_t count = 0;
    const char *bytes = lua_tolstring(L, index, &count);
    return (struct places){.at = (const uint8_t *)bytes, .count = (int)count};
}

/* Leaves the entries in their order in memory on top of the stack. */
static const struct halo_entry *sort(lua_State *L, const struct halo_op *op)
{
    size_t count = (size_t)op->result;
    struct halo_entry *entries = lua_newuserdata(L, (count + 1) * sizeof(*entries));
    struct halo_entry entry = {0};

    for (size_t i = 0; i < count; i++) {
        halo_op_entry(op, &entry);
        entries[i] = entry;
    }
    qsort(entries, count, sizeof(*entries), by_name);
    return entries;
}

/* Pushes what is at a place of the stat: a number, the id behind them, or nil. */
static void push_field(lua_State *L, const struct halo_stat *stat, int place)
{
    char id[HALO_STAT_ID_SIZE];
    double number = halo_stat_number(stat, place);

    if (place == halo_stat_id_place)
        lua_pushlstring(L, id, (size_t)halo_stat_id(stat, id));
    else if (isnan(number))
        lua_pushnil(L);
    else
        lua_pushnumber(L, number);
}

/* Puts the fields that are wanted into the row, from the index at + 1 on. */
static void set_fields(lua_State *L, int row, int at, const struct statx *statx,
                       const struct places *places)
{
    struct halo_stat stat;

    halo_stat_fill(&stat, statx);
    for (int i = 0; i < places->count; i++) {
        push_field(L, &stat, places->at[i]);
        lua_rawseti(L, row, at + i + 1);
    }
}

/* Puts room for as many stats into the row, and returns it. */
static struct halo_stat *set_stats(lua_State *L, int row, int count)
{
    size_t size = (size_t)count * sizeof(struct halo_stat);
    struct halo_stat *stats = lua_newuserdata(L, size);
    memset(stats, 0, size);
    lua_rawseti(L, row, 0);
    return stats;
}

static void push_id(lua_State *L, const struct statx *statx)
{
    char id[HALO_STAT_ID_SIZE];
    struct halo_stat stat;
    halo_stat_fill(&stat, statx);
    lua_pushlstring(L, id, (size_t)halo_stat_id(&stat, id));
}

/* What stands before each name; most paths are made in the room behind it. */
struct prefix {
    const char *path;
    size_t length; /* with the slash, where path does not end in one */
    char room[PATH_MAX + NAME_MAX];
};

static void set_prefix(struct prefix *prefix, lua_State *from, const struct halo_op *op)
{
    prefix->length = 0;
    if (!(op->flags & HALO_ROW_PATHS))
        return;
    prefix->path = lua_tolstring(from, HALO_ROW_PATH_INDEX, &prefix->length);
    prefix->length += prefix->path[prefix->length - 1] != '/';
    if (prefix->length <= PATH_MAX) {
        memcpy(prefix->room, prefix->path, prefix->length);
        prefix->room[prefix->length - 1] = '/';
    }
}

static void push_name(lua_State *L, struct prefix *prefix, const struct halo_entry *entry)
{
    luaL_Buffer text;

    if (prefix->length == 0) {
        lua_pushlstring(L, entry->name, entry->length);
    } else if (prefix->length <= PATH_MAX && entry->length <= NAME_MAX) {
        memcpy(prefix->room + prefix->length, entry->name, entry->length);
        lua_pushlstring(L, prefix->room, prefix->length + entry->length);
    } else {
        luaL_buffinit(L, &text);
        luaL_addlstring(&text, prefix->path, prefix->length - 1);
        luaL_addchar(&text, '/');
        luaL_addlstring(&text, entry->name, entry->length);
        luaL_pushresult(&text);
    }
}

int halo_push_row(lua_State *L, const struct halo_op *op, lua_State *from)
{
    const struct places places = to_places(from, HALO_ROW_FIELDS_INDEX);
    bool whole = (op->flags & HALO_READDIR_STAT) && places.count == 0;
    int width = 2 + places.count, count = (int)op->result;
    struct prefix prefix;
    struct halo_entry entry = {0};
    const struct halo_entry *sorted = op->flags & HALO_ROW_SORTED ? sort(L, op) : NULL;

    set_prefix(&prefix, from, op);
    lua_createtable(L, count * width, 0);
    int row = lua_gettop(L);
    struct halo_stat *stats = whole ? set_stats(L, row, count) : NULL;
    for (int i = 0; i < count; i++) {
        if (sorted)
            entry = sorted[i];
        else
            halo_op_entry(op, &entry);
        push_name(L, &prefix, &entry);
        lua_rawseti(L, row, i * width + 1);
        lua_pushinteger(L, (lua_Integer)entry.mode);
        lua_rawseti(L, row, i * width + 2);
        if (entry.statx && stats)
            halo_stat_fill(&stats[i], entry.statx);
        else if (entry.statx)
            set_fields(L, row, i * width + 2, entry.statx, &places);
    }
    lua_pushinteger(L, count);
    if (!(op->flags & HALO_READDIR_FOLLOW))
        return 2;
    push_id(L, op->statx);
    return 3;
}
