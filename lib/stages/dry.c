/*
 * dry (don't repeat yourself): a token that would continue a repetition of r tokens is made less
 * likely by multiplier * base^(r - allowed_length). The repetitions are the earlier places where
 * the end of the history occurs (plk_suffix_matches); of several that the same token would continue
 * the longest counts.
 *
 * A breaker ends what may count as a repetition: r is at most the number of tokens after the
 * nearest one. It is looked for no further back than the longest repetition reaches. A token that
 * is a breaker by itself is never made less likely: it ends repetitions, it does not continue them.
 */
#include "base/scalar_math.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct dry_params {
    double multiplier;
    double base;
    int64_t allowed_length;
    int64_t last_n;
    pluck_sequences breakers;
} dry_params;

static size_t window(const void *params)
{
    int64_t last_n = ((const dry_params *)params)->last_n;
    return last_n < 0 ? SIZE_MAX : (size_t)last_n;
}

static bool is_neutral(const void *params)
{
    const dry_params *dry = params;
    return dry->multiplier == 0.0 || dry->last_n == 0;
}

static pluck_status check(const void *params, uint32_t n_vocab, pluck_error *err)
{
    return plk_check_sequences("dry_sequence_breakers", &((const dry_params *)params)->breakers,
                               n_vocab, err);
}

static pluck_status create(void **state, const void *params, const plk_stage_setup *setup,
                           pluck_error *err)
{
    return plk_suffix_matches_create(state, window(params), setup->allocator, err);
}

/* Whether the sequence begins at this age and all of it is in the history. */
static bool occurs(const plk_history *history, size_t age, const pluck_token *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (i > age || plk_history_at(history, age - i) != tokens[i])
            return false;
    return true;
}

/* How many tokens follow the nearest breaker that begins less than max_age tokens ago; SIZE_MAX if
 * there is none. Of breakers that begin at the same place the longest counts. */
static size_t length_after_breaker(const pluck_sequences *breakers, const plk_history *history,
                                   size_t max_age)
{
    for (size_t age = 0; age < max_age; age++) {
        size_t longest = 0;
        for (size_t b = 0, start = 0; b < breakers->n; start = breakers->ends[b++]) {
            size_t n = breakers->ends[b] - start;
            if (n > longest && occurs(history, age, breakers->tokens + start, n))
                longest = n;
        }
        if (longest > 0)
            return age + 1 - longest;
    }
    return SIZE_MAX;
}

typedef struct dry_penalty {
    double multiplier;
    double log_base;
    double max_exponent;
    size_t allowed_length;
    size_t max_length; /* of a repetition, after the nearest breaker */
    const plk_token_marks *marks;
} dry_penalty;

static double penalise(const void *context, size_t index, double logit)
{
    const dry_penalty *penalty = context;
    size_t length = penalty->marks->values[penalty->marks->tokens[index]];
    if (length > penalty->max_length)
        length = penalty->max_length;
    double exponent = (double)(length - penalty->allowed_length);
    if (exponent > penalty->max_exponent)
        exponent = penalty->max_exponent;
    return logit - penalty->multiplier * plk_exp(exponent * penalty->log_base);
}

/* base^exponent stays inside a float. */
static double max_exponent(double base, double log_base)
{
    double log_float_max = 88.7228391, smallest_base = 1.000001;
    return base > smallest_base ? floor(log_float_max / log_base) : (double)INFINITY;
}

