/*
 * A token is a slot of the port and the slot's generation, so that it is good once. Its life:
 *
 *     issued      the host works on it; the task may wait already, or not yet
 *     abandoned   the task was cancelled, and the host's answer is for nobody
 *     completed   the host has answered, from any thread; the slot is in the list `done`
 *     free        its values have been delivered
 *
 * The lock guards all of a slot but what the runtime's thread alone touches: the task.
 */
#include "tasks/token.h"

#include <pthread.h>
#include <stdlib.h>

#include "args.h"
#include "tasks/shield.h"
#include "tasks/task.h"

#define INDEX_BITS 24
#define INDEX_MASK ((1u << INDEX_BITS) - 1)
#define SLOTS_MIN  16

enum slot_state { SLOT_FREE, SLOT_ISSUED, SLOT_ABANDONED, SLOT_COMPLETED };

struct slot {
    uint64_t generation;
    enum slot_state state;
    struct halo_task *task; /* that waits for it, or NULL */
    halo_lua_cancelled cancelled;
    void *user;
    halo_lua_push push;
    void *data;
    bool dropped;  /* completed for nobody */
    uint32_t next; /* in the free list or the done list, plus one */
};

struct halo_port {
    pthread_mutex_t lock;
    struct halo_loop *loop;
    bool closed;
    unsigned references; /* of the runtime, and one of each token that is not complete */
    struct slot *slots;
    uint32_t count, free, done, done_last;
    uint32_t awaited; /* by tasks; the runtime's own */
    atomic_bool news; /* the done list may have something */
};

/* ---- the port ------------------------------------------------------------------------------ */

struct halo_port *halo_port_new(void)
{
    struct halo_port *port = calloc(1, sizeof(*port));
    if (!port)
        return NULL;
    if (pthread_mutex_init(&port->lock, NULL) != 0) {
        free(port);
        return NULL;
    }
    port->references = 1;
    return port;
}

/* With the lock, which it gives back. */
static void unlock_and_release(struct halo_port *port)
{
    bool last = --port->references == 0;

    pthread_mutex_unlock(&port->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&port->lock);
    free(port->slots);
    free(port);
}

void halo_port_connect(struct halo_port *port, struct halo_loop *loop)
{
    pthread_mutex_lock(&port->lock);
    port->loop = loop;
    pthread_mutex_unlock(&port->lock);
}

bool halo_port_is_awaited(const struct halo_port *port)
{
    return port->awaited > 0;
}

void halo_lua_wake(struct halo_lua *handle)
{
    struct halo_port *port = handle->port;

    pthread_mutex_lock(&port->lock);
    if (port->loop)
        halo_loop_wake(port->loop);
    pthread_mutex_unlock(&port->lock);
}

/* ---- slots --------------------------------------------------------------------------------- */

static bool grow(struct halo_port *port)
{
    uint32_t count = port->count ? port->count * 2 : SLOTS_MIN;
    struct slot *slots =
        count <= INDEX_MASK ? realloc(port->slots, count * sizeof(struct slot)) : NULL;

    if (!slots)
        return false;
    for (uint32_t i = port->count; i < count; i++) {
        slots[i] = (struct slot){.generation = 1, .next = port->free};
        port->free = i + 1;
    }
    port->slots = slots;
    port->count = count;
    return true;
}

static uint64_t id_of(const struct halo_port *port, const struct slot *slot)
{
    return slot->generation << INDEX_BITS | (uint64_t)(slot - port->slots);
}

/* The slot of a token, or NULL where that has been used up. */
static struct slot *find(struct halo_port *port, uint64_t id)
{
    uint64_t index = id & INDEX_MASK;
    struct slot *slot = index < port->count ? &port->slots[index] : NULL;
    return slot && slot->generation == id >> INDEX_BITS ? slot : NULL;
}

static void vacate(struct halo_port *port, struct slot *slot)
{
    *slot = (struct slot){.generation = slot->generation + 1, .next = port->free};
    port->free = (uint32_t)(slot - port->slots) + 1;
}

/* Takes a completed slot, with what it was completed by. */
static struct slot take(struct halo_port *port, struct slot *slot)
{
    struct slot taken = *slot;
    vacate(port, slot);
    return taken;
}

/* Its values are for nobody: their memory is let go of. */
static void discard(const struct slot *slot)
{
    if (slot->push)
        slot->push(NULL, slot->data);
}

/* ---- for the host -------------------------------------------------------------------------- */

