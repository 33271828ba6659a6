/* Directories. The kernel has no opcode for getdents. */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <liburing.h>

#include "loop.h"
#include "op_functions.h"

#define TRY_BATCHES_MAX 4
#define BATCH_BYTES     32768 /* of entries in one system call */

/* Not every file system keeps the type in the directory. */
static unsigned char entry_type(int fd, const struct dirent64 *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN || fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return entry->d_type;
    return IFTODT(status.st_mode);
}

/* Adds an entry to the listing: its type in a byte, its name, a NUL. */
static bool add_entry(struct halo_op *op, size_t *used, int fd, const struct dirent64 *entry)
{
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    size_t size = strlen(name) + 1;
    if (*used + 1 + size > op->stored && !halo_op_storage(op, 2 * op->stored + 1 + size))
        return false;
    op->storage[(*used)++] = (char)entry_type(fd, entry);
    memcpy(op->storage + *used, name, size);
    *used += size;
    return true;
}

/* One system call's worth of entries. Returns the bytes it has read, 0 at the end, or -errno. */
static int64_t add_batch(struct halo_op *op, size_t *used, int fd)
{
    _Alignas(struct dirent64) char batch[BATCH_BYTES];
    ssize_t got = getdents64(fd, batch, sizeof(batch));

    if (got < 0)
        return -errno;
    for (char *at = batch; at < batch + got;) {
        const struct dirent64 *entry = (const struct dirent64 *)at;
        if (!add_entry(op, used, fd, entry))
            return -ENOMEM;
        at += entry->d_reclen;
    }
    return got;
}

/* The listing takes the place of the path in storage. */
static int64_t list(struct halo_op *op, unsigned batches_max)
{
    unsigned batches = 0;
    int64_t got;

    int fd = openat(op->base_fd, op->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t start = strlen(op->path) + 1; /* an interrupted listing starts again by its path */
    size_t used = start;
    do
        got = batches++ < batches_max ? add_batch(op, &used, fd) : -EAGAIN;
    while (got > 0);
    close(fd);
    op->data = (uint8_t *)op->storage + start;
    return got < 0 ? got : (int64_t)(used - start);
}

int64_t halo_readdir_block(struct halo_op *op)
{
    return list(op, UINT_MAX);
}

int64_t halo_readdir_attempt(struct halo_op *op)
{
    return list(op, TRY_BATCHES_MAX);
}

/* An open directory's next entries. A batch of nothing but "." and ".." is not yet the end. */
int64_t halo_getdents_block(struct halo_op *op)
{
    size_t used = 0;
    int64_t got;

    do
        got = add_batch(op, &used, op->fd);
    while (got > 0 && used == 0);
    op->data = (uint8_t *)op->storage;
    return got < 0 ? got : (int64_t)used;
}
