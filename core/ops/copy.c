/*
 * Whole files in one operation: what takes half a dozen system calls is worth one hand-off to a
 * worker, not six. Between two pieces it looks whether it has been cancelled.
 */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/magic.h>

#include "loop.h"
#include "ops/attributes.h"
#include "ops/shared.h"

#define PIECE_BYTES     (16u << 20)  /* between two looks */
#define BUFFER_BYTES    (256u << 10) /* for what the kernel does not copy by itself */
#define BUFFER_LEAST    2048u
#define SMALL_BYTES     (64u << 10) /* quicker by a buffer, and soon done */
#define PRIVATE_MODE    0600
#define TRIES_MAX       64          /* for a name that others give to another kind meanwhile */
#define IDLE_MAX        8           /* times that a write may say that it has written nothing */
#define BLOCK_BYTES_MAX (64u << 10) /* of a file system that shares data: a page, at the most */

/* ---- copying data -------------------------------------------------------------------------- */

static bool comes_again(const struct halo_op *op, ssize_t moved, unsigned *tries)
{
    return moved < 0 && errno == EINTR && halo_op_retries(op, tries);
}

static int set_size(const struct halo_op *op, int to, off_t size)
{
    unsigned tries = 0;
    int done;

    do
        done = ftruncate(to, size);
    while (comes_again(op, done, &tries));
    return done;
}

/* Writes all of it. Returns 0 or -errno: EIO where writes keep writing nothing. */
static int64_t write_piece(const struct halo_op *op, int to, const char *data, size_t length,
                           off_t at)
{
    unsigned tries = 0, idle = 0;

    while (length > 0) {
        ssize_t written = pwrite(to, data, length, at);
        if (written < 0 && !comes_again(op, written, &tries))
            return -errno;
        if (written == 0 && ++idle > IDLE_MAX)
            return -EIO;
        if (written > 0) {
            data += written;
            length -= (size_t)written;
            at += written;
        }
    }
    return 0;
}

static ssize_t read_piece(const struct halo_op *op, int from, char *data, size_t length, off_t at)
{
    unsigned tries = 0;
    ssize_t got;

    do
        got = pread(from, data, length, at);
    while (comes_again(op, got, &tries));
    return got < 0 ? -errno : got;
}

/* Returns the bytes copied, fewer where the old file ends, or -errno. */
static int64_t copy_through_buffer(const struct halo_op *op, int from, int to, off_t at,
                                   size_t length)
{
    size_t done = 0, room = length < BUFFER_BYTES ? length : BUFFER_BYTES;
    int64_t result = 1;
    /* Small pieces would stay in the cache that malloc has for this thread. */
    room = room < BUFFER_LEAST ? BUFFER_LEAST : room;
    char *buffer = malloc(room);

    if (!buffer)
        return -ENOMEM;
    while (result > 0 && done < length) {
        size_t want = length - done < room ? length - done : room;
        off_t place = at + (off_t)done;
        result = read_piece(op, from, buffer, want, place);
        if (result > 0) {
            int64_t error = write_piece(op, to, buffer, (size_t)result, place);
            done += error ? 0 : (size_t)result;
            result = error ? error : result;
        }
    }
    free(buffer);
    return result < 0 ? result : (int64_t)done;
}

/* Not all pairs of file systems let the kernel copy between them. */
static bool needs_buffer(int error)
{
    return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP ||
           error == EBADF || error == EPERM;
}

static int64_t copy_piece(const struct halo_op *op, int from, int to, off_t at, size_t length)
{
    off_t in = at, out = at;
    /* The kernel's own copy is a clone where the file system can make one, as xfs and btrfs do. */
    if (length <= SMALL_BYTES || (op->flags & HALO_COPY_NO_LINK))
        return copy_through_buffer(op, from, to, at, length);
    unsigned tries = 0;
    ssize_t copied;
    do
        copied = copy_file_range(from, &in, to, &out, length, 0);
    while (comes_again(op, copied, &tries));
    if (copied > 0)
        return copied;
    /* Files of /proc and its like answer 0, but have data to read. */
    if (copied == 0 || needs_buffer(errno))
        return copy_through_buffer(op, from, to, at, length);
    return -errno;
}

/* Copies [at, end). Returns 0 or -errno; a file that shrinks meanwhile just ends earlier. */
static int64_t copy_extent(const struct halo_op *op, int from, int to, off_t at, off_t end)
{
    while (at < end) {
        size_t length = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
        if (halo_op_is_cancelled(op))
            return -ECANCELED;
        int64_t copied = copy_piece(op, from, to, at, length);
        if (copied < 0)
            return copied;
        if (copied == 0)
            break;
        at += copied;
    }
    return 0;
}

