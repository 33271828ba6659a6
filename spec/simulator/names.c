/* Names: following paths; making, linking, renaming and removing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "model.h"
#include "trace.h"
#include "weather.h"

#define LINKS_MAX 40
#define MASK      022

static struct model_node *root;
static uint64_t last_ino, last_order;

/* ---- nodes --------------------------------------------------------------------------------- */

static struct model_node *new_node(mode_t mode, unsigned device)
{
    struct model_node *node = calloc(1, sizeof(*node));
    if (!node)
        fail("out of memory");
    node->ino = ++last_ino;
    node->mode = mode;
    node->device = device;
    for (int i = 0; i < 2; i++)
        node->times[i].tv_sec = (time_t)(clock_now_ns() / 1000000000);
    return node;
}

static void free_node(struct model_node *node)
{
    free(node->data);
    free(node);
}

void model_forget(struct model_node *node)
{
    if (node->links == 0 && node->open == 0)
        free_node(node);
}

/* Two mounts: what is below /slow belongs to another one, which may be slow. */
void model_begin(void)
{
    struct model_place place;

    last_ino = last_order = 0;
    root = new_node(S_IFDIR | 0755, 1);
    root->links = 2;
    root->parent = root;
    model_mkdir(AT_FDCWD, "/slow", 0755);
    model_walk(AT_FDCWD, "/slow", true, 0, &place);
    if (place.node)
        place.node->device = weather.one_mount ? 1 : 2;
}

/* ---- entries ------------------------------------------------------------------------------- */

static struct model_entry **find_entry(struct model_node *directory, const char *name)
{
    struct model_entry **entry = &directory->entries;
    while (*entry && strcmp((*entry)->name, name) != 0)
        entry = &(*entry)->next;
    return entry;
}

static void add_entry(struct model_node *directory, const char *name, struct model_node *node)
{
    struct model_entry **last = find_entry(directory, name);
    struct model_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        fail("out of memory");
    strcpy(entry->name, name);
    entry->order = ++last_order;
    entry->node = node;
    *last = entry;
    node->links++;
    if (S_ISDIR(node->mode))
        node->parent = directory;
}

static void remove_entry(struct model_node *directory, const char *name)
{
    struct model_entry **place = find_entry(directory, name);
    struct model_entry *entry = *place;
    struct model_node *node = entry->node;

    *place = entry->next;
    free(entry);
    node->links--;
    if (S_ISDIR(node->mode) && node->links == 1)
        node->links = 0;
    model_forget(node);
}

/* ---- paths --------------------------------------------------------------------------------- */

struct walk {
    struct model_node *at, *top;
    unsigned device;
    uint64_t resolve;
    unsigned links;
    struct model_place *place;
};

static int follow_path(struct walk *walk, const char *path, bool follow);

static int step_into(struct walk *walk, const char *name)
{
    struct model_node *node = walk->at;

    if (strcmp(name, "..") == 0) {
        if (node == walk->top && (walk->resolve & RESOLVE_BENEATH))
            return -EXDEV;
        walk->place->node = node->parent;
    } else if (strcmp(name, ".") == 0) {
        walk->place->node = node;
    } else {
        struct model_entry *entry = *find_entry(node, name);
        walk->place->node = entry ? entry->node : NULL;
    }
    walk->place->directory = node;
    strcpy(walk->place->name, name);
    if (walk->place->node && walk->place->node->device != walk->device &&
        (walk->resolve & RESOLVE_NO_XDEV))
        return -EXDEV;
    return 0;
}

static int follow_link(struct walk *walk)
{
    char text[PATH_MAX];
    const struct model_node *link = walk->place->node;

    if (++walk->links > LINKS_MAX || (walk->resolve & RESOLVE_NO_SYMLINKS))
        return -ELOOP;
    snprintf(text, sizeof(text), "%.*s", (int)link->size, (const char *)link->data);
    return follow_path(walk, text, true);
}

