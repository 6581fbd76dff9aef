/*
 * A table from stage name to function; parameters are read through the public tables by name.
 */
#include "support/brute_force.h"

#include "support/brute_stages.h"
#include "support/cases.h"
#include "support/config_parts.h"
#include "support/reference.h"

#include <pluck/rng.h>

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const void *brute_param(const brute_context *context, const char *name)
{
    for (size_t i = 0; i < context->stage->n_params; i++)
        if (strcmp(context->stage->params[i].name, name) == 0)
            return (const char *)context->params + context->stage->params[i].offset_bytes;
    abort();
}

double brute_number(const brute_context *context, const char *name)
{
    double value;
    memcpy(&value, brute_param(context, name), sizeof value);
    return value;
}

int64_t brute_integer(const brute_context *context, const char *name)
{
    int64_t value;
    memcpy(&value, brute_param(context, name), sizeof value);
    return value;
}

int brute_compare(const void *a, const void *b)
{
    const brute_candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

/* Sorts, drops what is banned, and gives the rest their probabilities. */
static void normalise(brute_force *row)
{
    qsort(row->items, row->n, sizeof *row->items, brute_compare);
    while (row->n > 0 && row->items[row->n - 1].logit == -HUGE_VALL)
        row->n--;
    long double sum = 0;
    for (uint32_t i = row->n; i-- > 0;)
        sum += expl(row->items[i].logit - row->items[0].logit);
    row->mean_slack = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        brute_candidate *item = row->items + i;
        item->p = expl(item->logit - row->items[0].logit) / sum;
        row->mean_slack += item->p * item->slack;
    }
}

/* Keeps the n best; a doubt if the next one may be as good as the last. */
void brute_keep(brute_force *row, uint64_t n)
{
    if (n >= row->n)
        return;
    const brute_candidate *last = row->items + n - 1, *next = row->items + n;
    long double slack = last->slack + next->slack;
    row->doubt |= slack > 0 && last->logit - next->logit <= slack;
    row->n = (uint32_t)n;
}

uint64_t brute_at_least(uint64_t n, const brute_context *context)
{
    uint64_t min_keep = (uint64_t)brute_integer(context, "min_keep");
    return n > min_keep ? n : min_keep;
}

/* How many have a logit >= threshold; a doubt if one is nearer to it than margin and its slack. The
 * best, which always stays, gives none. */
uint32_t brute_count_from(brute_force *row, long double threshold, long double margin)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        const brute_candidate *item = row->items + i;
        long double slack = margin + (i ? item->slack + row->items[0].slack : 0);
        row->doubt |= i > 0 && slack > 0 && fabsl(item->logit - threshold) <= slack;
        n += item->logit >= threshold;
    }
    return n;
}

/* What rounding to a float leaves open of a value known up to slack: nothing, unless slack reaches
 * over the middle between two floats. */
static long double rounding_slack(long double stored, float rounded, long double slack)
{
    if (fabsf(rounded) == FLT_MAX) /* has no neighbour on one side, and is what is beyond it too */
        return slack;
    long double low = (long double)nextafterf(rounded, -INFINITY);
    long double high = (long double)nextafterf(rounded, INFINITY);
    if (stored - slack > (low + (long double)rounded) / 2 &&
        stored + slack < ((long double)rounded + high) / 2)
        return 0;
    return slack + fmaxl(high - (long double)rounded, (long double)rounded - low);
}

/* The new logit is kept as the nearest float, in the units of the row before all temperatures: that
 * is part of the definition. The library finds it in double, here it is found in long double; they
 * agree except at the middle between two floats. */
void brute_change(const brute_force *row, brute_candidate *item, long double logit)
{
    if (logit == -HUGE_VALL) {
        item->logit = logit;
        return;
    }
    long double largest = (long double)FLT_MAX;
    long double stored = fminl(fmaxl(logit / row->scale, -largest), largest);
    long double in_double = (fabsl(item->logit) + fabsl(logit)) * 0x1p-50L;
    float rounded = (float)stored;
    item->slack =
        rounding_slack(stored, rounded, (item->slack + in_double) / row->scale) * row->scale;
    item->logit = (long double)rounded * row->scale;
}

/* The largest slack of all logits. */
long double brute_max_slack(const brute_force *row)
{
    long double most = 0;
    for (uint32_t i = 0; i < row->n; i++)
        most = fmaxl(most, row->items[i].slack);
    return most;
}

long double brute_entropy_of(const brute_force *row)
{
    long double sum = 0;
    for (uint32_t i = 0; i < row->n; i++)
        sum -= row->items[i].p > 0 ? row->items[i].p * logl(row->items[i].p) : 0;
    return sum;
}

static const struct {
    const char *name;
    brute_stage_function *run;
} stages[] = {
    {"top_k", brute_top_k},
    {"top_p", brute_top_p},
    {"min_p", brute_min_p},
    {"top_a", brute_top_a},
    {"temperature", brute_temperature},
    {"epsilon_cutoff", brute_epsilon_cutoff},
    {"eta_cutoff", brute_eta_cutoff},
    {"p_less", brute_p_less},
    {"top_h", brute_top_h},
    {"tail_free", brute_tail_free},
    {"typical", brute_typical},
    {"top_n_sigma", brute_top_n_sigma},
    {"xtc", brute_xtc},
    {"infill", brute_infill},
    {"dynamic_temperature", brute_dynamic_temperature},
    {"smoothing", brute_smoothing},
    {"entmax", brute_entmax},
    {"mirostat", brute_mirostat},
    {"mirostat_v2", brute_mirostat_v2},
    {"adaptive_p", brute_adaptive_p},
    {"mask", brute_mask},
    {"bad_words", brute_bad_words},
    {"no_repeat_ngram", brute_no_repeat_ngram},
    {"min_tokens", brute_min_tokens},
    {"exp_decay_length", brute_exp_decay_length},
    {"dry", brute_dry},
    {"logit_bias", brute_logit_bias},
    {"penalties", brute_penalties},
    {"greedy", brute_greedy},
    {"categorical", brute_categorical},
    {"gumbel", brute_categorical}, /* the same distribution */
};

