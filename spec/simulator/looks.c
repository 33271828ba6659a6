/* The system calls that are about names, and about what is known of a file beside its data. */
#include "calls.h"
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

/* ---- names --------------------------------------------------------------------------------- */

int WRAP(renameat2)(int base, const char *path, int base2, const char *path2, unsigned flags)
{
    GIVE(FAULT_NAME, base, model_rename(base, path, base2, path2, flags));
}

int WRAP(renameat)(int base, const char *path, int base2, const char *path2)
{
    GIVE(FAULT_NAME, base, model_rename(base, path, base2, path2, 0));
}

int WRAP(unlinkat)(int base, const char *path, int flags)
{
    GIVE(FAULT_NAME, base, model_unlink(base, path, flags & AT_REMOVEDIR));
}

int WRAP(mkdirat)(int base, const char *path, mode_t mode)
{
    GIVE(FAULT_NAME, base, model_mkdir(base, path, mode));
}

int WRAP(mknodat)(int base, const char *path, mode_t mode, dev_t device)
{
    (void)device;
    GIVE(FAULT_NAME, base, model_mknod(base, path, mode));
}

int WRAP(linkat)(int base, const char *path, int base2, const char *path2, int flags)
{
    (void)flags;
    GIVE(FAULT_NAME, base, model_link(base, path, base2, path2));
}

int WRAP(symlinkat)(const char *text, int base, const char *path)
{
    GIVE(FAULT_NAME, base, model_symlink(text, base, path));
}

static int64_t read_link(int base, const char *path, char *out, size_t size)
{
    struct model_node *node;
    int error = model_find(base, path, false, &node);
    if (error || !S_ISLNK(node->mode))
        return error ? error : -EINVAL;
    size_t length = node->size < size ? node->size : size;
    memcpy(out, node->data, length);
    return (int64_t)length;
}

ssize_t WRAP(readlinkat)(int base, const char *path, char *out, size_t size)
{
    GIVE(FAULT_LOOK, base, read_link(base, path, out, size));
}

ssize_t WRAP(readlink)(const char *path, char *out, size_t size)
{
    GIVE(FAULT_LOOK, AT_FDCWD, read_link(AT_FDCWD, path, out, size));
}

char *WRAP(realpath)(const char *path, char *out)
{
    int fault = weather_fault(FAULT_LOOK);
    ssize_t length = fault ? -fault : model_realpath(path, out, PATH_MAX);
    return give("realpath", 0, length) < 0 ? NULL : out;
}

char *WRAP(getcwd)(char *out, size_t size)
{
    return size > 1 ? strcpy(out, "/") : NULL;
}

ssize_t WRAP(getdents64)(int fd, void *out, size_t size)
{
    GIVE(FAULT_READ, fd, model_getdents(fd, out, size, 1 + (unsigned)weather_below(6)));
}

/* ---- what is known of a file --------------------------------------------------------------- */

static int64_t find(int base, const char *path, int flags, struct model_node **node)
{
    if (*path || !(flags & AT_EMPTY_PATH))
        return model_find(base, path, !(flags & AT_SYMLINK_NOFOLLOW), node);
    *node = node_of(base);
    return *node ? 0 : -EBADF;
}

static int64_t look(int base, const char *path, int flags, struct statx *out)
{
    struct model_node *node;
    int64_t error = find(base, path, flags, &node);
    if (!error)
        model_status(node, out);
    return error;
}

int REAL(statx)(int base, const char *path, int flags, unsigned mask, struct statx *out);
int WRAP(statx)(int base, const char *path, int flags, unsigned mask, struct statx *out)
{
    if (!*path && !model_owns(base))
        return REAL(statx)(base, path, flags, mask, out);
    if (flags & AT_STATX_DONT_SYNC) /* what the kernel knows of an open file cannot fail */
        return (int)give("statx", base, look(base, path, flags, out));
    GIVE(FAULT_LOOK, base, look(base, path, flags, out));
}

static int64_t look_briefly(int base, const char *path, int flags, struct stat *out)
{
    struct model_node *node;
    int64_t error = find(base, path, flags, &node);
    if (!error)
        *out = (struct stat){
            .st_dev = node->device,
            .st_ino = node->ino,
            .st_mode = node->mode,
            .st_nlink = node->links,
            .st_uid = node->uid,
            .st_gid = node->gid,
            .st_size = (off_t)node->size,
            .st_blksize = 4096,
            .st_atim = node->times[0],
            .st_mtim = node->times[1],
            .st_ctim = node->times[1],
        };
    return error;
}

int WRAP(fstatat)(int base, const char *path, struct stat *out, int flags)
{
    GIVE(FAULT_LOOK, base, look_briefly(base, path, flags, out));
}

