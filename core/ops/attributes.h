/* attributes.h: what a copy keeps of its original beside the content. */
#ifndef HALO_OPS_ATTRIBUTES_H
#define HALO_OPS_ATTRIBUTES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct halo_attributes {
    uint32_t mode, uid, gid;
    struct timespec times[2]; /* of access, of modification */
};

/* Both ends are files that are open, or only places (O_PATH), as symbolic links have to be. */
struct halo_ends {
    int from; /* for extended attributes, or -1 */
    int to;
    bool places;
};

struct halo_op;

struct halo_attributes halo_attributes_of(const struct stat *status);

/*
 * Gives a copy what the operation's flags (HALO_COPY_KEEP) name, in the only order in which nothing
 * is lost and nobody gets at it too early: the owner, extended attributes, the mode, the times.
 * What another file system does not have, or this user may not give, is left out. Returns 0 or
 * -errno.
 */
int halo_attributes_keep(const struct halo_op *op, struct halo_ends ends,
                         struct halo_attributes wanted);

#endif
