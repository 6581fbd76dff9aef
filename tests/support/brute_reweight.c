/*
 * The definitions of what changes logits, bans included.
 */
#include "support/brute_stages.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void brute_temperature(brute_force *row, const brute_context *context)
{
    long double t = (long double)brute_number(context, "t");
    if (t == 0) {
        brute_keep(row, 1);
        return;
    }
    for (uint32_t i = 0; i < row->n; i++) {
        row->items[i].logit /= t;
        row->items[i].slack /= t;
    }
    row->scale /= t;
}

void brute_logit_bias(brute_force *row, const brute_context *context)
{
    const pluck_bias_map *map = brute_param(context, "bias");
    for (size_t b = 0; b < map->n; b++)
        for (uint32_t i = 0; i < row->n; i++)
            if (row->items[i].token == (uint32_t)map->items[b].token)
                brute_change(row, row->items + i,
                             row->items[i].logit + (long double)map->items[b].bias);
}

/* The logit s x of a token is about to be multiplied by factor. With s off by a part of itself, the
 * distance factor s x - s b from the best logit s b, which is what p depends on, is off by that
 * part of factor (s x - s b) + (factor - 1) s b: the first is in the slack already. */
static void multiply_slack(const brute_force *row, brute_candidate *item, long double factor,
                           long double best)
{
    item->slack = item->slack * fabsl(factor) + fabsl(factor - 1) * fabsl(best) * row->scale_off;
}

void brute_penalties(brute_force *row, const brute_context *context)
{
    long double best = row->items[0].logit;
    int64_t last_n = brute_integer(context, "last_n");
    long double repeat = (long double)brute_number(context, "repeat");
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
        multiply_slack(row, item, item->logit <= 0 ? repeat : 1 / repeat, best);
        item->slack += fabsl(repeated) * 0x1p-50L;
        brute_change(row, item,
                     repeated - count * (long double)brute_number(context, "frequency") -
                         (long double)brute_number(context, "presence"));
    }
    free(counts);
}

static long double dynamic_t(const brute_context *context, long double entropy, uint32_t n)
{
    long double t = (long double)brute_number(context, "t"),
                range = (long double)brute_number(context, "range");
    long double low = fmaxl(0, t - range), high = t + range;
    long double share = fminl(fmaxl(entropy, 0) / logl(n), 1);
    return low + (high - low) * powl(share, (long double)brute_number(context, "exponent"));
}

void brute_dynamic_temperature(brute_force *row, const brute_context *context)
{
    long double t = (long double)brute_number(context, "t"), off = 0;
    if (brute_number(context, "range") > 0) {
        if (row->n == 1)
            return;
        long double entropy = brute_entropy_of(row);
        long double margin = BRUTE_MARGIN * (1 + fabsl(entropy + logl(row->items[0].p))) +
                             2 * row->mean_slack * (1 + entropy);
        t = dynamic_t(context, entropy, row->n);
        long double high = dynamic_t(context, entropy + margin, row->n);
        long double low = dynamic_t(context, entropy - margin, row->n);
        row->doubt |= low == 0 && high > 0;
        off = t > 0 && low > 0 ? (high - low) / low : 0;
    }
    if (t == 0) {
        brute_keep(row, 1);
        return;
    }
    long double best = row->items[0].logit;
    for (uint32_t i = 0; i < row->n; i++) {
        row->items[i].slack = (row->items[i].slack + (best - row->items[i].logit) * off) / t;
        row->items[i].logit /= t;
    }
    row->scale_off += off;
    row->scale /= t;
}

