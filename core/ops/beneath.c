/*
 * Operations below a base that confines, or that no system call can begin in a directory.
 *
 * An open can say how its path is to be resolved (resolve.h), and all that is opened by
 * halo_open_at() does. No other system call can. So the way is opened first: for those that work
 * on a name, the directory that holds it; for the others, what the path leads to. The plain call
 * then goes from that descriptor, and nothing is left in its path that could lead elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fence.h"
#include "ops/ops.h"
#include "ops/shared.h"
#include "resolve.h"

/* ---- opening ------------------------------------------------------------------------------- */

/* What an operation opens by a descriptor of its own begins in a directory that is no base. */
static uint32_t resolve_in(const struct halo_op *op, int base_fd)
{
    return base_fd == op->base_fd ? op->resolve : base_fd == op->base2_fd ? op->resolve2 : 0;
}

int halo_op_outside(const struct halo_op *op, int base_fd, int fd)
{
    if (fd != -EXDEV)
        return fd;
    if (op->rooted & 1 && base_fd == op->base_fd)
        return -HALO_OUTSIDE;
    return op->rooted & 2 && base_fd == op->base2_fd ? -HALO_OUTSIDE2 : fd;
}

int halo_open_at(const struct halo_op *op, int base_fd, const char *path, int flags, mode_t mode,
                 bool at_once)
{
    uint32_t resolve = resolve_in(op, base_fd);
    int fd = halo_resolve_open(base_fd, path, halo_open_flags(flags), mode, resolve);
    if (fd == -EAGAIN && !at_once && !(flags & O_NONBLOCK))
        fd = halo_resolve_open(base_fd, path, flags, mode, resolve);
    return halo_op_outside(op, base_fd, fd);
}

static int open_place(const struct halo_op *op, int base_fd, const char *path, int flags)
{
    return halo_op_open_from(op, base_fd, path, O_PATH | flags, 0, false);
}

/* ---- directories that hold a name ---------------------------------------------------------- */

/* The last name of a path, with the slashes behind it. */
static const char *last_name(const char *path)
{
    const char *end = path + strlen(path);

    while (end > path && end[-1] == '/')
        end--;
    while (end > path && end[-1] != '/')
        end--;
    return end;
}

static bool is_word(const char *name, const char *word)
{
    size_t length = strlen(word);
    return strncmp(name, word, length) == 0 && (name[length] == '\0' || name[length] == '/');
}

/*
 * Whether a name is to be made or taken away. One that is only looked up is followed where it is a
 * link with slashes behind it: the directory that leads to is what is meant, as of "." and "..".
 */
static bool changes_name(const struct halo_op *op, const char *path)
{
    switch (op->row->code) {
    case HALO_OP_RENAME:
    case HALO_OP_REMOVE:
    case HALO_OP_RMDIR:
    case HALO_OP_MKDIR:
    case HALO_OP_MKNOD:
    case HALO_OP_SYMLINK:
        return true;
    default:
        return path == op->path2; /* of a link */
    }
}

/* Opens what stands before a name. */
static int open_above(const struct halo_op *op, int base_fd, const char *path, const char *name)
{
    char above[PATH_MAX];
    size_t length = (size_t)(name - path);

    if (length >= sizeof(above))
        return -ENAMETOOLONG;
    if (length == 0)
        return open_place(op, base_fd, ".", O_DIRECTORY);
    memcpy(above, path, length);
    above[length] = '\0';
    return open_place(op, base_fd, above, O_DIRECTORY);
}

/* Opens the directory that holds the last name of a path, and finds that name. Or -errno. */
static int open_parent(const struct halo_op *op, int base_fd, const char *path, const char **name)
{
    *name = last_name(path);
    bool up = is_word(*name, ".."), itself = up || is_word(*name, ".") || strchr(*name, '/');

    if (*path == '\0')
        return -ENOENT;
    if (itself && !changes_name(op, path)) {
        *name = ".";
        return open_place(op, base_fd, path, O_DIRECTORY);
    }
    if (up) {
        int fd = open_place(op, base_fd, path, O_DIRECTORY); /* refuses what leads out */
        if (fd < 0)
            return fd;
        close(fd);
    }
    return open_above(op, base_fd, path, *name);
}

/* ---- for twins that open ------------------------------------------------------------------- */

int halo_op_stat_at(const struct halo_op *op, int base_fd, const char *path, int flags,
                    struct stat *status)
{
    unsigned tries = 0;
    int result;

    while (!resolve_in(op, base_fd)) {
        result = (int)halo_result_of(fstatat(base_fd, path, status, flags));
        if (result != -EINTR || !halo_op_retries(op, &tries))
            return result;
    }
    int fd = open_place(op, base_fd, path, flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    if (fd < 0)
        return fd;
    result = halo_op_fstat(op, fd, status);
    close(fd);
    return result;
}

/* A link may lead to another place below the base, which it only can say from there. */
int halo_op_look_into(const struct halo_op *op, int dir_fd, const char *name,
                      struct statx *statx_now)
{
    char path[PATH_MAX];

