/*
 * read_loops: what plain C pays for a random 4 KiB read from the page cache. It is the measure that
 * spec/bench/read.lua holds halo against. One program, three loops over the same offsets:
 *
 *     read_loops plain|ring|fixed FILE COUNT DEPTH [SEED]
 *
 *     plain   one pread(2) after the other; DEPTH is ignored
 *     ring    io_uring with DEPTH reads in flight, each into a buffer of its own, none registered
 *     fixed   the same with the file and the buffers registered with the ring
 *
 * It prints nanoseconds per read and nothing else. Only the loop is timed, neither the start of the
 * process nor the set-up of the ring.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE 4096
#define DEPTH_MAX 4096

struct job {
    int fd;
    uint32_t pages;   /* in the file */
    uint32_t state;   /* of the xorshift generator, never 0 */
    uint64_t count;   /* reads to do */
    unsigned depth;   /* reads in flight at once */
    bool fixed;       /* with a registered file and registered buffers */
    uint8_t *buffers; /* depth times READ_SIZE bytes, aligned to pages */
};

/* A benchmark that goes wrong has no figure worth printing, so every failure ends the process. */
static void fail(const char *what, int error)
{
    fprintf(stderr, "read_loops: %s: %s\n", what, strerror(error));
    exit(1);
}

static void check_read(ssize_t result)
{
    if (result < 0)
        fail("read", (int)-result);
    if (result != READ_SIZE)
        fail("short read", EIO);
}

/*
 * Marsaglia's xorshift32; read.lua computes the same numbers. The lowest bits are dropped because
 * Lua's bit library has signed results, and a number shifted to the right is the same in both.
 */
static uint64_t next_offset(struct job *job)
{
    uint32_t x = job->state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    job->state = x;
    return (uint64_t)((x >> 8) % job->pages) * READ_SIZE;
}

static void plain_loop(struct job *job)
{
    for (uint64_t i = 0; i < job->count; i++) {
        ssize_t result = pread(job->fd, job->buffers, READ_SIZE, (off_t)next_offset(job));
        check_read(result < 0 ? -errno : result);
    }
}

/* The submission queue has an entry for every slot, so a slot that is free always finds one. */
static void queue_read(struct io_uring *ring, struct job *job, unsigned slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    uint8_t *buffer = job->buffers + (size_t)slot * READ_SIZE;
    if (!sqe)
        fail("submission queue", ENOBUFS);
    if (job->fixed) {
        io_uring_prep_read_fixed(sqe, 0, buffer, READ_SIZE, next_offset(job), 0);
        sqe->flags |= IOSQE_FIXED_FILE;
    } else {
        io_uring_prep_read(sqe, job->fd, buffer, READ_SIZE, next_offset(job));
    }
    sqe->user_data = slot;
}

/*
 * Each turn is one system call: it submits what the last turn queued and waits for a completion. A
 * slot is queued again as soon as its completion is seen, so DEPTH reads are in flight whenever the
 * kernel is entered. Reads from the page cache end within the submission, and the one completion
 * waited for then brings all the others along: waiting for more would win nothing.
 */
static void ring_loop(struct io_uring *ring, struct job *job)
{
    struct io_uring_cqe *cqes[DEPTH_MAX];
    uint64_t started = 0, done = 0;

    while (started < job->count && started < job->depth)
        queue_read(ring, job, (unsigned)started++);

    while (done < job->count) {
        int result = io_uring_submit_and_wait(ring, 1);
        if (result < 0 && result != -EINTR)
            fail("io_uring_submit_and_wait", -result);
        unsigned ended = io_uring_peek_batch_cqe(ring, cqes, job->depth);
        for (unsigned i = 0; i < ended; i++) {
            check_read(cqes[i]->res);
            if (started < job->count) {
                queue_read(ring, job, (unsigned)cqes[i]->user_data);
                started++;
            }
        }
        io_uring_cq_advance(ring, ended);
        done += ended;
    }
}

static void open_ring(struct io_uring *ring, struct job *job)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    int result = io_uring_queue_init_params(job->depth, ring, &params);
    if (result < 0)
        fail("io_uring_queue_init_params", -result);

    /* Any program may register the ring's own descriptor, which spares a look-up in each enter. */
    result = io_uring_register_ring_fd(ring);
    if (result < 0)
        fail("io_uring_register_ring_fd", -result);

    if (job->fixed) {
        struct iovec memory = {job->buffers, (size_t)job->depth * READ_SIZE};
        result = io_uring_register_buffers(ring, &memory, 1);
        if (result == 0)
            result = io_uring_register_files(ring, &job->fd, 1);
        if (result < 0)
            fail("registering file and buffers", -result);
    }
}

static uint64_t now_nsec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void open_file(struct job *job, const char *path)
{
    struct stat status;
    job->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (job->fd < 0 || fstat(job->fd, &status) < 0)
        fail(path, errno);
    job->pages = (uint32_t)(status.st_size / READ_SIZE);
    if (job->pages == 0)
        fail(path, ENODATA);
}

static int usage(void)
{
    fprintf(stderr, "usage: read_loops plain|ring|fixed FILE COUNT DEPTH [SEED]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct job job = {.state = 1};
    if (argc < 5 || argc > 6)
        return usage();
    bool plain = strcmp(argv[1], "plain") == 0;
    bool ring_mode = strcmp(argv[1], "ring") == 0;
    job.fixed = strcmp(argv[1], "fixed") == 0;
    job.count = strtoull(argv[3], NULL, 10);
    job.depth = (unsigned)strtoul(argv[4], NULL, 10);
    if (argc == 6)
        job.state = (uint32_t)strtoul(argv[5], NULL, 10);
    if (!plain && !ring_mode && !job.fixed)
        return usage();
    if (job.count == 0 || job.depth == 0 || job.depth > DEPTH_MAX || job.state == 0)
        return usage();

    open_file(&job, argv[2]);
    job.buffers = aligned_alloc(READ_SIZE, (size_t)job.depth * READ_SIZE);
    if (!job.buffers)
        fail("buffers", ENOMEM);
    /* Touched beforehand, so that the loop does not pay for their page faults. */
    memset(job.buffers, 0, (size_t)job.depth * READ_SIZE);

    struct io_uring ring;
    if (!plain)
        open_ring(&ring, &job);
    uint64_t start = now_nsec();
    if (plain)
        plain_loop(&job);
    else
        ring_loop(&ring, &job);
    uint64_t nsec = now_nsec() - start;
    printf("%.1f\n", (double)nsec / (double)job.count);

    if (!plain)
        io_uring_queue_exit(&ring);
    free(job.buffers);
    close(job.fd);
    return 0;
}
