/*
 * loop.h: the one struct that owns all state, and the core's inner functions on it.
 *
 * An operation goes submit -> begin (its row looks at the file) -> issue (to the engine, or to the
 * backlog when max_in_flight are there) -> answer (its row decides: done, or once more) -> retire.
 */
#ifndef HALO_LOOP_H
#define HALO_LOOP_H

#include <stdatomic.h>

#include "engines/engine.h"
#include "files.h"
#include "list.h"
#include "policy.h"
#include "slab.h"
#include "timers.h"

struct halo_loop {
    struct halo_config config;
    struct halo_stats stats;

    /* Operations. */
    struct halo_slab slab;
    struct halo_list backlog;   /* waiting for room in the engine, in order */
    struct halo_list completed; /* ended, to be handed on */
    struct halo_list paused;    /* to be tried again when the pause timer runs out */
    uint32_t running;           /* with the engine; never above config.max_in_flight */

    struct halo_files files;
    struct halo_policy policy;

    struct halo_timers timers;
    struct halo_timer pause_timer;

    const struct halo_engine *engine;
    void *engine_state;
    int wake_fd; /* an eventfd: a worker has an answer, or halo_loop_interrupt() was called */
    atomic_bool interrupted;
    char *unforked; /* a page that is 1 here and wiped to 0 in a child of fork() */
    char reason[192];
};

/* The engine's answer to an operation: the system call's result, or -errno. */
void halo_loop_answer(struct halo_loop *loop, struct halo_op *op, int64_t result);

/* Empties the wake descriptor, which has been seen readable. */
void halo_loop_clear_wake(struct halo_loop *loop);

/* Collects answers; timers and the interruption are left to whoever runs the loop. */
void halo_loop_collect(struct halo_loop *loop, int64_t timeout_ns);

/* Starts an operation that waited for its turn or for its file. */
void halo_loop_start(struct halo_loop *loop, struct halo_op *op);

/* ---- file_ops.c ---------------------------------------------------------------------------- */

/* The open file behind a handle, or NULL. */
struct halo_file *halo_loop_find_open(struct halo_loop *loop, uint64_t handle);
/* Counts an operation on its files. Returns 0, or -EBADF for a handle that is closed. */
int halo_loop_enter_files(struct halo_loop *loop, struct halo_op *op);
/*
 * Waits for the turn at the file's position, where the operation goes by that, or for the file to
 * be idle, where it is the close. Returns false when it was queued: halo_loop_start() comes later.
 */
bool halo_loop_take_turn(struct halo_op *op);
/* Takes an operation out of the queue that take_turn() put it in. */
void halo_loop_leave_queue(struct halo_op *op);
/* Ends an operation on its files, and starts what waited for that. */
void halo_loop_leave_files(struct halo_loop *loop, struct halo_op *op);
/* Starts the close of the files that halo_file_drop() left to the loop. */
void halo_loop_close_dropped(struct halo_loop *loop);

#endif
