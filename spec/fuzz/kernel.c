#include "jobs.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define START_NS 1000000000000
#define JOBS_MAX 4096
#define FDS_MAX  1024

/* How many bytes a stream has given. */
struct stream {
    int fd;
    uint64_t given;
};

static struct {
    struct input *input;
    struct halo_loop *loop;
    bool kind, begun;
    uint64_t now_ns, unknown;
    size_t jobs, fds;
    struct job job[JOBS_MAX];
    struct stream fd[FDS_MAX];
} kernel;

unsigned kernel_draw(unsigned limit)
{
    return kernel.kind ? 0 : input_below(kernel.input, limit);
}

bool kernel_is_kind(void)
{
    return kernel.kind;
}

/* ---- time ---------------------------------------------------------------------------------- */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!kernel.begun)
        return __real_clock_gettime(clock, now);
    now->tv_sec = (time_t)(kernel.now_ns / 1000000000);
    now->tv_nsec = (long)(kernel.now_ns % 1000000000);
    return 0;
}

void kernel_pass_ns(uint64_t ns)
{
    kernel.now_ns += ns;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)left;
    kernel_pass_ns((uint64_t)time->tv_nsec);
    return 0;
}

/* ---- descriptors --------------------------------------------------------------------------- */

int kernel_open(bool stream)
{
    int fd = stream ? eventfd(0, EFD_CLOEXEC) : memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || kernel.fds == FDS_MAX)
        fuzz_fail("no descriptor: %s", strerror(errno));
    kernel.fd[kernel.fds++] = (struct stream){.fd = fd};
    return fd;
}

/* The latest of that number: those before were closed. */
static struct stream *find_stream(int fd)
{
    for (size_t i = kernel.fds; i-- > 0;)
        if (kernel.fd[i].fd == fd)
            return &kernel.fd[i];
    fuzz_fail("descriptor %d is used, which was never opened", fd);
}

/* ---- memory -------------------------------------------------------------------------------- */

static void look_at(const void *data, size_t length)
{
    static volatile uint8_t seen;
    for (size_t i = 0; i < length; i++)
        seen = ((const uint8_t *)data)[i];
    (void)seen;
}

static void look_at_path(uint64_t address)
{
    if (address)
        look_at((const char *)(uintptr_t)address, strlen((const char *)(uintptr_t)address));
}

/* A read's memory may be written at any time, a write's data and paths read. */
static void touch(const struct job *job)
{
    const struct io_uring_sqe *sqe = &job->sqe;
    void *memory = (void *)(uintptr_t)sqe->addr;

    switch (sqe->opcode) {
    case IORING_OP_READ:
        memset(memory, 0xa5, sqe->len);
        break;
    case IORING_OP_WRITE:
        look_at(memory, sqe->len);
        break;
    case IORING_OP_STATX:
        look_at_path(sqe->addr);
        memset((void *)(uintptr_t)sqe->addr2, 0, sizeof(struct statx));
        break;
    case IORING_OP_RENAMEAT:
    case IORING_OP_LINKAT:
    case IORING_OP_SYMLINKAT:
        look_at_path(sqe->addr2);
        look_at_path(sqe->addr);
        break;
    case IORING_OP_OPENAT:
    case IORING_OP_UNLINKAT:
    case IORING_OP_MKDIRAT:
        look_at_path(sqe->addr);
        break;
    default:
        break;
    }
}

/* An operation that is with the kernel is known, runs, and has not been given up. */
static void check_held(const struct job *job)
{
    uint64_t seq = job->op ? job->op->seq : job->sqe.user_data;

    if (job->place == PLACE_RING && seq <= KERNEL_SEQ_OWN_MAX)
        return;
    const struct halo_op *op = halo_slab_find(&job->loop->slab, seq);
    if (!op || op->state != HALO_OP_RUNNING || (job->op && op != job->op))
        fuzz_fail("operation %llu was given up while the kernel had it", (unsigned long long)seq);
    touch(job);
}

