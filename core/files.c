#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "loop.h"
#include "ops/ops.h"

#define ALL_BYTES_MAX  0x7fff0000u /* of a read to the end: no system call gives more at once */
#define CHUNK_FILES    64
#define GENERATION_MAX ((1ull << (64 - HALO_FILE_INDEX_BITS)) - 1)

void halo_files_free(struct halo_files *files)
{
    for (uint32_t i = 0; i < files->chunk_count; i++)
        free(files->chunks[i]);
    free(files->chunks);
}

static void put_free(struct halo_files *files, struct halo_file *file)
{
    file->next = NULL;
    if (files->free_last)
        files->free_last->next = file;
    else
        files->free_first = file;
    files->free_last = file;
}

static bool grow(struct halo_files *files)
{
    size_t count = files->chunk_count + 1;
    struct halo_file **chunks = realloc(files->chunks, count * sizeof(struct halo_file *));
    if (!chunks)
        return false;
    files->chunks = chunks;
    struct halo_file *chunk = calloc(CHUNK_FILES, sizeof(struct halo_file));
    if (!chunk)
        return false;
    chunks[files->chunk_count] = chunk;
    for (uint32_t i = 0; i < CHUNK_FILES; i++) {
        chunk[i].index = files->chunk_count * CHUNK_FILES + i;
        chunk[i].generation = 1;
        put_free(files, &chunk[i]);
    }
    files->chunk_count++;
    return true;
}

int halo_files_reserve(struct halo_files *files, uint32_t max_files, struct halo_file **out)
{
    if (files->open >= max_files)
        return -EMFILE;
    if (!files->free_first) {
        if ((files->chunk_count + 1) * CHUNK_FILES > HALO_FILES_LIMIT)
            return -EMFILE;
        if (!grow(files))
            return -ENOMEM;
    }
    struct halo_file *file = files->free_first;
    files->free_first = file->next;
    if (!files->free_first)
        files->free_last = NULL;
    *file = (struct halo_file){
        .index = file->index,
        .generation = file->generation,
        .fd = -1,
        .state = HALO_FILE_OPENING,
    };
    files->open++;
    *out = file;
    return 0;
}

static struct halo_kept *take_first(struct halo_file *file)
{
    struct halo_kept *kept = file->kept;
    file->kept = kept->next;
    return kept;
}

void halo_files_vacate(struct halo_files *files, struct halo_file *file)
{
    HALO_CHECK(file->in_flight == 0, "a file was closed with operations in flight");
    while (file->kept)
        free(take_first(file));
    file->state = HALO_FILE_FREE;
    file->leftovers = 0;
    file->generation++;
    files->open--;
    files->borrowed -= file->borrowed;
    /* A slot that has used up its generations is retired, so that no handle ever comes back. */
    if (file->generation < GENERATION_MAX)
        put_free(files, file);
}

static struct halo_file *find(const struct halo_files *files, uint64_t handle)
{
    uint32_t index = handle & HALO_FILE_INDEX_MASK;
    if (index / CHUNK_FILES >= files->chunk_count)
        return NULL;
    struct halo_file *file = &files->chunks[index / CHUNK_FILES][index % CHUNK_FILES];
    if (file->state == HALO_FILE_FREE || file->generation != handle >> HALO_FILE_INDEX_BITS)
        return NULL;
    return file;
}

struct halo_file *halo_files_find_open(const struct halo_files *files, uint64_t handle)
{
    struct halo_file *file = find(files, handle);
    return file && file->state == HALO_FILE_OPEN && !file->dropped ? file : NULL;
}

void halo_files_each(struct halo_files *files, void (*visit)(struct halo_file *, void *),
                     void *context)
{
    for (uint32_t i = 0; i < files->chunk_count * CHUNK_FILES; i++) {
        struct halo_file *file = &files->chunks[i / CHUNK_FILES][i % CHUNK_FILES];
        if (file->state != HALO_FILE_FREE)
            visit(file, context);
    }
}

/* ---- descriptors --------------------------------------------------------------------------- */

void halo_file_inspect(struct halo_files *files, struct halo_file *file)
{
    struct statx statx_now;

    if (halo_mounts_inspect(&files->mounts, file->fd, &statx_now, &file->place) < 0)
        return;
    mode_t type = statx_now.stx_mode & S_IFMT;
    file->stream = type != S_IFREG && type != S_IFDIR && type != S_IFBLK && type != S_IFLNK;
    file->local = (type == S_IFREG || type == S_IFDIR) && file->place == 0;
    file->clear_nonblock = !file->stream && !(file->flags & (O_NONBLOCK | O_PATH));
    if (!file->local)
        halo_file_clear_nonblock(file);
}

