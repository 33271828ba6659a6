/*
 * A group counts its members and remembers the first that ended and the first that failed. The
 * task that made it waits until there is something to know: a failure, an end, or that all are
 * over. It always stays until all are over, so that no member outlives its group.
 */
#include "tasks/group.h"

#include "args.h"

static struct halo_group *check_group(lua_State *L)
{
    return halo_check_type(L, 1, halo_group_type, "group");
}

/* group(): for a task that can wait for it, since a group must not be left alone. */
static int group(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    if (!halo_can_wait(L, lua))
        return halo_error(L, lua->task ? "tasks cannot be waited for here, inside of a callback "
                                         "from C such as table.sort's or string.gsub's"
                                       : "tasks can be waited for in a task only: use halo.run");
    struct halo_group *made = lua_newuserdata(L, sizeof(*made));
    *made = (struct halo_group){
        .type = halo_group_type, .first_ended = LUA_NOREF, .first_failed = LUA_NOREF};
    luaL_getmetatable(L, halo_group_type);
    lua_setmetatable(L, -2);
    return 1;
}

/* ---- members ------------------------------------------------------------------------------- */

/* group_spawn(group, fn, ...): a Task that is a member. */
static int group_spawn(lua_State *L)
{
    struct halo_group *self = check_group(L);
    if (lua_type(L, 2) != LUA_TFUNCTION)
        return halo_arg_type_error(L, 2, "spawn", "function");
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_task *task = halo_task_new(L, lua, lua_gettop(L) - 2);
    halo_task_note_origin(L, lua, task);
    task->group = self;
    task->watched = true;
    task->group_next = self->members;
    task->group_link = &self->members;
    if (self->members)
        self->members->group_link = &task->group_next;
    self->members = task;
    self->live++;
    task->cancelled = self->cancelled; /* then it ends without having begun */
    return 1;
}

/* group_adopt(group, fn, ...): a Task whose descendants count as well; for halo.run. */
static int group_adopt(lua_State *L)
{
    struct halo_group *self = check_group(L);
    group_spawn(L);
    struct halo_task *task = lua_touserdata(L, -1);
    if (task->family)
        task->family->live--;
    task->family = self;
    return 1;
}

static void wake_waiting(struct halo_lua *lua, struct halo_group *self)
{
    struct halo_task *task = self->waiting;
    self->waiting = NULL;
    task->awaited = NULL;
    if (task->timer.index)
        halo_timer_stop(lua->loop, &task->timer);
    lua_pushboolean(task->current, 1);
    halo_task_wake(lua, task, 1);
}

static void remember(lua_State *L, struct halo_lua *lua, int *anchor, struct halo_task *task)
{
    if (*anchor != LUA_NOREF)
        return;
    halo_task_push(L, lua, task);
    *anchor = luaL_ref(L, LUA_REGISTRYINDEX);
}

void halo_group_leave(lua_State *L, struct halo_lua *lua, struct halo_task *task, bool failed)
{
    struct halo_group *self = task->group;
    struct halo_group *family = task->family;

    if (self) {
        *task->group_link = task->group_next;
        if (task->group_next)
            task->group_next->group_link = task->group_link;
        remember(L, lua, &self->first_ended, task);
        if (failed)
            remember(L, lua, &self->first_failed, task);
        self->live--;
        if (self->waiting && (self->live == 0 || failed || self->any))
            wake_waiting(lua, self);
    }
    if (family && family != self && --family->live == 0 && family->waiting)
        wake_waiting(lua, family);
    task->group = task->family = NULL;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/*
 * group_wait(group, any [, seconds]): waits until all members are over, one has failed, with any
 * one has ended, or the time is up. Returns true, or false and the cancellation.
 */
static int group_wait(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_group *self = check_group(L);

    if (self->live == 0)
        return lua_pushboolean(L, 1), 1;
    if (halo_push_cancelled(L, lua))
        return 2;
    if (!halo_can_wait(L, lua))
        return halo_error(L, "this task group belongs to another coroutine");
    if (!lua_isnoneornil(L, 3)) {
        uint64_t deadline_ns = halo_deadline(halo_check_seconds(L, 3, "timeout"));
        if (halo_timer_start(halo_lua_loop(L, lua), &lua->task->timer, deadline_ns) < 0)
            return luaL_error(L, "not enough memory");
    }
    self->any = lua_toboolean(L, 2);
    self->waiting = lua->task;
    lua->task->awaited = self;
    return halo_park(L, lua, "tasks");
}

static void push_first(lua_State *L, int anchor)
{
    if (anchor == LUA_NOREF)
        lua_pushnil(L);
    else
        lua_rawgeti(L, LUA_REGISTRYINDEX, anchor);
}

/* group_state(group): how many are alive, the first that ended, the first that failed. */
static int group_state(lua_State *L)
{
    const struct halo_group *self = check_group(L);
    lua_pushinteger(L, (lua_Integer)self->live);
    push_first(L, self->first_ended);
    push_first(L, self->first_failed);
    return 3;
}

/* group_cancel(group): cancels every member. */
static int group_cancel(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_group *self = check_group(L);
    self->cancelled = true;
    for (struct halo_task *task = self->members; task; task = task->group_next)
        halo_task_cancel(L, lua, task);
    return 0;
}

static void leave_orphaned(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)L;
    if (task->family == lua->collected)
        task->family = NULL;
    if (task->group == lua->collected)
        task->group = NULL;
}

/* Members are alive only where the group's own task ended by an error of the runtime. */
static int group_gc(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_group *self = lua_touserdata(L, 1);
    lua->collected = self;
    if (self->live > 0)
        halo_task_each(L, lua, leave_orphaned);
    luaL_unref(L, LUA_REGISTRYINDEX, self->first_ended);
    luaL_unref(L, LUA_REGISTRYINDEX, self->first_failed);
    return 0;
}

static const luaL_Reg functions[] = {
    {"group", group},
    {"group_spawn", group_spawn},
    {"group_adopt", group_adopt},
    {"group_wait", group_wait},
    {"group_state", group_state},
    {"group_cancel", group_cancel},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", group_gc},
    {NULL, NULL},
};

void halo_open_group(lua_State *L)
{
    halo_register(L, functions);
    luaL_newmetatable(L, halo_group_type);
    halo_register(L, metamethods);
    lua_pop(L, 1);
}
