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

/*
 * A place is 0 where only this kernel is asked, else a small number for the file system that may be
 * slow. Two of them may share a number.
 */
#define HALO_PLACES        16
#define HALO_PLACE_UNKNOWN (HALO_PLACES - 1)

/* What /proc/self/mountinfo says; the kernel tells when that changes. Zeroed at first. */
struct halo_mounts {
    int watch_fd_plus_one; /* 0 before the first look */
    bool all_local;        /* nothing but local file systems is mounted */
    bool fresh;            /* it has been looked at in this turn */
    struct {
        uint64_t mount_id;
        bool known, local;
    } cache[HALO_MOUNTS_REMEMBERED];
    uint64_t local[HALO_MOUNTS_LOCAL_SLOTS]; /* unique numbers of local mounts, by remainder */
};

void halo_mounts_close(struct halo_mounts *mounts);

/* Checks, without waiting, whether anything was mounted or unmounted, and if so learns afresh. */
void halo_mounts_refresh(struct halo_mounts *mounts);

/*
 * The place that a path leads to from a directory, as the kernel tells from its cache, without
 * waiting. Links are followed, but for the last component where follow is false; resolve is as in
 * resolve.h. Where the cache does not have all of the path, resolved is false, and the place is
 * that of what it has.
 */
uint8_t halo_mounts_locate(struct halo_mounts *mounts, int base_fd, const char *path, bool follow,
                           uint64_t resolve, bool *resolved);

/* Gives a descriptor's type in statx_now, and its place, without waiting. Returns 0 or -errno. */
int halo_mounts_inspect(struct halo_mounts *mounts, int fd, struct statx *statx_now,
                        uint8_t *place);

#endif
