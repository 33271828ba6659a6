/* The entries of directories, as Lua values. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/listing.h"
#include "fs/result.h"

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

/* Puts all numbers of a stat behind the place at in the row, or the one that is wanted. */
static void set_stat(lua_State *L, int row, int at, const struct statx *statx, int wanted)
{
    int count = halo_stat_count(statx);
    int first = wanted > 0 ? wanted : 1, last = wanted > 0 ? wanted : count;

    for (int number = first; number <= last && number <= count; number++) {
        lua_pushnumber(L, halo_stat_number(statx, number));
        lua_rawseti(L, row, ++at);
    }
}

int halo_push_row(lua_State *L, const struct halo_op *op, lua_State *from)
{
    int wanted = (int)lua_tointeger(from, HALO_ROW_FIELD_INDEX);
    int numbers = !(op->flags & HALO_READDIR_STAT) ? 0 : wanted > 0 ? 1 : HALO_STAT_NUMBERS;
    int width = 2 + numbers, count = (int)op->result;
    struct halo_entry entry = {0};
    const struct halo_entry *sorted = op->flags & HALO_ROW_SORTED ? sort(L, op) : NULL;

    lua_createtable(L, count * width, 0);
    int row = lua_gettop(L);
    for (int i = 0; i < count; i++) {
        if (sorted)
            entry = sorted[i];
        else
            halo_op_entry(op, &entry);
        lua_pushstring(L, entry.name);
        lua_rawseti(L, row, i * width + 1);
        lua_pushinteger(L, (lua_Integer)entry.mode);
        lua_rawseti(L, row, i * width + 2);
        if (entry.statx)
            set_stat(L, row, i * width + 2, entry.statx, wanted);
    }
    lua_pushinteger(L, count);
    if (!(op->flags & HALO_READDIR_FOLLOW))
        return 2;
    lua_pushnumber(L, (double)op->statx->stx_ino);
    lua_pushnumber(L, (double)makedev(op->statx->stx_dev_major, op->statx->stx_dev_minor));
    return 4;
}
