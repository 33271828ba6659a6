#include "policy.h"

#include <fcntl.h>

#include "loop.h"
#include "ops.h"

#define SLICE_NS        500000 /* of tries in one turn: the most that others wait for them */
#define SLICE_TRIES     512
#define LONG_NS         60000 /* longer than the hand-off to a worker that it saves */
#define STRIKES_MAX     4
#define SKIP_FIRST      8
#define CLOSE_BYTES_MAX (1u << 20) /* written; above that a close may start to flush */

static bool is_alone(const struct halo_loop *loop, unsigned flags)
{
    return (flags & HALO_ALONE) && loop->stats.submitted - loop->stats.retired == 1 &&
           !loop->completed.first && loop->timers.count == 0;
}

/* Whether all that the operation touches is on file systems of this kernel alone. */
static bool is_local(struct halo_loop *loop, const struct halo_op *op)
{
    if (op->row->on_file)
        return op->slot->local;
    if (!loop->policy.refreshed) {
        halo_mounts_refresh(&loop->files.mounts);
        loop->policy.refreshed = true;
    }
    const struct halo_mounts *mounts = &loop->files.mounts;
    if (op->base_slot && !op->base_slot->local)
        return false;
    return (!op->path || halo_path_is_local(mounts, op->path)) &&
           (!op->path2 || halo_path_is_local(mounts, op->path2));
}

static bool may_try(struct halo_loop *loop, const struct halo_op *op)
{
    struct halo_policy *policy = &loop->policy;
    size_t kind = (size_t)(op->row - halo_op_table);

    if (!op->row->quick || halo_policy_is_due(policy) || !is_local(loop, op))
        return false;
    /* O_DIRECT reads a disk, which can do many at a time. */
    if (op->row->on_file && ((op->slot->flags & O_DIRECT) || op->length > HALO_TRY_BYTES_MAX))
        return false;
    if (policy->skip[kind] > 0) {
        policy->skip[kind]--;
        return false;
    }
    return true;
}

enum halo_way halo_policy_choose(struct halo_loop *loop, const struct halo_op *op, unsigned flags)
{
    /* Closing a local file hardly ever waits, unless much was written to it. */
    if (halo_op_is(op, HALO_OP_CLOSE) && op->slot->local && op->slot->written < CLOSE_BYTES_MAX &&
        loop->config.engine != HALO_ENGINE_POOL)
        return HALO_WAY_DIRECT;
    if (loop->config.engine != HALO_ENGINE_AUTO || op->pool_only)
        return HALO_WAY_ENGINE;
    if (halo_op_is(op, HALO_OP_POLL) || halo_op_is(op, HALO_OP_COPYFILE) ||
        (op->row->on_file && op->slot->stream))
        return HALO_WAY_ENGINE;
    if (is_alone(loop, flags))
        return HALO_WAY_DIRECT;
    return may_try(loop, op) ? HALO_WAY_TRY : HALO_WAY_ENGINE;
}

void halo_policy_missed(struct halo_policy *policy, const struct halo_op *op)
{
    size_t kind = (size_t)(op->row - halo_op_table);
    /* The first one may just have been preempted. */
    if (policy->strikes[kind] > 0)
        policy->skip[kind] = (uint16_t)(SKIP_FIRST << policy->strikes[kind]);
    if (policy->strikes[kind] < STRIKES_MAX)
        policy->strikes[kind]++;
}

void halo_policy_took(struct halo_policy *policy, const struct halo_op *op, uint64_t ns)
{
    policy->spent_ns += ns;
    if (ns > LONG_NS)
        halo_policy_missed(policy, op);
    else
        policy->strikes[op->row - halo_op_table] = 0;
}

void halo_policy_turn(struct halo_policy *policy)
{
    policy->spent_ns = 0;
    policy->tries = 0;
    policy->refreshed = false;
}

bool halo_policy_is_due(const struct halo_policy *policy)
{
    return policy->spent_ns > SLICE_NS || policy->tries > SLICE_TRIES;
}
