/*
 * exp_decay_length: raises some tokens, such as the end of the text, more and more once start
 * tokens were generated: with i tokens beyond start, l' = l + abs(l) (factor^i - 1).
 */
#include "base/scalar_math.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct exp_decay_length_params {
    int64_t start;
    double factor;
    pluck_token_set tokens;
} exp_decay_length_params;

static bool is_neutral(const void *params)
{
    const exp_decay_length_params *decay = params;
    return decay->factor == 1.0 || decay->tokens.n == 0;
}

static size_t max_edits(const void *params, const void *state, uint64_t n_tokens, uint32_t n_vocab)
{
    (void)state;
    (void)n_tokens;
    (void)n_vocab;
    return ((const exp_decay_length_params *)params)->tokens.n;
}

static pluck_status check(const void *params, uint32_t n_vocab, pluck_error *err)
{
    return plk_check_token_set("exp_decay_length",
                               &((const exp_decay_length_params *)params)->tokens, n_vocab, err);
}

/* The formula without its difference, which would cancel where the power is small. */
static double raise_logit(const void *context, size_t index, double logit)
{
    (void)index;
    double power = *(const double *)context;
    return logit * (logit > 0.0 ? power : 2.0 - power);
}

/* factor^i, with i tokens beyond start. */
static double power_after(const exp_decay_length_params *decay, uint32_t n_generated)
{
    double most = 1e200; /* keeps products with logits finite */
    double i = (double)(n_generated - decay->start);
    double power = plk_exp(i * plk_log(decay->factor));
    return power < most ? power : most;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    const exp_decay_length_params *decay = params;
    const pluck_token_set *set = &decay->tokens;
    if (context->history->n_generated <= decay->start)
        return PLUCK_OK;
    double power = power_after(decay, context->history->n_generated);
    return plk_view_edit(view, (plk_token_list){set->items, sizeof *set->items, set->n},
                         raise_logit, &power, err);
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)state;
    (void)view;
    const exp_decay_length_params *decay = params;
    uint32_t n_generated = context->history->n_generated;
    if (n_generated > decay->start)
        plk_explain_value(out, "factor^i", power_after(decay, n_generated));
}

static const pluck_param params[] = {
    {
        .name = "start",
        .flat_key = "exp_decay_start",
        .type = PLUCK_PARAM_INTEGER,
        .min = 0,
        .max = 1 << 30,
        .default_value = 0,
        .neutral = (double)NAN,
        .summary = "number of generated tokens after which the change begins",
        .offset_bytes = offsetof(exp_decay_length_params, start),
    },
    {
        .name = "factor",
        .flat_key = "exp_decay_factor",
        .type = PLUCK_PARAM_NUMBER,
        .flags = PLUCK_PARAM_MIN_OPEN,
        .min = 0,
        .max = 1000,
        .default_value = 1,
        .neutral = 1,
        .summary = "growth per further token; above 1 makes the tokens more likely",
        .offset_bytes = offsetof(exp_decay_length_params, factor),
    },
    {
        .name = "tokens",
        .flat_key = "exp_decay_tokens",
        .type = PLUCK_PARAM_TOKENS,
        .neutral = (double)NAN,
        .summary = "the tokens to change, for example the end of the text",
        .offset_bytes = offsetof(exp_decay_length_params, tokens),
    },
};

const plk_stage plk_stage_exp_decay_length = {
    .info = {.name = "exp_decay_length",
             .kind = PLUCK_STAGE_REWEIGHT,
             .summary = "makes chosen tokens more likely as the text grows",
             .formula = "i > 0 tokens generated beyond start: l' = l + abs(l) * (factor^i - 1)",
             .source = "Hugging Face Transformers, ExponentialDecayLengthPenalty",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(exp_decay_length_params),
             .cost = "O(tokens) edits"},
    .is_neutral = is_neutral,
    .max_edits = max_edits,
    .check = check,
    .on_slice = PLK_SLICE_OWN,
    .apply = apply,
    .explain = explain,
};
