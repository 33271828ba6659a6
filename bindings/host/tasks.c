/* The host's tasks: their making and their handles. */
#include "args.h"
#include "host/host.h"
#include "host/values.h"
#include "tasks/scheduler.h"

/* ---- making -------------------------------------------------------------------------------- */

struct spawning {
    struct halo_lua *lua;
    lua_State *from; /* the function and its arguments lie there, or NULL */
    int nargs;
    const char *text, *name; /* else it is compiled of this */
    size_t length;
    bool wants_handle;
    struct halo_lua_task *handle;
};

/* Runs on a stack of halo's own, under lua_cpcall(). */
static int spawn(lua_State *L)
{
    struct spawning *call = lua_touserdata(L, 1);

    luaL_checkstack(L, call->nargs + LUA_MINSTACK, "too many arguments");
    if (call->from)
        lua_xmove(call->from, L, call->nargs + 1);
    else if (luaL_loadbufferx(L, call->text, call->length, call->name, "t") != 0)
        return lua_error(L);
    if (call->wants_handle)
        call->handle = halo_handle_new(L, call->lua);
    struct halo_task *task = halo_task_new(L, call->lua, call->nargs);
    if (call->handle)
        halo_handle_attach(L, call->handle, task);
    return 0;
}

static int make(struct spawning *call, struct halo_lua_task **task)
{
    /* What push leaves, or a finalizer, may lie on halo's own stack, where no other call gets at
     * it. */
    lua_State *L = call->from == call->lua->L ? call->lua->other : call->lua->L;

    halo_collect_early(call->lua);
    int status = lua_cpcall(L, spawn, call);

    if (status == 0) {
        if (task)
            *task = call->handle;
        return 0;
    }
    if (call->handle)
        halo_handle_free(call->handle);
    return halo_host_fail_on(call->lua, L, status);
}

int halo_lua_spawn(struct halo_lua *halo, lua_State *L, int nargs, struct halo_lua_task **task)
{
    struct spawning call = {.lua = halo, .from = L, .nargs = nargs, .wants_handle = task};
    int code = halo_host_check_open(halo);

    if (task)
        *task = NULL;
    if (code == 0)
        code = halo_host_check_call(halo, L, nargs);
    if (code != 0)
        return code;
    int below = lua_gettop(L) - nargs - 1;
    code = make(&call, task);
    lua_settop(L, below);
    return code;
}

int halo_lua_spawn_text(struct halo_lua *halo, const char *text, size_t length, const char *name,
                        struct halo_lua_task **task)
{
    struct spawning call = {.lua = halo,
                            .text = text,
                            .length = length,
                            .name = name ? name : "=chunk",
                            .wants_handle = task};
    int code = halo_host_check_open(halo);

    if (task)
        *task = NULL;
    if (code == 0 && !text)
        code = HALO_LUA_INVALID;
    return code == 0 ? make(&call, task) : code;
}

/* ---- handles ------------------------------------------------------------------------------- */

static int check_handle(const struct halo_lua_task *task)
{
    if (!task)
        return HALO_LUA_INVALID;
    if (!pthread_equal(task->thread, pthread_self()))
        return HALO_LUA_WRONG_THREAD;
    return task->lua ? 0 : HALO_LUA_CLOSED;
}

int halo_lua_task_status(const struct halo_lua_task *task)
{
    static const uint8_t names[] = {
        [HALO_TASK_READY] = HALO_LUA_TASK_READY,     [HALO_TASK_RUNNING] = HALO_LUA_TASK_ACTIVE,
        [HALO_TASK_WAITING] = HALO_LUA_TASK_WAITING, [HALO_TASK_ENDED] = HALO_LUA_TASK_ENDED,
        [HALO_TASK_FAILED] = HALO_LUA_TASK_FAILED,
    };
    int code = check_handle(task);

    if (code != 0)
        return code;
    return task->task->was_cancelled ? HALO_LUA_TASK_CANCELLED : names[task->task->state];
}

int halo_lua_task_cancel(struct halo_lua_task *task)
{
    int code = check_handle(task);

    if (code == 0)
        code = halo_host_check_open(task->lua);
    return code == 0 ? halo_task_cancel(task->lua->L, task->lua, task->task) : code;
}

int halo_lua_task_results(struct halo_lua_task *task, lua_State *L)
{
    int code = check_handle(task);

    if (code != 0)
        return code;
    if (halo_lua_of(L) != task->lua)
        return HALO_LUA_INVALID;
    if (!halo_task_is_over(task->task))
        return HALO_LUA_RUNNING;
    halo_handle_push(L, task);
    return halo_host_push_outcome(L, task->lua, task->task, LUA_MULTRET);
}

int halo_lua_task_at_end(struct halo_lua_task *task, void (*ended)(struct halo_lua_task *, void *),
                         void *user)
{
    int code = check_handle(task);

    if (code == 0)
        code = halo_host_check_open(task->lua);
    if (code != 0)
        return code;
    if (ended && halo_task_is_over(task->task) && !task->due) {
        ended(task, user);
        return 0;
    }
    task->ended = ended;
    task->user = user;
    return 0;
}

int halo_lua_task_release(struct halo_lua_task *task)
{
    int code = check_handle(task);

    if (code == HALO_LUA_INVALID || code == HALO_LUA_WRONG_THREAD)
        return code;
    halo_handle_free(task);
    return 0;
}
