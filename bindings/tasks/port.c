#include "tasks/port.h"

#include <stdlib.h>

#define INDEX_BITS 24
#define INDEX_MASK ((1u << INDEX_BITS) - 1)
#define SLOTS_MIN  16

/* ---- the port ------------------------------------------------------------------------------ */

/*
 * All ports, which are never freed, since a token may be completed at any time; and those that no
 * runtime has. This is all that the process shares, and it has a lock.
 */
static struct halo_port *made, *unused;
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;

static struct halo_port *take_unused(void)
{
    pthread_mutex_lock(&ports_lock);
    struct halo_port *port = unused;
    if (port)
        unused = port->next;
    pthread_mutex_unlock(&ports_lock);
    return port;
}

/* ---- fork() -------------------------------------------------------------------------------- */

static void hold_ports(void)
{
    pthread_mutex_lock(&ports_lock);
}

static void let_go_of_ports(void)
{
    pthread_mutex_unlock(&ports_lock);
}

/*
 * A thread that is not there in the child may have held a port's lock, and been changing what it
 * guards. What tells of tokens is the parent's from then on.
 */
static void renew_locks(void)
{
    for (struct halo_port *port = made; port; port = port->made) {
        pthread_mutex_init(&port->lock, NULL);
        port->forked = port->loop;
    }
    let_go_of_ports();
}

/* With the lock of all. False where that is not to be had. */
static bool watch_forks(void)
{
    static bool watched;

    if (!watched)
        watched = pthread_atfork(hold_ports, let_go_of_ports, renew_locks) == 0;
    return watched;
}

/* ---- making and closing -------------------------------------------------------------------- */

static struct halo_port *make(void)
{
    struct halo_port *port = calloc(1, sizeof(*port));
    if (port && pthread_mutex_init(&port->lock, NULL) != 0) {
        free(port);
        return NULL;
    }
    if (!port)
        return NULL;
    pthread_mutex_lock(&ports_lock);
    bool watched = watch_forks();
    if (watched) {
        port->made = made;
        made = port;
    }
    pthread_mutex_unlock(&ports_lock);
    if (watched)
        return port;
    pthread_mutex_destroy(&port->lock);
    free(port);
    return NULL;
}

struct halo_port *halo_port_new(void)
{
    struct halo_port *port = take_unused();

    if (!port)
        port = make();
    if (!port)
        return NULL;
    pthread_mutex_lock(&port->lock);
    port->references = 1;
    port->closed = port->forked = false;
    pthread_mutex_unlock(&port->lock);
    return port;
}

/* With the lock, which it gives back. */
static void unlock_and_release(struct halo_port *port)
{
    bool last = --port->references == 0;

    if (last) {
        free(port->slots);
        port->slots = NULL;
        port->count = port->free = port->done = port->done_last = port->awaited = 0;
        atomic_store(&port->news, false);
        atomic_store(&port->woken, false);
        port->announced = false;
    }
    pthread_mutex_unlock(&port->lock);
    if (!last)
        return;
    pthread_mutex_lock(&ports_lock);
    port->next = unused;
    unused = port;
    pthread_mutex_unlock(&ports_lock);
}

/* In a child of fork() its tokens are the parent's, and no runtime takes it again. */
void halo_port_release(struct halo_port *port)
{
    if (port->forked)
        return;
    pthread_mutex_lock(&port->lock);
    unlock_and_release(port);
}

void halo_port_connect(struct halo_port *port, struct halo_loop *loop)
{
    pthread_mutex_lock(&port->lock);
    port->loop = loop;
    port->announced = false;
    pthread_mutex_unlock(&port->lock);
}

void halo_port_wake(struct halo_port *port)
{
    pthread_mutex_lock(&port->lock);
    atomic_store(&port->woken, true);
    if (port->loop)
        halo_loop_wake(port->loop);
    pthread_mutex_unlock(&port->lock);
}

void halo_port_close(struct halo_port *port)
{
    pthread_mutex_lock(&port->lock);
    port->closed = true;
    port->loop = NULL;
    for (uint32_t i = 0; i < port->count && !port->forked; i++) {
        if (port->slots[i].state != HALO_SLOT_COMPLETED)
            continue;
        struct halo_slot taken = halo_port_take(port, &port->slots[i]);
        pthread_mutex_unlock(&port->lock);
        halo_slot_discard(&taken);
        pthread_mutex_lock(&port->lock);
    }
    pthread_mutex_unlock(&port->lock);
}

/* ---- slots --------------------------------------------------------------------------------- */

