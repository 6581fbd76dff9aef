/*
 * The public face of the softmax family: the fastest table, in the default floating-point
 * environment. The work is in other translation units, so that no compiler moves arithmetic out of
 * the pair of plk_fp_enter and plk_fp_leave.
 */
#include <pluck/softmax.h>

#include "softmax/softmax_on.h"

static const plk_kernels *best(void)
{
    return plk_kernels_get(PLUCK_ISA_BEST);
}

pluck_status pluck_softmax(const float *z, size_t n, float beta, float *p, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_softmax_on(best(), z, n, beta, p, err));
}

pluck_status pluck_log_softmax(const float *z, size_t n, float beta, float *logprob,
                               pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_log_softmax_on(best(), z, n, beta, logprob, err));
}

pluck_status pluck_logsumexp(const float *z, size_t n, float beta, double *lse, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_logsumexp_on(best(), z, n, beta, lse, err));
}

pluck_status pluck_entropy(const float *z, size_t n, float beta, double *nats, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_entropy_on(best(), z, n, beta, nats, err));
}

pluck_status pluck_argmax(const float *z, size_t n, size_t *index, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_argmax_on(best(), z, n, index, err));
}

pluck_status pluck_softmax_limit(const float *z, size_t n, bool largest, float *p, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_softmax_limit_on(best(), z, n, largest, p, err));
}

pluck_status pluck_entropy_of_probs(const float *p, size_t n, double *nats, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_entropy_of_probs(p, n, nats, err));
}

pluck_status pluck_softmax_state_add(pluck_softmax_state *state, const float *z, size_t n,
                                     float beta, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_softmax_state_add_on(best(), state, z, n, beta, err));
}

pluck_status pluck_softmax_state_merge(pluck_softmax_state *state, const pluck_softmax_state *other,
                                       pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_softmax_state_merge(state, other, err));
}

pluck_status pluck_softmax_state_logsumexp(const pluck_softmax_state *state, double *lse,
                                           pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_softmax_state_logsumexp(state, lse, err));
}

pluck_status pluck_softmax_state_probs(const pluck_softmax_state *state, const float *z, size_t n,
                                       float beta, float *p, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_softmax_state_probs_on(best(), state, z, n, beta, p, err));
}

pluck_status pluck_softmax_state_add_mean(pluck_softmax_state *state, double *mean, const float *z,
                                          size_t n, float beta, const float *v, size_t dim,
                                          pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_softmax_state_add_mean_on(best(), state, mean, z, n, beta, v, dim, err));
}

pluck_status pluck_softmax_state_merge_mean(pluck_softmax_state *state, double *mean,
                                            const pluck_softmax_state *other,
                                            const double *other_mean, size_t dim, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_softmax_state_merge_mean(state, mean, other, other_mean, dim, err));
}

pluck_status pluck_entmax(const float *z, size_t n, float beta, double alpha, float *p,
                          pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_entmax_on(best(), "pluck_entmax", z, n, beta, alpha, p, err));
}

pluck_status pluck_entmax_jvp(const float *p, const float *v, size_t n, float beta, double alpha,
                              float *out, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_entmax_jvp(p, v, n, beta, alpha, out, err));
}

pluck_status pluck_cross_entropy(const float *z, size_t n, float beta, size_t target, double *loss,
                                 float *gradient, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_cross_entropy_on(best(), z, n, beta, target, loss, gradient, err));
}

pluck_status pluck_cross_entropy_soft(const float *z, size_t n, float beta, const float *y,
                                      double *loss, float *gradient, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_cross_entropy_soft_on(best(), z, n, beta, y, loss, gradient, err));
}

pluck_status pluck_gumbel_softmax(const float *z, size_t n, float temperature, pluck_pcg64 *rng,
                                  float *soft, size_t *index, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_gumbel_softmax_on(best(), z, n, temperature, rng, soft, index, err));
}

pluck_status pluck_guidance_combine(pluck_logits conditional, pluck_logits unconditional,
                                    double scale, float *out, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_guidance_combine_on(best(), conditional, unconditional, scale, out, err));
}

pluck_status pluck_guidance_contrast(pluck_logits expert, pluck_logits amateur, double alpha,
                                     float *out, pluck_error *err)
{
    PLK_RETURN_IN_FP(plk_guidance_contrast_on(best(), expert, amateur, alpha, out, err));
}
