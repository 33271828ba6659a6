/*
 * op_functions.h: what the rows of the table refer to, and what the files that define it share.
 * For each operation: prepare (its SQE), block (the plain system call), begin and finish.
 */
#ifndef HALO_OP_FUNCTIONS_H
#define HALO_OP_FUNCTIONS_H

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/types.h>

#include "ops/ops.h"

#define OPCODE_FTRUNCATE 55 /* since Linux 6.9; older headers do not name it */

#define HALO_STATX_WANTED (STATX_BASIC_STATS | STATX_BTIME)

/*
 * A path that is refused wherever it would lead. io_uring looks at such before anything else that
 * may be at fault, and would tell of the other one: the plain call has to decide.
 */
static inline bool halo_path_is_refused(const char *path)
{
    size_t length = strlen(path);
    return length == 0 || length >= PATH_MAX;
}

/* A system call's result as an operation's: -errno where it failed. */
static inline int64_t halo_result_of(int64_t returned)
{
    return returned < 0 ? -errno : returned;
}

void halo_open_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_open_block(struct halo_op *op);
int halo_open_begin(struct halo_loop *loop, struct halo_op *op);
enum halo_step halo_open_finish(struct halo_loop *loop, struct halo_op *op, int64_t result);
int64_t halo_close_block(struct halo_op *op);
enum halo_step halo_close_finish(struct halo_loop *loop, struct halo_op *op, int64_t result);
void halo_read_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_read_block(struct halo_op *op);
int64_t halo_read_attempt(struct halo_op *op);
/* As pread(2), but fails with EAGAIN where it would have to wait for a disk. */
ssize_t halo_read_cached(int fd, void *data, size_t length, off_t offset);
int halo_read_begin(struct halo_loop *loop, struct halo_op *op);
enum halo_step halo_read_finish(struct halo_loop *loop, struct halo_op *op, int64_t result);
void halo_write_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_write_block(struct halo_op *op);
int halo_write_begin(struct halo_loop *loop, struct halo_op *op);
enum halo_step halo_write_finish(struct halo_loop *loop, struct halo_op *op, int64_t result);
void halo_fsync_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_fsync_block(struct halo_op *op);
int halo_fsync_begin(struct halo_loop *loop, struct halo_op *op);
enum halo_step halo_fsync_finish(struct halo_loop *loop, struct halo_op *op, int64_t result);
void halo_fdatasync_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_fdatasync_block(struct halo_op *op);
void halo_ftruncate_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_ftruncate_block(struct halo_op *op);
void halo_fallocate_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_fallocate_block(struct halo_op *op);
void halo_fadvise_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_fadvise_block(struct halo_op *op);
int halo_fadvise_begin(struct halo_loop *loop, struct halo_op *op);
void halo_sync_range_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_sync_range_block(struct halo_op *op);
int64_t halo_seek_block(struct halo_op *op);
int64_t halo_lock_block(struct halo_op *op);
enum halo_step halo_lock_finish(struct halo_loop *loop, struct halo_op *op, int64_t result);
void halo_stat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_stat_block(struct halo_op *op);
void halo_lstat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_lstat_block(struct halo_op *op);
void halo_fstat_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_fstat_block(struct halo_op *op);
int64_t halo_access_block(struct halo_op *op);
int64_t halo_chmod_block(struct halo_op *op);
int64_t halo_fchmod_block(struct halo_op *op);
int64_t halo_chown_block(struct halo_op *op);
int64_t halo_lchown_block(struct halo_op *op);
int64_t halo_fchown_block(struct halo_op *op);
int64_t halo_utime_block(struct halo_op *op);
int64_t halo_lutime_block(struct halo_op *op);
int64_t halo_futime_block(struct halo_op *op);
int64_t halo_truncate_block(struct halo_op *op);
int64_t halo_statfs_block(struct halo_op *op);
int64_t halo_fstatfs_block(struct halo_op *op);
int halo_names_begin(struct halo_loop *loop, struct halo_op *op);
void halo_rename_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_rename_block(struct halo_op *op);
void halo_remove_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_remove_block(struct halo_op *op);
void halo_mkdir_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_mkdir_block(struct halo_op *op);
void halo_rmdir_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_rmdir_block(struct halo_op *op);
void halo_link_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_link_block(struct halo_op *op);
void halo_symlink_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_symlink_block(struct halo_op *op);
int64_t halo_readlink_block(struct halo_op *op);
int64_t halo_realpath_block(struct halo_op *op);
int64_t halo_mknod_block(struct halo_op *op);
int halo_readdir_begin(struct halo_loop *loop, struct halo_op *op);
int64_t halo_readdir_block(struct halo_op *op);
int64_t halo_readdir_attempt(struct halo_op *op);
int64_t halo_getdents_block(struct halo_op *op);
void halo_getxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_getxattr_block(struct halo_op *op);
int halo_getxattr_begin(struct halo_loop *loop, struct halo_op *op);
void halo_fgetxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_fgetxattr_block(struct halo_op *op);
void halo_setxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_setxattr_block(struct halo_op *op);
void halo_fsetxattr_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_fsetxattr_block(struct halo_op *op);
int64_t halo_listxattr_block(struct halo_op *op);
int halo_listxattr_begin(struct halo_loop *loop, struct halo_op *op);
int64_t halo_flistxattr_block(struct halo_op *op);
int64_t halo_removexattr_block(struct halo_op *op);
int64_t halo_fremovexattr_block(struct halo_op *op);
int64_t halo_copyfile_block(struct halo_op *op);
int64_t halo_copyfile_attempt(struct halo_op *op);
int64_t halo_readfile_block(struct halo_op *op);
int64_t halo_readfile_attempt(struct halo_op *op);
int64_t halo_watch_block(struct halo_op *op);
int64_t halo_unwatch_block(struct halo_op *op);
int64_t halo_sync_block(struct halo_op *op);
void halo_poll_prepare(struct io_uring_sqe *sqe, const struct halo_op *op);
int64_t halo_poll_block(struct halo_op *op);

#endif
