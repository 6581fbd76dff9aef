/*
 * penalties: tokens seen c > 0 times among the last last_n accepted ones are made less likely: l'
 * = (l <= 0 ? l * repeat : l / repeat) - c * frequency - presence. The counts are kept up to date
 * as tokens are accepted, so that a step costs one edit for every distinct token in the window.
 */
#include "base/error.h"
#include "history/history.h"
#include "stages/stage_impl.h"

typedef struct penalties_params {
    int64_t last_n;
    double repeat;
    double frequency;
    double presence;
    bool ignore_prompt;
} penalties_params;

static size_t window(const void *params)
{
    int64_t last_n = ((const penalties_params *)params)->last_n;
    return last_n < 0 ? SIZE_MAX : (size_t)last_n;
}

static bool is_neutral(const void *params)
{
    const penalties_params *p = params;
    return p->last_n == 0 || (p->repeat == 1.0 && p->frequency == 0.0 && p->presence == 0.0);
}

static size_t max_edits(const void *params, const void *state, uint64_t n_tokens, uint32_t n_vocab)
{
    (void)params;
    (void)n_tokens;
    (void)n_vocab;
    return ((const plk_token_counts *)state)->capacity;
}

typedef struct penalty_context {
    const penalties_params *params;
    const plk_token_count *counts;
} penalty_context;

static double penalise(const void *context, size_t index, double logit)
{
    const penalty_context *c = context;
    const penalties_params *p = c->params;
    double repeated = logit <= 0.0 ? logit * p->repeat : logit / p->repeat;
    return repeated - (double)c->counts[index].count * p->frequency - p->presence;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)context;
    const plk_token_counts *counts = state;
    penalty_context penalty = {params, counts->items};
    plk_token_list list = {&counts->items->token, sizeof *counts->items, counts->n};
    return plk_view_edit(view, list, penalise, &penalty, err);
}

static pluck_status create(void **state, const void *params, const plk_stage_setup *setup,
                           pluck_error *err)
{
    const pluck_allocator *allocator = setup->allocator;
    plk_token_counts *counts = plk_alloc(allocator, 1, sizeof *counts);
    if (!counts)
        return plk_fail_nomem(err, sizeof *counts);
    pluck_status status =
        plk_token_counts_create(counts, window(params), setup->n_vocab, allocator, err);
    counts->ignores_prompt = ((const penalties_params *)params)->ignore_prompt;
    if (status != PLUCK_OK)
        plk_free(allocator, counts);
    else
        *state = counts;
    return status;
}

static void destroy(void *state)
{
    plk_token_counts *counts = state;
    pluck_allocator allocator = counts->allocator;
    plk_token_counts_destroy(counts);
    plk_free(&allocator, counts);
}

static pluck_status clone(void **out, const void *state, pluck_error *err)
{
    const plk_token_counts *from = state;
    plk_token_counts *counts = plk_alloc(&from->allocator, 1, sizeof *counts);
    if (!counts)
        return plk_fail_nomem(err, sizeof *counts);
    pluck_status status = plk_token_counts_clone(counts, from, err);
    if (status != PLUCK_OK)
        plk_free(&from->allocator, counts);
    else
        *out = counts;
    return status;
}

static void reset(void *state)
{
    plk_token_counts_clear(state);
}

static pluck_status reserve(void *state, const pluck_token *tokens, size_t n, pluck_error *err)
{
    return plk_token_counts_reserve(state, tokens, n, err);
}

static void accept(const void *params, void *state, const plk_history *history,
                   const plk_accepted *accepted)
{
    (void)params;
    (void)accepted;
    plk_token_counts_accept(state, history);
}

static void rewind_one(const void *params, void *state, const plk_history *history)
{
    (void)params;
    plk_token_counts_rewind(state, history);
}

static pluck_status load(const void *params, void *state, const plk_history *history,
                         plk_byte_reader *in, pluck_error *err)
{
    (void)params;
    (void)in;
    return plk_token_counts_restore(state, history, err);
}

static const pluck_param params[] = {
    {
        .name = "last_n",
        .flat_key = "repeat_last_n",
        .type = PLUCK_PARAM_INTEGER,
        .min = -1,
        .max = 1 << 24,
        .default_value = 64,
        .neutral = 0,
        .summary = "number of last tokens that count; -1: all, 0: none",
        .offset_bytes = offsetof(penalties_params, last_n),
    },
    {
        .name = "repeat",
        .flat_key = "repeat_penalty",
        .type = PLUCK_PARAM_NUMBER,
        .flags = PLUCK_PARAM_MIN_OPEN,
        .min = 0,
        .max = 1e6,
        .default_value = 1,
        .neutral = 1,
        .summary = "divides positive logits of seen tokens and multiplies negative ones",
        .offset_bytes = offsetof(penalties_params, repeat),
    },
    {
        .name = "frequency",
        .flat_key = "frequency_penalty",
        .type = PLUCK_PARAM_NUMBER,
        .min = -1e6,
        .max = 1e6,
        .default_value = 0,
        .neutral = 0,
        .summary = "subtracted once per occurrence of the token",
        .offset_bytes = offsetof(penalties_params, frequency),
    },
    {
        .name = "presence",
        .flat_key = "presence_penalty",
        .type = PLUCK_PARAM_NUMBER,
        .min = -1e6,
        .max = 1e6,
        .default_value = 0,
        .neutral = 0,
        .summary = "subtracted once if the token occurs at all",
        .offset_bytes = offsetof(penalties_params, presence),
    },
    {
        .name = "ignore_prompt",
        .flat_key = "repeat_ignore_prompt",
        .type = PLUCK_PARAM_BOOLEAN,
        .default_value = 0,
        .neutral = 0,
        .summary = "whether only the tokens after the prompt count",
        .offset_bytes = offsetof(penalties_params, ignore_prompt),
    },
};

const plk_stage plk_stage_penalties = {
    .info = {.name = "penalties",
             .kind = PLUCK_STAGE_REWEIGHT,
             .summary = "makes tokens of the recent history less likely",
             .formula = "seen c > 0 times: l' = (l <= 0 ? l * repeat : l / repeat)"
                        " - c * frequency - presence",
             .source =
                 "Keskar et al.: CTRL (2019), repeat; OpenAI API reference, frequency and presence",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(penalties_params),
             .cost = "O(distinct tokens of the window) edits"},
    .is_neutral = is_neutral,
    .window = window,
    .max_edits = max_edits,
    .on_slice = PLK_SLICE_OWN,
    .apply = apply,
    .create = create,
    .destroy = destroy,
    .clone = clone,
    .reset = reset,
    .reserve = reserve,
    .accept = accept,
    .rewind = rewind_one,
    .load = load,
};
