/* A file's data: read, write, make room, make sure. */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include <liburing.h>

#include "loop.h"
#include "ops/shared.h"

#define READ_FIRST        (1u << 20) /* bytes of memory a long read starts with, where it owns it */
#define READ_STREAM_FIRST (1u << 16) /* the same of a stream that is read to its end */
#define STREAM_BYTES_MAX  (1u << 20) /* at once of a stream; no pipe has more */
#define RETRIES_MAX       8
#define APPEND_BYTES_MAX  (1u << 30)

/* ---- read and write ------------------------------------------------------------------------ */

static unsigned chunk_length(const struct halo_op *op)
{
    size_t end = op->length;
    /* One call appends its bytes in one piece, even if others append too. */
    bool appends = op->slot->flags & O_APPEND && halo_op_is(op, HALO_OP_WRITE);
    size_t most = appends ? APPEND_BYTES_MAX : HALO_CHUNK_MAX;

    if (op->own_data && !op->headed && end > op->stored)
        end = op->stored;
    size_t length = end - op->done;
    return (unsigned)(length < most ? length : most);
}

/* A stream has no offset; the kernel ignores the 0 that it gets. */
static uint64_t chunk_offset(const struct halo_op *op)
{
    return op->slot->stream ? 0 : op->offset + op->done;
}

/* With no bytes, io_uring does not always do what the system call does. */
static int transfer_begin(struct halo_op *op)
{
    op->pool_only = op->length == 0;
    if (op->offset != HALO_POSITION && op->slot->stream)
        return -ESPIPE;
    return 0;
}

/* The ring tries a transfer at once, and a file system like FUSE then waits for its daemon. */
static void keep_off_loop(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    if (op->slot->place != 0 && !op->slot->stream)
        sqe->flags |= IOSQE_ASYNC;
}

static void read_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_read(sqe, op->fd, op->data + op->done, chunk_length(op), chunk_offset(op));
    keep_off_loop(sqe, op);
}

/*
 * A descriptor that is not ours may lack O_NONBLOCK, and a poll says only that one page fits: a
 * plain write of more would hold up a worker until somebody reads. FIFOs and terminals do not know
 * RWF_NOWAIT.
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

static int64_t read_block(struct halo_op *op)
{
    uint8_t *to = op->data + op->done;
    if (op->slot->stream)
        return stream_block(op, false);
    return halo_result_of(pread(op->fd, to, chunk_length(op), (off_t)chunk_offset(op)));
}

/* Where a file system cannot say whether it would wait, the caller has to time the read. */
int64_t halo_read_cached(struct halo_file *file, void *data, size_t length, off_t offset)
{
    struct iovec part = {data, length};

    if (!file->blind) {
        ssize_t got = preadv2(file->fd, &part, 1, offset, RWF_NOWAIT);
        if (got >= 0 || errno != EOPNOTSUPP)
            return halo_result_of(got);
        file->blind = true;
    }
    return halo_result_of(pread(file->fd, data, length, offset));
}

static int64_t read_attempt(struct halo_op *op)
{
    return halo_read_cached(op->slot, op->data + op->done, chunk_length(op),
                            (off_t)chunk_offset(op));
}

/*
 * A stream is read into memory of the operation's own, behind the head that the bytes need if
 * nobody takes them and they go to the front of the file.
 */
static bool own_stream_data(struct halo_op *op)
{
    if (op->flags & HALO_READ_ALL)
        op->length = READ_STREAM_FIRST;
    else if (op->length > STREAM_BYTES_MAX)
        op->length = STREAM_BYTES_MAX;
    op->into = op->data;
    op->own_data = op->headed = true;
    char *storage = halo_op_storage(op, sizeof(struct halo_kept) + op->length + 1);
    if (!storage)
        return false;
    *(struct halo_kept *)storage = (struct halo_kept){.seq = op->seq};
    op->data = (uint8_t *)storage + sizeof(struct halo_kept);
    return true;
}

static bool own_data(struct halo_op *op)
{
    size_t size = op->length < READ_FIRST ? op->length : READ_FIRST;
    op->data = (uint8_t *)halo_op_storage(op, size + 1);
    op->own_data = true;
    return op->data != NULL;
}

