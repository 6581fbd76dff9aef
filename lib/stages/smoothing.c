/*
 * smoothing: bends the logits by a polynomial of their distance from the best one. No shortcut for
 * thresholds survives that, so that all tokens become candidates.
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

typedef struct polynomial {
    double max, square, cube;
} polynomial;

static double bend(const void *context, size_t index, double logit)
{
    (void)index;
    const polynomial *p = context;
    double far = -1e60; /* its powers are finite */
    double d = logit - p->max > far ? logit - p->max : far;
    return p->square * (d * d) + p->cube * (d * d * d) + p->max;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    const smoothing_params *smoothing = params;
    polynomial p = {.max = view->scale * (double)view->max,
                    .square = -smoothing->factor * (3.0 - smoothing->curve) / 2.0,
                    .cube = smoothing->factor * (smoothing->curve - 1.0) / 2.0};
    return plk_view_edit_all(view, bend, &p, err);
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
             .cost = "rewrites all logits"},
    .is_neutral = is_neutral,
    .apply = apply,
};