static brute_stage_function *find(const pluck_stage *stage)
{
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (strcmp(stages[i].name, stage->name) == 0)
            return stages[i].run;
    return NULL;
}

bool brute_force_knows(const pluck_stage *stage)
{
    return find(stage) != NULL;
}

static bool places_mask(const pluck_config *config)
{
    for (size_t s = 0; s < config_n_stages(config); s++)
        if (strcmp(config_stage(config, s).stage->name, "mask") == 0 &&
            !config_stage(config, s).is_neutral)
            return true;
    return false;
}

pluck_status brute_force_run(brute_force *row, const pluck_config *config, const float *logits,
                             uint32_t n_vocab, const pluck_token *history, size_t n_history)
{
    return brute_force_run_masked(row, config, logits, n_vocab, history, n_history, NULL);
}

pluck_status brute_force_run_masked(brute_force *row, const pluck_config *config,
                                    const float *logits, uint32_t n_vocab,
                                    const pluck_token *history, size_t n_history,
                                    const int32_t *mask)
{
    *row =
        (brute_force){.n_vocab = n_vocab, .n = n_vocab, .logits = logits, .mask = mask, .scale = 1};
    row->items = calloc(n_vocab, sizeof *row->items);
    assert(row->items);
    bool ban = config_info(config).on_nan == PLUCK_ON_NAN_BAN;
    for (uint32_t i = 0; i < n_vocab; i++) {
        bool bad = ban && !(logits[i] < HUGE_VALF);
        row->items[i] = (brute_candidate){i, bad ? -HUGE_VALL : (long double)logits[i], 0, 0};
    }
    if (!places_mask(config))
        brute_mask(row, NULL);
    normalise(row);
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, config_info(config).seed, 0, n_history);
    for (size_t s = 0; s < config_n_stages(config) && row->n > 0; s++) {
        if (config_stage(config, s).is_neutral)
            continue;
        brute_context context = {config_stage(config, s).stage, config_stage(config, s).params,
                                 history, n_history, &rng};
        find(context.stage)(row, &context);
        normalise(row);
    }
    return row->n > 0 ? PLUCK_OK : PLUCK_ERR_EMPTY;
}

void brute_force_free(brute_force *row)
{
    free(row->items);
    row->items = NULL;
}

long double brute_force_logprob(const brute_force *row, uint32_t token)
{
    long double sum = 0;
    for (uint32_t i = row->n; i-- > 0;)
        sum += expl(row->items[i].logit - row->items[0].logit);
    for (uint32_t i = 0; i < row->n; i++)
        if (row->items[i].token == token)
            return row->items[i].logit - row->items[0].logit - logl(sum);
    return -HUGE_VALL;
}

/* The number of candidates whose p, relative to the largest, is a positive double, as far as slack
 * allows to say: between *low and *high. */
static void count_positive(const brute_force *row, uint32_t *low, uint32_t *high)
{
    long double least = -745.1332191019412L;
    *low = *high = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        const brute_candidate *item = row->items + i;
        long double below = item->logit - row->items[0].logit;
        long double slack = item->slack + row->items[0].slack + 1e-9L;
        *low += below > least + slack;
        *high += below > least - slack;
    }
}

static bool agrees_at(const brute_force *row, const pluck_prob *prob, uint32_t i)
{
    const brute_candidate *item = row->items + i;
    long double slack = item->slack + row->mean_slack;
    if ((uint32_t)prob->token != item->token) {
        long double apart = fabsl(item->logit - row->items[i > 0 ? i - 1 : 0].logit);
        for (uint32_t j = 0; j < row->n; j++)
            if (row->items[j].token == (uint32_t)prob->token)
                apart = fabsl(item->logit - row->items[j].logit) - row->items[j].slack;
        if (apart > item->slack)
            return test_case_failed("entry %u is token %d, not %u", i, prob->token, item->token);
        return true;
    }
    long double ulps = (4 + 2 * fabsl(logl(item->p))) * reference_float_ulp(item->p);
    long double off = fabsl((long double)prob->prob - item->p);
    if (off > ulps + slack * item->p && !(item->p < 0x1p-149L && prob->prob == 0x1p-149f))
        return test_case_failed(
            "entry %u, token %d: p = %.9g, exactly %.12Lg: off by %.2Lf ulps, %.2Lf allowed", i,
            prob->token, (double)prob->prob, item->p, off / reference_float_ulp(item->p),
            (ulps + slack * item->p) / reference_float_ulp(item->p));
    return true;
}

bool brute_force_agrees(const brute_force *row, const pluck_prob *probs, uint32_t n)
{
    uint32_t low, high;
    count_positive(row, &low, &high);
    if (n < low || n > high)
        return test_case_failed("%u tokens with p > 0, not %u", n, low);
    long double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!agrees_at(row, probs + i, i))
            return false;
        sum += (long double)probs[i].prob;
    }
    if (fabsl(sum - 1) > 1e-6L)
        return test_case_failed("probabilities sum to 1 %+Lg", sum - 1);
    return true;
}
