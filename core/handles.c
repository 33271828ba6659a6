/* What the caller does with a file by its handle, without an operation. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "files.h"
#include "loop.h"

/* ---- files, for the caller ----------------------------------------------------------------- */

int halo_file_info(struct halo_loop *loop, uint64_t handle, struct halo_file_info *info)
{
    const struct halo_file *file = halo_files_find_open(&loop->files, handle);
    if (!file)
        return -EBADF;
    *info = (struct halo_file_info){
        .flags = file->flags,
        .stream = file->stream,
        .confines = (file->resolve & RESOLVE_BENEATH) != 0,
        .local = file->local,
        .position = file->position,
        .behind = file->behind_bytes,
        .in_flight = file->in_flight,
        .write_error = file->behind_error,
    };
    return 0;
}

int halo_file_fd(struct halo_loop *loop, uint64_t handle)
{
    struct halo_file *file = halo_files_find_open(&loop->files, handle);
    if (!file)
        return -EBADF;
    halo_file_clear_nonblock(file);
    return file->fd;
}

int halo_file_adopt(struct halo_loop *loop, int fd, bool borrow, uint64_t *handle)
{
    struct halo_file *file;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    int error = halo_files_reserve(&loop->files, loop->config.max_files, &file);
    if (error)
        return error;
    file->fd = fd;
    file->borrowed = borrow;
    loop->files.borrowed += borrow;
    /* Its opener chose the flags, and may share them with other processes. */
    file->flags = (uint32_t)flags | O_NONBLOCK;
    file->state = HALO_FILE_OPEN;
    halo_file_inspect(&loop->files, file);
    file->flags = (uint32_t)flags;
    off_t position = lseek(fd, 0, SEEK_CUR);
    file->position = position > 0 ? (uint64_t)position : 0;
    file->shares_offset = position >= 0 && !file->stream;
    *handle = halo_file_handle(file);
    return 0;
}

/* Streams are opened with O_NONBLOCK, which is nothing that others expect. */
int halo_file_share(struct halo_loop *loop, uint64_t handle)
{
    struct halo_file *file = halo_files_find_open(&loop->files, handle);
    if (!file)
        return -EBADF;
    halo_file_clear_nonblock(file);
    if (file->stream && !(file->flags & O_NONBLOCK))
        fcntl(file->fd, F_SETFL, (int)file->flags & ~O_NONBLOCK);
    if (!file->stream && !file->shares_offset)
        file->shares_offset = lseek(file->fd, (off_t)file->position, SEEK_SET) >= 0;
    return file->fd;
}

int halo_file_lend(struct halo_loop *loop, uint64_t handle, bool lent)
{
    int fd = lent ? halo_file_share(loop, handle) : halo_file_fd(loop, handle);
    if (fd < 0)
        return fd;
    struct halo_file *file = halo_files_find_open(&loop->files, handle);
    if (lent != file->borrowed)
        loop->files.borrowed += lent ? 1 : UINT32_MAX;
    file->borrowed = lent;
    return fd;
}

int halo_file_confine(struct halo_loop *loop, uint64_t handle, unsigned how)
{
    struct halo_file *file = halo_files_find_open(&loop->files, handle);
    if (!file)
        return -EBADF;
    if (how & HALO_CONFINE_BENEATH)
        file->resolve |= RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    if (how & HALO_CONFINE_NO_MOUNTS)
        file->resolve |= RESOLVE_NO_XDEV;
    if (how & HALO_CONFINE_NO_LINKS)
        file->resolve |= RESOLVE_NO_SYMLINKS;
    return 0;
}

struct visitor {
    void (*visit)(uint64_t file, void *context);
    void *context;
};

static void visit_open(struct halo_file *file, void *context)
{
    const struct visitor *visitor = context;
    if (file->state == HALO_FILE_OPEN && !file->borrowed)
        visitor->visit(halo_file_handle(file), visitor->context);
}

void halo_file_each(struct halo_loop *loop, void (*visit)(uint64_t file, void *context),
                    void *context)
{
    struct visitor visitor = {.visit = visit, .context = context};
    halo_files_each(&loop->files, visit_open, &visitor);
}

/* ---- files that were forgotten ------------------------------------------------------------- */

void halo_file_drop(struct halo_loop *loop, uint64_t handle)
{
    struct halo_file *file = halo_files_find_open(&loop->files, handle);
    if (!file || file->leftovers > 0) /* it is needed at the end */
        return;
    if (file->local && file->in_flight == 0) {
        if (!file->borrowed)
            close(file->fd);
        halo_files_vacate(&loop->files, file);
        return;
    }
    file->dropped = true;
    file->next = loop->files.dropped;
    loop->files.dropped = file;
}
