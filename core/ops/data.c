/* A file's data: read, write, make room, make sure. */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include <liburing.h>

#include "loop.h"
#include "ops/op_functions.h"

#define READ_FIRST  (1u << 20) /* bytes of memory a long read starts with, where it owns it */
#define RETRIES_MAX 8

/* ---- read and write ------------------------------------------------------------------------ */

static unsigned chunk_length(const struct halo_op *op)
{
    size_t end = op->length;
    if (op->own_data && end > op->stored)
        end = op->stored;
    size_t length = end - op->done;
    return length < HALO_CHUNK_MAX ? (unsigned)length : HALO_CHUNK_MAX;
}

/* A stream has no offset; the kernel ignores the 0 that it gets. */
static uint64_t chunk_offset(const struct halo_op *op)
{
    return op->slot->stream ? 0 : op->offset + op->done;
}

/* What io_uring makes of no bytes is not always what the system call does. */
static int transfer_begin(struct halo_op *op)
{
    op->pool_only = op->length == 0;
    if (op->offset != HALO_POSITION && op->slot->stream)
        return -ESPIPE;
    return 0;
}

void halo_read_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_read(sqe, op->fd, op->data + op->done, chunk_length(op), chunk_offset(op));
}

/*
 * What is not ours may lack O_NONBLOCK, and ready says only that one page fits: a plain write of
 * more would hold up a worker until somebody reads. FIFOs and terminals do not know RWF_NOWAIT.
 */
static int64_t stream_block(const struct halo_op *op, bool write_it)
{
    struct iovec part = {op->data + op->done, chunk_length(op)};
    ssize_t moved = write_it ? pwritev2(op->fd, &part, 1, -1, RWF_NOWAIT)
                             : preadv2(op->fd, &part, 1, -1, RWF_NOWAIT);
    if (moved >= 0 || errno != EOPNOTSUPP)
        return halo_result_of(moved);
    if (write_it)
        return halo_result_of(
            write(op->fd, part.iov_base, part.iov_len < PIPE_BUF ? part.iov_len : PIPE_BUF));
    return halo_result_of(read(op->fd, part.iov_base, part.iov_len));
}

int64_t halo_read_block(struct halo_op *op)
{
    uint8_t *to = op->data + op->done;
    if (op->slot->stream)
        return stream_block(op, false);
    return halo_result_of(pread(op->fd, to, chunk_length(op), (off_t)chunk_offset(op)));
}

/* A file system that cannot say whether it would wait (tmpfs) is local here, and in memory. */
ssize_t halo_read_cached(int fd, void *data, size_t length, off_t offset)
{
    struct iovec part = {data, length};
    ssize_t got = preadv2(fd, &part, 1, offset, RWF_NOWAIT);
    return got < 0 && errno == EOPNOTSUPP ? pread(fd, data, length, offset) : got;
}

int64_t halo_read_attempt(struct halo_op *op)
{
    return halo_result_of(
        halo_read_cached(op->fd, op->data + op->done, chunk_length(op), (off_t)chunk_offset(op)));
}

int halo_read_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    if (!op->data) {
        size_t size = op->length < READ_FIRST ? op->length : READ_FIRST;
        op->data = (uint8_t *)halo_op_storage(op, size + 1);
        op->own_data = true;
        if (!op->data)
            return -ENOMEM;
    }
    return transfer_begin(op);
}

/* Doubles the memory of a long read that has filled what it had. */
static bool read_grow(struct halo_op *op)
{
    size_t size = op->stored > op->length / 2 ? op->length : op->stored * 2;
    uint8_t *data = (uint8_t *)halo_op_storage(op, size);
    if (data)
        op->data = data;
    return data != NULL;
}

/* Only an empty read says that a file has ended: a short one may have been cut by a signal. */
enum halo_step halo_read_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    if (result > 0) {
        op->done += (size_t)result;
        if (op->done < op->length && !op->slot->stream && !op->cancelled) {
            if (!op->own_data || op->done < op->stored || read_grow(op))
                return HALO_STEP_AGAIN;
            result = -ENOMEM;
            op->done = 0; /* the position stays */
        }
    }
    op->result = op->done > 0 && result != -ENOMEM ? (int64_t)op->done : result;
    return HALO_STEP_DONE;
}

