/*
 * A table from stage name to function; parameters are read through the public tables by name.
 */
#include "support/brute_force.h"

#include "support/reference.h"
#include "support/test_cases.h"

#include <pluck/rng.h>

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
    pluck_pcg64 *rng; /* of the position */
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

/* How many have a logit >= threshold; a doubt if one is nearer to it than margin and its slack. The
 * best, which always stays, gives none. */
static uint32_t count_from(brute_force *row, long double threshold, long double margin)
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

/* The largest slack of all logits. */
static long double max_slack(const brute_force *row)
{
    long double most = 0;
    for (uint32_t i = 0; i < row->n; i++)
        most = fmaxl(most, row->items[i].slack);
    return most;
}

static long double entropy_of(const brute_force *row)
{
    long double sum = 0;
    for (uint32_t i = 0; i < row->n; i++)
        sum -= row->items[i].p > 0 ? row->items[i].p * logl(row->items[i].p) : 0;
    return sum;
}

/* Keeps the tokens with ln p >= limit, known up to margin; min_keep at least. */
static void keep_probable(brute_force *row, long double limit, long double margin,
                          uint64_t min_keep)
{
    long double log_best = logl(row->items[0].p);
    long double threshold = row->items[0].logit + (limit - log_best);
    uint32_t n = count_from(row, threshold, margin + MASS_MARGIN + 2 * row->mean_slack);
    keep(row, n > min_keep ? n : min_keep);
}

static void epsilon_cutoff(brute_force *row, const brute_context *context)
{
    keep_probable(row, logl((long double)number(context, "epsilon")), 0,
                  (uint64_t)integer(context, "min_keep"));
}

static void eta_cutoff(brute_force *row, const brute_context *context)
{
    long double epsilon = (long double)number(context, "epsilon"), entropy = entropy_of(row);
    long double eta = fminl(logl(epsilon), logl(epsilon) / 2 - entropy);
    keep_probable(row, eta, MASS_MARGIN * (1 + entropy) + row->mean_slack * entropy,
                  (uint64_t)integer(context, "min_keep"));
}

static void p_less(brute_force *row, const brute_context *context)
{
    long double sum = 0;
    (void)context;
    if (row->items[0].logit == row->items[row->n - 1].logit && max_slack(row) == 0)
        return; /* p = sum of p^2 exactly */
    for (uint32_t i = row->n; i-- > 0;)
        sum += row->items[i].p * row->items[i].p;
    keep_probable(row, logl(sum), MASS_MARGIN + 2 * row->mean_slack, 1);
}

static void top_h(brute_force *row, const brute_context *context)
{
    enum { N_BEST = 100 };
    uint32_t n = row->n < N_BEST ? row->n : N_BEST, length = 0;
    long double rest = 0, entropy = 0, share = 0, terms[N_BEST];
    for (uint32_t i = n; i-- > 1;)
        rest += expl(row->items[i].logit - row->items[0].logit);
    for (uint32_t i = 0; i < n; i++) {
        long double below = row->items[i].logit - row->items[0].logit;
        terms[i] = expl(below) / (1 + rest) * (log1pl(rest) - below);
        entropy += terms[i];
    }
    long double limit = (long double)number(context, "h") * entropy;
    long double margin = entropy * (1e-12L + 200 * max_slack(row));
    row->doubt |= n > 1 && entropy < 1e-300L; /* below what a double holds */
    for (; length < n; length++) {
        share += terms[length];
        row->doubt |= length > 0 && fabsl(share - limit) <= margin;
        if (share > limit)
            break;
    }
    keep(row, length > 1 ? length : 1);
}

static void tail_free(brute_force *row, const brute_context *context)
{
    uint32_t kept = 1;
    long double z = (long double)number(context, "z"), total = 0, sum = 0, slack = 0;
    for (uint32_t i = 0; i + 2 < row->n; i++)
        total += fabsl(row->items[i + 2].p - 2 * row->items[i + 1].p + row->items[i].p);
    for (uint32_t i = 0; i < row->n; i++)
        slack += 8 * row->items[i].p * (row->items[i].slack + row->items[0].slack);
    long double margin = 1e-14L + slack;
    for (uint32_t i = 0; i + 2 < row->n; i++) {
        sum += fabsl(row->items[i + 2].p - 2 * row->items[i + 1].p + row->items[i].p);
        row->doubt |= (sum > 0 || slack > 0) && fabsl(sum - z * total) <= margin;
        if (sum > z * total)
            break;
        kept++;
    }
    keep(row, kept);
}

typedef struct typical_order {
    long double distance;
    brute_candidate item;
} typical_order;

