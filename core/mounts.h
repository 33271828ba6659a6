/*
 * mounts.h: which mounted file systems live in this kernel alone. Closing a file on the others
 * (network file systems, FUSE) may wait for another machine or process.
 */
#ifndef HALO_MOUNTS_H
#define HALO_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

struct statx;

#define HALO_MOUNTS_REMEMBERED 16

struct halo_mounts {
    struct {
        uint64_t mount_id, device;
        bool known, local;
    } cache[HALO_MOUNTS_REMEMBERED];
};

/*
 * True where the file behind stx_mnt_id is known to be on a local file system. The answer is
 * remembered per mount; a new one costs a look into /proc/self/mountinfo, which never waits.
 */
bool halo_mount_is_local(struct halo_mounts *mounts, const struct statx *statx);

#endif
