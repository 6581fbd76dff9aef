/*
 * logit_bias: adds a number to the logits of chosen tokens, or bans them. The map is sorted when
 * the configuration is read, so that it is a list of edits as it stands.
 */
#include "base/error.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct logit_bias_params {
    pluck_bias_map bias;
} logit_bias_params;

static bool is_neutral(const void *params)
{
    return ((const logit_bias_params *)params)->bias.n == 0;
}

static size_t max_edits(const void *params, const void *state, uint64_t n_tokens, uint32_t n_vocab)
{
    (void)state;
    (void)n_tokens;
    (void)n_vocab;
    return ((const logit_bias_params *)params)->bias.n;
}

static pluck_status check(const void *params, uint32_t n_vocab, pluck_error *err)
{
    const pluck_bias_map *map = &((const logit_bias_params *)params)->bias;
    if (map->n > 0 && (uint32_t)map->items[map->n - 1].token >= n_vocab)
        return plk_fail(err, PLUCK_ERR_CONFIG,
                        "logit_bias: token %d is outside the vocabulary of %u tokens",
                        map->items[map->n - 1].token, n_vocab);
    return PLUCK_OK;
}

static double add_bias(const void *context, size_t index, double logit)
{
    const pluck_bias *items = context;
    return logit + items[index].bias;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    const pluck_bias_map *map = &((const logit_bias_params *)params)->bias;
    plk_token_list list = {&map->items->token, sizeof *map->items, map->n};
    return plk_view_edit(view, list, add_bias, map->items, err);
}

static const pluck_param params[] = {
    {
        .name = "bias",
        .flat_key = "logit_bias",
        .type = PLUCK_PARAM_BIAS_MAP,
        .min = -1e6,
        .max = 1e6,
        .neutral = (double)NAN,
        .summary = "map from token id to the number added to its logit; false or null bans the "
                   "token",
        .offset_bytes = offsetof(logit_bias_params, bias),
    },
};

const plk_stage plk_stage_logit_bias = {
    .info = {.name = "logit_bias",
             .kind = PLUCK_STAGE_REWEIGHT,
             .summary = "raises, lowers or bans chosen tokens",
             .formula = "l' = l + bias",
             .source = "OpenAI API reference, logit_bias; llama.cpp, llama_sampler_init_logit_bias",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(logit_bias_params),
             .cost = "O(biases) edits"},
    .is_neutral = is_neutral,
    .max_edits = max_edits,
    .check = check,
    .on_slice = PLK_SLICE_OWN,
    .apply = apply,
};
