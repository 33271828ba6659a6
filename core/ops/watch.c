/* Watching with inotify(7), whose descriptor is a file of the loop's. Events come by reads. */
#include "ops/ops.h"

#include <errno.h>
#include <sys/inotify.h>

#include "loop.h"
#include "ops/op_functions.h"

int64_t halo_watch_block(struct halo_op *op)
{
    return halo_result_of(inotify_add_watch(op->fd, op->path, op->flags));
}

int64_t halo_unwatch_block(struct halo_op *op)
{
    return halo_result_of(inotify_rm_watch(op->fd, (int)op->flags));
}
