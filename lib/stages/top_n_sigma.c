/*
 * top_n_sigma: keeps the tokens within n standard deviations of the best logit. Temperature
 * stretches deviation and distance alike, so that the stored logits decide.
 */
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

typedef struct top_n_sigma_params {
    double n;
} top_n_sigma_params;

static bool is_neutral(const void *params)
{
    return ((const top_n_sigma_params *)params)->n <= 0.0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    double n = ((const top_n_sigma_params *)params)->n;
    plk_view_keep_near_max(view, -n * view->scale * plk_view_deviation(view), 1);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)state;
    (void)context;
    double n = ((const top_n_sigma_params *)params)->n;
    double sigma = view->scale * plk_view_deviation(view);
    plk_explain_threshold(out, -n * sigma);
    plk_explain_value(out, "sigma", sigma);
}

static const pluck_param params[] = {
    {
        .name = "n",
        .flat_key = "top_n_sigma",
        .type = PLUCK_PARAM_NUMBER,
        .min = -1,
        .max = 1e6,
        .default_value = 1,
        .neutral = 0,
        .summary = "distance below the best logit to keep, in standard deviations; 0 or less keeps "
                   "all",
        .offset_bytes = offsetof(top_n_sigma_params, n),
    },
};

const plk_stage plk_stage_top_n_sigma = {
    .info = {.name = "top_n_sigma",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the tokens within some standard deviations of the best logit",
             .formula = "l >= max - n * sigma, sigma the population standard deviation of the "
                        "logits above -inf",
             .source = "Tang et al.: Top-n-sigma: Not All Logits Are You Need (2024)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(top_n_sigma_params),
             .cost = "two read passes"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_SPREAD,
    .apply = apply,
    .explain = explain,
};
