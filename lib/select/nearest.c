/*
 * Quickselect by mass, as in boundary.c, on the distance from the center. A radius splits what is
 * in question into a band of logits and the rest, by comparison with two floats, so that all passes
 * are kernels. Distances are compared in double, exactly as the order defines them.
 *
 * What a prefix can need: the tokens less probable than (1 - p) / n have together less than 1 - p,
 * so the band that reaches down to them and up to the maximum exceeds p. Usually a shorter one
 * does: it is tried first.
 *
 * The pivot is a low quantile of the distances of a sample; when a split removed less than a
 * quarter, the next radius halves the range of the distances as integers, which ends after 64
 * splits at most.
 *
 * As in boundary.c, the prefix is defined by masses over the blocks of the view: it ends with the
 * first logit in the order of distances up to which the mass exceeds p Z. Sums of what was gathered
 * decide where they are clear.
 */
#include "select/keep.h"

#include "base/scalar_math.h"
#include "select/mass.h"
#include "select/share.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    FEW = 32, /* are sorted */
    N_SAMPLE = 32
};

typedef struct search {
    const plk_view *view;
    double center;
    bool by_count;   /* the prefix is measured in tokens, not in mass */
    plk_mass needed; /* by the prefix; a number of tokens if by_count */
    float *values;   /* still in question; whole blocks, padded */
    float *spare;    /* as large */
    uint32_t n;
    double inside; /* measure of what is settled to be in the prefix: a sum or a number */
} search;

/* Signed distance of a stored logit from the center. */
static double offset_of(const search *s, float x)
{
    return ((double)x - (double)s->view->max) - s->center;
}

/* Whether x comes before y in the order of the prefix. */
static bool before(const search *s, float x, float y)
{
    double a = offset_of(s, x), b = offset_of(s, y);
    if (fabs(a) < fabs(b) || fabs(a) > fabs(b))
        return fabs(a) < fabs(b);
    bool above = a >= 0.0, other_above = b >= 0.0;
    if (above != other_above)
        return above;
    return above ? x < y : x > y;
}

/* The smallest float whose offset is >= limit, or > limit; +inf if none is. */
static float first_float(const search *s, double limit, bool strict)
{
    uint32_t below = (uint32_t)(plk_key_of(-INFINITY, 0) >> 32);
    uint32_t reached = (uint32_t)(plk_key_of(INFINITY, 0) >> 32);
    while (reached - below > 1) {
        uint32_t middle = below + (reached - below) / 2;
        double offset = offset_of(s, plk_key_logit((plk_key)middle << 32));
        if (strict ? offset > limit : offset >= limit)
            reached = middle;
        else
            below = middle;
    }
    return plk_key_logit((plk_key)reached << 32);
}

static void pad(float *values, uint32_t n)
{
    for (uint32_t i = n; i % PLK_BLOCK != 0; i++)
        values[i] = -INFINITY;
}

static double measure(const search *s, const float *values, uint32_t n)
{
    if (s->by_count)
        return n;
    return plk_view_sum_of(s->view, values, (n + PLK_BLOCK - 1) / PLK_BLOCK);
}

/* Whether a measure tells if its tokens have the mass; and what it tells. */
static bool is_clear(const search *s, double sum)
{
    return s->by_count || plk_mass_is_clear(s->view, sum, s->needed);
}

static bool is_enough(const search *s, double sum)
{
    return s->by_count ? sum >= (double)s->needed : sum > plk_mass_value(s->needed);
}

/* Whether the tokens with low <= x < high have the mass; sum: their measure. */
static bool reaches(const search *s, float low, float high, double sum)
{
    return is_clear(s, sum) ? is_enough(s, sum)
                            : plk_view_mass_between(s->view, low, high) >= s->needed;
}

/* Appends to the n values of spare the values in question with low <= x < high. */
static uint32_t move(const search *s, float low, float high, uint32_t n)
{
    const plk_scratch *w = s->view->scratch;
    uint32_t *unused_ids = (uint32_t *)(void *)w->spare + w->n_blocks * PLK_BLOCK + PLK_SLACK;
    return n + (uint32_t)s->view->kernels->gather(s->values, s->n, low, high, 0, unused_ids,
                                                  s->spare + n);
}

/* Splits at the radius and goes on with the side that holds the end of the prefix. */
static void split(search *s, double radius)
{
    float low = first_float(s, -radius, false), high = first_float(s, radius, true);
    uint32_t n = move(s, low, high, 0);
    pad(s->spare, n);
    double sum = s->inside + measure(s, s->spare, n);
    if (!reaches(s, low, high, sum)) {
        s->inside = sum;
        n = move(s, -FLT_MAX, low, 0);
        n = move(s, high, INFINITY, n);
        pad(s->spare, n);
    }
    float *swap = s->values;
    s->values = s->spare;
    s->spare = swap;
    s->n = n;
}

