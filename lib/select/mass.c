/*
 * Block sums come from the kernels in one fixed order and are added in double, block after block:
 * the relative error of a normaliser stays below 4 * 2^-24 whatever the length.
 *
 * Entropy: with d = logit - max, Z = sum of e^d, D = sum of d e^d: H = ln Z - D / Z.
 */
#include "select/mass.h"

#include "simd/scalar_math.h"

#include <float.h>
#include <math.h>

static pl_exponent exponent_of(const pl_view *view)
{
    return pl_exponent_make(view->max, view->scale);
}

/*
 * Whether the kernels' exponential is right for the view's scale. They take x - origin as a float,
 * which may overflow: at 2^-118 and above the exponential is then zero anyway, below it need not
 * be. And they cap the scale at 1e38, which matters only between subnormal logits. Temperatures
 * beyond these bounds are served one value at a time, in double.
 */
static bool kernels_serve(const pl_view *view)
{
    return view->scale >= 0x1p-118 && view->scale <= 1e38;
}

void pl_view_exp_values(const pl_view *view, const float *x, uint32_t n_blocks, float *e)
{
    if (kernels_serve(view)) {
        view->kernels->exp_values(x, n_blocks, exponent_of(view), e);
        return;
    }
    for (uint32_t i = 0; i < n_blocks * PL_BLOCK; i++)
        e[i] = (float)pl_exp(pl_view_below_max(view, x[i]));
}

static void exp_sums(const pl_view *view, const float *x, uint32_t n_blocks, double *sums)
{
    if (kernels_serve(view)) {
        view->kernels->exp_sums(x, n_blocks, exponent_of(view), sums);
        return;
    }
    for (uint32_t b = 0; b < n_blocks; b++) {
        sums[b] = 0.0;
        for (uint32_t i = 0; i < PL_BLOCK; i++)
            sums[b] += pl_exp(pl_view_below_max(view, x[b * PL_BLOCK + i]));
    }
}

/* exp_sums over the values >= threshold alone. */
static void exp_sums_from(const pl_view *view, const float *x, uint32_t n_blocks, float threshold,
                          double *sums)
{
    if (kernels_serve(view)) {
        view->kernels->exp_sums_from(x, n_blocks, exponent_of(view), threshold, sums);
        return;
    }
    for (uint32_t b = 0; b < n_blocks; b++) {
        sums[b] = 0.0;
        for (uint32_t i = 0; i < PL_BLOCK; i++) {
            float stored = x[b * PL_BLOCK + i];
            sums[b] += stored >= threshold ? pl_exp(pl_view_below_max(view, stored)) : 0.0;
        }
    }
}

/* dots: of the exponentials with stored logit - max. */
static void exp_dots(const pl_view *view, const float *x, uint32_t n_blocks, double *sums,
                     double *dots)
{
    if (kernels_serve(view)) {
        view->kernels->exp_dots(x, n_blocks, exponent_of(view), sums, dots);
        return;
    }
    for (uint32_t b = 0; b < n_blocks; b++) {
        sums[b] = dots[b] = 0.0;
        for (uint32_t i = 0; i < PL_BLOCK; i++) {
            float stored = x[b * PL_BLOCK + i];
            double e = pl_exp(pl_view_below_max(view, stored));
            sums[b] += e;
            dots[b] += e > 0.0 ? e * ((double)stored - (double)view->max) : 0.0;
        }
    }
}

double pl_view_normaliser(const pl_view *view)
{
    double *sums = view->workspace->block_sums;
    double total = 0.0;
    pl_run run;
    pl_run_begin(&run, view);
    while (pl_run_next(&run)) {
        double *run_sums = sums + run.first_block;
        exp_sums(view, run.x, run.n_blocks, run_sums);
        for (uint32_t b = 0; b < run.n_blocks; b++)
            total += run_sums[b];
    }
    return total;
}

double pl_view_mass_from(const pl_view *view, const float *x, uint32_t n_blocks, float threshold)
{
    enum { STEP = 64 };
    double sums[STEP], total = 0.0;
    for (uint32_t first = 0; first < n_blocks; first += STEP) {
        uint32_t n = n_blocks - first < STEP ? n_blocks - first : STEP;
        exp_sums_from(view, x + (size_t)first * PL_BLOCK, n, threshold, sums);
        for (uint32_t b = 0; b < n; b++)
            total += sums[b];
    }
    return total;
}

double pl_view_mass_of(const pl_view *view, const float *x, uint32_t n_blocks)
{
    return pl_view_mass_from(view, x, n_blocks, -FLT_MAX);
}

double pl_view_entropy(const pl_view *view, double *normaliser)
{
    enum { STEP = 64 };
    double sums[STEP], dots[STEP];
    double total = 0.0, dot = 0.0;
    pl_run run;
    pl_run_begin(&run, view);
    while (pl_run_next(&run)) {
        for (uint32_t first = 0; first < run.n_blocks; first += STEP) {
            uint32_t n = run.n_blocks - first < STEP ? run.n_blocks - first : STEP;
            const float *x = run.x + (size_t)first * PL_BLOCK;
            exp_dots(view, x, n, sums, dots);
            for (uint32_t b = 0; b < n; b++) {
                total += sums[b];
                dot += dots[b];
            }
        }
    }
    *normaliser = total;
    double entropy = pl_log(total) - view->scale * dot / total;
    return entropy > 0.0 ? entropy : 0.0;
}

uint32_t pl_view_count(const pl_view *view)
{
    /* ln of half the smallest positive double: below it exp rounds to zero. */
    const double least = -0x1.74910d52d3052p+9;
    double threshold = (double)view->max + least / view->scale;
    float at_least = threshold > -(double)FLT_MAX ? (float)threshold : -FLT_MAX;
    if ((double)at_least < threshold)
        at_least = nextafterf(at_least, INFINITY);
    size_t n = 0;
    pl_run run;
    pl_run_begin(&run, view);
    while (pl_run_next(&run))
        n += view->kernels->count(run.x, run.n_blocks, at_least);
    return (uint32_t)n;
}

double pl_view_below_max(const pl_view *view, float stored)
{
    return view->scale * ((double)stored - (double)view->max);
}
