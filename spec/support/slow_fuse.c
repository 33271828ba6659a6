/*
 * slow_fuse MOUNTPOINT MILLISECONDS [CALL]: a file system on which every call takes that long, as
 * on a server far away, or only that one, such as mkdir, and longer as long as MOUNTPOINT.held is
 * there, for ten seconds at most. Nothing is cached, so that every call arrives here. It has one
 * directory with another, "dir", in it, and "twins", where two files have two names each as far as
 * anybody can see, file1 full of 1 and file2 full of 2. In the others
 *
 *     file*       is a file of 64 KiB, full of x; what is written to it is gone
 *     file-eio*   likewise, but the first fsync of it, and the first synchronous write, fail
 *     new*        is there once it was created, until it is removed
 *
 * and "log" tells at once what has been done: a line for each create, write, fsync, flush, release,
 * unlink, mkdir and rmdir that came to its end. Directories can be made under any name. The inodes
 * are numbers that a double cannot tell apart. It ends when it is unmounted, or after two minutes,
 * should the spec that has started it be no more.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIZE       (64 << 10)
#define LIFETIME_S 120
#define HELD_STEPS 2000 /* of 5 ms */
#define NEW_MAX    64
#define LOG_BYTES  (256 << 10)
#define INODES     (1ull << 60) /* the root's; file1 has the next, and so on */

static struct timespec delay;
static char held[4096];       /* the path */
static const char *slow_call; /* the only one, or NULL */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct made {
    char path[64]; /* "" for none */
    bool directory;
} made[NEW_MAX];
static char log_text[LOG_BYTES];
static size_t log_length;
static bool sync_failed, write_failed;

static void take_long_in(const char *function)
{
    struct timespec rest = delay;
    if (slow_call && strcmp(function + strlen("slow_"), slow_call) != 0)
        return;
    while (nanosleep(&rest, &rest) < 0)
        ;
    for (int i = 0; i < HELD_STEPS && access(held, F_OK) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

#define take_long() take_long_in(__func__)

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    pthread_mutex_lock(&lock);
    int length = vsnprintf(log_text + log_length, LOG_BYTES - log_length, format, values);
    if (length > 0 && log_length + (size_t)length < LOG_BYTES)
        log_length += (size_t)length;
    pthread_mutex_unlock(&lock);
    va_end(values);
}

/* The path below the root. An open file that was removed has none. */
static const char *below(const char *path)
{
    return path ? path + 1 : "?";
}

/* The name in its directory. */
static const char *name_of(const char *path)
{
    return path ? strrchr(path, '/') + 1 : "";
}

static bool is_twin(const char *path)
{
    return path && strncmp(path, "/twins/", strlen("/twins/")) == 0;
}

static bool is_log(const char *path)
{
    return path && strcmp(path, "/log") == 0;
}

/* Called with the lock held. The place of a new file, or of a free one for "". */
static struct made *find_new(const char *path)
{
    for (int i = 0; i < NEW_MAX; i++)
        if (strcmp(made[i].path, path) == 0)
            return &made[i];
    return NULL;
}

/* Gives a path a place, unless it has one. */
static bool add_new(const char *path, bool directory)
{
    pthread_mutex_lock(&lock);
    struct made *place = find_new(path) ? NULL : find_new("");
    if (place) {
        snprintf(place->path, sizeof(place->path), "%s", path);
        place->directory = directory;
    }
    pthread_mutex_unlock(&lock);
    return place;
}

static void remove_new(const char *path)
{
    pthread_mutex_lock(&lock);
    struct made *place = find_new(path);
    if (place)
        place->path[0] = '\0';
    pthread_mutex_unlock(&lock);
}

static bool is_directory(const char *path)
{
    pthread_mutex_lock(&lock);
    const struct made *place = find_new(path);
    bool is_made = place && place->directory;
    pthread_mutex_unlock(&lock);
    return is_made || strcmp(path, "/") == 0 || strcmp(path, "/dir") == 0 ||
           strcmp(path, "/twins") == 0;
}

static bool exists(const char *path)
{
    pthread_mutex_lock(&lock);
    bool is_new = find_new(path);
    pthread_mutex_unlock(&lock);
    return is_new || strncmp(name_of(path), "file", 4) == 0;
}

static int slow_getattr(const char *path, struct stat *status, struct fuse_file_info *file)
{
    (void)file;
    if (is_log(path)) {
        status->st_mode = S_IFREG | 0444;
        status->st_nlink = 1;
        return 0;
    }
    take_long();
    if (is_directory(path)) {
        status->st_mode = S_IFDIR | 0755;
        status->st_nlink = 2;
        status->st_ino = INODES;
        return 0;
    }
    if (!exists(path))
        return -ENOENT;
    status->st_mode = S_IFREG | 0644;
    status->st_nlink = is_twin(path) ? 2 : 1;
    status->st_ino = INODES + strtoull(name_of(path) + strlen("file"), NULL, 10);
    status->st_size = SIZE;
    return 0;
}

static int slow_readdir(const char *path, void *list, fuse_fill_dir_t fill, off_t offset,
                        struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
    (void)offset, (void)file, (void)flags;
    take_long();
    if (strcmp(path, "/twins") == 0) {
        fill(list, "file1", NULL, 0, 0);
        fill(list, "file2", NULL, 0, 0);
    } else {
        fill(list, "file", NULL, 0, 0);
    }
    return 0;
}

static int slow_open(const char *path, struct fuse_file_info *file)
{
    file->direct_io = 1;
    if (!is_log(path))
        take_long();
    return 0;
}

static int slow_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
    (void)mode;
    take_long();
    file->direct_io = 1;
    add_new(path, false);
    note("create %s\n", below(path));
    return 0;
}