static double sampled_radius(const search *s)
{
    double sample[N_SAMPLE];
    for (uint32_t i = 0; i < N_SAMPLE; i++) {
        double distance = fabs(offset_of(s, s->values[(uint64_t)i * s->n / N_SAMPLE]));
        uint32_t j = i;
        for (; j > 0 && sample[j - 1] > distance; j--)
            sample[j] = sample[j - 1];
        sample[j] = distance;
    }
    return sample[N_SAMPLE / 4];
}

/* The middle of the range of distances as integers: below the largest unless all are equal. */
static double halving_radius(const search *s)
{
    uint64_t low = UINT64_MAX, high = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        double distance = fabs(offset_of(s, s->values[i]));
        uint64_t bits;
        memcpy(&bits, &distance, sizeof bits);
        low = bits < low ? bits : low;
        high = bits > high ? bits : high;
    }
    uint64_t middle = low + (high - low) / 2;
    double radius;
    memcpy(&radius, &middle, sizeof radius);
    return radius;
}

static void sort_values(const search *s)
{
    for (uint32_t i = 1; i < s->n; i++) {
        float value = s->values[i];
        uint32_t j = i;
        for (; j > 0 && before(s, value, s->values[j - 1]); j--)
            s->values[j] = s->values[j - 1];
        s->values[j] = value;
    }
}

/* What comes before a value in the order. */
static plk_band band_before(const search *s, float value)
{
    double offset = offset_of(s, value);
    plk_band b = {.value = value};
    bool above = offset >= 0.0;
    b.low = above ? first_float(s, -offset, true) : nextafterf(value, INFINITY);
    b.high = above ? value : first_float(s, -offset, true);
    return b;
}

/* Whether what comes before a value in the order and all tokens with this value have the mass. */
static bool reaches_with(const void *context, float value, double sum)
{
    const search *s = context;
    if (is_clear(s, sum))
        return is_enough(s, sum);
    plk_band b = band_before(s, value);
    bool above = b.high == value;
    return reaches(s, above ? b.low : value, above ? nextafterf(value, INFINITY) : b.high, sum);
}

/* The prefix ends among the n_equal tokens with this value. */
static plk_band end_at(const search *s, float value, uint32_t n_equal)
{
    plk_band b = band_before(s, value);
    if (s->by_count)
        b.n_equal = plk_mass_n_equal((plk_mass)s->inside, 1, s->needed, n_equal);
    else
        b.n_equal = plk_view_n_equal_kept(s->view, &b, s->inside, s->needed, n_equal);
    return b;
}

/* Sorts what is left and adds up. */
static plk_band finish_few(search *s)
{
    double sums[FEW]; /* through each value */
    float e[PLK_BLOCK];
    sort_values(s);
    pad(s->values, s->n);
    plk_view_exp_values(s->view, s->values, 1, e);
    double sum = s->inside;
    for (uint32_t i = 0; i < s->n; i++) {
        sum += s->by_count ? 1.0 : (double)e[i];
        sums[i] = sum;
    }
    plk_equal_values last = plk_find_reaching(s->values, sums, s->n, reaches_with, s);
    s->inside = last.first > 0 ? sums[last.first - 1] : s->inside;
    return end_at(s, s->values[last.first], last.end - last.first);
}

/* All distances are equal: at most a few different values. Walks through them in their order. */
static plk_band finish_equal(search *s)
{
    for (;;) {
        float value = s->values[0];
        for (uint32_t i = 1; i < s->n; i++)
            if (before(s, s->values[i], value))
                value = s->values[i];
        uint32_t n_equal = 0, n_left = 0;
        for (uint32_t i = 0; i < s->n; i++) {
            n_equal += s->values[i] == value;
            s->values[n_left] = s->values[i];
            n_left += s->values[i] != value;
        }
        float x[PLK_BLOCK] = {value};
        pad(x, 1);
        double each = measure(s, x, 1);
        if (n_left == 0 || reaches_with(s, value, s->inside + each * n_equal))
            return end_at(s, value, n_equal);
        s->inside += each * n_equal;
        s->n = n_left;
    }
}

static plk_band find_last(search *s)
{
    bool mislead = false;
    while (s->n > FEW) {
        uint32_t n = s->n;
        split(s, mislead ? halving_radius(s) : sampled_radius(s));
        if (mislead && s->n == n)
            return finish_equal(s);
        mislead = s->n > n - n / 4;
    }
    return finish_few(s);
}

