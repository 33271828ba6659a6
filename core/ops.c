/*
 * The table of operations stands at the end. Above it, each operation has up to four functions in
 * this order: prepare (the SQE), block (the plain system call), begin and finish.
 */
#include "ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <liburing.h>

#include "check.h"
#include "loop.h"

#define READ_FIRST   (1u << 20) /* bytes of memory a long read starts with, where it owns it */
#define RETRIES_MAX  8
#define STATX_WANTED (STATX_BASIC_STATS | STATX_BTIME)

static int64_t result_of(int64_t returned)
{
    return returned < 0 ? -errno : returned;
}

/* ---- open ---------------------------------------------------------------------------------- */

/*
 * O_NONBLOCK keeps an open of a FIFO from waiting in a kernel worker for its other end. A file
 * under a lease answers EAGAIN to it; the second try then goes without.
 */
static int open_flags(const struct halo_op *op)
{
    int flags = (int)op->flags | O_CLOEXEC;
    if (op->retries == 0 && !(flags & O_PATH))
        flags |= O_NONBLOCK;
    return flags;
}

static void open_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_openat(sqe, AT_FDCWD, op->path, open_flags(op), op->mode);
}

static int64_t open_block(struct halo_op *op)
{
    return result_of(openat(AT_FDCWD, op->path, open_flags(op), op->mode));
}

static int open_begin(struct halo_loop *loop, struct halo_op *op)
{
    int error = halo_files_reserve(&loop->files, loop->config.max_files, &op->slot);
    if (!error)
        op->slot->flags = op->flags;
    return error;
}

/* A FIFO opened for writing answers ENXIO as long as nobody reads from it. */
static bool lacks_reader(const struct halo_op *op)
{
    struct stat status;
    return (op->flags & O_ACCMODE) == O_WRONLY && !(op->flags & O_NONBLOCK) &&
           stat(op->path, &status) == 0 && S_ISFIFO(status.st_mode);
}

static enum halo_step open_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    struct halo_file *file = op->slot;

    if (!op->cancelled && result == -ENXIO && lacks_reader(op))
        return HALO_STEP_LATER;
    if (!op->cancelled && result == -EAGAIN && op->retries++ == 0) {
        op->pool_only = true;
        return HALO_STEP_AGAIN;
    }
    op->slot = NULL;
    if (result < 0) {
        halo_files_vacate(&loop->files, file);
        op->result = result;
        return HALO_STEP_DONE;
    }
    file->fd = (int)result;
    file->state = HALO_FILE_OPEN;
    halo_file_inspect(&loop->files, file);
    op->file = halo_file_handle(file);
    op->result = 0;
    return HALO_STEP_DONE;
}

/* ---- close --------------------------------------------------------------------------------- */

/* Linux frees the descriptor whatever close(2) answers, so that EINTR is no failure. */
static int64_t close_block(struct halo_op *op)
{
    if (op->slot->borrowed || close(op->fd) == 0 || errno == EINTR)
        return 0;
    return -errno;
}

static enum halo_step close_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    struct halo_file *file = op->slot;
    op->slot = NULL;
    halo_files_vacate(&loop->files, file);
    op->result = result;
    return HALO_STEP_DONE;
}

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

static int transfer_begin(struct halo_op *op)
{
    if (op->offset != HALO_POSITION && op->slot->stream)
        return -ESPIPE;
    return 0;
}

static void read_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_read(sqe, op->fd, op->data + op->done, chunk_length(op), chunk_offset(op));
}

static int64_t read_block(struct halo_op *op)
{
    uint8_t *to = op->data + op->done;
    if (op->slot->stream)
        return result_of(read(op->fd, to, chunk_length(op)));
    return result_of(pread(op->fd, to, chunk_length(op), (off_t)chunk_offset(op)));
}

static int read_begin(struct halo_loop *loop, struct halo_op *op)
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
static enum halo_step read_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    if (result > 0) {
        op->done += (size_t)result;
        if (op->done < op->length && !op->slot->stream && !op->cancelled) {
            if (!op->own_data || op->done < op->stored || read_grow(op))
                return HALO_STEP_AGAIN;
            result = -ENOMEM;
        }
    }
    op->result = op->done > 0 && result != -ENOMEM ? (int64_t)op->done : result;
    return HALO_STEP_DONE;
}