/* Data only: holes stay holes. Where the file system knows none, all of the file is data. */
static int64_t copy_data(const struct halo_op *op, int from, int to, off_t size)
{
    off_t at = 0;

    while (at < size) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        off_t hole = data < 0 ? size : lseek(from, data, SEEK_HOLE);
        if (data < 0)
            data = at;
        if (hole < 0 || hole > size)
            hole = size;
        int64_t error = copy_extent(op, from, to, data, hole);
        if (error)
            return error;
        at = hole;
    }
    /*
     * This only makes a hole at the end. Where there is none it would cost: ext4 writes a file to
     * the disk at its close once it has been truncated while it was empty.
     */
    if (at >= size)
        return 0;
    return set_size(op, to, size) < 0 && errno != EINVAL ? -errno : 0; /* EINVAL: a device */
}

/* Copies a file whose size is not known beforehand, such as those of /proc. */
static int64_t copy_unsized(const struct halo_op *op, int from, int to)
{
    int64_t total = 0, copied;
    do {
        if (halo_op_is_cancelled(op))
            return -ECANCELED;
        copied = copy_through_buffer(op, from, to, total, PIECE_BYTES);
        total += copied > 0 ? copied : 0;
    } while (copied > 0);
    return copied;
}

static int64_t copy_contents(const struct halo_op *op, int from, int to, off_t size)
{
    if (!(op->flags & HALO_COPY_NO_LINK)) {
        if (ioctl(to, FICLONE, from) == 0)
            return 0;
        if (op->flags & HALO_COPY_REFLINK)
            return -errno;
    }
    return size > 0 ? copy_data(op, from, to, size) : copy_unsized(op, from, to);
}

/* A copy that is given another owner or mode is for nobody else until then. */
static mode_t first_mode(const struct halo_op *op, mode_t mode)
{
    bool changes = op->flags & (HALO_COPY_MODE | HALO_COPY_OWNER | HALO_COPY_XATTRS);
    return changes ? PRIVATE_MODE : mode & 0777;
}

/* Opens the new file, or -errno; says whether it is made by this. */
static int open_target(const struct halo_op *op, mode_t mode, bool *created)
{
    int flags = O_WRONLY | O_CREAT;
    int fd = halo_op_open_from(op, op->base2_fd, op->path2, flags | O_EXCL, mode, false);
    *created = fd >= 0;
    if (fd != -EEXIST || (op->flags & HALO_COPY_EXCLUSIVE))
        return fd;
    return halo_op_open_from(op, op->base2_fd, op->path2, flags, mode, false);
}

struct copy {
    const struct halo_op *op;
    int from, to;
    struct stat source;
    struct stat target; /* as it was found, or made */
    bool created;
};

static int64_t check_source(const struct stat *source)
{
    if (S_ISREG(source->st_mode))
        return 0;
    return S_ISDIR(source->st_mode) ? -EISDIR : -EINVAL;
}

/* Opening what cannot be copied, such as a device, could have an effect: it is looked at first. */
static int64_t look_at_source(struct copy *copy)
{
    const struct halo_op *op = copy->op;
    int look = op->flags & HALO_COPY_NO_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0;

    int64_t error = halo_op_stat_at(op, op->base_fd, op->path, look, &copy->source);
    if (error)
        return error;
    bool linked = copy->source.st_nlink > 1 && !S_ISDIR(copy->source.st_mode);
    return linked && (op->flags & HALO_COPY_SINGLE) ? -EMLINK : 0;
}

static int64_t open_source(struct copy *copy, bool at_once)
{
    const struct halo_op *op = copy->op;
    int flags = O_RDONLY | (op->flags & HALO_COPY_NO_FOLLOW ? O_NOFOLLOW : 0);
    int64_t error = check_source(&copy->source);

    if (error && !S_ISLNK(copy->source.st_mode))
        return error;
    copy->from = halo_op_open_at(op, op->path, flags, 0, at_once);
    error = copy->from < 0 ? copy->from : halo_op_fstat(op, copy->from, &copy->source);
    if (!error)
        error = check_source(&copy->source);
    /* What was a file at the look is another thing now. */
    bool changed = error == -ELOOP || error == -ENXIO || error == -EINVAL;
    return changed && (op->flags & HALO_COPY_ANY) ? -ESTALE : error;
}

static bool cannot_share(int error)
{
    return error == EXDEV || error == EOPNOTSUPP || error == EINVAL || error == ENOTTY ||
           error == ENOSYS || error == EPERM || error == ETXTBSY;
}

/*
 * Empties a file for the copy. Where the data must be shared, a clone behind the file's end is
 * tried first: if that is refused, the file is still as it was.
 */
