/*
 * Whole files in one operation: what takes half a dozen system calls is worth one hand-off to a
 * worker, not six. Between two pieces it looks whether it has been cancelled.
 */
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/magic.h>

#include "loop.h"
#include "ops/op_functions.h"

#define PIECE_BYTES     (16u << 20)  /* between two looks */
#define BUFFER_BYTES    (256u << 10) /* for what the kernel does not copy by itself */
#define SMALL_BYTES     (64u << 10)  /* quicker by a buffer, and soon done */
#define BLOCK_BYTES_MAX (64u << 10)  /* of a file system that shares data: a page, at the most */
#define READ_FIRST      16384u       /* bytes that most files fit into */

static bool is_cancelled(const struct halo_op *op)
{
    return __atomic_load_n(&op->cancelled, __ATOMIC_RELAXED);
}

/* ---- copying data -------------------------------------------------------------------------- */

static int64_t copy_through_buffer(int from, int to, off_t at, size_t length)
{
    size_t done = 0, room = length < BUFFER_BYTES ? length : BUFFER_BYTES;
    char *buffer = malloc(room);
    if (!buffer)
        return -ENOMEM;
    while (done < length) {
        size_t want = length - done < room ? length - done : room;
        ssize_t got = pread(from, buffer, want, at + (off_t)done);
        if (got <= 0) {
            free(buffer);
            return got < 0 ? -errno : (int64_t)done;
        }
        for (ssize_t put = 0; put < got;) {
            ssize_t written = pwrite(to, buffer + put, (size_t)(got - put), at + (off_t)done + put);
            if (written < 0) {
                int error = errno;
                free(buffer);
                return -error;
            }
            put += written;
        }
        done += (size_t)got;
    }
    free(buffer);
    return (int64_t)done;
}

/* Not all pairs of file systems let the kernel copy between them. */
static bool needs_buffer(int error)
{
    return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP ||
           error == EBADF || error == EPERM;
}

static int64_t copy_piece(int from, int to, off_t at, size_t length)
{
    off_t in = at, out = at;
    if (length <= SMALL_BYTES)
        return copy_through_buffer(from, to, at, length);
    ssize_t copied = copy_file_range(from, &in, to, &out, length, 0);
    if (copied > 0)
        return copied;
    /* Files of /proc and its like answer 0, with data to read all the same. */
    if (copied == 0 || needs_buffer(errno))
        return copy_through_buffer(from, to, at, length);
    return -errno;
}

