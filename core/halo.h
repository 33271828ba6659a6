/*
 * halo.h: the core, as everything outside of core/ sees it.
 *
 * A loop owns all state: the operations in flight, the open files, the timers and the engine that
 * carries operations out. The life of one operation is
 *
 *     op = halo_op_new(loop, HALO_OP_READ);    a record of the loop's, with a sequence number
 *     op->file = ..., op->length = ...;        the caller fills in what the operation needs
 *     halo_op_submit(loop, op, 0);             it is under way, or already done
 *     halo_loop_turn(loop, timeout_ns);        submits everything in one go, waits, collects
 *     op = halo_loop_next(loop);               completed operations, one after the other
 *     ... op->result ...
 *     halo_op_release(loop, op);               the record and its memory go back to the loop
 *
 * Results are never negative on success and -errno on failure. A loop belongs to the thread that
 * created it: no function here but halo_loop_interrupt() and halo_loop_wake() may be called
 * from any other one.
 */
#ifndef HALO_H
#define HALO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HALO_API __attribute__((visibility("default")))

#define HALO_VERSION "0.1.0"

/* ---- limits -------------------------------------------------------------------------------- */

#define HALO_MAX_FILES_DEFAULT     65536u /* files open at once; one more is EMFILE */
#define HALO_MAX_IN_FLIGHT_DEFAULT 1024u  /* operations with the engine; one more waits its turn */
#define HALO_POOL_THREADS_DEFAULT  32u    /* workers at most; they start as they are needed */
#define HALO_MAX_IN_FLIGHT_LIMIT   16384u /* three times that fit into a completion queue */
#define HALO_CHUNK_MAX             (16u << 20)  /* bytes in one system call; more is continued */
#define HALO_OFFSET_MAX            (1ull << 53) /* the largest offset or size a caller may name */
#define HALO_POSITION              UINT64_MAX   /* as an offset: the file's own position */

/* ---- configuration ------------------------------------------------------------------------- */

enum halo_engine_kind {
    HALO_ENGINE_AUTO, /* io_uring where the kernel grants it, else the pool; direct where faster */
    HALO_ENGINE_RING, /* io_uring for every operation that has an opcode */
    HALO_ENGINE_POOL, /* worker threads for every operation */
};

/* A zeroed struct is the default configuration. */
struct halo_config {
    uint32_t max_files;             /* 0: HALO_MAX_FILES_DEFAULT */
    uint32_t max_in_flight;         /* 0: HALO_MAX_IN_FLIGHT_DEFAULT */
    uint32_t pool_threads;          /* 0: HALO_POOL_THREADS_DEFAULT */
    enum halo_engine_kind engine;   /* HALO_ENGINE_AUTO */
    const struct halo_fence *fence; /* what paths may reach, or NULL; it outlives the loop */
};

/* Counters since the loop was created; "now" where it says so. */
struct halo_stats {
    uint64_t submitted;      /* operations handed to halo_op_submit() */
    uint64_t retired;        /* of those, the ones that have ended */
    uint64_t in_flight;      /* now: submitted and not retired */
    uint64_t in_flight_most; /* at once, so far */
    uint64_t queued;         /* now: of those, the ones waiting for room in the engine */
    uint64_t files_open;     /* now; without those that were only borrowed */
    uint64_t timers;         /* now */
    uint64_t direct;         /* operations carried out at once on the loop's thread */
    uint64_t ring;           /* submissions to io_uring */
    uint64_t pool;           /* submissions to the worker threads */
    uint64_t turns;          /* turns of the loop */
    uint64_t unknown;        /* completions whose sequence number nobody knew: always 0 */
};

/* ---- fences -------------------------------------------------------------------------------- */

#define HALO_MAY_READ    1u
#define HALO_MAY_WRITE   2u /* also reading */
#define HALO_MAY_EXECUTE 4u /* start processes, which no fence holds; without a path */
#define HALO_MAY_ADOPT   8u /* use descriptors by their number; without a path */

/*
 * What a loop's paths may reach: directories and files, its roots. A path goes by the root that its
 * names begin with, a relative one behind the working directory, and stays below that as by
 * halo_file_confine(); all else is -EACCES, and to make a device -EPERM. Files by their handles go
 * on. A root below another has the rights of both. allows() looks at the names alone. They return 0
 * or -errno.
 */
