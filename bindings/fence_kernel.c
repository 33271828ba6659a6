/*
 * Landlock, by its system calls: libc has no functions for them, and the headers may be older than
 * the kernel. It holds what opens, makes, removes, renames, cuts and executes files, but not what
 * looks at them or changes their attributes: the loop's own fence does that.
 */
#include "fence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "halo_lua.h"

/* linux/landlock.h, of Linux 5.13 and later */
#define SYS_CREATE_RULESET 444
#define SYS_ADD_RULE       445
#define SYS_RESTRICT_SELF  446
#define ASK_VERSION        1u
#define RULE_PATH_BENEATH  1

#define MAY_EXECUTE     (1u << 0)
#define MAY_WRITE_FILE  (1u << 1)
#define MAY_READ_FILE   (1u << 2)
#define MAY_READ_DIR    (1u << 3)
#define MAY_MAKE_DEVICE (0x840u)   /* which leads to all that the device holds */
#define MAY_CHANGE_DIRS (0x17b0u)  /* to remove and to make each other kind of name */
#define MAY_REFER       (1u << 13) /* to rename and link across directories: version 2 */
#define MAY_TRUNCATE    (1u << 14) /* version 3 */
#define MAY_IOCTL_DEV   (1u << 15) /* version 5 */

struct ruleset {
    uint64_t handled;
};

struct path_beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

#define MAY_READ  (MAY_READ_FILE | MAY_READ_DIR)
#define MAY_WRITE (MAY_WRITE_FILE | MAY_CHANGE_DIRS | MAY_REFER | MAY_TRUNCATE | MAY_IOCTL_DEV)
#define OF_FILES  (MAY_EXECUTE | MAY_WRITE_FILE | MAY_READ_FILE | MAY_TRUNCATE | MAY_IOCTL_DEV)

/* What this version of Landlock knows of; what it does not know it lets by. */
static uint64_t known_rights(long version)
{
    uint64_t rights = MAY_EXECUTE | MAY_READ | MAY_WRITE_FILE | MAY_CHANGE_DIRS | MAY_MAKE_DEVICE;

    if (version >= 2)
        rights |= MAY_REFER;
    if (version >= 3)
        rights |= MAY_TRUNCATE;
    if (version >= 5)
        rights |= MAY_IOCTL_DEV;
    return rights;
}

static int add_rule(int ruleset, const struct halo_kernel_rule *rule, uint64_t handled)
{
    struct path_beneath beneath = {.fd = open(rule->path, O_PATH | O_CLOEXEC)};
    struct stat status;

    if (beneath.fd < 0)
        return -errno;
    if (rule->rights & (HALO_LUA_MAY_READ | HALO_LUA_MAY_WRITE))
        beneath.allowed |= MAY_READ;
    if (rule->rights & HALO_LUA_MAY_WRITE)
        beneath.allowed |= MAY_WRITE;
    if (fstat(beneath.fd, &status) == 0 && !S_ISDIR(status.st_mode))
        beneath.allowed &= OF_FILES;
    beneath.allowed &= handled;
    int error = 0;
    if (beneath.allowed && syscall(SYS_ADD_RULE, ruleset, RULE_PATH_BENEATH, &beneath, 0) < 0)
        error = -errno;
    close(beneath.fd);
    return error;
}

static int restrict_self(int ruleset)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return syscall(SYS_RESTRICT_SELF, ruleset, 0) < 0 ? -errno : 0;
}

int halo_kernel_fence(const struct halo_kernel_fence *fence, const char **path)
{
    struct ruleset ruleset = {0};
    int error = 0;

    *path = NULL;
    long version = syscall(SYS_CREATE_RULESET, NULL, 0, ASK_VERSION);
    if (version < 0)
        return -errno;
    if (fence->paths)
        ruleset.handled |= known_rights(version) & ~(uint64_t)MAY_EXECUTE;
    if (fence->execution)
        ruleset.handled |= MAY_EXECUTE;
    int fd = (int)syscall(SYS_CREATE_RULESET, &ruleset, sizeof(ruleset), 0);
    if (fd < 0)
        return -errno;
    for (size_t i = 0; i < fence->count && !error; i++) {
        error = add_rule(fd, &fence->rules[i], ruleset.handled);
        *path = error ? fence->rules[i].path : NULL;
    }
    if (!error)
        error = restrict_self(fd);
    close(fd);
    return error;
}
