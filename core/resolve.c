#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/openat2.h>

#define LINKS_MAX    40 /* that are followed, as in the kernel */
#define EAGAIN_MAX   16 /* answers that say that something was renamed on the way */
#define PATH_FLAGS   (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define LOOK_FLAGS   (O_PATH | O_NOFOLLOW | O_CLOEXEC)
#define STEP_FLAGS   (LOOK_FLAGS | O_DIRECTORY)
#define SHARED_DIR   (S_ISVTX | S_IWOTH)
#define TMPFILE_ONLY (O_TMPFILE & ~O_DIRECTORY)

/* ---- name by name -------------------------------------------------------------------------- */

/*
 * No descriptor is kept of the directories above: ".." goes by their names from the base again, so
 * that it ends below the base whatever was moved meanwhile.
 */
struct walk {
    int base_fd;
    int at_fd; /* the directory that it has come to */
    uint64_t resolve;
    unsigned links;
    struct statx base;    /* for the mount */
    char names[PATH_MAX]; /* of the directories from the base to this one, a slash behind each */
    char left[PATH_MAX];  /* of the path */
};

static void arrive(struct walk *walk, int fd)
{
    if (walk->at_fd != walk->base_fd)
        close(walk->at_fd);
    walk->at_fd = fd;
}

static int refuse(int fd, int error)
{
    close(fd);
    return -error;
}

static int look_at(int fd, struct statx *found)
{
    unsigned mask = STATX_BASIC_STATS | STATX_MNT_ID;
    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, found) < 0 ? -errno : 0;
}

static bool is_elsewhere(const struct walk *walk, const struct statx *found)
{
    const struct statx *base = &walk->base;

    if (!(walk->resolve & RESOLVE_NO_XDEV))
        return false;
    return found->stx_dev_major != base->stx_dev_major ||
           found->stx_dev_minor != base->stx_dev_minor || found->stx_mnt_id != base->stx_mnt_id;
}

/* Opens a name in the directory, a link itself, to be looked at. Returns it, or -errno. */
static int open_name(const struct walk *walk, const char *name, struct statx *found)
{
    int fd = openat(walk->at_fd, name, LOOK_FLAGS);

    *found = (struct statx){0};
    if (fd < 0)
        return -errno;
    int error = look_at(fd, found);
    if (error)
        return refuse(fd, -error);
    return is_elsewhere(walk, found) ? refuse(fd, EXDEV) : fd;
}

