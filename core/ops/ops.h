/*
 * ops.h: what sets one operation apart from another: its row. The rows are in the files of this
 * folder, by topic, beside the functions that they name. To add an operation, add its code to
 * halo.h, its row with its functions, its entry in the list below, and its line in the bindings.
 */
#ifndef HALO_OPS_H
#define HALO_OPS_H

#include "halo.h"

#define HALO_NO_OPCODE     255
#define HALO_TRY_BYTES_MAX (256 << 10) /* of data that may be moved on the loop's thread */

struct io_uring_sqe;

enum halo_step {
    HALO_STEP_DONE,
    HALO_STEP_AGAIN, /* another round at once */
    HALO_STEP_LATER  /* after a pause: there is nothing to wait for */
};

/* Which of the paths lead to what the operation works on. */
enum halo_lookup {
    HALO_LOOKUP_PATH,
    HALO_LOOKUP_BOTH,
    HALO_LOOKUP_PATH2 /* path is only a text */
};

/* Which of a file's operations wait for each other. */
enum halo_turn {
    HALO_TURN_NONE,
    HALO_TURN_POSITION, /* where they go by the file's own position */
    HALO_TURN_OFFSET,   /* where they move an offset that is shared with others */
    HALO_TURN_SYNC      /* the kernel tells one of them of a failure, and all must know */
};

/* A result that nobody takes is kept, where the row says so; undone, where it has an undo; or else
 * forgotten. */
struct halo_op_row {
    enum halo_op_code code;
    const char *name;
    uint8_t opcode;      /* IORING_OP_*, or HALO_NO_OPCODE: always the pool */
    uint8_t poll_events; /* what to poll a stream for before, or 0 */
    uint8_t lookup;      /* enum halo_lookup; where it is not on a file */
    bool keep;           /* unclaimed, it goes to the front of the file, for the next who asks */
    bool on_file;        /* it is counted on op->file */
    uint8_t turn;        /* enum halo_turn: one after the other on a file */
    bool strays;         /* it goes on although nobody waits for it any more, and */
    bool after_strays;   /* it follows one that does */
    bool no_base;        /* there is no system call for it that takes a directory */
    bool opens;          /* its twin opens what it needs, by halo_op_open_at() and its like */
    bool no_follow;      /* a symbolic link as the last component is not followed */
    bool quick;          /* mostly short: may be tried on the loop's thread, see policy.h */
    bool only_reads;     /* what path leads to; what does not say so changes it */
    bool alters;         /* the attributes of a file, which need not be open for writing */
    bool lengthy;        /* its twin makes many calls, and repeats an interrupted one itself */
    /* Before the start, or NULL: returns 0, or -errno to end the operation at once. */
    int (*begin)(struct halo_loop *loop, struct halo_op *op);
    /* Fills in the rest of a zeroed SQE. */
    void (*prepare)(struct io_uring_sqe *sqe, const struct halo_op *op);
    /* As the twin, but -EAGAIN where it would wait or be long; NULL where that cannot be told. */
    int64_t (*attempt)(struct halo_op *op);
    /* The blocking twin: the plain system call. Returns its result or -errno. */
    int64_t (*block)(struct halo_op *op);
    /* At the answer, or NULL: sets op->result and returns DONE, or wants another round. */
    enum halo_step (*finish)(struct halo_loop *loop, struct halo_op *op, int64_t result);
    /* Makes the record one that takes the result back; false where there is nothing to take. */
    bool (*undo)(struct halo_loop *loop, struct halo_op *op);
};