static int empty_target(const struct copy *copy)
{
    uint64_t size = (uint64_t)copy->target.st_size;
    struct file_clone_range behind = {
        .src_fd = copy->from,
        .dest_offset = (size + BLOCK_BYTES_MAX - 1) / BLOCK_BYTES_MAX * BLOCK_BYTES_MAX,
    };
    if ((copy->op->flags & HALO_COPY_REFLINK) && ioctl(copy->to, FICLONERANGE, &behind) < 0 &&
        cannot_share(errno))
        return -1;
    return set_size(copy->op, copy->to, 0);
}

/* Opens the new file; one that exists is emptied only once it is known not to be the old one. */
static int64_t open_copy(struct copy *copy)
{
    copy->to = open_target(copy->op, first_mode(copy->op, copy->source.st_mode), &copy->created);
    if (copy->to < 0)
        return copy->to;
    int error = halo_op_fstat(copy->op, copy->to, &copy->target);
    if (error) {
        /* What was made is taken away only where it is known: this asks once more. */
        halo_op_fstat(copy->op, copy->to, &copy->target);
        return error;
    }
    if (copy->target.st_dev == copy->source.st_dev && copy->target.st_ino == copy->source.st_ino)
        return -EINVAL;
    bool emptied = S_ISREG(copy->target.st_mode) && copy->target.st_size > 0;
    return emptied && empty_target(copy) < 0 ? -errno : 0;
}

/* Where data can be shared, the old file is written to the disk before. */
static bool may_share(const struct copy *copy)
{
    struct statfs status;
    if (copy->op->flags & HALO_COPY_NO_LINK)
        return false;
    return fstatfs(copy->from, &status) < 0 ||
           (status.f_type != EXT4_SUPER_MAGIC && status.f_type != TMPFS_MAGIC);
}

/* Files of /proc say that they are empty, and may be long. */
static bool is_short(const struct copy *copy)
{
    off_t size = copy->source.st_size;
    return size > 0 && size <= SMALL_BYTES && !may_share(copy);
}

/* The last one to close a device waits until all is on it. */
static bool leads_to_file(const struct halo_op *op)
{
    struct stat status;
    return (op->flags & HALO_COPY_EXCLUSIVE) ||
           halo_op_stat_at(op, op->base2_fd, op->path2, 0, &status) < 0 || S_ISREG(status.st_mode);
}

/* What there is now: files of /proc and /sys do not know how long they are. */
static int64_t count_bytes(const struct copy *copy)
{
    struct stat status;
    if (S_ISREG(copy->target.st_mode) && halo_op_fstat(copy->op, copy->to, &status) == 0)
        return status.st_size;
    return copy->source.st_size;
}

static int64_t copy_all(const struct copy *copy)
{
    struct halo_ends ends = {.from = copy->from, .to = copy->to};
    int64_t error = copy_contents(copy->op, copy->from, copy->to, copy->source.st_size);
    if (!error)
        error = halo_attributes_keep(copy->op, ends, halo_attributes_of(&copy->source));
    /* Whoever has cancelled it may have taken the name away before it was there. */
    if (!error && copy->created && halo_op_is_cancelled(copy->op))
        error = -ECANCELED;
    return error ? error : count_bytes(copy);
}

static int64_t copy_regular(struct copy *copy, bool at_once)
{
    int64_t result = open_source(copy, at_once);

    if (!result && at_once && !(is_short(copy) && leads_to_file(copy->op)))
        result = -EAGAIN;
    if (!result)
        result = open_copy(copy);
    if (!result)
        result = copy_all(copy);
    /* Where the look at it has failed, another one says what is to be taken away. */
    if (result < 0 && copy->created && copy->target.st_ino == 0)
        copy->created = halo_op_fstat(copy->op, copy->to, &copy->target) == 0;
    if (copy->to >= 0 && close(copy->to) < 0 && result >= 0 && errno != EINTR)
        result = -errno;
    if (result < 0 && copy->created)
        halo_op_remove_made(copy->op, copy->op->base2_fd, copy->op->path2, &copy->target);
    if (copy->from >= 0)
        close(copy->from);
    return result;
}

/* ---- what is no file ----------------------------------------------------------------------- */

/* Opens the source as a place only, which does nothing to a device. */
static int64_t open_place(struct copy *copy)
{
    const struct halo_op *op = copy->op;
    int flags = O_PATH | (op->flags & HALO_COPY_NO_FOLLOW ? O_NOFOLLOW : 0);

    copy->from = halo_op_open_at(op, op->path, flags, 0, false);
    if (copy->from < 0)
        return copy->from;
    int error = halo_op_fstat(op, copy->from, &copy->source);
    if (error)
        return error;
    return S_ISREG(copy->source.st_mode) || S_ISDIR(copy->source.st_mode) ? -ESTALE : 0;
}

