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

pl_exponent pl_view_exponent(const pl_view *view)
{
    return pl_exponent_make(view->max, view->scale);
}

double pl_view_normaliser(const pl_view *view)
{
    double *sums = view->workspace->block_sums;
    pl_exponent exponent = pl_view_exponent(view);
    double total = 0.0;
    pl_run run;
    pl_run_begin(&run, view);
    while (pl_run_next(&run)) {
        double *run_sums = sums + run.first_block;
        view->kernels->exp_sums(run.x, run.n_blocks, exponent, run_sums);
        for (uint32_t b = 0; b < run.n_blocks; b++)
            total += run_sums[b];
    }
    return total;
}

double pl_view_entropy(const pl_view *view, double *normaliser)
{
    enum { STEP = 64 };
    double sums[STEP], dots[STEP];
    pl_exponent exponent = pl_view_exponent(view);
    double total = 0.0, dot = 0.0;
    pl_run run;
    pl_run_begin(&run, view);
    while (pl_run_next(&run)) {
        for (uint32_t first = 0; first < run.n_blocks; first += STEP) {
            uint32_t n = run.n_blocks - first < STEP ? run.n_blocks - first : STEP;
            const float *x = run.x + (size_t)first * PL_BLOCK;
            view->kernels->exp_dots(x, n, exponent, sums, dots);
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
