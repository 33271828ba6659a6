/*
 * copy: copies a file by halo.h alone, with several reads and writes in flight.
 *
 *     copy from to
 *
 * Each of the pieces is read, written and then the next one of its place, until there is no more.
 * An operation's user pointer leads to its piece, and that to what is called when it has ended. The
 * exit status is 0, or 1 after a message.
 */
#include <errno.h>
#include <fcntl.h>

#include <stdio.h>
#include <string.h>

#include "halo.h"

#define PIECES     8
#define PIECE_SIZE (256u << 10)

struct copy {
    struct halo_loop *loop;
    uint64_t from, to; /* the files' handles */
    uint64_t next;     /* where the next piece begins, in bytes */
    uint64_t copied;   /* bytes */
    int error;         /* the first one, negative */
    bool over;         /* a read has found the end */
};

struct piece {
    struct copy *copy;
    void (*ended)(struct piece *piece, const struct halo_op *op);
    uint64_t offset;
    size_t length; /* bytes that have been read and not yet written */
    uint8_t data[PIECE_SIZE];
};

static struct piece pieces[PIECES];

static void was_read(struct piece *piece, const struct halo_op *op)
{
    if (op->result < 0)
        piece->copy->error = (int)op->result;
    else if (op->result == 0)
        piece->copy->over = true;
    else
        piece->length = (size_t)op->result;
}

/* What is left of a piece that was read short comes next. */
static void was_written(struct piece *piece, const struct halo_op *op)
{
    if (op->result < 0) {
        piece->copy->error = (int)op->result;
        return;
    }
    piece->copy->copied += piece->length;
    piece->offset += piece->length;
    piece->length = 0;
}

/* The piece's next operation; NULL when nothing is left to do. */
static struct halo_op *prepare(struct piece *piece)
{
    struct copy *copy = piece->copy;
    bool writes = piece->length > 0;

    if (copy->error || (copy->over && !writes))
        return NULL;
    if (!writes && piece->offset % PIECE_SIZE == 0) {
        piece->offset = copy->next;
        copy->next += PIECE_SIZE;
    }
    struct halo_op *op = halo_op_new(copy->loop, writes ? HALO_OP_WRITE : HALO_OP_READ);
    if (!op) {
        copy->error = -ENOMEM;
        return NULL;
    }
    piece->ended = writes ? was_written : was_read;
    op->user = piece;
    op->file = writes ? copy->to : copy->from;
    op->offset = piece->offset;
    op->data = piece->data; /* ours, and left alone until the operation has ended */
    op->length = writes ? piece->length : PIECE_SIZE - piece->offset % PIECE_SIZE;
    return op;
}

static void end(struct copy *copy, struct halo_op *op)
{
    struct piece *piece = op->user;
    piece->ended(piece, op);
    halo_op_release(copy->loop, op);
}

/* Goes on with a piece. What was done at once does not come back by halo_loop_next(). */
static void go_on(struct piece *piece)
{
    struct halo_op *op;
    while ((op = prepare(piece)) != NULL && !halo_op_submit(piece->copy->loop, op, 0))
        end(piece->copy, op);
}

static void copy_all(struct copy *copy)
{
    for (int i = 0; i < PIECES; i++) {
        pieces[i].copy = copy;
        go_on(&pieces[i]);
    }
    while (halo_loop_busy(copy->loop)) {
        halo_loop_turn(copy->loop, -1);
        for (struct halo_op *op; (op = halo_loop_next(copy->loop)) != NULL;) {
            struct piece *piece = op->user;
            end(copy, op);
            go_on(piece);
        }
    }
}

/* An operation that is simply waited for. Returns 0 or -errno. */
static int open_file(struct halo_loop *loop, const char *path, int flags, uint64_t *file)
{
    struct halo_op *op = halo_op_new(loop, HALO_OP_OPEN);
    if (!op)
        return -ENOMEM;
    op->flags = (uint32_t)flags;
    op->mode = 0666;
    int64_t result = halo_op_set_paths(op, path, strlen(path), NULL, 0);
    if (result == 0) {
        if (halo_op_submit(loop, op, 0))
            halo_op_wait(loop, op);
        result = op->result;
        *file = op->file;
    }
    halo_op_release(loop, op);
    return result < 0 ? (int)result : 0;
}

int main(int argc, char **argv)
{
    struct copy copy = {0};

    if (argc != 3) {
        fprintf(stderr, "usage: copy from to\n");
        return 1;
    }
    copy.error = halo_loop_create(&copy.loop, NULL);
    if (copy.error == 0) {
        copy.error = open_file(copy.loop, argv[1], O_RDONLY, &copy.from);
        if (copy.error == 0)
            copy.error = open_file(copy.loop, argv[2], O_WRONLY | O_CREAT | O_TRUNC, &copy.to);
        if (copy.error == 0)
            copy_all(&copy);
        halo_loop_close(copy.loop, 1000); /* and the files */
    }
    if (copy.error != 0) {
        fprintf(stderr, "copy: %s\n", strerror(-copy.error));
        return 1;
    }
    printf("%llu bytes\n", (unsigned long long)copy.copied);
    return 0;
}