void halo_write_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_write(sqe, op->fd, op->data + op->done, chunk_length(op), chunk_offset(op));
}

int64_t halo_write_block(struct halo_op *op)
{
    const uint8_t *from = op->data + op->done;
    if (op->slot->stream)
        return stream_block(op, true);
    return halo_result_of(pwrite(op->fd, from, chunk_length(op), (off_t)chunk_offset(op)));
}

/* With O_APPEND the kernel ignores an offset, so that a caller's would be silently wrong. */
int halo_write_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    if (op->offset != HALO_POSITION && (op->slot->flags & O_APPEND))
        return -EINVAL;
    return transfer_begin(op);
}

enum halo_step halo_write_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    if (result > 0) {
        op->done += (size_t)result;
        op->slot->written += (uint64_t)result;
    }
    if (result == 0 && op->length > 0 && ++op->retries > RETRIES_MAX)
        result = -EIO;
    if (result >= 0 && op->done < op->length)
        return HALO_STEP_AGAIN;
    op->result = result < 0 ? result : (int64_t)op->done;
    return HALO_STEP_DONE;
}

/* ---- fsync --------------------------------------------------------------------------------- */

void halo_fsync_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fsync(sqe, op->fd, 0);
}

void halo_fdatasync_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
}

int64_t halo_fsync_block(struct halo_op *op)
{
    return halo_result_of(fsync(op->fd));
}

int64_t halo_fdatasync_block(struct halo_op *op)
{
    return halo_result_of(fdatasync(op->fd));
}

/*
 * After a failed fsync the kernel marks the pages clean and the next fsync succeeds, though the
 * data is lost. So the first failure is the answer to every later fsync of this file.
 */
int halo_fsync_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    return op->slot->sync_error;
}

enum halo_step halo_fsync_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    if (result < 0 && result != -ECANCELED)
        op->slot->sync_error = (int)result;
    op->result = result;
    return HALO_STEP_DONE;
}

/* ---- size and layout ----------------------------------------------------------------------- */

void halo_ftruncate_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_rw(OPCODE_FTRUNCATE, sqe, op->fd, NULL, 0, op->offset);
}

int64_t halo_ftruncate_block(struct halo_op *op)
{
    return halo_result_of(ftruncate(op->fd, (off_t)op->offset));
}

int64_t halo_truncate_block(struct halo_op *op)
{
    return halo_result_of(truncate(op->path, (off_t)op->offset));
}

void halo_fallocate_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fallocate(sqe, op->fd, (int)op->flags, (off_t)op->offset, (off_t)op->length);
}

int64_t halo_fallocate_block(struct halo_op *op)
{
    return halo_result_of(fallocate(op->fd, (int)op->flags, (off_t)op->offset, (off_t)op->length));
}

/* The opcode takes 32 bits of length; what is longer goes by the system call. */
int halo_fadvise_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    op->pool_only = op->length > UINT32_MAX;
    return 0;
}

void halo_fadvise_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fadvise(sqe, op->fd, op->offset, (off_t)op->length, (int)op->flags);
}

/* posix_fadvise() returns its error. */
int64_t halo_fadvise_block(struct halo_op *op)
{
    return -posix_fadvise(op->fd, (off_t)op->offset, (off_t)op->length, (int)op->flags);
}

void halo_sync_range_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_sync_file_range(sqe, op->fd, (unsigned)op->length, op->offset, (int)op->flags);
}

int64_t halo_sync_range_block(struct halo_op *op)
{
    return halo_result_of(sync_file_range(op->fd, (off_t)op->offset, (off_t)op->length, op->flags));
}

/* The descriptor's own offset moves, which nobody here reads or writes by. */
int64_t halo_seek_block(struct halo_op *op)
{
    return halo_result_of(lseek(op->fd, (off_t)op->offset, (int)op->flags));
}

/* ---- locks --------------------------------------------------------------------------------- */

/* Never waits: a worker that did could wait for ever. */
int64_t halo_lock_block(struct halo_op *op)
{
    return halo_result_of(flock(op->fd, (int)op->flags | LOCK_NB));
}

enum halo_step halo_lock_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    if (result == -EWOULDBLOCK && !op->cancelled && !(op->flags & LOCK_NB))
        return HALO_STEP_LATER;
    op->result = result;
    return HALO_STEP_DONE;
}