void halo_file_clear_nonblock(struct halo_file *file)
{
    if (file->clear_nonblock)
        fcntl(file->fd, F_SETFL, (int)file->flags & ~O_NONBLOCK);
    file->clear_nonblock = false;
}

/* ---- writes behind ------------------------------------------------------------------------- */

static bool is_behind(const struct halo_op *op)
{
    return halo_op_is(op, HALO_OP_WRITE) && op->flags & HALO_WRITE_BEHIND;
}

static void begin_behind(struct halo_op *op)
{
    struct halo_file *file = op->slot;

    op->after = file->behind_begun;
    if (!is_behind(op))
        return;
    file->behind_begun++;
    file->behind_bytes += op->length;
}

/* Those at the position have their turn, and a stream is read on another side. */
static bool waits_for_behind(const struct halo_op *op)
{
    const struct halo_file *file = op->slot;
    bool elsewhere = file->stream && halo_op_is(op, HALO_OP_READ);
    return op->row->on_file && !is_behind(op) && !elsewhere &&
           (int32_t)(op->after - file->behind_ended) > 0;
}

/* Where nobody waits for it, that it failed, or was refused, is told by what follows. */
static void end_behind(struct halo_op *op, struct halo_list *ready)
{
    struct halo_file *file = op->slot;

    if (!is_behind(op))
        return;
    file->behind_ended++;
    file->behind_bytes -= op->length;
    bool told = op->flags & HALO_WRITE_TOLD && !op->abandoned;
    if (op->result < 0 && !told && !file->behind_error)
        file->behind_error = (int)op->result;
    halo_list_append_all(ready, &file->held);
}

/* ---- coming -------------------------------------------------------------------------------- */

static int enter(struct halo_files *files, uint64_t handle, struct halo_file **slot, int *fd)
{
    struct halo_file *file = halo_files_find_open(files, handle);
    if (!file)
        return -EBADF;
    *slot = file;
    *fd = file->fd;
    file->in_flight++;
    return 0;
}

static int enter_base(struct halo_files *files, struct halo_op *op)
{
    int error = enter(files, op->base, &op->base_slot, &op->base_fd);
    if (error)
        return error;
    op->base2_fd = op->base_fd;
    op->resolve = op->resolve2 = op->base_slot->resolve;
    op->below = op->path && (op->resolve || op->row->no_base);
    return 0;
}

static int enter_base2(struct halo_files *files, struct halo_op *op)
{
    int error = enter(files, op->base2, &op->base2_slot, &op->base2_fd);
    if (error)
        return error;
    op->resolve2 = op->base2_slot->resolve;
    op->below |= op->resolve2 != 0;
    return 0;
}

/* From here on others are refused the file. The close is not one of those it waits for. */
static int enter_close(struct halo_files *files, struct halo_op *op)
{
    struct halo_file *file = halo_files_find_open(files, op->file);
    if (!file)
        return -EBADF;
    file->state = HALO_FILE_CLOSING;
    op->slot = file;
    op->fd = file->fd;
    /* The directory of a name that is to be removed; without it the name stays. */
    if (op->base && !op->base_slot && enter_base(files, op) < 0)
        op->path = NULL;
    return 0;
}

int halo_files_enter(struct halo_files *files, struct halo_op *op)
{
    int error = 0;

    if (halo_op_is(op, HALO_OP_CLOSE))
        return enter_close(files, op);
    if (op->base2 && op->row->lookup != HALO_LOOKUP_BOTH)
        return -EINVAL;
    if (op->row->on_file && (error = enter(files, op->file, &op->slot, &op->fd)) == 0)
        begin_behind(op);
    if (!error && op->base && !op->base_slot) /* what takes back a result has it still */
        error = enter_base(files, op);
    if (!error && op->base2)
        error = enter_base2(files, op);
    return error;
}

/* ---- the turn at the file's position ------------------------------------------------------- */

/* The reading and the writing side of a stream move on their own; a plain file has one position. */
static enum halo_side side_of(const struct halo_op *op)
{
    if (op->row->turn == HALO_TURN_SYNC)
        return HALO_SIDE_SYNC;
    return op->slot->stream && halo_op_is(op, HALO_OP_WRITE) ? HALO_SIDE_WRITE : HALO_SIDE_READ;
}

/* Others who share the descriptor go on from where we were, and we from where they are. */
static void settle_offset(struct halo_op *op)
{
    struct halo_file *file = op->slot;
    if (op->row->turn != HALO_TURN_POSITION)
        return;
    if (file->shares_offset)
        file->position = (uint64_t)lseek(file->fd, 0, SEEK_CUR);
    op->offset = file->position;
    file->sought = false;
}

static void move_position(struct halo_file *file, uint64_t position)
{
    file->position = position;
    if (file->shares_offset)
        lseek(file->fd, (off_t)position, SEEK_SET);
}

