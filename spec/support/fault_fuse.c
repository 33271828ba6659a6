/*
 * fault_fuse MOUNTPOINT DIRECTORY: shows a directory, all of whose calls pass through here, where
 * they can be made to fail. What is written to the file ".control" says how:
 *
 *     fail N ERRNO     the Nth call from now on fails, once
 *     short BYTES      no read or write takes more
 *     hang N           no call from the Nth on comes back, until there is a file ".release" in the
 *                      directory
 *     off              none of this any more
 *
 * and what is read from it is how many calls there were since then, and the name of the one that
 * has failed. Nothing is cached, so that every call arrives here. It ends when it is unmounted, or
 * after two minutes, should the spec that has started it be no more.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LIFETIME_S 120
#define CONTROL    UINT64_MAX /* the handle of .control */

static int root;

/* ---- faults -------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long calls, fail_at, hang_at;
static int fail_errno;
static size_t short_bytes;
static volatile bool hangs;
static const char *failed = "";
static _Thread_local bool made; /* a name, at which libfuse looks before it answers */

static bool is_control(const char *path)
{
    return path && strcmp(path, "/.control") == 0;
}

/* An open file has its path no more. */
static bool controls(const struct fuse_file_info *file)
{
    return file && file->fh == CONTROL;
}

/* Whether this call fails: 0, or -errno. */
static int gate(const char *name)
{
    pthread_mutex_lock(&lock);
    int error = ++calls == fail_at ? -fail_errno : 0;
    if (error)
        failed = name;
    bool waits = hangs && calls >= hang_at;
    pthread_mutex_unlock(&lock);
    while (waits && hangs && faccessat(root, ".release", F_OK, 0) != 0)
        usleep(5000);
    return error;
}

#define GATE()                                                                                     \
    do {                                                                                           \
        int error = gate(__func__);                                                                \
        if (error)                                                                                 \
            return error;                                                                          \
    } while (0)

static size_t shortened(size_t size)
{
    return short_bytes && size > short_bytes ? short_bytes : size;
}

static int control(const char *data, size_t size)
{
    char text[64] = "";
    memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
    pthread_mutex_lock(&lock);
    calls = fail_at = short_bytes = 0;
    failed = "";
    hangs = sscanf(text, "hang %lu", &hang_at) == 1;
    if (sscanf(text, "fail %lu %d", &fail_at, &fail_errno) != 2)
        sscanf(text, "short %zu", &short_bytes);
    pthread_mutex_unlock(&lock);
    return (int)size;
}

static int tell(char *data, size_t size, off_t offset)
{
    char text[64];
    pthread_mutex_lock(&lock);
    int length = snprintf(text, sizeof(text), "%lu %s\n", calls, failed);
    pthread_mutex_unlock(&lock);
    if (offset >= length)
        return 0;
    if (size > (size_t)(length - offset))
        size = (size_t)(length - offset);
    memcpy(data, text + offset, size);
    return (int)size;
}

/* ---- names --------------------------------------------------------------------------------- */

