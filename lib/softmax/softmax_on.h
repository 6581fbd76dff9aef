/*
 * The softmax family on a given kernel table: <pluck/softmax.h> with the table as first argument,
 * so that tests can compare tables. The floating-point environment must be the default one
 * (plk_fp_enter).
 */
#ifndef PLK_SOFTMAX_ON_H
#define PLK_SOFTMAX_ON_H

#include "simd/kernels.h"

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
pluck_status plk_argmin_on(const plk_kernels *kernels, const float *z, size_t n, size_t *index,
                           pluck_error *err);
pluck_status plk_softmax_base_on(const plk_kernels *kernels, const float *z, size_t n, double base,
                                 float *p, pluck_error *err);
pluck_status plk_softmax_limit_on(const plk_kernels *kernels, const float *z, size_t n,
                                  bool largest, float *p, pluck_error *err);

/* The checks that all of them make, in the name of another function. output is what must not be
 * NULL. */
pluck_status plk_softmax_check_on(const plk_kernels *kernels, const char *function, const float *z,
                                  size_t n, float beta, const void *output, pluck_error *err);

/* *max = the largest beta z, *sum = the sum of exp(beta z - *max) over all entries, at least 1. */
pluck_status plk_softmax_parts_on(const plk_kernels *kernels, const char *function, const float *z,
                                  size_t n, float beta, double *max, double *sum, pluck_error *err);

#endif