HALO_API int halo_fence_create(struct halo_fence **fence);
HALO_API int halo_fence_allow(struct halo_fence *fence, const char *path, unsigned rights);
HALO_API bool halo_fence_allows(const struct halo_fence *fence, const char *path, unsigned rights);
HALO_API void halo_fence_free(struct halo_fence *fence);

/* ---- operations ---------------------------------------------------------------------------- */

enum halo_op_code {
    /* Files. */
    HALO_OP_OPEN,       /* path, flags (O_*), mode -> file */
    HALO_OP_CLOSE,      /* file; refuses new work, cancels what is in flight, waits, closes */
    HALO_OP_READ,       /* file, length, offset, data or none, flags (HALO_READ_*) -> bytes; less at
                           the end, and of a stream, which gives what it has */
    HALO_OP_WRITE,      /* file, length, offset, data -> length, always all of it */
    HALO_OP_FSYNC,      /* file; a failure sticks to the file */
    HALO_OP_FDATASYNC,  /* file; likewise */
    HALO_OP_FTRUNCATE,  /* file, offset: the new size */
    HALO_OP_FALLOCATE,  /* file, flags (FALLOC_FL_*), offset, length */
    HALO_OP_FADVISE,    /* file, flags (POSIX_FADV_*), offset, length */
    HALO_OP_SYNC_RANGE, /* file, flags (SYNC_FILE_RANGE_*), offset, length */
    HALO_OP_SEEK,       /* file, flags (SEEK_DATA, SEEK_HOLE), offset -> offset; moves nothing */
    HALO_OP_LOCK,       /* file, flags (LOCK_SH, LOCK_EX, LOCK_UN); waits without a worker */
    /* Metadata. */
    HALO_OP_STAT,     /* path -> statx */
    HALO_OP_LSTAT,    /* path -> statx, of a symbolic link itself */
    HALO_OP_FSTAT,    /* file -> statx */
    HALO_OP_ACCESS,   /* path, mode (R_OK, ...) */
    HALO_OP_CHMOD,    /* path, mode */
    HALO_OP_FCHMOD,   /* file, mode */
    HALO_OP_CHOWN,    /* path, uid, gid; UINT32_MAX leaves one as it is */
    HALO_OP_LCHOWN,   /* path, uid, gid */
    HALO_OP_FCHOWN,   /* file, uid, gid */
    HALO_OP_UTIME,    /* path, times: of access and modification, or UTIME_NOW, UTIME_OMIT */
    HALO_OP_LUTIME,   /* path, times */
    HALO_OP_FUTIME,   /* file, times */
    HALO_OP_TRUNCATE, /* path, offset: the new size */
    HALO_OP_STATFS,   /* path -> data: a struct statfs */
    HALO_OP_FSTATFS,  /* file -> data: a struct statfs */
    /* Names. */
    HALO_OP_RENAME,   /* path, path2, flags (RENAME_*) */
    HALO_OP_REMOVE,   /* path, flags (HALO_REMOVE_LEFTOVER or 0) */
    HALO_OP_MKDIR,    /* path, mode */
    HALO_OP_RMDIR,    /* path */
    HALO_OP_LINK,     /* path, path2: the new name */
    HALO_OP_SYMLINK,  /* path: what it says, path2: its name */
    HALO_OP_READLINK, /* path -> data: what it says */
    HALO_OP_REALPATH, /* path -> data: absolute, without symbolic links */
    HALO_OP_MKNOD,    /* path, mode with S_IF*, offset: the device */
    HALO_OP_READDIR,  /* path, flags (HALO_READDIR_*) -> the count of entries: halo_op_entry() */
    HALO_OP_GETDENTS, /* file (a directory) -> the count of the next entries; 0 at the end */
    /* Extended attributes; path2 is the attribute's name. */
    HALO_OP_GETXATTR,     /* path, path2 -> data: the value */
    HALO_OP_LGETXATTR,    /* path, path2 -> data; of a symbolic link itself, as those below */
    HALO_OP_FGETXATTR,    /* file, path2 -> data */
    HALO_OP_SETXATTR,     /* path, path2, data, length, flags (XATTR_CREATE, XATTR_REPLACE) */
    HALO_OP_LSETXATTR,    /* path, path2, data, length, flags */
    HALO_OP_FSETXATTR,    /* file, path2, data, length, flags */
    HALO_OP_LISTXATTR,    /* path -> data: names, each with a NUL */
    HALO_OP_LLISTXATTR,   /* path -> data */
    HALO_OP_FLISTXATTR,   /* file -> data */
    HALO_OP_REMOVEXATTR,  /* path, path2 */
    HALO_OP_LREMOVEXATTR, /* path, path2 */
    HALO_OP_FREMOVEXATTR, /* file, path2 */
    /* More than one system call. */
    HALO_OP_COPYFILE, /* path, path2, flags (HALO_COPY_*) -> bytes of the file */
    HALO_OP_KEEP,     /* file, base: the File to take xattrs from, or 0; flags (HALO_COPY_*), mode,
                         uid, gid, times: what the file is to have */
    HALO_OP_READFILE, /* path, length: the most -> bytes; or -EFBIG. data as for a read, then 0: any
                       */
    HALO_OP_HASH,     /* path, flags (HALO_HASH_*) -> data: hexadecimal digits */
    HALO_OP_FHASH,    /* file, flags -> data; of the whole file */
    HALO_OP_WATCH,    /* file, base: the file of inotify, flags (IN_*) -> the watch's number */
    HALO_OP_SYNC,     /* everything that is mounted */
    HALO_OP_SPAWN,    /* spawn -> the process's number; file, which stands for the process */
    HALO_OP_WAIT,     /* file of a process; length is 1. It has ended then, and is to be reaped */
    HALO_OP_POLL,     /* fd, flags (POLL*) -> the events that are ready */
    HALO_OP_COUNT
};