void brute_smoothing(brute_force *row, const brute_context *context)
{
    long double f = (long double)brute_number(context, "factor");
    long double c = (long double)brute_number(context, "curve");
    long double square = -f * (3 - c) / 2, cube = f * (c - 1) / 2;
    brute_candidate best = row->items[0];
    row->scale = 1;
    for (uint32_t i = 0; i < row->n; i++) {
        brute_candidate *item = row->items + i;
        long double d = item->logit - best.logit;
        long double slope = fabsl(2 * square * d + 3 * cube * d * d);
        item->slack = (item->slack + best.slack) * slope + best.slack;
        brute_change(row, item, square * d * d + cube * d * d * d + best.logit);
    }
}

static long double entmax_p(long double x, long double slope)
{
    return x > 0 ? powl(x, 1 / slope) : 0;
}

static long double entmax_sum(const brute_force *row, long double slope, long double tau)
{
    long double sum = 0;
    for (uint32_t i = 0; i < row->n; i++)
        sum += entmax_p(slope * (row->items[i].logit - row->items[0].logit) - tau, slope);
    return sum;
}

void brute_entmax(brute_force *row, const brute_context *context)
{
    long double slope = (long double)brute_number(context, "alpha") - 1, low = -1, high = 0;
    for (int i = 0; i < 200; i++) {
        long double middle = (low + high) / 2;
        if (entmax_sum(row, slope, middle) >= 1)
            low = middle;
        else
            high = middle;
    }
    brute_candidate best = row->items[0];
    long double slack_0 = slope * 4 * brute_max_slack(row);
    row->scale = 1;
    for (uint32_t i = 0; i < row->n; i++) {
        brute_candidate *item = row->items + i;
        long double z = slope * (item->logit - best.logit), x = z - low;
        long double margin =
            1e-14L * (1 + fabsl(z)) * -low + 1e-15L * slope * fabsl(best.logit) + slack_0;
        row->doubt |= fabsl(x) <= 8 * margin;
        item->slack = x > 0 ? margin / x / slope : 0;
        brute_change(row, item, x > 0 ? logl(x) / slope : -HUGE_VALL);
    }
}

void brute_adaptive_p(brute_force *row, const brute_context *context)
{
    long double target = (long double)brute_number(context, "target"), aim = target;
    row->scale = 1;
    for (uint32_t i = 0; i < row->n; i++) {
        brute_candidate *item = row->items + i;
        long double d = fabsl(item->p - aim) / 0.3L;
        item->slack = 40 * item->p * (BRUTE_MARGIN + item->slack + 2 * row->mean_slack) + 1e-12L;
        brute_change(row, item, 5 - 10 * d * d / (1 + d));
    }
}

static void ban(brute_force *row, pluck_token token)
{
    for (uint32_t i = 0; i < row->n; i++)
        if (row->items[i].token == (uint32_t)token)
            row->items[i].logit = -HUGE_VALL;
}

/* Whether the history's first n tokens end with these. */
static bool ends_with(const brute_context *context, size_t n, const pluck_token *tokens,
                      size_t length)
{
    if (length > n)
        return false;
    for (size_t i = 0; i < length; i++)
        if (context->history[n - length + i] != tokens[i])
            return false;
    return true;
}

void brute_mask(brute_force *row, const brute_context *context)
{
    (void)context;
    for (uint32_t i = 0; i < row->n && row->mask; i++) {
        uint32_t token = row->items[i].token;
        if (((uint32_t)row->mask[token / 32] >> token % 32 & 1) == 0)
            row->items[i].logit = -HUGE_VALL;
    }
}

void brute_bad_words(brute_force *row, const brute_context *context)
{
    const pluck_sequences *sequences = brute_param(context, "sequences");
    for (size_t i = 0, start = 0; i < sequences->n; start = sequences->ends[i++]) {
        size_t last = sequences->ends[i] - 1;
        if (ends_with(context, context->n_history, sequences->tokens + start, last - start))
            ban(row, sequences->tokens[last]);
    }
}

void brute_no_repeat_ngram(brute_force *row, const brute_context *context)
{
    size_t n = (size_t)brute_integer(context, "n"), length = context->n_history;
    for (size_t i = n; i <= length && n - 1 <= length; i++)
        if (memcmp(context->history + i - n, context->history + length - (n - 1),
                   (n - 1) * sizeof *context->history) == 0)
            ban(row, context->history[i - 1]);
}

