/*
 * loops.h: what the C side of the benchmark has in common. Every program here is started as
 *
 *     PROGRAM plain|ring JOB DIRECTORY COUNT TASKS
 *
 * does COUNT items of one job on the files that run.lua has laid out in the directory, either with
 * one system call after the other or with TASKS items in flight in a ring, and prints nanoseconds
 * per item. Only the loop is timed, neither the start of the process nor what prepares the job.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE        4096
#define TASKS_MAX   1024
#define CHAIN_MAX   8 /* requests of one item in flight at once */
#define FILES_MAX   TASKS_MAX
#define PER_FOLDER  100 /* files of the trees that run.lua makes */
#define RANDOM_SEED 1

struct slot {
    uint64_t item;
    unsigned stage;   /* how often the job has queued requests for this item */
    unsigned pending; /* requests in flight */
    int result;       /* the largest of the stage's results: what was read, where anything was */
    unsigned index;
    uint8_t *buffer;
    struct statx status;
};

struct job {
    const struct job_kind *kind;
    const char *directory;
    uint64_t count;
    unsigned tasks;
    uint32_t random; /* state of the generator, never 0 */
    uint32_t pages;  /* in each file of fds */
    int fds[FILES_MAX];
    char **paths;
    char **new_paths;
    uint8_t *buffers;
};

struct job_kind {
    const char *name;
    size_t buffer_size;
    void (*prepare)(struct job *job);
    void (*plain)(struct job *job, struct slot *slot);
    /* Queues the item's next requests with queue_request(); none are left when it queues none. */
    void (*queue)(struct job *job, struct slot *slot, struct io_uring *ring);
};

/* A benchmark that goes wrong has no figure worth printing, so every failure ends the process. */
static inline void fail(const char *what, int error)
{
    fprintf(stderr, "benchmark: %s: %s\n", what, strerror(error));
    exit(1);
}

static inline int64_t checked(const char *what, int64_t result)
{
    if (result < 0)
        fail(what, errno);
    return result;
}

static inline void check_length(int64_t result, int64_t wanted)
{
    if (result != wanted)
        fail("short read or write", EIO);
}

static inline void *allocate(size_t size)
{
    void *memory = aligned_alloc(PAGE, (size + PAGE - 1) / PAGE * PAGE);
    if (!memory)
        fail("memory", ENOMEM);
    memset(memory, 0, size); /* touched, so that the loop does not pay for page faults */
    return memory;
}

static inline uint64_t now_nsec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * Marsaglia's xorshift32; layout.lua computes the same numbers. The lowest bits are dropped because
 * Lua's bit library has signed results, and a number shifted to the right is the same in both.
 */
static inline uint64_t next_offset(struct job *job)
{
    uint32_t x = job->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    job->random = x;
    return (uint64_t)((x >> 8) % job->pages) * PAGE;
}

static inline char *format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
static inline char *format(const char *pattern, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, pattern);
    if (vasprintf(&text, pattern, arguments) < 0)
        fail("memory", ENOMEM);
    va_end(arguments);
    return text;
}

/* The paths of a tree that run.lua has made: DIRECTORY/NAME/000/00000 and so on. */
static inline char **tree_paths(const struct job *job, const char *name)
{
    char **paths = allocate(job->count * sizeof(*paths));
    for (uint64_t i = 0; i < job->count; i++)
        paths[i] = format("%s/%s/%03u/%05u", job->directory, name, (unsigned)(i / PER_FOLDER),
                          (unsigned)i);
    return paths;
}

static inline void open_file(struct job *job, unsigned index, const char *path, int flags)
{
    struct stat status;
    job->fds[index] = open(path, flags | O_CLOEXEC, 0644);
    if (job->fds[index] < 0 || fstat(job->fds[index], &status) < 0)
        fail(path, errno);
    job->pages = (uint32_t)(status.st_size / PAGE);
}

/* ---- the ring ------------------------------------------------------------------------------ */

static inline void open_ring(struct io_uring *ring, unsigned entries)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    int result = io_uring_queue_init_params(entries, ring, &params);
    if (result < 0)
        fail("io_uring_queue_init_params", -result);

    /* Any program may register the ring's own descriptor, which spares a look-up in each enter. */
    result = io_uring_register_ring_fd(ring);
    if (result < 0)
        fail("io_uring_register_ring_fd", -result);
}

/* The queue has room for CHAIN_MAX requests of every slot, so there always is an entry. */
static inline struct io_uring_sqe *queue_request(struct io_uring *ring, struct slot *slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (!sqe)
        fail("submission queue", ENOBUFS);
    sqe->user_data = 0;
    slot->pending++;
    return sqe;
}