/* ---- results ------------------------------------------------------------------------------- */

int64_t kernel_draw_error(void)
{
    static const int16_t errors[] = {EIO,    ENOSPC, EDQUOT, EINTR,      EAGAIN, ENOMEM,
                                     EMFILE, EROFS,  EINVAL, ECANCELED,  512,    513,
                                     516,    ENXIO,  ENOENT, EOPNOTSUPP, EBADF,  EPERM};
    return -errors[kernel_draw(sizeof(errors) / sizeof(errors[0]))];
}

static int64_t give_bytes(const struct io_uring_sqe *sqe, size_t length)
{
    struct stream *stream = find_stream(sqe->fd);
    uint8_t *to = (uint8_t *)(uintptr_t)sqe->addr;

    for (size_t i = 0; i < length; i++)
        to[i] = kernel_stream_byte(stream->given++);
    return (int64_t)length;
}

static size_t draw_length(size_t most)
{
    unsigned part = kernel_draw(8);
    return part < 4 ? most : part < 7 ? most * part / 8 : most > 0;
}

static int64_t succeed(const struct job *job)
{
    const struct io_uring_sqe *sqe = &job->sqe;

    if (job->op && halo_op_is(job->op, HALO_OP_CLOSE))
        return job->op->now->block(job->op);
    switch (sqe->opcode) {
    case IORING_OP_READ:
        return give_bytes(sqe, kernel.kind ? 0 : draw_length(sqe->len));
    case IORING_OP_WRITE:
        return (int64_t)draw_length(sqe->len);
    case IORING_OP_OPENAT:
        return kernel_open(kernel_draw(2) == 1);
    case IORING_OP_POLL_ADD:
        return POLLIN | POLLOUT;
    default:
        return 0;
    }
}

/* Of a poll nobody knows when it ends; a kind kernel finds every stream ready. */
static bool may_last(const struct job *job)
{
    bool own = job->sqe.user_data <= KERNEL_SEQ_OWN_MAX && !job->op;
    return job->sqe.opcode == IORING_OP_POLL_ADD && !job->cancelled && (own || !kernel.kind);
}

/* A close is carried out whatever it says. A cancel may have come too late. */
int64_t job_result(const struct job *job)
{
    static const int16_t cancelled[] = {ECANCELED, EINTR, 512, 516};

    if (job->op && halo_op_is(job->op, HALO_OP_CLOSE))
        return succeed(job);
    if (job->cancelled && (kernel.kind || kernel_draw(4) > 0))
        return -cancelled[kernel_draw(4)];
    return kernel_draw(4) == 1 ? kernel_draw_error() : succeed(job);
}

/* ---- the end of a job ---------------------------------------------------------------------- */

/* A number that nobody knows: one that never was, or of an operation that has ended. */
uint64_t kernel_draw_unknown(void)
{
    const struct halo_slab *slab = &kernel.loop->slab;
    const struct halo_op *op;
    uint64_t seq;

    kernel.unknown++;
    switch (kernel_draw(3)) {
    case 0:
        seq = HALO_SEQ_FIRST + kernel_draw(200);
        break;
    case 1:
        seq = input_number(kernel.input, 8);
        break;
    default: /* which has the place of one that is there */
        op = slab->table[kernel_draw(256) & slab->mask];
        seq = op ? op->seq + slab->mask + 1 : 0;
    }
    op = slab->table[seq & slab->mask];
    bool known = op && op->seq == seq;
    return seq <= KERNEL_SEQ_OWN_MAX || known ? slab->next_seq + 1000 : seq;
}

struct job job_take(size_t at)
{
    struct job job = kernel.job[at];
    check_held(&job);
    memmove(&kernel.job[at], &kernel.job[at + 1], (--kernel.jobs - at) * sizeof(job));
    return job;
}