/*
 * Flags of a read: to the end, with length as a guess, and an error where not all can be had; or
 * only to look, so that the next read gets the same. A look at a stream brings bytes only where
 * there is data of the caller's, and else their count.
 */
#define HALO_READ_ALL  256u
#define HALO_READ_PEEK 512u

/*
 * A flag of a write at the file's position whose result nobody waits for: whatever comes later on
 * the file follows it, reads of a stream excepted, and no cancel ends it. Its failure is the answer
 * to every later write, sync and close of the file. With no bytes it ends when those before it
 * have.
 */
#define HALO_WRITE_BEHIND 1024u

/* Beside that one: somebody waits. Later answers tell of a failure only where it was abandoned. */
#define HALO_WRITE_TOLD 2048u

/* flags of HALO_OP_MKDIR: what nobody takes is removed again, where another name would stay. */
#define HALO_MKDIR_UNDO 1u

/* flags of HALO_OP_REMOVE: it takes away what is left over, and is never cancelled. */
#define HALO_REMOVE_LEFTOVER 1u

#define HALO_COPY_EXCLUSIVE 1u /* the new name must not exist */
#define HALO_COPY_REFLINK   2u /* share the data on disk, or fail */
#define HALO_COPY_NO_LINK   4u /* never share them */
#define HALO_COPY_MODE      8u /* the permission bits too, those beyond the umask included */
#define HALO_COPY_TIMES     16u
#define HALO_COPY_NO_FOLLOW 32u  /* ELOOP where path is a symbolic link */
#define HALO_COPY_OWNER     64u  /* as far as that is permitted */
#define HALO_COPY_XATTRS    128u /* ACLs too, as far as the file system has them */
#define HALO_COPY_ANY       256u /* also what is no file; a directory is EISDIR */
#define HALO_COPY_SINGLE    512u /* EMLINK where the file has several names */
#define HALO_COPY_KEEP      (HALO_COPY_MODE | HALO_COPY_TIMES | HALO_COPY_OWNER | HALO_COPY_XATTRS)

#define HALO_HASH_SHA256 1u /* else XXH3 of 64 bits */

#define HALO_READDIR_STAT        1u /* also what stat says of each entry; without the vanished */
#define HALO_READDIR_FOLLOW      2u /* links are what they lead to; statx is the directory's own */
#define HALO_READDIR_NO_SYMLINKS 4u /* path begins at base, and has no link in it, or it fails */

