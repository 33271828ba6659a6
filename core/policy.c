#include "policy.h"

#include <fcntl.h>

#include "loop.h"
#include "ops/ops.h"

#define SLICE_NS        500000 /* of tries in one turn: the most that others wait for them */
#define LONG_NS         60000  /* longer than the hand-off to a worker that it saves */
#define STRIKES_MAX     4
#define SKIP_FIRST      8
#define CLOSE_BYTES_MAX (1u << 20) /* written; above that a close may start to flush */

bool halo_policy_is_alone(const struct halo_loop *loop, unsigned flags, unsigned own)
{
    return (flags & HALO_ALONE) && loop->stats.submitted - loop->stats.retired == own &&
           !loop->completed.first && loop->timers.count == 0;
}

bool halo_policy_is_local(struct halo_loop *loop, const char *path)
{
    if (!loop->policy.refreshed) {
        halo_mounts_refresh(&loop->files.mounts);
        loop->policy.refreshed = true;
    }
    return halo_path_is_local(&loop->files.mounts, path);
}

/* Whether all that the operation touches is on such file systems. */
static bool is_local(struct halo_loop *loop, const struct halo_op *op)
{
    if (op->row->on_file)
        return op->slot->local;
    return (!op->base_slot || op->base_slot->local) &&
           (!op->path || halo_policy_is_local(loop, op->path)) &&
           (!op->path2 || halo_policy_is_local(loop, op->path2));
}

static bool may_try(struct halo_loop *loop, const struct halo_op *op)
{
    struct halo_policy *policy = &loop->policy;
    enum halo_op_code code = halo_op_kind(op);

    if (!op->row->quick || halo_policy_is_due(policy) || !is_local(loop, op))
        return false;
    /* O_DIRECT reads a disk, which can do many at a time. */
    if (op->row->on_file && ((op->slot->flags & O_DIRECT) || op->length > HALO_TRY_BYTES_MAX))
        return false;
    if (policy->skip[code] > 0) {
        policy->skip[code]--;
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
    if (halo_op_is(op, HALO_OP_POLL) || (op->row->on_file && op->slot->stream))
        return HALO_WAY_ENGINE;
    if (halo_policy_is_alone(loop, flags, 1)) {
        /* A long copy goes to a worker, which can be told to end. */
        if (!halo_op_is(op, HALO_OP_COPYFILE))
            return HALO_WAY_DIRECT;
        /* Whoever is alone makes no turns: nothing else would renew the slice and the mounts. */
        halo_policy_turn(&loop->policy);
    }
    return may_try(loop, op) ? HALO_WAY_TRY : HALO_WAY_ENGINE;
}

void halo_policy_missed(struct halo_policy *policy, enum halo_op_code code)
{
    /* The first two may just have been preempted. */
    if (policy->strikes[code] > 1)
        policy->skip[code] = (uint16_t)(SKIP_FIRST << policy->strikes[code]);
    if (policy->strikes[code] < STRIKES_MAX)
        policy->strikes[code]++;
}

void halo_policy_took(struct halo_policy *policy, enum halo_op_code code, uint64_t ns)
{
    policy->spent_ns += ns;
    if (ns > LONG_NS)
        halo_policy_missed(policy, code);
    else
        policy->strikes[code] = 0;
}

void halo_policy_turn(struct halo_policy *policy)
{
    policy->spent_ns = 0;
    policy->refreshed = false;
}

bool halo_policy_is_due(const struct halo_policy *policy)
{
    return policy->spent_ns > SLICE_NS;
}
