/*
 * Operations on files: how one comes to count on its file, waits for its turn at the file's own
 * position, and leaves; and the close, which comes after all of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "loop.h"
#include "ops/ops.h"

struct halo_file *halo_loop_find_open(struct halo_loop *loop, uint64_t handle)
{
    struct halo_file *file = halo_files_find(&loop->files, handle);
    return file && file->state == HALO_FILE_OPEN && !file->dropped ? file : NULL;
}

/* The reading and the writing side of a stream move on their own; a plain file has one position. */
static struct halo_op **turn_of(const struct halo_op *op, struct halo_list **waiting)
{
    bool second = op->slot->stream && halo_op_is(op, HALO_OP_WRITE);
    enum halo_file_turn turn = second ? HALO_TURN_WRITE : HALO_TURN_READ;
    *waiting = &op->slot->waiting[turn];
    return &op->slot->turn[turn];
}

/* ---- coming and going ---------------------------------------------------------------------- */

static void cancel_all_on(struct halo_loop *loop, const struct halo_file *file)
{
    for (size_t i = 0; i <= loop->slab.mask; i++) {
        struct halo_op *op = loop->slab.table[i];
        if (op && (op->slot == file || op->base_slot == file) && op->state != HALO_OP_FILLING)
            halo_op_cancel(loop, op);
    }
}

/* From here on the file is refused to others; those that are on it are asked to end. */
static int enter_close(struct halo_loop *loop, struct halo_op *op)
{
    struct halo_file *file = halo_loop_find_open(loop, op->file);
    if (!file)
        return -EBADF;
    file->state = HALO_FILE_CLOSING;
    op->slot = file;
    op->fd = file->fd;
    if (file->in_flight > 0)
        cancel_all_on(loop, file);
    return 0;
}

static int enter(struct halo_loop *loop, uint64_t handle, struct halo_file **slot, int *fd)
{
    struct halo_file *file = halo_loop_find_open(loop, handle);
    if (!file)
        return -EBADF;
    *slot = file;
    *fd = file->fd;
    file->in_flight++;
    return 0;
}

int halo_loop_enter_files(struct halo_loop *loop, struct halo_op *op)
{
    if (halo_op_is(op, HALO_OP_CLOSE))
        return enter_close(loop, op);
    int error = 0;
    if (op->base && op->row->no_base)
        return -EINVAL;
    if (op->row->on_file)
        error = enter(loop, op->file, &op->slot, &op->fd);
    if (!error && op->base)
        error = enter(loop, op->base, &op->base_slot, &op->base_fd);
    return error;
}

/* Whoever else has the descriptor reads and writes on from where we were, and we from there. */
static void settle_offset(struct halo_op *op)
{
    struct halo_file *file = op->slot;
    if (file->shares_offset)
        file->position = (uint64_t)lseek(file->fd, 0, SEEK_CUR);
    op->offset = file->position;
}

static void move_position(struct halo_file *file, uint64_t position)
{
    file->position = position;
    if (file->shares_offset)
        lseek(file->fd, (off_t)position, SEEK_SET);
}

bool halo_loop_take_turn(struct halo_op *op)
{
    struct halo_list *waiting;

    if (halo_op_is(op, HALO_OP_CLOSE)) {
        if (op->slot->in_flight == 0)
            return true;
        op->slot->closer = op; /* the last one to leave starts it */
        return false;
    }
    if (!halo_op_is(op, HALO_OP_READ) && !halo_op_is(op, HALO_OP_WRITE))
        return true;
    if (op->offset != HALO_POSITION)
        return true;
    op->sequential = true;
    struct halo_op **turn = turn_of(op, &waiting);
    if (*turn) {
        halo_list_append(waiting, op);
        return false;
    }
    *turn = op;
    settle_offset(op);
    return true;
}

void halo_loop_leave_queue(struct halo_op *op)
{
    struct halo_list *waiting;
    turn_of(op, &waiting);
    halo_list_remove(waiting, op);
}

static void pass_turn(struct halo_loop *loop, struct halo_op *op)
{
    struct halo_list *waiting;
    struct halo_op **turn = turn_of(op, &waiting);

    if (*turn != op)
        return;
    /* With O_APPEND a write goes to the end, wherever the position is. */
    bool appended = halo_op_is(op, HALO_OP_WRITE) && (op->slot->flags & O_APPEND);
    if (!op->slot->stream && !appended)
        move_position(op->slot, op->offset + op->done);
    *turn = halo_list_take(waiting);
    if (*turn) {
        settle_offset(*turn);
        halo_loop_start(loop, *turn);
    }
}