static void write_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_write(sqe, op->fd, op->data + op->done, chunk_length(op), chunk_offset(op));
}

static int64_t write_block(struct halo_op *op)
{
    const uint8_t *from = op->data + op->done;
    if (op->slot->stream)
        return result_of(write(op->fd, from, chunk_length(op)));
    return result_of(pwrite(op->fd, from, chunk_length(op), (off_t)chunk_offset(op)));
}

/* With O_APPEND the kernel ignores an offset, so that a caller's would be silently wrong. */
static int write_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    if (op->offset != HALO_POSITION && (op->slot->flags & O_APPEND))
        return -EINVAL;
    return transfer_begin(op);
}

static enum halo_step write_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    (void)loop;
    if (result > 0)
        op->done += (size_t)result;
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
    return result_of(fsync(op->fd));
}

static int64_t fdatasync_block(struct halo_op *op)
{
    return result_of(fdatasync(op->fd));
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
    if (result < 0 && result != -ECANCELED)
        op->slot->sync_error = (int)result;
    op->result = result;
    return HALO_STEP_DONE;
}

/* ---- stat ---------------------------------------------------------------------------------- */

static void stat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, AT_FDCWD, op->path, 0, STATX_WANTED, op->statx);
}

static int64_t stat_block(struct halo_op *op)
{
    return result_of(statx(AT_FDCWD, op->path, 0, STATX_WANTED, op->statx));
}

static void lstat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, AT_FDCWD, op->path, AT_SYMLINK_NOFOLLOW, STATX_WANTED, op->statx);
}

static int64_t lstat_block(struct halo_op *op)
{
    return result_of(statx(AT_FDCWD, op->path, AT_SYMLINK_NOFOLLOW, STATX_WANTED, op->statx));
}

static void fstat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_statx(sqe, op->fd, "", AT_EMPTY_PATH, STATX_WANTED, op->statx);
}

static int64_t fstat_block(struct halo_op *op)
{
    return result_of(statx(op->fd, "", AT_EMPTY_PATH, STATX_WANTED, op->statx));
}

/* ---- names --------------------------------------------------------------------------------- */

static void rename_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_renameat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->path2, op->flags);
}

static int64_t rename_block(struct halo_op *op)
{
    if (op->flags == 0)
        return result_of(rename(op->path, op->path2));
    return result_of(renameat2(AT_FDCWD, op->path, AT_FDCWD, op->path2, op->flags));
}

static void remove_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_unlinkat(sqe, AT_FDCWD, op->path, 0);
}

static int64_t remove_block(struct halo_op *op)
{
    return result_of(unlink(op->path));
}

static void mkdir_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_mkdirat(sqe, AT_FDCWD, op->path, op->mode);
}

static int64_t mkdir_block(struct halo_op *op)
{
    return result_of(mkdir(op->path, op->mode));
}

static void rmdir_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_unlinkat(sqe, AT_FDCWD, op->path, AT_REMOVEDIR);
}

static int64_t rmdir_block(struct halo_op *op)
{
    return result_of(rmdir(op->path));
}

/* ---- readdir ------------------------------------------------------------------------------- */

/* Not every file system keeps the type in the directory. */
static unsigned char entry_type(DIR *directory, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN ||
        fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return entry->d_type;
    return IFTODT(status.st_mode);
}

static int64_t list_entries(struct halo_op *op, DIR *directory)
{
    size_t used = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return errno ? -errno : (int64_t)used;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        size_t size = strlen(name) + 1;
        if (used + 1 + size > op->stored && !halo_op_storage(op, 2 * op->stored + 1 + size))
            return -ENOMEM;
        op->storage[used++] = (char)entry_type(directory, entry);
        memcpy(op->storage + used, name, size);
        used += size;
    }
}

