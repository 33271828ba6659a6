#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"

#define MNT_ID_UNIQUE 0x4000u /* STATX_MNT_ID_UNIQUE, of Linux 6.8 */
#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* of Linux 5.12 */
#endif

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

/* The kernel reuses the numbers of mounts that are gone, so that all is learnt anew. */
static void learn(struct halo_mounts *mounts)
{
    char line[4096], point[POINT_BYTES];
    uint64_t mount_id;
    bool local;

    memset(mounts->cache, 0, sizeof(mounts->cache));
    FILE *file = fopen("/proc/self/mountinfo", "re");
    mounts->all_local = file != NULL;
    if (!file)
        return;
    while (fgets(line, sizeof(line), file)) {
        if (!parse_line(line, &mount_id, &local, point))
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
    if (mounts->watch_fd_plus_one > 0)
        close(mounts->watch_fd_plus_one - 1);
    mounts->watch_fd_plus_one = 0;
}

void halo_mounts_refresh(struct halo_mounts *mounts)
{
    if (mounts->fresh)
        return;
    mounts->fresh = true;
    if (mounts->watch_fd_plus_one == 0) {
        int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        mounts->watch_fd_plus_one = halo_fd_move_up(fd) + 1;
        learn(mounts);
    }
    struct pollfd polled = {.fd = mounts->watch_fd_plus_one - 1, .events = POLLPRI};
    if (poll(&polled, 1, 0) > 0)
        learn(mounts);
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

static uint8_t slow_place(const struct statx *statx_now)
{
    unsigned device = statx_now->stx_dev_major * 31 + statx_now->stx_dev_minor;
    return (uint8_t)(1 + device % (HALO_PLACE_UNKNOWN - 1));
}

int halo_mounts_inspect(struct halo_mounts *mounts, int fd, struct statx *statx_now, uint8_t *place)
{
    bool local = false;
    int result = statx_fd(fd, STATX_TYPE | STATX_MNT_ID | MNT_ID_UNIQUE, statx_now);

    *place = HALO_PLACE_UNKNOWN;
    if (result < 0)
        return result;
    if (statx_now->stx_mask & MNT_ID_UNIQUE)
        local = is_local_by_unique_id(mounts, fd, statx_now->stx_mnt_id);
    else if (statx_now->stx_mask & STATX_MNT_ID)
        local = is_local_by_table(mounts, statx_now->stx_mnt_id);
    *place = local ? 0 : slow_place(statx_now);
    return 0;
}

/* ---- paths --------------------------------------------------------------------------------- */

static int open_cached(int base_fd, const char *path, int flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_PATH | O_CLOEXEC),
        .resolve = resolve | RESOLVE_CACHED,
    };
    return (int)syscall(SYS_openat2, base_fd, path, &how, sizeof(how));
}

/* Cuts the last component off: of "a" the directory ".", of "/a" the root. False at the end. */
static bool cut(char *path)
{
    size_t length = strlen(path);

    if (strcmp(path, ".") == 0 || strcmp(path, "/") == 0)
        return false;
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    if (length == 0)
        strcpy(path, ".");
    else
        path[length > 1 ? length - 1 : 1] = '\0';
    return true;
}

static uint8_t place_of(struct halo_mounts *mounts, int fd)
{
    struct statx statx_now;
    uint8_t place;
    halo_mounts_inspect(mounts, fd, &statx_now, &place);
    close(fd);
    return place;
}

/* The place of the innermost directory above that the cache knows. direct: it is the first one. */
static uint8_t locate_above(struct halo_mounts *mounts, int base_fd, const char *path,
                            uint64_t resolve, bool *direct)
{
    char above[PATH_MAX];

    strcpy(above, path);
    for (*direct = true; cut(above); *direct = false) {
        int fd = open_cached(base_fd, above, O_DIRECTORY, resolve);
        if (fd >= 0)
            return place_of(mounts, fd);
    }
    return HALO_PLACE_UNKNOWN;
}

uint8_t halo_mounts_locate(struct halo_mounts *mounts, int base_fd, const char *path, bool follow,
                           uint64_t resolve, bool *resolved)
{
    bool direct;

    halo_mounts_refresh(mounts);
    *resolved = mounts->all_local;
    if (mounts->all_local)
        return 0;
    if (strlen(path) >= PATH_MAX)
        return HALO_PLACE_UNKNOWN;
    int fd = open_cached(base_fd, path, follow ? 0 : O_NOFOLLOW, resolve);
    *resolved = fd >= 0;
    if (fd >= 0)
        return place_of(mounts, fd);
    /* A name that is not there, or not known yet and not followed, is its directory's business. */
    bool settled = errno == ENOENT || (errno == EAGAIN && !follow);
    uint8_t place = locate_above(mounts, base_fd, path, resolve, &direct);
    *resolved = settled && direct;
    return place;
}
