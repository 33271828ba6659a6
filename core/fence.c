#include "fence.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "fd.h"
#include "files.h"
#include "ops/ops.h"
#include "resolve.h"

#define BENEATH    (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
#define PATH_BYTES (2 * PATH_MAX) /* the working directory, a slash and a path */

/* ---- texts --------------------------------------------------------------------------------- */

/* The next name of a path, without the slashes and single dots before it. */
static const char *next_name(const char *at, size_t *length)
{
    do {
        at += strspn(at, "/");
        *length = strcspn(at, "/");
    } while (*length == 1 && *at == '.' && at[1] && (at += 1));
    return at;
}

static bool is_name(const char *name, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(name, word, length) == 0;
}

/* What is left of a path behind a root's, whole names compared; NULL where it is not below. */
static const char *behind(const char *root, const char *path)
{
    size_t wanted, got;

    for (;;) {
        root = next_name(root, &wanted);
        if (wanted == 0 || is_name(root, wanted, "."))
            break;
        path = next_name(path, &got);
        if (wanted != got || memcmp(root, path, got) != 0)
            return NULL;
        root += wanted;
        path += got;
    }
    return path;
}

/* Whether the names alone lead up out of the directory that a path begins in. */
static bool leads_up(const char *path)
{
    size_t length;
    int depth = 0;

    for (path = next_name(path, &length); length > 0; path = next_name(path + length, &length)) {
        if (!is_name(path, length, "."))
            depth += is_name(path, length, "..") ? -1 : 1;
        if (depth < 0)
            return true;
    }
    return false;
}

/* Takes a name off the end of a working directory for each ".." that a path begins with. */
static const char *go_up(char *directory, const char *path)
{
    size_t length;
    const char *name = next_name(path, &length);

    while (is_name(name, length, "..")) {
        char *slash = strrchr(directory, '/');
        *(slash ? slash : directory) = '\0';
        path = name + length;
        name = next_name(path, &length);
    }
    return path;
}

/* A path from "/". There are no links in the working directory's own. Returns 0 or -errno. */
static int make_absolute(const char *path, char absolute[PATH_BYTES])
{
    *absolute = '\0';
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (*path != '/') {
        if (!getcwd(absolute, PATH_MAX))
            return -errno;
        path = go_up(absolute, path);
        strcat(absolute, "/");
    }
    strcat(absolute, path);
    return 0;
}

/* ---- roots --------------------------------------------------------------------------------- */

int halo_fence_create(struct halo_fence **fence)
{
    *fence = calloc(1, sizeof(**fence));
    return *fence ? 0 : -ENOMEM;
}

static void free_root(struct halo_root *root)
{
    if (root->fd >= 0)
        close(root->fd);
    free(root->name);
    free(root->paths[0]);
    free(root->paths[1]);
}

void halo_fence_free(struct halo_fence *fence)
{
    for (size_t i = 0; fence && i < fence->count; i++)
        free_root(&fence->roots[i]);
    if (fence)
        free(fence->roots);
    free(fence);
}

/* A root has the rights of those that hold it, too: to take some away below is no use. */
static void add_up(struct halo_fence *fence)
{
    for (size_t i = 0; i < fence->count; i++) {
        struct halo_root *root = &fence->roots[i];
        root->rights = root->given;
        for (size_t j = 0; j < fence->count; j++)
            if (!fence->roots[j].name && behind(fence->roots[j].paths[1], root->paths[1]))
                root->rights |= fence->roots[j].given;
        if (strcmp(root->paths[1], "/") == 0)
            fence->anywhere |= root->given;
    }
}

static int open_directory(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fd = halo_fd_move_up(fd);
    return fd < 0 ? -errno : fd;
}

/* A file is known by its directory and name, so that one that is replaced is the same root. */
static int open_root(struct halo_root *root)
{
    char *path = root->paths[1], *slash = strrchr(path, '/');

    root->fd = open_directory(path);
    if (root->fd == -ENOTDIR) {
        root->name = strdup(slash + 1);
        if (!root->name)
            return -ENOMEM;
        *slash = '\0';
        root->fd = open_directory(slash == path ? "/" : path);
        *slash = '/';
    }
    return root->fd < 0 ? root->fd : 0;
}

static int make_root(struct halo_root *root, const char *path, unsigned rights)
{
    char absolute[PATH_BYTES], real[PATH_MAX];
    int error = make_absolute(path, absolute);

    *root = (struct halo_root){.fd = -1, .given = rights};
    if (error)
        return error;
    if (!realpath(path, real))
        return -errno;
    root->paths[0] = strdup(absolute);
    root->paths[1] = strdup(real);
    return root->paths[0] && root->paths[1] ? open_root(root) : -ENOMEM;
}

