/*
 * The loop: creation with the choice of the engine, turns, the interrupt and the counters, and the
 * drain at the end. The life of an operation is in op.c, what is special to each kind in ops/.
 */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "dispatch.h"
#include "fd.h"
#include "fence.h"
#include "leftovers.h"
#include "op.h"
#include "ops/ops.h"
#include "ops/shared.h"

#define DEADLINE_MAX_MS 1000000000

/* ---- creation ------------------------------------------------------------------------------ */

static int settle_config(struct halo_config *config)
{
    if (!config->max_files)
        config->max_files = HALO_MAX_FILES_DEFAULT;
    if (!config->max_in_flight)
        config->max_in_flight = HALO_MAX_IN_FLIGHT_DEFAULT;
    if (!config->pool_threads)
        config->pool_threads = HALO_POOL_THREADS_DEFAULT;
    if (config->max_files > HALO_FILES_LIMIT || config->max_in_flight > HALO_MAX_IN_FLIGHT_LIMIT)
        return -EINVAL;
    return 0;
}

static void explain(int error, const char *what, char *text, size_t size)
{
    int code = error < 0 ? -error : error;
    const char *cause = "the kernel gives no further reason";

    if (code == EPERM || code == EACCES)
        cause = "forbidden here: by the sysctl kernel.io_uring_disabled (0 allows it), or by a "
                "seccomp filter or container policy";
    else if (code == ENOSYS)
        cause = "this kernel lacks it or is too old (5.11 is needed), or a seccomp filter or "
                "container policy hides it";
    else if (code == ENOMEM)
        cause = "memory is out, or RLIMIT_MEMLOCK is too low (ulimit -l)";
    else if (code == EMFILE || code == ENFILE)
        cause = "no descriptor is left: RLIMIT_NOFILE is too low (ulimit -n)";
    else if (code == EINVAL)
        cause = "a limit is out of range";
    snprintf(text, size, "%s: %s: %s", what, halo_error_name(code), cause);
}

void halo_loop_explain(int error, const struct halo_config *config, char *text, size_t size)
{
    explain(error, config->engine == HALO_ENGINE_RING ? "io_uring" : "cannot start", text, size);
}

