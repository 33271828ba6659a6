/*
 * What Lua asks of the runtime itself: its configuration, its counters, waiting and waking, and
 * the shields against cancellation. The rest of halo's Lua side is built on these.
 */
#include <math.h>
#include <string.h>
#include <sys/utsname.h>

#include "args.h"
#include "tasks/blocking.h"
#include "tasks/lib.h"
#include "tasks/report.h"
#include "tasks/shield.h"
#include "tasks/task.h"
#include "tasks/port.h"

#define HOLD_MAX_S 1e6
#define WAKE_MAX   8 /* values that a parked task always has room for */

/* ---- configuration ------------------------------------------------------------------------- */

/* A field that is a number, at least min and at most max and what the host has given; or 0. */
static double limit_field(lua_State *L, const char *name, double min, double max, double given)
{
    lua_getfield(L, 1, name);
    bool absent = lua_isnil(L, -1);
    double value = lua_tonumber(L, -1);

    lua_pop(L, 1);
    if (absent)
        return given;
    if (!(value >= min && value <= max && value == floor(value)))
        halo_arg_error(
            L, 1, "configure",
            lua_pushfstring(L, "%s must be a whole number from %d to %f", name, (int)min, max));
    if (given > 0 && value > given)
        halo_arg_error(
            L, 1, "configure",
            lua_pushfstring(L, "%s can be at most %f, which the host has given", name, given));
    return value;
}

/* A loop that nothing depends on, as the one that read the script, makes way for another. */
static bool unmake_loop(struct halo_lua *lua)
{
    struct halo_stats counted = {0};
    if (!lua->loop)
        return true;
    halo_loop_stats(lua->loop, &counted);
    if (counted.submitted > lua->configurable_at || counted.in_flight > 0 || counted.timers > 0 ||
        halo_loop_has_files(lua->loop))
        return false;
    halo_port_connect(lua->port, NULL);
    halo_loop_close(halo_lua_take_loop(lua), 0);
    return true;
}

/* configurable(): the operations so far were not the program's own: configure() is not too late. */
static int configurable(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_stats counted = {0};
    if (lua->loop)
        halo_loop_stats(lua->loop, &counted);
    lua->configurable_at = counted.submitted;
    return 0;
}

/* choose_engine(name): the user's own choice, which configure() does not change. */
static int choose_engine(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    lua->chosen_engine = (uint8_t)halo_lua_check_engine(L, luaL_checkstring(L, 1));
    lua->engine_chosen = true;
    return 0;
}

static void check_options(lua_State *L)
{
    static const char *const known[] = {"max_files", "max_in_flight", "pool_threads",    "engine",
                                        "max_tasks", "max_bytes",     "warn_blocking_ms"};
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            found |= strcmp(name, known[i]) == 0;
        if (!found)
            halo_arg_error(L, 1, "configure", lua_pushfstring(L, "no option '%s'", name));
    }
}

/* warn_blocking(ms) */
static int warn_blocking(lua_State *L)
{
    if (!halo_blocking_warn(halo_lua_self(L), (uint32_t)luaL_checkinteger(L, 1)))
        return luaL_error(L, "not enough memory");
    return 0;
}

/* Of the loop: it is made anew, where it has not begun. */
static void configure_loop(lua_State *L, struct halo_lua *lua)
{
    const struct halo_config *given = &lua->given;
    struct halo_config config = {
        .max_files = (uint32_t)limit_field(L, "max_files", 1, HALO_FILES_MAX, given->max_files),
        .max_in_flight = (uint32_t)limit_field(L, "max_in_flight", 1, HALO_MAX_IN_FLIGHT_LIMIT,
                                               given->max_in_flight),
        .pool_threads =
            (uint32_t)limit_field(L, "pool_threads", 1, HALO_THREADS_MAX, given->pool_threads),
        .engine = given->engine,
        .fence = lua->config.fence,
    };

    lua_getfield(L, 1, "engine");
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING)
        halo_arg_error(
            L, 1, "configure",
            lua_pushfstring(L, "engine must be a string, got a %s", luaL_typename(L, -1)));
    if (!lua_isnil(L, -1))
        config.engine = halo_lua_check_engine(L, lua_tostring(L, -1));
    if (memcmp(&config, &lua->config, sizeof(config)) == 0)
        return;
    if (lua->watched || !unmake_loop(lua))
        halo_error(L, "configure must come before the first operation");
    lua->config = config;
}

/*
 * configure{max_files=, max_in_flight=, pool_threads=, engine=, max_tasks=, max_bytes=,
 *           warn_blocking_ms=}
 */