int halo_fence_allow(struct halo_fence *fence, const char *path, unsigned rights)
{
    if (rights & HALO_MAY_WRITE)
        rights |= HALO_MAY_READ;
    fence->others |= rights & (HALO_MAY_EXECUTE | HALO_MAY_ADOPT);
    rights &= HALO_MAY_READ | HALO_MAY_WRITE;
    if (!path || !rights)
        return path || rights ? -EINVAL : 0;

    struct halo_root *roots = realloc(fence->roots, (fence->count + 1) * sizeof(*roots));
    if (!roots)
        return -ENOMEM;
    fence->roots = roots;
    int error = make_root(&roots[fence->count], path, rights);
    if (error) {
        free_root(&roots[fence->count]);
        return error;
    }
    fence->count++;
    add_up(fence);
    return 0;
}

/* ---- which root ---------------------------------------------------------------------------- */

/* What is left of a path in a root, or NULL. A file has nothing below it. */
static const char *rest_in(const struct halo_root *root, const char *path)
{
    for (int i = 0; i < 2; i++) {
        const char *rest = behind(root->paths[i], path);
        if (rest && !(root->name && rest[strspn(rest, "/")]))
            return rest;
    }
    return NULL;
}

/*
 * The root that holds an absolute path most closely, of those that its names do not lead out of
 * again; or, where they do that with each, the closest, so that it says who refuses. Or NULL.
 */
static const struct halo_root *find_root(const struct halo_fence *fence, const char *path,
                                         const char **rest)
{
    const struct halo_root *found = NULL;
    bool found_up = false;

    for (size_t i = 0; i < fence->count; i++) {
        const struct halo_root *root = &fence->roots[i];
        const char *left = rest_in(root, path);
        if (!left)
            continue;
        bool up = leads_up(left);
        bool closer = !found || strlen(left) < strlen(*rest);
        if (found && (up != found_up ? up : !closer))
            continue;
        found = root;
        found_up = up;
        *rest = left;
    }
    return found;
}

struct way {
    int base_fd;
    uint32_t resolve;
    unsigned rights;
    bool kept;             /* as it is */
    bool single;           /* a file's own root */
    char path[PATH_BYTES]; /* below base_fd */
};

/* Where a path from the working directory or "/" goes. Returns 0, -EACCES, or why it cannot be. */
static int find_way(const struct halo_fence *fence, const char *path, unsigned needs, bool holds,
                    struct way *way)
{
    char absolute[PATH_BYTES];
    const char *rest = "";

    way->kept = true;
    way->single = false;
    way->rights = fence->anywhere;
    if (!*path ||
        (halo_fence_is_open(fence, needs) && (!holds || halo_fence_is_open(fence, HALO_MAY_WRITE))))
        return 0;
    int error = make_absolute(path, absolute);
    if (error)
        return error;
    const struct halo_root *root = find_root(fence, absolute, &rest);
    if (!root || (root->rights & needs) != needs)
        return -EACCES;
    way->rights = root->rights;
    if (strcmp(root->paths[1], "/") == 0)
        return 0;
    way->kept = false;
    way->single = root->name;
    way->base_fd = root->fd;
    way->resolve = BENEATH | (root->name ? RESOLVE_NO_SYMLINKS : 0);
    rest += strspn(rest, "/");
    /* A slash behind the root's own name says that it is a directory, as it does elsewhere. */
    bool slash = root->name && absolute[strlen(absolute) - 1] == '/';
    snprintf(way->path, sizeof(way->path), "%s%s%s",
             root->name ? root->name
             : *rest    ? rest
                        : ".",
             slash ? "/" : "", "");
    return 0;
}

/* ---- operations ---------------------------------------------------------------------------- */

static int lack(struct halo_op *op, unsigned right)
{
    op->lacking = (uint8_t)right;
    return -EACCES;
}

static unsigned needs_of(const struct halo_op *op)
{
    bool writes = !op->row->only_reads;

    if (halo_op_is(op, HALO_OP_OPEN))
        writes =
            !(op->flags & O_PATH) && ((op->flags & O_ACCMODE) != O_RDONLY ||
                                      op->flags & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)));
    return writes ? HALO_MAY_WRITE | HALO_MAY_READ : HALO_MAY_READ;
}

static unsigned lacking_of(unsigned needs)
{
    return needs & HALO_MAY_WRITE ? HALO_MAY_WRITE : HALO_MAY_READ;
}

/* Calls may begin in a directory that is opened so, and have its rights. */
static bool holds_calls(const struct halo_op *op)
{
    return halo_op_is(op, HALO_OP_OPEN) && op->flags & (O_PATH | O_DIRECTORY);
}

/* A file's root says nothing of the directory that has its name. */
static bool changes_names(const struct halo_op *op)
{
    switch (op->row->code) {
    case HALO_OP_RENAME:
    case HALO_OP_REMOVE:
    case HALO_OP_MKDIR:
    case HALO_OP_RMDIR:
    case HALO_OP_LINK:
    case HALO_OP_SYMLINK:
    case HALO_OP_MKNOD:
        return true;
    default:
        return false;
    }
}

