/*
 * top_k: keeps the k best tokens, exactly k of them, the lower token first among equals.
 * The selection is plk_view_keep_top().
 */
#include "select/keep.h"
#include "stages/stage_impl.h"

typedef struct top_k_params {
    int64_t k;
} top_k_params;

static bool is_neutral(const void *params)
{
    return ((const top_k_params *)params)->k == 0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    int64_t k = ((const top_k_params *)params)->k;
    plk_view_keep_top(view, k < PLUCK_MAX_VOCAB ? (uint32_t)k : PLUCK_MAX_VOCAB);
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "k",
        .flat_key = "top_k",
        .type = PLUCK_PARAM_INTEGER,
        .min = 0,
        .max = INT32_MAX,
        .default_value = 40,
        .neutral = 0,
        .summary = "number of tokens to keep; 0 keeps all",
        .offset_bytes = offsetof(top_k_params, k),
    },
};

const plk_stage plk_stage_top_k = {
    .info = {.name = "top_k",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the k most probable tokens",
             .formula = "the k largest l, exactly k; ties to the lower token",
             .source = "Fan, Lewis, Dauphin: Hierarchical Neural Story Generation (2018)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(top_k_params),
             .cost = "a gather by block maxima, O(k)"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_BEST,
    .apply = apply,
};