halo_lua_token halo_lua_token_new(lua_State *L, halo_lua_cancelled cancelled, void *user)
{
    struct halo_lua *lua = halo_lua_get(L);
    struct halo_port *port = lua->port;

    halo_lua_loop(L, lua);
    pthread_mutex_lock(&port->lock);
    if (!port->free && !grow(port)) {
        pthread_mutex_unlock(&port->lock);
        luaL_error(L, "not enough memory");
    }
    struct slot *slot = &port->slots[port->free - 1];
    port->free = slot->next;
    slot->state = SLOT_ISSUED;
    slot->cancelled = cancelled;
    slot->user = user;
    port->references++;
    halo_lua_token token = {.port = port, .id = id_of(port, slot)};
    pthread_mutex_unlock(&port->lock);
    return token;
}

static void append_done(struct halo_port *port, struct slot *slot)
{
    uint32_t place = (uint32_t)(slot - port->slots) + 1;

    slot->next = 0;
    if (port->done)
        port->slots[port->done_last - 1].next = place;
    else
        port->done = place;
    port->done_last = place;
    atomic_store(&port->news, true);
    if (port->loop)
        halo_loop_wake(port->loop);
}

bool halo_lua_complete(halo_lua_token token, halo_lua_push push, void *data)
{
    struct halo_port *port = token.port;

    pthread_mutex_lock(&port->lock);
    struct slot *slot = find(port, token.id);
    bool good = slot && (slot->state == SLOT_ISSUED || slot->state == SLOT_ABANDONED);
    if (!good) {
        pthread_mutex_unlock(&port->lock);
        return false;
    }
    bool taken = !port->closed;
    if (taken) {
        slot->dropped = slot->state == SLOT_ABANDONED;
        slot->state = SLOT_COMPLETED;
        slot->push = push;
        slot->data = data;
        append_done(port, slot);
    } else {
        vacate(port, slot);
    }
    unlock_and_release(port);
    return taken;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* What a task waits for is named by the slot's index, since slots move when they become more. */
static struct slot *slot_of(struct halo_port *port, const struct halo_task *task)
{
    return &port->slots[(uintptr_t)task->wait.on - 1];
}

/* Tells the host that nobody waits for a token any more. */
static void tell_cancelled(struct halo_port *port, struct slot *slot)
{
    halo_lua_cancelled cancelled = slot->cancelled;
    halo_lua_token token = {.port = port, .id = id_of(port, slot)};
    void *user = slot->user;

    slot->task = NULL;
    slot->state = SLOT_ABANDONED;
    pthread_mutex_unlock(&port->lock);
    if (cancelled)
        cancelled(token, user);
    pthread_mutex_lock(&port->lock);
}

/* What has been completed is the task's: it gets that. */
static int leave(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct halo_port *port = lua->port;
    int value = LUA_NOREF;

    (void)L;
    pthread_mutex_lock(&port->lock);
    struct slot *slot = slot_of(port, task);
    if (slot->state == SLOT_ISSUED) {
        tell_cancelled(port, slot);
        port->awaited--;
        value = lua->cancelled;
    }
    pthread_mutex_unlock(&port->lock);
    return value;
}

static struct slot take_of(struct halo_port *port, const struct halo_task *task)
{
    pthread_mutex_lock(&port->lock);
    struct slot taken = take(port, slot_of(port, task));
    port->awaited--;
    pthread_mutex_unlock(&port->lock);
    return taken;
}

/* Moves count values to the coroutine that is to return them. */
static void move_values(lua_State *L, lua_State *co, int count)
{
    if (!halo_make_room(co, count + LUA_MINSTACK)) {
        lua_pop(co, 1);
        luaL_error(L, "too many results");
    }
    lua_xmove(L, co, count);
}

static int deliver(lua_State *L, struct halo_lua *lua, struct halo_task *task)
{
    struct slot slot = take_of(lua->port, task);
    int top = lua_gettop(L);

    task->wait.on = NULL; /* it is used up, whatever push does */
    int count = slot.push ? slot.push(L, slot.data) : 0;
    move_values(L, task->current, count);
    lua_settop(L, top);
    return count;
}

static void drop(struct halo_lua *lua, struct halo_task *task)
{
    if (task->wait.on) {
        struct slot slot = take_of(lua->port, task);
        discard(&slot);
    }
}

static const struct halo_wait_kind wait_for_host = {
    .what = "host", .cancel = leave, .deliver = deliver, .drop = drop};

/* The oldest slot that was completed, out of the list; NULL at its end. */
static struct slot *take_done(struct halo_port *port)
{
    if (!port->done)
        return NULL;
    struct slot *slot = &port->slots[port->done - 1];
    port->done = slot->next;
    return slot;
}

void halo_port_deliver(lua_State *L, struct halo_lua *lua)
{
    struct halo_port *port = lua->port;

    if (!atomic_exchange(&port->news, false))
        return;
    for (;;) {
        pthread_mutex_lock(&port->lock);
        struct slot *slot = take_done(port);
        struct halo_task *task = slot ? slot->task : NULL;
        bool dropped = slot && slot->dropped;
        struct slot taken = dropped ? take(port, slot) : (struct slot){0};
        atomic_store(&port->news, port->done != 0);
        pthread_mutex_unlock(&port->lock);
        if (!slot)
            return;
        if (dropped)
            discard(&taken);
        if (!task)
            continue; /* it will find its values when it comes to wait */
        lua->delivering = task;
        int count = deliver(L, lua, task);
        lua->delivering = NULL;
        halo_task_wake(lua, task, count);
    }
}

/* ---- the call ------------------------------------------------------------------------------ */

/* The slot of a token of this runtime that is still to be awaited; raises where it is none. */
static struct slot *check_token(lua_State *L, struct halo_port *port, halo_lua_token token)
{
    struct slot *slot = token.port == port ? find(port, token.id) : NULL;
    if (slot && !slot->task && (slot->state == SLOT_ISSUED || slot->state == SLOT_COMPLETED))
        return slot;
    pthread_mutex_unlock(&port->lock);
    luaL_error(L, "the token is none, or has been awaited already");
    return NULL;
}

static bool is_complete(struct halo_port *port, uint64_t id)
{
    pthread_mutex_lock(&port->lock);
    bool complete = find(port, id)->state == SLOT_COMPLETED;
    pthread_mutex_unlock(&port->lock);
    return complete;
}

/* Takes a completed slot, which may still be in the done list, anywhere. */
static struct slot take_listed(struct halo_port *port, struct slot *slot)
{
    uint32_t place = (uint32_t)(slot - port->slots) + 1, before = 0, at = port->done;

    while (at && at != place) {
        before = at;
        at = port->slots[at - 1].next;
    }
    if (at && before)
        port->slots[before - 1].next = slot->next;
    else if (at)
        port->done = slot->next;
    if (at && port->done_last == place)
        port->done_last = before;
    return take(port, slot);
}

/* The values are those of the call itself. */
static int push_own(lua_State *L, struct halo_port *port, uint64_t id)
{
    int top = lua_gettop(L);

    pthread_mutex_lock(&port->lock);
    struct slot slot = take_listed(port, find(port, id));
    pthread_mutex_unlock(&port->lock);
    int count = slot.push ? slot.push(L, slot.data) : 0;
    return count <= lua_gettop(L) - top ? count : luaL_error(L, "push has left too few values");
}

static void abandon(struct halo_port *port, uint64_t id)
{
    struct slot taken = {0};

    pthread_mutex_lock(&port->lock);
    struct slot *slot = find(port, id);
    if (slot->state == SLOT_ISSUED)
        tell_cancelled(port, slot);
    else
        taken = take_listed(port, slot);
    pthread_mutex_unlock(&port->lock);
    discard(&taken);
}

/* Where nothing can be suspended: until the host has answered, or the program is interrupted. */
static int wait_on_the_spot(lua_State *L, struct halo_lua *lua, uint64_t id)
{
    while (!is_complete(lua->port, id)) {
        halo_loop_wait(lua->loop);
        if (halo_is_cancelled(L, lua) && !is_complete(lua->port, id)) {
            abandon(lua->port, id);
            return halo_give_cancelled(L, lua);
        }
    }
    return push_own(L, lua->port, id);
}

int halo_lua_await(lua_State *L, halo_lua_token token)
{
    struct halo_lua *lua = halo_lua_get(L);
    struct halo_port *port = lua->port;

    pthread_mutex_lock(&port->lock);
    struct slot *slot = check_token(L, port, token);
    bool complete = slot->state == SLOT_COMPLETED;
    uintptr_t place = (uintptr_t)(slot - port->slots) + 1;
    pthread_mutex_unlock(&port->lock);
    if (complete)
        return push_own(L, port, token.id);
    if (halo_is_cancelled(L, lua)) {
        abandon(port, token.id);
        return halo_give_cancelled(L, lua);
    }
    if (!halo_can_wait(L, lua))
        return wait_on_the_spot(L, lua, token.id);
    pthread_mutex_lock(&port->lock);
    port->slots[place - 1].task = lua->task;
    port->awaited++;
    pthread_mutex_unlock(&port->lock);
    return halo_park(L, lua, &wait_for_host, wait_for_host.what, (void *)place);
}

/* ---- the end ------------------------------------------------------------------------------- */

void halo_port_close(struct halo_port *port)
{
    pthread_mutex_lock(&port->lock);
    port->closed = true;
    port->loop = NULL;
    for (uint32_t i = 0; i < port->count; i++) {
        if (port->slots[i].state != SLOT_COMPLETED)
            continue;
        struct slot taken = take_listed(port, &port->slots[i]);
        pthread_mutex_unlock(&port->lock);
        discard(&taken);
        pthread_mutex_lock(&port->lock);
    }
    unlock_and_release(port);
}
