/*
 * files.h: the open files. A handle is a slot's index below the slot's generation, which counts
 * up at each close, so that a stale handle is refused instead of reaching another file.
 *
 * A slot counts the operations that are under way on it. Close refuses new ones, cancels those,
 * and is started by the last one to leave: a descriptor is never closed, and so its number never
 * reused, while a kernel worker might still look it up.
 */
#ifndef HALO_FILES_H
#define HALO_FILES_H

#include "list.h"
#include "mounts.h"

#define HALO_FILE_INDEX_BITS 20
#define HALO_FILE_INDEX_MASK ((1u << HALO_FILE_INDEX_BITS) - 1)
#define HALO_FILES_LIMIT     (1u << HALO_FILE_INDEX_BITS)

enum halo_file_state { HALO_FILE_FREE, HALO_FILE_OPENING, HALO_FILE_OPEN, HALO_FILE_CLOSING };

/* Where an operation at the file's own position waits for the one before it. */
enum halo_file_turn { HALO_TURN_READ, HALO_TURN_WRITE, HALO_TURNS };

struct halo_file {
    uint64_t generation;
    uint64_t position;
    uint32_t index;
    uint32_t in_flight;
    uint32_t flags; /* O_* as opened */
    int fd;
    int sync_error;      /* the first failure of fsync, for ever; or 0 */
    uint8_t state;       /* enum halo_file_state */
    bool stream;         /* pipe, terminal, socket, inotify: polled first, no offsets */
    bool local;          /* close(2) is known not to wait for a network or daemon */
    bool clear_nonblock; /* nobody has asked for O_NONBLOCK; see halo_file_clear_nonblock() */
    bool borrowed;       /* the descriptor is somebody else's */
    bool shares_offset;  /* with others who have the descriptor: it is kept right */
    uint64_t written;    /* bytes */
    bool dropped;        /* forgotten by its owner, to be closed by the loop */
    struct halo_op *turn[HALO_TURNS]; /* at the position now; streams have one a direction */
    struct halo_list waiting[HALO_TURNS];
    struct halo_op *closer;
    struct halo_file *next; /* in the free list or the dropped list */
};

struct halo_files {
    struct halo_file **chunks;
    uint32_t chunk_count;
    uint32_t open;
    uint32_t borrowed; /* of those, the ones that somebody else has opened */
    struct halo_file *free_first, *free_last;
    struct halo_file *dropped;
    struct halo_mounts mounts;
    bool seen_remote; /* a file on a mount that is not local has been opened */
};

void halo_files_free(struct halo_files *files);
/* A slot in the state OPENING. Returns 0, -EMFILE above max_files, or -ENOMEM. */
int halo_files_reserve(struct halo_files *files, uint32_t max_files, struct halo_file **out);
/* The slot goes back; its handle is stale from here on. */
void halo_files_vacate(struct halo_files *files, struct halo_file *file);
/* The slot behind a handle, whatever its state but FREE, or NULL. */
struct halo_file *halo_files_find(const struct halo_files *files, uint64_t handle);
/* Calls visit for each slot that is not free. */
void halo_files_each(struct halo_files *files, void (*visit)(struct halo_file *, void *),
                     void *context);

static inline uint64_t halo_file_handle(const struct halo_file *file)
{
    return file->generation << HALO_FILE_INDEX_BITS | file->index;
}

/*
 * Looks at a descriptor that has just been opened, without waiting: stream, local, and whether
 * O_NONBLOCK has to go. Where the file is not local it goes at once.
 */
void halo_file_inspect(struct halo_files *files, struct halo_file *file);

/*
 * Takes O_NONBLOCK off a file that was opened with it so that a FIFO could not hold up a worker
 * for ever. On a regular file it is nothing to the system calls, but makes io_uring answer EAGAIN
 * where a read has to wait for the disk: it goes before the ring, or anybody else, sees the file.
 */
void halo_file_clear_nonblock(struct halo_file *file);

#endif
