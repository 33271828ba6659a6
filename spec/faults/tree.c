/* The files that calls are tried on, made and looked at by plain calls, since it is done often. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "faults.h"

#define LONG_BYTES   300000
#define RANDOM_CHARS 12 /* of a temporary name */
#define FDS_LOOKED   512
#define FILES_MAX    16 /* open at once by nftw() */

/* Makes the files, links and directories that spec/support/results_rows.lua names. */
FAULTS_API int faults_tree_make(const char *root);

/* What there is, as `name<TAB>what` lines, which are valid up to the next look. */
FAULTS_API const char *faults_tree_look(const char *root);

FAULTS_API int faults_tree_remove(const char *root);

FAULTS_API int faults_count_descriptors(void);

static char long_text[LONG_BYTES];

static int make_file(int root_fd, const char *name, const char *text, size_t length)
{
    int fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, length) != (ssize_t)length)
        return -1;
    return close(fd);
}

static int fill(int fd)
{
    static const char content[] = "some content";
    int error = mkdirat(fd, "dir", 0755) | mkdirat(fd, "full", 0755);

    memset(long_text, 'y', sizeof(long_text));
    error |= make_file(fd, "file", content, sizeof(content) - 1);
    error |= make_file(fd, "full/x", "", 0) | make_file(fd, "empty", "", 0);
    error |= make_file(fd, "long_file", long_text, sizeof(long_text));
    error |= symlinkat("file", fd, "link") | symlinkat("loop", fd, "loop");
    error |= mknodat(fd, "fifo", S_IFIFO | 0600, 0);
    return error;
}

int faults_tree_make(const char *root)
{
    char path[PATH_MAX];

    if (mkdir(root, 0755) < 0)
        return -1;
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fill(fd);
    close(fd);
    snprintf(path, sizeof(path), "%s/file", root);
    setxattr(path, "user.there", "x", 1, 0); /* where there are any */
    return error;
}

/* ---- looking ------------------------------------------------------------------------------- */

static char *text;
static size_t used, room, root_length;

static void append(const char *more)
{
    size_t length = strlen(more);
    if (used + length + 1 > room) {
        room = 2 * (used + length + 1);
        text = realloc(text, room);
        if (!text)
            abort();
    }
    memcpy(text + used, more, length + 1);
    used += length;
}

/* Random letters are those of any name like it. */
static void append_name(const char *path)
{
    char name[PATH_MAX];
    snprintf(name, sizeof(name), "%s", path + root_length);
    size_t length = strlen(name);
    if (length > RANDOM_CHARS && !memchr(name + length - RANDOM_CHARS, '/', RANDOM_CHARS))
        strcpy(name + length - RANDOM_CHARS, "*");
    append(name);
}

static void append_sum(const char *path)
{
    static unsigned char piece[65536];
    uint64_t sum = 14695981039346656037u;
    char words[80];
    ssize_t got;
    off_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && (got = read(fd, piece, sizeof(piece))) > 0) {
        for (ssize_t i = 0; i < got; i++)
            sum = (sum ^ piece[i]) * 1099511628211u;
        size += got;
    }
    if (fd >= 0)
        close(fd);
    snprintf(words, sizeof(words), "%lld bytes, %016llx", (long long)size, (unsigned long long)sum);
    append(words);
}

static int look_at(const char *path, const struct stat *status, int flag, struct FTW *where)
{
    char target[PATH_MAX];

    (void)flag;
    if (where->level == 0)
        return 0;
    append_name(path);
    append("\t");
    if (S_ISREG(status->st_mode)) {
        append_sum(path);
    } else if (S_ISLNK(status->st_mode)) {
        ssize_t length = readlink(path, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        append("link to ");
        append(target);
    } else {
        append(S_ISDIR(status->st_mode) ? "directory" : "special");
    }
    append("\n");
    return 0;
}

const char *faults_tree_look(const char *root)
{
    used = 0;
    append("");
    root_length = strlen(root) + 1;
    nftw(root, look_at, FILES_MAX, FTW_PHYS);
    return text;
}

static int remove_it(const char *path, const struct stat *status, int flag, struct FTW *where)
{
    (void)status;
    (void)flag;
    (void)where;
    return remove(path);
}

int faults_tree_remove(const char *root)
{
    return nftw(root, remove_it, FILES_MAX, FTW_PHYS | FTW_DEPTH);
}

int faults_count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < FDS_LOOKED; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}
