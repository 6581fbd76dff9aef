/*
 * no_repeat_ngram: bans the tokens that would complete a sequence of n tokens that the history has
 * already: those that followed the last n - 1 tokens anywhere before.
 */
#include "stages/stage_impl.h"

typedef struct no_repeat_ngram_params {
    int64_t n;
} no_repeat_ngram_params;

static size_t window(const void *params)
{
    (void)params;
    return SIZE_MAX;
}

static bool is_neutral(const void *params)
{
    return ((const no_repeat_ngram_params *)params)->n == 0;
}

static pluck_status create(void **state, const void *params, const plk_stage_setup *setup,
                           pluck_error *err)
{
    return plk_suffix_matches_create(state, window(params), setup->allocator, err);
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    const plk_history *history = context->history;
    size_t prefix = (size_t)((const no_repeat_ngram_params *)params)->n - 1;
    plk_token_marks marks = plk_token_marks_init(view);
    for (size_t age = plk_history_length(history); prefix == 0 && age-- > 0;)
        plk_token_mark(&marks, (uint32_t)plk_history_at(history, age), 0);
    if (prefix > 0) {
        plk_suffix_match match = plk_suffix_matches_update(state, history, view->kernels);
        while (plk_suffix_matches_next(state, history, &match)) {
            size_t age = (size_t)(history->position - 2 - match.position);
            if (match.length >= prefix)
                plk_token_mark(&marks, (uint32_t)plk_history_at(history, age), 0);
        }
    }
    return plk_view_ban(view, plk_token_marks_list(&marks), err);
}

static const pluck_param params[] = {
    {
        .name = "n",
        .flat_key = "no_repeat_ngram_size",
        .type = PLUCK_PARAM_INTEGER,
        .min = 0,
        .max = 1 << 24,
        .default_value = 0,
        .neutral = 0,
        .summary = "length of the token sequences that may occur only once; 0: no limit",
        .offset_bytes = offsetof(no_repeat_ngram_params, n),
    },
};

const plk_stage plk_stage_no_repeat_ngram = {
    .info =
        {.name = "no_repeat_ngram",
         .kind = PLUCK_STAGE_TRUNCATE,
         .summary = "bans tokens that would repeat a sequence of n tokens",
         .formula = "bans the tokens that followed an earlier occurrence of the last n - 1 tokens",
         .source =
             "Paulus, Xiong, Socher: A Deep Reinforced Model for Abstractive Summarization (2017)",
         .params = params,
         .n_params = sizeof params / sizeof *params,
         .params_size_bytes = sizeof(no_repeat_ngram_params),
         .cost = "O(history) edits"},
    .is_neutral = is_neutral,
    .window = window,
    .max_edits = plk_suffix_matches_max_edits,
    .create = create,
    .destroy = plk_suffix_matches_destroy,
    .clone = plk_suffix_matches_clone,
    .reset = plk_suffix_matches_reset,
    .reserve = plk_suffix_matches_reserve,
    .accept = plk_suffix_matches_accept,
    .rewind = plk_suffix_matches_rewind,
    .load = plk_suffix_matches_load,
    .on_slice = PLK_SLICE_OWN,
    .apply = apply,
};
