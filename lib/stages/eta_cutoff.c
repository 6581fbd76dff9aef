/*
 * eta_cutoff: epsilon_cutoff with a threshold that falls where the distribution is flat: eta =
 * min(epsilon, sqrt(epsilon) e^-H).
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

typedef struct eta_cutoff_params {
    double epsilon;
    int64_t min_keep;
} eta_cutoff_params;

static bool is_neutral(const void *params)
{
    return ((const eta_cutoff_params *)params)->epsilon == 0.0;
}

/* The threshold, from the best logit. */
static double offset_of(const eta_cutoff_params *cutoff, const plk_view *view)
{
    double normaliser;
    double entropy = plk_view_entropy(view, &normaliser);
    double epsilon = plk_log(cutoff->epsilon);
    double lower = 0.5 * epsilon - entropy;
    double eta = lower < epsilon ? lower : epsilon;
    return eta + plk_log(normaliser);
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    const eta_cutoff_params *cutoff = params;
    plk_view_keep_probable(view, offset_of(cutoff, view), (uint32_t)cutoff->min_keep);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)state;
    (void)context;
    plk_explain_threshold(out, offset_of(params, view));
}

static const pluck_param params[] = {
    {
        .name = "epsilon",
        .flat_key = "eta_cutoff",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 0,
        .neutral = 0,
        .summary = "smallest probability to keep where the entropy is low; 0 keeps all",
        .offset_bytes = offsetof(eta_cutoff_params, epsilon),
    },
    PLK_MIN_KEEP_PARAM(eta_cutoff_params),
};

const plk_stage plk_stage_eta_cutoff = {
    .info = {.name = "eta_cutoff",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the tokens whose probability reaches a threshold that falls as "
                        "entropy grows",
             .formula = "p >= min(epsilon, sqrt(epsilon) * e^-H)",
             .source =
                 "Hewitt, Manning, Liang: Truncation Sampling as Language Model Desmoothing (2022)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(eta_cutoff_params),
             .cost = "one exponential pass"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_MASS,
    .apply = apply,
    .explain = explain,
};
