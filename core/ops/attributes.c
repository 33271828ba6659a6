/*
 * What a copy keeps of its original: owner, extended attributes and ACLs, mode, times. To change
 * the owner takes capabilities and the bits of setuid away, and to set an ACL changes the mode, so
 * that the order matters; and until its owner is right a copy is for nobody else.
 */
#include "ops/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "loop.h"
#include "ops/ops.h"
#include "ops/shared.h"

#define XATTR_BYTES_MAX 65536 /* of a list and of a value: linux/limits.h */
#define FEW_BYTES       256   /* most files have no more names than that, or none */
#define SAFE_BITS       0777u /* without those that lend the owner's rights */

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* As the kernel has ACLs in an attribute: a version, then entries of a tag, bits and an id. */
#define ACL_HEADER_BYTES 4
#define ACL_ENTRY_BYTES  8
#define ACL_GROUP        4

/* ---- extended attributes ------------------------------------------------------------------- */

/* A place has a name of its own for calls that take no place. It leads nowhere else. */
struct end {
    int fd;
    bool place;
    char name[32];
};

static struct end end_of(int fd, bool place)
{
    struct end end = {.fd = fd, .place = place};
    snprintf(end.name, sizeof(end.name), "/proc/self/fd/%d", fd);
    return end;
}

static ssize_t list(const struct end *end, char *names, size_t size)
{
    return end->place ? listxattr(end->name, names, size) : flistxattr(end->fd, names, size);
}

static ssize_t get(const struct end *end, const char *name, void *value)
{
    return end->place ? getxattr(end->name, name, value, XATTR_BYTES_MAX)
                      : fgetxattr(end->fd, name, value, XATTR_BYTES_MAX);
}

static int set(const struct end *end, const char *name, const void *value, size_t size)
{
    return end->place ? setxattr(end->name, name, value, size, 0)
                      : fsetxattr(end->fd, name, value, size, 0);
}

/* What another file system does not have, or somebody without privileges may not give. */
static bool may_be_left_out(int error)
{
    return error == EOPNOTSUPP || error == EPERM || error == EACCES || error == ENODATA;
}

/*
 * The group's bits of a mode that stands for an ACL are the most that anybody named in it has.
 * Where the ACL is lost they would be the group's own.
 */
static uint32_t mode_without_acl(uint32_t mode, const uint8_t *acl, size_t size)
{
    for (size_t at = ACL_HEADER_BYTES; at + ACL_ENTRY_BYTES <= size; at += ACL_ENTRY_BYTES)
        if (acl[at] == ACL_GROUP && acl[at + 1] == 0)
            return mode & (~070u | (acl[at + 2] & 7u) << 3);
    return mode;
}

static int keep_xattr(const struct end *from, const struct end *to, const char *name, char *value,
                      uint32_t *mode)
{
    ssize_t size = get(from, name, value);
    if (size >= 0 && set(to, name, value, (size_t)size) == 0)
        return 0;
    if (!may_be_left_out(errno))
        return -errno;
    if (size >= 0 && strcmp(name, ACL_ACCESS) == 0)
        *mode = mode_without_acl(*mode, (const uint8_t *)value, (size_t)size);
    return 0;
}

static int take_away(const struct end *end, const char *name)
{
    int done = end->place ? removexattr(end->name, name) : fremovexattr(end->fd, name);
    return done == 0 || may_be_left_out(errno) ? 0 : -errno;
}

static bool has_name(const char *names, size_t size, const char *name)
{
    for (const char *at = names; at < names + size; at += strlen(at) + 1)
        if (strcmp(at, name) == 0)
            return true;
    return false;
}

/* What a directory gives to all that is made in it, the original has not got. */
static int remove_inherited(const struct end *to, const char *names, size_t size)
{
    int error = has_name(names, size, ACL_ACCESS) ? 0 : take_away(to, ACL_ACCESS);
    if (!error && !has_name(names, size, ACL_DEFAULT))
        error = take_away(to, ACL_DEFAULT);
    return error;
}

static int keep_listed(const struct end *from, const struct end *to, char *names, uint32_t *mode)
{
    ssize_t size = list(from, names, XATTR_BYTES_MAX);
    char *value = names + XATTR_BYTES_MAX;

    if (size < 0)
        return may_be_left_out(errno) ? 0 : -errno;
    int error = remove_inherited(to, names, (size_t)size);
    for (const char *at = names; !error && at < names + size; at += strlen(at) + 1)
        error = keep_xattr(from, to, at, value, mode);
    return error;
}

