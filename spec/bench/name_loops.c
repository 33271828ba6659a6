/*
 * name_loops: what goes by names: lstat, small files read whole, files that come and go, and the
 * copy of a tree. loops.h says how it is started.
 */
#include "loops.h"

#define WHOLE_MAX (64 << 10) /* no file of the trees is larger */
#define CONTENT   1024
#define NEW_FLAGS (O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC)
#define STAT_MASK (STATX_BASIC_STATS | STATX_BTIME)

/* ---- lstat --------------------------------------------------------------------------------- */

static void prepare_lstat(struct job *job)
{
    job->paths = tree_paths(job, "names");
}

static void plain_lstat(struct job *job, struct slot *slot)
{
    checked("statx",
            statx(AT_FDCWD, job->paths[slot->item], AT_SYMLINK_NOFOLLOW, STAT_MASK, &slot->status));
}

static void queue_lstat(struct job *job, struct slot *slot, struct io_uring *ring)
{
    if (slot->stage > 0)
        return;
    struct io_uring_sqe *sqe = queue_request(ring, slot);
    io_uring_prep_statx(sqe, AT_FDCWD, job->paths[slot->item], AT_SYMLINK_NOFOLLOW, STAT_MASK,
                        &slot->status);
    set_request(sqe, slot, 0);
}

/* ---- whole files --------------------------------------------------------------------------- */

static void prepare_small(struct job *job)
{
    job->paths = tree_paths(job, "small");
}

static void plain_readfile(struct job *job, struct slot *slot)
{
    int fd = (int)checked("open", open(job->paths[slot->item], O_RDONLY | O_CLOEXEC));
    checked("read", read(fd, slot->buffer, WHOLE_MAX));
    close(fd);
}

static uint32_t remainders[256]; /* of each byte, divided by the polynomial of CRC-32 */

static void prepare_checksum(struct job *job)
{
    prepare_small(job);
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++)
            rest = rest >> 1 ^ (rest & 1 ? 0xedb88320 : 0);
        remainders[byte] = rest;
    }
}

/* The CRC-32 of gzip, a byte at a time: the work that the other columns do as well. */
static uint32_t crc_of(const uint8_t *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < count; i++)
        crc = remainders[(crc ^ bytes[i]) & 255] ^ crc >> 8;
    return ~crc;
}

static void plain_checksum(struct job *job, struct slot *slot)
{
    static volatile uint32_t sum;
    int fd = (int)checked("open", open(job->paths[slot->item], O_RDONLY | O_CLOEXEC));
    size_t got = (size_t)checked("read", read(fd, slot->buffer, WHOLE_MAX));
    close(fd);
    sum = sum ^ crc_of((const uint8_t *)slot->buffer, got);
}

/* One chain. It is a hard one behind the read, which does not fill the buffer. */
static void queue_readfile(struct job *job, struct slot *slot, struct io_uring *ring)
{
    unsigned place = slot->index * 2;
    if (slot->stage > 0)
        return;
    struct io_uring_sqe *sqe = queue_request(ring, slot);
    io_uring_prep_openat_direct(sqe, AT_FDCWD, job->paths[slot->item], O_RDONLY, 0, place);
    set_request(sqe, slot, IOSQE_IO_LINK);
    sqe = queue_request(ring, slot);
    io_uring_prep_read(sqe, (int)place, slot->buffer, WHOLE_MAX, 0);
    set_request(sqe, slot, IOSQE_IO_HARDLINK | IOSQE_FIXED_FILE);
    sqe = queue_request(ring, slot);
    io_uring_prep_close_direct(sqe, place);
    set_request(sqe, slot, 0);
}

/* ---- files that come and go ---------------------------------------------------------------- */

static void prepare_cycle(struct job *job)
{
    job->paths = allocate(job->count * sizeof(*job->paths));
    job->new_paths = allocate(job->count * sizeof(*job->new_paths));
    for (uint64_t i = 0; i < job->count; i++) {
        job->paths[i] = format("%s/cycle/%u.new", job->directory, (unsigned)i);
        job->new_paths[i] = format("%s/cycle/%u", job->directory, (unsigned)i);
    }
}

static void plain_cycle(struct job *job, struct slot *slot)
{
    const char *path = job->paths[slot->item], *new_path = job->new_paths[slot->item];
    int fd = (int)checked("open", open(path, NEW_FLAGS, 0644));
    check_length(checked("write", write(fd, slot->buffer, CONTENT)), CONTENT);
    close(fd);
    checked("rename", rename(path, new_path));
    checked("unlink", unlink(new_path));
}

