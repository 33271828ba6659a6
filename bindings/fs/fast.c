/*
 * Calls from compiled Lua. LuaJIT compiles a loop that calls these through its FFI, but not one
 * that calls a lua_CFunction. They never touch the Lua state: each answers at once, or declines by
 * -1, and then lua/halo/fs/fast.lua leaves the call to the ordinary function, which checks its
 * arguments, waits, and raises. Numbers come as doubles: no other type of Lua's is as quick.
 */
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/stat.h"
#include "tasks/task.h"

#define DECLINED (-1)
#define FIFO     (-3) /* room->fifo is open, and to be read to its end */
#define LATER    (-2) /* others should go on first: core.pass() */

/* What the calls leave for Lua to pick up. lua/halo/fs/fast.lua declares both structs, too. */
struct halo_fast_room {
    struct halo_stat stat;
    int32_t fifo;
    /*
     * Stat or bytes are in use since the resume before that number: a finalizer may call while
     * Lua takes them. An error in between leaves it, and is over by the next resume.
     */
    uint32_t busy;
    char bytes[65536];
};

struct halo_fast_calls {
    int (*read)(struct halo_lua *lua, const struct halo_lua_file *file, struct halo_fast_room *room,
                double length, double offset);
    int (*read_into)(struct halo_lua *lua, const struct halo_lua_file *file,
                     const struct halo_lua_buffer *buffer, double length, double offset);
    int (*write)(struct halo_lua *lua, const struct halo_lua_file *file, const char *data,
                 double length, double offset);
    int (*stat)(struct halo_lua *lua, const char *path, double length, bool follow,
                struct halo_fast_room *room);
    int (*fstat)(struct halo_lua *lua, const struct halo_lua_file *file,
                 struct halo_fast_room *room);
    double (*stat_number)(struct halo_lua *lua, const char *path, double length, bool follow,
                          int place);
    double (*fstat_number)(struct halo_lua *lua, const struct halo_lua_file *file, int place);
    int (*readfile)(struct halo_lua *lua, const char *path, double length,
                    struct halo_fast_room *room);
    int (*readfile_into)(struct halo_lua *lua, const char *path, double length,
                         const struct halo_lua_buffer *buffer, struct halo_fast_room *room);
    double (*now)(void);
};

/* ---- arguments ----------------------------------------------------------------------------- */

/*
 * Whether the running task may do something at once: it is not cancelled, and its turn is not over.
 * Where who blocks is told, the ordinary calls measure it. Returns 0, DECLINED or LATER.
 */
static int check_admission(const struct halo_lua *lua, unsigned *flags)
{
    const struct halo_task *task = lua->task;

    if (!lua->loop || lua->blocking || halo_loop_is_forked(lua->loop) ||
        atomic_load_explicit(&lua->interrupt, memory_order_relaxed) ||
        (task && task->cancelled && task->shields == 0))
        return DECLINED;
    *flags = halo_submit_flags(lua);
    return halo_should_yield(lua) ? LATER : 0;
}

static bool to_size(double value, uint64_t *size)
{
    if (!(value >= 0 && value <= (double)HALO_OFFSET_MAX))
        return false;
    *size = (uint64_t)value;
    return (double)*size == value;
}

/* A negative offset stands for none: the file's own position. */
static bool to_place(double value, uint64_t *offset)
{
    *offset = HALO_POSITION;
    return value < 0 || to_size(value, offset);
}

static bool to_path(const char *path, double length)
{
    return length > 0 && length < PATH_MAX && !memchr(path, '\0', (size_t)length);
}

/*
 * Lua has made sure that these are userdata with the metatable of a File, or of a Buffer. What has
 * been given to a File to write goes out first, by the ordinary way.
 */
static bool is_file(const struct halo_lua_file *file)
{
    return file->type == halo_file_type && !(file->out && file->out->used > 0);
}

/* ---- data ---------------------------------------------------------------------------------- */

static int read_to(struct halo_lua *lua, const struct halo_lua_file *file, void *data, size_t size,
                   double length, double offset)
{
    uint64_t bytes, place;
    unsigned flags;

    if (!is_file(file) || !to_size(length, &bytes) || bytes > size || !to_place(offset, &place))
        return DECLINED;
    int refused = check_admission(lua, &flags);
    if (refused)
        return refused;
    int64_t got = halo_fast_read(lua->loop, file->handle, data, (size_t)bytes, place, flags);
    return got == HALO_DECLINED ? DECLINED : (int)got;
}

static bool is_busy(const struct halo_lua *lua, const struct halo_fast_room *room)
{
    return room->busy == lua->resumes + 1;
}

static void set_busy(const struct halo_lua *lua, struct halo_fast_room *room)
{
    room->busy = lua->resumes + 1;
}

static int fast_read(struct halo_lua *lua, const struct halo_lua_file *file,
                     struct halo_fast_room *room, double length, double offset)
{
    if (is_busy(lua, room))
        return DECLINED;
    int got = read_to(lua, file, room->bytes, sizeof(room->bytes), length, offset);
    if (got > 0)
        set_busy(lua, room);
    return got;
}

static int fast_read_into(struct halo_lua *lua, const struct halo_lua_file *file,
                          const struct halo_lua_buffer *buffer, double length, double offset)
{
    if (buffer->type != halo_buffer_type || !halo_buffer_is_free(buffer, true))
        return DECLINED;
    return read_to(lua, file, buffer->data, buffer->size, length, offset);
}

/* Where it fits, and nothing has failed. */
static int put_gathered(struct halo_lua *lua, const struct halo_lua_file *file, const char *data,
                        size_t length)
{
    struct halo_out *out = file->out;
    struct halo_file_info info;

    if (length > out->size - out->used || halo_file_info(lua->loop, file->handle, &info) < 0 ||
        info.write_error < 0)
        return DECLINED;
    memcpy(out->data + out->used, data, length);
    out->used += length;
    return (int)length;
}

