/*
 * listing.h: the entries of directories, as Lua values: one by one in tables, for those who list
 * one directory, or all in one row, for those who go through many.
 */
#ifndef HALO_LUA_LISTING_H
#define HALO_LUA_LISTING_H

#include <lua.h>

#include "halo.h"

/* Bits of op->flags beside the core's HALO_READDIR_*. */
#define HALO_ROW        0x100u /* the result is a row, not an array of tables */
#define HALO_ROW_SORTED 0x200u /* by name */
#define HALO_ROW_PATHS                                                                             \
    0x400u /* with paths in the place of names: that of the directory before each */

#define HALO_ROW_PATH_INDEX 1 /* the argument that is the directory's path */
#define HALO_ROW_FIELDS_INDEX                                                                      \
    4 /* the argument that says which fields: a byte each, none for all                            \
       */

/* Pushes an array of {name=, type=}. Returns 1. */
int halo_push_entries(lua_State *L, const struct halo_op *op);

/*
 * Pushes an array in which each entry has its name, its type as in st_mode, and the fields of its
 * stat that are wanted; and the count of entries. With HALO_READDIR_FOLLOW also the directory's
 * id. Whole stats are at 0, as an array of struct halo_stat; the mode is 0 where there is none.
 * Returns how many values these are.
 */
int halo_push_row(lua_State *L, const struct halo_op *op, lua_State *from);

#endif