static bool needs_turn(const struct halo_op *op)
{
    switch (op->row->turn) {
    case HALO_TURN_POSITION:
        return op->offset == HALO_POSITION;
    case HALO_TURN_OFFSET:
        return op->slot->shares_offset;
    default:
        return op->row->turn == HALO_TURN_SYNC;
    }
}

static bool has_turn(struct halo_op *op)
{
    struct halo_file *file = op->slot;

    if (op->sequential || !needs_turn(op))
        return true;
    op->sequential = true;
    enum halo_side side = side_of(op);
    if (file->turn[side]) {
        halo_list_append(&file->waiting[side], op);
        return false;
    }
    file->turn[side] = op;
    settle_offset(op);
    return true;
}

/* A seek in between has the last word, and a read that nobody has taken does not count. */
static void advance(struct halo_op *op)
{
    struct halo_file *file = op->slot;
    bool writes = halo_op_is(op, HALO_OP_WRITE);

    /* With O_APPEND a write goes to the end, wherever the position is. */
    if (writes && file->flags & O_APPEND && file->shares_offset && op->done > 0)
        lseek(file->fd, 0, SEEK_END);
    if (file->stream || (writes && (file->flags & O_APPEND)) || (op->abandoned && !writes))
        return;
    op->advanced = op->done > 0 && !file->sought;
    if (op->advanced)
        move_position(file, op->offset + op->done);
}

/* While the file is being closed only writes behind go on: the others are being cancelled. */
static struct halo_op *take_next(struct halo_file *file, enum halo_side side)
{
    struct halo_op *next = file->waiting[side].first;

    while (next && file->state != HALO_FILE_OPEN && !is_behind(next))
        next = next->next;
    if (next)
        halo_list_remove(next);
    return next;
}

static void pass_turn(struct halo_op *op, struct halo_list *ready)
{
    struct halo_file *file = op->slot;

    if (!op->sequential)
        return;
    op->sequential = false;
    enum halo_side side = side_of(op);
    if (file->turn[side] != op)
        return;
    advance(op);
    struct halo_op *next = take_next(file, side);
    file->turn[side] = next;
    if (next) {
        settle_offset(next);
        halo_list_append(ready, next);
    }
}

/* ---- what goes on although nobody waits for it --------------------------------------------- */

void halo_file_let_stray(struct halo_op *op)
{
    op->straying = true;
    op->slot->straying++;
}

static void end_straying(struct halo_op *op, struct halo_list *ready)
{
    if (!op->straying)
        return;
    op->straying = false;
    if (--op->slot->straying == 0)
        halo_list_append_all(ready, &op->slot->held);
}

/* ---- starting and leaving ------------------------------------------------------------------ */

bool halo_file_may_start(struct halo_op *op)
{
    struct halo_file *file = op->slot;

    if (!file)
        return true;
    if (halo_op_is(op, HALO_OP_CLOSE)) {
        if (file->in_flight == 0)
            return true;
        file->closer = op; /* the last one to leave starts it */
        return false;
    }
    if (!has_turn(op))
        return false;
    if (!waits_for_behind(op) && (!op->row->after_strays || file->straying == 0))
        return true;
    halo_list_append(&file->held, op);
    return false;
}

static void leave(struct halo_file *file, struct halo_list *ready)
{
    HALO_CHECK(file->in_flight > 0, "more operations left a file than came");
    if (--file->in_flight == 0 && file->closer) {
        halo_list_append(ready, file->closer);
        file->closer = NULL;
    }
}

void halo_files_leave_base(struct halo_op *op, struct halo_list *ready)
{
    if (op->base_slot)
        leave(op->base_slot, ready);
    op->base_slot = NULL;
}

void halo_files_leave(struct halo_op *op, struct halo_list *ready)
{
    struct halo_file *file = op->slot, *base2 = op->base2_slot;

    op->base2_slot = NULL;
    if (file) {
        pass_turn(op, ready);
        end_straying(op, ready);
        end_behind(op, ready);
        leave(file, ready);
    }
    /* What takes back a name that was made needs its directory, which may be being closed. */
    if (!halo_op_wants_undo(op))
        halo_files_leave_base(op, ready);
    if (base2)
        leave(base2, ready);
}

/* ---- what nobody has taken ----------------------------------------------------------------- */

/* A seek has the last word. And once another has read on, there is no going back. */
static void move_back(struct halo_op *op)
{
    if (op->advanced && !op->slot->sought && op->slot->position == op->offset + op->done)
        move_position(op->slot, op->offset);
    op->advanced = false;
}

static bool is_before(const struct halo_kept *one, const struct halo_kept *other)
{
    return one->seq < other->seq || (one->seq == other->seq && one->skipped < other->skipped);
}