static int fast_write(struct halo_lua *lua, const struct halo_lua_file *file, const char *data,
                      double length, double offset)
{
    uint64_t bytes, place;
    unsigned flags;

    if (file->type != halo_file_type || !to_size(length, &bytes) || !to_place(offset, &place))
        return DECLINED;
    int refused = check_admission(lua, &flags);
    if (refused)
        return refused;
    if (!halo_out_is_settled(lua, file))
        return DECLINED;
    if (file->out)
        return place == HALO_POSITION ? put_gathered(lua, file, data, (size_t)bytes) : DECLINED;
    int64_t put = halo_fast_write(lua->loop, file->handle, data, (size_t)bytes, place, flags);
    return put == HALO_DECLINED ? DECLINED : (int)put;
}

static int read_whole(struct halo_lua *lua, const char *path, double length, void *data,
                      size_t size, struct halo_fast_room *room)
{
    unsigned flags;

    if (!to_path(path, length))
        return DECLINED;
    int refused = check_admission(lua, &flags);
    if (refused)
        return refused;
    int64_t got = halo_fast_readfile(lua->loop, path, data, size, &room->fifo, flags);
    if (room->fifo >= 0)
        return FIFO;
    return got == HALO_DECLINED ? DECLINED : (int)got;
}

static int fast_readfile(struct halo_lua *lua, const char *path, double length,
                         struct halo_fast_room *room)
{
    if (is_busy(lua, room))
        return DECLINED;
    int got = read_whole(lua, path, length, room->bytes, sizeof(room->bytes), room);
    if (got > 0)
        set_busy(lua, room);
    return got;
}

static int fast_readfile_into(struct halo_lua *lua, const char *path, double length,
                              const struct halo_lua_buffer *buffer, struct halo_fast_room *room)
{
    if (buffer->type != halo_buffer_type || !halo_buffer_is_free(buffer, true))
        return DECLINED;
    return read_whole(lua, path, length, buffer->data, buffer->size, room);
}

/* ---- metadata ------------------------------------------------------------------------------ */

static int stat_path(struct halo_lua *lua, const char *path, double length, bool follow,
                     struct halo_stat *stat)
{
    struct statx statx;
    unsigned flags;

    if (!to_path(path, length))
        return DECLINED;
    int refused = check_admission(lua, &flags);
    if (refused)
        return refused;
    if (halo_fast_stat(lua->loop, path, follow, &statx, flags) == HALO_DECLINED)
        return DECLINED;
    halo_stat_fill(stat, &statx);
    return 0;
}

static int stat_file(struct halo_lua *lua, const struct halo_lua_file *file, struct halo_stat *stat)
{
    struct statx statx;
    unsigned flags;

    if (!is_file(file))
        return DECLINED;
    int refused = check_admission(lua, &flags);
    if (refused)
        return refused;
    if (halo_fast_fstat(lua->loop, file->handle, &statx, flags) == HALO_DECLINED)
        return DECLINED;
    halo_stat_fill(stat, &statx);
    return 0;
}

static int fast_stat(struct halo_lua *lua, const char *path, double length, bool follow,
                     struct halo_fast_room *room)
{
    int answer = is_busy(lua, room) ? DECLINED : stat_path(lua, path, length, follow, &room->stat);
    if (answer == 0)
        set_busy(lua, room);
    return answer;
}

static int fast_fstat(struct halo_lua *lua, const struct halo_lua_file *file,
                      struct halo_fast_room *room)
{
    int answer = is_busy(lua, room) ? DECLINED : stat_file(lua, file, &room->stat);
    if (answer == 0)
        set_busy(lua, room);
    return answer;
}

/* A field may be any number, so that these decline by what is none. */
static double number_of(int refused, const struct halo_stat *stat, int place)
{
    if (refused)
        return refused == LATER ? -INFINITY : NAN;
    return halo_stat_number(stat, place);
}

static double fast_stat_number(struct halo_lua *lua, const char *path, double length, bool follow,
                               int place)
{
    struct halo_stat stat;
    return number_of(stat_path(lua, path, length, follow, &stat), &stat, place);
}

static double fast_fstat_number(struct halo_lua *lua, const struct halo_lua_file *file, int place)
{
    struct halo_stat stat;
    return number_of(stat_file(lua, file, &stat), &stat, place);
}

static double fast_now(void)
{
    return (double)halo_now_ns() / 1e9;
}

/* ---- registration -------------------------------------------------------------------------- */

static const struct halo_fast_calls calls = {
    .read = fast_read,
    .read_into = fast_read_into,
    .write = fast_write,
    .stat = fast_stat,
    .fstat = fast_fstat,
    .stat_number = fast_stat_number,
    .fstat_number = fast_fstat_number,
    .readfile = fast_readfile,
    .readfile_into = fast_readfile_into,
    .now = fast_now,
};

/* fast(): the table of calls, what they take first, and the size of the room they write to. */
static int fast(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&calls);
    lua_pushlightuserdata(L, halo_lua_self(L));
    lua_pushinteger(L, sizeof(struct halo_fast_room));
    return 3;
}

/* pass(): lets others go on first, where this task can be suspended. */
static int pass(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    if (!halo_can_wait(L, lua) || !halo_should_yield(lua))
        return 0;
    return halo_let_others(L, lua, 0);
}

static const luaL_Reg functions[] = {
    {"fast", fast},
    {"pass", pass},
    {NULL, NULL},
};

void halo_open_fast(lua_State *L)
{
    halo_register(L, functions);
}