static int read_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    if (op->slot->stream ? !own_stream_data(op) : !op->data && !own_data(op))
        return -ENOMEM;
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

/* Goes on with a read that has not got all that it wants. Returns 0, or why it cannot. */
static int read_on(struct halo_op *op)
{
    if (op->most && op->done > op->most)
        return -EFBIG;
    if (op->flags & HALO_READ_ALL && op->done == op->length) {
        int error = halo_file_extend(op, 0);
        if (error)
            return error;
    }
    return !op->own_data || op->headed || op->done < op->stored || read_grow(op) ? 0 : -ENOMEM;
}

/* Only an empty read says that a file has ended: a short one may have been cut by a signal. */
static enum halo_step read_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    bool all = op->flags & HALO_READ_ALL;

    (void)loop;
    if (result > 0) {
        op->done += (size_t)result;
        if (all || (op->done < op->length && !op->slot->stream)) {
            if (op->cancelled)
                result = -ECANCELED;
            else if ((result = read_on(op)) == 0)
                return HALO_STEP_AGAIN;
        }
    }
    /* A read to the end is all or nothing. */
    if (all && result < 0 && !op->abandoned)
        op->result = halo_file_put_back(op, result);
    else
        op->result = op->done > 0 ? (int64_t)op->done : result;
    if (op->into) {
        memcpy(op->into, op->data, op->done);
        op->data = op->into;
    }
    if (op->flags & HALO_READ_PEEK && !op->headed)
        op->done = 0; /* the position stays */
    return HALO_STEP_DONE;
}

static void write_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_write(sqe, op->fd, op->data + op->done, chunk_length(op), chunk_offset(op));
    keep_off_loop(sqe, op);
}

static int64_t write_block(struct halo_op *op)
{
    const uint8_t *from = op->data + op->done;
    if (op->slot->stream)
        return stream_block(op, true);
    return halo_result_of(pwrite(op->fd, from, chunk_length(op), (off_t)chunk_offset(op)));
}

/* With O_APPEND the kernel ignores an offset, so that a caller's would be silently wrong. */
static int write_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    if (op->offset != HALO_POSITION && (op->slot->flags & O_APPEND))
        return -EINVAL;
    if (op->slot->flags & O_PATH) /* one without bytes would not ask the kernel */
        return -EBADF;
    return transfer_begin(op);
}

/* Not every answer says something of the data. */
static bool tells_of_loss(int64_t result)
{
    return result < 0 && result != -ECANCELED && result != -EINTR && result != -EINVAL &&
           result != -ESPIPE && result != -EBADF;
}

/* The kernel reports lost data once, to the first caller that asks. */
static void remember_failure(struct halo_op *op, int64_t result)
{
    if (tells_of_loss(result) && !op->slot->sync_error)
        op->slot->sync_error = (int)result;
}

static enum halo_step write_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    if (result == -EIO && (op->slot->flags & O_DSYNC))
        remember_failure(op, result);
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

static void fsync_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fsync(sqe, op->fd, 0);
}

static void fdatasync_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
}

static int64_t fsync_block(struct halo_op *op)
{
    return halo_result_of(fsync(op->fd));
}

static int64_t fdatasync_block(struct halo_op *op)
{
    return halo_result_of(fdatasync(op->fd));
}

/*
 * After a failed fsync the kernel marks the pages clean and the next fsync succeeds, though the
 * data is lost. So the first failure is the answer to every later fsync of this file.
 */
static int fsync_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    return op->slot->sync_error;
}

static enum halo_step fsync_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    remember_failure(op, result);
    /* Of several at once, another may have been told first: that is what all are told. */
    op->result = result == 0 || tells_of_loss(result) ? op->slot->sync_error : result;
    if (op->slot->behind_error)
        op->result = op->slot->behind_error;
    return HALO_STEP_DONE;
}

/* ---- size and layout ----------------------------------------------------------------------- */

static void ftruncate_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_rw(OPCODE_FTRUNCATE, sqe, op->fd, NULL, 0, op->offset);
}