/*
 * A process that is to be started: in memory of halo_op_storage(), and what it points to as well.
 * The descriptors are only looked at by halo_op_submit(), which takes duplicates.
 */
struct halo_spawn {
    char **argv;        /* the command, which is looked for in PATH, and its arguments, then NULL */
    char **envp;        /* its environment, then NULL; or NULL: as this process */
    int fds[3];         /* what it has as 0, 1 and 2; -1: as this process */
    int cwd_fd;         /* the directory that it starts in; -1: as this process */
    bool group;         /* it leads a group of processes, to be signalled together */
    bool keeps_ignored; /* what this process ignores, it does too: SIGPIPE and SIGXFSZ as well */
};

#define HALO_SIGNALED 256 /* of a process that was killed: this and the signal's number */
#define HALO_DUMPED   128 /* and this, where it has left its core */

struct halo_op_row;
struct halo_file;
struct halo_list;
struct statx;

/*
 * An operation's record. It owns the paths, and the memory that halo_op_storage() gave, up to
 * halo_op_release(), which the caller may call only once the operation has been handed back by
 * halo_loop_next() or was done at once: the kernel never holds a pointer to freed memory.
 */
struct halo_op {
    /* Filled in by the caller before submission. */
    void *user;      /* the caller's own */
    uint64_t file;   /* the file's handle; a result of HALO_OP_OPEN */
    uint64_t offset; /* bytes, at most HALO_OFFSET_MAX, or HALO_POSITION */
    uint8_t *data;   /* memory to read into or write from; NULL lets a read own its memory */
    size_t length;   /* bytes */
    int64_t result;  /* valid once the operation has ended */
    uint32_t flags;
    int fd;      /* HALO_OP_POLL only; the core fills it in for the others */
    size_t most; /* HALO_READ_ALL: more bytes are -EFBIG; 0: as many as there are */

    /* Private to the core. What every read and write touches stands together. */
    uint64_t seq;                  /* never reused; what the engines know the operation by */
    const struct halo_op_row *row; /* what it is */
    const struct halo_op_row *now; /* what the engine does for it now: the row, or a poll before */
    struct halo_file *slot;        /* the file it is counted on */
    struct halo_op *next, *prev;   /* its neighbours in the queue */
    struct halo_list *queue;       /* the one it waits in */
    uint8_t *into;                 /* the caller's memory, where data is the operation's own */
    size_t done;                   /* bytes read or written so far */
    uint8_t state;                 /* enum halo_op_state */
    uint8_t retries;               /* after answers that said nothing, and were no interruption */
    uint8_t place;                 /* of the file or path: 0, or which slow one */
    uint16_t interruptions;        /* answers that said only that a signal came */
    bool cancelled;                /* halo_op_cancel() was called */
    bool abandoned;                /* halo_op_abandon() was called */
    bool in_pool;                  /* is with the worker threads */
    bool in_poller;                /* is with the epoll instance */
    bool no_devices;               /* a fence lets it make none */
    bool pool_only;                /* the ring cannot or must not do it */
    bool below;                    /* takes more than a plain call below its base */
    bool refused;                  /* the ring answered that it does not know how */
    bool sequential;               /* has, or waits for, its turn at the file's position */
    bool advanced;                 /* and has moved it */
    bool straying;                 /* it goes on although nobody waits for it */
    bool undoing;                  /* it takes back what it has brought, such as a lock */
    bool polled;                   /* the stream was found ready */
    bool counted;                  /* it is one of max_in_flight */
    bool alone;                    /* nothing else of the caller's could run meanwhile */
    bool placed;                   /* place is known */
    bool resolved;                 /* the kernel had all of the path in its cache */
    bool no_try;                   /* not to be tried on the loop's thread */
    bool no_reader;                /* the open of a FIFO that nobody reads from yet */
    bool own_data;                 /* data lies in storage, */
    bool headed;                   /* behind a struct halo_kept */
    uint8_t rights, needs, needs2, rooted, lacking; /* of the fence, see fence.h */
    int anchor;                                     /* the caller's own */
    const bool *interrupt; /* the loop's, while the operation runs on its thread */

