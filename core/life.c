/*
 * The beginning and the end of a loop: limits, the choice of the engine, and the drain.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "loop.h"

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
        cause = "forbidden here: kernel.io_uring_disabled is set (sysctl), or a seccomp filter or "
                "container policy denies it";
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
    int error = -ENOMEM;

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
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) {
        error = -errno;
        goto fail;
    }
    error = open_engine(loop);
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

/* ---- the end ------------------------------------------------------------------------------- */

static bool is_under_way(const struct halo_op *op)
{
    return op && op->state != HALO_OP_FILLING && op->state != HALO_OP_DONE;
}

static unsigned count_under_way(const struct halo_loop *loop)
{
    unsigned count = 0;
    for (size_t i = 0; i <= loop->slab.mask; i++)
        count += is_under_way(loop->slab.table[i]);
    return count;
}

/* What may wait to be closed is closed by the workers, within the deadline. */
static void drop_remote(struct halo_file *file, void *context)
{
    if (file->state == HALO_FILE_OPEN && !file->local && !file->borrowed)
        halo_file_drop(context, halo_file_handle(file));
}

/* Nothing may take effect after the close: cancel, then wait until the kernel has let go. */
static unsigned drain(struct halo_loop *loop, uint64_t deadline_ms)
{
    uint64_t deadline_ns = halo_now_ns() + deadline_ms * 1000000;
    struct halo_op *op;

    for (size_t i = 0; i <= loop->slab.mask; i++)
        if (is_under_way(loop->slab.table[i]))
            halo_op_abandon(loop, loop->slab.table[i]);
    halo_files_each(&loop->files, drop_remote, loop);
    halo_loop_close_dropped(loop);
    for (;;) {
        while ((op = halo_loop_next(loop)))
            halo_op_release(loop, op);
        unsigned left = count_under_way(loop);
        uint64_t now_ns = halo_now_ns();
        if (left == 0 || now_ns >= deadline_ns)
            return left;
        halo_loop_collect(loop, (int64_t)(deadline_ns - now_ns));
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
    bool forked = !*loop->unforked;
    unsigned left =
        forked ? 0 : drain(loop, deadline_ms < DEADLINE_MAX_MS ? deadline_ms : DEADLINE_MAX_MS);

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

void halo_check_failed(const char *file, int line, const char *condition, const char *reason)
{
    fprintf(stderr, "halo: %s:%d: %s (%s)\n", file, line, reason, condition);
    abort();
}
