#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define CHUNK_FILES    64
#define GENERATION_MAX ((1ull << (64 - HALO_FILE_INDEX_BITS)) - 1)

void halo_files_free(struct halo_files *files)
{
    for (uint32_t i = 0; i < files->chunk_count; i++)
        free(files->chunks[i]);
    free(files->chunks);
}

static void put_free(struct halo_files *files, struct halo_file *file)
{
    file->next = NULL;
    if (files->free_last)
        files->free_last->next = file;
    else
        files->free_first = file;
    files->free_last = file;
}

static bool grow(struct halo_files *files)
{
    size_t count = files->chunk_count + 1;
    struct halo_file **chunks = realloc(files->chunks, count * sizeof(struct halo_file *));
    if (!chunks)
        return false;
    files->chunks = chunks;
    struct halo_file *chunk = calloc(CHUNK_FILES, sizeof(struct halo_file));
    if (!chunk)
        return false;
    chunks[files->chunk_count] = chunk;
    for (uint32_t i = 0; i < CHUNK_FILES; i++) {
        chunk[i].index = files->chunk_count * CHUNK_FILES + i;
        chunk[i].generation = 1;
        put_free(files, &chunk[i]);
    }
    files->chunk_count++;
    return true;
}

int halo_files_reserve(struct halo_files *files, uint32_t max_files, struct halo_file **out)
{
    if (files->open >= max_files)
        return -EMFILE;
    if (!files->free_first) {
        if ((files->chunk_count + 1) * CHUNK_FILES > HALO_FILES_LIMIT)
            return -EMFILE;
        if (!grow(files))
            return -ENOMEM;
    }
    struct halo_file *file = files->free_first;
    files->free_first = file->next;
    if (!files->free_first)
        files->free_last = NULL;
    *file = (struct halo_file){
        .index = file->index,
        .generation = file->generation,
        .fd = -1,
        .state = HALO_FILE_OPENING,
    };
    files->open++;
    *out = file;
    return 0;
}

void halo_files_vacate(struct halo_files *files, struct halo_file *file)
{
    HALO_CHECK(file->in_flight == 0, "a file was closed with operations in flight");
    file->state = HALO_FILE_FREE;
    file->generation++;
    files->open--;
    files->borrowed -= file->borrowed;
    /* A slot that has used up its generations is retired, so that no handle ever comes back. */
    if (file->generation < GENERATION_MAX)
        put_free(files, file);
}

struct halo_file *halo_files_find(const struct halo_files *files, uint64_t handle)
{
    uint32_t index = handle & HALO_FILE_INDEX_MASK;
    if (index / CHUNK_FILES >= files->chunk_count)
        return NULL;
    struct halo_file *file = &files->chunks[index / CHUNK_FILES][index % CHUNK_FILES];
    if (file->state == HALO_FILE_FREE || file->generation != handle >> HALO_FILE_INDEX_BITS)
        return NULL;
    return file;
}

void halo_files_each(struct halo_files *files, void (*visit)(struct halo_file *, void *),
                     void *context)
{
    for (uint32_t i = 0; i < files->chunk_count * CHUNK_FILES; i++) {
        struct halo_file *file = &files->chunks[i / CHUNK_FILES][i % CHUNK_FILES];
        if (file->state != HALO_FILE_FREE)
            visit(file, context);
    }
}

void halo_file_inspect(struct halo_files *files, struct halo_file *file)
{
    struct statx statx_now;
    bool local;

    if (halo_mount_inspect(&files->mounts, file->fd, &statx_now, &local) < 0)
        return;
    mode_t type = statx_now.stx_mode & S_IFMT;
    file->stream = type != S_IFREG && type != S_IFDIR && type != S_IFBLK && type != S_IFLNK;
    file->local = (type == S_IFREG || type == S_IFDIR) && local;
    files->seen_remote |= !file->local && !file->stream;
    file->clear_nonblock = !file->stream && !(file->flags & (O_NONBLOCK | O_PATH));
    if (!file->local)
        halo_file_clear_nonblock(file);
}

void halo_file_clear_nonblock(struct halo_file *file)
{
    if (file->clear_nonblock)
        fcntl(file->fd, F_SETFL, (int)file->flags & ~O_NONBLOCK);
    file->clear_nonblock = false;
}
