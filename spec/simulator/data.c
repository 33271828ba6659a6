/* Descriptors, and the data behind them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "model.h"
#include "trace.h"
#include "weather.h"

#define SIZE_MAX_MODEL (64u << 20)

static struct model_handle *handles[MODEL_FDS];
static unsigned open_count;

struct model_handle *model_handle(int fd)
{
    int index = fd - MODEL_FD_FIRST;
    return index >= 0 && index < MODEL_FDS ? handles[index] : NULL;
}

unsigned model_open_count(void)
{
    return open_count;
}

/* ---- opening and closing ------------------------------------------------------------------- */

static bool may_read(const struct model_handle *handle)
{
    return !(handle->flags & O_PATH) && (handle->flags & O_ACCMODE) != O_WRONLY;
}

static bool may_write(const struct model_handle *handle)
{
    return !(handle->flags & O_PATH) && (handle->flags & O_ACCMODE) != O_RDONLY;
}

/* As the kernel does, the lowest number that is free: what looks one up too late finds another. */
static int free_index(void)
{
    int index = 0;
    while (index < MODEL_FDS && handles[index])
        index++;
    return index < MODEL_FDS ? index : -1;
}

static int new_handle(struct model_node *node, int flags)
{
    int index = free_index();
    if (index < 0)
        return -EMFILE;
    struct model_handle *handle = calloc(1, sizeof(*handle));
    if (!handle || !node)
        fail(handle ? "a handle of nothing" : "out of memory");
    *handle = (struct model_handle){.node = node, .flags = flags, .fds = 1};
    node->open++;
    open_count++;
    handles[index] = handle;
    return MODEL_FD_FIRST + index;
}

