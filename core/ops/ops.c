/*
 * The table of operations: one row each. What the rows refer to is in the files ops_*.c, by kind.
 */
#include "ops/ops.h"

#include <errno.h>
#include <poll.h>

#include <liburing.h>

#include "ops/op_functions.h"

/* ---- poll ---------------------------------------------------------------------------------- */

void halo_poll_prepare(struct io_uring_sqe *sqe, const struct halo_op *op)
{
    io_uring_prep_poll_add(sqe, op->fd, (unsigned)halo_op_poll_events(op));
}

int64_t halo_poll_block(struct halo_op *op)
{
    struct pollfd polled = {.fd = op->fd, .events = halo_op_poll_events(op)};
    return poll(&polled, 1, -1) < 0 ? -errno : polled.revents;
}

/* ---- the table ----------------------------------------------------------------------------- */

const struct halo_op_row halo_op_table[HALO_OP_COUNT] = {
    [HALO_OP_OPEN] = {"open", IORING_OP_OPENAT, .quick = true, .prepare = halo_open_prepare,
                      .block = halo_open_block, .begin = halo_open_begin,
                      .finish = halo_open_finish},
    [HALO_OP_CLOSE] = {"close", HALO_NO_OPCODE, .block = halo_close_block,
                       .finish = halo_close_finish},
    [HALO_OP_READ] = {"read", IORING_OP_READ, .quick = true, .on_file = true, .poll_events = POLLIN,
                      .attempt = halo_read_attempt, .prepare = halo_read_prepare,
                      .block = halo_read_block, .begin = halo_read_begin,
                      .finish = halo_read_finish},
    [HALO_OP_WRITE] = {"write", IORING_OP_WRITE, .quick = true, .on_file = true,
                       .poll_events = POLLOUT, .prepare = halo_write_prepare,
                       .block = halo_write_block, .begin = halo_write_begin,
                       .finish = halo_write_finish},
    [HALO_OP_FSYNC] = {"fsync", IORING_OP_FSYNC, .on_file = true, .prepare = halo_fsync_prepare,
                       .block = halo_fsync_block, .begin = halo_fsync_begin,
                       .finish = halo_fsync_finish},
    [HALO_OP_FDATASYNC] = {"fdatasync", IORING_OP_FSYNC, .on_file = true,
                           .prepare = halo_fdatasync_prepare, .block = halo_fdatasync_block,
                           .begin = halo_fsync_begin, .finish = halo_fsync_finish},
    [HALO_OP_FTRUNCATE] = {"ftruncate", OPCODE_FTRUNCATE, .quick = true, .on_file = true,
                           .prepare = halo_ftruncate_prepare, .block = halo_ftruncate_block},
    [HALO_OP_FALLOCATE] = {"fallocate", IORING_OP_FALLOCATE, .on_file = true,
                           .prepare = halo_fallocate_prepare, .block = halo_fallocate_block},
    [HALO_OP_FADVISE] = {"fadvise", IORING_OP_FADVISE, .on_file = true,
                         .prepare = halo_fadvise_prepare, .block = halo_fadvise_block,
                         .begin = halo_fadvise_begin},
    [HALO_OP_SYNC_RANGE] = {"sync_range", IORING_OP_SYNC_FILE_RANGE, .on_file = true,
                            .prepare = halo_sync_range_prepare, .block = halo_sync_range_block,
                            .begin = halo_fadvise_begin},
    [HALO_OP_SEEK] = {"seek", HALO_NO_OPCODE, .quick = true, .on_file = true,
                      .block = halo_seek_block},
    [HALO_OP_LOCK] = {"lock", HALO_NO_OPCODE, .on_file = true, .block = halo_lock_block,
                      .finish = halo_lock_finish},
    [HALO_OP_STAT] = {"stat", IORING_OP_STATX, .quick = true, .prepare = halo_stat_prepare,
                      .block = halo_stat_block},
    [HALO_OP_LSTAT] = {"lstat", IORING_OP_STATX, .quick = true, .prepare = halo_lstat_prepare,
                       .block = halo_lstat_block},
    [HALO_OP_FSTAT] = {"fstat", IORING_OP_STATX, .quick = true, .on_file = true,
                       .prepare = halo_fstat_prepare, .block = halo_fstat_block},
    [HALO_OP_ACCESS] = {"access", HALO_NO_OPCODE, .quick = true, .block = halo_access_block},
    [HALO_OP_CHMOD] = {"chmod", HALO_NO_OPCODE, .quick = true, .block = halo_chmod_block},
    [HALO_OP_FCHMOD] = {"fchmod", HALO_NO_OPCODE, .quick = true, .on_file = true,
                        .block = halo_fchmod_block},
    [HALO_OP_CHOWN] = {"chown", HALO_NO_OPCODE, .quick = true, .block = halo_chown_block},
    [HALO_OP_LCHOWN] = {"lchown", HALO_NO_OPCODE, .quick = true, .block = halo_lchown_block},
    [HALO_OP_FCHOWN] = {"fchown", HALO_NO_OPCODE, .quick = true, .on_file = true,
                        .block = halo_fchown_block},
    [HALO_OP_UTIME] = {"utime", HALO_NO_OPCODE, .quick = true, .block = halo_utime_block},
    [HALO_OP_LUTIME] = {"lutime", HALO_NO_OPCODE, .quick = true, .block = halo_lutime_block},
    [HALO_OP_FUTIME] = {"futime", HALO_NO_OPCODE, .quick = true, .on_file = true,
                        .block = halo_futime_block},
    [HALO_OP_TRUNCATE] = {"truncate", HALO_NO_OPCODE, .quick = true, .no_base = true,
                          .block = halo_truncate_block},
    [HALO_OP_STATFS] = {"statfs", HALO_NO_OPCODE, .quick = true, .no_base = true,
                        .block = halo_statfs_block},
    [HALO_OP_FSTATFS] = {"fstatfs", HALO_NO_OPCODE, .quick = true, .on_file = true,
                         .block = halo_fstatfs_block},
    [HALO_OP_RENAME] = {"rename", IORING_OP_RENAMEAT, .quick = true, .prepare = halo_rename_prepare,
                        .block = halo_rename_block, .begin = halo_names_begin},
    [HALO_OP_REMOVE] = {"remove", IORING_OP_UNLINKAT, .quick = true, .prepare = halo_remove_prepare,
                        .block = halo_remove_block},
    [HALO_OP_MKDIR] = {"mkdir", IORING_OP_MKDIRAT, .quick = true, .prepare = halo_mkdir_prepare,
                       .block = halo_mkdir_block},
    [HALO_OP_RMDIR] = {"rmdir", IORING_OP_UNLINKAT, .quick = true, .prepare = halo_rmdir_prepare,
                       .block = halo_rmdir_block},
    [HALO_OP_LINK] = {"link", IORING_OP_LINKAT, .quick = true, .prepare = halo_link_prepare,
                      .block = halo_link_block, .begin = halo_names_begin},
    [HALO_OP_SYMLINK] = {"symlink", IORING_OP_SYMLINKAT, .quick = true,
                         .prepare = halo_symlink_prepare, .block = halo_symlink_block},
    [HALO_OP_READLINK] = {"readlink", HALO_NO_OPCODE, .quick = true, .block = halo_readlink_block},
    [HALO_OP_REALPATH] = {"realpath", HALO_NO_OPCODE, .quick = true, .no_base = true,
                          .block = halo_realpath_block},
    [HALO_OP_MKNOD] = {"mknod", HALO_NO_OPCODE, .quick = true, .block = halo_mknod_block},
    [HALO_OP_READDIR] = {"readdir", HALO_NO_OPCODE, .quick = true, .attempt = halo_readdir_attempt,
                         .block = halo_readdir_block, .begin = halo_readdir_begin},
    [HALO_OP_GETDENTS] = {"getdents", HALO_NO_OPCODE, .quick = true, .on_file = true,
                          .block = halo_getdents_block},
    [HALO_OP_GETXATTR] = {"getxattr", IORING_OP_GETXATTR, .quick = true, .no_base = true,
                          .prepare = halo_getxattr_prepare, .block = halo_getxattr_block,
                          .begin = halo_getxattr_begin},
    [HALO_OP_FGETXATTR] = {"fgetxattr", IORING_OP_FGETXATTR, .quick = true, .on_file = true,
                           .prepare = halo_fgetxattr_prepare, .block = halo_fgetxattr_block,
                           .begin = halo_getxattr_begin},
    [HALO_OP_SETXATTR] = {"setxattr", IORING_OP_SETXATTR, .quick = true, .no_base = true,
                          .prepare = halo_setxattr_prepare, .block = halo_setxattr_block},
    [HALO_OP_FSETXATTR] = {"fsetxattr", IORING_OP_FSETXATTR, .quick = true, .on_file = true,
                           .prepare = halo_fsetxattr_prepare, .block = halo_fsetxattr_block},
    [HALO_OP_LISTXATTR] = {"listxattr", HALO_NO_OPCODE, .quick = true, .no_base = true,
                           .block = halo_listxattr_block, .begin = halo_listxattr_begin},
    [HALO_OP_FLISTXATTR] = {"flistxattr", HALO_NO_OPCODE, .quick = true, .on_file = true,
                            .block = halo_flistxattr_block, .begin = halo_listxattr_begin},
    [HALO_OP_REMOVEXATTR] = {"removexattr", HALO_NO_OPCODE, .quick = true, .no_base = true,
                             .block = halo_removexattr_block},
    [HALO_OP_FREMOVEXATTR] = {"fremovexattr", HALO_NO_OPCODE, .quick = true, .on_file = true,
                              .block = halo_fremovexattr_block},
    [HALO_OP_COPYFILE] = {"copyfile", HALO_NO_OPCODE, .quick = true,
                          .attempt = halo_copyfile_attempt, .block = halo_copyfile_block},
    [HALO_OP_READFILE] = {"readfile", HALO_NO_OPCODE, .quick = true,
                          .attempt = halo_readfile_attempt, .block = halo_readfile_block},
    [HALO_OP_WATCH] = {"watch", HALO_NO_OPCODE, .no_base = true, .on_file = true,
                       .block = halo_watch_block},
    [HALO_OP_UNWATCH] = {"unwatch", HALO_NO_OPCODE, .on_file = true, .block = halo_unwatch_block},
    [HALO_OP_SYNC] = {"sync", HALO_NO_OPCODE, .block = halo_sync_block},
    [HALO_OP_POLL] = {"poll", IORING_OP_POLL_ADD, .prepare = halo_poll_prepare,
                      .block = halo_poll_block},
};