static int compare_typical(const void *a, const void *b)
{
    const typical_order *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return compare(&x->item, &y->item);
}

static uint32_t typical_prefix(const typical_order *order, uint32_t n, long double limit)
{
    long double mass = 0;
    for (uint32_t i = 0; i < n; i++) {
        mass += order[i].item.p;
        if (mass > limit)
            return i + 1;
    }
    return n;
}

/* Doubt if the prefix of length n could have ended with another token. */
static bool typical_doubt(const brute_force *row, const typical_order *order, uint32_t n,
                          long double mean)
{
    const typical_order *last = order + n - 1;
    for (uint32_t i = 0; i < row->n && n < row->n; i++) {
        long double slack = order[i].item.slack + last->item.slack;
        long double margin = MASS_MARGIN * mean + 4 * slack + 4 * (1 + mean) * row->mean_slack;
        if ((order[i].item.logit != last->item.logit || slack > 0) && i != n - 1 &&
            fabsl(order[i].distance - last->distance) <= margin)
            return true;
    }
    return false;
}

static void typical(brute_force *row, const brute_context *context)
{
    typical_order *order = calloc(row->n, sizeof *order);
    assert(order);
    long double entropy = entropy_of(row), p = (long double)number(context, "p");
    for (uint32_t i = 0; i < row->n; i++) {
        long double log_p = row->items[i].logit - row->items[0].logit + logl(row->items[0].p);
        order[i] = (typical_order){fabsl(-log_p - entropy), row->items[i]};
    }
    qsort(order, row->n, sizeof *order, compare_typical);
    long double margin = MASS_MARGIN + 2 * row->mean_slack;
    uint64_t low = at_least(typical_prefix(order, row->n, p * (1 - margin)), context);
    uint64_t high = at_least(typical_prefix(order, row->n, p * (1 + margin)), context);
    uint64_t n = at_least(typical_prefix(order, row->n, p), context);
    n = n < row->n ? n : row->n;
    row->doubt |= low != high && low < row->n;
    row->doubt |= typical_doubt(row, order, (uint32_t)n, fabsl(entropy + logl(row->items[0].p)));
    row->n = (uint32_t)n;
    for (uint32_t i = 0; i < row->n; i++)
        row->items[i] = order[i].item;
    free(order);
}

static void top_n_sigma(brute_force *row, const brute_context *context)
{
    long double n = (long double)number(context, "n"), mean = 0, variance = 0;
    for (uint32_t i = 0; i < row->n; i++)
        mean += (row->items[i].logit - row->items[0].logit) / row->n;
    for (uint32_t i = 0; i < row->n; i++) {
        long double d = row->items[i].logit - row->items[0].logit - mean;
        variance += d * d / row->n;
    }
    long double sigma = sqrtl(variance);
    keep(row, count_from(row, row->items[0].logit - n * sigma,
                         n * (MASS_MARGIN * sigma + max_slack(row))));
}

static bool is_protected(const brute_context *context, uint32_t token)
{
    const pluck_token_set *protect = param(context, "protect");
    for (size_t i = 0; i < protect->n; i++)
        if (protect->items[i] == token)
            return true;
    return false;
}

static void xtc(brute_force *row, const brute_context *context)
{
    if (!(pluck_pcg64_uniform(context->rng) < number(context, "probability")))
        return;
    long double limit = logl((long double)number(context, "threshold"));
    uint32_t n = count_from(row, row->items[0].logit + limit - logl(row->items[0].p),
                            MASS_MARGIN + 2 * row->mean_slack);
    if (n < 2 || row->n - (n - 1) < (uint64_t)integer(context, "min_keep"))
        return;
    for (uint32_t i = 0; i + 1 < n; i++)
        if (is_protected(context, row->items[i].token))
            return;
    row->doubt |= row->items[n - 1].slack > 0 && n > 1 &&
                  row->items[n - 2].logit - row->items[n - 1].logit <=
                      row->items[n - 2].slack + row->items[n - 1].slack;
    row->n -= n - 1;
    memmove(row->items, row->items + n - 1, row->n * sizeof *row->items);
}

static long double dynamic_t(const brute_context *context, long double entropy, uint32_t n)
{
    long double t = (long double)number(context, "t"),
                range = (long double)number(context, "range");
    long double low = fmaxl(0, t - range), high = t + range;
    long double share = fminl(fmaxl(entropy, 0) / logl(n), 1);
    return low + (high - low) * powl(share, (long double)number(context, "exponent"));
}

