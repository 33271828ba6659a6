/* Tasks: their making and their end. */
#include "tasks/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "tasks/report.h"

#define SOURCES_MAX 4096

/* ---- making -------------------------------------------------------------------------------- */

static int anchor(lua_State *L, struct halo_lua *lua)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    lua_insert(L, -2);
    int reference = luaL_ref(L, -2);
    lua_pop(L, 1);
    return reference;
}

static void unanchor(lua_State *L, struct halo_lua *lua, int reference, int other)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    luaL_unref(L, -1, reference);
    luaL_unref(L, -1, other); /* which may be LUA_NOREF */
    lua_pop(L, 1);
}

/* Both or none: what is left of a making that ran out of memory in between goes now. */
static void anchor_both(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (lua->half_made)
        unanchor(L, lua, lua->half_made, LUA_NOREF);
    task->co_anchor = lua->half_made = anchor(L, lua);
    lua_pushvalue(L, -1);
    task->anchor = anchor(L, lua);
    lua->half_made = 0;
}

/* A chunk's name is kept in the registry, once, however many tasks it has spawned. */
static const char *keep_source(lua_State *L, struct halo_lua *lua, const char *source)
{
    const char *kept = NULL;

    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->sources);
    lua_pushstring(L, source);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    bool known = lua_toboolean(L, -1);
    lua_pop(L, 1);
    /* A program that makes chunks without end is not followed any further. */
    if (known || lua->source_count < SOURCES_MAX)
        kept = lua_tostring(L, -1);
    if (kept && !known) {
        lua->source_count++;
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 2);
    }
    return kept;
}

/* Remembers the user's line that makes the task. */
static void note_origin(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    lua_Debug ar;
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline <= 0 || halo_is_own_source(ar.source))
            continue;
        task->spawned_line = ar.currentline;
        task->spawned_source = keep_source(L, lua, ar.short_src);
        return;
    }
}

static void ring(lua_State *L, struct halo_lua *lua, struct halo_alarm *alarm)
{
    struct halo_task *task = (void *)((char *)alarm - offsetof(struct halo_task, alarm));
    (void)L;
    lua_pushboolean(task->current, 1);
    halo_task_wake(lua, task, 1);
}

/* Raises where there can be no other task. */
static void check_limits(lua_State *L, const struct halo_lua *lua)
{
    if (lua->max_tasks && lua->tasks >= lua->max_tasks)
        halo_error(L, lua_pushfstring(L, "too many tasks: %d are alive, and no more may be",
                                      (int)lua->tasks));
    if (lua->watch.expired)
        halo_error(L, "no task can begin: the time in all is over");
}

/* Whatever may fail for want of memory comes before the task is one. */
struct halo_task *halo_task_new(lua_State *L, struct halo_lua *lua, int nargs)
{
    check_limits(L, lua);
    struct halo_task *task = lua_newuserdata(L, sizeof(*task));
    memset(task, 0, sizeof(*task));
    luaL_getmetatable(L, halo_task_type);
    lua_setmetatable(L, -2);

    lua_State *co = lua_newthread(L);
    if (!halo_make_room(co, nargs)) {
        lua_xmove(co, L, 1);
        lua_error(L);
    }
    task->type = halo_task_type;
    task->alarm.ring = ring;
    task->co = task->current = co;
    note_origin(L, lua, task);
    anchor_both(L, lua, task);
    lua_insert(L, -(nargs + 2));

    task->id = ++lua->next_id;
    halo_push_mark(co);
    lua_xmove(L, co, nargs + 1);
    if (lua->task)
        task->parent_id = lua->task->id;
    lua->tasks++;
    halo_task_wake(lua, task, nargs);
    return task;
}

void halo_task_push(lua_State *L, struct halo_lua *lua, const struct halo_task *task)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    lua_rawgeti(L, -1, task->anchor);
    lua_remove(L, -2);
}

void halo_task_let_go(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (task->kept && halo_task_is_over(task))
        unanchor(L, lua, task->anchor, LUA_NOREF);
    task->kept = false;
}

void halo_task_help(struct halo_task *helper, struct halo_task *task)
{
    if (task->helped)
        task = task->helped;
    helper->helped = task;
    helper->helper_next = task->helpers;
    helper->helper_link = &task->helpers;
    if (task->helpers)
        task->helpers->helper_link = &helper->helper_next;
    task->helpers = helper;
}

static void leave_helped(struct halo_task *helper)
{
    if (!helper->helper_link)
        return;
    *helper->helper_link = helper->helper_next;
    if (helper->helper_next)
        helper->helper_next->helper_link = helper->helper_link;
    helper->helper_next = helper->helped = NULL;
    helper->helper_link = NULL;
}

/* ---- all of them --------------------------------------------------------------------------- */

