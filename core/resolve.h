/*
 * resolve.h: opening a path in a way that says where it may lead. The kernel does that by
 * openat2(2), of Linux 5.6. Where that is missing, or a sandbox hides it, the path is walked
 * here, name by name, and no link is left to the kernel.
 */
#ifndef HALO_RESOLVE_H
#define HALO_RESOLVE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * As openat(2), where resolve is made of RESOLVE_BENEATH, _NO_MAGICLINKS, _NO_XDEV, _NO_SYMLINKS;
 * 0 is openat(2) itself. Returns the descriptor or -errno: EXDEV where the path leads out, ELOOP
 * for a link that must not be followed. It is never EAGAIN for a directory that was renamed on the
 * way.
 */
int halo_resolve_open(int base_fd, const char *path, int flags, mode_t mode, uint64_t resolve);

#endif