static bool grow(struct halo_port *port)
{
    uint32_t count = port->count ? port->count * 2 : SLOTS_MIN;
    struct halo_slot *slots =
        count <= INDEX_MASK ? realloc(port->slots, count * sizeof(struct halo_slot)) : NULL;

    if (!slots)
        return false;
    for (uint32_t i = port->count; i < count; i++) {
        slots[i] = (struct halo_slot){.next = port->free};
        port->free = i + 1;
    }
    port->slots = slots;
    port->count = count;
    return true;
}

struct halo_slot *halo_port_issue(struct halo_port *port)
{
    if (!port->free && !grow(port))
        return NULL;
    struct halo_slot *slot = &port->slots[port->free - 1];
    port->free = slot->next;
    slot->number = ++port->last_number;
    slot->state = HALO_SLOT_ISSUED;
    port->references++;
    return slot;
}

uint64_t halo_port_id(const struct halo_port *port, const struct halo_slot *slot)
{
    return slot->number << INDEX_BITS | (uint64_t)(slot - port->slots);
}

struct halo_slot *halo_port_find(struct halo_port *port, uint64_t id)
{
    uint64_t index = id & INDEX_MASK;
    struct halo_slot *slot = index < port->count ? &port->slots[index] : NULL;
    return slot && slot->number && slot->number == id >> INDEX_BITS ? slot : NULL;
}

static uint32_t place_of(const struct halo_port *port, const struct halo_slot *slot)
{
    return (uint32_t)(slot - port->slots) + 1;
}

static void vacate(struct halo_port *port, struct halo_slot *slot)
{
    *slot = (struct halo_slot){.next = port->free};
    port->free = place_of(port, slot);
}

/* ---- what is done -------------------------------------------------------------------------- */

/* One wake is enough until the loop has found the list empty. */
static void announce(struct halo_port *port)
{
    atomic_store(&port->news, true);
    if (port->loop && !port->announced)
        port->announced = halo_loop_wake(port->loop);
}

static void append_done(struct halo_port *port, struct halo_slot *slot)
{
    uint32_t place = place_of(port, slot);

    slot->next = 0;
    if (port->done)
        port->slots[port->done_last - 1].next = place;
    else
        port->done = place;
    port->done_last = place;
    announce(port);
}

/* Out of the list, in which it may stand anywhere, or nowhere. */
static void remove_done(struct halo_port *port, const struct halo_slot *slot)
{
    uint32_t place = place_of(port, slot), before = 0, at = port->done;

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
}

struct halo_slot *halo_port_next_done(struct halo_port *port)
{
    struct halo_slot *slot = port->done ? &port->slots[port->done - 1] : NULL;
    if (slot) {
        remove_done(port, slot);
        return slot;
    }
    atomic_store(&port->news, false);
    port->announced = false;
    return NULL;
}

struct halo_slot halo_port_take(struct halo_port *port, struct halo_slot *slot)
{
    struct halo_slot taken = *slot;
    remove_done(port, slot);
    vacate(port, slot);
    return taken;
}

void halo_slot_discard(const struct halo_slot *slot)
{
    if (slot->push)
        slot->push(NULL, slot->data);
}

void halo_port_abandon(struct halo_port *port, struct halo_slot *slot)
{
    halo_lua_cancelled cancelled = slot->cancelled;
    halo_lua_token token = {.port = port, .id = halo_port_id(port, slot)};
    void *user = slot->user;

    slot->task = NULL;
    slot->state = HALO_SLOT_ABANDONED;
    pthread_mutex_unlock(&port->lock);
    if (cancelled)
        cancelled(token, user);
    pthread_mutex_lock(&port->lock);
}

bool halo_lua_complete(halo_lua_token token, halo_lua_push push, void *data)
{
    struct halo_port *port = token.port;

    if (!port)
        return false;
    pthread_mutex_lock(&port->lock);
    struct halo_slot *slot = port->forked ? NULL : halo_port_find(port, token.id);
    if (!slot || (slot->state != HALO_SLOT_ISSUED && slot->state != HALO_SLOT_ABANDONED)) {
        pthread_mutex_unlock(&port->lock);
        return false;
    }
    bool taken = !port->closed;
    if (taken) {
        slot->dropped = slot->state == HALO_SLOT_ABANDONED;
        slot->state = HALO_SLOT_COMPLETED;
        slot->push = push;
        slot->data = data;
        append_done(port, slot);
    } else {
        vacate(port, slot);
    }
    unlock_and_release(port);
    return taken;
}
