/* Tokens, as tasks see them: the wait for one, and what it brings. */
#include "tasks/token.h"

#include "args.h"
#include "tasks/port.h"
#include "tasks/shield.h"
#include "tasks/task.h"

halo_lua_token halo_lua_token_new(lua_State *L, halo_lua_cancelled cancelled, void *user)
{
    struct halo_lua *lua = halo_lua_get(L);
    struct halo_port *port = lua->port;

    halo_lua_loop(L, lua);
    pthread_mutex_lock(&port->lock);
    struct halo_slot *slot = halo_port_issue(port);
    halo_lua_token token = {.port = port};
    if (slot) {
        slot->cancelled = cancelled;
        slot->user = user;
        token.id = halo_port_id(port, slot);
    }
    pthread_mutex_unlock(&port->lock);
    if (!slot)
        luaL_error(L, "not enough memory");
    return token;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* What a task waits for is named by the slot's index, since slots move when they become more. */
static struct halo_slot *slot_of(const struct halo_port *port, const struct halo_task *task)
{
    return &port->slots[(uintptr_t)task->wait.on - 1];
}

/* What has been completed is the task's: it gets that. */
static int leave(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_port *port = lua->port;
    int value = LUA_NOREF;

    (void)L;
    pthread_mutex_lock(&port->lock);
    struct halo_slot *slot = slot_of(port, task);
    if (slot->state == HALO_SLOT_ISSUED) {
        halo_port_abandon(port, slot);
        port->awaited--;
        value = lua->cancelled;
    }
    pthread_mutex_unlock(&port->lock);
    return value;
}

static struct halo_slot take_of(struct halo_port *port, const struct halo_task *task)
{
    pthread_mutex_lock(&port->lock);
    struct halo_slot taken = halo_port_take(port, slot_of(port, task));
    port->awaited--;
    pthread_mutex_unlock(&port->lock);
    return taken;
}

/* push_values(slot): what push leaves, in a frame of its own. */
static int push_values(lua_State *L)
{
    const struct halo_slot *slot = lua_touserdata(L, 1);

    lua_settop(L, 0);
    int count = slot->push ? slot->push(L, slot->data) : 0;
    bool left = count >= 0 && count <= lua_gettop(L);
    return left ? count : luaL_error(L, "push has left too few values");
}

void halo_open_tokens(lua_State *L)
{
    lua_pushcfunction(L, push_values);
    halo_lua_get(L)->push_values = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Comes before a slot is taken, so that from then on nothing fails but push itself. */
static void make_room(lua_State *L)
{
    luaL_checkstack(L, 2 * LUA_MINSTACK, NULL);
}

static int call_push(lua_State *L, const struct halo_lua *lua, struct halo_slot *slot)
{
    int top = lua_gettop(L);

    lua_rawgeti(L, LUA_REGISTRYINDEX, lua->push_values);
    lua_pushlightuserdata(L, slot);
    lua_call(L, 1, LUA_MULTRET);
    return lua_gettop(L) - top;
}

static int deliver(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    make_room(L);
    struct halo_slot slot = take_of(lua->port, task);
    lua_State *co = task->current;
    int top = lua_gettop(L);

    task->wait.on = NULL; /* it is used up, whatever push does */
    int count = call_push(L, lua, &slot);
    if (!halo_make_room(co, count)) {
        lua_pop(co, 1);
        luaL_error(L, "too many results");
    }
    lua_xmove(L, co, count);
    lua_settop(L, top);
    return count;
}

static void drop(struct halo_lua *lua, struct halo_task *task)
{
    if (task->wait.on) {
        struct halo_slot slot = take_of(lua->port, task);
        halo_slot_discard(&slot);
    }
}

static const struct halo_wait_kind wait_for_host = {
    .what = "host", .cancel = leave, .deliver = deliver, .drop = drop};

bool halo_token_is_awaited(const struct halo_lua *lua)
{
    return lua->port->awaited > 0;
}

bool halo_token_has_news(const struct halo_lua *lua)
{
    return atomic_load(&lua->port->news);
}

/* The next slot that was completed; where that is for nobody it is taken. False where there is
 * none. */
static bool next_done(struct halo_port *port, struct halo_slot *done)
{
    pthread_mutex_lock(&port->lock);
    struct halo_slot *slot = halo_port_next_done(port);
    if (slot)
        *done = slot->dropped ? halo_port_take(port, slot) : *slot;
    pthread_mutex_unlock(&port->lock);
    return slot;
}

void halo_token_deliver(lua_State *L, struct halo_lua *lua)
{
    struct halo_slot done;

    if (!halo_token_has_news(lua))
        return;
    while (next_done(lua->port, &done)) {
        if (done.dropped)
            halo_slot_discard(&done);
        if (!done.task)
            continue; /* it will be found complete when somebody comes to wait for it */
        lua->delivering = done.task;
        int count = deliver(L, lua, done.task);
        lua->delivering = NULL;
        halo_task_wake(lua, done.task, count);
    }
}

/* ---- the call ------------------------------------------------------------------------------ */

static const char may_wait;

void halo_token_push_function(lua_State *L, lua_CFunction fn)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&may_wait);
    lua_pushcclosure(L, fn, 1);
}