static int64_t ftruncate_block(struct halo_op *op)
{
    return halo_result_of(ftruncate(op->fd, (off_t)op->offset));
}

static int64_t truncate_block(struct halo_op *op)
{
    return halo_result_of(truncate(op->path, (off_t)op->offset));
}

static void fallocate_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fallocate(sqe, op->fd, (int)op->flags, (off_t)op->offset, (off_t)op->length);
}

static int64_t fallocate_block(struct halo_op *op)
{
    return halo_result_of(fallocate(op->fd, (int)op->flags, (off_t)op->offset, (off_t)op->length));
}

/* The opcode takes 32 bits of length; what is longer goes by the system call. */
static int fadvise_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    op->pool_only = op->length > UINT32_MAX;
    return 0;
}

static void fadvise_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_fadvise(sqe, op->fd, op->offset, (off_t)op->length, (int)op->flags);
}

/* posix_fadvise() returns its error. */
static int64_t fadvise_block(struct halo_op *op)
{
    return -posix_fadvise(op->fd, (off_t)op->offset, (off_t)op->length, (int)op->flags);
}

static void sync_range_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_sync_file_range(sqe, op->fd, (unsigned)op->length, op->offset, (int)op->flags);
}

static int64_t sync_range_block(struct halo_op *op)
{
    return halo_result_of(sync_file_range(op->fd, (off_t)op->offset, (off_t)op->length, op->flags));
}

static int sync_range_begin(struct halo_loop *loop, struct halo_op *op)
{
    fadvise_begin(loop, op);
    return op->slot->sync_error;
}

/* Moves nothing: an offset that is shared with others is put back. */
static int64_t seek_block(struct halo_op *op)
{
    off_t before = op->slot->shares_offset ? lseek(op->fd, 0, SEEK_CUR) : -1;
    int64_t found = halo_result_of(lseek(op->fd, (off_t)op->offset, (int)op->flags));

    if (before >= 0)
        lseek(op->fd, before, SEEK_SET);
    return found;
}

/* ---- locks --------------------------------------------------------------------------------- */

/* Never waits: a worker that did could wait for ever. */
static int64_t lock_block(struct halo_op *op)
{
    return halo_result_of(flock(op->fd, (int)op->flags | LOCK_NB));
}

static int lock_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    op->slot->locker = op->seq;
    return 0;
}

/* What the handle held before, if anything. */
static uint32_t lock_before(uint32_t held)
{
    return held ? held : LOCK_UN;
}

/*
 * An exclusive lock cannot be had back without waiting for others: there the new one stays, as a
 * change of lock that has happened.
 */
static bool gives_back(const struct halo_op *op, uint32_t held)
{
    return !(op->flags & LOCK_UN) && held != LOCK_EX;
}

/*
 * A lock that was granted although nobody waits for it is given back in another round: what comes
 * after it on this file is held until then, or that lock would be given up with it.
 */
static enum halo_step give_back(struct halo_op *op, uint32_t held)
{
    op->flags = lock_before(held);
    op->undoing = true;
    op->cancelled = false; /* it must not end early */
    return HALO_STEP_AGAIN;
}

static enum halo_step lock_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    if (result == -EWOULDBLOCK && !op->cancelled && !(op->flags & LOCK_NB))
        return HALO_STEP_LATER;
    uint8_t held = op->slot->lock;
    if (result == 0)
        op->slot->lock = op->flags & (LOCK_SH | LOCK_EX);
    if (result == 0 && op->straying && !op->undoing && gives_back(op, held))
        return give_back(op, held);
    op->offset = held;
    op->result = op->undoing ? -ECANCELED : result;
    return HALO_STEP_DONE;
}

/*
 * Back to what the handle held before, which waits only for another machine. Where it has been
 * asked for another lock since, that decides.
 */