/* The last component is left in the place; those before it have to be directories. */
static int follow_path(struct walk *walk, const char *path, bool follow)
{
    if (*path == '/') {
        if (walk->resolve & RESOLVE_BENEATH)
            return -EXDEV;
        *walk->place = (struct model_place){.node = root, .directory = root, .name = "."};
        walk->at = root;
    }
    while (*(path += strspn(path, "/"))) {
        char name[MODEL_NAME_MAX + 1];
        size_t length = strcspn(path, "/");
        if (length > MODEL_NAME_MAX)
            return -ENAMETOOLONG;
        snprintf(name, sizeof(name), "%.*s", (int)length, path);
        path += length;
        bool last = path[strspn(path, "/")] == '\0';
        if (!S_ISDIR(walk->at->mode))
            return -ENOTDIR;
        int error = step_into(walk, name);
        walk->place->slash = last && *path == '/';
        bool through = !last || follow || walk->place->slash;
        if (!error && walk->place->node && S_ISLNK(walk->place->node->mode) && through)
            error = follow_link(walk);
        if (error)
            return error;
        if (last)
            return 0;
        if (!walk->place->node)
            return -ENOENT;
        walk->at = walk->place->node;
    }
    return 0;
}

static struct model_node *start_of(int base, const char *path)
{
    const struct model_handle *handle = base == AT_FDCWD ? NULL : model_handle(base);

    if (*path == '/' || base == AT_FDCWD)
        return root;
    return handle ? handle->node : NULL;
}

int model_walk(int base, const char *path, bool follow, uint64_t resolve, struct model_place *place)
{
    struct model_node *start = start_of(base, path);

    *place = (struct model_place){0};
    if (*path == '\0')
        return -ENOENT;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (!start)
        return -EBADF;
    if (!S_ISDIR(start->mode))
        return -ENOTDIR;
    if (start->links == 0)
        return -ENOENT;
    struct walk walk = {
        .at = start, .top = start, .device = start->device, .resolve = resolve, .place = place};
    int error = follow_path(&walk, path, follow);
    if (!error && place->slash && place->node && !S_ISDIR(place->node->mode))
        return -ENOTDIR;
    return error;
}

int model_find(int base, const char *path, bool follow, struct model_node **node)
{
    struct model_place place;
    int error = model_walk(base, path, follow, 0, &place);

    *node = place.node;
    return error ? error : place.node ? 0 : -ENOENT;
}

/* ---- making -------------------------------------------------------------------------------- */

void model_check_private(const struct model_node *node)
{
    if (node->guarded && node->uid != node->guard_uid && (node->mode & 077) && !S_ISLNK(node->mode))
        fail("a copy is for others before its owner is right");
}

int model_make(const struct model_place *place, mode_t mode, struct model_node **node)
{
    if (place->node)
        return -EEXIST;
    if (place->directory->links == 0 || (place->slash && !S_ISDIR(mode)))
        return -ENOENT;
    *node = new_node(S_ISLNK(mode) ? mode : mode & ~(mode_t)MASK, place->directory->device);
    (*node)->links = S_ISDIR(mode);
    (*node)->guarded = place->directory->guarded;
    (*node)->guard_uid = place->directory->guard_uid;
    model_check_private(*node);
    add_entry(place->directory, place->name, *node);
    return 0;
}

int model_mknod(int base, const char *path, mode_t mode)
{
    struct model_place place;
    struct model_node *node;
    int error = model_walk(base, path, false, 0, &place);
    return error ? error : model_make(&place, mode, &node);
}

int model_mkdir(int base, const char *path, mode_t mode)
{
    return model_mknod(base, path, S_IFDIR | mode);
}

int model_symlink(const char *text, int base, const char *path)
{
    struct model_place place;
    struct model_node *node;
    int error = *text ? model_walk(base, path, false, 0, &place) : -ENOENT;
    if (!error)
        error = model_make(&place, S_IFLNK | 0777, &node);
    if (error)
        return error;
    node->data = (uint8_t *)strdup(text);
    node->size = strlen(text);
    return 0;
}

int model_link(int base, const char *path, int base2, const char *path2)
{
    struct model_place from, to;
    int error = model_walk(base, path, false, 0, &from);
    if (!error && !from.node)
        error = -ENOENT;
    if (!error)
        error = model_walk(base2, path2, false, 0, &to);
    if (error)
        return error;
    if (to.node)
        return -EEXIST;
    if (to.directory->links == 0 || to.slash)
        return -ENOENT;
    if (to.directory->device != from.node->device)
        return -EXDEV;
    if (S_ISDIR(from.node->mode))
        return -EPERM;
    add_entry(to.directory, to.name, from.node);
    return 0;
}

/* ---- removing and renaming ----------------------------------------------------------------- */

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int model_unlink(int base, const char *path, bool directory)
{
    struct model_place place;
    int error = model_walk(base, path, false, 0, &place);
    if (error)
        return error;
    if (!place.node)
        return -ENOENT;
    if (directory && !S_ISDIR(place.node->mode))
        return -ENOTDIR;
    if (!directory && S_ISDIR(place.node->mode))
        return -EISDIR;
    if (is_dot(place.name))
        return -EINVAL;
    if (directory && place.node->device != place.directory->device)
        return -EBUSY;
    if (directory && place.node->entries)
        return -ENOTEMPTY;
    remove_entry(place.directory, place.name);
    return 0;
}

