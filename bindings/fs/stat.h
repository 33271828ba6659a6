/*
 * stat.h: what is known of a file, as Lua gets it: a struct of the FFI, which a compiled loop reads
 * as quickly as C, and where a host has taken the FFI away a table of the same fields.
 */
#ifndef HALO_LUA_STAT_H
#define HALO_LUA_STAT_H

#include <stdint.h>

#include <lua.h>

struct statx;

/*
 * What is kept of a file: FIELD(type, name, value of the statx s). The struct and its declaration
 * for the FFI are generated from this list. LuaJIT copies a struct of at most 16 fields and 128
 * bytes field by field, and then leaves out what a loop does not look at, the copy itself included.
 * What begins with an underscore is not for users: the FFI would give them an integer of 64 bits.
 */
#define HALO_STAT_FIELDS(FIELD)                                                                    \
    FIELD(double, size, s->stx_size)                                                               \
    FIELD(double, blocks, s->stx_blocks)                                                           \
    FIELD(double, atime, s->stx_atime.tv_sec)                                                      \
    FIELD(double, mtime, s->stx_mtime.tv_sec)                                                      \
    FIELD(double, ctime, s->stx_ctime.tv_sec)                                                      \
    FIELD(double, _birth, s->stx_btime.tv_sec)                                                     \
    FIELD(double, rdev, makedev(s->stx_rdev_major, s->stx_rdev_minor))                             \
    FIELD(uint64_t, _dev, makedev(s->stx_dev_major, s->stx_dev_minor))                             \
    FIELD(uint64_t, _ino, s->stx_ino)                                                              \
    FIELD(uint64_t, _amtime_nsec, nsec_of_two(&s->stx_atime, &s->stx_mtime, true))                 \
    FIELD(uint64_t, _cbtime_nsec,                                                                  \
          nsec_of_two(&s->stx_ctime, &s->stx_btime, (s->stx_mask & STATX_BTIME) != 0))             \
    FIELD(uint32_t, mode, s->stx_mode)                                                             \
    FIELD(uint32_t, uid, s->stx_uid)                                                               \
    FIELD(uint32_t, gid, s->stx_gid)                                                               \
    FIELD(uint32_t, nlink, s->stx_nlink)                                                           \
    FIELD(uint32_t, blksize, s->stx_blksize)

#define HALO_STAT_FIELD(type, name, value) type name;
struct halo_stat {
    HALO_STAT_FIELDS(HALO_STAT_FIELD)
};
#undef HALO_STAT_FIELD

#define HALO_STAT_ID_SIZE 40

void halo_stat_fill(struct halo_stat *stat, const struct statx *s);

/* A field that is a number, by its place in the list of stat.c; NAN where the file has none. */
double halo_stat_number(const struct halo_stat *stat, int place);

/* The place after those of the numbers, which stands for the id. */
extern const int halo_stat_id_place;

/* Writes to text what is the same for the same file, and for no other. Returns its length. */
int halo_stat_id(const struct halo_stat *stat, char *text);

/* Pushes a table of the fields that are not derived from others. */
void halo_push_stat_table(lua_State *L, const struct halo_stat *stat);

/*
 * A call brings the struct after its path or file, and a base may stand before that. Raises where
 * it is another value of the FFI, which must not be written to.
 */
void halo_check_stat(lua_State *L, const char *name);

/*
 * Pushes the result of a stat: the struct that the call brought as its second argument on the
 * stack from, filled; or a table. Returns 1.
 */
int halo_push_stat(lua_State *L, const struct statx *statx, lua_State *from);

#endif
