/*
 * min_tokens: bans some tokens, such as the end of the text, until n tokens were generated.
 */
#include "stages/stage_impl.h"

#include <math.h>

typedef struct min_tokens_params {
    int64_t n;
    pluck_token_set tokens;
} min_tokens_params;

static bool is_neutral(const void *params)
{
    const min_tokens_params *min_tokens = params;
    return min_tokens->n == 0 || min_tokens->tokens.n == 0;
}

static size_t max_edits(const void *params, const void *state, uint64_t n_tokens, uint32_t n_vocab)
{
    (void)state;
    (void)n_tokens;
    (void)n_vocab;
    return ((const min_tokens_params *)params)->tokens.n;
}

static pluck_status check(const void *params, uint32_t n_vocab, pluck_error *err)
{
    return plk_check_token_set("min_tokens", &((const min_tokens_params *)params)->tokens, n_vocab,
                               err);
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    const min_tokens_params *min_tokens = params;
    const pluck_token_set *set = &min_tokens->tokens;
    if (context->history->n_generated >= min_tokens->n)
        return PLUCK_OK;
    return plk_view_ban(view, (plk_token_list){set->items, sizeof *set->items, set->n}, err);
}

static const pluck_param params[] = {
    {
        .name = "n",
        .flat_key = "min_tokens",
        .type = PLUCK_PARAM_INTEGER,
        .min = 0,
        .max = 1 << 30,
        .default_value = 0,
        .neutral = 0,
        .summary = "number of tokens to generate before the banned tokens (min_tokens_ids) are "
                   "allowed; 0: no ban",
        .offset_bytes = offsetof(min_tokens_params, n),
    },
    {
        .name = "tokens",
        .flat_key = "min_tokens_ids",
        .type = PLUCK_PARAM_TOKENS,
        .neutral = (double)NAN,
        .summary = "tokens that are banned until min_tokens tokens are generated, for example the "
                   "end of the text",
        .offset_bytes = offsetof(min_tokens_params, tokens),
    },
};

const plk_stage plk_stage_min_tokens = {
    .info = {.name = "min_tokens",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "bans chosen tokens until enough tokens were generated",
             .formula = "the tokens are banned while fewer than n tokens were accepted after the "
                        "prompt",
             .source = "vLLM, SamplingParams.min_tokens; Hugging Face Transformers, "
                       "MinNewTokensLengthLogitsProcessor",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(min_tokens_params),
             .cost = "O(tokens) edits"},
    .is_neutral = is_neutral,
    .max_edits = max_edits,
    .check = check,
    .on_slice = PLK_SLICE_OWN,
    .apply = apply,
};
