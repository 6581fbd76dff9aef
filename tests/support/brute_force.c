/*
 * A table from stage name to function; parameters are read through the public tables by name.
 */
#include "support/brute_force.h"

#include "support/reference.h"
#include "support/test_cases.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const long double MASS_MARGIN = 1e-6L;

typedef struct brute_context {
    const pluck_stage *stage;
    const void *params;
    const pluck_token *history;
    size_t n_history;
} brute_context;

typedef void brute_stage_function(brute_force *row, const brute_context *context);

static const void *param(const brute_context *context, const char *name)
{
    for (size_t i = 0; i < context->stage->n_params; i++)
        if (strcmp(context->stage->params[i].name, name) == 0)
            return (const char *)context->params + context->stage->params[i].offset_bytes;
    abort();
}

static double number(const brute_context *context, const char *name)
{
    double value;
    memcpy(&value, param(context, name), sizeof value);
    return value;
}

static int64_t integer(const brute_context *context, const char *name)
{
    int64_t value;
    memcpy(&value, param(context, name), sizeof value);
    return value;
}

static int compare(const void *a, const void *b)
{
    const brute_candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

/* Sorts, drops what is banned, and gives the rest their probabilities. */
static void normalise(brute_force *row)
{
    qsort(row->items, row->n, sizeof *row->items, compare);
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
static void keep(brute_force *row, uint64_t n)
{
    if (n >= row->n)
        return;
    const brute_candidate *last = row->items + n - 1, *next = row->items + n;
    long double slack = last->slack + next->slack;
    row->doubt |= slack > 0 && last->logit - next->logit <= slack;
    row->n = (uint32_t)n;
}

static uint64_t at_least(uint64_t n, const brute_context *context)
{
    uint64_t min_keep = (uint64_t)integer(context, "min_keep");
    return n > min_keep ? n : min_keep;
}

/* How many have a logit >= threshold; a doubt if one is nearer to it than margin and its slack. */
static uint32_t count_from(brute_force *row, long double threshold, long double margin)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        const brute_candidate *item = row->items + i;
        long double slack = margin + (i ? item->slack + row->items[0].slack : 0);
        row->doubt |= slack > 0 && fabsl(item->logit - threshold) <= slack;
        n += item->logit >= threshold;
    }
    return n;
}

static void top_k(brute_force *row, const brute_context *context)
{
    keep(row, (uint64_t)integer(context, "k"));
}

/* The first length whose mass reaches the limit. */
static uint32_t prefix(const brute_force *row, long double limit)
{
    long double mass = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        mass += row->items[i].p;
        if (mass >= limit)
            return i + 1;
    }
    return row->n;
}

static void top_p(brute_force *row, const brute_context *context)
{
    long double p = (long double)number(context, "p");
    long double margin = MASS_MARGIN + 2 * row->mean_slack;
    uint64_t low = at_least(prefix(row, p * (1 - margin)), context);
    uint64_t high = at_least(prefix(row, p * (1 + margin)), context);
    row->doubt |= low != high && low < row->n;
    keep(row, at_least(prefix(row, p), context));
}

static void min_p(brute_force *row, const brute_context *context)
{
    long double below = logl((long double)number(context, "p"));
    long double margin = below < 0 ? 1e-14L * fabsl(below) : 0;
    keep(row, at_least(count_from(row, row->items[0].logit + below, margin), context));
}

static void top_a(brute_force *row, const brute_context *context)
{
    long double a = (long double)number(context, "a");
    long double below = logl(a) + logl(row->items[0].p);
    keep(row, count_from(row, row->items[0].logit + below, MASS_MARGIN + 2 * row->mean_slack));
}

static void temperature(brute_force *row, const brute_context *context)
{
    long double t = (long double)number(context, "t");
    if (t == 0) {
        keep(row, 1);
        return;
    }
    for (uint32_t i = 0; i < row->n; i++) {
        row->items[i].logit /= t;
        row->items[i].slack /= t;
    }
    row->scale /= t;
}

/* The new logit is kept as a float, in the units of the row before all temperatures. */
static void change(const brute_force *row, brute_candidate *item, long double logit)
{
    if (logit == -HUGE_VALL) {
        item->logit = logit;
        return;
    }
    long double stored =
        fminl(fmaxl(logit / row->scale, -(long double)FLT_MAX), (long double)FLT_MAX);
    item->logit = stored * row->scale;
    item->slack += fmaxl(fabsl(stored) * 0x1.01p-24L, 0x1p-150L) * row->scale;
}

static void logit_bias(brute_force *row, const brute_context *context)
{
    const pluck_bias_map *map = param(context, "bias");
    for (size_t b = 0; b < map->n; b++)
        for (uint32_t i = 0; i < row->n; i++)
            if (row->items[i].token == map->items[b].token)
                change(row, row->items + i, row->items[i].logit + (long double)map->items[b].bias);
}

static void penalties(brute_force *row, const brute_context *context)
{
    int64_t last_n = integer(context, "last_n");
    long double repeat = (long double)number(context, "repeat");
    size_t n =
        last_n < 0 || (size_t)last_n > context->n_history ? context->n_history : (size_t)last_n;
    const pluck_token *window = context->history + context->n_history - n;
    uint32_t *counts = calloc(row->n_vocab, sizeof *counts);
    assert(counts);
    for (size_t i = 0; i < n; i++)
        counts[window[i]]++;
    for (uint32_t i = 0; i < row->n; i++) {
        brute_candidate *item = row->items + i;
        long double count = counts[item->token];
        if (count == 0)
            continue;
        long double repeated = item->logit <= 0 ? item->logit * repeat : item->logit / repeat;
        item->slack *= fmaxl(repeat, 1 / repeat);
        change(row, item,
               repeated - count * (long double)number(context, "frequency") -
                   (long double)number(context, "presence"));
    }
    free(counts);
}

static void greedy(brute_force *row, const brute_context *context)
{
    (void)context;
    keep(row, 1);
}

static void categorical(brute_force *row, const brute_context *context)
{
    (void)row, (void)context;
}

static const struct {
    const char *name;
    brute_stage_function *run;
} stages[] = {
    {"top_k", top_k},
    {"top_p", top_p},
    {"min_p", min_p},
    {"top_a", top_a},
    {"temperature", temperature},
    {"logit_bias", logit_bias},
    {"penalties", penalties},
    {"greedy", greedy},
    {"categorical", categorical},
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

pluck_status brute_force_run(brute_force *row, const pluck_config *config, const float *logits,
                             uint32_t n_vocab, const pluck_token *history, size_t n_history)
{
    *row = (brute_force){.n_vocab = n_vocab, .n = n_vocab, .scale = 1};
    row->items = calloc(n_vocab, sizeof *row->items);
    assert(row->items);
    bool ban = pluck_config_on_nan(config) == PLUCK_ON_NAN_BAN;
    for (uint32_t i = 0; i < n_vocab; i++) {
        bool bad = ban && !(logits[i] < HUGE_VALF);
        row->items[i] = (brute_candidate){i, bad ? -HUGE_VALL : (long double)logits[i], 0, 0};
    }
    normalise(row);
    for (size_t s = 0; s < pluck_config_stage_count(config) && row->n > 0; s++) {
        if (pluck_config_neutral_at(config, s))
            continue;
        brute_context context = {pluck_config_stage_at(config, s),
                                 pluck_config_params_at(config, s), history, n_history};
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
    const long double least = -745.1332191019412L;
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
