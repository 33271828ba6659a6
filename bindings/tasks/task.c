/*
 * Tasks: their making and their end. A task that is alive is kept in a registry table together
 * with its coroutine; one that is over lives as long as somebody holds its Task, with the results
 * in the Task's environment table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "tasks/group.h"
#include "tasks/scheduler.h"

#define RESULTS_MAX 7000 /* of a task; LuaJIT's stack for a C function ends soon after */

/* ---- making -------------------------------------------------------------------------------- */

static int anchor(lua_State *L, struct halo_lua *lua)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    lua_insert(L, -2);
    int reference = luaL_ref(L, -2);
    lua_pop(L, 1);
    return reference;
}

void halo_task_push(lua_State *L, struct halo_lua *lua, const struct halo_task *task)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    lua_rawgeti(L, -1, task->anchor);
    lua_remove(L, -2);
}

struct halo_task *halo_task_new(lua_State *L, struct halo_lua *lua, int nargs)
{
    struct halo_task *task = lua_newuserdata(L, sizeof(*task));
    memset(task, 0, sizeof(*task));
    luaL_getmetatable(L, halo_task_type);
    lua_setmetatable(L, -2);

    lua_State *co = lua_newthread(L);
    lua_checkstack(co, nargs + LUA_MINSTACK);
    task->type = halo_task_type;
    task->timer.user = task;
    task->co = task->current = co;
    task->id = ++lua->next_id;
    task->co_anchor = anchor(L, lua);
    lua_pushvalue(L, -1);
    task->anchor = anchor(L, lua);
    lua_insert(L, -(nargs + 2));

    halo_push_mark(co);
    lua_xmove(L, co, nargs + 1);
    if (lua->task) {
        task->parent_id = lua->task->id;
        task->family = lua->task->family;
        if (task->family)
            task->family->live++;
    }
    lua->tasks++;
    halo_task_wake(lua, task, nargs);
    return task;
}

/* ---- failure ------------------------------------------------------------------------------- */

static void remember_failure(struct halo_lua *lua, struct halo_task *task)
{
    task->failed_order = lua->next_failure++;
    task->failed_next = lua->failed;
    task->failed_link = &lua->failed;
    if (lua->failed)
        lua->failed->failed_link = &task->failed_next;
    lua->failed = task;
    lua->failed_lately = true;
}

void halo_task_claim(struct halo_task *task)
{
    if (!task->failed_link)
        return;
    *task->failed_link = task->failed_next;
    if (task->failed_next)
        task->failed_next->failed_link = task->failed_link;
    task->failed_link = NULL;
}

/* A failure that is to be printed, in the order in which they happened. */
struct halo_report {
    struct halo_report *next;
    uint64_t order;
    char *text;
};

static void lose(struct halo_lua *lua, struct halo_task *task)
{
    struct halo_report **link = &lua->lost;
    struct halo_report *report = malloc(sizeof(*report));

    halo_task_claim(task);
    lua->failures++;
    if (!report)
        return;
    *report = (struct halo_report){.order = task->failed_order, .text = task->report};
    task->report = NULL;
    while (*link && (*link)->order < report->order)
        link = &(*link)->next;
    report->next = *link;
    *link = report;
}

/* Without its title, which has the task's number in it. */
static bool same_failure(const struct halo_report *a, const struct halo_report *b)
{
    const char *left = a->text ? strstr(a->text, " failed: ") : NULL;
    const char *right = b && b->text ? strstr(b->text, " failed: ") : NULL;
    return left && right && strcmp(left, right) == 0;
}

void halo_task_report_lost(struct halo_lua *lua)
{
    unsigned alike = 0;

    if (lua->lost)
        fflush(stdout);
    while (lua->lost) {
        struct halo_report *report = lua->lost;
        lua->lost = report->next;
        if (same_failure(report, lua->lost)) {
            alike++;
        } else {
            fprintf(stderr, "%s\n", report->text ? report->text : "halo: a task failed");
            if (alike > 0)
                fprintf(stderr, "\tand %u more in the same way\n", alike);
            alike = 0;
        }
        free(report->text);
        free(report);
    }
}

void halo_task_report(struct halo_lua *lua)
{
    while (lua->failed)
        lose(lua, lua->failed);
    halo_task_report_lost(lua);
}

bool halo_is_cancellation(lua_State *L, const struct halo_lua *lua, lua_State *co)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* A failure that somebody waits for is theirs. A scope raises its first one, and cancels the rest.
 */
static bool is_awaited(const struct halo_task *task)
{
    return task->group || task->watched || task->joiners;
}

