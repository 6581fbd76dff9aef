/*
 * Quickselect by mass. The values still in question are split at a pivot; the mass of the upper
 * part says on which side the boundary lies, and the search goes on there. What is above is
 * counted and weighed once and never touched again. When few values are left they are sorted.
 *
 * The pivot is a quantile of a sample, weighed by mass from the small end, where the mass is
 * spread over many values and a sample is fair. It aims a little below the boundary and a little
 * above it in turn, so that both ends close in. A sample can mislead: when a split removed less
 * than a quarter, the next pivot halves the range of the values as integers, which ends after 32
 * splits at most.
 *
 * What the search finds is defined by masses over the blocks of the view: the largest logit whose
 * tokens and all better ones have the mass. The sums of what is gathered are made of the same
 * exponentials in other blocks; where one of them is too near the mass to tell, the mass itself
 * decides. So the result does not depend on what was gathered, on pivots or on samples.
 */
#include "select/keep.h"

#include "select/mass.h"

#include <float.h>
#include <math.h>

enum {
    FEW = 64, /* are sorted */
    N_SAMPLE = 64
};

typedef struct search {
    const plk_view *view;
    float *values;
    uint32_t n;
    uint32_t n_above;
    double sum_above; /* of the n_above values that are settled */
    double total;     /* of the values in question and those above */
    plk_mass needed;  /* by the prefix that is looked for */
} search;

/* Whether the tokens down to this logit have the mass; sum is that of their exponentials. */
static bool reaches(const void *context, float value, double sum)
{
    const search *s = context;
    if (plk_mass_is_clear(s->view, sum, s->needed))
        return sum > plk_mass_value(s->needed);
    return plk_view_mass_between(s->view, value, INFINITY) >= s->needed;
}

static void sort_descending(float *values, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        float value = values[i];
        uint32_t j = i;
        for (; j > 0 && values[j - 1] < value; j--)
            values[j] = values[j - 1];
        values[j] = value;
    }
}

static void pad(float *values, uint32_t n)
{
    for (uint32_t i = n; i % PLK_BLOCK != 0; i++)
        values[i] = -INFINITY;
}

/* The sampled value above which about mass - aim * (mass of the rest) lies. */
static float sampled_pivot(const search *s, double aim)
{
    float sample[N_SAMPLE], e[N_SAMPLE];
    for (uint32_t i = 0; i < N_SAMPLE; i++)
        sample[i] = s->values[(uint64_t)i * s->n / N_SAMPLE];
    sort_descending(sample, N_SAMPLE);
    plk_view_exp_values(s->view, sample, 1, e);
    double each = (double)s->n / N_SAMPLE;
    double tail = aim * (s->total - plk_mass_value(s->needed));
    for (uint32_t i = N_SAMPLE; i-- > 1;) {
        tail -= each * (double)e[i];
        if (tail <= 0.0)
            return sample[i];
    }
    return sample[0];
}

/* The middle of the values' range as ordered integers: above the smallest value unless all are
 * equal. */
static float halving_pivot(const search *s)
{
    float low = s->values[0], high = low;
    for (uint32_t i = 1; i < s->n; i++) {
        low = s->values[i] < low ? s->values[i] : low;
        high = s->values[i] > high ? s->values[i] : high;
    }
    uint64_t a = plk_key_of(low, 0) >> 32, b = plk_key_of(high, 0) >> 32;
    return plk_key_logit((a + (b - a + 1) / 2) << 32);
}

/* Splits at the pivot and keeps the side that holds the boundary; returns false if nothing was
 * removed. */
static bool split(search *s, float pivot)
{
    const plk_scratch *w = s->view->scratch;
    const plk_kernels *kernels = s->view->kernels;
    uint32_t n_blocks = (s->n + PLK_BLOCK - 1) / PLK_BLOCK;
    pad(s->values, s->n);
    double upper = plk_view_sum_from(s->view, s->values, n_blocks, pivot);
    uint32_t n_upper = (uint32_t)kernels->count(s->values, n_blocks, pivot);
    uint32_t *unused_ids = w->places;
    uint32_t n_before = s->n;
    if (n_upper == s->n)
        return false;
    if (reaches(s, pivot, s->sum_above + upper)) {
        s->n =
            (uint32_t)kernels->gather(s->values, s->n, pivot, INFINITY, 0, unused_ids, s->values);
        s->total = s->sum_above + upper;
    } else {
        s->n =
            (uint32_t)kernels->gather(s->values, s->n, -FLT_MAX, pivot, 0, unused_ids, s->values);
        s->n_above += n_upper;
        s->sum_above += upper;
    }
    return s->n < n_before;
}

/* The boundary is at this value, which n_equal tokens have; n_above have a larger one. */
static plk_boundary end_at(const search *s, float value, uint32_t n_above, double sum_above,
                           uint32_t n_equal)
{
    plk_band above = {.low = nextafterf(value, INFINITY), .high = INFINITY, .value = value};
    uint32_t n = plk_view_n_equal_kept(s->view, &above, sum_above, s->needed, n_equal);
    return (plk_boundary){value, n_above, n, n == n_equal};
}

/* Sorts what is left and adds up. */
static plk_boundary finish(search *s)
{
    double sums[FEW]; /* down to each value, it included */
    float e[FEW];
    sort_descending(s->values, s->n);
    pad(s->values, s->n);
    plk_view_exp_values(s->view, s->values, 1, e);
    double sum = s->sum_above;
    for (uint32_t i = 0; i < s->n; i++) {
        sum += (double)e[i];
        sums[i] = sum;
    }
    plk_equal_values last = plk_find_reaching(s->values, sums, s->n, reaches, s);
    return end_at(s, s->values[last.first], s->n_above + last.first,
                  last.first > 0 ? sums[last.first - 1] : s->sum_above, last.end - last.first);
}

plk_boundary plk_find_boundary(const plk_view *view, float *values, uint32_t n, double sum,
                               plk_mass needed)
{
    search s = {.view = view, .values = values, .n = n, .total = sum, .needed = needed};
    bool mislead = false;
    for (int round = 0; s.n > FEW; round++) {
        double low_aim = 0.7, high_aim = 1.4;
        uint32_t before = s.n;
        float pivot =
            mislead ? halving_pivot(&s) : sampled_pivot(&s, round % 2 ? high_aim : low_aim);
        if (!split(&s, pivot) && mislead)
            return end_at(&s, s.values[0], s.n_above, s.sum_above, s.n);
        mislead = s.n > before - before / 4;
    }
    return finish(&s);
}
