/*
 * min_p: keeps the tokens whose probability is at least p times that of the most probable one. The
 * quotient of two probabilities is the exponential of the difference of their logits, so that this
 * is a threshold on logits and needs no normaliser.
 */
#include "select/keep.h"
#include "select/rules.h"
#include "stages/stage_impl.h"

typedef struct min_p_params {
    double p;
    int64_t min_keep;
} min_p_params;

static bool is_neutral(const void *params)
{
    return ((const min_p_params *)params)->p == 0.0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    const min_p_params *min_p = params;
    plk_view_keep_near_max(view, plk_min_p_offset(min_p->p), (uint32_t)min_p->min_keep);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)state;
    (void)view;
    (void)context;
    plk_explain_threshold(out, plk_min_p_offset(((const min_p_params *)params)->p));
}

static const pluck_param params[] = {
    {
        .name = "p",
        .flat_key = "min_p",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 0.05,
        .neutral = 0,
        .summary = "smallest probability to keep, relative to the largest; 0 keeps all",
        .offset_bytes = offsetof(min_p_params, p),
    },
    PLK_MIN_KEEP_PARAM(min_p_params),
};

const plk_stage plk_stage_min_p = {
    .info = {.name = "min_p",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the tokens whose probability reaches a fraction of the largest",
             .formula = "l >= max + ln p",
             .source = "Nguyen et al.: Turning Up the Heat: Min-p Sampling (2024)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(min_p_params),
             .cost = "a gather by block maxima"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_BEST,
    .apply = apply,
    .explain = explain,
};