    /* What operations with paths have besides. */
    struct halo_file *base_slot; /* the directories it is counted on */
    struct halo_file *base2_slot;
    int base_fd;       /* or AT_FDCWD */
    int base2_fd;      /* the same for path2 */
    uint32_t resolve;  /* how paths below the base are, RESOLVE_*; see resolve.h */
    uint32_t resolve2; /* the same for path2 */
    int watched_fd;    /* the poller's duplicate of fd */
    const char *path;  /* set by halo_op_set_paths() */
    const char *path2;
    uint64_t base;  /* the directory that relative paths start from; 0: the working directory */
    uint64_t base2; /* the one that path2 starts from, where the operation has two; 0: as path */
    struct statx *statx;      /* a result */
    uint32_t after;           /* as many writes behind of the file have to end before */
    uint32_t mode;            /* permission bits of what is created, less the umask */
    uint32_t uid, gid;        /* not reset from use to use, as the two above and below */
    struct halo_spawn *spawn; /* likewise */
    struct timespec times[2]; /* of access, of modification */

    size_t stored; /* bytes at storage */
    char *storage; /* kept from use to use while it is small */
};

struct halo_loop;
struct halo_leftover; /* a name that is held */

/*
 * Takes a record for an operation of that kind. Returns NULL when memory is out. Fields start at
 * zero, but for offset, which starts at HALO_POSITION, and mode, uid, gid and times: an operation
 * that uses those needs them set.
 */
HALO_API struct halo_op *halo_op_new(struct halo_loop *loop, enum halo_op_code code);

/* Copies one path or two into the record (path2 may be NULL). Returns 0 or -ENOMEM. */
HALO_API int halo_op_set_paths(struct halo_op *op, const char *path, size_t path_length,
                               const char *path2, size_t path2_length);

/* Gives at least size bytes that live as long as the operation; NULL when memory is out. */
HALO_API char *halo_op_storage(struct halo_op *op, size_t size);

#define HALO_ALONE 1u /* submit flag: nothing else of the caller's could run meanwhile */

/*
 * Starts an operation. Returns true when it is under way: halo_loop_next() will hand it back
 * exactly once. Returns false when it has already ended (it was refused, or was carried out
 * directly): op->result is there to be read, and the caller releases the record. In a child of
 * fork() the result is -EOWNERDEAD.
 */
HALO_API bool halo_op_submit(struct halo_loop *loop, struct halo_op *op, unsigned flags);

/*
 * Asks an operation that is under way to end early. It still comes back through halo_loop_next(),
 * with -ECANCELED or with whatever it achieved before. No effect in a child of fork().
 */
HALO_API void halo_op_cancel(struct halo_loop *loop, struct halo_op *op);

/*
 * Says that nobody will take the operation's result, and cancels it if it has not ended. It still
 * comes back, to be released. What it brings is neither lost nor left behind: what a stream gave
 * goes to the front of the file, for the next read; a file that was opened is closed, and its name
 * removed where it was created exclusively; a directory is removed where HALO_MKDIR_UNDO says so;
 * a lock is given back. A write, a change of the size or a lock that has started keeps its place:
 * later ones, syncs and the close of the file follow it. Where it had not ended, it comes back
 * when all that is done.
 */
HALO_API void halo_op_abandon(struct halo_loop *loop, struct halo_op *op);

/* Waits until this operation has ended and takes it out of those that halo_loop_next() gives. */
HALO_API void halo_op_wait(struct halo_loop *loop, struct halo_op *op);

/* Gives a record back after its end, or unsubmitted. */
HALO_API void halo_op_release(struct halo_loop *loop, struct halo_op *op);

/* True once an operation has ended: its result is there, though it may not be handed back yet. */
HALO_API bool halo_op_has_ended(const struct halo_op *op);

/* What kind of operation it is. */
HALO_API enum halo_op_code halo_op_kind(const struct halo_op *op);

/* Whether its base confines: to lead out of that is EXDEV, as a rename across file systems is. */
HALO_API bool halo_op_is_confined(const struct halo_op *op);