    if (!op->resolve)
        return (int)halo_result_of(statx(dir_fd, name, 0, HALO_STATX_WANTED, statx_now));
    int length = snprintf(path, sizeof(path), "%s/%s", op->path, name);
    if (length >= (int)sizeof(path))
        return -ENAMETOOLONG;
    int fd = open_place(op, op->base_fd, path, 0);
    if (fd < 0)
        return fd;
    int result = (int)halo_result_of(statx(fd, "", AT_EMPTY_PATH, HALO_STATX_WANTED, statx_now));
    close(fd);
    return result;
}

int halo_op_open_above(const struct halo_op *op, int base_fd, const char *path, const char **name)
{
    *name = last_name(path);
    return open_above(op, base_fd, path, *name);
}

static void remove_in(const struct halo_op *op, int dir_fd, const char *name,
                      const struct stat *made)
{
    struct stat named;
    if (halo_op_stat_at(op, dir_fd, name, AT_SYMLINK_NOFOLLOW, &named) == 0 &&
        made->st_dev == named.st_dev && made->st_ino == named.st_ino)
        unlinkat(dir_fd, name, 0);
}

void halo_op_remove_made(const struct halo_op *op, int base_fd, const char *path,
                         const struct stat *made)
{
    const char *name;

    if (!resolve_in(op, base_fd)) {
        remove_in(op, base_fd, path, made);
        return;
    }
    int dir_fd = halo_op_open_above(op, base_fd, path, &name);
    if (dir_fd < 0)
        return;
    remove_in(op, dir_fd, name, made);
    close(dir_fd);
}

/* ---- the others ---------------------------------------------------------------------------- */

struct place {
    const char *path, *path2;
    int base_fd, base2_fd;
};

static struct place place_of(const struct halo_op *op)
{
    return (struct place){op->path, op->path2, op->base_fd, op->base2_fd};
}

/* The record is as it was before, so that the call can be made again. A result took its paths. */
static void put_back(struct halo_op *op, const struct place *place)
{
    op->base_fd = place->base_fd;
    op->base2_fd = place->base2_fd;
    if (!op->path)
        return;
    op->path = place->path;
    op->path2 = place->path2;
}

#define LINK_BYTES (32 + PATH_MAX)

/*
 * Makes the call by the path with which any call takes a descriptor, even one that is only a place,
 * and a name in it where that is a directory.
 */
static int64_t block_by_link(struct halo_op *op, int fd, const char *name)
{
    const struct place place = place_of(op);
    char link[LINK_BYTES];

    snprintf(link, sizeof(link), "/proc/self/fd/%d%s%s", fd, name ? "/" : "", name ? name : "");
    op->base_fd = AT_FDCWD;
    op->path = link;
    int64_t result = op->row->block(op);
    put_back(op, &place);
    if (result == -ENOENT && access("/proc/self/fd", F_OK) < 0)
        return -EOPNOTSUPP;
    return result;
}

static int64_t block_at(struct halo_op *op, int fd, const char *name, int fd2, const char *name2)
{
    const struct place place = place_of(op);

    op->base_fd = fd;
    op->base2_fd = fd2;
    op->path = name;
    op->path2 = name2;
    int64_t result = op->row->block(op);
    put_back(op, &place);
    return result;
}

/* Of a symbolic link path is but a text. */
static int64_t block_by_name(struct halo_op *op)
{
    bool has_name = op->row->lookup != HALO_LOOKUP_PATH2;
    bool has_name2 = op->row->lookup != HALO_LOOKUP_PATH;
    const char *name = op->path, *name2 = op->path2;
    int fd = -1, fd2 = -1;
    int64_t result = 0;

    if (has_name)
        result = fd = open_parent(op, op->base_fd, op->path, &name);
    if (has_name2 && result >= 0)
        result = fd2 = open_parent(op, op->base2_fd, op->path2, &name2);
    if (result >= 0)
        result =
            op->row->no_base ? block_by_link(op, fd, name) : block_at(op, fd, name, fd2, name2);
    if (fd >= 0)
        close(fd);
    if (fd2 >= 0)
        close(fd2);
    return result;
}

/* Of these there is one that takes a descriptor as it is. */
static const struct halo_op_row *row_by_fd(const struct halo_op *op)
{
    return halo_op_is(op, HALO_OP_STAT)     ? &halo_fstat_row
           : halo_op_is(op, HALO_OP_STATFS) ? &halo_fstatfs_row
                                            : NULL;
}

static int64_t block_by_target(struct halo_op *op)
{
    const struct halo_op_row *by_fd = row_by_fd(op);
    int fd = open_place(op, op->base_fd, op->path, 0);

    if (fd < 0)
        return fd;
    op->fd = fd;
    int64_t result = by_fd ? by_fd->block(op) : block_by_link(op, fd, NULL);
    op->fd = -1;
    close(fd);
    return result;
}

int64_t halo_op_block_below(struct halo_op *op)
{
    return op->row->no_follow ? block_by_name(op) : block_by_target(op);
}