/* One chain: a kernel worker that has begun it goes through all of it. */
static void queue_cycle(struct job *job, struct slot *slot, struct io_uring *ring)
{
    const char *path = job->paths[slot->item], *new_path = job->new_paths[slot->item];
    unsigned place = slot->index * 2;
    if (slot->stage > 0)
        return;
    struct io_uring_sqe *sqe = queue_request(ring, slot);
    io_uring_prep_openat_direct(sqe, AT_FDCWD, path, NEW_FLAGS & ~O_CLOEXEC, 0644, place);
    set_request(sqe, slot, IOSQE_IO_LINK);
    sqe = queue_request(ring, slot);
    io_uring_prep_write(sqe, (int)place, slot->buffer, CONTENT, 0);
    set_request(sqe, slot, IOSQE_IO_LINK | IOSQE_FIXED_FILE);
    sqe = queue_request(ring, slot);
    io_uring_prep_close_direct(sqe, place);
    set_request(sqe, slot, IOSQE_IO_LINK);
    sqe = queue_request(ring, slot);
    io_uring_prep_renameat(sqe, AT_FDCWD, path, AT_FDCWD, new_path, 0);
    set_request(sqe, slot, IOSQE_IO_LINK);
    sqe = queue_request(ring, slot);
    io_uring_prep_unlinkat(sqe, AT_FDCWD, new_path, 0);
    set_request(sqe, slot, 0);
}

/* ---- the copy of a tree -------------------------------------------------------------------- */

/* The folders are made beforehand; they are one in a hundred. */
static void prepare_copy(struct job *job)
{
    prepare_small(job);
    job->new_paths = tree_paths(job, "small.copy");
    checked("mkdir", mkdir(format("%s/small.copy", job->directory), 0755));
    for (uint64_t i = 0; i < job->count; i += PER_FOLDER)
        checked(
            "mkdir",
            mkdir(format("%s/small.copy/%03u", job->directory, (unsigned)(i / PER_FOLDER)), 0755));
}

static void plain_copy(struct job *job, struct slot *slot)
{
    int from = (int)checked("open", open(job->paths[slot->item], O_RDONLY | O_CLOEXEC));
    int to = (int)checked("open", open(job->new_paths[slot->item], NEW_FLAGS, 0644));
    ssize_t length = checked("read", read(from, slot->buffer, WHOLE_MAX));
    check_length(checked("write", write(to, slot->buffer, (size_t)length)), length);
    close(from);
    close(to);
}

static void queue_copy_in(struct job *job, struct slot *slot, struct io_uring *ring)
{
    unsigned from = slot->index * 2, to = from + 1;
    struct io_uring_sqe *sqe = queue_request(ring, slot);
    io_uring_prep_openat_direct(sqe, AT_FDCWD, job->paths[slot->item], O_RDONLY, 0, from);
    set_request(sqe, slot, IOSQE_IO_LINK);
    sqe = queue_request(ring, slot);
    io_uring_prep_openat_direct(sqe, AT_FDCWD, job->new_paths[slot->item], NEW_FLAGS & ~O_CLOEXEC,
                                0644, to);
    set_request(sqe, slot, IOSQE_IO_LINK);
    sqe = queue_request(ring, slot);
    io_uring_prep_read(sqe, (int)from, slot->buffer, WHOLE_MAX, 0);
    set_request(sqe, slot, IOSQE_FIXED_FILE);
}

static void queue_copy_out(struct slot *slot, struct io_uring *ring)
{
    unsigned from = slot->index * 2, to = from + 1;
    struct io_uring_sqe *sqe = queue_request(ring, slot);
    io_uring_prep_write(sqe, (int)to, slot->buffer, (unsigned)slot->result, 0);
    set_request(sqe, slot, IOSQE_IO_LINK | IOSQE_FIXED_FILE);
    sqe = queue_request(ring, slot);
    io_uring_prep_close_direct(sqe, from);
    set_request(sqe, slot, IOSQE_IO_LINK);
    sqe = queue_request(ring, slot);
    io_uring_prep_close_direct(sqe, to);
    set_request(sqe, slot, 0);
}

static void queue_copy(struct job *job, struct slot *slot, struct io_uring *ring)
{
    if (slot->stage == 0)
        queue_copy_in(job, slot, ring);
    else if (slot->stage == 1)
        queue_copy_out(slot, ring);
}

static const struct job_kind kinds[] = {
    {"lstat", 0, prepare_lstat, plain_lstat, queue_lstat},
    {"readfile", WHOLE_MAX, prepare_small, plain_readfile, queue_readfile},
    {"checksum", WHOLE_MAX, prepare_checksum, plain_checksum, NULL},
    {"cycle", CONTENT, prepare_cycle, plain_cycle, queue_cycle},
    {"copy", WHOLE_MAX, prepare_copy, plain_copy, queue_copy},
    {0},
};

int main(int argc, char **argv)
{
    return loops_main(kinds, argc, argv);
}
