/* Opening and closing. */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <liburing.h>

#include "loop.h"
#include "ops/op_functions.h"

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

void halo_open_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_openat(sqe, op->base_fd, op->path, open_flags(op), op->mode);
    if (op->punt)
        sqe->flags |= IOSQE_ASYNC;
}

int64_t halo_open_block(struct halo_op *op)
{
    return halo_result_of(openat(op->base_fd, op->path, open_flags(op), op->mode));
}

int halo_open_begin(struct halo_loop *loop, struct halo_op *op)
{
    int error = halo_files_reserve(&loop->files, loop->config.max_files, &op->slot);
    if (error)
        return error;
    op->slot->flags = op->flags;
    /* io_uring looks at the path before it looks at the flags. */
    op->pool_only = halo_path_is_refused(op->path);
    /* The ring tries an open at once, and a file system like FUSE then waits for its daemon. */
    op->punt = loop->files.seen_remote;
    return 0;
}

/* A FIFO opened for writing answers ENXIO as long as nobody reads from it. */
static bool lacks_reader(const struct halo_op *op)
{
    struct stat status;
    return (op->flags & O_ACCMODE) == O_WRONLY && !(op->flags & O_NONBLOCK) &&
           fstatat(op->base_fd, op->path, &status, 0) == 0 && S_ISFIFO(status.st_mode);
}

enum halo_step halo_open_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
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
int64_t halo_close_block(struct halo_op *op)
{
    if (op->slot->borrowed || close(op->fd) == 0 || errno == EINTR)
        return 0;
    return -errno;
}

enum halo_step halo_close_finish(struct halo_loop *loop, struct halo_op *op, int64_t result)
{
    struct halo_file *file = op->slot;
    op->slot = NULL;
    halo_files_vacate(&loop->files, file);
    op->result = result;
    return HALO_STEP_DONE;
}
