/*
 * dynamic_temperature: the temperature follows the entropy, from t - range where one token is
 * certain to t + range where all are equally likely.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

#include <float.h>
#include <math.h>

typedef struct dynamic_temperature_params {
    double t;
    double range;
    double exponent;
} dynamic_temperature_params;

static bool is_neutral(const void *params)
{
    const dynamic_temperature_params *dynamic = params;
    return dynamic->t == 1.0 && dynamic->range == 0.0;
}

/* x^y for x in [0, 1]; 0^0 = 1. */
static double power(double x, double y)
{
    if (y == 0.0)
        return 1.0;
    return x > 0.0 ? plk_exp(y * plk_log(x)) : 0.0;
}

static double at_most_largest(double x)
{
    return x < DBL_MAX ? x : DBL_MAX;
}

/* The temperature for this view; finite, however large t and range are. */
static double temperature(const dynamic_temperature_params *dynamic, const plk_view *view)
{
    double normaliser;
    if (!(dynamic->range > 0.0))
        return dynamic->t;
    uint32_t n = plk_view_n_candidates(view);
    if (n < 2)
        return 1.0;
    double low = dynamic->t > dynamic->range ? dynamic->t - dynamic->range : 0.0;
    double high = at_most_largest(dynamic->t + dynamic->range);
    double share = plk_view_entropy(view, &normaliser) / plk_log(n);
    return at_most_largest(low +
                           (high - low) * power(share < 1.0 ? share : 1.0, dynamic->exponent));
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    double t = temperature(params, view);
    if (t == 0.0)
        plk_view_keep_top(view, 1);
    else
        plk_view_scale(view, 1.0 / t);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)state;
    (void)context;
    plk_explain_value(out, "T", temperature(params, view));
}

static const pluck_param params[] = {
    {
        .name = "t",
        .flat_key = "temperature",
        .type = PLUCK_PARAM_NUMBER,
        .flags = PLUCK_PARAM_BORROWED,
        .min = 0,
        .max = (double)INFINITY,
        .default_value = 1,
        .neutral = 1,
        .summary = "temperature in the middle of the range",
        .offset_bytes = offsetof(dynamic_temperature_params, t),
    },
    {
        .name = "range",
        .flat_key = "dynatemp_range",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = (double)INFINITY,
        .default_value = 0,
        .neutral = 0,
        .summary = "largest difference of the temperature from t; 0: the temperature is always t",
        .offset_bytes = offsetof(dynamic_temperature_params, range),
    },
    {
        .name = "exponent",
        .flat_key = "dynatemp_exponent",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 100,
        .default_value = 1,
        .neutral = (double)NAN,
        .summary = "power of the relative entropy that the temperature follows; 1: linear",
        .offset_bytes = offsetof(dynamic_temperature_params, exponent),
    },
};

const plk_stage plk_stage_dynamic_temperature = {
    .info = {.name = "dynamic_temperature",
             .kind = PLUCK_STAGE_REWEIGHT,
             .summary = "sharpens where the distribution is sure, flattens where it is not",
             .formula = "l' = l / T, T = lo + (hi - lo) * (H / ln n)^exponent, lo = max(0, t - "
                        "range), hi = t + range",
             .source =
                 "kalomaze: dynamic temperature (2023); llama.cpp, llama_sampler_init_temp_ext",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(dynamic_temperature_params),
             .cost = "one exponential pass"},
    .replaces = "temperature",
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_SUMS,
    .apply = apply,
    .explain = explain,
};
