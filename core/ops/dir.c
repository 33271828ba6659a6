/*
 * Directories. The kernel has no opcode for getdents, so that one trip to a worker does all that is
 * wanted of a directory: open it, read it, look at each entry, and close it again.
 */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <liburing.h>

#include "loop.h"
#include "ops/shared.h"
#include "resolve.h"

#define TRY_BATCHES_MAX 4
#define TRY_LOOKS_MAX   512   /* at entries, one by one */
#define BATCH_BYTES     32768 /* of entries in one system call */

/* ---- opening ------------------------------------------------------------------------------- */

static int open_once(const struct halo_op *op, int base, const char *path, int flags,
                     uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_DIRECTORY | O_CLOEXEC),
        .resolve = resolve,
    };
    if (op->resolve)
        return halo_op_outside(
            op, base, halo_resolve_open(base, path, flags | O_DIRECTORY, 0, resolve | op->resolve));
    if (resolve == 0)
        return (int)halo_result_of(openat(base, path, (int)how.flags));
    return (int)halo_result_of(syscall(SYS_openat2, base, path, &how, sizeof(how)));
}

static int open_piece(const struct halo_op *op, int base, const char *path, int flags,
                      uint64_t resolve)
{
    unsigned tries = 0;
    int fd;

    do
        fd = open_once(op, base, path, flags, resolve);
    while (fd == -EINTR && halo_op_retries(op, &tries));
    return fd;
}

/* How much of a path one call takes: whole names, or PATH_MAX and more where one is too long. */
static size_t piece_length(const char *path)
{
    size_t length = strlen(path);
    size_t slash = PATH_MAX - 1;

    if (length < PATH_MAX)
        return length;
    while (slash > 0 && path[slash] != '/')
        slash--;
    return slash > 0 ? slash : length;
}

/* A walk's path may be of any length: each part is opened in the one before. */
static int open_from_base(const struct halo_op *op, uint64_t resolve, bool by_names)
{
    char piece[PATH_MAX];
    const char *path = op->path;
    int base = op->base_fd;
    int fd;

    do {
        bool walks = op->flags & (HALO_READDIR_NO_SYMLINKS | HALO_READDIR_FOLLOW);
        size_t length = by_names ? strcspn(path, "/") : walks ? piece_length(path) : strlen(path);
        if (length < PATH_MAX) {
            memcpy(piece, path, length);
            piece[length] = '\0';
            path += length;
            path += strspn(path, "/");
            int flags = (*path ? O_PATH : O_RDONLY) | (by_names ? O_NOFOLLOW : 0);
            fd = open_piece(op, base, piece, flags, resolve);
        } else {
            fd = -ENAMETOOLONG;
        }
        if (base != op->base_fd)
            close(base);
        base = fd;
    } while (fd >= 0 && *path);
    return fd;
}

/*
 * For a try on the loop's thread the path must stay on the base's own file system: what is mounted
 * below may be a network's. Kernels before 5.6, and some sandboxes, have no openat2.
 */
static int open_directory(const struct halo_op *op, bool try)
{
    if (!op->base)
        return open_piece(op, op->base_fd, op->path, O_RDONLY, 0);
    bool no_links = op->flags & HALO_READDIR_NO_SYMLINKS;
    uint64_t resolve = (try ? RESOLVE_NO_XDEV : 0) | (no_links ? RESOLVE_NO_SYMLINKS : 0);
    int fd = open_from_base(op, resolve, false);
    bool refused = resolve && (fd == -ENOSYS || fd == -EPERM);
    if (try && (refused || fd == -EXDEV))
        return -EAGAIN;
    return refused ? open_from_base(op, 0, true) : fd;
}

/* ---- entries ------------------------------------------------------------------------------- */

struct listing {
    struct halo_op *op;
    int fd;
    size_t used; /* of the operation's storage */
    int64_t count;
    unsigned batches_left, looks_left;
};

/* In storage an entry is its statx, if that is asked for, then this; all at multiples of 8. */
struct stored_entry {
    uint16_t size;   /* to the next one */
    uint16_t length; /* of the name */
    bool known;      /* the statx is filled in */
    uint8_t type;    /* d_type */
    char name[];
};

static size_t statx_size(const struct halo_op *op)
{
    return op->flags & HALO_READDIR_STAT ? sizeof(struct statx) : 0;
}

static size_t rounded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

void halo_op_entry(const struct halo_op *op, struct halo_entry *entry)
{
    const char *at = entry->next ? entry->next : (const char *)op->data;
    const struct stored_entry *stored = (const struct stored_entry *)(at + statx_size(op));
    entry->name = stored->name;
    entry->length = stored->length;
    entry->statx = stored->known ? (const struct statx *)at : NULL;
    entry->mode = stored->type == DT_UNKNOWN ? 0 : DTTOIF(stored->type);
    entry->next = at + stored->size;
}

/* A link that leads nowhere is just a link. */
static int look_at(const struct listing *listing, const char *name, struct statx *statx_now)
{
    bool follow = listing->op->flags & HALO_READDIR_FOLLOW;
    if (follow && halo_op_look_into(listing->op, listing->fd, name, statx_now) == 0)
        return 0;
    return statx(listing->fd, name, AT_SYMLINK_NOFOLLOW, HALO_STATX_WANTED, statx_now);
}

/* Not every file system keeps the type in the directory. */
static bool wants_look(const struct listing *listing, unsigned char type)
{
    uint32_t flags = listing->op->flags;
    return type == DT_UNKNOWN || (flags & HALO_READDIR_STAT) ||
           (type == DT_LNK && (flags & HALO_READDIR_FOLLOW));
}