struct job *job_add(enum place place, const void *where, struct halo_op *op)
{
    if (kernel.jobs == JOBS_MAX)
        fuzz_fail("more operations than may be");
    struct job *job = &kernel.job[kernel.jobs++];
    *job = (struct job){.place = place, .where = where, .loop = kernel.loop, .op = op};
    if (op && op->now->prepare)
        op->now->prepare(&job->sqe, op);
    return job;
}

void job_cancel(const struct io_uring *uring, uint64_t seq)
{
    for (size_t i = 0; i < kernel.jobs; i++)
        if (kernel.job[i].where == uring && kernel.job[i].sqe.user_data == seq)
            kernel.job[i].cancelled = true;
}

/* One of those in the ring; kinds of polls only where they are asked for. */
bool job_find(const void *where, bool polls, size_t *at)
{
    size_t skip =
        kernel.jobs > 1 ? kernel_draw((unsigned)(kernel.jobs < 256 ? kernel.jobs : 256)) : 0;

    for (size_t i = 0; i < kernel.jobs; i++) {
        *at = (i + skip) % kernel.jobs;
        const struct job *job = &kernel.job[*at];
        if (job->where == where && (polls || !may_last(job)))
            return true;
    }
    return false;
}

bool job_has_any(enum place place)
{
    for (size_t i = 0; i < kernel.jobs; i++)
        if (kernel.job[i].place == place && kernel.job[i].loop == kernel.loop)
            return true;
    return false;
}

/* The ring's poll of the poller. */
bool job_find_own(const struct io_uring *uring, uint64_t seq, size_t *at)
{
    for (*at = 0; *at < kernel.jobs; ++*at)
        if (kernel.job[*at].where == uring && kernel.job[*at].sqe.user_data == seq)
            return true;
    return false;
}

bool job_find_op(const void *where, const struct halo_op *op, size_t *at)
{
    for (*at = 0; *at < kernel.jobs; ++*at)
        if (kernel.job[*at].where == where && kernel.job[*at].op == op)
            return true;
    return false;
}

void job_check_all(void)
{
    for (size_t i = 0; i < kernel.jobs; i++)
        check_held(&kernel.job[i]);
}

/* ---- for the fuzzers ----------------------------------------------------------------------- */

void kernel_begin(struct input *input)
{
    kernel.input = input;
    kernel.loop = NULL;
    kernel.kind = kernel.begun = true;
    kernel.now_ns = START_NS;
    kernel.unknown = 0;
    kernel.jobs = kernel.fds = 0;
}

void kernel_serve(struct halo_loop *loop)
{
    kernel.loop = loop;
    kernel.kind = false;
}

void kernel_be_kind(void)
{
    kernel.kind = true;
}

uint64_t kernel_unknown(void)
{
    return kernel.unknown;
}

void kernel_tell_left(void)
{
    static const char *const states[] = {"free",    "filling",  "waiting", "queued",
                                         "running", "answered", "paused",  "done"};
    for (size_t i = 0; i <= kernel.loop->slab.mask; i++) {
        const struct halo_op *op = kernel.loop->slab.table[i];
        if (op)
            fprintf(stderr, "%s %llu: %s, offset %llu, length %zu, done %zu\n", op->row->name,
                    (unsigned long long)op->seq, states[op->state], (unsigned long long)op->offset,
                    op->length, op->done);
    }
}

void kernel_end(void)
{
    for (size_t i = 0; i < kernel.jobs; i++)
        if (kernel.job[i].sqe.user_data > KERNEL_SEQ_OWN_MAX || kernel.job[i].op)
            fuzz_fail("the loop has ended, and the kernel has still an operation");
    for (size_t i = 0; i < kernel.fds; i++)
        if (fcntl(kernel.fd[i].fd, F_GETFD) >= 0)
            fuzz_fail("descriptor %d is open after the end", kernel.fd[i].fd);
    kernel.begun = false;
}