static int slow_read(const char *path, char *data, size_t size, off_t offset,
                     struct fuse_file_info *file)
{
    (void)file;
    if (is_log(path)) {
        pthread_mutex_lock(&lock);
        size_t rest = (size_t)offset < log_length ? log_length - (size_t)offset : 0;
        if (size > rest)
            size = rest;
        memcpy(data, log_text + offset, size);
        pthread_mutex_unlock(&lock);
        return (int)size;
    }
    take_long();
    size_t left = offset < SIZE ? (size_t)(SIZE - offset) : 0;
    if (size > left)
        size = left;
    memset(data, is_twin(path) ? path[strlen(path) - 1] : 'x', size);
    return (int)size;
}

/* Whether a file that fails does so now: the first time only. */
static bool fails(const char *path, bool *failed)
{
    if (strncmp(name_of(path), "file-eio", 8) != 0)
        return false;
    pthread_mutex_lock(&lock);
    bool first = !*failed;
    *failed = true;
    pthread_mutex_unlock(&lock);
    return first;
}

static int slow_write(const char *path, const char *data, size_t size, off_t offset,
                      struct fuse_file_info *file)
{
    (void)data;
    take_long();
    if ((file->flags & (O_SYNC | O_DSYNC)) && fails(path, &write_failed))
        return -EIO;
    note("write %s %lld %zu\n", below(path), (long long)offset, size);
    return (int)size;
}

static int slow_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)data_only, (void)file;
    take_long();
    if (fails(path, &sync_failed))
        return -EIO;
    note("fsync %s\n", below(path));
    return 0;
}

/* What a close waits for. */
static int slow_flush(const char *path, struct fuse_file_info *file)
{
    (void)file;
    if (!is_log(path)) {
        take_long();
        note("flush %s\n", below(path));
    }
    return 0;
}

/* After the last close; nobody waits for it. */
static int slow_release(const char *path, struct fuse_file_info *file)
{
    (void)file;
    if (!is_log(path))
        note("release %s\n", below(path));
    return 0;
}

static int slow_unlink(const char *path)
{
    take_long();
    remove_new(path);
    note("unlink %s\n", below(path));
    return 0;
}

static int slow_mkdir(const char *path, mode_t mode)
{
    (void)mode;
    take_long();
    if (!add_new(path, true))
        return -EEXIST;
    note("mkdir %s\n", below(path));
    return 0;
}

static int slow_rmdir(const char *path)
{
    take_long();
    remove_new(path);
    note("rmdir %s\n", below(path));
    return 0;
}

static void *start(struct fuse_conn_info *connection, struct fuse_config *config)
{
    (void)connection;
    config->use_ino = 1;
    config->hard_remove = 1; /* or libfuse would rename what is open */
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    return NULL;
}

static const struct fuse_operations operations = {
    .init = start,
    .getattr = slow_getattr,
    .readdir = slow_readdir,
    .open = slow_open,
    .create = slow_create,
    .read = slow_read,
    .write = slow_write,
    .fsync = slow_fsync,
    .flush = slow_flush,
    .release = slow_release,
    .unlink = slow_unlink,
    .mkdir = slow_mkdir,
    .rmdir = slow_rmdir,
};

/* libfuse unmounts at this signal. */
static void give_up(int number)
{
    (void)number;
    kill(getpid(), SIGTERM);
}

int main(int argc, char **argv)
{
    long milliseconds = argc == 3 || argc == 4 ? atol(argv[2]) : -1;
    if (milliseconds < 0) {
        fprintf(stderr, "usage: slow_fuse MOUNTPOINT MILLISECONDS [CALL]\n");
        return 2;
    }
    slow_call = argv[3];
    snprintf(held, sizeof(held), "%s.held", argv[1]);
    signal(SIGALRM, give_up);
    alarm(LIFETIME_S);
    delay.tv_sec = milliseconds / 1000;
    delay.tv_nsec = milliseconds % 1000 * 1000000;
    char *arguments[] = {argv[0], "-f", argv[1], NULL};
    return fuse_main(3, arguments, &operations, NULL);
}
