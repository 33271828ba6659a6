/*
 * fence.h: what paths may reach. A fence is a list of roots, each with its rights; halo_op_submit()
 * passes every operation by halo_fence_enter(), whatever engine carries it out. A path is led below
 * the root that holds it, and resolved there as below a directory that confines (resolve.h).
 */
#ifndef HALO_FENCE_H
#define HALO_FENCE_H

#include "halo.h"

/* As errors: path, or path2, leads out of its root. They are EACCES before anybody sees them. */
#define HALO_OUTSIDE  4000
#define HALO_OUTSIDE2 4001

/*
 * An operation has the rights of the root below which its path is, for the file that it opens; says
 * which right path needs, and which path2; whether path (1) and path2 (2) are below a root; and,
 * once it has been refused, the right that it lacks.
 */

struct halo_root {
    int fd;          /* of a directory, as a place */
    char *name;      /* of the one file in it that is meant, or NULL */
    unsigned given;  /* rights, */
    unsigned rights; /* and with those of the roots that this one is below */
    char *paths[2];  /* absolute: as it was named, and without links; or NULL */
};

struct halo_fence {
    struct halo_root *roots;
    size_t count;
    unsigned anywhere; /* rights on "/": there is nothing to lead out of */
    unsigned others;   /* that go without a path */
};

/*
 * Whether an operation may be, and below which roots. Returns 0, or -errno; op->lacking says then
 * which right it has not got.
 */
int halo_fence_enter(const struct halo_fence *fence, struct halo_op *op);

/* As chdir(2): 0 or -errno; -EACCES where the fence refuses the path, -EXDEV where it leads out. */
int halo_fence_chdir(const struct halo_fence *fence, const char *path);

/* Whether paths may reach as much as without a fence. */
static inline bool halo_fence_is_open(const struct halo_fence *fence, unsigned rights)
{
    return !fence || (fence->anywhere & rights) == rights;
}

#endif