static void dynamic_temperature(brute_force *row, const brute_context *context)
{
    long double t = (long double)number(context, "t"), off = 0;
    if (number(context, "range") > 0) {
        if (row->n == 1)
            return;
        long double entropy = entropy_of(row);
        long double margin = MASS_MARGIN * (1 + fabsl(entropy + logl(row->items[0].p))) +
                             2 * row->mean_slack * (1 + entropy);
        t = dynamic_t(context, entropy, row->n);
        long double high = dynamic_t(context, entropy + margin, row->n);
        long double low = dynamic_t(context, entropy - margin, row->n);
        row->doubt |= low == 0 && high > 0;
        off = t > 0 && low > 0 ? (high - low) / low : 0;
    }
    if (t == 0) {
        keep(row, 1);
        return;
    }
    long double best = row->items[0].logit;
    for (uint32_t i = 0; i < row->n; i++) {
        row->items[i].slack = (row->items[i].slack + (best - row->items[i].logit) * off) / t;
        row->items[i].logit /= t;
    }
    row->scale /= t;
}

static void smoothing(brute_force *row, const brute_context *context)
{
    long double f = (long double)number(context, "factor");
    long double c = (long double)number(context, "curve");
    long double square = -f * (3 - c) / 2, cube = f * (c - 1) / 2;
    const brute_candidate best = row->items[0];
    row->scale = 1;
    for (uint32_t i = 0; i < row->n; i++) {
        brute_candidate *item = row->items + i;
        long double d = item->logit - best.logit;
        long double slope = fabsl(2 * square * d + 3 * cube * d * d);
        item->slack = (item->slack + best.slack) * slope + best.slack;
        change(row, item, square * d * d + cube * d * d * d + best.logit);
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

static void entmax(brute_force *row, const brute_context *context)
{
    long double slope = (long double)number(context, "alpha") - 1, low = -1, high = 0;
    for (int i = 0; i < 200; i++) {
        long double middle = (low + high) / 2;
        if (entmax_sum(row, slope, middle) >= 1)
            low = middle;
        else
            high = middle;
    }
    const brute_candidate best = row->items[0];
    long double slack_0 = slope * 4 * max_slack(row);
    row->scale = 1;
    for (uint32_t i = 0; i < row->n; i++) {
        brute_candidate *item = row->items + i;
        long double z = slope * (item->logit - best.logit), x = z - low;
        long double margin =
            1e-14L * (1 + fabsl(z)) * -low + 1e-15L * slope * fabsl(best.logit) + slack_0;
        row->doubt |= fabsl(x) <= 8 * margin;
        item->slack = x > 0 ? margin / x / slope : 0;
        change(row, item, x > 0 ? logl(x) / slope : -HUGE_VALL);
    }
}

static void mirostat_v2(brute_force *row, const brute_context *context)
{
    keep_probable(row, -2 * (long double)number(context, "tau") * logl(2), 0, 1);
}

static void mirostat(brute_force *row, const brute_context *context)
{
    uint32_t m = (uint32_t)integer(context, "m");
    uint32_t n = m < row->n ? m : row->n;
    long double tb = 0, tt = 0, mu = 2 * (long double)number(context, "tau");
    if (n < 2)
        return;
    for (uint32_t i = 0; i + 1 < n; i++) {
        long double t = logl((long double)(i + 2) / (i + 1));
        tb += t * (row->items[i].logit - row->items[i + 1].logit);
        tt += t * t;
    }
    long double s = tb / tt, epsilon = s - 1;
    if (s == 0) {
        long double v = (long double)row->n_vocab;
        keep(row, mu * logl(2) > logl(v - 1) ? row->n : 1);
        return;
    }
    long double ratio = epsilon / -expm1l(-epsilon * logl((long double)row->n_vocab));
    long double log_k = (logl(ratio) + mu * logl(2)) / s;
    long double k = log_k < 40 ? expl(log_k) : HUGE_VALL;
    long double margin = (1e-9L + 100 * max_slack(row) * (1 + fabsl(log_k)) / s) * k;
    row->doubt |= k < (long double)row->n + 1 && k > 1 && fabsl(k - roundl(k)) <= margin;
    keep(row, k >= (long double)row->n ? row->n : k < 1 ? 1 : (uint64_t)k);
}

static void adaptive_p(brute_force *row, const brute_context *context)
{
    long double target = (long double)number(context, "target"), aim = target;
    row->scale = 1;
    for (uint32_t i = 0; i < row->n; i++) {
        brute_candidate *item = row->items + i;
        long double d = fabsl(item->p - aim) / 0.3L;
        item->slack = 40 * item->p * (MASS_MARGIN + item->slack + 2 * row->mean_slack) + 1e-12L;
        change(row, item, 5 - 10 * d * d / (1 + d));
    }
}

static void ban(brute_force *row, pluck_token token)
{
    for (uint32_t i = 0; i < row->n; i++)
        if (row->items[i].token == (uint32_t)token)
            row->items[i].logit = -HUGE_VALL;
}

/* Whether the history's first n tokens end with these. */
static bool ends_with(const brute_context *context, size_t n, const uint32_t *tokens, size_t length)
{
    if (length > n)
        return false;
    for (size_t i = 0; i < length; i++)
        if ((uint32_t)context->history[n - length + i] != tokens[i])
            return false;
    return true;
}

static void bad_words(brute_force *row, const brute_context *context)
{
    const pluck_sequences *sequences = param(context, "sequences");
    for (size_t i = 0, start = 0; i < sequences->n; start = sequences->ends[i++]) {
        size_t last = sequences->ends[i] - 1;
        if (ends_with(context, context->n_history, sequences->tokens + start, last - start))
            ban(row, (pluck_token)sequences->tokens[last]);
    }
}

static void no_repeat_ngram(brute_force *row, const brute_context *context)
{
    size_t n = (size_t)integer(context, "n"), length = context->n_history;
    for (size_t i = n; i <= length && n - 1 <= length; i++)
        if (memcmp(context->history + i - n, context->history + length - (n - 1),
                   (n - 1) * sizeof *context->history) == 0)
            ban(row, context->history[i - 1]);
}

static void min_tokens(brute_force *row, const brute_context *context)
{
    const pluck_token_set *tokens = param(context, "tokens");
    for (size_t i = 0; i < tokens->n && (int64_t)context->n_history < integer(context, "n"); i++)
        ban(row, (pluck_token)tokens->items[i]);
}

static void exp_decay_length(brute_force *row, const brute_context *context)
{
    const pluck_token_set *tokens = param(context, "tokens");
    long double beyond = (long double)context->n_history - (long double)integer(context, "start");
    long double growth = powl((long double)number(context, "factor"), beyond) - 1;
    for (size_t t = 0; t < tokens->n && beyond > 0; t++) {
        for (uint32_t i = 0; i < row->n; i++) {
            brute_candidate *item = row->items + i;
            if (item->token != tokens->items[t])
                continue;
            item->slack *= 1 + fminl(growth, 1e200L);
            item->slack += fabsl(item->logit) * fminl(growth, 1e200L) * 1e-12L;
            change(row, item, item->logit + fabsl(item->logit) * fminl(growth, 1e200L));
        }
    }
}

/* How many tokens come after the nearest breaker in the window. */
static size_t dry_limit(const brute_context *context, size_t start)
{
    const pluck_sequences *breakers = param(context, "breakers");
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

static void dry(brute_force *row, const brute_context *context)
{
    size_t end = context->n_history, allowed = (size_t)integer(context, "allowed_length");
    int64_t last_n = integer(context, "last_n");
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
    long double base = (long double)number(context, "base");
    long double cap = base > 1.000001L ? floorl(88.7228391L / logl(base)) : HUGE_VALL;
    for (uint32_t i = 0; i < row->n; i++) {
        size_t r = repeats[row->items[i].token];
        if (r < allowed)
            continue;
        long double penalty = (long double)number(context, "multiplier") *
                              powl(base, fminl((long double)(r - allowed), cap));
        row->items[i].slack += penalty * 1e-12L;
        change(row, row->items + i, row->items[i].logit - penalty);
    }
    free(repeats);
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
    {"epsilon_cutoff", epsilon_cutoff},
    {"eta_cutoff", eta_cutoff},
    {"p_less", p_less},
    {"top_h", top_h},
    {"tail_free", tail_free},
    {"typical", typical},
    {"top_n_sigma", top_n_sigma},
    {"xtc", xtc},
    {"dynamic_temperature", dynamic_temperature},
    {"smoothing", smoothing},
    {"entmax", entmax},
    {"mirostat", mirostat},
    {"mirostat_v2", mirostat_v2},
    {"adaptive_p", adaptive_p},
    {"bad_words", bad_words},
    {"no_repeat_ngram", no_repeat_ngram},
    {"min_tokens", min_tokens},
    {"exp_decay_length", exp_decay_length},
    {"dry", dry},
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
    uint64_t seed = 0;
    pluck_pcg64 rng;
    pluck_config_seed(config, &seed);
    pluck_pcg64_seed(&rng, seed, 0, n_history);
    for (size_t s = 0; s < pluck_config_stage_count(config) && row->n > 0; s++) {
        if (pluck_config_neutral_at(config, s))
            continue;
        brute_context context = {pluck_config_stage_at(config, s),
                                 pluck_config_params_at(config, s), history, n_history, &rng};
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
