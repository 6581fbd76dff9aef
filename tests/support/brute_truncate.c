/*
 * The definitions of what truncates, draws included.
 */
#include "support/brute_stages.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void brute_top_k(brute_force *row, const brute_context *context)
{
    brute_keep(row, (uint64_t)brute_integer(context, "k"));
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

/* What a mass may miss p by and still reach it, or exceed it by and still not; and how exactly the
 * library knows masses, as a part of them. */
static const long double allowance = 0x1p-22L, mass_margin = 0x1p-22L;

void brute_top_p(brute_force *row, const brute_context *context)
{
    long double p = (long double)brute_number(context, "p") * (1 - allowance);
    long double margin = mass_margin + 2 * row->mean_slack;
    uint64_t low = brute_at_least(prefix(row, p * (1 - margin)), context);
    uint64_t high = brute_at_least(prefix(row, p * (1 + margin)), context);
    row->doubt |= low != high && low < row->n;
    brute_keep(row, brute_at_least(prefix(row, p), context));
}

void brute_min_p(brute_force *row, const brute_context *context)
{
    long double below = logl((long double)brute_number(context, "p"));
    long double margin = below < 0 ? 1e-14L * fabsl(below) : 0;
    brute_keep(row,
               brute_at_least(brute_count_from(row, row->items[0].logit + below, margin), context));
}

void brute_top_a(brute_force *row, const brute_context *context)
{
    long double a = (long double)brute_number(context, "a");
    long double below = logl(a) + logl(row->items[0].p);
    brute_keep(row, brute_count_from(row, row->items[0].logit + below,
                                     BRUTE_MARGIN + 2 * row->mean_slack));
}

/* Keeps the tokens with ln p >= limit, known up to margin; min_keep at least. */
static void keep_probable(brute_force *row, long double limit, long double margin,
                          uint64_t min_keep)
{
    long double log_best = logl(row->items[0].p);
    long double threshold = row->items[0].logit + (limit - log_best);
    uint32_t n = brute_count_from(row, threshold, margin + BRUTE_MARGIN + 2 * row->mean_slack);
    brute_keep(row, n > min_keep ? n : min_keep);
}

void brute_epsilon_cutoff(brute_force *row, const brute_context *context)
{
    keep_probable(row, logl((long double)brute_number(context, "epsilon")), 0,
                  (uint64_t)brute_integer(context, "min_keep"));
}

void brute_eta_cutoff(brute_force *row, const brute_context *context)
{
    long double epsilon = (long double)brute_number(context, "epsilon"),
                entropy = brute_entropy_of(row);
    long double eta = fminl(logl(epsilon), logl(epsilon) / 2 - entropy);
    keep_probable(row, eta, BRUTE_MARGIN * (1 + entropy) + row->mean_slack * entropy,
                  (uint64_t)brute_integer(context, "min_keep"));
}

void brute_p_less(brute_force *row, const brute_context *context)
{
    long double sum = 0;
    (void)context;
    if (row->items[0].logit == row->items[row->n - 1].logit && brute_max_slack(row) == 0)
        return; /* p = sum of p^2 exactly */
    for (uint32_t i = row->n; i-- > 0;)
        sum += row->items[i].p * row->items[i].p;
    keep_probable(row, logl(sum), BRUTE_MARGIN + 2 * row->mean_slack, 1);
}

void brute_top_h(brute_force *row, const brute_context *context)
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
    long double limit = (long double)brute_number(context, "h") * entropy;
    long double margin = entropy * (1e-12L + 200 * brute_max_slack(row));
    row->doubt |= n > 1 && entropy < 1e-300L; /* below what a double holds */
    for (; length < n; length++) {
        share += terms[length];
        row->doubt |= length > 0 && fabsl(share - limit) <= margin;
        if (share > limit)
            break;
    }
    brute_keep(row, length > 1 ? length : 1);
}

void brute_tail_free(brute_force *row, const brute_context *context)
{
    uint32_t kept = 1;
    long double z = (long double)brute_number(context, "z"), total = 0, sum = 0, slack = 0;
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
    brute_keep(row, kept);
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
    return brute_compare(&x->item, &y->item);
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
        long double margin = BRUTE_MARGIN * mean + 4 * slack + 4 * (1 + mean) * row->mean_slack;
        if ((order[i].item.logit != last->item.logit || slack > 0) && i != n - 1 &&
            fabsl(order[i].distance - last->distance) <= margin)
            return true;
    }
    return false;
}

