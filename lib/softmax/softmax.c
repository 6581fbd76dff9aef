/*
 * The public face of the softmax family: the fastest table, in the default floating-point
 * environment. The work is in softmax_on.c, another translation unit, so that no compiler moves
 * arithmetic out of the pair of pl_fp_enter and pl_fp_leave.
 */
#include <pluck/softmax.h>

#include "softmax/softmax_on.h"

pluck_status pluck_softmax(const float *z, size_t n, float beta, float *p, pluck_error *err)
{
    const pl_fp_state state = pl_fp_enter();
    pluck_status status = pl_softmax_on(pl_kernels_get(PLUCK_ISA_BEST), z, n, beta, p, err);
    pl_fp_leave(state);
    return status;
}

pluck_status pluck_log_softmax(const float *z, size_t n, float beta, float *logprob,
                               pluck_error *err)
{
    const pl_fp_state state = pl_fp_enter();
    pluck_status status =
        pl_log_softmax_on(pl_kernels_get(PLUCK_ISA_BEST), z, n, beta, logprob, err);
    pl_fp_leave(state);
    return status;
}

pluck_status pluck_logsumexp(const float *z, size_t n, float beta, double *lse, pluck_error *err)
{
    const pl_fp_state state = pl_fp_enter();
    pluck_status status = pl_logsumexp_on(pl_kernels_get(PLUCK_ISA_BEST), z, n, beta, lse, err);
    pl_fp_leave(state);
    return status;
}

pluck_status pluck_entropy(const float *z, size_t n, float beta, double *nats, pluck_error *err)
{
    const pl_fp_state state = pl_fp_enter();
    pluck_status status = pl_entropy_on(pl_kernels_get(PLUCK_ISA_BEST), z, n, beta, nats, err);
    pl_fp_leave(state);
    return status;
}

pluck_status pluck_argmax(const float *z, size_t n, size_t *index, pluck_error *err)
{
    const pl_fp_state state = pl_fp_enter();
    pluck_status status = pl_argmax_on(pl_kernels_get(PLUCK_ISA_BEST), z, n, index, err);
    pl_fp_leave(state);
    return status;
}