/* Called after the prep function, which wipes both. */
static inline void set_request(struct io_uring_sqe *sqe, struct slot *slot, unsigned flags)
{
    io_uring_sqe_set_data(sqe, slot);
    io_uring_sqe_set_flags(sqe, flags);
}

/* Gives a slot its next requests, of the next item where this one is done. */
static inline void advance(struct job *job, struct slot *slot, struct io_uring *ring,
                           uint64_t *started, uint64_t *ended)
{
    if (slot->stage > 0) {
        job->kind->queue(job, slot, ring);
        slot->stage++;
        if (slot->pending > 0)
            return;
        (*ended)++;
    }
    if (*started == job->count)
        return;
    slot->item = (*started)++;
    slot->stage = 0;
    job->kind->queue(job, slot, ring);
    slot->stage = 1;
}

static inline void take_completion(struct slot *slot, int result)
{
    if (result < 0)
        fail("a request of the ring", -result);
    if (result > slot->result)
        slot->result = result;
    slot->pending--;
}

/*
 * Each turn is one system call: it submits what the last turn queued and waits for a completion. A
 * slot is queued again as soon as its completion is seen, so TASKS items are under way whenever the
 * kernel is entered. What ends within the submission is there when the first completion is.
 */
static inline void ring_loop(struct job *job, struct slot *slots, struct io_uring *ring)
{
    struct io_uring_cqe *cqes[TASKS_MAX];
    uint64_t started = 0, ended = 0;

    for (unsigned i = 0; i < job->tasks; i++)
        advance(job, &slots[i], ring, &started, &ended);
    while (ended < job->count) {
        int result = io_uring_submit_and_wait(ring, 1);
        if (result < 0 && result != -EINTR)
            fail("io_uring_submit_and_wait", -result);
        unsigned seen = io_uring_peek_batch_cqe(ring, cqes, TASKS_MAX);
        for (unsigned i = 0; i < seen; i++) {
            struct slot *slot = io_uring_cqe_get_data(cqes[i]);
            take_completion(slot, cqes[i]->res);
            if (slot->pending == 0) {
                advance(job, slot, ring, &started, &ended);
                slot->result = 0;
            }
        }
        io_uring_cq_advance(ring, seen);
    }
}

static inline void plain_loop(struct job *job, struct slot *slot)
{
    for (slot->item = 0; slot->item < job->count; slot->item++)
        job->kind->plain(job, slot);
}

/* ---- main ---------------------------------------------------------------------------------- */

static inline struct slot *make_slots(struct job *job)
{
    size_t size = job->kind->buffer_size;
    struct slot *slots = allocate(job->tasks * sizeof(*slots));
    job->buffers = allocate(job->tasks * size);
    for (unsigned i = 0; i < job->tasks; i++) {
        slots[i].index = i;
        slots[i].buffer = job->buffers + i * size;
    }
    return slots;
}

/* Each slot has two places among the ring's own descriptors: 2 * index and 2 * index + 1. */
static inline double time_job(struct job *job, bool use_ring)
{
    struct slot *slots = make_slots(job);
    struct io_uring ring;

    if (use_ring) {
        open_ring(&ring, job->tasks * CHAIN_MAX);
        int result = io_uring_register_files_sparse(&ring, job->tasks * 2);
        if (result < 0)
            fail("io_uring_register_files_sparse", -result);
    }
    uint64_t start = now_nsec();
    if (use_ring)
        ring_loop(job, slots, &ring);
    else
        plain_loop(job, slots);
    return (double)(now_nsec() - start) / (double)job->count;
}

static inline int loops_main(const struct job_kind *kinds, int argc, char **argv)
{
    struct job job = {.random = RANDOM_SEED};
    bool use_ring = argc > 1 && strcmp(argv[1], "ring") == 0;

    if (argc != 6 || (!use_ring && strcmp(argv[1], "plain") != 0)) {
        fprintf(stderr, "usage: %s plain|ring JOB DIRECTORY COUNT TASKS\n", argv[0]);
        return 2;
    }
    for (job.kind = kinds; job.kind->name; job.kind++)
        if (strcmp(job.kind->name, argv[2]) == 0)
            break;
    job.directory = argv[3];
    job.count = strtoull(argv[4], NULL, 10);
    job.tasks = (unsigned)strtoul(argv[5], NULL, 10);
    if (!job.kind->name || job.count == 0 || job.tasks == 0 || job.tasks > TASKS_MAX) {
        fprintf(stderr, "%s: no such job, or a number out of range\n", argv[0]);
        return 2;
    }
    job.kind->prepare(&job);
    printf("%.1f\n", time_job(&job, use_ring));
    return 0;
}

#endif
