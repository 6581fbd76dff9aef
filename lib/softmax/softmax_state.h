/*
 * Softmax in parts, on a given kernel table, as softmax_on.h.
 */
#ifndef PLK_SOFTMAX_STATE_H
#define PLK_SOFTMAX_STATE_H

#include "simd/kernels.h"

#include <pluck/softmax.h>

pluck_status plk_softmax_state_add_on(const plk_kernels *kernels, pluck_softmax_state *state,
                                      const float *z, size_t n, float beta, pluck_error *err);
pluck_status plk_softmax_state_merge(pluck_softmax_state *state, const pluck_softmax_state *other,
                                     pluck_error *err);
pluck_status plk_softmax_state_logsumexp(const pluck_softmax_state *state, double *lse,
                                         pluck_error *err);
pluck_status plk_softmax_with_on(const plk_kernels *kernels, const pluck_softmax_state *state,
                                 const float *z, size_t n, float beta, float *p, pluck_error *err);
pluck_status plk_softmax_mean_add_on(const plk_kernels *kernels, pluck_softmax_state *state,
                                     double *mean, const float *z, size_t n, float beta,
                                     const float *v, size_t dim, pluck_error *err);
pluck_status plk_softmax_mean_merge(pluck_softmax_state *state, double *mean,
                                    const pluck_softmax_state *other, const double *other_mean,
                                    size_t dim, pluck_error *err);

#endif
