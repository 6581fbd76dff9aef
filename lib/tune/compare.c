/*
 * Three passes over the two rows, in blocks that are widened to double on the stack, find the
 * maxima, then the normalisers and the largest logits of a, and then the sums. With z
 * relative to the maximum and S = sum exp(z), ln p = z - ln S, so that a difference of logarithms
 * is a difference of logits, and equal rows have a divergence of exactly 0. A term p ln(p / q) is
 * finite wherever q is not banned, even where exp() gives 0.
 *
 * Each block has its own sum, so that n values cost n / BLOCK + BLOCK roundings, not n. Rounding
 * can leave a divergence of nearly equal rows below 0 by about 1e-16; it is 0 then.
 */
#include <pluck/tune.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "file/array_file.h"
#include "simd/fp_state.h"

#include <math.h>
#include <stdint.h>

enum { BLOCK = 512 };

/*
 * The largest values of a row, and how their order agrees with that of another. Candidates are
 * gathered. When their number is twice the one that is wanted, they are sorted and the smaller half
 * is dropped; what is not above the smallest one that was kept is not a candidate. Spearman's
 * correlation is Pearson's of the ranks (Spearman 1904); tied values share the mean of their ranks,
 * so the short formula with squared differences does not hold. Ranks of at most 100 values are
 * found by comparing all pairs.
 */

typedef struct ranked {
    double value;
    pluck_token token;
} ranked;

typedef struct ranking {
    size_t n;
    double least; /* values up to this one are not among the largest */
    ranked items[2 * PLUCK_COMPARE_RANKS];
} ranking;

static bool is_larger(const void *a, const void *b)
{
    return ((const ranked *)a)->value > ((const ranked *)b)->value;
}

/* Of equal values those that came first, with the lower tokens. */
static void keep_largest(ranking *ranks)
{
    ranked scratch[2 * PLUCK_COMPARE_RANKS];
    plk_sort(ranks->items, scratch, ranks->n, sizeof *ranks->items, is_larger);
    if (ranks->n < PLUCK_COMPARE_RANKS)
        return;
    ranks->n = PLUCK_COMPARE_RANKS;
    ranks->least = ranks->items[ranks->n - 1].value;
}

/* Tokens come in ascending order; -inf is none of the largest. */
static void ranks_add(ranking *ranks, pluck_token token, double value)
{
    if (value <= ranks->least)
        return;
    ranks->items[ranks->n++] = (ranked){value, token};
    if (ranks->n == 2 * PLUCK_COMPARE_RANKS)
        keep_largest(ranks);
}

/* Each value becomes its rank, from 1 for the smallest. */
static void to_ranks(double *values, size_t n)
{
    double ranks[PLUCK_COMPARE_RANKS];
    for (size_t i = 0; i < n; i++) {
        double below = 0.0, equal = 0.0;
        for (size_t j = 0; j < n; j++) {
            below += values[j] < values[i] ? 1.0 : 0.0;
            equal += values[j] == values[i] ? 1.0 : 0.0;
        }
        ranks[i] = below + 0.5 * (equal + 1.0);
    }
    for (size_t i = 0; i < n; i++)
        values[i] = ranks[i];
}

