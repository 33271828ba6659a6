/*
 * A group counts its members and remembers the first that ended and those that failed. The task
 * that made it waits until there is something to know: a failure, an end, or that all have ended.
 * It always stays until then, so that no member outlives its group.
 */
#include "tasks/group.h"

#include "args.h"
#include "tasks/report.h"

#define TOLD_MAX 8 /* failures after the first that are reported in full */

static struct halo_group *check_group(lua_State *L)
{
    return halo_check_type(L, 1, halo_group_type, "group");
}

static void cancel_members(lua_State *L, struct halo_lua *lua, struct halo_group *self)
{
    self->cancelled = true;
    for (struct halo_task *task = self->members; task; task = task->group_next) {
        self->live += task->watches;
        task->watches = false;
        halo_task_cancel(L, lua, task);
    }
}

static void ring(lua_State *L, struct halo_lua *lua, struct halo_alarm *alarm)
{
    struct halo_group *self = (void *)((char *)alarm - offsetof(struct halo_group, alarm));
    self->late = true;
    cancel_members(L, lua, self);
}

/*
 * group([seconds]): for a task that can wait for it, since a group must not be left alone. When the
 * time is up its members are cancelled.
 */
static int group(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    if (!halo_can_wait(L, lua))
        return halo_error(L, lua->task ? "tasks cannot be waited for here, inside of a callback "
                                         "from C such as table.sort's or string.gsub's"
                                       : "tasks can be waited for in a task only: use halo.run");
    double seconds = lua_isnoneornil(L, 1) ? -1 : halo_check_seconds(L, 1, "timeout");
    struct halo_group *made = lua_newuserdata(L, sizeof(*made));
    *made = (struct halo_group){.type = halo_group_type, .alarm.ring = ring};
    made->home = lua->task->home;
    luaL_getmetatable(L, halo_group_type);
    lua_setmetatable(L, -2);
    if (seconds >= 0)
        halo_alarm_set(L, lua, &made->alarm, seconds);
    return 1;
}

/* can_wait(): whether tasks can be waited for here. */
static int can_wait(lua_State *L)
{
    lua_pushboolean(L, halo_can_wait(L, halo_lua_self(L)));
    return 1;
}

/* ---- members ------------------------------------------------------------------------------- */

void halo_group_join(struct halo_group *group, struct halo_task *task, bool told)
{
    task->told = told;
    if (!group)
        return;
    task->group = group;
    task->home = group->home;
    task->cancelled |= group->cancelled; /* then it ends without having begun */
    task->group_next = group->members;
    task->group_link = &group->members;
    if (group->members)
        group->members->group_link = &task->group_next;
    group->members = task;
    group->live++;
}

/* group_spawn(group, fn, ...): a Task that is a member. */
static int group_spawn(lua_State *L)
{
    struct halo_group *self = check_group(L);
    if (lua_type(L, 2) != LUA_TFUNCTION)
        return halo_arg_type_error(L, 2, "spawn", "function");
    if (self->closed)
        return halo_error(L, "this scope has ended: its tasks are over");
    struct halo_lua *lua = halo_lua_self(L);
    halo_group_join(self, halo_task_new(L, lua, lua_gettop(L) - 2), true);
    return 1;
}

/* group_adopt(group, fn, ...): the same, and what halo.spawn() starts from there belongs to it. */
static int group_adopt(lua_State *L)
{
    check_group(L)->home = check_group(L);
    return group_spawn(L);
}

/* spawn(fn, ...): a Task of the runtime's own group, or that of a halo.run inside of a task. */
static int spawn(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TFUNCTION)
        return halo_arg_type_error(L, 1, "spawn", "function");
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_task *task = halo_task_new(L, lua, lua_gettop(L) - 1);
    halo_group_join(lua->task ? lua->task->home : NULL, task, false);
    return 1;
}

/*
 * spawn_helper(fn, ...): a Task that works for the running one: a member of its group, which is
 * cancelled with it, too, and when it ends. Its failure belongs to the task that joins it.
 */
static int spawn_helper(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct halo_task *task = halo_task_new(L, lua, lua_gettop(L) - 1), *self = lua->task;
    task->watched = true;
    if (!self)
        return 1;
    task->shields = self->shields > 0; /* code under a shield may rely on it */
    halo_group_join(self->group, task, false);
    halo_task_help(task, self);
    return 1;
}

/*
 * spawn_member(fn, ...): a Task of the running one's group, which begins even where that has been
 * cancelled: it starts with a shield, to be left by itself, and keeps one that the caller is in.
 */
static int spawn_member(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct halo_task *task = halo_task_new(L, lua, lua_gettop(L) - 1), *self = lua->task;
    task->shields = self && self->shields > 0 ? 2 : 1;
    if (self)
        halo_group_join(self->group ? self->group : self->home, task, false);
    return 1;
}

/*
 * spawn_watcher(fn, ...): the same, for what is to be done if the group is cancelled, which waits
 * for it then. Where the group ends otherwise it is cancelled as well, and is_member() is false.
 * Nothing where the running task is in no group.
 */
static int spawn_watcher(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_task *self = lua->task;
    struct halo_group *group = !self ? NULL : self->group ? self->group : self->home;

    if (!group)
        return 0;
    struct halo_task *task = halo_task_new(L, lua, lua_gettop(L) - 1);
    task->shields = self->shields > 0 ? 2 : 1;
    halo_group_join(group, task, false);
    task->watches = !group->cancelled;
    group->live -= task->watches;
    return 1;
}

/* is_member(): whether the running task belongs to a group. */
static int is_member(lua_State *L)
{
    const struct halo_task *self = halo_lua_self(L)->task;
    lua_pushboolean(L, self && (self->group || self->home));
    return 1;
}