static int64_t make_in(const struct copy *copy, int dir_fd, const char *name)
{
    mode_t mode = copy->source.st_mode;
    char target[PATH_MAX];

    if (!S_ISLNK(mode))
        return halo_op_make_node(copy->op, dir_fd, name,
                                 (mode & S_IFMT) | first_mode(copy->op, mode),
                                 copy->source.st_rdev);
    ssize_t length = readlinkat(copy->from, "", target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    return halo_result_of(symlinkat(target, dir_fd, name));
}

static int64_t make_special(const struct copy *copy)
{
    const struct halo_op *op = copy->op;
    const char *name;

    if (!op->resolve2)
        return make_in(copy, op->base2_fd, op->path2);
    int dir_fd = halo_op_open_above(op, op->base2_fd, op->path2, &name);
    if (dir_fd < 0)
        return dir_fd;
    int64_t result = make_in(copy, dir_fd, name);
    close(dir_fd);
    return result;
}

/* Whether what has the name now can be what was made. */
static bool is_special_made(const struct copy *copy)
{
    return !((copy->target.st_mode ^ copy->source.st_mode) & S_IFMT) && copy->target.st_nlink == 1;
}

/* What was made could not be opened or looked at: it is found by its name, to be taken away. */
static int64_t give_up_special(struct copy *copy, int64_t result)
{
    const struct halo_op *op = copy->op;
    int found = halo_op_stat_at(op, op->base2_fd, op->path2, AT_SYMLINK_NOFOLLOW, &copy->target);
    copy->created = found == 0 && is_special_made(copy);
    return result;
}

/* Somebody may have given the name to another thing, which must not be given away. */
static int64_t keep_special(struct copy *copy)
{
    const struct halo_op *op = copy->op;
    struct halo_ends ends = {.from = copy->from, .places = true};

    ends.to = copy->to =
        halo_op_open_from(op, op->base2_fd, op->path2, O_PATH | O_NOFOLLOW, 0, false);
    if (copy->to < 0)
        return give_up_special(copy, copy->to);
    int error = halo_op_fstat(op, copy->to, &copy->target);
    if (error)
        return give_up_special(copy, error);
    if (!is_special_made(copy))
        return -ESTALE;
    copy->created = true;
    int64_t result = halo_attributes_keep(op, ends, halo_attributes_of(&copy->source));
    return !result && halo_op_is_cancelled(op) ? -ECANCELED : result;
}

static int64_t copy_special(struct copy *copy)
{
    int64_t result = open_place(copy);

    if (!result)
        result = make_special(copy);
    if (!result && (copy->op->flags & HALO_COPY_KEEP)) {
        result = keep_special(copy);
        result = result == -ESTALE ? -EEXIST : result; /* not to be tried again */
    }
    if (copy->from >= 0)
        close(copy->from); /* first: it takes a descriptor to remove a name */
    if (result < 0 && copy->created)
        halo_op_remove_made(copy->op, copy->op->base2_fd, copy->op->path2, &copy->target);
    if (copy->to >= 0)
        close(copy->to);
    return result;
}

/* ---- the operation ------------------------------------------------------------------------- */

static int64_t copy_once(struct halo_op *op, bool at_once)
{
    struct copy copy = {.op = op, .from = -1, .to = -1};
    int64_t result = look_at_source(&copy);

    if (result < 0)
        return result;
    mode_t mode = copy.source.st_mode;
    bool special = (op->flags & HALO_COPY_ANY) && !S_ISREG(mode) && !S_ISDIR(mode);
    return special ? copy_special(&copy) : copy_regular(&copy, at_once);
}

/* A copy of whatever there is looks once more where others have changed what that is. */
static int64_t copy_file(struct halo_op *op, bool at_once)
{
    int64_t result;
    unsigned tries = 0;

    do
        result = copy_once(op, at_once);
    while (result == -ESTALE && (op->flags & HALO_COPY_ANY) && ++tries < TRIES_MAX);
    return result;
}

static int64_t copyfile_block(struct halo_op *op)
{
    return copy_file(op, false);
}

static int64_t copyfile_attempt(struct halo_op *op)
{
    return copy_file(op, true);
}

/* ---- rows ---------------------------------------------------------------------------------- */

const struct halo_op_row halo_copyfile_row = {
    .code = HALO_OP_COPYFILE,
    .name = "copyfile",
    .opcode = HALO_NO_OPCODE,
    .lookup = HALO_LOOKUP_BOTH,
    .quick = true,
    .lengthy = true,
    .opens = true,
    .only_reads = true,
    .attempt = copyfile_attempt,
    .block = copyfile_block,
};