/* Links of /proc may lead to what their text does not say, and so are followed by no text. */
static bool is_magic(int link_fd, const char *text)
{
    struct statfs status;
    bool odd = text[0] == '/' || strchr(text, ':');
    return odd && fstatfs(link_fd, &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}

/* What fs.protected_symlinks is about: at the end of a path somebody else's link, where everybody
 * may make one. */
static bool is_strangers(const struct walk *walk, const struct statx *link)
{
    struct stat directory;

    return fstat(walk->at_fd, &directory) < 0 ||
           ((directory.st_mode & SHARED_DIR) == SHARED_DIR && link->stx_uid != geteuid() &&
            link->stx_uid != directory.st_uid);
}

/* Puts a link's text before the rest of the path. Takes the link's descriptor. */
static int follow(struct walk *walk, int link_fd, const struct statx *link, const char *rest)
{
    char text[PATH_MAX], left[PATH_MAX];
    ssize_t length = readlinkat(link_fd, "", text, sizeof(text) - 1);
    int error = length < 0 ? errno : 0;

    text[length > 0 ? length : 0] = '\0';
    bool magic = is_magic(link_fd, text);
    close(link_fd);
    if (error)
        return -error;
    if (++walk->links > LINKS_MAX)
        return -ELOOP;
    if (rest[strspn(rest, "/")] == '\0' && is_strangers(walk, link))
        return -EACCES;
    if ((walk->resolve & RESOLVE_NO_SYMLINKS) || magic)
        return -ELOOP;
    size_t size = (size_t)length + strlen(rest) + 1;
    if (size > sizeof(left))
        return -ENAMETOOLONG;
    memcpy(left, text, (size_t)length);
    strcpy(left + length, rest);
    memcpy(walk->left, left, size);
    return length == 0 ? -ENOENT : text[0] == '/' ? -EXDEV : 0;
}

/* Goes through the names once more, all but the last. */
static int go_up(struct walk *walk)
{
    size_t length = strlen(walk->names);

    if (!(walk->resolve & RESOLVE_BENEATH)) {
        int above = openat(walk->at_fd, "..", STEP_FLAGS);
        if (above >= 0)
            arrive(walk, above);
        return above < 0 ? -errno : 0;
    }
    if (length == 0)
        return -EXDEV;
    do
        length--;
    while (length > 0 && walk->names[length - 1] != '/');
    walk->names[length] = '\0';
    arrive(walk, walk->base_fd);
    for (char *name = walk->names; *name;) {
        char *slash = strchr(name, '/');
        *slash = '\0';
        int fd = openat(walk->at_fd, name, STEP_FLAGS);
        *slash = '/';
        if (fd < 0)
            return -errno;
        arrive(walk, fd);
        name = slash + 1;
    }
    return 0;
}

/* Into a directory, or through a link, in the middle of the path. */
static int go_down(struct walk *walk, const char *name, const char *rest)
{
    struct statx found;
    int fd = open_name(walk, name, &found);

    if (fd < 0)
        return fd;
    if (S_ISLNK(found.stx_mode))
        return follow(walk, fd, &found, rest);
    if (!S_ISDIR(found.stx_mode))
        return refuse(fd, ENOTDIR);
    size_t length = strlen(walk->names);
    if (length + strlen(name) + 2 > sizeof(walk->names))
        return refuse(fd, ENAMETOOLONG);
    strcpy(walk->names + length, name);
    strcat(walk->names, "/");
    arrive(walk, fd);
    memmove(walk->left, rest, strlen(rest) + 1);
    return 0;
}

#define GO_ON INT_MIN /* there is more of the path */

/* The open itself, of a name that is no link, or is not there. */
static int open_here(const struct walk *walk, const char *name, int flags, mode_t mode)
{
    struct statx found;
    int fd = openat(walk->at_fd, name, flags | O_NOFOLLOW, mode);

    if (fd < 0)
        return -errno;
    int error = look_at(fd, &found);
    if (!error && is_elsewhere(walk, &found))
        error = -EXDEV;
    if (!error && S_ISLNK(found.stx_mode) && !(flags & O_NOFOLLOW))
        error = -ELOOP; /* O_PATH opens a link itself */
    return error ? refuse(fd, -error) : fd;
}

/* The last name of the path, which slashes behind it say to be a directory's. */
static int open_last(struct walk *walk, const char *name, bool slashes, int flags, mode_t mode)
{
    bool creates = flags & O_CREAT, exclusive = creates && (flags & O_EXCL);
    bool follows = slashes || !(exclusive || (flags & O_NOFOLLOW));
    struct statx found;

    if (slashes && creates)
        return -EISDIR;
    if (!follows)
        return open_here(walk, name, flags, mode);
    int fd = open_name(walk, name, &found);
    if (fd == -ENOENT && creates)
        return open_here(walk, name, flags, mode);
    if (fd < 0)
        return fd;
    if (S_ISLNK(found.stx_mode)) {
        int error = follow(walk, fd, &found, slashes ? "/" : "");
        return error ? error : GO_ON;
    }
    close(fd);
    fd = open_here(walk, name, flags | (slashes ? O_DIRECTORY : 0), mode);
    /* It has become a link since, and is looked at once more. */
    return fd == -ELOOP && ++walk->links <= LINKS_MAX ? GO_ON : fd;
}

/* What the path ends at without a name: ".", "..", or the root. */
static int open_directory_itself(const struct walk *walk, int flags, mode_t mode)
{
    if (flags & O_CREAT)
        return flags & O_EXCL ? -EEXIST : -EISDIR;
    return open_here(walk, ".", flags, mode);
}

/* One name of the path. Returns GO_ON, the descriptor at the end, or -errno. */
static int step(struct walk *walk, int flags, mode_t mode)
{
    char name[NAME_MAX + 1];
    size_t slashes = strspn(walk->left, "/");
    const char *start = walk->left + slashes;
    size_t length = strcspn(start, "/");
    const char *rest = start + length;
    bool last = rest[strspn(rest, "/")] == '\0';
    int error = 0;

    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, start, length);
    name[length] = '\0';
    bool here = length == 0 || strcmp(name, ".") == 0;
    if (strcmp(name, "..") == 0)
        error = go_up(walk);
    else if (last && !here)
        return open_last(walk, name, *rest, flags, mode);
    else if (!here) {
        error = go_down(walk, name, rest);
        return error ? error : GO_ON;
    }
    if (error || last)
        return error ? error : open_directory_itself(walk, flags, mode);
    memmove(walk->left, rest, strlen(rest) + 1);
    return GO_ON;
}

static int open_by_names(int base_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct walk walk = {.base_fd = base_fd, .at_fd = base_fd, .resolve = resolve};
    int result = look_at(base_fd, &walk.base);

    if (result < 0)
        return result;
    if (*path == '\0' || (*path == '/' && (resolve & RESOLVE_BENEATH)))
        return *path ? -EXDEV : -ENOENT;
    if (*path == '/') {
        int root = open("/", STEP_FLAGS);
        if (root < 0)
            return -errno;
        arrive(&walk, root);
        result = look_at(root, &walk.base); /* the mount to stay in is that where the path begins */
        if (result < 0)
            return refuse(root, -result);
    }
    if (strlen(path) >= sizeof(walk.left))
        return -ENAMETOOLONG;
    strcpy(walk.left, path);
    do
        result = step(&walk, flags, mode);
    while (result == GO_ON);
    arrive(&walk, base_fd);
    return result;
}

/* ---- openat2 ------------------------------------------------------------------------------- */

static int open_at_once(int base_fd, const char *path, const struct open_how *how)
{
    int fd, tries = 0;

    do
        fd = (int)syscall(SYS_openat2, base_fd, path, how, sizeof(*how));
    while (fd < 0 && errno == EAGAIN && ++tries < EAGAIN_MAX);
    return fd < 0 ? -errno : fd;
}

int halo_resolve_open(int base_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    flags |= O_CLOEXEC;
    if (flags & O_PATH)
        flags &= PATH_FLAGS; /* openat() overlooks the others, openat2() does not */
    if (!resolve) {
        int fd = openat(base_fd, path, flags, mode);
        /* cppcheck-suppress resourceLeak ; it is the caller's */
        return fd < 0 ? -errno : fd;
    }
    bool makes = flags & (O_CREAT | TMPFILE_ONLY);
    struct open_how how = {
        .flags = (uint64_t)flags, .mode = makes ? mode & 07777u : 0, .resolve = resolve};
    int fd = open_at_once(base_fd, path, &how);
    /* EPERM may be the sandbox's or the file's own, and EAGAIN a lease's: the names tell. */
    bool unsaid = fd == -ENOSYS || fd == -EPERM || fd == -EAGAIN;
    return unsaid ? open_by_names(base_fd, path, flags, mode, resolve) : fd;
}