static int keep_xattrs(struct halo_ends ends, uint32_t *mode)
{
    char few[FEW_BYTES];
    struct end from = end_of(ends.from, ends.places), to = end_of(ends.to, ends.places);
    ssize_t size = list(&from, few, sizeof(few));

    if (size == 0 || (size < 0 && may_be_left_out(errno)))
        return remove_inherited(&to, few, 0);
    char *names = malloc((size_t)2 * XATTR_BYTES_MAX);
    if (!names)
        return -ENOMEM;
    int error = keep_listed(&from, &to, names, mode);
    free(names);
    return error;
}

/* ---- owner, mode, times -------------------------------------------------------------------- */

/* Not permitted, not to be had here, or an owner that this user namespace does not know. */
static bool owner_may_be_left_out(int error)
{
    return error == EPERM || error == EINVAL || error == EOVERFLOW || error == EOPNOTSUPP ||
           error == ENOSYS;
}

/*
 * Without the owner, the bits that lend the owner's rights would lend somebody else's. A failure,
 * such as a full quota, is one: the mode is for the owner that it was made for.
 */
static int keep_owner(int to, struct halo_attributes *wanted)
{
    struct stat status;
    bool known = fstat(to, &status) == 0;
    if (known && status.st_uid == wanted->uid && status.st_gid == wanted->gid)
        return 0;
    if (fchownat(to, "", wanted->uid, wanted->gid, AT_EMPTY_PATH) == 0)
        return 0;
    if (!owner_may_be_left_out(errno))
        return -errno;
    wanted->mode &= SAFE_BITS;
    /* Who may not give it away may still give it to another of the own groups. */
    if (known && status.st_uid == wanted->uid)
        (void)!fchownat(to, "", (uid_t)-1, wanted->gid, AT_EMPTY_PATH);
    return 0;
}

static int keep_mode(struct halo_ends ends, uint32_t mode)
{
    struct stat status;
    if (!ends.places)
        return fchmod(ends.to, mode) < 0 ? -errno : 0;
    if (fstat(ends.to, &status) < 0)
        return -errno;
    if (S_ISLNK(status.st_mode))
        return 0;
    struct end to = end_of(ends.to, true);
    return chmod(to.name, mode) < 0 ? -errno : 0;
}

static int keep_times(struct halo_ends ends, const struct timespec times[2])
{
    int done =
        ends.places ? utimensat(ends.to, "", times, AT_EMPTY_PATH) : futimens(ends.to, times);
    return done < 0 ? -errno : 0;
}

struct halo_attributes halo_attributes_of(const struct stat *status)
{
    return (struct halo_attributes){
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .times = {status->st_atim, status->st_mtim},
    };
}

static int keep_once(struct halo_ends ends, struct halo_attributes wanted, uint32_t flags)
{
    int error = 0;

    if (flags & HALO_COPY_OWNER)
        error = keep_owner(ends.to, &wanted);
    if (!error && (flags & HALO_COPY_XATTRS) && ends.from >= 0)
        error = keep_xattrs(ends, &wanted.mode);
    if (!error && (flags & HALO_COPY_MODE))
        error = keep_mode(ends, wanted.mode);
    if (!error && (flags & HALO_COPY_TIMES))
        error = keep_times(ends, wanted.times);
    return error;
}

/* To do all of it once more does no harm. */
int halo_attributes_keep(const struct halo_op *op, struct halo_ends ends,
                         struct halo_attributes wanted)
{
    unsigned tries = 0;
    int error;

    do
        error = keep_once(ends, wanted, op->flags);
    while (error == -EINTR && halo_op_retries(op, &tries));
    return error;
}

/* ---- the operation ------------------------------------------------------------------------- */

static int64_t keep_block(struct halo_op *op)
{
    struct halo_ends ends = {.from = op->base ? op->base_fd : -1, .to = op->fd};
    struct halo_attributes wanted = {
        .mode = op->mode & 07777,
        .uid = op->uid,
        .gid = op->gid,
        .times = {op->times[0], op->times[1]},
    };
    return halo_attributes_keep(op, ends, wanted);
}

const struct halo_op_row halo_keep_row = {
    .code = HALO_OP_KEEP,
    .name = "keep",
    .opcode = HALO_NO_OPCODE,
    .on_file = true,
    .quick = true,
    .lengthy = true,
    .alters = true,
    .block = keep_block,
};
