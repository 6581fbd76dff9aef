/*
 * The softmax family on a given kernel table: <pluck/softmax.h> with the table as first argument,
 * so that tests can compare tables. The floating-point environment must be the default one
 * (plk_fp_enter).
 */
#ifndef PLK_SOFTMAX_ON_H
#define PLK_SOFTMAX_ON_H

#include "simd/kernels.h"

#include <pluck/rng.h>
#include <pluck/softmax.h>

pluck_status plk_softmax_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                            float *p, pluck_error *err);
pluck_status plk_log_softmax_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                                float *logprob, pluck_error *err);
pluck_status plk_logsumexp_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                              double *lse, pluck_error *err);
pluck_status plk_entropy_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                            double *nats, pluck_error *err);
pluck_status plk_argmax_on(const plk_kernels *kernels, const float *z, size_t n, size_t *index,
                           pluck_error *err);
pluck_status plk_softmax_limit_on(const plk_kernels *kernels, const float *z, size_t n,
                                  bool largest, float *p, pluck_error *err);

/* Makes the checks that all of these functions share. Messages begin with function. output must not
 * be NULL. */
pluck_status plk_softmax_check_on(const plk_kernels *kernels, const char *function, const float *z,
                                  size_t n, float beta, const void *output, pluck_error *err);

/* *max = the largest beta z, *sum = the sum of exp(beta z - *max) over all entries, at least 1. */
pluck_status plk_softmax_parts_on(const plk_kernels *kernels, const char *function, const float *z,
                                  size_t n, float beta, double *max, double *sum, pluck_error *err);

/* In parts. */
pluck_status plk_softmax_state_add_on(const plk_kernels *kernels, pluck_softmax_state *state,
                                      const float *z, size_t n, float beta, pluck_error *err);
pluck_status plk_softmax_state_merge(pluck_softmax_state *state, const pluck_softmax_state *other,
                                     pluck_error *err);
pluck_status plk_softmax_state_logsumexp(const pluck_softmax_state *state, double *lse,
                                         pluck_error *err);
pluck_status plk_softmax_state_probs_on(const plk_kernels *kernels,
                                        const pluck_softmax_state *state, const float *z, size_t n,
                                        float beta, float *p, pluck_error *err);
pluck_status plk_softmax_state_add_mean_on(const plk_kernels *kernels, pluck_softmax_state *state,
                                           double *mean, const float *z, size_t n, float beta,
                                           const float *v, size_t dim, pluck_error *err);
pluck_status plk_softmax_state_merge_mean(pluck_softmax_state *state, double *mean,
                                          const pluck_softmax_state *other,
                                          const double *other_mean, size_t dim, pluck_error *err);

/* alpha-entmax: the threshold tau, and what follows from it. p of a logit l is
 * [(alpha - 1) (l - max) - tau]+ ^ (1 / (alpha - 1)), over sum. */
typedef struct plk_entmax {
    double slope; /* alpha - 1, > 0 */
    double max;   /* the largest logit */
    double tau;   /* in [-1, 0) */
    double sum;   /* of all p at this tau: 1 but for rounding */
} plk_entmax;

/* Solves for the logits scale values[i], of which at least one is above -inf; scale is finite.
 * alpha > 1. The floating-point environment must be the default one. */
plk_entmax plk_entmax_solve(const float *values, size_t n, double scale, double alpha);

/* ln p of a logit; -inf where p = 0. */
double plk_entmax_log_probability(const plk_entmax *entmax, double logit);

/* <pluck/softmax.h> pluck_entmax() in the name of function, and pluck_entmax_jvp(). */
pluck_status plk_entmax_on(const plk_kernels *kernels, const char *function, const float *z,
                           size_t n, float beta, double alpha, float *p, pluck_error *err);
pluck_status plk_entmax_jvp(const float *p, const float *v, size_t n, float beta, double alpha,
                            float *out, pluck_error *err);

/* Losses, gradients and what else is made from probabilities. */
pluck_status plk_entropy_of_probs(const float *p, size_t n, double *nats, pluck_error *err);
pluck_status plk_cross_entropy_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                                  size_t target, double *loss, float *gradient, pluck_error *err);
pluck_status plk_cross_entropy_soft_on(const plk_kernels *kernels, const float *z, size_t n,
                                       float beta, const float *y, double *loss, float *gradient,
                                       pluck_error *err);
pluck_status plk_gumbel_softmax_on(const plk_kernels *kernels, const float *z, size_t n,
                                   float temperature, pluck_pcg64 *rng, float *soft, size_t *index,
                                   pluck_error *err);

/* Guidance. */
pluck_status plk_guidance_combine_on(const plk_kernels *kernels, pluck_logits conditional,
                                     pluck_logits unconditional, double scale, float *out,
                                     pluck_error *err);
pluck_status plk_guidance_contrast_on(const plk_kernels *kernels, pluck_logits expert,
                                      pluck_logits amateur, double alpha, float *out,
                                      pluck_error *err);

#endif
