/*
 * The public face of guidance: the fastest table, in the default floating-point environment. The
 * work is in guidance_on.c, another translation unit, as in softmax.c.
 */
#include <pluck/softmax.h>

#include "softmax/guidance_on.h"

pluck_status pluck_guidance_combine(pluck_logits conditional, pluck_logits unconditional,
                                    double scale, float *out, pluck_error *err)
{
    plk_fp_state state = plk_fp_enter();
    pluck_status status = plk_guidance_combine_on(plk_kernels_get(PLUCK_ISA_BEST), conditional,
                                                  unconditional, scale, out, err);
    plk_fp_leave(state);
    return status;
}

pluck_status pluck_guidance_contrast(pluck_logits expert, pluck_logits amateur, double alpha,
                                     float *out, pluck_error *err)
{
    plk_fp_state state = plk_fp_enter();
    pluck_status status =
        plk_guidance_contrast_on(plk_kernels_get(PLUCK_ISA_BEST), expert, amateur, alpha, out, err);
    plk_fp_leave(state);
    return status;
}
