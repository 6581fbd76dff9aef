/*
 * alpha-entmax: the threshold tau, and what follows from it.
 */
#ifndef PL_ENTMAX_SOLVE_H
#define PL_ENTMAX_SOLVE_H

#include "simd/kernels.h"

/* p of a logit l is [(alpha - 1) (l - max) - tau]+ ^ (1 / (alpha - 1)), over sum. */
typedef struct pl_entmax {
    double slope; /* alpha - 1, > 0 */
    double max;   /* the largest logit */
    double tau;   /* in [-1, 0) */
    double sum;   /* of all p at this tau: 1 but for rounding */
} pl_entmax;

/* Solves for the logits scale values[i], of which at least one is above -inf; scale is finite.
 * alpha > 1. The floating-point environment must be the default one. */
pl_entmax pl_entmax_solve(const float *values, size_t n, double scale, double alpha);

/* ln p of a logit; -inf where p = 0. */
double pl_entmax_log_probability(const pl_entmax *entmax, double logit);

/* <pluck/softmax.h> pluck_entmax() in the name of function, and pluck_entmax_jvp(). */
pluck_status pl_entmax_on(const pl_kernels *kernels, const char *function, const float *z, size_t n,
                          float beta, double alpha, float *p, pluck_error *err);
pluck_status pl_entmax_jvp(const float *p, const float *v, size_t n, float beta, double alpha,
                           float *out, pluck_error *err);

#endif