/* Marks the tokens that would continue a repetition; returns the longest of these. */
static size_t mark_repetitions(plk_suffix_matches *matches, const plk_history *history,
                               size_t allowed_length, const plk_view *view, plk_token_marks *marks)
{
    size_t longest = 0;
    plk_suffix_match match = plk_suffix_matches_update(matches, history, view->kernels);
    while (plk_suffix_matches_next(matches, history, &match)) {
        if (match.length < allowed_length)
            continue;
        if (longest == 0)
            *marks = plk_token_marks_init(view);
        longest = match.length > longest ? match.length : longest;
        size_t age = (size_t)(history->position - 2 - match.position);
        plk_token_mark(marks, (uint32_t)plk_history_at(history, age), (uint32_t)match.length);
    }
    return longest;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    const dry_params *dry = params;
    const pluck_sequences *breakers = &dry->breakers;
    const plk_history *history = context->history;
    size_t allowed_length = (size_t)dry->allowed_length;
    plk_token_marks marks;
    size_t longest = mark_repetitions(state, history, allowed_length, view, &marks);
    if (longest == 0)
        return PLUCK_OK;
    size_t longest_breaker = 0;
    for (size_t b = 0, start = 0; b < breakers->n; start = breakers->ends[b++])
        if (breakers->ends[b] - start > longest_breaker)
            longest_breaker = breakers->ends[b] - start;
    size_t length = plk_history_length(history), max_age = longest + longest_breaker;
    size_t limit = length < window(params) ? length : window(params);
    double log_base = plk_log(dry->base);
    dry_penalty penalty = {
        .multiplier = dry->multiplier,
        .log_base = log_base,
        .max_exponent = max_exponent(dry->base, log_base),
        .allowed_length = allowed_length,
        .max_length = length_after_breaker(breakers, history, max_age < limit ? max_age : limit),
        .marks = &marks,
    };
    if (penalty.max_length < allowed_length)
        return PLUCK_OK;
    for (size_t b = 0, start = 0; b < breakers->n; start = breakers->ends[b++])
        if (breakers->ends[b] - start == 1)
            plk_token_unmark(&marks, (uint32_t)breakers->tokens[start]);
    return plk_view_edit(view, plk_token_marks_list(&marks), penalise, &penalty, err);
}

static const pluck_param params[] = {
    {
        .name = "multiplier",
        .flat_key = "dry_multiplier",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1e6,
        .default_value = 0,
        .neutral = 0,
        .summary = "strength of the penalty; 0: none",
        .offset_bytes = offsetof(dry_params, multiplier),
    },
    {
        .name = "base",
        .flat_key = "dry_base",
        .type = PLUCK_PARAM_NUMBER,
        .min = 1,
        .max = 1e6,
        .default_value = 1.75,
        .neutral = (double)NAN,
        .summary = "factor of the penalty per further token of the repetition",
        .offset_bytes = offsetof(dry_params, base),
    },
    {
        .name = "allowed_length",
        .flat_key = "dry_allowed_length",
        .type = PLUCK_PARAM_INTEGER,
        .min = 1,
        .max = 1 << 24,
        .default_value = 2,
        .neutral = (double)NAN,
        .summary = "length from which a repetition is penalised",
        .offset_bytes = offsetof(dry_params, allowed_length),
    },
    {
        .name = "last_n",
        .flat_key = "dry_penalty_last_n",
        .type = PLUCK_PARAM_INTEGER,
        .min = -1,
        .max = 1 << 24,
        .default_value = -1,
        .neutral = 0,
        .summary = "number of last tokens that are searched; -1: all, 0: none",
        .offset_bytes = offsetof(dry_params, last_n),
    },
    {
        .name = "breakers",
        .flat_key = "dry_sequence_breakers",
        .type = PLUCK_PARAM_SEQUENCES,
        .neutral = (double)NAN,
        .summary = "sequences of tokens that end every repetition; a breaker of one token is never "
                   "penalised",
        .offset_bytes = offsetof(dry_params, breakers),
    },
};

const plk_stage plk_stage_dry = {
    .info = {.name = "dry",
             .kind = PLUCK_STAGE_REWEIGHT,
             .summary = "penalises tokens that would continue a repetition",
             .formula = "l' = l - multiplier * base^(r - allowed_length), r >= allowed_length "
                        "tokens of the end occurred before l's token",
             .source = "p-e-w, text-generation-webui pull request 5677 (2024); llama.cpp, "
                       "llama_sampler_init_dry",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(dry_params),
             .cost = "O(history) edits"},
    .is_neutral = is_neutral,
    .window = window,
    .max_edits = plk_suffix_matches_max_edits,
    .check = check,
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
