/*
 * alpha-entmax: the threshold tau, and what follows from it.
 */
#ifndef PLK_ENTMAX_SOLVE_H
#define PLK_ENTMAX_SOLVE_H

#include "simd/kernels.h"

/* p of a logit l is [(alpha - 1) (l - max) - tau]+ ^ (1 / (alpha - 1)), over sum. */
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

#endif