static int check_open(const struct model_place *place, int flags)
{
    const struct model_node *node = place->node;
    bool writes = (flags & O_ACCMODE) != O_RDONLY;

    if (!node)
        return flags & O_CREAT ? 0 : -ENOENT;
    if ((flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (S_ISDIR(node->mode) && (writes || (flags & O_CREAT)) && !(flags & O_PATH))
        return -EISDIR;
    if (!S_ISDIR(node->mode) && (flags & O_DIRECTORY))
        return -ENOTDIR;
    if (S_ISLNK(node->mode) && !(flags & O_PATH))
        return -ELOOP;
    if (node->stream && (flags & O_ACCMODE) == O_WRONLY && !model_stream_has_reader(node))
        return -ENXIO;
    return 0;
}

int model_open(int base, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct model_place place;
    bool follow = !(flags & O_NOFOLLOW) && !((flags & O_CREAT) && (flags & O_EXCL));
    int error = model_walk(base, path, follow, resolve, &place);
    if (!error && !place.node && (flags & O_CREAT) && place.slash)
        error = -EISDIR;
    if (!error)
        error = check_open(&place, flags);
    if (!error && !place.node)
        error = model_make(&place, S_IFREG | mode, &place.node);
    if (error)
        return error;
    int fd = new_handle(place.node, flags);
    if (fd >= 0 && (flags & O_TRUNC) && place.node && S_ISREG(place.node->mode) &&
        may_write(model_handle(fd)))
        model_truncate(place.node, 0);
    return fd;
}

static void unlock(struct model_handle *handle)
{
    handle->node->shared -= handle->lock == LOCK_SH;
    handle->node->exclusive &= handle->lock != LOCK_EX;
    handle->lock = 0;
}

int model_close(int fd)
{
    struct model_handle *handle = model_handle(fd);
    if (!handle)
        return -EBADF;
    handles[fd - MODEL_FD_FIRST] = NULL;
    open_count--;
    if (--handle->fds > 0)
        return 0;
    unlock(handle);
    handle->node->open--;
    model_forget(handle->node);
    free(handle);
    return 0;
}

int model_duplicate(int fd)
{
    struct model_handle *handle = model_handle(fd);
    int index = free_index();
    if (!handle || index < 0)
        return handle ? -EMFILE : -EBADF;
    handle->fds++;
    open_count++;
    handles[index] = handle;
    return MODEL_FD_FIRST + index;
}

/* ---- data ---------------------------------------------------------------------------------- */

static void touch(struct model_node *node)
{
    node->times[1].tv_sec = (time_t)(clock_now_ns() / 1000000000);
    node->times[1].tv_nsec = (long)(clock_now_ns() % 1000000000);
}

static int make_room(struct model_node *node, size_t size)
{
    if (size > SIZE_MAX_MODEL)
        return -EFBIG;
    if (size <= node->room)
        return 0;
    size_t room = size > 2 * node->room ? size : 2 * node->room;
    uint8_t *data = realloc(node->data, room);
    if (!data)
        fail("out of memory");
    memset(data + node->room, 0, room - node->room);
    node->data = data;
    node->room = room;
    return 0;
}

ssize_t model_read(int fd, void *data, size_t length, off_t offset)
{
    struct model_handle *handle = model_handle(fd);
    if (!handle || !may_read(handle))
        return -EBADF;
    struct model_node *node = handle->node;
    if (S_ISDIR(node->mode))
        return -EISDIR;
    if (node->stream)
        return offset >= 0 ? -ESPIPE : model_stream_read(node, data, length);
    size_t at = offset >= 0 ? (size_t)offset : handle->position;
    size_t left = at < node->size ? node->size - at : 0;
    if (length > left)
        length = left;
    if (length > 0)
        memcpy(data, node->data + at, length);
    if (offset < 0)
        handle->position = at + length;
    return (ssize_t)length;
}

ssize_t model_write(int fd, const void *data, size_t length, off_t offset)
{
    struct model_handle *handle = model_handle(fd);
    if (!handle || !may_write(handle))
        return -EBADF;
    struct model_node *node = handle->node;
    if (node->stream)
        return offset >= 0 ? -ESPIPE : model_stream_write(node, data, length);
    size_t at = offset >= 0 ? (size_t)offset : handle->position;
    if (handle->flags & O_APPEND)
        at = node->size;
    int error = length > 0 ? make_room(node, at + length) : 0;
    if (error)
        return error;
    if (length > 0) {
        memcpy(node->data + at, data, length);
        node->dirty = true;
        touch(node);
    }
    if (length > 0 && at + length > node->size)
        node->size = at + length;
    if (offset < 0)
        handle->position = at + length;
    return (ssize_t)length;
}

int model_truncate(struct model_node *node, size_t size)
{
    if (!S_ISREG(node->mode))
        return S_ISDIR(node->mode) ? -EISDIR : -EINVAL;
    int error = make_room(node, size);
    if (error)
        return error;
    if (size < node->size)
        memset(node->data + size, 0, node->size - size);
    node->size = size;
    touch(node);
    return 0;
}

int model_fallocate(int fd, int mode, off_t offset, off_t length)
{
    struct model_handle *handle = model_handle(fd);
    size_t end = (size_t)offset + (size_t)length;
    if (!handle || !may_write(handle))
        return -EBADF;
    if (handle->node->stream)
        return -ESPIPE;
    if (length <= 0 || offset < 0)
        return -EINVAL;
    if (mode != 0)
        return -EOPNOTSUPP;
    return end > handle->node->size ? model_truncate(handle->node, end) : 0;
}

off_t model_seek(int fd, off_t offset, int whence)
{
    struct model_handle *handle = model_handle(fd);
    if (!handle)
        return -EBADF;
    const struct model_node *node = handle->node;
    off_t size = (off_t)node->size;
    if (node->stream)
        return -ESPIPE;
    switch (whence) {
    case SEEK_SET:
        handle->position = (uint64_t)offset;
        return offset;
    case SEEK_CUR:
        return (off_t)(handle->position += (uint64_t)offset);
    case SEEK_END:
        return (off_t)(handle->position = (uint64_t)(size + offset));
    case SEEK_DATA:
        return offset < size ? offset : -ENXIO;
    case SEEK_HOLE:
        return offset < size ? size : -ENXIO;
    default:
        return -EINVAL;
    }
}

int model_flock(int fd, int how)
{
    struct model_handle *handle = model_handle(fd);
    if (!handle)
        return -EBADF;
    struct model_node *node = handle->node;
    int wanted = how & (LOCK_SH | LOCK_EX);
    unsigned others_shared = node->shared - (handle->lock == LOCK_SH);
    bool other_exclusive = node->exclusive && handle->lock != LOCK_EX;

    if (!(how & LOCK_NB) && wanted)
        fail("a worker waits for a lock");
    unlock(handle);
    if (wanted && (other_exclusive || (wanted == LOCK_EX && others_shared > 0)))
        return -EWOULDBLOCK; /* as in the kernel, a change of lock has given up the old one */
    handle->lock = wanted;
    node->shared += wanted == LOCK_SH;
    node->exclusive |= wanted == LOCK_EX;
    return 0;
}

/* ---- directories --------------------------------------------------------------------------- */

static unsigned char type_of(const struct model_node *node)
{
    return weather_chance(weather.unknown) ? DT_UNKNOWN : IFTODT(node->mode);
}

ssize_t model_getdents(int fd, void *out, size_t size, unsigned most)
{
    struct model_handle *handle = model_handle(fd);
    if (!handle || !may_read(handle))
        return -EBADF;
    if (!S_ISDIR(handle->node->mode))
        return -ENOTDIR;
    size_t used = 0;
    for (const struct model_entry *entry = handle->node->entries; entry; entry = entry->next) {
        size_t length = strlen(entry->name);
        size_t needed = (offsetof(struct dirent64, d_name) + length + 1 + 7) & ~(size_t)7;
        if (entry->order <= handle->position)
            continue;
        if (used + needed > size || most-- == 0)
            break;
        struct dirent64 *found = (struct dirent64 *)((char *)out + used);
        found->d_ino = entry->node->ino;
        found->d_off = (off_t)entry->order;
        found->d_reclen = (unsigned short)needed;
        found->d_type = type_of(entry->node);
        memcpy(found->d_name, entry->name, length + 1);
        used += needed;
        handle->position = entry->order;
    }
    return (ssize_t)used;
}

/* ---- status -------------------------------------------------------------------------------- */

void model_status(const struct model_node *node, struct statx *status)
{
    struct statx_timestamp stamps[2];

    for (int i = 0; i < 2; i++)
        stamps[i] = (struct statx_timestamp){.tv_sec = node->times[i].tv_sec,
                                             .tv_nsec = (uint32_t)node->times[i].tv_nsec};
    *status = (struct statx){
        .stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID,
        .stx_blksize = 4096,
        .stx_nlink = node->links,
        .stx_uid = node->uid,
        .stx_gid = node->gid,
        .stx_mode = (uint16_t)node->mode,
        .stx_ino = node->ino,
        .stx_size = node->size,
        .stx_blocks = (node->size + 511) / 512,
        .stx_atime = stamps[0],
        .stx_btime = stamps[0],
        .stx_ctime = stamps[1],
        .stx_mtime = stamps[1],
        .stx_dev_minor = node->device,
        .stx_mnt_id = node->device,
    };
}
