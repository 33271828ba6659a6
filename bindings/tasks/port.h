/*
 * port.h: what the runtime shares with the host's threads: the slots of tokens, which any thread
 * may complete. A port outlives its runtime until the last token is complete, and even then it is
 * not freed, since a host may show a token again that was used up: another runtime takes it.
 *
 * A token is a slot and a number that the port never gives twice, so that it is good once. The life
 * of a slot:
 *
 *     issued      the host works on it; a task may wait for it already, or not yet
 *     abandoned   the task was cancelled, and the host's answer is for nobody
 *     completed   the host has answered, from any thread; it is in the list of what is done
 *     free        its values have been delivered
 *
 * The lock guards all of a slot; but its task is the runtime's thread's own.
 */
#ifndef HALO_TASKS_PORT_H
#define HALO_TASKS_PORT_H

#include <pthread.h>
#include <stdatomic.h>

#include "halo.h"
#include "halo_lua.h"

struct halo_task;

enum halo_slot_state { HALO_SLOT_FREE, HALO_SLOT_ISSUED, HALO_SLOT_ABANDONED, HALO_SLOT_COMPLETED };

struct halo_slot {
    uint64_t number; /* of its token; 0 while it is free */
    enum halo_slot_state state;
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
    struct halo_loop *loop; /* that completions wake, or NULL */
    bool closed;
    bool forked;            /* this is a child of fork(), and what the port tells of the parent's */
    unsigned references;    /* of the runtime, and one of each token that is not complete */
    uint64_t last_number;   /* of a token, in this runtime or another one */
    struct halo_port *next; /* of those that no runtime has */
    struct halo_port *made; /* before it */
    struct halo_slot *slots;
    uint32_t count, free, done, done_last;
    uint32_t awaited; /* by tasks; the runtime's own */
    /*
     * The done list may have something: the runtime's thread looks at this without the lock before
     * it waits. It is set before the loop is woken, and taken back when the list was found empty.
     */
    atomic_bool news;
    atomic_bool woken; /* by the host: the turn that comes next, or runs, does not wait */
    bool announced; /* the loop has been woken for the list as it is: another wake says no more */
};

/* NULL when memory is out. */
struct halo_port *halo_port_new(void);
/* The loop that completions wake; NULL: none, for the time being. */
void halo_port_connect(struct halo_port *port, struct halo_loop *loop);
void halo_port_wake(struct halo_port *port);
/* Nothing is completed any more; what has not been delivered is let go of. */
void halo_port_close(struct halo_port *port);
/* The runtime goes. */
void halo_port_release(struct halo_port *port);

/* ---- with the lock ------------------------------------------------------------------------- */

/* A slot that is issued; NULL when memory is out. */
struct halo_slot *halo_port_issue(struct halo_port *port);
uint64_t halo_port_id(const struct halo_port *port, const struct halo_slot *slot);
/* The slot of a token, or NULL where that has been used up. */
struct halo_slot *halo_port_find(struct halo_port *port, uint64_t id);
/* Frees a completed slot, and gives what it was completed by. */
struct halo_slot halo_port_take(struct halo_port *port, struct halo_slot *slot);
/* The oldest that was completed and has not been looked at, or NULL; it stays completed. */
struct halo_slot *halo_port_next_done(struct halo_port *port);
/* Nobody waits for it any more. The lock is given up while the host is told. */
void halo_port_abandon(struct halo_port *port, struct halo_slot *slot);

/* Its values are for nobody: lets go of their memory. Without the lock. */
void halo_slot_discard(const struct halo_slot *slot);

#endif
