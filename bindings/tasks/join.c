/*
 * Joins. Tasks that join each other make trees: each waits for one, and is waited for by many. A
 * join that closes a cycle would never end, and is refused.
 */
#include "tasks/join.h"

#include "args.h"
#include "tasks/report.h"

#define RESULTS_MAX 7000 /* of a task; LuaJIT's stack for a C function ends soon after */
#define RESULTS_GIVEN                                                                              \
    8 /* with the wake; a joiner takes more by itself, on a stack that may grow                    \
       */

static int leave(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_task *joined = task->wait.on;
    (void)L;
    halo_waiters_remove(&joined->joiners, task);
    return lua->cancelled;
}

static const struct halo_wait_kind wait_for_end = {.what = "join", .cancel = leave};

int halo_join_park(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    halo_waiters_add(&task->joiners, lua->task);
    return halo_park(L, lua, &wait_for_end, wait_for_end.what, task);
}

/* ---- cycles -------------------------------------------------------------------------------- */

static const struct halo_task *joined_by(const struct halo_task *task)
{
    return task->wait.kind == &wait_for_end ? task->wait.on : NULL;
}

/* The next one below the root in the tree of those who wait for it, parents first. */
static const struct halo_task *next_below(const struct halo_task *root,
                                          const struct halo_task *task)
{
    if (task->joiners.first)
        return task->joiners.first;
    while (task != root && !task->wait.next)
        task = joined_by(task);
    return task == root ? NULL : task->wait.next;
}

/*
 * Looks from both ends at once: along what the other task waits for, and among those who wait for
 * this one. The search ends where the shorter way does, so that a long chain costs nothing while
 * tasks join it one by one, at either end.
 */
bool halo_join_closes_cycle(const struct halo_lua *lua, const struct halo_task *task)
{
    const struct halo_task *self = lua->task, *ahead = task, *behind = self;

    while (self && ahead && behind) {
        if (ahead == self || behind == task)
            return true;
        ahead = joined_by(ahead);
        behind = next_below(self, behind);
    }
    return false;
}

/* ---- the outcome --------------------------------------------------------------------------- */

/*
 * Leaves the outcome with a joiner. A long one is not moved, since the joiner's stack may have no
 * room: false, the mark and the Task tell it to fetch that by core.outcome().
 */
static int give_outcome(lua_State *L, struct halo_lua *lua, lua_State *joiner, int index)
{
    const struct halo_task *task = lua_touserdata(L, index);

    if (task->nresults > RESULTS_GIVEN) {
        lua_pushboolean(L, 0);
        halo_push_mark(L);
        lua_pushvalue(L, index);
        lua_xmove(L, joiner, 3);
        return 3;
    }
    int count = halo_task_push_outcome(L, lua, index);
    lua_xmove(L, joiner, count);
    return count;
}

void halo_join_tell(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (!task->joiners.first)
        return;
    halo_task_push(L, lua, task);
    int index = lua_gettop(L);
    while (task->joiners.first) {
        struct halo_task *joiner = task->joiners.first;
        halo_waiters_remove(&task->joiners, joiner);
        halo_report_tell(joiner, task);
        halo_task_wake(lua, joiner, give_outcome(L, lua, joiner->current, index));
    }
    lua_pop(L, 1);
}

int halo_join_ended(lua_State *L, struct halo_lua *lua, int index)
{
    struct halo_task *task = lua_touserdata(L, index);

    halo_report_claim(task);
    if (lua->task)
        halo_report_tell(lua->task, task);
    if (task->nresults > RESULTS_MAX || !lua_checkstack(L, task->nresults + LUA_MINSTACK)) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "too many results to join");
        return 2;
    }
    return halo_task_push_outcome(L, lua, index);
}

/* outcome(task): true and the results of a task that has ended, or false and its error. */
static int outcome(lua_State *L)
{
    halo_check_type(L, 1, halo_task_type, "join");
    lua_settop(L, 1);
    return halo_join_ended(L, halo_lua_self(L), 1);
}

static const luaL_Reg functions[] = {
    {"outcome", outcome},
    {NULL, NULL},
};

void halo_open_join(lua_State *L)
{
    halo_register(L, functions);
}