static int configure(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    if (!lua_istable(L, 1))
        return halo_arg_type_error(L, 1, "configure", "table");
    check_options(L);
    double tasks = limit_field(L, "max_tasks", 1, UINT32_MAX, lua->options.max_tasks);
    double bytes = limit_field(L, "max_bytes", HALO_BYTES_MIN, HALO_OFFSET_MAX,
                               (double)lua->options.max_bytes);
    double limit_ms = limit_field(L, "warn_blocking_ms", 1, HALO_BLOCKING_LIMIT_MAX_MS, 0);
    configure_loop(L, lua);
    lua->max_tasks = (unsigned)tasks;
    lua->max_bytes = (size_t)bytes;
    /* What the user or the host has asked for goes before it, as with the engine. */
    if (limit_ms > 0 && !lua->blocking && !halo_blocking_warn(lua, (uint32_t)limit_ms))
        return luaL_error(L, "not enough memory");
    return 0;
}

/* ---- what it says of itself ---------------------------------------------------------------- */

static void set_count(lua_State *L, const char *name, uint64_t value)
{
    lua_pushnumber(L, (double)value);
    lua_setfield(L, -2, name);
}

static int stats(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_stats counted = {0};
    if (lua->loop)
        halo_loop_stats(lua->loop, &counted);
    lua_createtable(L, 0, 13);
    set_count(L, "submitted", counted.submitted);
    set_count(L, "retired", counted.retired);
    set_count(L, "in_flight", counted.in_flight);
    set_count(L, "in_flight_most", counted.in_flight_most);
    set_count(L, "queued", counted.queued);
    set_count(L, "files_open", counted.files_open);
    set_count(L, "timers", counted.timers);
    set_count(L, "tasks", lua->tasks);
    set_count(L, "direct", counted.direct);
    set_count(L, "ring", counted.ring);
    set_count(L, "pool", counted.pool);
    set_count(L, "turns", counted.turns);
    set_count(L, "unknown", counted.unknown);
    return 1;
}

/* engine(): its name, why it was chosen, the kernel's release, halo's version. */
static int engine(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_loop *loop = halo_lua_loop(L, lua);
    struct utsname system;
    uname(&system);
    lua_pushstring(L, halo_loop_engine(loop));
    lua_pushstring(L, halo_loop_engine_reason(loop));
    lua_pushstring(L, system.release);
    lua_pushliteral(L, HALO_VERSION);
    return 4;
}

/* operations(): the names of all, as {name = true where the ring does it, else false}. */
static int operations(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_loop *loop = halo_lua_loop(L, lua);
    const char *name;
    bool by_ring;

    lua_newtable(L);
    for (unsigned code = 0; (name = halo_loop_carries(loop, code, &by_ring)); code++) {
        lua_pushboolean(L, by_ring);
        lua_setfield(L, -2, name);
    }
    return 1;
}

/* is_local(path): whether only this kernel is asked there. */
static int is_local(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    lua_pushboolean(L, halo_loop_is_local(halo_lua_loop(L, lua), luaL_checkstring(L, 1)));
    return 1;
}

/* ---- waiting and waking -------------------------------------------------------------------- */

/*
 * park(what [, seconds]): suspends the running task. Returns true and what wake() passes, true
 * alone when the time is up, or false and an error: the cancellation, or why the task cannot wait.
 */
static int park(lua_State *L)
{
    static const char *const known[] = {"channel", "semaphore", "map",         "select", "lock",
                                        "require", "watch",     "descriptors", "read",   NULL};
    struct halo_lua *lua = halo_lua_self(L);
    int what = luaL_checkoption(L, 1, NULL, known);
    double seconds = lua_isnoneornil(L, 2) ? -1 : halo_check_seconds(L, 2, "park");
    if (halo_is_cancelled(L, lua))
        return halo_give_cancelled(L, lua);
    if (!halo_can_wait(L, lua)) {
        lua_pushboolean(L, 0);
        halo_push_misuse(L, lua->task ? "this call cannot wait here, inside of a callback from C "
                                        "such as table.sort's or string.gsub's"
                                      : "this call waits for other tasks: only a task can do that");
        return 2;
    }
    if (seconds >= 0)
        halo_alarm_set(L, lua, &lua->task->alarm, seconds);
    return halo_park(L, lua, &halo_wait_for_wake, known[what], NULL);
}