static bool lock_undo(struct halo_loop *loop, struct halo_op *op)
{
    const struct halo_file *file = halo_files_find_open(&loop->files, op->file);

    if (!file || !gives_back(op, (uint32_t)op->offset) || file->locker != op->seq)
        return false;
    op->flags = lock_before((uint32_t)op->offset);
    if (!file->local)
        return true;
    op->fd = file->fd;
    lock_finish(loop, op, lock_block(op));
    return false;
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_read_row = {
    .code = HALO_OP_READ,
    .name = "read",
    .opcode = IORING_OP_READ,
    .poll_events = POLLIN,
    .keep = true,
    .on_file = true,
    .turn = HALO_TURN_POSITION,
    .quick = true,
    .begin = read_begin,
    .prepare = read_prepare,
    .attempt = read_attempt,
    .block = read_block,
    .finish = read_finish,
};

const struct halo_op_row halo_write_row = {
    .code = HALO_OP_WRITE,
    .name = "write",
    .opcode = IORING_OP_WRITE,
    .poll_events = POLLOUT,
    .on_file = true,
    .turn = HALO_TURN_POSITION,
    .strays = true,
    .after_strays = true,
    .quick = true,
    .begin = write_begin,
    .prepare = write_prepare,
    .block = write_block,
    .finish = write_finish,
};

const struct halo_op_row halo_fsync_row = {
    .code = HALO_OP_FSYNC,
    .name = "fsync",
    .opcode = IORING_OP_FSYNC,
    .on_file = true,
    .turn = HALO_TURN_SYNC,
    .after_strays = true,
    .begin = fsync_begin,
    .prepare = fsync_prepare,
    .block = fsync_block,
    .finish = fsync_finish,
};

const struct halo_op_row halo_fdatasync_row = {
    .code = HALO_OP_FDATASYNC,
    .name = "fdatasync",
    .opcode = IORING_OP_FSYNC,
    .on_file = true,
    .turn = HALO_TURN_SYNC,
    .after_strays = true,
    .begin = fsync_begin,
    .prepare = fdatasync_prepare,
    .block = fdatasync_block,
    .finish = fsync_finish,
};

const struct halo_op_row halo_ftruncate_row = {
    .code = HALO_OP_FTRUNCATE,
    .name = "ftruncate",
    .opcode = OPCODE_FTRUNCATE,
    .on_file = true,
    .strays = true,
    .after_strays = true,
    .quick = true,
    .prepare = ftruncate_prepare,
    .block = ftruncate_block,
};

const struct halo_op_row halo_fallocate_row = {
    .code = HALO_OP_FALLOCATE,
    .name = "fallocate",
    .opcode = IORING_OP_FALLOCATE,
    .on_file = true,
    .strays = true,
    .after_strays = true,
    .prepare = fallocate_prepare,
    .block = fallocate_block,
};

const struct halo_op_row halo_fadvise_row = {
    .code = HALO_OP_FADVISE,
    .name = "fadvise",
    .opcode = IORING_OP_FADVISE,
    .on_file = true,
    .begin = fadvise_begin,
    .prepare = fadvise_prepare,
    .block = fadvise_block,
};

const struct halo_op_row halo_sync_range_row = {
    .code = HALO_OP_SYNC_RANGE,
    .name = "sync_range",
    .opcode = IORING_OP_SYNC_FILE_RANGE,
    .on_file = true,
    .turn = HALO_TURN_SYNC,
    .after_strays = true,
    .begin = sync_range_begin,
    .prepare = sync_range_prepare,
    .block = sync_range_block,
    .finish = fsync_finish,
};

const struct halo_op_row halo_seek_row = {
    .code = HALO_OP_SEEK,
    .name = "seek",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .turn = HALO_TURN_OFFSET,
    .quick = true,
    .block = seek_block,
};

const struct halo_op_row halo_lock_row = {
    .code = HALO_OP_LOCK,
    .name = "lock",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .strays = true,
    .after_strays = true,
    .begin = lock_begin,
    .block = lock_block,
    .finish = lock_finish,
    .undo = lock_undo,
};

const struct halo_op_row halo_truncate_row = {
    .code = HALO_OP_TRUNCATE,
    .name = "truncate",
    .opcode = HALO_NO_OPCODE,
    .no_base = true,
    .quick = true,
    .block = truncate_block,
};