static const char *below(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int answer(long result)
{
    return result < 0 ? -errno : (int)result;
}

/* What root makes for somebody belongs to him. */
static int give(const char *path, int result)
{
    const struct fuse_context *context = fuse_get_context();
    made = result >= 0;
    if (result >= 0 &&
        fchownat(root, below(path), context->uid, context->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    return answer(result);
}

static int do_getattr(const char *path, struct stat *status, struct fuse_file_info *file)
{
    if (is_control(path) || controls(file)) {
        *status = (struct stat){.st_mode = S_IFREG | 0666, .st_nlink = 1};
        return 0;
    }
    bool looks = made;
    made = false;
    if (!looks && (!path || path[1])) /* the root is on the way to .control */
        GATE();
    if (file)
        return answer(fstat((int)file->fh, status));
    return answer(fstatat(root, below(path), status, AT_SYMLINK_NOFOLLOW));
}

static int do_readlink(const char *path, char *text, size_t size)
{
    GATE();
    ssize_t length = readlinkat(root, below(path), text, size - 1);
    if (length >= 0)
        text[length] = '\0';
    return length < 0 ? -errno : 0;
}

static int do_mknod(const char *path, mode_t mode, dev_t device)
{
    GATE();
    return give(path, mknodat(root, below(path), mode, device));
}

static int do_mkdir(const char *path, mode_t mode)
{
    GATE();
    return give(path, mkdirat(root, below(path), mode));
}

static int do_symlink(const char *text, const char *path)
{
    GATE();
    return give(path, symlinkat(text, root, below(path)));
}

static int do_unlink(const char *path)
{
    GATE();
    return answer(unlinkat(root, below(path), 0));
}

static int do_rmdir(const char *path)
{
    GATE();
    return answer(unlinkat(root, below(path), AT_REMOVEDIR));
}

static int do_rename(const char *from, const char *to, unsigned flags)
{
    GATE();
    return answer(renameat2(root, below(from), root, below(to), flags));
}

static int do_link(const char *from, const char *to)
{
    GATE();
    int result = answer(linkat(root, below(from), root, below(to), 0));
    made = result == 0;
    return result;
}

static int do_statfs(const char *path, struct statvfs *status)
{
    (void)path;
    GATE();
    return answer(fstatvfs(root, status));
}

/* ---- attributes ---------------------------------------------------------------------------- */

/* A path for calls that know no directories, of the thing itself. */
struct whole {
    char path[4200];
};

static const char *whole(struct whole *name, const char *path)
{
    snprintf(name->path, sizeof(name->path), "/proc/self/fd/%d/%s", root, below(path));
    return name->path;
}

static int do_chmod(const char *path, mode_t mode, struct fuse_file_info *file)
{
    GATE();
    return answer(file ? fchmod((int)file->fh, mode) : fchmodat(root, below(path), mode, 0));
}

static int do_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *file)
{
    GATE();
    return answer(file ? fchown((int)file->fh, uid, gid)
                       : fchownat(root, below(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int do_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *file)
{
    GATE();
    return answer(file ? futimens((int)file->fh, times)
                       : utimensat(root, below(path), times, AT_SYMLINK_NOFOLLOW));
}

static int do_setxattr(const char *path, const char *name, const char *value, size_t size,
                       int flags)
{
    struct whole at;
    GATE();
    return answer(lsetxattr(whole(&at, path), name, value, size, flags));
}

static int do_getxattr(const char *path, const char *name, char *value, size_t size)
{
    struct whole at;
    GATE();
    return answer(lgetxattr(whole(&at, path), name, value, size));
}

static int do_listxattr(const char *path, char *list, size_t size)
{
    struct whole at;
    GATE();
    return answer(llistxattr(whole(&at, path), list, size));
}

static int do_removexattr(const char *path, const char *name)
{
    struct whole at;
    GATE();
    return answer(lremovexattr(whole(&at, path), name));
}

/* ---- files --------------------------------------------------------------------------------- */

static int opened(int fd, struct fuse_file_info *file)
{
    if (fd < 0)
        return -errno;
    file->fh = (uint64_t)fd;
    file->direct_io = short_bytes > 0; /* or the kernel would read on, and fill up with zeros */
    return 0;
}

static int do_open(const char *path, struct fuse_file_info *file)
{
    if (is_control(path)) {
        file->fh = CONTROL;
        file->direct_io = 1;
        return 0;
    }
    GATE();
    return opened(openat(root, below(path), (file->flags & ~(O_CREAT | O_EXCL)) | O_CLOEXEC), file);
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
    const struct fuse_context *context = fuse_get_context();
    GATE();
    int fd = openat(root, below(path), file->flags | O_CREAT | O_CLOEXEC, mode);
    if (fd >= 0 && fchown(fd, context->uid, context->gid) != 0) {
        close(fd);
        return -errno;
    }
    made = fd >= 0;
    return opened(fd, file);
}

static int do_read(const char *path, char *data, size_t size, off_t offset,
                   struct fuse_file_info *file)
{
    (void)path;
    if (controls(file))
        return tell(data, size, offset);
    GATE();
    return answer(pread((int)file->fh, data, shortened(size), offset));
}

static int do_write(const char *path, const char *data, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
    (void)path;
    if (controls(file))
        return control(data, size);
    GATE();
    return answer(pwrite((int)file->fh, data, shortened(size), offset));
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
    struct whole at;
    if (is_control(path) || controls(file))
        return 0;
    GATE();
    return answer(file ? ftruncate((int)file->fh, size) : truncate(whole(&at, path), size));
}

static int do_fallocate(const char *path, int mode, off_t offset, off_t length,
                        struct fuse_file_info *file)
{
    (void)path;
    GATE();
    return answer(fallocate((int)file->fh, mode, offset, length));
}

static off_t do_lseek(const char *path, off_t offset, int whence, struct fuse_file_info *file)
{
    (void)path;
    GATE();
    off_t at = lseek((int)file->fh, offset, whence);
    return at < 0 ? -errno : at;
}

static int do_flush(const char *path, struct fuse_file_info *file)
{
    (void)path;
    if (controls(file))
        return 0;
    GATE();
    return 0;
}

static int do_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)path;
    GATE();
    return answer(data_only ? fdatasync((int)file->fh) : fsync((int)file->fh));
}

static int do_release(const char *path, struct fuse_file_info *file)
{
    (void)path;
    if (!controls(file))
        close((int)file->fh);
    return 0;
}

static int do_flock(const char *path, struct fuse_file_info *file, int how)
{
    (void)path;
    GATE();
    return answer(flock((int)file->fh, how));
}

/* ---- directories --------------------------------------------------------------------------- */

static int do_opendir(const char *path, struct fuse_file_info *file)
{
    GATE();
    int fd = openat(root, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    file->fh = (uint64_t)fd;
    return fd < 0 ? -errno : 0;
}

static int do_releasedir(const char *path, struct fuse_file_info *file)
{
    (void)path;
    close((int)file->fh);
    return 0;
}

static int do_readdir(const char *path, void *list, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
    const struct dirent *entry;
    (void)path, (void)offset, (void)flags;
    GATE();
    int fd = openat((int)file->fh, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory)
        return -errno;
    while ((entry = readdir(directory))) {
        struct stat status = {.st_ino = entry->d_ino, .st_mode = (mode_t)DTTOIF(entry->d_type)};
        fill(list, entry->d_name, &status, 0, 0);
    }
    closedir(directory);
    return 0;
}

static int do_fsyncdir(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)path, (void)data_only, (void)file;
    GATE();
    return 0;
}

static void *start(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->use_ino = 1;
    config->hard_remove = 1; /* or libfuse would rename what is open */
    config->nullpath_ok = 1;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    umask(0); /* the kernel has applied the caller's */
    return NULL;
}

static const struct fuse_operations operations = {
    .init = start,
    .getattr = do_getattr,
    .readlink = do_readlink,
    .mknod = do_mknod,
    .mkdir = do_mkdir,
    .symlink = do_symlink,
    .unlink = do_unlink,
    .rmdir = do_rmdir,
    .rename = do_rename,
    .link = do_link,
    .statfs = do_statfs,
    .chmod = do_chmod,
    .chown = do_chown,
    .utimens = do_utimens,
    .setxattr = do_setxattr,
    .getxattr = do_getxattr,
    .listxattr = do_listxattr,
    .removexattr = do_removexattr,
    .open = do_open,
    .create = do_create,
    .read = do_read,
    .write = do_write,
    .truncate = do_truncate,
    .fallocate = do_fallocate,
    .lseek = do_lseek,
    .flush = do_flush,
    .fsync = do_fsync,
    .release = do_release,
    .flock = do_flock,
    .opendir = do_opendir,
    .readdir = do_readdir,
    .releasedir = do_releasedir,
    .fsyncdir = do_fsyncdir,
};

/* libfuse unmounts at this signal. */
static void give_up(int number)
{
    (void)number;
    kill(getpid(), SIGTERM);
}

int main(int argc, char **argv)
{
    root = argc > 2 ? open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (root < 0) {
        fprintf(stderr, "usage: fault_fuse MOUNTPOINT DIRECTORY\n");
        return 2;
    }
    signal(SIGALRM, give_up);
    alarm(LIFETIME_S);
    char *arguments[] = {argv[0], "-f", argv[1], NULL};
    return fuse_main(3, arguments, &operations, NULL);
}
