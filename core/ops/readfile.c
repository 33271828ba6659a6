/*
 * Whole files, each read in one operation: what takes four system calls is worth one hand-off to a
 * worker, not four. Between two pieces it looks whether it has been cancelled.
 */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"
#include "ops/shared.h"

#define PIECE_BYTES (16u << 20) /* between two looks */
#define READ_FIRST  16384u      /* bytes that most files fit into */

/* The next piece. Returns its bytes, 0 at the end, or -errno. */
static int64_t read_piece(const struct halo_op *op, int fd, void *data, size_t length)
{
    unsigned tries = 0;
    ssize_t got;

    do {
        if (halo_op_is_cancelled(op))
            return -ECANCELED;
        got = read(fd, data, length < PIECE_BYTES ? length : PIECE_BYTES);
    } while (got < 0 && errno == EINTR && halo_op_retries(op, &tries));
    return got < 0 ? -errno : got;
}

/* Reads into the operation's own memory, behind the path, which another try may need. */
static int64_t read_all(struct halo_op *op, int fd, size_t room)
{
    size_t start = strlen(op->path) + 1, used = 0;
    int64_t got;

    do {
        if (used == room)
            room *= 2;
        if (!halo_op_storage(op, start + room))
            return -ENOMEM;
        got = read_piece(op, fd, op->storage + start + used, room - used);
        if (got < 0)
            return got;
        used += (size_t)got;
        if (op->length && used > op->length)
            return -EFBIG;
    } while (got > 0);
    op->data = (uint8_t *)op->storage + start;
    return (int64_t)used;
}

/* Reads a file into the caller's memory, and checks whether that was all of it. */
static int64_t read_given(struct halo_op *op, int fd)
{
    size_t used = 0;
    uint8_t more;
    int64_t got;

    do {
        size_t left = op->length - used;
        got = left > 0 ? read_piece(op, fd, op->data + used, left) : read_piece(op, fd, &more, 1);
        if (got < 0)
            return got;
        if (got > 0 && left == 0)
            return -EFBIG;
        used += (size_t)got;
    } while (got > 0);
    return (int64_t)used;
}

/* Files of /sys say that they have a page, and are shorter. */
static bool is_too_big(const struct halo_op *op, int fd, const struct stat *status)
{
    uint8_t byte;
    return (op->length > 0 || !op->own_data) && status->st_size > (off_t)op->length &&
           pread(fd, &byte, 1, (off_t)op->length) == 1;
}

/* A byte more than the file has: only an empty read says that this is the end. */
static int64_t read_contents(struct halo_op *op, int fd, const struct stat *status)
{
    if (!op->own_data)
        return read_given(op, fd);
    return read_all(op, fd, status->st_size > 0 ? (size_t)status->st_size + 1 : READ_FIRST);
}

static int64_t check_type(const struct stat *status)
{
    if (S_ISREG(status->st_mode))
        return 0;
    return S_ISDIR(status->st_mode) ? -EISDIR : -ESPIPE;
}

/*
 * A stream is refused: to wait for its end could hold up a worker for ever. It is not even opened,
 * since a writer that waits for a FIFO's reader would lose what it writes once that is closed.
 */
static int64_t read_file(struct halo_op *op, bool at_once)
{
    struct stat status;

    op->own_data |= !op->data;
    int64_t result = halo_op_stat_at(op, op->base_fd, op->path, 0, &status);
    if (!result)
        result = check_type(&status);
    if (result)
        return result;
    int fd = halo_op_open_at(op, op->path, O_RDONLY, 0, at_once);
    if (fd < 0)
        return fd;
    result = halo_op_fstat(op, fd, &status);
    if (!result)
        result = check_type(&status);
    if (!result && is_too_big(op, fd, &status))
        result = -EFBIG;
    if (!result && at_once && status.st_size > HALO_TRY_BYTES_MAX)
        result = -EAGAIN;
    if (!result)
        result = read_contents(op, fd, &status);
    close(fd);
    return result;
}

static int64_t readfile_block(struct halo_op *op)
{
    return read_file(op, false);
}

static int64_t readfile_attempt(struct halo_op *op)
{
    return read_file(op, true);
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_readfile_row = {
    .code = HALO_OP_READFILE,
    .name = "readfile",
    .opcode = HALO_NO_OPCODE,
    .quick = true,
    .lengthy = true,
    .opens = true,
    .only_reads = true,
    .attempt = readfile_attempt,
    .block = readfile_block,
};
