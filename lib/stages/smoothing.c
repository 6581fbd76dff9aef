/*
 * smoothing: bends the logits by a polynomial of their distance from the best one. Up to a curve of
 * 3 its factor of d^2 is <= 0 and that of d^3 >= 0, so that the order stays: then a draw costs
 * little (plk_view_bend()). Beyond 3 the logits near the best one come to lie above it, and all
 * tokens become candidates.
 */
#include "stages/stage_impl.h"

#include <math.h>

typedef struct smoothing_params {
    double factor;
    double curve;
} smoothing_params;

static bool is_neutral(const void *params)
{
    return ((const smoothing_params *)params)->factor == 0.0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    const smoothing_params *smoothing = params;
    const plk_bend bend = {.scale = view->scale,
                           .max = view->scale * (double)view->max,
                           .square = -smoothing->factor * (3.0 - smoothing->curve) / 2.0,
                           .cube = smoothing->factor * (smoothing->curve - 1.0) / 2.0};
    plk_view_bend(view, &bend);
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "factor",
        .flat_key = "smoothing_factor",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1e6,
        .default_value = 0,
        .neutral = 0,
        .summary = "strength of the curve; 0: none",
        .offset_bytes = offsetof(smoothing_params, factor),
    },
    {
        .name = "curve",
        .flat_key = "smoothing_curve",
        .type = PLUCK_PARAM_NUMBER,
        .min = 1,
        .max = 100,
        .default_value = 1,
        .neutral = (double)NAN,
        .summary = "weight of the cubic term; 1: quadratic only, 3: cubic only",
        .offset_bytes = offsetof(smoothing_params, curve),
    },
};

const plk_stage plk_stage_smoothing = {
    .info = {.name = "smoothing",
             .kind = PLUCK_STAGE_REWEIGHT,
             .summary = "brings logits near the best together and pushes far ones down",
             .formula = "d = l - max: l' = -(3 - curve) / 2 * factor * d^2 + (curve - 1) / 2 * "
                        "factor * d^3 + max",
             .source = "kalomaze: quadratic sampling; text-generation-webui, smoothing_factor and "
                       "smoothing_curve",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(smoothing_params),
             .cost = "for a token: a few blocks; else, and beyond curve 3, a pass over all logits"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_MAX,
    .apply = apply,
};
