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
    double mass_above; /* of the n_above values that are settled */
    double mass;       /* of the prefix that is looked for */
    double total;      /* of the values in question and those above */
} search;

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
    double tail = aim * (s->total - s->mass);
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
    double upper = plk_view_mass_from(s->view, s->values, n_blocks, pivot);
    uint32_t n_upper = (uint32_t)kernels->count(s->values, n_blocks, pivot);
    uint32_t *unused_ids = w->places;
    uint32_t n_before = s->n;
    if (n_upper == s->n)
        return false;
    if (s->mass_above + upper >= s->mass) {
        s->n =
            (uint32_t)kernels->gather(s->values, s->n, pivot, INFINITY, 0, unused_ids, s->values);
        s->total = s->mass_above + upper;
    } else {
        s->n =
            (uint32_t)kernels->gather(s->values, s->n, -FLT_MAX, pivot, 0, unused_ids, s->values);
        s->n_above += n_upper;
        s->mass_above += upper;
    }
    return s->n < n_before;
}

/* All n values are equal: how many of them the prefix takes. */
static plk_boundary all_equal(const search *s)
{
    float x[PLK_BLOCK], e[PLK_BLOCK];
    for (uint32_t i = 0; i < PLK_BLOCK; i++)
        x[i] = s->values[0];
    plk_view_exp_values(s->view, x, 1, e);
    double wanted = (s->mass - s->mass_above) / (double)e[0];
    uint32_t n_equal = wanted < (double)s->n ? (uint32_t)ceil(wanted) : s->n;
    n_equal = n_equal != 0 ? n_equal : 1;
    return (plk_boundary){s->values[0], s->n_above, n_equal, n_equal == s->n};
}

/* Sorts what is left and adds up. */
static plk_boundary finish(search *s)
{
    sort_descending(s->values, s->n);
    pad(s->values, s->n);
    double sum = s->mass_above;
    uint32_t last = s->n - 1;
    for (uint32_t first = 0; first < s->n; first += PLK_BLOCK) {
        float e[PLK_BLOCK];
        plk_view_exp_values(s->view, s->values + first, 1, e);
        for (uint32_t i = 0; i < PLK_BLOCK && first + i < s->n; i++) {
            sum += (double)e[i];
            if (sum >= s->mass) {
                last = first + i;
                first = s->n;
                break;
            }
        }
    }
    uint32_t above = last;
    while (above > 0 && s->values[above - 1] == s->values[last])
        above--;
    bool whole = last + 1 == s->n || s->values[last + 1] < s->values[last];
    return (plk_boundary){s->values[last], s->n_above + above, last - above + 1, whole};
}

plk_boundary plk_find_boundary(const plk_view *view, float *values, uint32_t n, double mass)
{
    search s = {.view = view, .values = values, .n = n, .mass = mass};
    pad(values, n);
    s.total = plk_view_mass_of(view, values, (n + PLK_BLOCK - 1) / PLK_BLOCK);
    bool mislead = false;
    for (int round = 0; s.n > FEW; round++) {
        double low_aim = 0.7, high_aim = 1.4;
        uint32_t before = s.n;
        float pivot =
            mislead ? halving_pivot(&s) : sampled_pivot(&s, round % 2 ? high_aim : low_aim);
        if (!split(&s, pivot) && mislead)
            return all_equal(&s);
        mislead = s.n > before - before / 4;
    }
    return finish(&s);
}