/* A path that begins in a directory: that confines, unless all of "/" may be reached like it. */
static bool goes_by_base(const struct halo_file *base, const char *path)
{
    return base && (base->resolve & RESOLVE_BENEATH || *path != '/');
}

/* Of one of two paths: 0, with the way filled in, or -errno. */
static int check_path(const struct halo_fence *fence, struct halo_op *op,
                      const struct halo_file *base, const char *path, unsigned needs,
                      struct way *way)
{
    int error = 0;

    if (goes_by_base(base, path)) {
        way->kept = true;
        way->rights = base->rights;
        error = (base->rights & needs) == needs ? 0 : -EACCES;
    } else {
        error = find_way(fence, path, needs, holds_calls(op), way);
        if (!error && way->single && changes_names(op))
            error = -EACCES;
    }
    return error == -EACCES ? lack(op, lacking_of(needs)) : error;
}

static void lead(struct halo_op *op, const struct way *way, bool second)
{
    if (way->kept)
        return;
    *(second ? &op->base2_fd : &op->base_fd) = way->base_fd;
    *(second ? &op->resolve2 : &op->resolve) = way->resolve;
    op->rooted |= second ? 2 : 1;
    op->below = true;
}

/* The paths go back into the record, whose memory they may have come from. */
static int put_paths(struct halo_op *op, const struct way *way, const struct way *way2)
{
    const char *path = way->kept ? op->path : way->path;
    const char *path2 = way2->kept ? op->path2 : way2->path;

    if (way->kept && way2->kept)
        return 0;
    char *copy = strdup(path), *copy2 = path2 ? strdup(path2) : NULL;
    int error = copy && (copy2 || !path2) ? 0 : -ENOMEM;
    if (!error)
        error = halo_op_set_paths(op, copy, strlen(copy), copy2, copy2 ? strlen(copy2) : 0);
    free(copy);
    free(copy2);
    return error;
}

static int check_paths(const struct halo_fence *fence, struct halo_op *op)
{
    struct way way, way2; /* large, and filled in as far as they are used */
    const struct halo_file *base2 = op->base2_slot ? op->base2_slot : op->base_slot;
    unsigned needs = needs_of(op);
    int error = 0;

    way.kept = way2.kept = true;
    way.rights = 0;
    if (op->row->lookup != HALO_LOOKUP_PATH2) {
        op->needs = (uint8_t)lacking_of(needs);
        error = check_path(fence, op, op->base_slot, op->path, needs, &way);
    }
    if (!error && op->row->lookup != HALO_LOOKUP_PATH) {
        op->needs2 = HALO_MAY_WRITE;
        error = check_path(fence, op, base2, op->path2, HALO_MAY_READ | HALO_MAY_WRITE, &way2);
    }
    if (!error)
        error = put_paths(op, &way, &way2);
    if (error)
        return error;
    lead(op, &way, false);
    lead(op, &way2, true);
    op->rights = (uint8_t)way.rights;
    op->no_devices = !halo_fence_is_open(fence, HALO_MAY_WRITE);
    return 0;
}

int halo_fence_enter(const struct halo_fence *fence, struct halo_op *op)
{
    if (halo_op_is(op, HALO_OP_SPAWN))
        return fence->others & HALO_MAY_EXECUTE ? 0 : lack(op, HALO_MAY_EXECUTE);
    if (op->row->on_file) {
        bool refused = op->row->alters && !(op->slot->rights & HALO_MAY_WRITE);
        return refused ? lack(op, HALO_MAY_WRITE) : 0;
    }
    /* What takes back a result goes the way that was found for it. */
    bool found = halo_op_is(op, HALO_OP_CLOSE) || op->rooted;
    return op->path && !found ? check_paths(fence, op) : 0;
}

/* ---- without an operation ------------------------------------------------------------------ */

bool halo_fence_allows(const struct halo_fence *fence, const char *path, unsigned rights)
{
    struct way way;
    if (!path)
        return (fence->others & rights) == rights;
    return find_way(fence, path, rights, false, &way) != -EACCES;
}

int halo_fence_chdir(const struct halo_fence *fence, const char *path)
{
    struct way way;
    int error = find_way(fence, path, HALO_MAY_READ, false, &way);

    if (error)
        return error;
    if (way.kept)
        return chdir(path) < 0 ? -errno : 0;
    int fd = halo_resolve_open(way.base_fd, way.path, O_PATH | O_DIRECTORY, 0, way.resolve);
    if (fd < 0)
        return fd;
    error = fchdir(fd) < 0 ? -errno : 0;
    close(fd);
    return error;
}