/* Which of HALO_MAY_* it has not got; 0 where no fence has refused it. */
HALO_API unsigned halo_op_lacks(const struct halo_op *op);

/* The operation's name: "open", "read", ... */
HALO_API const char *halo_op_name(const struct halo_op *op);

/* An entry of a directory. */
struct halo_entry {
    const char *name;
    size_t length;             /* of the name */
    const struct statx *statx; /* where it was asked for and could be had, or NULL */
    uint32_t mode;             /* its type alone, as in st_mode; 0 where that is unknown */
    const char *next;          /* private: zeroed before the first one */
};

/* Goes on to the next of the entries that an operation has read; its result says how many. */
HALO_API void halo_op_entry(const struct halo_op *op, struct halo_entry *entry);

/* ---- files --------------------------------------------------------------------------------- */

/*
 * A file's handle is a 64-bit number, the slot's generation above its index. Once the file is
 * closed the handle is stale for ever: it gives -EBADF, never another file. 0 is never a handle.
 */
struct halo_file_info {
    uint32_t flags; /* the O_* flags it was opened with */
    bool stream;    /* a pipe, terminal or socket: no offsets, short reads are normal */
    bool confines;  /* see halo_file_confine() */
    bool local;     /* its close waits for no network and no daemon */
    uint64_t position;
    uint64_t behind; /* bytes that are being written behind */
    uint32_t in_flight;
    int write_error; /* of a write behind, or 0 */
};

/* Fills in info. Returns 0, or -EBADF for a handle that is closed or never was. */
HALO_API int halo_file_info(struct halo_loop *loop, uint64_t file, struct halo_file_info *info);

/* The descriptor, to look at and never to close; or -EBADF. */
HALO_API int halo_file_fd(struct halo_loop *loop, uint64_t file);

/*
 * The same, to be passed on to others: from here on they and the file have one position, which any
 * of them moves. There is no O_NONBLOCK that was not asked for.
 */
HALO_API int halo_file_share(struct halo_loop *loop, uint64_t file);

/*
 * The same, and the caller owns the descriptor from then on, which a close of the handle leaves
 * open; with lent false the handle owns it once more.
 */
HALO_API int halo_file_lend(struct halo_loop *loop, uint64_t file, bool lent);

/* Moves the file's own position. Returns 0, -EBADF, or -ESPIPE for a stream. */
HALO_API int halo_file_seek(struct halo_loop *loop, uint64_t file, uint64_t position);

/*
 * Takes over a descriptor that is already open, such as standard input, and gives its handle.
 * With borrow the close of the handle leaves the descriptor open. Returns 0, -EMFILE, -EBADF.
 */
HALO_API int halo_file_adopt(struct halo_loop *loop, int fd, bool borrow, uint64_t *file);

#define HALO_CONFINE_BENEATH   1u /* nothing outside of it: EXDEV, or ELOOP for /proc's links */
#define HALO_CONFINE_NO_MOUNTS 2u /* nothing that is mounted below it: EXDEV */
#define HALO_CONFINE_NO_LINKS  4u /* nothing through a symbolic link: ELOOP */

/*
 * Limits what operations that have a directory as their base can reach from it, by any path and
 * any link. Directories that are opened through it are limited in the same way, but to themselves,
 * and links do not count for them. It can only be made stricter. Returns 0 or -EBADF.
 */
HALO_API int halo_file_confine(struct halo_loop *loop, uint64_t file, unsigned how);

/*
 * Sends a signal to a process that HALO_OP_SPAWN has started and nobody has reaped yet, or, where
 * it leads a group, to all of that. Returns 0, -EBADF, -EINVAL for no signal, -EPERM, or -ESRCH
 * where it has ended.
 */
HALO_API int halo_file_signal(struct halo_loop *loop, uint64_t file, int signal_number);

/*
 * Reaps a process that has ended: frees its number and closes the file. Returns its exit code, or
 * HALO_SIGNALED and more; or -EBADF, -EAGAIN where it has not ended, or -ECHILD where this process
 * ignores SIGCHLD, so that nobody knows.
 */
HALO_API int halo_file_reap(struct halo_loop *loop, uint64_t file);