void halo_task_each(lua_State *L, struct halo_lua *lua,
                    void (*visit)(lua_State *, struct halo_lua *, struct halo_task *))
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    int count = (int)lua_objlen(L, -1);
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        struct halo_task *task = lua_touserdata(L, -1);
        if (task && task->co) /* it is not only kept by its group */
            visit(L, lua, task);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void cancel_one(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (task != lua->task)
        halo_task_cancel(L, lua, task);
}

void halo_task_cancel_all(lua_State *L, struct halo_lua *lua)
{
    halo_task_each(L, lua, cancel_one);
}

const char *halo_task_state_name(const struct halo_task *task)
{
    static const char *const names[] = {"ready", "running", "waiting", "ended", "failed"};
    return task->was_cancelled ? "cancelled" : names[task->state];
}

/* ---- the end ------------------------------------------------------------------------------- */

/*
 * A failure that somebody waits for is theirs. A group raises its first one, and cancels the rest.
 */
static bool is_awaited(const struct halo_task *task)
{
    return task->told || task->watched || task->joiners.first;
}

static void note_cancelled(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    task->was_cancelled = task->cancelled && halo_is_cancellation(L, lua, task->co);
    if (!task->was_cancelled)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->uncertain);
    lua_xmove(L, task->co, 1);
    task->was_uncertain = lua_rawequal(task->co, -1, -2);
    lua_pop(task->co, 1);
}

/* Moves count values from the coroutine into a table that becomes the Task's environment. */
static void keep_results(lua_State *L, struct halo_lua *lua, struct halo_task *task, int count)
{
    if (count == 0)
        return;
    halo_task_push(L, lua, task);
    lua_createtable(L, count, 0);
    for (int i = count; i > 0; i--) {
        lua_xmove(task->co, L, 1);
        lua_rawseti(L, -2, i);
    }
    lua_setfenv(L, -2);
    lua_pop(L, 1);
    task->nresults = count;
}

void halo_task_settle(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status)
{
    int count = task->started ? lua_gettop(task->co) - 1 : 0; /* without the mark at the bottom */

    if (!task->started)
        task->was_cancelled = true;
    if (status != 0) {
        count = 1;
        note_cancelled(L, lua, task);
        if (!task->was_cancelled)
            halo_report_make(L, task);
    }
    if (!task->was_cancelled)
        keep_results(L, lua, task, count);
    task->status = (uint8_t)status;
    task->state = status == 0 ? HALO_TASK_ENDED : HALO_TASK_FAILED;
    if (status != 0 && !task->was_cancelled && !is_awaited(task))
        halo_report_remember(lua, task);
}

void halo_task_give_up(struct halo_lua *lua, struct halo_task *task, const char *message)
{
    if (halo_task_is_over(task))
        return;
    task->state = HALO_TASK_FAILED;
    task->wait.kind = NULL;
    task->nresults = 0;
    task->status = LUA_ERRMEM;
    task->given_up = true;
    halo_report_message(task, message);
    if (!is_awaited(task))
        halo_report_remember(lua, task);
}

int halo_task_push_outcome(lua_State *L, struct halo_lua *lua, int index)
{
    const struct halo_task *task = lua_touserdata(L, index);

    lua_pushboolean(L, task->state == HALO_TASK_ENDED && !task->was_cancelled);
    if (task->was_cancelled) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->was_uncertain ? lua->uncertain : lua->cancelled);
        return 2;
    }
    if (task->given_up) {
        lua_pushliteral(L, "not enough memory");
        return 2;
    }
    if (task->nresults > 0) {
        lua_getfenv(L, index);
        int results = lua_gettop(L);
        for (int i = 1; i <= task->nresults; i++)
            lua_rawgeti(L, results, i);
        lua_remove(L, results);
    }
    return 1 + task->nresults;
}

static void free_memory(struct halo_task *task)
{
    free(task->callers);
    free(task->cause);
    task->callers = NULL;
    task->cause = NULL;
}

void halo_task_retire(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    leave_helped(task);
    while (task->helpers) {
        struct halo_task *helper = task->helpers;
        leave_helped(helper);
        halo_task_cancel(L, lua, helper);
    }
    halo_alarm_stop(lua, &task->alarm);
    free_memory(task);
    unanchor(L, lua, task->co_anchor, task->kept ? LUA_NOREF : task->anchor);
    task->co = task->current = NULL;
    lua->tasks--;
}

/* Nobody can join a Task that is collected: a failure that nobody has taken is printed soon. */
int halo_task_gc(lua_State *L)
{
    struct halo_task *task = lua_touserdata(L, 1);
    if (task->failed_link)
        halo_report_lose(halo_lua_self(L), task);
    free_memory(task);
    free(task->report);
    task->report = NULL;
    return 0;
}