/* Spearman's correlation of n values; changes both. */
static double ranks_correlation(double *a, double *b, size_t n)
{
    double mean = 0.5 * ((double)n + 1.0);
    double xx = 0.0, yy = 0.0, xy = 0.0;
    to_ranks(a, n);
    to_ranks(b, n);
    for (size_t i = 0; i < n; i++) {
        double x = a[i] - mean, y = b[i] - mean;
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    return xx > 0.0 && yy > 0.0 ? xy / sqrt(xx * yy) : (double)NAN;
}

typedef struct side {
    pluck_logits logits;
    double max, log_sum;
    pluck_token top;
    uint32_t n_allowed;
} side;

static size_t load(const pluck_logits *logits, size_t begin, double *values)
{
    size_t left = logits->n_vocab - begin, n = left < BLOCK ? left : BLOCK;
    size_t size = pluck_dtype_size_bytes(logits->dtype);
    plk_widen_double((const uint8_t *)logits->data + begin * size, logits->dtype, n, values);
    return n;
}

static pluck_status find_max(side *s, const char *name, pluck_error *err)
{
    double values[BLOCK];
    s->max = -(double)INFINITY;
    for (size_t begin = 0; begin < s->logits.n_vocab; begin += BLOCK) {
        size_t n = load(&s->logits, begin, values);
        for (size_t i = 0; i < n; i++) {
            if (isnan(values[i]) || values[i] == (double)INFINITY)
                return plk_fail(err, PLUCK_ERR_NAN,
                                "%s: the logit of token %zu is %s; logits must be finite or -inf",
                                name, begin + i, isnan(values[i]) ? "NaN" : "+inf");
            s->n_allowed += values[i] != -(double)INFINITY;
            if (values[i] > s->max) {
                s->max = values[i];
                s->top = (pluck_token)(begin + i);
            }
        }
    }
    if (s->n_allowed == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY, "%s: every token is banned", name);
    return PLUCK_OK;
}

static void find_sum(side *s, ranking *ranks)
{
    double values[BLOCK], total = 0.0;
    for (size_t begin = 0; begin < s->logits.n_vocab; begin += BLOCK) {
        size_t n = load(&s->logits, begin, values);
        double sum = 0.0;
        for (size_t i = 0; i < n; i++) {
            sum += plk_exp(values[i] - s->max);
            if (ranks)
                ranks_add(ranks, (pluck_token)(begin + i), values[i]);
        }
        total += sum;
    }
    s->log_sum = plk_log(total);
}

typedef struct sums {
    double kl_ab, kl_ba, variation, entropy_a, entropy_b;
    double lost_a, lost_b; /* of tokens that the other side bans */
} sums;

/* The terms of one block; la and lb become logarithms of probabilities. */
static sums add_block(const side *a, const side *b, double *la, double *lb, size_t n,
                      pluck_comparison *result)
{
    sums s = {0};
    for (size_t i = 0; i < n; i++) {
        bool in_a = la[i] != -(double)INFINITY, in_b = lb[i] != -(double)INFINITY;
        la[i] = (la[i] - a->max) - a->log_sum;
        lb[i] = (lb[i] - b->max) - b->log_sum;
        double p = plk_exp(la[i]), q = plk_exp(lb[i]);
        s.variation += fabs(p - q);
        if (in_a)
            s.entropy_a -= p * la[i];
        if (in_b)
            s.entropy_b -= q * lb[i];
        if (in_a && in_b) {
            s.kl_ab += p * (la[i] - lb[i]);
            s.kl_ba += q * (lb[i] - la[i]);
        }
        s.lost_a += in_b ? 0.0 : p;
        s.lost_b += in_a ? 0.0 : q;
        result->n_only_a += in_a && !in_b;
        result->n_only_b += in_b && !in_a;
    }
    return s;
}

static double not_below_zero(double x)
{
    return x > 0.0 ? x : 0.0;
}

static void add_all(const side *a, const side *b, pluck_comparison *result)
{
    double la[BLOCK], lb[BLOCK];
    sums total = {0};
    for (size_t begin = 0; begin < a->logits.n_vocab; begin += BLOCK) {
        size_t n = load(&a->logits, begin, la);
        (void)load(&b->logits, begin, lb);
        sums s = add_block(a, b, la, lb, n, result);
        total.kl_ab += s.kl_ab;
        total.kl_ba += s.kl_ba;
        total.variation += s.variation;
        total.entropy_a += s.entropy_a;
        total.entropy_b += s.entropy_b;
        total.lost_a += s.lost_a;
        total.lost_b += s.lost_b;
    }
    result->kl_ab = result->n_only_a != 0 ? (double)INFINITY : not_below_zero(total.kl_ab);
    result->kl_ba = result->n_only_b != 0 ? (double)INFINITY : not_below_zero(total.kl_ba);
    result->total_variation = total.variation < 2.0 ? 0.5 * total.variation : 1.0;
    result->entropy_a = not_below_zero(total.entropy_a);
    result->entropy_b = not_below_zero(total.entropy_b);
    result->kept_a = not_below_zero(1.0 - total.lost_a);
    result->kept_b = not_below_zero(1.0 - total.lost_b);
}

static double value_at(const pluck_logits *logits, pluck_token token)
{
    double value = 0.0;
    size_t size = pluck_dtype_size_bytes(logits->dtype);
    plk_widen_double((const uint8_t *)logits->data + (size_t)token * size, logits->dtype, 1,
                     &value);
    return value;
}

static double nll_of(const side *s, pluck_token token)
{
    return token < 0 ? (double)NAN : s->log_sum - (value_at(&s->logits, token) - s->max);
}

static pluck_status check(pluck_logits a, pluck_logits b, pluck_token target,
                          const pluck_comparison *result, pluck_error *err)
{
    if (!a.data || !b.data || !result)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_compare_rows: %s is NULL",
                        result ? "a row" : "result");
    pluck_status status = PLK_CHECK_STRUCT(result, "result", pluck_comparison, err);
    if (status != PLUCK_OK)
        return status;
    if (!plk_is_logit_dtype(a.dtype) || !plk_is_logit_dtype(b.dtype))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_compare_rows: dtype %d is not a type of logits",
                        (int)(plk_is_logit_dtype(a.dtype) ? b.dtype : a.dtype));
    if (a.n_vocab != b.n_vocab || a.n_vocab < 1 || a.n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the rows have %u and %u values; expected the same number, 1 to %u",
                        (unsigned)a.n_vocab, (unsigned)b.n_vocab, (unsigned)PLUCK_MAX_VOCAB);
    if (target >= 0 && (uint32_t)target >= a.n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the target %d is outside the vocabulary of %u tokens", (int)target,
                        (unsigned)a.n_vocab);
    return PLUCK_OK;
}

