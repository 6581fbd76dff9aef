/*
 * p_less: keeps the tokens that are at least as probable as the chance that two draws agree, sum
 * p^2. With Z the sum of exp(l - max) and Z2 that of its squares, which is the normaliser at twice
 * the scale: p >= Z2 / Z^2 is l >= max + ln Z2 - ln Z, where Z2 <= Z.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

typedef struct p_less_params {
    bool enabled;
} p_less_params;

static bool is_neutral(const void *params)
{
    return !((const p_less_params *)params)->enabled;
}

/* The threshold, from the best logit. */
static double offset_of(const plk_view *view)
{
    plk_view squared = *view;
    squared.scale = 2.0 * view->scale;
    double normaliser = plk_view_normaliser(view);
    return plk_log(plk_view_normaliser(&squared)) - plk_log(normaliser);
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)params;
    (void)state;
    (void)context;
    (void)err;
    plk_view_keep_probable(view, offset_of(view), 1);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)params;
    (void)state;
    (void)context;
    plk_explain_threshold(out, offset_of(view));
}

static const pluck_param params[] = {
    {
        .name = "enabled",
        .flat_key = "p_less",
        .type = PLUCK_PARAM_BOOLEAN,
        .default_value = 1,
        .neutral = 0,
        .summary = "whether the stage runs",
        .offset_bytes = offsetof(p_less_params, enabled),
    },
};

const plk_stage plk_stage_p_less = {
    .info = {.name = "p_less",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps tokens at least as probable as the chance that two draws are equal",
             .formula = "p >= sum of p^2",
             .source = "Tan, Wu, Howard: p-less Sampling (2025)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(p_less_params),
             .cost = "two exponential passes"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_MASS,
    .apply = apply,
    .explain = explain,
};
