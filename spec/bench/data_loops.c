/*
 * data_loops: reads and writes of 4 KiB at random offsets, and appends that wait for the disk.
 * loops.h says how it is started.
 */
#include "loops.h"

#define WRITE_FILES 64
#define LINE        128 /* bytes of an append */

/* ---- reads --------------------------------------------------------------------------------- */

static void prepare_read(struct job *job)
{
    open_file(job, 0, format("%s/read.data", job->directory), O_RDONLY);
}

static void prepare_direct(struct job *job)
{
    open_file(job, 0, format("%s/read.data", job->directory), O_RDONLY | O_DIRECT);
}

static void plain_read(struct job *job, struct slot *slot)
{
    off_t offset = (off_t)next_offset(job);
    check_length(checked("pread", pread(job->fds[0], slot->buffer, PAGE, offset)), PAGE);
}

static void queue_read(struct job *job, struct slot *slot, struct io_uring *ring)
{
    if (slot->stage > 0) {
        check_length(slot->result, PAGE);
        return;
    }
    struct io_uring_sqe *sqe = queue_request(ring, slot);
    io_uring_prep_read(sqe, job->fds[0], slot->buffer, PAGE, next_offset(job));
    set_request(sqe, slot, 0);
}

/* ---- writes -------------------------------------------------------------------------------- */

static void prepare_write(struct job *job)
{
    open_file(job, 0, format("%s/write.data", job->directory), O_WRONLY);
}

static void prepare_write64(struct job *job)
{
    for (unsigned i = 0; i < WRITE_FILES; i++)
        open_file(job, i, format("%s/write/%u", job->directory, i), O_WRONLY);
}

static int file_of(const struct job *job, const struct slot *slot)
{
    return job->kind->prepare == prepare_write64 ? job->fds[slot->item % WRITE_FILES] : job->fds[0];
}

static void plain_write(struct job *job, struct slot *slot)
{
    off_t offset = (off_t)next_offset(job);
    check_length(checked("pwrite", pwrite(file_of(job, slot), slot->buffer, PAGE, offset)), PAGE);
}

static void queue_write(struct job *job, struct slot *slot, struct io_uring *ring)
{
    if (slot->stage > 0) {
        check_length(slot->result, PAGE);
        return;
    }
    struct io_uring_sqe *sqe = queue_request(ring, slot);
    io_uring_prep_write(sqe, file_of(job, slot), slot->buffer, PAGE, next_offset(job));
    set_request(sqe, slot, 0);
}

/* ---- appends ------------------------------------------------------------------------------- */

/* Each task has a log of its own. */
static void prepare_append(struct job *job)
{
    for (unsigned i = 0; i < job->tasks; i++)
        open_file(job, i, format("%s/logs/%u", job->directory, i), O_WRONLY | O_APPEND | O_CREAT);
}

static void plain_append(struct job *job, struct slot *slot)
{
    int fd = job->fds[slot->item % job->tasks];
    check_length(checked("write", write(fd, slot->buffer, LINE)), LINE);
    checked("fsync", fsync(fd));
}

static void queue_append(struct job *job, struct slot *slot, struct io_uring *ring)
{
    int fd = job->fds[slot->index];
    if (slot->stage > 0) {
        check_length(slot->result, LINE);
        return;
    }
    struct io_uring_sqe *sqe = queue_request(ring, slot);
    io_uring_prep_write(sqe, fd, slot->buffer, LINE, (uint64_t)-1);
    set_request(sqe, slot, IOSQE_IO_LINK);
    sqe = queue_request(ring, slot);
    io_uring_prep_fsync(sqe, fd, 0);
    set_request(sqe, slot, 0);
}

static const struct job_kind kinds[] = {
    {"read", PAGE, prepare_read, plain_read, queue_read},
    {"direct", PAGE, prepare_direct, plain_read, queue_read},
    {"write", PAGE, prepare_write, plain_write, queue_write},
    {"write64", PAGE, prepare_write64, plain_write, queue_write},
    {"append", PAGE, prepare_append, plain_append, queue_append},
    {0},
};

int main(int argc, char **argv)
{
    return loops_main(kinds, argc, argv);
}
