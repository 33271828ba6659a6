/*
 * Operations below a base that confines, or that no system call can begin in a directory.
 *
 * An open can say how its path is to be resolved (resolve.h), and all that is opened by
 * halo_op_open_at() does. No other system call can. So the way is opened first: for those that work
 * on a name, the directory that holds it; for the others, what the path leads to. The plain call
 * then goes from that descriptor, and nothing is left in its path that could lead elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/ops.h"
#include "ops/shared.h"
#include "resolve.h"

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
 * Whether a path is only looked up. Then slashes behind it follow a link, and the directory it
 * leads to is what is meant, as of "." and "..".
 */
static bool only_looks(const struct halo_op *op, const char *path)
{
    switch (op->row->code) {
    case HALO_OP_LSTAT:
    case HALO_OP_READLINK:
    case HALO_OP_LCHOWN:
    case HALO_OP_LUTIME:
        return true;
    case HALO_OP_LINK:
        return path == op->path;
    default:
        return false;
    }
}

static int open_place(const struct halo_op *op, const char *path, int flags)
{
    return halo_op_open_at(op, path, O_PATH | flags, 0, false);
}

/* Opens what stands before a name. */
static int open_above(const struct halo_op *op, const char *path, const char *name)
{
    char above[PATH_MAX];
    size_t length = (size_t)(name - path);

    if (length >= sizeof(above))
        return -ENAMETOOLONG;
    if (length == 0)
        return open_place(op, ".", O_DIRECTORY);
    memcpy(above, path, length);
    above[length] = '\0';
    return open_place(op, above, O_DIRECTORY);
}

/* Opens the directory that holds the last name of a path, and finds that name. Or -errno. */
static int open_parent(const struct halo_op *op, const char *path, const char **name)
{
    *name = last_name(path);
    bool up = is_word(*name, ".."), itself = up || is_word(*name, ".") || strchr(*name, '/');

    if (itself && only_looks(op, path)) {
        *name = ".";
        return open_place(op, path, O_DIRECTORY);
    }
    if (up) {
        int fd = open_place(op, path, O_DIRECTORY); /* refuses what leads out */
        if (fd < 0)
            return fd;
        close(fd);
    }
    return open_above(op, path, *name);
}

/* ---- for twins that open ------------------------------------------------------------------- */

int halo_op_stat_at(const struct halo_op *op, const char *path, int flags, struct stat *status)
{
    if (!op->resolve)
        return (int)halo_result_of(fstatat(op->base_fd, path, status, flags));
    int fd = open_place(op, path, flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    if (fd < 0)
        return fd;
    int result = (int)halo_result_of(fstat(fd, status));
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
    int fd = open_place(op, path, 0);
    if (fd < 0)
        return fd;
    int result = (int)halo_result_of(statx(fd, "", AT_EMPTY_PATH, HALO_STATX_WANTED, statx_now));
    close(fd);
    return result;
}

void halo_op_remove_made(const struct halo_op *op, const char *path, const struct stat *made)
{
    struct stat named;
    const char *name = path;
    int fd = op->resolve ? open_parent(op, path, &name) : op->base_fd;

    if (fstatat(fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && made->st_dev == named.st_dev &&
        made->st_ino == named.st_ino)
        unlinkat(fd, name, 0);
    if (op->resolve && fd >= 0)
        close(fd);
}

/* ---- the others ---------------------------------------------------------------------------- */

struct place {
    const char *path, *path2;
    int base_fd, base_fd2;
};

static struct place place_of(const struct halo_op *op)
{
    return (struct place){op->path, op->path2, op->base_fd, op->base_fd2};
}

/* The record is as it was before, so that the call can be made again. A result took its paths. */
static void put_back(struct halo_op *op, const struct place *place)
{
    op->base_fd = place->base_fd;
    op->base_fd2 = place->base_fd2;
    if (!op->path)
        return;
    op->path = place->path;
    op->path2 = place->path2;
}

static int64_t block_by_name(struct halo_op *op)
{
    const struct place place = place_of(op);
    const char *name = place.path, *name2 = place.path2;
    int fd = AT_FDCWD, fd2 = AT_FDCWD;

    if (op->row->lookup != HALO_LOOKUP_PATH2)
        fd = open_parent(op, place.path, &name);
    if (op->row->lookup != HALO_LOOKUP_PATH && (fd >= 0 || fd == AT_FDCWD))
        fd2 = open_parent(op, place.path2, &name2);
    int64_t result = fd != AT_FDCWD && fd < 0 ? fd : fd2 != AT_FDCWD && fd2 < 0 ? fd2 : 0;
    if (!result) {
        op->base_fd = fd;
        op->base_fd2 = fd2;
        op->path = name;
        op->path2 = name2;
        result = op->row->block(op);
        put_back(op, &place);
    }
    if (fd >= 0)
        close(fd);
    if (fd2 >= 0)
        close(fd2);
    return result;
}

#define LINK_BYTES 32

/* The path by which every call takes a descriptor, even one that only is a place. */
static int64_t block_by_link(struct halo_op *op, int fd)
{
    const struct place place = place_of(op);
    char link[LINK_BYTES];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    op->base_fd = AT_FDCWD;
    op->path = link;
    int64_t result = op->row->block(op);
    put_back(op, &place);
    if (result == -ENOENT && access("/proc/self/fd", F_OK) < 0)
        return -EOPNOTSUPP;
    return result;
}

/* Of these there is one that takes a descriptor as it is. */
static const struct halo_op_row *row_by_fd(const struct halo_op *op)
{
    return halo_op_is(op, HALO_OP_STAT)     ? &halo_fstat_row
           : halo_op_is(op, HALO_OP_STATFS) ? &halo_fstatfs_row
                                            : NULL;
}

/* inotify's own word for a link itself is said by the open, since it would hold for /proc's too. */
static int64_t block_by_target(struct halo_op *op)
{
    const struct halo_op_row *by_fd = row_by_fd(op);
    uint32_t flags = op->flags;
    bool itself = halo_op_is(op, HALO_OP_WATCH) && (flags & IN_DONT_FOLLOW);
    int64_t result;
    int fd = open_place(op, op->path, itself ? O_NOFOLLOW : 0);

    if (fd < 0)
        return fd;
    if (by_fd) {
        op->fd = fd;
        result = by_fd->block(op);
        op->fd = -1;
    } else {
        op->flags = itself ? flags & ~(uint32_t)IN_DONT_FOLLOW : flags;
        result = block_by_link(op, fd);
        op->flags = flags;
    }
    close(fd);
    return result;
}

int64_t halo_op_block_below(struct halo_op *op)
{
    return op->row->no_follow ? block_by_name(op) : block_by_target(op);
}