/* Since the operation ended, the file may have been closed and its slot given to another. */
static bool is_open_still(const struct halo_op *op)
{
    return op->slot->state == HALO_FILE_OPEN && halo_file_handle(op->slot) == op->file;
}

struct halo_op *halo_file_keep(struct halo_op *op)
{
    struct halo_kept *kept = (struct halo_kept *)op->storage;
    struct halo_kept **place;

    if (op->result <= 0 || !is_open_still(op))
        return NULL;
    if (!op->headed) {
        move_back(op);
        return NULL;
    }
    for (place = &op->slot->kept; *place && is_before(*place, kept); place = &(*place)->next)
        continue;
    kept->next = *place;
    kept->start = sizeof(*kept);
    kept->end = halo_op_is(op, HALO_OP_READ) ? sizeof(*kept) + op->done : (size_t)op->result;
    kept->stored = op->stored;
    *place = kept;
    op->storage = NULL;
    op->stored = 0;
    op->result = 0;
    return op->slot->turn[HALO_SIDE_READ];
}

/*
 * Gives a read as many of the kept bytes as it asked for. They go through the operation's own
 * memory, as those from the kernel do, since they may have to be kept once more.
 */
static void copy_kept(struct halo_op *op, struct halo_kept *kept)
{
    struct halo_kept *head = (struct halo_kept *)op->storage;
    size_t length = kept->end - kept->start;

    if (length > op->length)
        length = op->length;
    head->seq = kept->seq;
    head->skipped = kept->skipped;
    memcpy(op->data, (char *)kept + kept->start, length);
    if (op->into)
        op->data = memcpy(op->into, op->data, length);
    kept->start += length;
    kept->skipped += length;
    op->done = length;
    op->result = (int64_t)length;
}

int halo_file_extend(struct halo_op *op, size_t length)
{
    size_t doubled = op->length < ALL_BYTES_MAX / 2 ? op->length * 2 : ALL_BYTES_MAX;

    if (length > ALL_BYTES_MAX || op->length >= ALL_BYTES_MAX)
        return -EFBIG;
    op->length = doubled > length ? doubled : length;
    if (!op->headed)
        return 0; /* it makes the room when it is needed */
    char *storage = halo_op_storage(op, sizeof(struct halo_kept) + op->length + 1);
    if (!storage)
        return -ENOMEM;
    op->data = (uint8_t *)storage + sizeof(struct halo_kept);
    return 0;
}

int64_t halo_file_put_back(struct halo_op *op, int64_t error)
{
    if (op->headed && op->done > 0) {
        op->result = (int64_t)op->done;
        halo_file_keep(op);
    }
    op->done = 0; /* the position of a plain file stays */
    return error;
}

/*
 * A read to the end takes all that was kept, and goes on behind it, if there is room. It may have
 * read something already: what was kept comes before that, behind what it took before.
 */
static bool gather_kept(struct halo_op *op)
{
    struct halo_file *file = op->slot;

    while (file->kept) {
        struct halo_kept *kept = file->kept;
        size_t length = kept->end - kept->start;
        int error =
            op->done + length < op->length ? 0 : halo_file_extend(op, op->done + length + 1);
        if (error) {
            op->result = halo_file_put_back(op, error);
            return true;
        }
        struct halo_kept *head = (struct halo_kept *)op->storage;
        uint8_t *to = op->data + head->gathered;
        if (head->gathered == 0) {
            head->seq = kept->seq;
            head->skipped = kept->skipped;
        }
        memmove(to + length, to, op->done - head->gathered);
        memcpy(to, (char *)kept + kept->start, length);
        head->gathered += length;
        op->done += length;
        free(take_first(file));
    }
    return false;
}

bool halo_file_take_kept(struct halo_op *op)
{
    struct halo_file *file = op->slot;
    struct halo_kept *kept = file->kept;

    if (!kept)
        return false;
    if (halo_op_is(op, HALO_OP_READ) && op->flags & HALO_READ_ALL)
        return gather_kept(op);
    if (halo_op_is(op, HALO_OP_READ)) {
        copy_kept(op, kept);
        if (kept->start == kept->end)
            free(take_first(file));
        return true;
    }
    take_first(file);
    free(op->storage);
    op->storage = (char *)kept;
    op->stored = kept->stored;
    op->data = (uint8_t *)op->storage + sizeof(*kept);
    op->result = (int64_t)kept->end;
    return true;
}

/* ---- the position, for the caller ------------------------------------------------------------ */

int halo_file_seek(struct halo_loop *loop, uint64_t handle, uint64_t position)
{
    struct halo_file *file = halo_files_find_open(&loop->files, handle);
    if (!file)
        return -EBADF;
    if (file->stream)
        return -ESPIPE;
    move_position(file, position);
    file->sought = true;
    return 0;
}
