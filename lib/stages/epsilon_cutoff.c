/*
 * epsilon_cutoff: keeps the tokens whose probability is at least epsilon. With Z the sum of exp(l -
 * max), p >= epsilon is l >= max + ln epsilon + ln Z; where that is above the maximum no token
 * qualifies and the best stay.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

typedef struct epsilon_cutoff_params {
    double epsilon;
    int64_t min_keep;
} epsilon_cutoff_params;

static bool is_neutral(const void *params)
{
    return ((const epsilon_cutoff_params *)params)->epsilon == 0.0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    const epsilon_cutoff_params *cutoff = params;
    double offset = plk_log(cutoff->epsilon) + plk_log(plk_view_normaliser(view));
    plk_view_keep_probable(view, offset, (uint32_t)cutoff->min_keep);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)state;
    (void)context;
    double epsilon = ((const epsilon_cutoff_params *)params)->epsilon;
    plk_explain_threshold(out, plk_log(epsilon) + plk_log(plk_view_normaliser(view)));
}

static const pluck_param params[] = {
    {
        .name = "epsilon",
        .flat_key = "epsilon_cutoff",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 0,
        .neutral = 0,
        .summary = "smallest probability to keep; 0 keeps all",
        .offset_bytes = offsetof(epsilon_cutoff_params, epsilon),
    },
    PLK_MIN_KEEP_PARAM(epsilon_cutoff_params),
};

const plk_stage plk_stage_epsilon_cutoff = {
    .info = {.name = "epsilon_cutoff",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the tokens whose probability reaches a threshold",
             .formula = "p >= epsilon",
             .source =
                 "Hewitt, Manning, Liang: Truncation Sampling as Language Model Desmoothing (2022)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(epsilon_cutoff_params),
             .cost = "one exponential pass"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_MASS,
    .apply = apply,
    .explain = explain,
};
