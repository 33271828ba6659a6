#include "policy.h"

#define LONG_NS     60000 /* longer than the hand-off to a worker that it saves */
#define STRIKES_MAX 4
#define SKIP_FIRST  8

bool halo_policy_may_try(struct halo_policy *policy, unsigned kind)
{
    if (halo_policy_is_due(policy))
        return false;
    if (policy->skip[kind] == 0)
        return true;
    policy->skip[kind]--;
    return false;
}

void halo_policy_missed(struct halo_policy *policy, unsigned kind)
{
    /* The first two may just have been preempted; a blind read has most likely met the disk. */
    if (policy->strikes[kind] > 1 || kind == HALO_KIND_BLIND_READ)
        policy->skip[kind] = (uint16_t)(SKIP_FIRST << policy->strikes[kind]);
    if (policy->strikes[kind] < STRIKES_MAX)
        policy->strikes[kind]++;
}

void halo_policy_took(struct halo_policy *policy, unsigned kind, uint64_t ns)
{
    policy->spent_ns += ns;
    if (ns > LONG_NS)
        halo_policy_missed(policy, kind);
    else
        policy->strikes[kind] = 0;
}