/*
 * Closes a file that was forgotten, without a result for anybody: at once where nothing is in
 * flight, else after that has ended. It neither waits nor submits, so that a finalizer may call
 * it. A stale handle is ignored.
 */
HALO_API void halo_file_drop(struct halo_loop *loop, uint64_t file);

/* Calls visit with the handle of each file that is open, standard input and its like excepted. */
HALO_API void halo_file_each(struct halo_loop *loop, void (*visit)(uint64_t file, void *context),
                             void *context);

/* True while a file is open, a borrowed one included. */
HALO_API bool halo_loop_has_files(const struct halo_loop *loop);

/* ---- timers -------------------------------------------------------------------------------- */

/* Lives in the caller's memory, zeroed at first; must be stopped before that memory goes. */
struct halo_timer {
    void *user;
    uint64_t deadline_ns; /* on the clock of halo_now_ns() */
    uint64_t order;       /* private: earlier started, earlier handed on */
    uint32_t index;       /* private: place in the heap plus one; 0 when it is not armed */
};

/* The monotonic clock. */
HALO_API uint64_t halo_now_ns(void);

/* Arms a timer. Returns 0 or -ENOMEM. */
HALO_API int halo_timer_start(struct halo_loop *loop, struct halo_timer *timer,
                              uint64_t deadline_ns);
/* Disarms it; nothing happens where it is not armed. */
HALO_API void halo_timer_stop(struct halo_loop *loop, struct halo_timer *timer);

/* ---- at once or not at all ----------------------------------------------------------------- */

#define HALO_DECLINED INT64_MIN

/*
 * Calls that need no operation where the answer can be had at once: cached, on a local file system,
 * short. Each returns what the system call does, never an error, or HALO_DECLINED. Then it is as if
 * nothing had been asked: an operation finds out why. Arguments and flags are those of the
 * operation: a file's handle, an offset that may be HALO_POSITION, HALO_ALONE.
 */
HALO_API int64_t halo_fast_read(struct halo_loop *loop, uint64_t file, void *data, size_t length,
                                uint64_t offset, unsigned flags);
HALO_API int64_t halo_fast_write(struct halo_loop *loop, uint64_t file, const void *data,
                                 size_t length, uint64_t offset, unsigned flags);
/* follow: the last component, where it is a symbolic link. */
HALO_API int64_t halo_fast_stat(struct halo_loop *loop, const char *path, bool follow,
                                struct statx *status, unsigned flags);
HALO_API int64_t halo_fast_fstat(struct halo_loop *loop, uint64_t file, struct statx *status,
                                 unsigned flags);
/*
 * The content of a regular file of at most size bytes, which data has room for. Where it is a FIFO
 * or a device the call is declined and stream_fd a descriptor, else -1: the caller goes on with
 * that. To open it a second time could do something, and a writer that has waited for a reader
 * would lose what it writes to one that is gone again.
 */
HALO_API int64_t halo_fast_readfile(struct halo_loop *loop, const char *path, void *data,
                                    size_t size, int *stream_fd, unsigned flags);

/* ---- the loop ------------------------------------------------------------------------------ */

/*
 * Creates a loop. config may be NULL. Returns 0, -ENOMEM, -EINVAL for a limit out of range, or,
 * where config asks for the ring and the kernel refuses it, the kernel's error; HALO_ENGINE_AUTO
 * takes the pool then.
 */
HALO_API int halo_loop_create(struct halo_loop **loop, const struct halo_config *config);

/*
 * Cancels everything, waits for it to end, closes every file and frees the loop. What has not
 * ended when the deadline passes keeps its memory for ever, since the kernel may still write to
 * it. Returns the number of those.
 */
HALO_API unsigned halo_loop_close(struct halo_loop *loop, uint64_t deadline_ms);

/*
 * Holds a name in an open directory: halo_loop_close() removes it, with all that is below, once
 * nothing is under way, unless it is released before. For what is made under a name of its own and
 * renamed when it is done. Returns NULL where memory is out, or such a name cannot be held.
 */
HALO_API struct halo_leftover *halo_leftover_hold(struct halo_loop *loop, uint64_t directory,
                                                  const char *name);