void brute_typical(brute_force *row, const brute_context *context)
{
    typical_order *order = calloc(row->n, sizeof *order);
    assert(order);
    long double entropy = brute_entropy_of(row);
    long double p = (long double)brute_number(context, "p") * (1 + allowance);
    for (uint32_t i = 0; i < row->n; i++) {
        long double log_p = row->items[i].logit - row->items[0].logit + logl(row->items[0].p);
        order[i] = (typical_order){fabsl(-log_p - entropy), row->items[i]};
    }
    qsort(order, row->n, sizeof *order, compare_typical);
    long double margin = mass_margin + 2 * row->mean_slack;
    uint64_t low = brute_at_least(typical_prefix(order, row->n, p * (1 - margin)), context);
    uint64_t high = brute_at_least(typical_prefix(order, row->n, p * (1 + margin)), context);
    uint64_t n = brute_at_least(typical_prefix(order, row->n, p), context);
    n = n < row->n ? n : row->n;
    row->doubt |= low != high && low < row->n;
    row->doubt |= typical_doubt(row, order, (uint32_t)n, fabsl(entropy + logl(row->items[0].p)));
    row->n = (uint32_t)n;
    for (uint32_t i = 0; i < row->n; i++)
        row->items[i] = order[i].item;
    free(order);
}

void brute_top_n_sigma(brute_force *row, const brute_context *context)
{
    long double n = (long double)brute_number(context, "n"), mean = 0, variance = 0;
    for (uint32_t i = 0; i < row->n; i++)
        mean += (row->items[i].logit - row->items[0].logit) / row->n;
    for (uint32_t i = 0; i < row->n; i++) {
        long double d = row->items[i].logit - row->items[0].logit - mean;
        variance += d * d / row->n;
    }
    long double sigma = sqrtl(variance);
    brute_keep(row, brute_count_from(row, row->items[0].logit - n * sigma,
                                     n * (BRUTE_MARGIN * sigma + brute_max_slack(row))));
}

static bool is_protected(const brute_context *context, uint32_t token)
{
    const pluck_token_set *protect = brute_param(context, "protect");
    for (size_t i = 0; i < protect->n; i++)
        if (protect->items[i] == (pluck_token)token)
            return true;
    return false;
}

void brute_xtc(brute_force *row, const brute_context *context)
{
    if (!(pluck_pcg64_uniform(context->rng) < brute_number(context, "probability")))
        return;
    long double limit = logl((long double)brute_number(context, "threshold"));
    uint32_t n = brute_count_from(row, row->items[0].logit + limit - logl(row->items[0].p),
                                  BRUTE_MARGIN + 2 * row->mean_slack);
    if (n < 2 || row->n - (n - 1) < (uint64_t)brute_integer(context, "min_keep"))
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

void brute_mirostat_v2(brute_force *row, const brute_context *context)
{
    keep_probable(row, -2 * (long double)brute_number(context, "tau") * logl(2), 0, 1);
}

void brute_mirostat(brute_force *row, const brute_context *context)
{
    uint32_t m = (uint32_t)brute_integer(context, "m");
    uint32_t n = m < row->n ? m : row->n;
    long double tb = 0, tt = 0, mu = 2 * (long double)brute_number(context, "tau");
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
        brute_keep(row, mu * logl(2) > logl(v - 1) ? row->n : 1);
        return;
    }
    long double ratio = epsilon / -expm1l(-epsilon * logl((long double)row->n_vocab));
    long double log_k = (logl(ratio) + mu * logl(2)) / s;
    long double k = log_k < 40 ? expl(log_k) : HUGE_VALL;
    long double margin = (1e-9L + 100 * brute_max_slack(row) * (1 + fabsl(log_k)) / s) * k;
    row->doubt |= k < (long double)row->n + 1 && k > 1 && fabsl(k - roundl(k)) <= margin;
    brute_keep(row, k >= (long double)row->n ? row->n : k < 1 ? 1 : (uint64_t)k);
}

void brute_greedy(brute_force *row, const brute_context *context)
{
    (void)context;
    brute_keep(row, 1);
}