/* Adds an entry to the listing. Returns 0 or -errno. */
static int add_entry(struct listing *listing, const struct dirent64 *found)
{
    struct halo_op *op = listing->op;
    struct statx seen;
    size_t kept = statx_size(op);
    size_t length = strlen(found->d_name);
    size_t size = rounded(kept + sizeof(struct stored_entry) + length + 1);
    size_t needed = listing->used + size;

    if (needed > op->stored && !halo_op_storage(op, 2 * needed))
        return -ENOMEM;
    char *at = op->storage + listing->used;
    struct stored_entry *entry = (struct stored_entry *)(at + kept);
    /* cppcheck-suppress uninitvar ; look_at() fills it in before it is read */
    struct statx *status = kept ? (struct statx *)at : &seen;
    *entry = (struct stored_entry){
        .size = (uint16_t)size,
        .length = (uint16_t)length,
        .type = found->d_type,
    };
    if (wants_look(listing, found->d_type)) {
        if (listing->looks_left-- == 0)
            return -EAGAIN;
        if (look_at(listing, found->d_name, status) == 0) {
            entry->type = IFTODT(status->stx_mode);
            entry->known = kept > 0;
        } else if (kept && errno == ENOENT) {
            return 0;
        }
    }
    memcpy(entry->name, found->d_name, length + 1);
    listing->used += size;
    listing->count++;
    return 0;
}

static bool is_own(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* One system call's worth of entries. Returns the bytes it has read, 0 at the end, or -errno. */
static int64_t add_batch(struct listing *listing)
{
    _Alignas(struct dirent64) char batch[BATCH_BYTES];

    if (listing->batches_left-- == 0)
        return -EAGAIN;
    if (halo_op_is_cancelled(listing->op))
        return -ECANCELED;
    unsigned tries = 0;
    ssize_t got;
    do
        got = getdents64(listing->fd, batch, sizeof(batch));
    while (got < 0 && errno == EINTR && halo_op_retries(listing->op, &tries));
    if (got < 0)
        return -errno;
    for (char *at = batch; at < batch + got;) {
        const struct dirent64 *found = (const struct dirent64 *)at;
        int error = is_own(found->d_name) ? 0 : add_entry(listing, found);
        if (error)
            return error;
        at += found->d_reclen;
    }
    return got;
}

/* ---- the operations ------------------------------------------------------------------------ */

/* Looking at an entry with a network file system mounted on it may take long, as may a link. */
static int readdir_begin(struct halo_loop *loop, struct halo_op *op)
{
    bool looks = op->flags & (HALO_READDIR_STAT | HALO_READDIR_FOLLOW);
    op->no_try = looks && !loop->files.mounts.all_local;
    return 0;
}

/* The listing stands behind the path in storage: one that is cut short needs it to start again. */
static int64_t list(struct listing *listing)
{
    struct halo_op *op = listing->op;
    size_t start = rounded(strlen(op->path) + 1);
    int64_t got = 0;

    listing->used = start;
    if (op->flags & HALO_READDIR_FOLLOW)
        got = halo_result_of(statx(listing->fd, "", AT_EMPTY_PATH, HALO_STATX_WANTED, op->statx));
    if (got == 0)
        do
            got = add_batch(listing);
        while (got > 0);
    op->data = (uint8_t *)op->storage + start;
    return got < 0 ? got : listing->count;
}

static int64_t open_and_list(struct listing *listing, bool try)
{
    listing->fd = open_directory(listing->op, try);
    if (listing->fd < 0)
        return listing->fd;
    int64_t result = list(listing);
    close(listing->fd);
    return result;
}

static int64_t readdir_block(struct halo_op *op)
{
    struct listing all = {.op = op, .batches_left = UINT_MAX, .looks_left = UINT_MAX};
    return open_and_list(&all, false);
}

static int64_t readdir_attempt(struct halo_op *op)
{
    struct listing few = {
        .op = op,
        .batches_left = TRY_BATCHES_MAX,
        .looks_left = TRY_LOOKS_MAX,
    };
    return open_and_list(&few, true);
}

/* Entries that nobody takes go to the front of the file, and need a head for that. */
static int getdents_begin(struct halo_loop *loop, struct halo_op *op)
{
    (void)loop;
    op->headed = true;
    char *storage = halo_op_storage(op, sizeof(struct halo_kept));
    if (!storage)
        return -ENOMEM;
    *(struct halo_kept *)storage = (struct halo_kept){.seq = op->seq};
    return 0;
}

/* An open directory's next entries. A batch of nothing but "." and ".." is not yet the end. */
static int64_t getdents_block(struct halo_op *op)
{
    struct listing next = {
        .op = op,
        .fd = op->fd,
        .used = sizeof(struct halo_kept),
        .batches_left = UINT_MAX,
        .looks_left = UINT_MAX,
    };
    int64_t got;

    do
        got = add_batch(&next);
    while (got > 0 && next.count == 0);
    op->data = (uint8_t *)op->storage + sizeof(struct halo_kept);
    return got < 0 ? got : next.count;
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_readdir_row = {
    .code = HALO_OP_READDIR,
    .name = "readdir",
    .opcode = HALO_NO_OPCODE,
    .quick = true,
    .lengthy = true,
    .opens = true,
    .only_reads = true,
    .begin = readdir_begin,
    .attempt = readdir_attempt,
    .block = readdir_block,
};

const struct halo_op_row halo_getdents_row = {
    .code = HALO_OP_GETDENTS,
    .name = "getdents",
    .opcode = HALO_NO_OPCODE,
    .keep = true,
    .on_file = true,
    .turn = HALO_TURN_POSITION,
    .quick = true,
    .begin = getdents_begin,
    .block = getdents_block,
};