#define HALO_OP_ROWS(X)                                                                            \
    X(HALO_OP_OPEN, halo_open_row)                                                                 \
    X(HALO_OP_CLOSE, halo_close_row)                                                               \
    X(HALO_OP_READ, halo_read_row)                                                                 \
    X(HALO_OP_WRITE, halo_write_row)                                                               \
    X(HALO_OP_FSYNC, halo_fsync_row)                                                               \
    X(HALO_OP_FDATASYNC, halo_fdatasync_row)                                                       \
    X(HALO_OP_FTRUNCATE, halo_ftruncate_row)                                                       \
    X(HALO_OP_FALLOCATE, halo_fallocate_row)                                                       \
    X(HALO_OP_FADVISE, halo_fadvise_row)                                                           \
    X(HALO_OP_SYNC_RANGE, halo_sync_range_row)                                                     \
    X(HALO_OP_SEEK, halo_seek_row)                                                                 \
    X(HALO_OP_LOCK, halo_lock_row)                                                                 \
    X(HALO_OP_STAT, halo_stat_row)                                                                 \
    X(HALO_OP_LSTAT, halo_lstat_row)                                                               \
    X(HALO_OP_FSTAT, halo_fstat_row)                                                               \
    X(HALO_OP_ACCESS, halo_access_row)                                                             \
    X(HALO_OP_CHMOD, halo_chmod_row)                                                               \
    X(HALO_OP_FCHMOD, halo_fchmod_row)                                                             \
    X(HALO_OP_CHOWN, halo_chown_row)                                                               \
    X(HALO_OP_LCHOWN, halo_lchown_row)                                                             \
    X(HALO_OP_FCHOWN, halo_fchown_row)                                                             \
    X(HALO_OP_UTIME, halo_utime_row)                                                               \
    X(HALO_OP_LUTIME, halo_lutime_row)                                                             \
    X(HALO_OP_FUTIME, halo_futime_row)                                                             \
    X(HALO_OP_TRUNCATE, halo_truncate_row)                                                         \
    X(HALO_OP_STATFS, halo_statfs_row)                                                             \
    X(HALO_OP_FSTATFS, halo_fstatfs_row)                                                           \
    X(HALO_OP_RENAME, halo_rename_row)                                                             \
    X(HALO_OP_REMOVE, halo_remove_row)                                                             \
    X(HALO_OP_MKDIR, halo_mkdir_row)                                                               \
    X(HALO_OP_RMDIR, halo_rmdir_row)                                                               \
    X(HALO_OP_LINK, halo_link_row)                                                                 \
    X(HALO_OP_SYMLINK, halo_symlink_row)                                                           \
    X(HALO_OP_READLINK, halo_readlink_row)                                                         \
    X(HALO_OP_REALPATH, halo_realpath_row)                                                         \
    X(HALO_OP_MKNOD, halo_mknod_row)                                                               \
    X(HALO_OP_READDIR, halo_readdir_row)                                                           \
    X(HALO_OP_GETDENTS, halo_getdents_row)                                                         \
    X(HALO_OP_GETXATTR, halo_getxattr_row)                                                         \
    X(HALO_OP_LGETXATTR, halo_lgetxattr_row)                                                       \
    X(HALO_OP_FGETXATTR, halo_fgetxattr_row)                                                       \
    X(HALO_OP_SETXATTR, halo_setxattr_row)                                                         \
    X(HALO_OP_LSETXATTR, halo_lsetxattr_row)                                                       \
    X(HALO_OP_FSETXATTR, halo_fsetxattr_row)                                                       \
    X(HALO_OP_LISTXATTR, halo_listxattr_row)                                                       \
    X(HALO_OP_LLISTXATTR, halo_llistxattr_row)                                                     \
    X(HALO_OP_FLISTXATTR, halo_flistxattr_row)                                                     \
    X(HALO_OP_REMOVEXATTR, halo_removexattr_row)                                                   \
    X(HALO_OP_LREMOVEXATTR, halo_lremovexattr_row)                                                 \
    X(HALO_OP_FREMOVEXATTR, halo_fremovexattr_row)                                                 \
    X(HALO_OP_COPYFILE, halo_copyfile_row)                                                         \
    X(HALO_OP_KEEP, halo_keep_row)                                                                 \
    X(HALO_OP_READFILE, halo_readfile_row)                                                         \
    X(HALO_OP_HASH, halo_hash_row)                                                                 \
    X(HALO_OP_FHASH, halo_fhash_row)                                                               \
    X(HALO_OP_WATCH, halo_watch_row)                                                               \
    X(HALO_OP_SYNC, halo_sync_row)                                                                 \
    X(HALO_OP_SPAWN, halo_spawn_row)                                                               \
    X(HALO_OP_WAIT, halo_wait_row)                                                                 \
    X(HALO_OP_POLL, halo_poll_row)

#define HALO_DECLARE_ROW(code, row) extern const struct halo_op_row row;
HALO_OP_ROWS(HALO_DECLARE_ROW)

/* The rows by the operations' codes. */
extern const struct halo_op_row *const halo_op_table[HALO_OP_COUNT];

static inline bool halo_op_is(const struct halo_op *op, enum halo_op_code code)
{
    return op->row->code == code;
}

/* Whether it has brought what nobody takes, and what is to be taken back. */
static inline bool halo_op_wants_undo(const struct halo_op *op)
{
    return op->abandoned && op->result >= 0 && op->row->undo && !op->undoing;
}

/* Whether what the engine does for it now is a poll. */
static inline bool halo_op_polls(const struct halo_op *op)
{
    return op->now->code == HALO_OP_POLL;
}

/* A twin for which the way below the base is opened first, see beneath.c. */
int64_t halo_op_block_below(struct halo_op *op);

/* Runs the twin of what is to be done now. Returns its result or -errno. */
static inline int64_t halo_op_block(struct halo_op *op)
{
    bool below = op->below && !op->row->opens && !halo_op_polls(op);
    return below ? halo_op_block_below(op) : op->now->block(op);
}

/* What a poll of this operation waits for: POLL* bits. */
static inline short halo_op_poll_events(const struct halo_op *op)
{
    return (short)(halo_op_is(op, HALO_OP_POLL) ? op->flags : op->row->poll_events);
}

#endif