static void wake_waiting(struct halo_lua *lua, struct halo_group *self)
{
    struct halo_task *task = self->waiting;
    self->waiting = NULL;
    lua_pushboolean(task->current, 1);
    halo_task_wake(lua, task, 1);
}

/* The Tasks that failed stay where live ones are kept, linked by what linked them as members. */
static void remember_failure(struct halo_group *self, struct halo_task *task)
{
    task->kept = true;
    task->group_next = NULL;
    if (!self->failed) {
        self->failed = self->last_failed = task;
        return;
    }
    self->last_failed->group_next = task;
    self->last_failed = task;
    if (self->further++ < TOLD_MAX)
        halo_report_append(self->failed, task);
}

static void unlink_member(struct halo_group *self, struct halo_task *task)
{
    *task->group_link = task->group_next;
    if (task->group_next)
        task->group_next->group_link = task->group_link;
    task->group = NULL;
    self->live -= !task->watches;
}

/* What is spawned from now on comes too late; who only watches goes. */
static void close_group(lua_State *L, struct halo_lua *lua, struct halo_group *self)
{
    self->closed = true;
    for (struct halo_task *task; (task = self->members);) {
        unlink_member(self, task);
        task->home = NULL;
        halo_task_cancel(L, lua, task);
    }
    halo_alarm_stop(lua, &self->alarm);
    if (self->further > TOLD_MAX)
        halo_report_append_count(self->failed, self->further - TOLD_MAX);
}

void halo_group_leave(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_group *self = task->group;
    bool failed = task->told && task->state == HALO_TASK_FAILED && !task->was_cancelled;

    if (!self)
        return;
    unlink_member(self, task);
    if (task->told && !self->ended) {
        self->ended = task;
        task->kept = true;
    }
    if (failed)
        remember_failure(self, task);
    if (self->live == 0)
        close_group(L, lua, self);
    if (self->waiting && (self->live == 0 || failed || (self->any && self->ended)))
        wake_waiting(lua, self);
}

/* ---- waiting ------------------------------------------------------------------------------- */

static int leave(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_group *self = task->wait.on;
    (void)L;
    self->waiting = NULL;
    return lua->cancelled;
}

static const struct halo_wait_kind wait_for_members = {.what = "tasks", .cancel = leave};

/*
 * group_wait(group, any): waits until all members have ended, one has failed or, with any, one has
 * ended. Returns true, or nil and the cancellation: at once, since the members have yet to end.
 */
static int group_wait(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_group *self = check_group(L);

    if (self->live == 0)
        return lua_pushboolean(L, 1), 1;
    if (halo_is_cancelled(L, lua)) {
        lua->task->raised = true;
        lua_pushnil(L);
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
        return 2;
    }
    if (!halo_can_wait(L, lua))
        return halo_error(L, "this task group belongs to another coroutine");
    self->any = lua_toboolean(L, 2);
    self->waiting = lua->task;
    return halo_park(L, lua, &wait_for_members, wait_for_members.what, self);
}

static int stay(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)L, (void)lua, (void)task;
    return LUA_NOREF;
}

static const struct halo_wait_kind wait_for_cancelled = {.what = "tasks", .cancel = stay};

/*
 * group_wait_on(group): waits until all members are over, or one has failed, whatever the task has
 * been told: for members that have been cancelled. An interruption that breaks shields reaches
 * them, and not who waits for them here.
 */
static int group_wait_on(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    struct halo_group *self = check_group(L);

    if (self->live == 0)
        return 0;
    if (!halo_can_wait(L, lua))
        return halo_error(L, "this task group belongs to another coroutine");
    self->any = false;
    self->waiting = lua->task;
    return halo_park(L, lua, &wait_for_cancelled, wait_for_cancelled.what, self);
}

static void push_kept(lua_State *L, struct halo_lua *lua, const struct halo_task *task)
{
    if (task)
        halo_task_push(L, lua, task);
    else
        lua_pushnil(L);
}

/*
 * group_state(group): how many are alive, the first that ended, the first that failed, whether its
 * time was up.
 */
static int group_state(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_group *self = check_group(L);
    lua_pushinteger(L, (lua_Integer)self->live);
    push_kept(L, lua, self->ended);
    push_kept(L, lua, self->failed);
    lua_pushboolean(L, self->late);
    return 4;
}

/* group_failures(group): an array of the Tasks that failed, in the order in which they did. */
static int group_failures(lua_State *L)
{
    struct halo_lua *lua = halo_lua_self(L);
    const struct halo_group *self = check_group(L);
    int count = 0;

    lua_newtable(L);
    for (struct halo_task *task = self->failed; task; task = task->group_next) {
        halo_task_push(L, lua, task);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* group_cancel(group): cancels every member. */
static int group_cancel(lua_State *L)
{
    cancel_members(L, halo_lua_self(L), check_group(L));
    return 0;
}

static void leave_orphaned(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)L;
    if (task->home == lua->collected)
        task->home = NULL;
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
    halo_alarm_stop(lua, &self->alarm);
    if (self->ended)
        halo_task_let_go(L, lua, self->ended);
    for (struct halo_task *task = self->failed, *next; task; task = next) {
        next = task->group_next;
        halo_task_let_go(L, lua, task);
    }
    return 0;
}

static const luaL_Reg functions[] = {
    {"group", group},
    {"can_wait", can_wait},
    {"spawn", spawn},
    {"spawn_member", spawn_member},
    {"spawn_watcher", spawn_watcher},
    {"is_member", is_member},
    {"spawn_helper", spawn_helper},
    {"group_spawn", group_spawn},
    {"group_adopt", group_adopt},
    {"group_wait", group_wait},
    {"group_wait_on", group_wait_on},
    {"group_state", group_state},
    {"group_failures", group_failures},
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