static pluck_status compare_rows(pluck_logits a, pluck_logits b, pluck_token target,
                                 pluck_comparison *out, pluck_error *err)
{
    side x = {.logits = a}, y = {.logits = b};
    ranking ranks = {.least = -(double)INFINITY};
    double of_a[PLUCK_COMPARE_RANKS], of_b[PLUCK_COMPARE_RANKS];
    pluck_status status = check(a, b, target, out, err);
    if (status == PLUCK_OK)
        status = find_max(&x, "the first row", err);
    if (status == PLUCK_OK)
        status = find_max(&y, "the second row", err);
    if (status != PLUCK_OK)
        return status;
    pluck_comparison result = {.top_a = x.top, .top_b = y.top};
    find_sum(&x, &ranks);
    find_sum(&y, NULL);
    add_all(&x, &y, &result);
    keep_largest(&ranks);
    for (size_t i = 0; i < ranks.n; i++) {
        of_a[i] = ranks.items[i].value;
        of_b[i] = value_at(&b, ranks.items[i].token);
    }
    result.rank_correlation = ranks_correlation(of_a, of_b, ranks.n);
    result.top_prob_a = plk_exp(-x.log_sum);
    result.top_prob_b = plk_exp(-y.log_sum);
    result.nll_a = nll_of(&x, target);
    result.nll_b = nll_of(&y, target);
    return PLK_WRITE_STRUCT(out, &result, "result", pluck_comparison, err);
}

pluck_status pluck_compare_rows(pluck_logits a, pluck_logits b, pluck_token target,
                                pluck_comparison *result, pluck_error *err)
{
    PLK_RETURN_IN_FP(compare_rows(a, b, target, result, err));
}
