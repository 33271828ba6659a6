/*
 * Waiting, waking and cancelling. A cancellation reaches the call in which a task waits at once,
 * and each later one that may wait until the task has ended.
 */
#include "tasks/wait.h"

#include "tasks/shield.h"
#include "tasks/task.h"

#define SECONDS_MAX 1e9

/* ---- lists and timers ---------------------------------------------------------------------- */

void halo_waiters_add(struct halo_waiters *waiters, struct halo_task *task)
{
    task->wait.next = NULL;
    task->wait.prev = waiters->last;
    if (waiters->last)
        waiters->last->wait.next = task;
    else
        waiters->first = task;
    waiters->last = task;
}

void halo_waiters_remove(struct halo_waiters *waiters, struct halo_task *task)
{
    struct halo_task *next = task->wait.next, *prev = task->wait.prev;
    if (prev)
        prev->wait.next = next;
    else
        waiters->first = next;
    if (next)
        next->wait.prev = prev;
    else
        waiters->last = prev;
}

void halo_alarm_set(lua_State *L, struct halo_lua *lua, struct halo_alarm *alarm, double seconds)
{
    double bounded = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
    uint64_t deadline_ns = halo_now_ns() + (uint64_t)(bounded * 1e9);

    alarm->timer.user = alarm;
    if (halo_timer_start(halo_lua_loop(L, lua), &alarm->timer, deadline_ns) < 0)
        luaL_error(L, "not enough memory");
}

void halo_alarm_stop(struct halo_lua *lua, struct halo_alarm *alarm)
{
    if (alarm->timer.index && lua->loop)
        halo_timer_stop(lua->loop, &alarm->timer);
}

/* ---- marks --------------------------------------------------------------------------------- */

static const char mark;

void halo_push_mark(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&mark);
}

bool halo_is_marked(lua_State *co)
{
    /* A suspended call has its mark above its arguments, a task's own coroutine at the bottom. */
    for (int i = lua_gettop(co); i > 0; i--)
        if (lua_touserdata(co, i) == &mark)
            return true;
    return false;
}

/* ---- waiting ------------------------------------------------------------------------------- */

void halo_wait_for(struct halo_lua *lua, const struct halo_wait_kind *kind, const char *what,
                   void *on)
{
    struct halo_task *task = lua->task;

    lua->yield = HALO_YIELD_WAIT;
    task->state = HALO_TASK_WAITING;
    task->wait.kind = kind;
    task->wait.what = what;
    task->wait.on = on;
    task->wait.since_ns = halo_now_ns();
}

int halo_park(lua_State *L, struct halo_lua *lua, const struct halo_wait_kind *kind,
              const char *what, void *on)
{
    halo_wait_for(lua, kind, what, on);
    halo_push_mark(L);
    return lua_yield(L, lua_gettop(L));
}

static int leave_at_once(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    (void)L;
    halo_alarm_stop(lua, &task->alarm);
    return lua->cancelled;
}

const struct halo_wait_kind halo_wait_for_wake = {.what = "wake", .cancel = leave_at_once};

bool halo_should_yield(const struct halo_lua *lua)
{
    if (lua->ready && halo_loop_spent_ns(lua->loop) > lua->quantum_end_ns)
        return true;
    return halo_loop_is_due(lua->loop) &&
           (lua->ready || lua->stepping || halo_loop_busy(lua->loop));
}

int halo_let_others(lua_State *L, struct halo_lua *lua, int count)
{
    halo_push_mark(L);
    lua_insert(L, -(count + 1));
    halo_task_wake(lua, lua->task, count);
    lua->yield = HALO_YIELD_WAIT;
    return lua_yield(L, lua_gettop(L));
}

void halo_task_wake(struct halo_lua *lua, struct halo_task *task, int nargs)
{
    task->state = HALO_TASK_READY;
    task->wait.kind = NULL;
    task->nargs = nargs;
    task->next = NULL;
    if (lua->ready)
        lua->ready_last->next = task;
    else
        lua->ready = task;
    lua->ready_last = task;
}

/* ---- cancellation -------------------------------------------------------------------------- */

/* An interruption reaches a task here that never leaves the scheduler the time to look. */
bool halo_must_stop(lua_State *L, struct halo_lua *lua)
{
    if (halo_is_shielded(L, lua))
        return false;
    if (!lua->task->cancelled)
        lua->interrupted = lua->task->cancelled = true;
    return true;
}

static int push_cancelled(lua_State *L, struct halo_task *task, int value)
{
    task->raised = true;
    lua_pushnil(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, value);
    halo_push_mark(L);
    return 3;
}

int halo_push_cancelled(lua_State *L, const struct halo_lua *lua)
{
    return push_cancelled(L, lua->delivering ? lua->delivering : lua->task, lua->cancelled);
}

int halo_give_cancelled(lua_State *L, struct halo_lua *lua)
{
    int count = push_cancelled(L, lua->task, lua->cancelled);
    return halo_can_wait(L, lua) ? halo_let_others(L, lua, count) : count;
}

static void end_wait(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    int value = task->wait.kind->cancel(L, lua, task);
    if (value != LUA_NOREF)
        halo_task_wake(lua, task, push_cancelled(task->current, task, value));
}

bool halo_task_cancel(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    if (halo_task_is_over(task) || lua->closed)
        return false;
    task->cancelled = true;
    if (task->shields > 0 && !halo_breaks_shields(lua))
        return true;
    /* What it has waited for may be in delivery, where a finalizer or the host cancels it. */
    if (task->state == HALO_TASK_WAITING && task != lua->delivering)
        end_wait(L, lua, task);
    for (struct halo_task *helper = task->helpers; helper; helper = helper->helper_next)
        halo_task_cancel(L, lua, helper);
    return true;
}

bool halo_is_cancellation(lua_State *L, const struct halo_lua *lua, lua_State *co)
{
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->cancelled);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->uncertain);
    bool same = lua_rawequal(L, -3, -2) || lua_rawequal(L, -3, -1);
    lua_pop(L, 3);
    return same;
}