int WRAP(fstat)(int fd, struct stat *out)
{
    GIVE(FAULT_LOOK, fd, look_briefly(fd, "", AT_EMPTY_PATH, out));
}

int WRAP(faccessat)(int base, const char *path, int mode, int flags)
{
    struct model_node *node;
    (void)mode;
    GIVE(FAULT_LOOK, base, find(base, path, flags, &node));
}

static int64_t change_mode(int base, const char *path, int flags, mode_t mode)
{
    struct model_node *node;
    int64_t error = find(base, path, flags, &node);
    if (!error)
        node->mode = (node->mode & S_IFMT) | (mode & 07777);
    if (!error)
        model_check_private(node);
    return error;
}

int WRAP(fchmodat)(int base, const char *path, mode_t mode, int flags)
{
    GIVE(FAULT_NAME, base, change_mode(base, path, flags, mode));
}

int WRAP(fchmod)(int fd, mode_t mode)
{
    GIVE(FAULT_NAME, fd, change_mode(fd, "", AT_EMPTY_PATH, mode));
}

static int64_t change_owner(int base, const char *path, int flags, uid_t uid, gid_t gid)
{
    struct model_node *node;
    int64_t error = find(base, path, flags, &node);
    if (!error && uid != (uid_t)-1)
        node->uid = uid;
    if (!error && gid != (gid_t)-1)
        node->gid = gid;
    return error;
}

int WRAP(fchownat)(int base, const char *path, uid_t uid, gid_t gid, int flags)
{
    GIVE(FAULT_NAME, base, change_owner(base, path, flags, uid, gid));
}

int WRAP(fchown)(int fd, uid_t uid, gid_t gid)
{
    GIVE(FAULT_NAME, fd, change_owner(fd, "", AT_EMPTY_PATH, uid, gid));
}

static int64_t change_times(int base, const char *path, int flags, const struct timespec times[2])
{
    struct model_node *node;
    int64_t error = find(base, path, flags, &node);
    for (int i = 0; !error && i < 2; i++)
        if (times[i].tv_nsec < UTIME_NOW)
            node->times[i] = times[i];
    return error;
}

int WRAP(utimensat)(int base, const char *path, const struct timespec times[2], int flags)
{
    GIVE(FAULT_NAME, base, change_times(base, path, flags, times));
}

int WRAP(futimens)(int fd, const struct timespec times[2])
{
    GIVE(FAULT_NAME, fd, change_times(fd, "", AT_EMPTY_PATH, times));
}

static int64_t look_at_system(int base, const char *path, int flags, struct statfs *out)
{
    struct model_node *node;
    int64_t error = find(base, path, flags, &node);
    *out = (struct statfs){.f_type = 0xef53, .f_bsize = 4096, .f_blocks = 1000};
    return error;
}

int WRAP(statfs)(const char *path, struct statfs *out)
{
    GIVE(FAULT_LOOK, AT_FDCWD, look_at_system(AT_FDCWD, path, 0, out));
}

int WRAP(fstatfs)(int fd, struct statfs *out)
{
    GIVE(FAULT_LOOK, fd, look_at_system(fd, "", AT_EMPTY_PATH, out));
}

/* ---- what this file system does not have --------------------------------------------------- */

#define HAS_NOT(type, name)                                                                        \
    type WRAP(name)(void)                                                                          \
    {                                                                                              \
        return (type)give(#name, 0, -EOPNOTSUPP);                                                  \
    }

HAS_NOT(ssize_t, getxattr)
HAS_NOT(ssize_t, lgetxattr)
HAS_NOT(ssize_t, fgetxattr)
HAS_NOT(ssize_t, listxattr)
HAS_NOT(ssize_t, llistxattr)
HAS_NOT(ssize_t, flistxattr)
HAS_NOT(int, setxattr)
HAS_NOT(int, lsetxattr)
HAS_NOT(int, fsetxattr)
HAS_NOT(int, removexattr)
HAS_NOT(int, lremovexattr)
HAS_NOT(int, fremovexattr)
HAS_NOT(int, access) /* which is asked of /proc alone, as the next one */
HAS_NOT(int, chmod)
HAS_NOT(int, inotify_init1)
HAS_NOT(int, inotify_add_watch)
HAS_NOT(int, inotify_rm_watch)
HAS_NOT(int, chdir)
HAS_NOT(int, fchdir)
HAS_NOT(int, closefrom) /* of the command alone, as the next one */
HAS_NOT(int, prctl)
HAS_NOT(int, dup3) /* where a ring refuses later: the one here does not */
HAS_NOT(int, kill)
HAS_NOT(int, pipe2)
HAS_NOT(int, posix_spawnp)
HAS_NOT(int, waitid)
HAS_NOT(int, waitpid)