static void fail(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    char title[48];

    task->was_cancelled = task->cancelled && halo_is_cancellation(L, lua, task->co);
    if (task->was_cancelled)
        return;
    snprintf(title, sizeof(title), "halo: task %llu failed", (unsigned long long)task->id);
    task->report = halo_traceback(L, task->co, title, task, 0);
    if (!is_awaited(task))
        remember_failure(lua, task);
}

/* ---- the end ------------------------------------------------------------------------------- */

/* Moves count values from the coroutine into a table that becomes the Task's environment. */
static void keep_results(lua_State *L, struct halo_lua *lua, struct halo_task *task, int count)
{
    task->nresults = count;
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
}

int halo_task_push_outcome(lua_State *L, struct halo_lua *lua, int index)
{
    const struct halo_task *task = lua_touserdata(L, index);

    lua_pushboolean(L, task->state == HALO_TASK_ENDED && !task->was_cancelled);
    if (task->was_cancelled) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
        return 2;
    }
    if (task->nresults > 0) {
        lua_getfenv(L, index);
        int results = lua_gettop(L);
        luaL_checkstack(L, task->nresults, "too many results to join");
        for (int i = 1; i <= task->nresults; i++)
            lua_rawgeti(L, results, i);
        lua_remove(L, results);
    }
    return 1 + task->nresults;
}

void halo_task_tell(struct halo_task *joiner, const struct halo_task *task)
{
    if (!task->report)
        return;
    free(joiner->cause);
    joiner->cause = strdup(task->report);
}

/* Moves the outcome to a joiner; one that has no room for all of it is told so. */
static int give_outcome(lua_State *L, struct halo_lua *lua, lua_State *joiner, int index)
{
    const struct halo_task *task = lua_touserdata(L, index);
    int room = task->nresults + LUA_MINSTACK;

    if (task->nresults > RESULTS_MAX || !lua_checkstack(L, room) || !lua_checkstack(joiner, room)) {
        lua_pushboolean(joiner, 0);
        lua_pushliteral(joiner, "too many results to join");
        return 2;
    }
    int count = halo_task_push_outcome(L, lua, index);
    lua_xmove(L, joiner, count);
    return count;
}

static void wake_joiners(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (!task->joiners)
        return;
    halo_task_push(L, lua, task);
    int index = lua_gettop(L);
    while (task->joiners) {
        struct halo_task *joiner = task->joiners;
        task->joiners = joiner->next;
        joiner->joined = NULL;
        halo_task_tell(joiner, task);
        halo_task_wake(lua, joiner, give_outcome(L, lua, joiner->current, index));
    }
    lua_pop(L, 1);
}

void halo_task_free(struct halo_task *task)
{
    free(task->callers);
    free(task->cause);
    task->callers = NULL;
    task->cause = NULL;
}

static void retire(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    halo_task_free(task);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->anchors);
    luaL_unref(L, -1, task->co_anchor);
    luaL_unref(L, -1, task->anchor);
    lua_pop(L, 1);
    task->co = task->current = NULL;
    lua->tasks--;
}

void halo_task_abort(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "halo: task %llu was given up: %s\n", (unsigned long long)task->id,
            message ? message : "an error in a finalizer");
    lua->failures++;
    if (!task->co)
        return; /* it had ended already */
    task->state = HALO_TASK_FAILED;
    task->nresults = 0;
    halo_group_leave(L, lua, task, true);
    while (task->joiners) {
        struct halo_task *joiner = task->joiners;
        task->joiners = joiner->next;
        joiner->joined = NULL;
        lua_pushboolean(joiner->current, 0);
        lua_pushliteral(joiner->current, "the task was given up");
        halo_task_wake(lua, joiner, 2);
    }
    retire(L, lua, task);
}

void halo_task_end(lua_State *L, struct halo_lua *lua, struct halo_task *task, int status)
{
    int count = task->started ? lua_gettop(task->co) - 1 : 0; /* without the mark at the bottom */

    if (status != 0) {
        count = 1;
        fail(L, lua, task);
    }
    keep_results(L, lua, task, count);
    task->state = status == 0 ? HALO_TASK_ENDED : HALO_TASK_FAILED;
    task->waits = NULL;
    halo_group_leave(L, lua, task, status != 0 && !task->was_cancelled);
    wake_joiners(L, lua, task);
    retire(L, lua, task);
}

/* ---- collection ---------------------------------------------------------------------------- */

/* Nobody can join a Task that is collected: a failure of it that nobody knows is told soon. */
int halo_task_gc(lua_State *L)
{
    struct halo_task *task = lua_touserdata(L, 1);
    if (task->failed_link)
        lose(halo_lua_self(L), task);
    halo_task_free(task);
    free(task->report);
    task->report = NULL;
    return 0;
}
