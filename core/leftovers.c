/*
 * A file that is to take another's name has one of its own first, and so has a tree that is moved
 * to another file system. Who makes such a name removes it when the work fails; but at the end of
 * the loop nobody runs any more who could. So the loop knows these names, and removes them itself.
 */
#include "leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"

#define BATCH_BYTES 4096 /* of entries; a level of the tree takes as much of the stack */

struct halo_leftover {
    struct halo_leftover *next, *prev;
    uint64_t directory;
    char name[];
};

static void remove_tree(int directory, const char *name);

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Removes what a batch of entries names. */
static void remove_entries(int fd, const char *batch, ssize_t length)
{
    for (ssize_t at = 0; at < length;) {
        const struct dirent64 *entry = (const struct dirent64 *)(batch + at);
        at += entry->d_reclen;
        if (!is_dots(entry->d_name))
            remove_tree(fd, entry->d_name);
    }
}

/* Files or directories: what cannot be removed stays, since nobody is there to be told. */
static void remove_tree(int directory, const char *name)
{
    char batch[BATCH_BYTES] __attribute__((aligned(8)));
    ssize_t length;

    if (unlinkat(directory, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
        return;
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return;
    while ((length = getdents64(fd, batch, sizeof(batch))) > 0)
        remove_entries(fd, batch, length);
    close(fd);
    unlinkat(directory, name, AT_REMOVEDIR);
}

void halo_leftovers_remove(struct halo_loop *loop, bool busy)
{
    for (struct halo_leftover *left = loop->leftovers; left; left = left->next) {
        struct halo_file *directory = halo_files_find_open(&loop->files, left->directory);
        if (directory && (!busy || directory->local))
            remove_tree(directory->fd, left->name);
    }
}

void halo_leftovers_free(struct halo_loop *loop)
{
    struct halo_leftover *next;
    for (struct halo_leftover *left = loop->leftovers; left; left = next) {
        next = left->next;
        free(left);
    }
    loop->leftovers = NULL;
}

struct halo_leftover *halo_leftover_hold(struct halo_loop *loop, uint64_t directory,
                                         const char *name)
{
    struct halo_file *file = halo_files_find_open(&loop->files, directory);
    bool fenced = loop->config.fence && file && !(file->rights & HALO_MAY_WRITE);
    if (!file || fenced || strchr(name, '/') || is_dots(name))
        return NULL;
    struct halo_leftover *left = malloc(sizeof(*left) + strlen(name) + 1);
    if (!left)
        return NULL;
    strcpy(left->name, name);
    left->directory = directory;
    left->prev = NULL;
    left->next = loop->leftovers;
    if (left->next)
        left->next->prev = left;
    loop->leftovers = left;
    file->leftovers++;
    return left;
}

void halo_leftover_release(struct halo_loop *loop, struct halo_leftover *left)
{
    const struct halo_leftover *held = loop->leftovers;
    while (held && held != left)
        held = held->next;
    if (!held)
        return;
    struct halo_file *file = halo_files_find_open(&loop->files, left->directory);
    if (file)
        file->leftovers--;
    if (left->prev)
        left->prev->next = left->next;
    else
        loop->leftovers = left->next;
    if (left->next)
        left->next->prev = left->prev;
    free(left);
}
