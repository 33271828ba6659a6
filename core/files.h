/*
 * files.h: the open files. A handle is a slot's index below the slot's generation, which counts
 * up at each close, so that a stale handle is refused instead of reaching another file.
 *
 * A slot counts the operations that are under way on it. Close refuses new ones, and is started by
 * the last one to leave: a descriptor is never closed, and so its number never reused, while a
 * kernel worker might still look it up. Nothing here starts an operation: leaving a file gives
 * those that may start now.
 */
#ifndef HALO_FILES_H
#define HALO_FILES_H

#include "list.h"
#include "mounts.h"

#define HALO_FILE_INDEX_BITS 20
#define HALO_FILE_INDEX_MASK ((1u << HALO_FILE_INDEX_BITS) - 1)
#define HALO_FILES_LIMIT     (1u << HALO_FILE_INDEX_BITS)

enum halo_file_state { HALO_FILE_FREE, HALO_FILE_OPENING, HALO_FILE_OPEN, HALO_FILE_CLOSING };

/* Where an operation waits for the one before it. */
enum halo_side { HALO_SIDE_READ, HALO_SIDE_WRITE, HALO_SIDE_SYNC, HALO_SIDES };

/*
 * A result that nobody has taken, at the start of the storage of the operation that last held it.
 */
struct halo_kept {
    struct halo_kept *next;
    uint64_t seq;      /* of the operation that got it from the kernel, */
    uint64_t skipped;  /* and how many of its bytes came before these */
    size_t start, end; /* bytes, from the start of the storage; or how many entries are there */
    size_t stored;     /* bytes in all */
    size_t gathered;   /* bytes that a read to the end has taken from the front of the file */
};

struct halo_file {
    uint64_t generation;
    uint64_t position;
    uint32_t index;
    uint32_t in_flight;
    uint32_t flags; /* O_* as opened */
    int fd;
    uint32_t resolve;    /* RESOLVE_*, how paths that begin in it are resolved; 0: anyhow */
    int sync_error;      /* the first failed sync, kept for ever; or 0 */
    int pid;             /* of the process that it stands for, or 0 */
    bool leads_group;    /* that process does */
    uint8_t state;       /* enum halo_file_state */
    uint8_t place;       /* see mounts.h */
    uint8_t rights;      /* HALO_MAY_*, where the loop has a fence */
    uint8_t lock;        /* LOCK_SH or LOCK_EX where it is held by this handle, or 0 */
    bool stream;         /* pipe, terminal, socket, inotify: polled first, no offsets */
    bool local;          /* a file or directory whose close(2) waits for no network or daemon */
    bool clear_nonblock; /* nobody has asked for O_NONBLOCK; see halo_file_clear_nonblock() */
    bool borrowed;       /* the descriptor is somebody else's */
    bool shares_offset;  /* with others who have the descriptor: it is kept right */
    bool blind;          /* the file system does not say whether a read would wait */
    bool sought;         /* since the latest operation at the position began */
    bool dropped;        /* forgotten by its owner, to be closed by the loop */
    uint64_t written;    /* bytes */
    struct halo_op *turn[HALO_SIDES]; /* whose it is; streams have a position a direction */
    struct halo_list waiting[HALO_SIDES];
    struct halo_kept *kept; /* what the next read has first */
    uint64_t locker;        /* the latest operation that was to lock or unlock it */
    uint32_t leftovers;     /* names in this directory that are held; see leftovers.h */
    uint32_t straying;      /* operations that go on although nobody waits for them */
    uint32_t behind_begun;  /* writes behind, ever; their number may go round */
    uint32_t behind_ended;  /* in the order in which they began */
    uint64_t behind_bytes;  /* of those that have not ended */
    int behind_error;       /* the first one that failed, kept for ever; or 0 */
    struct halo_list held;  /* by those */
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
};

/* ---- slots --------------------------------------------------------------------------------- */

void halo_files_free(struct halo_files *files);
/* A slot in the state OPENING. Returns 0, -EMFILE above max_files, or -ENOMEM. */
int halo_files_reserve(struct halo_files *files, uint32_t max_files, struct halo_file **out);
/* The slot goes back; its handle is stale from here on. */
void halo_files_vacate(struct halo_files *files, struct halo_file *file);
/* The open file behind a handle, or NULL. */
struct halo_file *halo_files_find_open(const struct halo_files *files, uint64_t handle);
/* Calls visit for each slot that is not free. */
void halo_files_each(struct halo_files *files, void (*visit)(struct halo_file *, void *),
                     void *context);

static inline uint64_t halo_file_handle(const struct halo_file *file)
{
    return file->generation << HALO_FILE_INDEX_BITS | file->index;
}

/* ---- operations on files ------------------------------------------------------------------- */

/* Counts an operation on its files. Returns 0, or -EBADF for a handle that is closed. */
int halo_files_enter(struct halo_files *files, struct halo_op *op);
/*
 * Whether the operation may start: it has its turn, if it goes by the file's position; no abandoned
 * one that it must follow is still going on; and the file is idle, if it is the close.
 * Otherwise it is queued, and comes back in `ready` when another one leaves.
 */
bool halo_file_may_start(struct halo_op *op);
/*
 * Ends an operation on its files: the position moves, and the turn passes on. Those that may start
 * now are appended to ready.
 */
void halo_files_leave(struct halo_op *op, struct halo_list *ready);
/* An operation that is taken back leaves its base only then, or at the end of what does so. */
void halo_files_leave_base(struct halo_op *op, struct halo_list *ready);
/* A write or the like has been abandoned half-way: what must follow is held until it leaves. */
void halo_file_let_stray(struct halo_op *op);

/*
 * Moves a result that nobody wants out of the operation's record to the front of the file; of a
 * plain file the position goes back instead, so that it is read again. Returns the read that has
 * its turn now and can take what was kept, or NULL.
 */
struct halo_op *halo_file_keep(struct halo_op *op);
/* Puts what the file has kept back into the storage of an operation; false where it has nothing. */
bool halo_file_take_kept(struct halo_op *op);
/* Of a read that ends with this error: what it has got of a stream is kept. Returns the error. */
int64_t halo_file_put_back(struct halo_op *op, int64_t error);
/* Gives a read to the end more length, that one at least. Returns 0, -EFBIG or -ENOMEM. */
int halo_file_extend(struct halo_op *op, size_t length);

/* ---- descriptors --------------------------------------------------------------------------- */

/*
 * Looks at a descriptor that has just been opened, without waiting: stream, place, and whether
 * O_NONBLOCK has to go. On a file that is not local it goes at once.
 */
void halo_file_inspect(struct halo_files *files, struct halo_file *file);

/*
 * Takes O_NONBLOCK off a file that was opened with it so that a FIFO could not hold up a worker for
 * ever. System calls ignore it on a regular file, but it makes io_uring answer EAGAIN where a read
 * has to wait for the disk: it goes before the ring, or anybody else, sees the file.
 */
void halo_file_clear_nonblock(struct halo_file *file);

#endif
