/*
 * cqe.h: put before the ring's engine where it is compiled for build/faults/halo, so that each
 * completion passes by here before the engine sees it.
 */
#ifndef SPEC_FAULTS_CQE_H
#define SPEC_FAULTS_CQE_H

#include <liburing.h>

#include "faults.h"

static inline int faults_peek_cqe(struct io_uring *ring, struct io_uring_cqe **cqe)
{
    int status = io_uring_peek_cqe(ring, cqe);
    int result = status == 0 ? faults_completion((*cqe)->user_data) : 0;
    if (result)
        (*cqe)->res = result;
    return status;
}

#define io_uring_peek_cqe faults_peek_cqe

#endif
