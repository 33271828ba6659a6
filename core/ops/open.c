/* Opening and closing. */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <liburing.h>
#include <linux/openat2.h>

#include "fd.h"
#include "loop.h"
#include "ops/shared.h"

/* ---- open ---------------------------------------------------------------------------------- */

static void open_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_openat(sqe, op->base_fd, op->path, halo_open_flags((int)op->flags), op->mode);
    /* The ring tries an open at once, and a file system like FUSE then waits for its daemon. */
    if (op->place != 0)
        sqe->flags |= IOSQE_ASYNC;
}

/* A FIFO opened for writing answers ENXIO as long as nobody reads from it. */
static bool may_lack_reader(const struct halo_op *op)
{
    return (op->flags & O_ACCMODE) == O_WRONLY && !(op->flags & O_NONBLOCK);
}

static int64_t open_block(struct halo_op *op)
{
    struct stat status;
    int fd = halo_open_at(op, op->base_fd, op->path, (int)op->flags, op->mode, false);

    if (fd == -ENXIO && may_lack_reader(op))
        op->no_reader =
            halo_op_stat_at(op, op->base_fd, op->path, 0, &status) == 0 && S_ISFIFO(status.st_mode);
    return fd;
}

static int open_begin(struct halo_loop *loop, struct halo_op *op)
{
    int error = halo_files_reserve(&loop->files, loop->config.max_files, &op->slot);
    if (error)
        return error;
    op->slot->flags = op->flags;
    op->slot->resolve = op->resolve & ~(uint32_t)RESOLVE_NO_SYMLINKS;
    op->slot->rights = op->rights;
    /* io_uring looks at the path before it looks at the flags. */
    op->pool_only = halo_path_is_refused(op->path);
    return 0;
}

/* The ring's answer says too little about a file under a lease or a FIFO: the plain call knows. */
static bool asks_plain_call(const struct halo_op *op, int64_t result)
{
    bool leased = result == -EAGAIN && !(op->flags & O_NONBLOCK);
    return !op->pool_only && (leased || (result == -ENXIO && may_lack_reader(op)));
}

static void fill_slot(struct halo_files *files, struct halo_file *file, int fd)
{
    file->fd = fd;
    file->state = HALO_FILE_OPEN;
    halo_file_inspect(files, file);
}

static enum halo_step open_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    struct halo_file *file = op->slot;
    bool lacks_reader = op->no_reader;

    op->no_reader = false;
    bool asks = asks_plain_call(op, result);
    if (op->cancelled && (lacks_reader || asks)) {
        result = -ECANCELED; /* the answer was to halo's own question */
    } else if (lacks_reader) {
        return HALO_STEP_LATER;
    } else if (asks) {
        op->pool_only = true;
        return HALO_STEP_AGAIN;
    }
    if (result >= 0 && (result = halo_fd_move_up((int)result)) < 0)
        result = -errno;
    op->slot = NULL;
    if (result < 0) {
        halo_files_vacate(&loop->files, file);
        op->result = result;
        return HALO_STEP_DONE;
    }
    fill_slot(&loop->files, file, (int)result);
    op->file = halo_file_handle(file);
    op->result = 0;
    return HALO_STEP_DONE;
}

/* A file that nobody takes is closed, and its name removed where this operation has made it. */
static bool open_undo(struct halo_loop *loop, struct halo_op *op)
{
    if (!(op->flags & O_CREAT) || !(op->flags & O_EXCL)) {
        halo_file_drop(loop, op->file);
        return false;
    }
    op->row = &halo_close_row;
    return true;
}

/* ---- close --------------------------------------------------------------------------------- */

/* Linux frees the descriptor whatever close(2) answers, so that EINTR is no failure. */
static int64_t close_block(struct halo_op *op)
{
    struct stat made;
    if (op->path && halo_op_fstat(op, op->fd, &made) == 0)
        halo_op_remove_made(op, op->base_fd, op->path, &made);
    if (op->slot->borrowed || close(op->fd) == 0 || errno == EINTR)
        return 0;
    return -errno;
}

static enum halo_step close_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    struct halo_file *file = op->slot;
    op->slot = NULL;
    op->result = result < 0 ? result : file->behind_error;
    halo_files_vacate(&loop->files, file);
    return HALO_STEP_DONE;
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_open_row = {
    .code = HALO_OP_OPEN,
    .name = "open",
    .opcode = IORING_OP_OPENAT,
    .opens = true,
    .quick = true,
    .begin = open_begin,
    .prepare = open_prepare,
    .block = open_block,
    .finish = open_finish,
    .undo = open_undo,
};

const struct halo_op_row halo_close_row = {
    .code = HALO_OP_CLOSE,
    .name = "close",
    .opcode = HALO_NO_OPCODE,
    .opens = true,
    .block = close_block,
    .finish = close_finish,
};