/* Copies [at, end). Returns 0 or -errno; a file that shrinks meanwhile just ends earlier. */
static int64_t copy_extent(const struct halo_op *op, int from, int to, off_t at, off_t end)
{
    while (at < end) {
        size_t length = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
        if (is_cancelled(op))
            return -ECANCELED;
        int64_t copied = copy_piece(from, to, at, length);
        if (copied < 0 && copied != -EINTR)
            return copied;
        if (copied == 0)
            break;
        if (copied > 0)
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
     * Only a hole at the end is made by this. Where there is none it would cost: ext4 writes a file
     * to the disk at its close once it has been truncated while it was empty.
     */
    if (at >= size)
        return 0;
    return ftruncate(to, size) < 0 && errno != EINVAL ? -errno : 0; /* EINVAL: a device */
}

/* The end of a file whose size is not known before, such as those of /proc. */
static int64_t copy_unsized(const struct halo_op *op, int from, int to)
{
    int64_t total = 0, copied;
    do {
        if (is_cancelled(op))
            return -ECANCELED;
        copied = copy_through_buffer(from, to, total, PIECE_BYTES);
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

static int64_t copy_attributes(const struct halo_op *op, int to, const struct stat *status)
{
    const struct timespec times[2] = {status->st_atim, status->st_mtim};
    if ((op->flags & HALO_COPY_MODE) && fchmod(to, status->st_mode & 07777) < 0)
        return -errno;
    if ((op->flags & HALO_COPY_TIMES) && futimens(to, times) < 0)
        return -errno;
    return 0;
}

/* Opens the new file, or -1. Whether it is made by this only matters where it may be taken away. */
static int open_target(const struct halo_op *op, mode_t mode, bool *created)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK;
    *created = false;
    if (op->flags & (HALO_COPY_EXCLUSIVE | HALO_COPY_REFLINK)) {
        int fd = openat(op->base_fd, op->path2, flags | O_EXCL, mode);
        *created = fd >= 0;
        if (fd >= 0 || errno != EEXIST || (op->flags & HALO_COPY_EXCLUSIVE))
            return fd;
    }
    return openat(op->base_fd, op->path2, flags, mode);
}

struct copy {
    const struct halo_op *op;
    int from, to;
    struct stat source;
    struct stat target; /* as it was found, or made */
    bool created;
};

static int64_t open_source(struct copy *copy)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    if (copy->op->flags & HALO_COPY_NO_FOLLOW)
        flags |= O_NOFOLLOW;
    copy->from = openat(copy->op->base_fd, copy->op->path, flags);
    if (copy->from < 0 || fstat(copy->from, &copy->source) < 0)
        return -errno;
    if (!S_ISREG(copy->source.st_mode))
        return S_ISDIR(copy->source.st_mode) ? -EISDIR : -EINVAL;
    return 0;
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
    return ftruncate(copy->to, 0);
}

/* Opens the new file; one that exists is emptied only once it is known not to be the old one. */
static int64_t open_copy(struct copy *copy)
{
    copy->to = open_target(copy->op, copy->source.st_mode & 0777, &copy->created);
    if (copy->to < 0 || fstat(copy->to, &copy->target) < 0)
        return -errno;
    if (copy->target.st_dev == copy->source.st_dev && copy->target.st_ino == copy->source.st_ino)
        return -EINVAL;
    bool emptied = S_ISREG(copy->target.st_mode) && copy->target.st_size > 0;
    return emptied && empty_target(copy) < 0 ? -errno : 0;
}

/* Takes the new name away, unless somebody has given it to another file meanwhile. */
static void remove_copy(const struct copy *copy)
{
    const struct halo_op *op = copy->op;
    struct stat named;
    if (fstatat(op->base_fd, op->path2, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        copy->target.st_dev == named.st_dev && copy->target.st_ino == named.st_ino)
        unlinkat(op->base_fd, op->path2, 0);
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
    return fstatat(op->base_fd, op->path2, &status, 0) < 0 || S_ISREG(status.st_mode);
}

/* What there is now: files of /proc and /sys do not know how long they are. */
static int64_t count_bytes(const struct copy *copy)
{
    struct stat status;
    if (S_ISREG(copy->target.st_mode) && fstat(copy->to, &status) == 0)
        return status.st_size;
    return copy->source.st_size;
}

static int64_t copy_all(const struct copy *copy)
{
    int64_t error = copy_contents(copy->op, copy->from, copy->to, copy->source.st_size);
    if (error && copy->created && (copy->op->flags & HALO_COPY_REFLINK))
        remove_copy(copy); /* nothing has been copied to it */
    if (!error)
        error = copy_attributes(copy->op, copy->to, &copy->source);
    return error ? error : count_bytes(copy);
}

static int64_t copy_file(struct halo_op *op, bool at_once)
{
    struct copy copy = {.op = op, .from = -1, .to = -1};
    int64_t result = open_source(&copy);

    if (!result && at_once && !(is_short(&copy) && leads_to_file(op)))
        result = -EAGAIN;
    if (!result)
        result = open_copy(&copy);
    if (!result)
        result = copy_all(&copy);
    if (copy.to >= 0 && close(copy.to) < 0 && result >= 0 && errno != EINTR)
        result = -errno;
    if (copy.from >= 0)
        close(copy.from);
    return result;
}

int64_t halo_copyfile_block(struct halo_op *op)
{
    return copy_file(op, false);
}

int64_t halo_copyfile_attempt(struct halo_op *op)
{
    return copy_file(op, true);
}

/* ---- reading all --------------------------------------------------------------------------- */

static int64_t read_all(struct halo_op *op, int fd, size_t room)
{
    size_t used = 0;

    op->path = op->path2 = NULL;
    for (;;) {
        if (used + 1 >= room)
            room *= 2;
        if (!halo_op_storage(op, room))
            return -ENOMEM;
        if (is_cancelled(op))
            return -ECANCELED;
        size_t want = room - used < PIECE_BYTES ? room - used : PIECE_BYTES;
        ssize_t got = read(fd, op->storage + used, want);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        used += (size_t)got;
        if (op->length && used > op->length)
            return -EFBIG;
        if (got == 0)
            return (int64_t)used;
    }
}

/* All of a file into the caller's memory, and a look whether that is all. */
static int64_t read_given(struct halo_op *op, int fd)
{
    size_t used = 0;
    uint8_t more;

    for (;;) {
        if (is_cancelled(op))
            return -ECANCELED;
        size_t want = op->length - used < PIECE_BYTES ? op->length - used : PIECE_BYTES;
        ssize_t got = want > 0 ? read(fd, op->data + used, want) : read(fd, &more, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return (int64_t)used;
        if (want == 0)
            return -EFBIG;
        used += (size_t)got;
    }
}

/* Files of /sys say that they have a page, and are shorter. */
static bool is_too_big(const struct halo_op *op, int fd, const struct stat *status)
{
    uint8_t byte;
    return (op->length > 0 || !op->own_data) && status->st_size > (off_t)op->length &&
           pread(fd, &byte, 1, (off_t)op->length) == 1;
}

static int64_t read_contents(struct halo_op *op, int fd, const struct stat *status)
{
    if (!op->own_data)
        return read_given(op, fd);
    int64_t result =
        read_all(op, fd, status->st_size > 0 ? (size_t)status->st_size + 1 : READ_FIRST);
    op->data = (uint8_t *)op->storage;
    return result;
}

static int64_t check_type(const struct stat *status)
{
    if (S_ISREG(status->st_mode))
        return 0;
    return S_ISDIR(status->st_mode) ? -EISDIR : -ESPIPE;
}

/*
 * A stream is refused: to wait for its end could hold up a worker for ever. It is not even opened,
 * since a writer that waits for a FIFO's reader would lose what it writes once that is closed.
 */
static int64_t read_file(struct halo_op *op, bool at_once)
{
    struct stat status;

    op->own_data |= !op->data;
    if (fstatat(op->base_fd, op->path, &status, 0) < 0)
        return -errno;
    int64_t result = check_type(&status);
    if (result)
        return result;
    int fd = openat(op->base_fd, op->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    result = fstat(fd, &status) < 0 ? -errno : check_type(&status);
    if (!result && is_too_big(op, fd, &status))
        result = -EFBIG;
    if (!result && at_once && status.st_size > HALO_TRY_BYTES_MAX)
        result = -EAGAIN;
    if (!result)
        result = read_contents(op, fd, &status);
    close(fd);
    return result;
}

int64_t halo_readfile_block(struct halo_op *op)
{
    return read_file(op, false);
}

int64_t halo_readfile_attempt(struct halo_op *op)
{
    return read_file(op, true);
}
