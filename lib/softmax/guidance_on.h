/*
 * The functions of pluck/softmax.h on a given kernel table, in the default floating-point
 * environment.
 */
#ifndef PLK_GUIDANCE_ON_H
#define PLK_GUIDANCE_ON_H

#include "simd/kernels.h"

pluck_status plk_guidance_combine_on(const plk_kernels *kernels, pluck_logits conditional,
                                     pluck_logits unconditional, double scale, float *out,
                                     pluck_error *err);

pluck_status plk_guidance_contrast_on(const plk_kernels *kernels, pluck_logits expert,
                                      pluck_logits amateur, double alpha, float *out,
                                      pluck_error *err);

#endif
