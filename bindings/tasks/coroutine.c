/*
 * coroutine.resume and its kin for generators that call halo. In a task a generator is not
 * resumed from within its caller: the caller is suspended, and the scheduler runs the generator on
 * the task's behalf. So a call that waits inside of it suspends the task as a whole, at any depth
 * and at the price of one switch, and the generator's caller never sees it. Values that the
 * generator itself yields go to its caller as ever.
 *
 * Where the caller cannot be suspended, and outside of tasks, the functions of the standard
 * library do the work.
 */
#include "tasks/coroutine.h"

#include <stdlib.h>

#include "args.h"
#include "tasks/shield.h"

#define DEPTH_MAX 100000 /* nested generators; more are taken for endless recursion */

static const char *status_of(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    if (co == L)
        return "running";
    if (lua_status(co) == LUA_YIELD)
        return halo_is_marked(co) ? "normal" : "suspended";
    if (lua_status(co) != 0)
        return "dead";
    if (lua_getstack(co, 0, &ar))
        return "normal";
    return lua_gettop(co) == 0 || halo_is_marked(co) ? "dead" : "suspended";
}

static lua_State *check_thread(lua_State *L, const char *name)
{
    lua_State *co = lua_tothread(L, 1);
    if (!co)
        halo_arg_type_error(L, 1, name, "coroutine");
    return co;
}

static int refuse(lua_State *L, const char *status)
{
    lua_pushboolean(L, 0);
    lua_pushfstring(L, "cannot resume %s coroutine", status[0] == 'd' ? "dead" : "running");
    return 2;
}

/* Returns NULL, or what is in the way. */
static const char *push_caller(struct halo_task *task, lua_State *caller, uint32_t shields)
{
    if (task->depth == DEPTH_MAX)
        return "too many coroutines one in another";
    if (task->depth == task->capacity) {
        uint32_t capacity = task->capacity ? task->capacity * 2 : 4;
        struct halo_caller *callers = realloc(task->callers, capacity * sizeof(*callers));
        if (!callers)
            return "not enough memory";
        task->callers = callers;
        task->capacity = capacity;
    }
    task->callers[task->depth++] = (struct halo_caller){.co = caller, .shields = shields};
    return NULL;
}

int halo_coroutine_return(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status)
{
    lua_State *co = task->current;
    const struct halo_caller *level = &task->callers[--task->depth];
    lua_State *caller = level->co;
    bool ok = status == 0 || status == LUA_YIELD;
    int count = ok ? lua_gettop(co) : 1;

    if (task->shields != level->shields)
        halo_shields_leave(L, lua, task, co, level->shields);
    task->current = caller;
    if (!halo_make_room(caller, count + 1))
        return -1;
    lua_pushboolean(caller, ok);
    lua_xmove(co, caller, count);
    return count + 1;
}

/* Upvalues: halo's state, the standard function. */
static int resume(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    lua_State *co = check_thread(L, "resume");
    const char *status = status_of(L, co);
    int nargs = lua_gettop(L) - 1;

    if (status[0] != 's')
        return refuse(L, status);
    if (!halo_can_wait(L, lua)) {
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_insert(L, 1);
        lua_call(L, nargs + 1, LUA_MULTRET);
        return lua_gettop(L);
    }
    if (!halo_make_room(co, nargs)) {
        lua_pushboolean(L, 0);
        lua_xmove(co, L, 1);
        return 2;
    }
    const char *problem = push_caller(lua->task, L, lua->task->shields);
    if (problem) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, problem);
        return 2;
    }
    if (lua->shields != LUA_NOREF)
        halo_shields_enter(L, lua, lua->task, co);
    lua_xmove(L, co, nargs);
    lua->task->current = co;
    lua->yielded = nargs;
    lua->yield = HALO_YIELD_RESUME;
    halo_push_mark(L);
    return lua_yield(L, lua_gettop(L));
}

static int status(lua_State *L)
{
    lua_pushstring(L, status_of(L, check_thread(L, "status")));
    return 1;
}

/* A task's own coroutine has nobody who could take what it yields. */
static bool is_task(lua_State *L, const struct halo_lua *lua)
{
    return L == lua->running && lua->task->depth == 0;
}

/* in_task(): whether there is nobody to yield to. */
static int in_task(lua_State *L)
{
    lua_pushboolean(L, is_task(L, halo_lua_self(L)));
    return 1;
}

static int isyieldable(lua_State *L)
{
    lua_pushboolean(L, !is_task(L, halo_lua_self(L)) && lua_isyieldable(L));
    return 1;
}

static const luaL_Reg functions[] = {
    {"co_status", status},
    {"in_task", in_task},
    {"co_isyieldable", isyieldable},
    {NULL, NULL},
};

void halo_open_coroutine(lua_State *L)
{
    halo_register(L, functions);
    lua_rawgeti(L, LUA_REGISTRYINDEX, HALO_STATE_KEY);
    lua_getglobal(L, "coroutine");
    lua_getfield(L, -1, "resume");
    lua_remove(L, -2);
    lua_pushcclosure(L, resume, 2);
    lua_setfield(L, -2, "resume");
}