HALO_API void halo_leftover_release(struct halo_loop *loop, struct halo_leftover *leftover);

/*
 * One turn: hands everything queued to the kernel in one system call, waits until something has
 * ended, a timer has run out or timeout_ns has passed (negative: for ever, 0: not at all), and
 * collects what has ended. Returns 0, or -EINTR after halo_loop_interrupt().
 */
HALO_API int halo_loop_turn(struct halo_loop *loop, int64_t timeout_ns);

/* As a turn that waits for ever, but timers that run out do not end it. For a caller's wait on the
 * spot; halo_loop_wake() and the interrupt end it. */
HALO_API void halo_loop_wait(struct halo_loop *loop);

/* The next operation that has ended, or NULL. */
HALO_API struct halo_op *halo_loop_next(struct halo_loop *loop);

/* The next timer that has run out, or NULL. It is no longer armed. */
HALO_API struct halo_timer *halo_loop_next_timer(struct halo_loop *loop);

/*
 * True when operations that were done at once have taken so much of this turn that the caller
 * should let others of its own run, and then make the next turn.
 */
HALO_API bool halo_loop_is_due(const struct halo_loop *loop);

/* What those have taken of this turn, in nanoseconds. */
HALO_API uint64_t halo_loop_spent_ns(const struct halo_loop *loop);

/*
 * Whether an operation is under way that may look up a path from the working directory, or starts a
 * program there: only then must it not change.
 */
HALO_API bool halo_loop_needs_cwd(const struct halo_loop *loop);

/*
 * Changes the working directory. Returns 0 or -errno: -EACCES, too, where the fence refuses the
 * path, and -EXDEV where that leads out of it.
 */
HALO_API int halo_loop_chdir(struct halo_loop *loop, const char *path);

/* True while an operation is under way or a timer armed: a turn has something to wait for. */
HALO_API bool halo_loop_busy(const struct halo_loop *loop);

/*
 * A descriptor that polls readable when a turn has something to collect, for a host's own loop.
 * The host waits no longer than halo_loop_timeout_ns() says, asked after the last submission. In a
 * child of fork() they are -EOWNERDEAD and -1, and a turn is a broken invariant.
 */
HALO_API int halo_loop_fd(const struct halo_loop *loop);

/*
 * Nanoseconds until a turn has something to do by itself: until the first timer runs out, 0 where
 * something waits to be submitted or handed on; negative when only the descriptor will say so.
 */
HALO_API int64_t halo_loop_timeout_ns(const struct halo_loop *loop);

/* True in a child of fork(): there a loop can only be closed. */
HALO_API bool halo_loop_is_forked(const struct halo_loop *loop);

/* Makes the current or next turn return -EINTR. Safe in a signal handler and any thread. */
HALO_API void halo_loop_interrupt(struct halo_loop *loop);

/*
 * Lets a turn that waits end. Safe in a signal handler and any thread. False where that could not
 * be, and in a child of fork().
 */
HALO_API bool halo_loop_wake(struct halo_loop *loop);
/*
 * The name of a kind of operation, and whether it goes to the ring here, as far as has turned out;
 * NULL where there is no such kind.
 */
HALO_API const char *halo_loop_carries(const struct halo_loop *loop, unsigned code, bool *by_ring);

/* Whether a path leads to a file system of this kernel alone. */
HALO_API bool halo_loop_is_local(struct halo_loop *loop, const char *path);

/* Fills in the counters. */
HALO_API void halo_loop_stats(const struct halo_loop *loop, struct halo_stats *stats);

/* The name of the engine in use, "ring" or "pool". */
HALO_API const char *halo_loop_engine(const struct halo_loop *loop);

/* Why that engine: one line for people, naming the likely cause where io_uring was refused. */
HALO_API const char *halo_loop_engine_reason(const struct halo_loop *loop);

/* Writes a line into text that explains an error of halo_loop_create(), and its likely cause. */
HALO_API void halo_loop_explain(int error, const struct halo_config *config, char *text,
                                size_t size);

/* The errno's name, such as "ENOENT", or "UNKNOWN". Takes it positive or negative. */
HALO_API const char *halo_error_name(int error);

#ifdef __cplusplus
}
#endif

#endif
