/*
 * The functions of pluck/guidance.h on a given kernel table, in the default floating-point
 * environment.
 */
#ifndef PL_GUIDANCE_ON_H
#define PL_GUIDANCE_ON_H

#include "simd/kernels.h"

pluck_status pl_guidance_combine_on(const pl_kernels *kernels, pluck_logits conditional,
                                    pluck_logits unconditional, double scale, float *out,
                                    pluck_error *err);

pluck_status pl_guidance_contrast_on(const pl_kernels *kernels, pluck_logits expert,
                                     pluck_logits amateur, double alpha, float *out,
                                     pluck_error *err);

#endif