/* Keeps the engine's descriptors above the standard ones, even where some of those are closed. */
static void fill_standard_fds(int held[HALO_FD_FIRST])
{
    for (int i = 0; i < HALO_FD_FIRST; i++) {
        held[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (held[i] >= HALO_FD_FIRST) {
            close(held[i]);
            held[i] = -1;
        }
    }
}

static void free_standard_fds(const int held[HALO_FD_FIRST])
{
    for (int i = 0; i < HALO_FD_FIRST; i++)
        if (held[i] >= 0)
            close(held[i]);
}

static int open_engine(struct halo_loop *loop)
{
    int error = 0;

    if (loop->config.engine == HALO_ENGINE_POOL) {
        snprintf(loop->reason, sizeof(loop->reason), "asked for");
    } else {
        loop->engine = &halo_engine_ring;
        error = loop->engine->open(loop, &loop->engine_state);
        snprintf(loop->reason, sizeof(loop->reason), "%s",
                 loop->config.engine == HALO_ENGINE_RING ? "asked for" : "io_uring works here");
        if (!error || loop->config.engine == HALO_ENGINE_RING)
            return error;
        explain(error, "io_uring", loop->reason, sizeof(loop->reason));
    }
    loop->engine = &halo_engine_pool;
    return loop->engine->open(loop, &loop->engine_state);
}

static int mark_process(struct halo_loop *loop)
{
    void *page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -ENOMEM;
    loop->unforked = page;
    *loop->unforked = 1;
    madvise(page, 1, MADV_WIPEONFORK); /* without it (before Linux 4.14) fork() goes unnoticed */
    return 0;
}

int halo_loop_create(struct halo_loop **out, const struct halo_config *config)
{
    struct halo_loop *loop = calloc(1, sizeof(*loop));
    int held[HALO_FD_FIRST], error = -ENOMEM;

    if (!loop)
        return error;
    loop->wake_fd = -1;
    if (config)
        loop->config = *config;
    error = settle_config(&loop->config);
    if (error)
        goto fail;
    error = halo_slab_init(&loop->slab);
    if (error)
        goto fail;
    error = mark_process(loop);
    if (error)
        goto fail;
    loop->wake_fd = halo_fd_move_up(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (loop->wake_fd < 0) {
        error = -errno;
        goto fail;
    }
    fill_standard_fds(held);
    error = open_engine(loop);
    free_standard_fds(held);
    if (error)
        goto fail;
    *out = loop;
    return 0;

fail:
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->unforked)
        munmap(loop->unforked, 1);
    halo_slab_free(&loop->slab);
    free(loop);
    return error;
}

/* ---- turns --------------------------------------------------------------------------------- */

static int64_t until_first_timer(const struct halo_loop *loop)
{
    const struct halo_timer *first = halo_timers_first(&loop->timers);
    if (!first)
        return -1;
    uint64_t now = halo_now_ns();
    return first->deadline_ns > now ? (int64_t)(first->deadline_ns - now) : 0;
}

int64_t halo_loop_timeout_ns(const struct halo_loop *loop)
{
    if (halo_loop_has_forked(loop))
        return -1; /* the engine's memory is the parent's alone */
    if (loop->completed.first || loop->answered.first || loop->files.dropped ||
        loop->engine->pending(loop->engine_state))
        return 0;
    return until_first_timer(loop);
}

/* Starts the close of the files that halo_file_drop() left to the loop. */
static void close_dropped(struct halo_loop *loop)
{
    while (loop->files.dropped) {
        struct halo_file *file = loop->files.dropped;
        struct halo_op *op = halo_op_new(loop, HALO_OP_CLOSE);
        if (!op)
            return; /* no memory now; the next turn tries again */
        loop->files.dropped = file->next;
        file->dropped = false;
        op->user = loop;
        op->file = halo_file_handle(file);
        if (!halo_op_submit(loop, op, 0))
            halo_op_release(loop, op);
    }
}

/* Answers that come in the meantime are left to the next turn. */
static void work_off(struct halo_loop *loop)
{
    const struct halo_op *last = loop->answered.last;
    struct halo_op *op;

    do {
        op = halo_list_take(&loop->answered);
        if (op)
            halo_op_complete(loop, op);
    } while (op && op != last);
    halo_dispatch_queued(loop);
}

/* Collects what has ended; timers and the interrupt are left to the caller. */
static void collect(struct halo_loop *loop, int64_t timeout_ns)
{
    HALO_CHECK(!halo_loop_has_forked(loop),
               "a loop cannot be used after fork(): create another one");
    loop->stats.turns++;
    loop->files.mounts.fresh = false;
    halo_policy_turn(&loop->policy);
    if (loop->files.dropped)
        close_dropped(loop);
    int64_t pause_ns = loop->pause_timer.index ? until_first_timer(loop) : -1;
    if (pause_ns >= 0 && (timeout_ns < 0 || timeout_ns > pause_ns))
        timeout_ns = pause_ns;
    loop->engine->wait(loop->engine_state, loop->answered.first ? 0 : timeout_ns);
    work_off(loop);
    if (loop->pause_timer.index && loop->pause_timer.deadline_ns <= halo_now_ns())
        halo_dispatch_end_pause(loop);
}

int halo_loop_turn(struct halo_loop *loop, int64_t timeout_ns)
{
    int64_t until_timer = until_first_timer(loop);
    if (until_timer >= 0 && (timeout_ns < 0 || until_timer < timeout_ns))
        timeout_ns = until_timer;
    if (loop->completed.first || halo_loop_is_interrupted(loop))
        timeout_ns = 0;
    collect(loop, timeout_ns);
    return __atomic_exchange_n(&loop->interrupted, false, __ATOMIC_SEQ_CST) ? -EINTR : 0;
}

void halo_loop_wait(struct halo_loop *loop)
{
    collect(loop, loop->completed.first || halo_loop_is_interrupted(loop) ? 0 : -1);
}

struct halo_op *halo_loop_next(struct halo_loop *loop)
{
    for (;;) {
        struct halo_op *op = halo_list_take(&loop->completed);
        if (!op || op->user != loop)
            return op;
        halo_op_release(loop, op); /* the loop's own: what was dropped, or is taken back */
    }
}

void halo_op_wait(struct halo_loop *loop, struct halo_op *op)
{
    while (op->state != HALO_OP_DONE) {
        if (halo_loop_is_interrupted(loop))
            halo_op_cancel(loop, op);
        if (op->state != HALO_OP_DONE)
            collect(loop, -1);
    }
    halo_list_remove(op);
}

struct halo_timer *halo_loop_next_timer(struct halo_loop *loop)
{
    struct halo_timer *first = halo_timers_first(&loop->timers);
    if (!first || first == &loop->pause_timer || first->deadline_ns > halo_now_ns())
        return NULL;
    halo_timers_stop(&loop->timers, first);
    return first;
}

int halo_timer_start(struct halo_loop *loop, struct halo_timer *timer, uint64_t deadline_ns)
{
    return halo_timers_start(&loop->timers, timer, deadline_ns);
}

void halo_timer_stop(struct halo_loop *loop, struct halo_timer *timer)
{
    halo_timers_stop(&loop->timers, timer);
}

static bool needs_cwd(const struct halo_op *op)
{
    if (halo_op_is(op, HALO_OP_SPAWN))
        return true;
    return (op->path && op->path[0] != '/' && !op->base) ||
           (op->path2 && op->path2[0] != '/' && !op->base && !op->base2);
}

bool halo_loop_needs_cwd(const struct halo_loop *loop)
{
    for (size_t i = 0; i <= loop->slab.mask; i++)
        if (halo_op_is_under_way(loop->slab.table[i]) && needs_cwd(loop->slab.table[i]))
            return true;
    return false;
}

int halo_loop_chdir(struct halo_loop *loop, const char *path)
{
    int error = loop->config.fence ? halo_fence_chdir(loop->config.fence, path)
                                   : (int)halo_result_of(chdir(path));
    loop->files.mounts.fresh = false;
    return error;
}

bool halo_loop_is_due(const struct halo_loop *loop)
{
    return halo_policy_is_due(&loop->policy);
}

uint64_t halo_loop_spent_ns(const struct halo_loop *loop)
{
    return loop->policy.spent_ns;
}

bool halo_loop_busy(const struct halo_loop *loop)
{
    return loop->stats.submitted != loop->stats.retired || loop->completed.first ||
           loop->timers.count > 0;
}

bool halo_loop_has_files(const struct halo_loop *loop)
{
    return loop->files.open > 0;
}

int halo_loop_fd(const struct halo_loop *loop)
{
    return halo_loop_has_forked(loop) ? -EOWNERDEAD : loop->engine->fd(loop->engine_state);
}

bool halo_loop_is_forked(const struct halo_loop *loop)
{
    return halo_loop_has_forked(loop);
}

const char *halo_loop_carries(const struct halo_loop *loop, unsigned code, bool *by_ring)
{
    if (code >= HALO_OP_COUNT)
        return NULL;
    *by_ring = loop->engine->by_ring && loop->engine->by_ring(loop->engine_state, code);
    return halo_op_table[code]->name;
}

bool halo_loop_is_local(struct halo_loop *loop, const char *path)
{
    bool resolved;
    if (!halo_fence_is_open(loop->config.fence, HALO_MAY_READ))
        return false;
    return halo_mounts_locate(&loop->files.mounts, AT_FDCWD, path, true, 0, &resolved) == 0;
}

void halo_loop_interrupt(struct halo_loop *loop)
{
    __atomic_store_n(&loop->interrupted, true, __ATOMIC_SEQ_CST);
    halo_loop_wake(loop);
}

bool halo_loop_wake(struct halo_loop *loop)
{
    return !halo_loop_has_forked(loop) && halo_event_set(loop->wake_fd); /* else the parent's */
}

void halo_loop_stats(const struct halo_loop *loop, struct halo_stats *stats)
{
    *stats = loop->stats;
    stats->in_flight = stats->submitted - stats->retired;
    stats->files_open = loop->files.open - loop->files.borrowed;
    stats->timers = loop->timers.count;
}

const char *halo_loop_engine(const struct halo_loop *loop)
{
    return loop->engine->name;
}

const char *halo_loop_engine_reason(const struct halo_loop *loop)
{
    return loop->reason;
}

/* ---- the end ------------------------------------------------------------------------------- */

static unsigned count_under_way(const struct halo_loop *loop)
{
    unsigned count = 0;
    for (size_t i = 0; i <= loop->slab.mask; i++)
        count += halo_op_is_under_way(loop->slab.table[i]);
    return count;
}

/* Files whose close may wait are left to the workers, within the deadline. */
static void drop_remote(struct halo_file *file, void *context)
{
    if (file->state == HALO_FILE_OPEN && !file->local && !file->borrowed)
        halo_file_drop(context, halo_file_handle(file));
}

/* Nobody takes them any more, even those that had ended before. */
static void release_ended(struct halo_loop *loop)
{
    struct halo_op *op;

    while ((op = halo_loop_next(loop))) {
        op->abandoned = true;
        halo_op_release(loop, op);
    }
}

/*
 * Nothing may take effect after the close: cancel, then wait until the kernel has let go. What has
 * ended comes before the files are dropped, since to take it back may need one.
 */
static unsigned drain(struct halo_loop *loop, uint64_t deadline_ms)
{
    uint64_t deadline_ns = halo_now_ns() + deadline_ms * 1000000;

    for (size_t i = 0; i <= loop->slab.mask; i++) {
        struct halo_op *op = loop->slab.table[i];
        if (halo_op_is_under_way(op) && op->user != loop)
            halo_op_abandon(loop, op);
    }
    release_ended(loop);
    halo_files_each(&loop->files, drop_remote, loop);
    for (;;) {
        release_ended(loop);
        close_dropped(loop);
        unsigned left = count_under_way(loop);
        uint64_t now_ns = halo_now_ns();
        if (left == 0 || now_ns >= deadline_ns)
            return left;
        collect(loop, (int64_t)(deadline_ns - now_ns));
    }
}

/* A file that an operation still uses stays open: its number must not become another file's. */
static void close_file(struct halo_file *file, void *context)
{
    (void)context;
    if (file->fd >= 0 && file->in_flight == 0 && !file->borrowed && file->state == HALO_FILE_OPEN)
        close(file->fd);
}

unsigned halo_loop_close(struct halo_loop *loop, uint64_t deadline_ms)
{
    bool forked = halo_loop_has_forked(loop);
    unsigned left =
        forked ? 0 : drain(loop, deadline_ms < DEADLINE_MAX_MS ? deadline_ms : DEADLINE_MAX_MS);

    if (!forked)
        halo_leftovers_remove(loop, left > 0);
    halo_leftovers_free(loop);
    halo_files_each(&loop->files, close_file, NULL);
    if (!forked)
        loop->engine->close(loop->engine_state);
    close(loop->wake_fd);
    halo_mounts_close(&loop->files.mounts);
    munmap(loop->unforked, 1);
    halo_timers_free(&loop->timers);
    if (left > 0 || forked)
        return left; /* the records, and what they point to, belong to the kernel for ever */
    halo_slab_free(&loop->slab);
    halo_files_free(&loop->files);
    free(loop);
    return 0;
}
