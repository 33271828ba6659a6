/*
 * walk_loops: the sizes of all that is below a directory, and the lines of a big file.
 *
 *     walk_loops plain|ring walk DIRECTORY COUNT TASKS
 *     walk_loops plain lines FILE COUNT TASKS
 *
 * COUNT is of no account here. It prints nanoseconds for the whole, and for people what it found:
 * entries and their blocks, or lines and their bytes. On the ring TASKS calls of statx
 * are in flight; a directory is listed by the plain call, as there is no other.
 */
#include <dirent.h>

#include "loops.h"

/* ---- a walk, one call after the other ------------------------------------------------------ */

struct sums {
    uint64_t entries;
    uint64_t blocks;
};

static bool is_listed(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void walk_plain(int parent, const char *name, struct sums *sums)
{
    struct statx status;
    struct dirent *entry;
    int fd = (int)checked("openat", openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *directory = fdopendir(fd);
    if (!directory)
        fail("fdopendir", errno);
    while ((entry = readdir(directory))) {
        if (!is_listed(entry))
            continue;
        checked("statx", statx(fd, entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status));
        sums->entries++;
        sums->blocks += status.stx_blocks;
        if (S_ISDIR(status.stx_mode))
            walk_plain(fd, entry->d_name, sums);
    }
    closedir(directory);
}

/* ---- the same with a ring ------------------------------------------------------------------ */

struct folder {
    int fd;
    unsigned users; /* entries that are not done */
};

struct entry {
    struct folder *folder;
    struct statx status;
    char name[NAME_MAX + 1];
    struct entry *next;
};

struct walk {
    struct io_uring ring;
    struct entry *waiting; /* for their statx */
    struct entry *unused;
    unsigned running;
    unsigned tasks;
    struct sums sums;
};

static void leave_folder(struct folder *folder)
{
    if (--folder->users > 0)
        return;
    close(folder->fd);
    free(folder);
}

static struct entry *new_entry(struct walk *walk)
{
    struct entry *entry = walk->unused;
    if (entry)
        walk->unused = entry->next;
    else if (!(entry = malloc(sizeof(*entry))))
        fail("memory", ENOMEM);
    return entry;
}

/* Puts all that is in a directory before what waits already. */
static void list_folder(struct walk *walk, int parent, const char *name)
{
    struct folder *folder = malloc(sizeof(*folder));
    struct dirent *found;
    DIR *directory;

    if (!folder)
        fail("memory", ENOMEM);
    folder->users = 1;
    folder->fd = (int)checked("openat", openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    directory = fdopendir(dup(folder->fd));
    if (!directory)
        fail("fdopendir", errno);
    while ((found = readdir(directory))) {
        if (!is_listed(found))
            continue;
        struct entry *entry = new_entry(walk);
        entry->folder = folder;
        memcpy(entry->name, found->d_name, strlen(found->d_name) + 1);
        entry->next = walk->waiting;
        walk->waiting = entry;
        folder->users++;
    }
    closedir(directory);
    leave_folder(folder);
}

static void queue_waiting(struct walk *walk)
{
    while (walk->waiting && walk->running < walk->tasks) {
        struct entry *entry = walk->waiting;
        struct io_uring_sqe *sqe = io_uring_get_sqe(&walk->ring);
        if (!sqe)
            fail("submission queue", ENOBUFS);
        walk->waiting = entry->next;
        walk->running++;
        io_uring_prep_statx(sqe, entry->folder->fd, entry->name, AT_SYMLINK_NOFOLLOW,
                            STATX_BASIC_STATS, &entry->status);
        io_uring_sqe_set_data(sqe, entry);
    }
}

static void end_entry(struct walk *walk, struct entry *entry, int result)
{
    if (result < 0)
        fail("statx", -result);
    walk->running--;
    walk->sums.entries++;
    walk->sums.blocks += entry->status.stx_blocks;
    if (S_ISDIR(entry->status.stx_mode))
        list_folder(walk, entry->folder->fd, entry->name);
    leave_folder(entry->folder);
    entry->next = walk->unused;
    walk->unused = entry;
}

static void walk_ring(const char *root, unsigned tasks, struct sums *sums)
{
    static struct walk walk;
    struct io_uring_cqe *cqes[TASKS_MAX];

    walk.tasks = tasks;
    open_ring(&walk.ring, tasks);
    list_folder(&walk, AT_FDCWD, root);
    queue_waiting(&walk);
    while (walk.running > 0) {
        int result = io_uring_submit_and_wait(&walk.ring, 1);
        if (result < 0 && result != -EINTR)
            fail("io_uring_submit_and_wait", -result);
        unsigned seen = io_uring_peek_batch_cqe(&walk.ring, cqes, TASKS_MAX);
        for (unsigned i = 0; i < seen; i++)
            end_entry(&walk, io_uring_cqe_get_data(cqes[i]), cqes[i]->res);
        io_uring_cq_advance(&walk.ring, seen);
        queue_waiting(&walk);
    }
    *sums = walk.sums;
}

/* ---- lines --------------------------------------------------------------------------------- */

static void count_lines(const char *path, struct sums *sums)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    if (!file)
        fail(path, errno);
    while ((length = getline(&line, &size, file)) >= 0) {
        sums->entries++;
        sums->blocks += (uint64_t)length;
    }
    free(line);
    fclose(file);
}

int main(int argc, char **argv)
{
    struct sums sums = {0};
    unsigned tasks = argc == 6 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
    bool lines = argc > 2 && strcmp(argv[2], "lines") == 0;

    if (tasks == 0 || tasks > TASKS_MAX) {
        fprintf(stderr, "usage: walk_loops plain|ring walk|lines PATH COUNT TASKS\n");
        return 2;
    }
    uint64_t start = now_nsec();
    if (lines)
        count_lines(argv[3], &sums);
    else if (strcmp(argv[1], "plain") == 0)
        walk_plain(AT_FDCWD, argv[3], &sums);
    else
        walk_ring(argv[3], tasks, &sums);
    printf("%.1f %llu %llu\n", (double)(now_nsec() - start), (unsigned long long)sums.entries,
           (unsigned long long)sums.blocks);
    return 0;
}
