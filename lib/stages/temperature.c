/*
 * temperature: l' = l / t, which only changes the scale of the view. At t = 0, the limit, the best
 * token alone stays.
 */
#include "select/keep.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct temperature_params {
    double t;
} temperature_params;

static bool is_neutral(const void *params)
{
    return ((const temperature_params *)params)->t == 1.0;
}

static bool only_scales(const void *params)
{
    return ((const temperature_params *)params)->t != 0.0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    double t = ((const temperature_params *)params)->t;
    if (t == 0.0)
        plk_view_keep_top(view, 1);
    else
        plk_view_scale(view, 1.0 / t);
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "t",
        .flat_key = "temperature",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = (double)INFINITY,
        .default_value = 0.8,
        .neutral = 1,
        .summary = "divisor of the logits: below 1 sharpens, above 1 flattens, 0 keeps the best "
                   "token",
        .offset_bytes = offsetof(temperature_params, t),
    },
};

const plk_stage plk_stage_temperature = {
    .info = {.name = "temperature",
             .kind = PLUCK_STAGE_REWEIGHT,
             .summary = "sharpens or flattens the distribution",
             .formula = "l' = l / t; t = 0 keeps the largest l, ties to the lower token",
             .source =
                 "Ackley, Hinton, Sejnowski: A Learning Algorithm for Boltzmann Machines (1985)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(temperature_params),
             .cost = "nothing: a factor"},
    .is_neutral = is_neutral,
    .only_scales = only_scales,
    .on_slice = PLK_SLICE_BEST,
    .apply = apply,
};