/* Without what halo puts around it a call would return its error, and the cancellation, as values.
 */
static void check_function(lua_State *L)
{
    if (lua_touserdata(L, lua_upvalueindex(1)) != &may_wait)
        luaL_error(L, "a host function that waits is made by halo_lua_register() or "
                      "halo_lua_push_function()");
}

/* The state of a token's slot; FREE where it is none, or somebody waits for it or has done so. */
static enum halo_slot_state look_at(struct halo_port *port, halo_lua_token token)
{
    enum halo_slot_state state = HALO_SLOT_FREE;

    pthread_mutex_lock(&port->lock);
    const struct halo_slot *slot = token.port == port ? halo_port_find(port, token.id) : NULL;
    if (slot && !slot->task && !slot->dropped)
        state = slot->state;
    pthread_mutex_unlock(&port->lock);
    return state;
}

/* The values are those of the call itself. */
static int push_own(lua_State *L, struct halo_lua *lua, halo_lua_token token)
{
    struct halo_port *port = lua->port;

    make_room(L);
    pthread_mutex_lock(&port->lock);
    struct halo_slot slot = halo_port_take(port, halo_port_find(port, token.id));
    pthread_mutex_unlock(&port->lock);
    return call_push(L, lua, &slot);
}

static int refuse(lua_State *L, struct halo_lua *lua, halo_lua_token token)
{
    struct halo_port *port = lua->port;

    pthread_mutex_lock(&port->lock);
    struct halo_slot *slot = halo_port_find(port, token.id);
    if (slot->state == HALO_SLOT_ISSUED)
        halo_port_abandon(port, slot);
    else
        slot->dropped = true; /* it was completed just now */
    pthread_mutex_unlock(&port->lock);
    return halo_give_cancelled(L, lua);
}

/*
 * Others that are complete stay in the list meanwhile, so that the next completion has to wake the
 * loop whether it was woken for those or not.
 */
static bool is_complete(struct halo_port *port, halo_lua_token token)
{
    pthread_mutex_lock(&port->lock);
    bool complete = halo_port_find(port, token.id)->state == HALO_SLOT_COMPLETED;
    port->announced = false;
    pthread_mutex_unlock(&port->lock);
    return complete;
}

/* Where nothing can be suspended: until the host has answered, or the program is interrupted. */
static int wait_on_the_spot(lua_State *L, struct halo_lua *lua, halo_lua_token token)
{
    while (!is_complete(lua->port, token)) {
        if (halo_is_cancelled(L, lua))
            return refuse(L, lua, token);
        halo_loop_wait(lua->loop);
    }
    return push_own(L, lua, token);
}

static int park(lua_State *L, struct halo_lua *lua, halo_lua_token token)
{
    struct halo_port *port = lua->port;

    pthread_mutex_lock(&port->lock);
    struct halo_slot *slot = halo_port_find(port, token.id);
    uintptr_t place = (uintptr_t)(slot - port->slots) + 1;
    slot->task = lua->task;
    port->awaited++;
    pthread_mutex_unlock(&port->lock);
    return halo_park(L, lua, &wait_for_host, wait_for_host.what, (void *)place);
}

int halo_lua_await(lua_State *L, halo_lua_token token)
{
    struct halo_lua *lua = halo_lua_get(L);
    if (lua->closed)
        return luaL_error(L, "halo has been closed");
    halo_lua_check_forked(L, lua);
    check_function(L);
    enum halo_slot_state state = look_at(lua->port, token);

    if (state != HALO_SLOT_ISSUED && state != HALO_SLOT_COMPLETED)
        return luaL_error(L, "the token is none, or has been awaited already");
    if (state == HALO_SLOT_COMPLETED)
        return push_own(L, lua, token);
    if (halo_is_cancelled(L, lua))
        return refuse(L, lua, token);
    return halo_can_wait(L, lua) ? park(L, lua, token) : wait_on_the_spot(L, lua, token);
}
