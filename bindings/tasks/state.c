/* halo's state: its making, the loop, and what every file of the bindings needs of it. */
#include "tasks/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "tasks/port.h"

/* Values for which a coroutine has room: a C function begins with LUA_MINSTACK free places. */
#define ROOM_MIN 12

struct halo_lua *halo_lua_of(lua_State *L)
{
    if (!L)
        return NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, HALO_STATE_KEY);
    struct halo_lua *lua = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return lua;
}

struct halo_lua *halo_lua_get(lua_State *L)
{
    struct halo_lua *lua = halo_lua_of(L);
    if (!lua)
        luaL_error(L, "halo is not open in this Lua state: call halo_lua_new()");
    return lua;
}

void halo_log(struct halo_lua *lua, const char *line)
{
    if (lua->options.on_log) {
        lua->options.on_log(lua, line, lua->options.user);
        return;
    }
    if (lua->give_way)
        lua->give_way(true);
    fflush(stdout);
    fprintf(stderr, "halo: %s\n", line);
    if (lua->give_way)
        lua->give_way(false);
}

void halo_register(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, HALO_STATE_KEY);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -2, functions->name);
    }
}

/*
 * A type's metatable, out of the reach of Lua, and the table of its methods, which becomes a field
 * of the table on top of the stack.
 */
void halo_open_type(lua_State *L, const char *type, const luaL_Reg *metamethods,
                    const luaL_Reg *methods)
{
    luaL_newmetatable(L, type);
    halo_register(L, metamethods);
    lua_pushstring(L, type);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    halo_register(L, methods);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    lua_setfield(L, -3, type);
    lua_pop(L, 1);
}

/* ---- making and closing -------------------------------------------------------------------- */

/* An interruption comes from any thread, and in a signal's handler, and wakes what it finds. */
struct halo_loop *halo_lua_take_loop(struct halo_lua *lua)
{
    struct halo_loop *loop = lua->loop;
    __atomic_store_n(&lua->loop, NULL, __ATOMIC_SEQ_CST);
    while (atomic_load(&lua->interrupting) > 0)
        continue;
    return loop;
}

void halo_lua_interrupt(struct halo_lua *halo)
{
    if (!halo)
        return;
    atomic_store(&halo->interrupt, true);
    atomic_fetch_add(&halo->interrupting, 1);
    struct halo_loop *loop = __atomic_load_n(&halo->loop, __ATOMIC_SEQ_CST);
    if (loop)
        halo_loop_interrupt(loop);
    atomic_fetch_sub(&halo->interrupting, 1);
}

unsigned halo_lua_close_loop(struct halo_lua *lua, uint64_t deadline_ms)
{
    if (lua->closed)
        return 0;
    if (lua->loop && lua->send_all)
        lua->send_all(lua);
    if (lua->port)
        halo_port_close(lua->port);
    struct halo_loop *loop = halo_lua_take_loop(lua);
    if (loop)
        lua->left = halo_loop_close(loop, deadline_ms);
    if (lua->left == 0) /* else a worker may still look its roots up */
        halo_fence_free(lua->fence);
    lua->fence = NULL;
    lua->closed = true;
    return lua->left;
}

/* The value that a cancellation raises: a table, so that no string can be taken for it. */
static int make_cancellation(lua_State *L)
{
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "ECANCELED");
    lua_setfield(L, -2, "code");
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int make_table(lua_State *L)
{
    lua_newtable(L);
    /* The head of luaL_unref()'s free list, without which it would leave a hole in the table. */
    lua_pushinteger(L, 0);
    lua_rawseti(L, -2, 0);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void halo_lua_make(lua_State *L, lua_CFunction gc)
{
    struct halo_lua *lua = lua_newuserdata(L, sizeof(*lua));
    memset(lua, 0, sizeof(*lua));
    lua->thread = pthread_self();
    lua->ended_end = &lua->ended;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawseti(L, LUA_REGISTRYINDEX, HALO_STATE_KEY);
    lua->L = lua_newthread(L);
    lua->own_thread = luaL_ref(L, LUA_REGISTRYINDEX);
    lua->other = lua_newthread(L);
    lua->other_thread = luaL_ref(L, LUA_REGISTRYINDEX);
    lua->anchors = make_table(L);
    lua->sources = make_table(L);
    lua->shields = LUA_NOREF;
    lua->cancelled = make_cancellation(L);
    lua->uncertain = make_cancellation(L);
    lua->port = halo_port_new();
    if (!lua->port)
        luaL_error(L, "not enough memory");
}

/* ---- the loop ------------------------------------------------------------------------------ */

enum halo_engine_kind halo_lua_check_engine(lua_State *L, const char *name)
{
    static const char *const names[] = {"auto", "ring", "pool"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum halo_engine_kind)i;
    halo_error(L, lua_pushfstring(L, "unknown engine '%s': auto, ring or pool", name));
    return HALO_ENGINE_AUTO;
}

/* The user's word, on the command line or else in the environment, goes before the program's. */
static void read_environment(lua_State *L, struct halo_lua *lua)
{
    const char *engine = secure_getenv("HALO_ENGINE");
    const char *collector = secure_getenv("HALO_GC");
    if (lua->engine_chosen)
        lua->config.engine = lua->chosen_engine;
    else if (engine && engine[0])
        lua->config.engine = halo_lua_check_engine(L, engine);
    lua->stress = collector && strcmp(collector, "stress") == 0;
    if (collector && collector[0] && !lua->stress)
        halo_error(L, lua_pushfstring(L, "unknown HALO_GC '%s': stress", collector));
}

static void make_loop(lua_State *L, struct halo_lua *lua)
{
    struct halo_loop *loop;
    char reason[200];

    if (lua->closed)
        halo_error(L, "halo has been closed");
    read_environment(L, lua);
    lua->config.fence = lua->fence;
    int error = halo_loop_create(&loop, &lua->config);
    if (error) {
        halo_loop_explain(error, &lua->config, reason, sizeof(reason));
        halo_error(L, reason);
    }
    __atomic_store_n(&lua->loop, loop, __ATOMIC_SEQ_CST);
    halo_port_connect(lua->port, loop);
}

void halo_lua_check_forked(lua_State *L, const struct halo_lua *lua)
{
    if (lua->loop && halo_loop_is_forked(lua->loop))
        halo_error(L, "this process is a child of fork(): halo's loop belongs to its parent");
}

struct halo_loop *halo_lua_loop(lua_State *L, struct halo_lua *lua)
{
    if (lua->loop)
        halo_lua_check_forked(L, lua);
    else
        make_loop(L, lua);
    return lua->loop;
}

/* ---- stacks -------------------------------------------------------------------------------- */

static int grow(lua_State *L)
{
    luaL_checkstack(L, *(const int *)lua_touserdata(L, 1), NULL);
    return 0;
}

bool halo_make_room(lua_State *co, int count)
{
    return count <= ROOM_MIN || lua_cpcall(co, grow, &count) == 0;
}
