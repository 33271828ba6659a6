/*
 * mounts.h: which mounted file systems live in this kernel alone. A call on any other (network
 * file systems, FUSE) may wait for another machine or process.
 */
#ifndef HALO_MOUNTS_H
#define HALO_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

struct statx;

#define HALO_MOUNTS_REMEMBERED  16
#define HALO_MOUNTS_LOCAL_SLOTS 16
#define HALO_MOUNTS_REMOTE_MAX  16 /* more, or longer ones, are too many to keep apart */
#define HALO_MOUNT_POINT_MAX    128

/* What /proc/self/mountinfo says; the kernel tells when that changes. Zeroed at first. */
struct halo_mounts {
    int watch_fd;    /* the descriptor plus one; 0 before the first look */
    bool all_local;  /* nothing but local file systems is mounted */
    bool all_listed; /* those that are not stand in remote */
    bool cwd_local;  /* the working directory is outside of them */
    uint32_t remote_count;
    char remote[HALO_MOUNTS_REMOTE_MAX][HALO_MOUNT_POINT_MAX];
    struct {
        uint64_t mount_id;
        bool known, local;
    } cache[HALO_MOUNTS_REMEMBERED];
    uint64_t local[HALO_MOUNTS_LOCAL_SLOTS]; /* unique numbers of mounts that are, by their rest */
};

void halo_mounts_close(struct halo_mounts *mounts);

/* Looks, without waiting, whether something was mounted or unmounted, and learns anew if so. */
void halo_mounts_refresh(struct halo_mounts *mounts);

/*
 * True where a path does not lead to a mount that is not local, as far as its words tell: where
 * it goes by a symbolic link is only seen by going there.
 */
bool halo_path_is_local(const struct halo_mounts *mounts, const char *path);

/*
 * Tells a descriptor's type in statx_now, and in local whether it is known to be on a local file
 * system, without waiting. Returns 0 or -errno.
 */
int halo_mount_inspect(struct halo_mounts *mounts, int fd, struct statx *statx_now, bool *local);

#endif
