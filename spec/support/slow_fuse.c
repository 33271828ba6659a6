/*
 * slow_fuse MOUNTPOINT MILLISECONDS: a file system on which every call takes that long, as on a
 * server far away. It has one directory; each name that starts with "file" is a file of 64 KiB in
 * it. Nothing is cached, so that every call arrives here. The inodes are numbers that a double
 * cannot tell apart. It ends when it is unmounted, or after two minutes, should the spec that has
 * started it be no more.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIZE       (64 << 10)
#define LIFETIME_S 120
#define INODES     (1ull << 60) /* the root's; file1 has the next, and so on */

static struct timespec delay;

static void take_long(void)
{
    struct timespec rest = delay;
    while (nanosleep(&rest, &rest) < 0)
        ;
}

static int slow_getattr(const char *path, struct stat *status, struct fuse_file_info *file)
{
    (void)file;
    take_long();
    if (strcmp(path, "/") == 0) {
        status->st_mode = S_IFDIR | 0755;
        status->st_nlink = 2;
        status->st_ino = INODES;
        return 0;
    }
    if (strncmp(path, "/file", 5) != 0)
        return -ENOENT;
    status->st_mode = S_IFREG | 0644;
    status->st_nlink = 1;
    status->st_ino = INODES + strtoull(path + strlen("/file"), NULL, 10);
    status->st_size = SIZE;
    return 0;
}

static int slow_readdir(const char *path, void *list, fuse_fill_dir_t fill, off_t offset,
                        struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
    (void)path, (void)offset, (void)file, (void)flags;
    take_long();
    fill(list, "file", NULL, 0, 0);
    return 0;
}

static int slow_open(const char *path, struct fuse_file_info *file)
{
    (void)path;
    take_long();
    file->direct_io = 1;
    return 0;
}

static int slow_read(const char *path, char *data, size_t size, off_t offset,
                     struct fuse_file_info *file)
{
    (void)path, (void)file;
    take_long();
    size_t left = offset < SIZE ? (size_t)(SIZE - offset) : 0;
    if (size > left)
        size = left;
    memset(data, 'x', size);
    return (int)size;
}

static int slow_write(const char *path, const char *data, size_t size, off_t offset,
                      struct fuse_file_info *file)
{
    (void)path, (void)data, (void)offset, (void)file;
    take_long();
    return (int)size;
}

/* What a close waits for. */
static int slow_flush(const char *path, struct fuse_file_info *file)
{
    (void)path, (void)file;
    take_long();
    return 0;
}

static int slow_unlink(const char *path)
{
    (void)path;
    take_long();
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
    .read = slow_read,
    .write = slow_write,
    .flush = slow_flush,
    .unlink = slow_unlink,
};

/* libfuse unmounts at this signal. */
static void give_up(int number)
{
    (void)number;
    kill(getpid(), SIGTERM);
}

int main(int argc, char **argv)
{
    long milliseconds = argc == 3 ? atol(argv[2]) : -1;
    if (milliseconds < 0) {
        fprintf(stderr, "usage: slow_fuse MOUNTPOINT MILLISECONDS\n");
        return 2;
    }
    signal(SIGALRM, give_up);
    alarm(LIFETIME_S);
    delay.tv_sec = milliseconds / 1000;
    delay.tv_nsec = milliseconds % 1000 * 1000000;
    char *arguments[] = {argv[0], "-f", argv[1], NULL};
    return fuse_main(3, arguments, &operations, NULL);
}