void brute_min_tokens(brute_force *row, const brute_context *context)
{
    const pluck_token_set *tokens = brute_param(context, "tokens");
    for (size_t i = 0; i < tokens->n && (int64_t)context->n_history < brute_integer(context, "n");
         i++)
        ban(row, tokens->items[i]);
}

void brute_exp_decay_length(brute_force *row, const brute_context *context)
{
    const pluck_token_set *tokens = brute_param(context, "tokens");
    long double beyond =
        (long double)context->n_history - (long double)brute_integer(context, "start");
    long double power = fminl(powl((long double)brute_number(context, "factor"), beyond), 1e200L);
    long double best = row->items[0].logit;
    for (size_t t = 0; t < tokens->n && beyond > 0; t++) {
        for (uint32_t i = 0; i < row->n; i++) {
            brute_candidate *item = row->items + i;
            if (item->token != (uint32_t)tokens->items[t])
                continue;
            multiply_slack(row, item, item->logit > 0 ? power : 2 - power, best);
            item->slack += fabsl(item->logit) * power * 1e-12L;
            brute_change(row, item, item->logit * (item->logit > 0 ? power : 2 - power));
        }
    }
}

/* How many tokens come after the nearest breaker in the window. */
static size_t dry_limit(const brute_context *context, size_t start)
{
    const pluck_sequences *breakers = brute_param(context, "breakers");
    size_t end = context->n_history;
    for (size_t at = end; at-- > start;) {
        size_t longest = 0;
        for (size_t b = 0, from = 0; b < breakers->n; from = breakers->ends[b++]) {
            size_t n = breakers->ends[b] - from;
            if (at + n <= end && n > longest &&
                ends_with(context, at + n, breakers->tokens + from, n))
                longest = n;
        }
        if (longest > 0)
            return end - (at + longest);
    }
    return end - start;
}

static bool is_breaker(const brute_context *context, uint32_t token)
{
    const pluck_sequences *breakers = brute_param(context, "breakers");
    for (size_t b = 0, from = 0; b < breakers->n; from = breakers->ends[b++])
        if (from + 1 == breakers->ends[b] && breakers->tokens[from] == (pluck_token)token)
            return true;
    return false;
}

void brute_dry(brute_force *row, const brute_context *context)
{
    size_t end = context->n_history, allowed = (size_t)brute_integer(context, "allowed_length");
    int64_t last_n = brute_integer(context, "last_n");
    size_t start = last_n < 0 || (size_t)last_n > end ? 0 : end - (size_t)last_n;
    size_t limit = dry_limit(context, start);
    size_t *repeats = calloc(row->n_vocab, sizeof *repeats);
    assert(repeats);
    for (size_t next = start + 1; next < end; next++) {
        size_t r = 0;
        while (next - r > start && r < limit &&
               context->history[next - 1 - r] == context->history[end - 1 - r])
            r++;
        size_t *longest = repeats + context->history[next];
        *longest = r > *longest ? r : *longest;
    }
    long double base = (long double)brute_number(context, "base");
    long double cap = base > 1.000001L ? floorl(88.7228391L / logl(base)) : HUGE_VALL;
    for (uint32_t i = 0; i < row->n; i++) {
        size_t r = repeats[row->items[i].token];
        if (r < allowed || is_breaker(context, row->items[i].token))
            continue;
        long double penalty = (long double)brute_number(context, "multiplier") *
                              powl(base, fminl((long double)(r - allowed), cap));
        row->items[i].slack += penalty * 1e-12L;
        brute_change(row, row->items + i, row->items[i].logit - penalty);
    }
    free(repeats);
}

void brute_categorical(brute_force *row, const brute_context *context)
{
    (void)row, (void)context;
}
