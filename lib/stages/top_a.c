/*
 * top_a: keeps the tokens whose probability is at least a times the square of the largest one. With
 * Z the sum of exp(l - max), the largest probability is 1/Z and the condition a threshold on the
 * logit: l >= max + ln a - ln Z.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

typedef struct top_a_params {
    double a;
} top_a_params;

static bool is_neutral(const void *params)
{
    return ((const top_a_params *)params)->a == 0.0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    double a = ((const top_a_params *)params)->a;
    plk_view_keep_near_max(view, plk_log(a) - plk_log(plk_view_normaliser(view)), 1);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)state;
    (void)context;
    double a = ((const top_a_params *)params)->a;
    plk_explain_threshold(out, plk_log(a) - plk_log(plk_view_normaliser(view)));
}

static const pluck_param params[] = {
    {
        .name = "a",
        .flat_key = "top_a",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 0,
        .neutral = 0,
        .summary =
            "smallest probability to keep, relative to the square of the largest; 0 keeps all",
        .offset_bytes = offsetof(top_a_params, a),
    },
};

const plk_stage plk_stage_top_a = {
    .info = {.name = "top_a",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps tokens whose probability reaches a multiple of the largest one's "
                        "square",
             .formula = "p >= a * p_max^2",
             .source = "text-generation-webui, TopALogitsWarper",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(top_a_params),
             .cost = "one exponential pass"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_MASS,
    .apply = apply,
    .explain = explain,
};