/* The kernel has no opcode for getdents. The listing takes the place of the path in storage. */
static int64_t readdir_block(struct halo_op *op)
{
    int fd = open(op->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *directory = fdopendir(fd);
    if (!directory) {
        int error = errno;
        close(fd);
        return -error;
    }
    op->path = NULL;
    int64_t result = list_entries(op, directory);
    op->data = (uint8_t *)op->storage;
    closedir(directory);
    return result;
}

/* ---- poll ---------------------------------------------------------------------------------- */

static void poll_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_poll_add(sqe, op->fd, (unsigned)halo_op_poll_events(op));
}

static int64_t poll_block(struct halo_op *op)
{
    struct pollfd polled = {.fd = op->fd, .events = halo_op_poll_events(op)};
    return poll(&polled, 1, -1) < 0 ? -errno : polled.revents;
}

/* ---- the table ----------------------------------------------------------------------------- */

const struct halo_op_row halo_op_table[HALO_OP_COUNT] = {
    [HALO_OP_OPEN] = {.name = "open",
                      .opcode = IORING_OP_OPENAT,
                      .prepare = open_prepare,
                      .block = open_block,
                      .begin = open_begin,
                      .finish = open_finish},
    [HALO_OP_CLOSE] = {.name = "close",
                       .opcode = HALO_NO_OPCODE,
                       .block = close_block,
                       .finish = close_finish},
    [HALO_OP_READ] = {.name = "read",
                      .opcode = IORING_OP_READ,
                      .on_file = true,
                      .poll_events = POLLIN,
                      .prepare = read_prepare,
                      .block = read_block,
                      .begin = read_begin,
                      .finish = read_finish},
    [HALO_OP_WRITE] = {.name = "write",
                       .opcode = IORING_OP_WRITE,
                       .on_file = true,
                       .poll_events = POLLOUT,
                       .prepare = write_prepare,
                       .block = write_block,
                       .begin = write_begin,
                       .finish = write_finish},
    [HALO_OP_FSYNC] = {.name = "fsync",
                       .opcode = IORING_OP_FSYNC,
                       .on_file = true,
                       .prepare = fsync_prepare,
                       .block = fsync_block,
                       .begin = fsync_begin,
                       .finish = fsync_finish},
    [HALO_OP_FDATASYNC] = {.name = "fdatasync",
                           .opcode = IORING_OP_FSYNC,
                           .on_file = true,
                           .prepare = fdatasync_prepare,
                           .block = fdatasync_block,
                           .begin = fsync_begin,
                           .finish = fsync_finish},
    [HALO_OP_STAT] = {.name = "stat",
                      .opcode = IORING_OP_STATX,
                      .prepare = stat_prepare,
                      .block = stat_block},
    [HALO_OP_LSTAT] = {.name = "lstat",
                       .opcode = IORING_OP_STATX,
                       .prepare = lstat_prepare,
                       .block = lstat_block},
    [HALO_OP_FSTAT] = {.name = "fstat",
                       .opcode = IORING_OP_STATX,
                       .on_file = true,
                       .prepare = fstat_prepare,
                       .block = fstat_block},
    [HALO_OP_RENAME] = {.name = "rename",
                        .opcode = IORING_OP_RENAMEAT,
                        .prepare = rename_prepare,
                        .block = rename_block},
    [HALO_OP_REMOVE] = {.name = "remove",
                        .opcode = IORING_OP_UNLINKAT,
                        .prepare = remove_prepare,
                        .block = remove_block},
    [HALO_OP_MKDIR] = {.name = "mkdir",
                       .opcode = IORING_OP_MKDIRAT,
                       .prepare = mkdir_prepare,
                       .block = mkdir_block},
    [HALO_OP_RMDIR] = {.name = "rmdir",
                       .opcode = IORING_OP_UNLINKAT,
                       .prepare = rmdir_prepare,
                       .block = rmdir_block},
    [HALO_OP_READDIR] = {.name = "readdir", .opcode = HALO_NO_OPCODE, .block = readdir_block},
    [HALO_OP_POLL] = {.name = "poll",
                      .opcode = IORING_OP_POLL_ADD,
                      .prepare = poll_prepare,
                      .block = poll_block},
};