static bool is_within(const struct model_node *node, const struct model_node *above)
{
    for (; node != root; node = node->parent)
        if (node == above)
            return true;
    return node == above;
}

static int check_rename(const struct model_place *from, const struct model_place *to,
                        unsigned flags)
{
    if (!from->node || ((flags & RENAME_EXCHANGE) && !to->node))
        return -ENOENT;
    if ((flags & RENAME_NOREPLACE) && to->node)
        return -EEXIST;
    if (is_dot(from->name) || is_dot(to->name))
        return -EBUSY;
    if (to->directory->links == 0)
        return -ENOENT;
    if (from->node->device != to->directory->device ||
        (to->node && to->node->device != from->node->device))
        return -EXDEV;
    if (S_ISDIR(from->node->mode) && is_within(to->directory, from->node))
        return -EINVAL;
    if ((flags & RENAME_EXCHANGE) && S_ISDIR(to->node->mode) &&
        is_within(from->directory, to->node))
        return -EINVAL;
    if (!S_ISDIR(from->node->mode) && to->slash)
        return -ENOTDIR;
    if (!to->node || (flags & RENAME_EXCHANGE))
        return 0;
    if (S_ISDIR(from->node->mode) && !S_ISDIR(to->node->mode))
        return -ENOTDIR;
    if (!S_ISDIR(from->node->mode) && S_ISDIR(to->node->mode))
        return -EISDIR;
    return S_ISDIR(to->node->mode) && to->node->entries ? -ENOTEMPTY : 0;
}

static void exchange(const struct model_place *from, const struct model_place *to)
{
    struct model_entry *one = *find_entry(from->directory, from->name);
    struct model_entry *other = *find_entry(to->directory, to->name);

    one->node = to->node;
    other->node = from->node;
    if (S_ISDIR(from->node->mode))
        from->node->parent = to->directory;
    if (S_ISDIR(to->node->mode))
        to->node->parent = from->directory;
}

/* A crash behind the rename would leave the name with a part of the data. */
static void check_order(const struct model_place *from, const struct model_place *to)
{
    if (to->directory->ordered && from->node->dirty && strncmp(from->name, ".halo-", 6) == 0)
        fail("a name was given to data that is not on the disk");
}

int model_rename(int base, const char *path, int base2, const char *path2, unsigned flags)
{
    struct model_place from, to = {0};
    int error = model_walk(base, path, false, 0, &from);
    if (!error)
        error = model_walk(base2, path2, false, 0, &to);
    if (!error)
        error = check_rename(&from, &to, flags);
    if (error || from.node == to.node)
        return error;
    check_order(&from, &to);
    if (flags & RENAME_EXCHANGE) {
        exchange(&from, &to);
        return 0;
    }
    if (to.node)
        remove_entry(to.directory, to.name);
    add_entry(to.directory, to.name, from.node);
    remove_entry(from.directory, from.name);
    return 0;
}

/* ---- real paths ---------------------------------------------------------------------------- */

/* Puts a node's name before what is there already. */
static int prepend(const struct model_node *directory, const struct model_node *node, char *out,
                   size_t size)
{
    const struct model_entry *entry = directory->entries;
    char path[PATH_MAX];

    while (entry && entry->node != node)
        entry = entry->next;
    if (!entry)
        return -ENOENT;
    int length = snprintf(path, sizeof(path), "/%s%s", entry->name, out);
    if (length < 0 || (size_t)length >= size)
        return -ENAMETOOLONG;
    memcpy(out, path, (size_t)length + 1);
    return 0;
}

ssize_t model_realpath(const char *path, char *out, size_t size)
{
    struct model_place place;
    int error = model_walk(AT_FDCWD, path, true, 0, &place);

    if (!error && !place.node)
        error = -ENOENT;
    *out = '\0';
    const struct model_node *node = place.node, *above = place.directory;
    while (!error && node != root) {
        error = prepend(S_ISDIR(node->mode) ? node->parent : above, node, out, size);
        node = S_ISDIR(node->mode) ? node->parent : above;
    }
    if (!error && !*out)
        strcpy(out, "/");
    return error ? error : (ssize_t)strlen(out);
}