static void leave(struct halo_loop *loop, struct halo_file *file)
{
    HALO_CHECK(file->in_flight > 0, "more operations left a file than came");
    if (--file->in_flight == 0 && file->closer)
        halo_loop_start(loop, file->closer);
}

void halo_loop_leave_files(struct halo_loop *loop, struct halo_op *op)
{
    struct halo_file *file = op->slot, *base = op->base_slot;

    if (file && op->sequential)
        pass_turn(loop, op);
    op->slot = op->base_slot = NULL;
    if (file)
        leave(loop, file);
    if (base)
        leave(loop, base);
}

/* ---- files, for the caller ----------------------------------------------------------------- */

int halo_file_info(struct halo_loop *loop, uint64_t handle, struct halo_file_info *info)
{
    const struct halo_file *file = halo_loop_find_open(loop, handle);
    if (!file)
        return -EBADF;
    *info = (struct halo_file_info){
        .flags = file->flags,
        .stream = file->stream,
        .position = file->position,
        .in_flight = file->in_flight,
    };
    return 0;
}

int halo_file_fd(struct halo_loop *loop, uint64_t handle)
{
    struct halo_file *file = halo_loop_find_open(loop, handle);
    if (!file)
        return -EBADF;
    halo_file_clear_nonblock(file);
    return file->fd;
}

int halo_file_seek(struct halo_loop *loop, uint64_t handle, uint64_t position)
{
    struct halo_file *file = halo_loop_find_open(loop, handle);
    if (!file)
        return -EBADF;
    if (file->stream)
        return -ESPIPE;
    move_position(file, position);
    return 0;
}

int halo_file_adopt(struct halo_loop *loop, int fd, bool borrow, uint64_t *handle)
{
    struct halo_file *file;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    int error = halo_files_reserve(&loop->files, loop->config.max_files, &file);
    if (error)
        return error;
    file->fd = fd;
    file->borrowed = borrow;
    loop->files.borrowed += borrow;
    /* Whoever opened it chose the flags, and may share them with other processes. */
    file->flags = (uint32_t)flags | O_NONBLOCK;
    file->state = HALO_FILE_OPEN;
    halo_file_inspect(&loop->files, file);
    file->flags = (uint32_t)flags;
    off_t position = lseek(fd, 0, SEEK_CUR);
    file->position = position > 0 ? (uint64_t)position : 0;
    file->shares_offset = position >= 0 && !file->stream;
    *handle = halo_file_handle(file);
    return 0;
}

struct visitor {
    void (*visit)(uint64_t file, void *context);
    void *context;
};

static void visit_open(struct halo_file *file, void *context)
{
    const struct visitor *visitor = context;
    if (file->state == HALO_FILE_OPEN && !file->borrowed)
        visitor->visit(halo_file_handle(file), visitor->context);
}

void halo_file_each(struct halo_loop *loop, void (*visit)(uint64_t file, void *context),
                    void *context)
{
    struct visitor visitor = {.visit = visit, .context = context};
    halo_files_each(&loop->files, visit_open, &visitor);
}

/* ---- files that were forgotten ------------------------------------------------------------- */

void halo_file_drop(struct halo_loop *loop, uint64_t handle)
{
    struct halo_file *file = halo_loop_find_open(loop, handle);
    if (!file || file->dropped)
        return;
    if (file->local && file->in_flight == 0) {
        if (!file->borrowed)
            close(file->fd);
        halo_files_vacate(&loop->files, file);
        return;
    }
    file->dropped = true;
    file->next = loop->files.dropped;
    loop->files.dropped = file;
}

void halo_loop_close_dropped(struct halo_loop *loop)
{
    while (loop->files.dropped) {
        struct halo_file *file = loop->files.dropped;
        struct halo_op *op = halo_op_new(loop, HALO_OP_CLOSE);
        if (!op)
            return; /* no memory now; the next turn tries again */
        loop->files.dropped = file->next;
        file->dropped = false;
        op->user = loop;
        op->file = halo_file_handle(file);
        if (!halo_op_submit(loop, op, 0))
            halo_op_release(loop, op);
    }
}
