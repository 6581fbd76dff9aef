/*
 * Losses, gradients and what else is made from probabilities, on a given kernel table, as
 * softmax_on.h.
 */
#ifndef PLK_GRADIENTS_H
#define PLK_GRADIENTS_H

#include "simd/kernels.h"

#include <pluck/rng.h>

pluck_status plk_entropy_of(const float *p, size_t n, double *nats, pluck_error *err);
pluck_status plk_softmax_jvp(const float *p, const float *v, size_t n, float beta, float *out,
                             pluck_error *err);
pluck_status plk_cross_entropy_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                                  size_t target, double *loss, float *gradient, pluck_error *err);
pluck_status plk_cross_entropy_soft_on(const plk_kernels *kernels, const float *z, size_t n,
                                       float beta, const float *y, double *loss, float *gradient,
                                       pluck_error *err);
pluck_status plk_gumbel_softmax_on(const plk_kernels *kernels, const float *z, size_t n,
                                   float temperature, pluck_pcg64 *rng, float *soft, size_t *index,
                                   pluck_error *err);

#endif