/* wake(task, ...): lets a parked task go on, with these values. False where it is not parked. */
static int wake(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_task *task = halo_check_type(L, 1, halo_task_type, "wake");
    int count = lua_gettop(L) - 1;

    if (task->wait.kind != &halo_wait_for_wake) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (count > WAKE_MAX)
        return halo_error(L, "too many values to wake a task with");
    halo_alarm_stop(lua, &task->alarm);
    lua_pushboolean(task->current, 1);
    lua_xmove(L, task->current, count);
    halo_task_wake(lua, task, count + 1);
    lua_pushboolean(L, 1);
    return 1;
}

static bool may_be_cancelled(const struct halo_lua *lua)
{
    return lua->task &&
           (lua->task->cancelled || atomic_load_explicit(&lua->interrupt, memory_order_relaxed));
}

/*
 * cancellation(): whether the running task may have been cancelled; and, for the FFI, a function
 * that tells so and what it takes: to call that one a compiled loop need not leave its trace.
 */
static int cancellation(lua_State *L)
{
    const struct halo_lua *lua = halo_lua_self(L);
    lua_pushboolean(L, may_be_cancelled(lua));
    lua_pushlightuserdata(L, (void *)(uintptr_t)may_be_cancelled);
    lua_pushlightuserdata(L, (void *)(uintptr_t)lua);
    return 3;
}

/* shield(by): counts the running task's shields up or down. */
static int shield(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    if (lua->task)
        halo_shield_change(L, lua, lua_tointeger(L, 1) > 0);
    return 0;
}

/* ---- running ------------------------------------------------------------------------------- */

/* run(fn, ...): true and its results, or false and its error, when no task is alive any more. */
static int run(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TFUNCTION)
        return halo_arg_type_error(L, 1, "run", "function");
    if (halo_lua_self(L)->task)
        return halo_error(L, "halo.run inside of a task: call the function, or halo.spawn it");
    int status = halo_lua_run(halo_lua_self(L), L, lua_gettop(L) - 1, LUA_MULTRET);
    if (status <= HALO_LUA_CLOSED)
        return luaL_error(L, "%s", halo_lua_describe(status));
    lua_pushboolean(L, status == 0);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static int failures(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)halo_lua_failures(halo_lua_self(L)));
    return 1;
}

/* shutdown(): from inside of a task, which goes on; halo_lua_close() would refuse that. */
static int shut_down(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    halo_report_all(lua);
    halo_lua_close_loop(lua, HALO_CLOSE_DEADLINE_MS);
    return 0;
}

static int interrupted(lua_State *L)
{
    lua_pushboolean(L, halo_lua_self(L)->interrupted);
    return 1;
}

/* raise(message): an error at the line of the first frame that is not halo's own. */
static int raise_misuse(lua_State *L)
{
    return halo_error(L, luaL_checkstring(L, 1));
}

/* raise_argument(position, name, message): the same about an argument. */
static int raise_argument(lua_State *L)
{
    return halo_arg_error(L, (int)luaL_checkinteger(L, 1), luaL_checkstring(L, 2),
                          luaL_checkstring(L, 3));
}

/*
 * is_callable(value): a function, or what has one as its __call; it does not depend on the library
 * debug. All values of ffi have a __call, which then mostly says that they are not callable.
 */
static int is_callable(lua_State *L)
{
    luaL_checkany(L, 1);
    bool is_of_ffi = lua_type(L, 1) > LUA_TTHREAD;
    bool calls = !is_of_ffi && luaL_getmetafield(L, 1, "__call") && lua_isfunction(L, -1);
    lua_pushboolean(L, lua_isfunction(L, 1) || calls);
    return 1;
}

static const luaL_Reg functions[] = {
    {"configure", configure},
    {"warn_blocking", warn_blocking},
    {"choose_engine", choose_engine},
    {"configurable", configurable},
    {"stats", stats},
    {"engine", engine},
    {"operations", operations},
    {"is_local", is_local},
    {"park", park},
    {"wake", wake},
    {"cancellation", cancellation},
    {"shield", shield},
    {"run", run},
    {"failures", failures},
    {"shutdown", shut_down},
    {"interrupted", interrupted},
    {"is_callable", is_callable},
    {"raise", raise_misuse},
    {"raise_argument", raise_argument},
    {NULL, NULL},
};

void halo_open_runtime(lua_State *L)
{
    struct halo_lua *lua = halo_lua_get(L);
    halo_register(L, functions);
    halo_push_mark(L);
    lua_setfield(L, -2, "mark");
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    lua_setfield(L, -2, "cancelled");
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->uncertain);
    lua_setfield(L, -2, "uncertain");
}
