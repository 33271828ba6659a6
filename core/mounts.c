#include "mounts.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* A line reads "36 35 98:0 /root /point options optional... - ext4 device options". */
static bool parse_line(const char *line, uint64_t *mount_id, bool *local)
{
    char point[256], type[64];
    unsigned long long id;
    const char *separator = strstr(line, " - ");

    if (!separator || sscanf(line, "%llu %*s %*s %*s %255s", &id, point) != 2 ||
        sscanf(separator, " - %63s", type) != 1)
        return false;
    *mount_id = id;
    /* systemd puts an automount below /proc, where nobody's files are. */
    bool harmless = strcmp(type, "autofs") == 0 && strncmp(point, "/proc/", 6) == 0;
    *local = harmless || type_is_local(type);
    return true;
}

/* The kernel reuses the numbers of mounts that are gone, so that all is learnt anew. */
static void learn(struct halo_mounts *mounts)
{
    char line[4096];
    uint64_t mount_id;
    bool local;

    memset(mounts->cache, 0, sizeof(mounts->cache));
    mounts->all_local = false;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return;
    mounts->all_local = true;
    while (fgets(line, sizeof(line), file)) {
        if (!parse_line(line, &mount_id, &local))
            continue;
        size_t i = mount_id % HALO_MOUNTS_REMEMBERED;
        mounts->cache[i].mount_id = mount_id;
        mounts->cache[i].local = local;
        mounts->cache[i].known = true;
        mounts->all_local &= local;
    }
    fclose(file);
}

void halo_mounts_close(struct halo_mounts *mounts)
{
    if (mounts->watch_fd > 0)
        close(mounts->watch_fd - 1);
    mounts->watch_fd = 0;
}

void halo_mounts_refresh(struct halo_mounts *mounts)
{
    if (mounts->watch_fd == 0) {
        mounts->watch_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC) + 1;
        learn(mounts);
        return;
    }
    struct pollfd polled = {.fd = mounts->watch_fd - 1, .events = POLLPRI};
    if (poll(&polled, 1, 0) > 0)
        learn(mounts);
}

/* Finds a mount that has been pushed out of the few that are remembered. */
static bool look_up(uint64_t wanted)
{
    char line[4096];
    uint64_t mount_id;
    bool local, found = false;

    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof(line), file))
        found = parse_line(line, &mount_id, &local) && mount_id == wanted;
    fclose(file);
    return found && local;
}

bool halo_mount_is_local(struct halo_mounts *mounts, const struct statx *statx)
{
    if (!(statx->stx_mask & STATX_MNT_ID))
        return false;
    if (mounts->watch_fd == 0)
        halo_mounts_refresh(mounts);
    if (mounts->all_local)
        return true;
    size_t i = statx->stx_mnt_id % HALO_MOUNTS_REMEMBERED;
    if (!mounts->cache[i].known || mounts->cache[i].mount_id != statx->stx_mnt_id) {
        mounts->cache[i].mount_id = statx->stx_mnt_id;
        mounts->cache[i].local = look_up(statx->stx_mnt_id);
        mounts->cache[i].known = true;
    }
    return mounts->cache[i].local;
}