static bool in_band(const plk_band *b, float value, uint32_t n_equal)
{
    return (value >= b->low && value < b->high) || (value == b->value && n_equal < b->n_equal);
}

static uint32_t count_band(const search *s, uint32_t n, const plk_band *b)
{
    const float *values = s->view->scratch->values;
    uint32_t kept = 0, n_equal = 0;
    for (uint32_t i = 0; i < n; i++) {
        kept += in_band(b, values[i], n_equal);
        n_equal += values[i] == b->value;
    }
    return kept;
}

static void keep_band(plk_view *view, uint32_t n, const plk_band *b)
{
    plk_scratch *w = view->scratch;
    uint32_t kept = 0, n_equal = 0;
    for (uint32_t i = 0; i < n; i++) {
        float value = w->values[i];
        bool keep = in_band(b, value, n_equal);
        n_equal += value == b->value;
        w->ids[kept] = w->ids[i];
        w->values[kept] = value;
        kept += keep;
    }
    plk_view_become_compact(view, kept);
}

/* The stored logit of tokens that no prefix needs; rest: the mass beyond the prefix. */
static float improbable(const search *s, double rest)
{
    double margin = 1e-5; /* covers the rounding of the normaliser */
    double negligible = rest / (double)s->view->scratch->n_vocab;
    return plk_view_threshold(s->view, (negligible < 1.0 ? plk_log(negligible) : 0.0) - margin);
}

/* Of a row in slices: those that are known, more and more. */
static uint32_t gather_known(const search *s)
{
    float opposite = first_float(s, s->center, false);
    do {
        float low = plk_share_known_from(s->view);
        uint32_t n = low <= opposite ? plk_view_gather(s->view, low) : 0;
        pad(s->view->scratch->values, n);
        if (n > 0 && reaches(s, low, INFINITY, measure(s, s->view->scratch->values, n)))
            return n;
    } while (plk_share_ask_more(s->view));
    return plk_view_gather(s->view, -FLT_MAX);
}

/* Gathers tokens down to a logit that is at least as far below the center as the maximum is above:
 * if their mass exceeds the prefix, they hold it. A sample says where that may be; if it misled,
 * the next try goes down by some nats. */
static uint32_t gather(const search *s, double rest)
{
    double step = 2.0 / s->view->scale;
    plk_scratch *w = s->view->scratch;
    if (s->by_count)
        return plk_view_gather(s->view, -FLT_MAX);
    if (s->view->share)
        return gather_known(s);
    float opposite = first_float(s, s->center, false), least = improbable(s, rest);
    float sampled = plk_view_tail_below(s->view, rest);
    for (float low = sampled < opposite ? sampled : opposite; low > least;
         low = first_float(s, offset_of(s, low) - step, false)) {
        uint32_t n = plk_view_gather(s->view, low);
        pad(w->values, n);
        if (reaches(s, low, INFINITY, measure(s, w->values, n)))
            return n;
        if (!(offset_of(s, low) - step < offset_of(s, low)))
            break;
    }
    least = least < opposite ? least : opposite;
    uint32_t n = plk_view_gather(s->view, least);
    pad(w->values, n);
    bool holds = reaches(s, least, INFINITY, measure(s, w->values, n));
    return holds ? n : plk_view_gather(s->view, -FLT_MAX);
}

/* Finds the end of the prefix. The first *n candidates then hold all of it. */
static plk_band find(search *s, double rest, uint32_t *n)
{
    const plk_view *view = s->view;
    plk_scratch *w = view->scratch;
    s->n = view->compact ? view->n : gather(s, rest);
    s->values = w->ordered;
    s->spare = (float *)(void *)w->spare;
    memcpy(s->values, w->values, s->n * sizeof *s->values);
    pad(s->values, s->n);
    *n = s->n;
    return find_last(s);
}

void plk_view_keep_nearest(plk_view *view, double center, plk_mass mass, double p,
                           uint32_t min_keep)
{
    plk_mass needed = plk_mass_above(p, mass);
    if (needed > mass || (min_keep > 1 && plk_view_n_candidates(view) <= min_keep))
        return;
    uint32_t n;
    search by_mass = {.view = view, .center = center, .needed = needed};
    plk_band prefix = find(&by_mass, plk_mass_value(mass - needed), &n);
    if (min_keep > 1 && count_band(&by_mass, n, &prefix) < min_keep) {
        search by_count = {.view = view, .center = center, .by_count = true, .needed = min_keep};
        prefix = find(&by_count, 0.0, &n);
    }
    keep_band(view, n, &prefix);
}
