/*
 * What kernels have of io_uring differs, and some sandboxes refuse a part of it: it is all found
 * out before the first operation.
 */
#include "engines/uring.h"

#include <errno.h>

#include "check.h"
#include "ops/ops.h"

#define SQ_ENTRIES_MAX 1024u
#define KERNEL_WORKERS 64u /* a few that hang must not keep the others from working */
#define SUBMIT_TRIES   1000

static int set_up(struct io_uring *uring, const struct halo_config *config, bool *tells_work)
{
    static const unsigned tries[] = {
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER |
            IORING_SETUP_DEFER_TASKRUN,                                                  /* 6.1 */
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_COOP_TASKRUN, /* 5.19 */
        0,
    };
    unsigned entries = config->max_in_flight;
    int error = 0;

    if (entries > SQ_ENTRIES_MAX)
        entries = SQ_ENTRIES_MAX;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        struct io_uring_params params = {
            .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | tries[i],
            .cq_entries = 3 * config->max_in_flight + 3,
        };
        error = io_uring_queue_init_params(entries, uring, &params);
        *tells_work = tries[i] & IORING_SETUP_TASKRUN_FLAG;
        if (error != -EINVAL)
            break;
    }
    if (error)
        return error;
    /* Waiting with a timeout needs EXT_ARG (5.11); without NODROP answers could be lost. */
    unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
    if ((uring->features & needed) == needed)
        return 0;
    io_uring_queue_exit(uring);
    return -ENOSYS;
}

/* Some sandboxes grant io_uring_setup() and refuse io_uring_enter(). */
static int try_nop(struct io_uring *uring)
{
    struct io_uring_cqe *cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(uring);

    HALO_CHECK(sqe, "a new ring has no room");
    io_uring_prep_nop(sqe);
    int submitted = -EINTR;
    for (int tries = 0; tries < SUBMIT_TRIES && submitted == -EINTR; tries++)
        submitted = io_uring_submit_and_wait(uring, 1);
    if (submitted < 0)
        return submitted;
    int error = io_uring_wait_cqe(uring, &cqe);
    if (!error)
        io_uring_cqe_seen(uring, cqe);
    return error;
}

static int probe(struct io_uring *uring, bool has_opcode[HALO_OP_COUNT])
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
    if (!probe)
        return -ENOMEM;
    for (int i = 0; i < HALO_OP_COUNT; i++) {
        int opcode = halo_op_table[i]->opcode;
        has_opcode[i] = opcode != HALO_NO_OPCODE && io_uring_opcode_supported(probe, opcode);
    }
    io_uring_free_probe(probe);
    return 0;
}

int halo_uring_open(struct io_uring *uring, const struct halo_config *config, bool *tells_work,
                    bool has_opcode[HALO_OP_COUNT])
{
    int error = set_up(uring, config, tells_work);
    if (error)
        return error;
    error = try_nop(uring);
    if (!error)
        error = probe(uring, has_opcode);
    if (error) {
        io_uring_queue_exit(uring);
        return error;
    }
    /* These help where the kernel has them, and are not missed where it does not. */
    unsigned kernel_workers[2] = {KERNEL_WORKERS, KERNEL_WORKERS};
    io_uring_register_iowq_max_workers(uring, kernel_workers);
    io_uring_ring_dontfork(uring);
    return 0;
}
