/*
 * top_p (nucleus sampling): keeps the shortest prefix of the tokens, best first, that holds at
 * least the mass p. The selection and its margin are those of plk_view_keep_nucleus().
 */
#include "select/keep.h"
#include "stages/stage_impl.h"

typedef struct top_p_params {
    double p;
    int64_t min_keep;
} top_p_params;

static bool is_neutral(const void *params)
{
    return ((const top_p_params *)params)->p == 1.0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    const top_p_params *top_p = params;
    plk_view_keep_nucleus(view, top_p->p, (uint32_t)top_p->min_keep);
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "p",
        .flat_key = "top_p",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 0.95,
        .neutral = 1,
        .summary = "total probability to keep; 1 keeps all, 0 keeps min_keep tokens",
        .offset_bytes = offsetof(top_p_params, p),
    },
    PLK_MIN_KEEP_PARAM(top_p_params),
};

const plk_stage plk_stage_top_p = {
    .info = {.name = "top_p",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the most probable tokens up to a total probability",
             .formula = "the shortest prefix of the tokens, best first, with mass >= p",
             .source = "Holtzman et al.: The Curious Case of Neural Text Degeneration (2020)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(top_p_params),
             .cost = "for a token: sums of a few blocks; for survivors: one exponential pass"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_NUCLEUS,
    .apply = apply,
};
