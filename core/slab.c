#include "slab.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <linux/stat.h>

#include "check.h"

#define CHUNK_RECORDS 64
#define TABLE_FIRST   256

/*
 * Storage comes in few sizes, so that a record that has met each kind of operation asks for no
 * more. Workers ask as well, and each thread has a cache of malloc's, which never gives back what
 * it was once handed: of each size below 1 KiB some pieces, in each thread. Here that is one size
 * at most.
 */
#define STORAGE_FIRST  256
#define STORAGE_SECOND 2048

/* The statx buffer stands beside its record: only the operations that fill it ever touch it. */
struct halo_slab_chunk {
    struct halo_slab_chunk *next;
    struct halo_op records[CHUNK_RECORDS];
    struct statx statx[CHUNK_RECORDS];
};

int halo_slab_init(struct halo_slab *slab)
{
    memset(slab, 0, sizeof(*slab));
    slab->next_seq = HALO_SEQ_FIRST;
    slab->mask = TABLE_FIRST - 1;
    slab->table = calloc(TABLE_FIRST, sizeof(*slab->table));
    return slab->table ? 0 : -ENOMEM;
}

void halo_slab_free(struct halo_slab *slab)
{
    while (slab->chunks) {
        struct halo_slab_chunk *chunk = slab->chunks;
        slab->chunks = chunk->next;
        for (size_t i = 0; i < CHUNK_RECORDS; i++)
            free(chunk->records[i].storage);
        free(chunk);
    }
    free(slab->table);
}

static void reset_paths(struct halo_op *op)
{
    op->base_slot = op->base2_slot = NULL;
    op->base_fd = op->base2_fd = AT_FDCWD;
    op->resolve = op->resolve2 = 0;
    op->path = op->path2 = NULL;
    op->base = op->base2 = 0;
}

static bool grow_records(struct halo_slab *slab)
{
    struct halo_slab_chunk *chunk = calloc(1, sizeof(*chunk));
    if (!chunk)
        return false;
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    for (size_t i = CHUNK_RECORDS; i-- > 0;) {
        chunk->records[i].statx = &chunk->statx[i];
        reset_paths(&chunk->records[i]);
        chunk->records[i].next = slab->free;
        slab->free = &chunk->records[i];
    }
    return true;
}

static bool grow_table(struct halo_slab *slab)
{
    size_t size = (slab->mask + 1) * 2;
    struct halo_op **table = calloc(size, sizeof(*table));
    if (!table)
        return false;
    for (size_t i = 0; i <= slab->mask; i++)
        if (slab->table[i])
            table[slab->table[i]->seq & (size - 1)] = slab->table[i];
    free(slab->table);
    slab->table = table;
    slab->mask = size - 1;
    return true;
}

struct halo_op *halo_slab_acquire(struct halo_slab *slab)
{
    if (!slab->free && !grow_records(slab))
        return NULL;
    /* Half full at most, so that skipping over taken places stays short. */
    if (slab->live * 2 > slab->mask && !grow_table(slab))
        return NULL;

    struct halo_op *op = slab->free;
    HALO_CHECK(op->state == HALO_OP_FREE, "a record in use was on the free list");
    slab->free = op->next;
    slab->kept -= op->stored;
    slab->live++;

    /* The last user has reset the part with the paths: most operations have none. */
    memset(op, 0, offsetof(struct halo_op, base_slot));

    while (slab->table[slab->next_seq & slab->mask])
        slab->next_seq++;
    op->seq = slab->next_seq++;
    op->state = HALO_OP_FILLING;
    slab->table[op->seq & slab->mask] = op;
    return op;
}

void halo_slab_release(struct halo_slab *slab, struct halo_op *op)
{
    HALO_CHECK(halo_slab_find(slab, op->seq) == op, "a record was released twice");
    slab->table[op->seq & slab->mask] = NULL;
    slab->live--;
    if (op->stored > HALO_STORAGE_KEPT ||
        (op->stored > STORAGE_FIRST && slab->kept + op->stored > HALO_SLAB_KEPT)) {
        free(op->storage);
        op->storage = NULL;
        op->stored = 0;
    }
    slab->kept += op->stored;
    if (op->path || op->base || op->base2)
        reset_paths(op);
    op->state = HALO_OP_FREE;
    op->next = slab->free;
    slab->free = op;
}

/* ---- a record's memory --------------------------------------------------------------------- */

/* More than is kept may be exact. */
static size_t storage_size(size_t size)
{
    size_t room = STORAGE_SECOND;
    if (size <= STORAGE_FIRST)
        return STORAGE_FIRST;
    if (size > HALO_STORAGE_KEPT)
        return size;
    while (room < size)
        room *= 2;
    return room;
}

char *halo_op_storage(struct halo_op *op, size_t size)
{
    if (size <= op->stored)
        return op->storage;
    size = storage_size(size);
    size_t path2_at = op->path2 ? (size_t)(op->path2 - op->storage) : 0;
    char *storage = realloc(op->storage, size);
    if (!storage)
        return NULL;
    op->storage = storage;
    op->stored = size;
    if (op->path)
        op->path = storage;
    if (op->path2)
        op->path2 = storage + path2_at;
    return storage;
}

int halo_op_set_paths(struct halo_op *op, const char *path, size_t path_length, const char *path2,
                      size_t path2_length)
{
    size_t size = path_length + 1 + (path2 ? path2_length + 1 : 0);
    char *storage = halo_op_storage(op, size);
    if (!storage)
        return -ENOMEM;
    memcpy(storage, path, path_length);
    storage[path_length] = '\0';
    op->path = storage;
    op->path2 = NULL;
    if (path2) {
        memcpy(storage + path_length + 1, path2, path2_length);
        storage[size - 1] = '\0';
        op->path2 = storage + path_length + 1;
    }
    return 0;
}
