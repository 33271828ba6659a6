#include "mounts.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const char *const local_types[] = {"overlay", "ext2",  "ext3",     "ext4",   "xfs",  "btrfs",
                                          "f2fs",    "tmpfs", "devtmpfs", "ramfs",  "proc", "sysfs",
                                          "vfat",    "exfat", "squashfs", "iso9660"};

static bool type_is_local(const char *type)
{
    for (size_t i = 0; i < sizeof(local_types) / sizeof(local_types[0]); i++)
        if (strcmp(type, local_types[i]) == 0)
            return true;
    return false;
}

/* A line reads "36 35 98:0 /root /point options optional... - ext4 device options". */
static bool look_up(uint64_t mount_id)
{
    char line[4096], type[64];
    unsigned long long id;
    bool local = false;

    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    if (!mounts)
        return false;
    while (fgets(line, sizeof(line), mounts)) {
        const char *separator = strstr(line, " - ");
        if (!separator || sscanf(line, "%llu", &id) != 1 || id != mount_id)
            continue;
        if (sscanf(separator, " - %63s", type) == 1)
            local = type_is_local(type);
        break;
    }
    fclose(mounts);
    return local;
}

bool halo_mount_is_local(struct halo_mounts *mounts, const struct statx *statx)
{
    if (!(statx->stx_mask & STATX_MNT_ID))
        return false;
    uint64_t device = makedev(statx->stx_dev_major, statx->stx_dev_minor);
    size_t i = (statx->stx_mnt_id ^ device) % HALO_MOUNTS_REMEMBERED;
    /* The kernel reuses the numbers of mounts that are gone: the device must agree as well. */
    if (!mounts->cache[i].known || mounts->cache[i].mount_id != statx->stx_mnt_id ||
        mounts->cache[i].device != device) {
        mounts->cache[i].mount_id = statx->stx_mnt_id;
        mounts->cache[i].device = device;
        mounts->cache[i].local = look_up(statx->stx_mnt_id);
        mounts->cache[i].known = true;
    }
    return mounts->cache[i].local;
}
