/*
 * The softmax family on a given kernel table: <pluck/softmax.h> with the table as first argument,
 * so that tests can compare tables. The floating-point environment must be the default one
 * (pl_fp_enter).
 */
#ifndef PL_SOFTMAX_ON_H
#define PL_SOFTMAX_ON_H

#include "simd/kernels.h"

pluck_status pl_softmax_on(const pl_kernels *kernels, const float *z, size_t n, float beta,
                           float *p, pluck_error *err);
pluck_status pl_log_softmax_on(const pl_kernels *kernels, const float *z, size_t n, float beta,
                               float *logprob, pluck_error *err);
pluck_status pl_logsumexp_on(const pl_kernels *kernels, const float *z, size_t n, float beta,
                             double *lse, pluck_error *err);
pluck_status pl_entropy_on(const pl_kernels *kernels, const float *z, size_t n, float beta,
                           double *nats, pluck_error *err);
pluck_status pl_argmax_on(const pl_kernels *kernels, const float *z, size_t n, size_t *index,
                          pluck_error *err);

#endif
