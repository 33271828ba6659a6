#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MNT_ID_UNIQUE 0x4000u /* STATX_MNT_ID_UNIQUE, of Linux 6.8 */

static const char *const local_types[] = {
    "ext2",   "ext3",      "ext4",     "xfs",      "btrfs",      "f2fs",        "overlay",
    "tmpfs",  "devtmpfs",  "ramfs",    "vfat",     "exfat",      "squashfs",    "iso9660",
    "erofs",  "zfs",       "bcachefs", "proc",     "sysfs",      "cgroup",      "cgroup2",
    "devpts", "mqueue",    "debugfs",  "tracefs",  "securityfs", "configfs",    "pstore",
    "bpf",    "hugetlbfs", "fusectl",  "efivarfs", "nsfs",       "binfmt_misc", "rpc_pipefs",
};

static bool type_is_local(const char *type)
{
    for (size_t i = 0; i < sizeof(local_types) / sizeof(local_types[0]); i++)
        if (strcmp(type, local_types[i]) == 0)
            return true;
    return false;
}

#define POINT_BYTES  1024
#define POINT_FORMAT "%1023s"

/* A line reads "36 35 98:0 /root /point options optional... - ext4 device options". */
static bool parse_line(const char *line, uint64_t *mount_id, bool *local, char *point)
{
    char type[64];
    unsigned long long id;
    const char *separator = strstr(line, " - ");

    if (!separator || sscanf(line, "%llu %*s %*s %*s " POINT_FORMAT, &id, point) != 2 ||
        sscanf(separator, " - %63s", type) != 1)
        return false;
    *mount_id = id;
    /* systemd puts an automount below /proc, where nobody's files are. */
    bool harmless = strcmp(type, "autofs") == 0 && strncmp(point, "/proc/", 6) == 0;
    *local = harmless || type_is_local(type);
    return true;
}

static void add_remote(struct halo_mounts *mounts, const char *point)
{
    mounts->all_local = false;
    /* A backslash stands for a byte in octal: then the point does not compare with paths. */
    if (mounts->remote_count == HALO_MOUNTS_REMOTE_MAX || strchr(point, '\\') ||
        strlen(point) >= HALO_MOUNT_POINT_MAX)
        mounts->all_listed = false;
    else
        strcpy(mounts->remote[mounts->remote_count++], point);
}

/* The kernel reuses the numbers of mounts that are gone, so that all is learnt anew. */
static void learn(struct halo_mounts *mounts)
{
    char line[4096], point[POINT_BYTES];
    uint64_t mount_id;
    bool local;

    memset(mounts->cache, 0, sizeof(mounts->cache));
    mounts->remote_count = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    mounts->all_local = mounts->all_listed = file != NULL;
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        if (!parse_line(line, &mount_id, &local, point))
            continue;
        size_t i = mount_id % HALO_MOUNTS_REMEMBERED;
        mounts->cache[i].mount_id = mount_id;
        mounts->cache[i].local = local;
        mounts->cache[i].known = true;
        if (!local)
            add_remote(mounts, point);
    }
    fclose(file);
}

void halo_mounts_close(struct halo_mounts *mounts)
{
    if (mounts->watch_fd > 0)
        close(mounts->watch_fd - 1);
    mounts->watch_fd = 0;
}

static bool is_below(const char *path, const char *point)
{
    size_t length = strlen(point);
    return strncmp(path, point, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool is_outside(const struct halo_mounts *mounts, const char *path)
{
    for (uint32_t i = 0; i < mounts->remote_count; i++)
        if (is_below(path, mounts->remote[i]))
            return false;
    return true;
}

static void look_at_cwd(struct halo_mounts *mounts)
{
    char path[POINT_BYTES];
    mounts->cwd_local = getcwd(path, sizeof(path)) && is_outside(mounts, path);
}

bool halo_path_is_local(const struct halo_mounts *mounts, const char *path)
{
    if (mounts->all_local)
        return true;
    /* Only a path in its plain form compares with the mount points. */
    if (!mounts->all_listed || strstr(path, "..") || strstr(path, "//") || strstr(path, "/./"))
        return false;
    return path[0] == '/' ? is_outside(mounts, path) : mounts->cwd_local;
}

void halo_mounts_refresh(struct halo_mounts *mounts)
{
    if (mounts->watch_fd == 0) {
        mounts->watch_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC) + 1;
        learn(mounts);
    }
    struct pollfd polled = {.fd = mounts->watch_fd - 1, .events = POLLPRI};
    if (poll(&polled, 1, 0) > 0)
        learn(mounts);
    if (!mounts->all_local)
        look_at_cwd(mounts);
}

/* Finds a mount that has been pushed out of the few that are remembered. */
static bool look_up(uint64_t wanted)
{
    char line[4096], point[POINT_BYTES];
    uint64_t mount_id;
    bool local, found = false;

    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof(line), file))
        found = parse_line(line, &mount_id, &local, point) && mount_id == wanted;
    fclose(file);
    return found && local;
}

/* The kernel gives these numbers to other mounts, too, so that the table has to be fresh. */
static bool is_local_by_table(struct halo_mounts *mounts, uint64_t mount_id)
{
    size_t i = mount_id % HALO_MOUNTS_REMEMBERED;

    halo_mounts_refresh(mounts);
    if (mounts->all_local) /* below chroot(2) the table lacks what is mounted around it */
        return true;
    if (!mounts->cache[i].known || mounts->cache[i].mount_id != mount_id) {
        mounts->cache[i].mount_id = mount_id;
        mounts->cache[i].local = look_up(mount_id);
        mounts->cache[i].known = true;
    }
    return mounts->cache[i].local;
}

static int statx_fd(int fd, unsigned mask, struct statx *statx_now)
{
    int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
    return statx(fd, "", flags, mask, statx_now) < 0 ? -errno : 0;
}

/* No other mount ever gets this number: one that was local stays so. */
static bool is_local_by_unique_id(struct halo_mounts *mounts, int fd, uint64_t unique_id)
{
    uint64_t *known = &mounts->local[unique_id % HALO_MOUNTS_LOCAL_SLOTS];
    struct statx statx_now;

    if (*known == unique_id)
        return true;
    if (statx_fd(fd, STATX_MNT_ID, &statx_now) < 0 ||
        !is_local_by_table(mounts, statx_now.stx_mnt_id))
        return false;
    *known = unique_id;
    return true;
}

int halo_mount_inspect(struct halo_mounts *mounts, int fd, struct statx *statx_now, bool *local)
{
    int result = statx_fd(fd, STATX_TYPE | STATX_MNT_ID | MNT_ID_UNIQUE, statx_now);

    *local = false;
    if (result < 0)
        return result;
    if (statx_now->stx_mask & MNT_ID_UNIQUE)
        *local = is_local_by_unique_id(mounts, fd, statx_now->stx_mnt_id);
    else if (statx_now->stx_mask & STATX_MNT_ID)
        *local = is_local_by_table(mounts, statx_now->stx_mnt_id);
    return 0;
}
