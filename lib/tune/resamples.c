/*
 * A bootstrap over rows draws each of n rows a Binomial(n, 1/n) number of times, which tends to
 * Poisson(1); independent Poisson counts need no second look at the rows and no memory for them
 * (Hanley, MacGibbon: Creating non-parametric bootstrap samples using Poisson frequencies, 2006).
 * The root of each resample is interpolated between the betas where its sum changes sign; g rises
 * smoothly, and the nodes are about a standard error apart.
 */
#include "tune/resamples.h"

#include "base/alloc.h"

#include <pluck/rng.h>

#include <math.h>
#include <stdlib.h>

bool plk_resamples_open(plk_resamples *r, uint32_t n, uint64_t seed,
                        const pluck_allocator *allocator)
{
    *r = (plk_resamples){.allocator = *allocator, .n = n, .seed = seed};
    r->g = plk_alloc_zero(allocator, (size_t)n * PLK_RESAMPLE_NODES, sizeof *r->g);
    return r->g != NULL;
}

void plk_resamples_close(plk_resamples *r)
{
    plk_free(&r->allocator, r->g);
    *r = (plk_resamples){0};
}

/* A Poisson(1) number from 32 uniform bits, by inversion: above 12 the probability is below
 * 2^-32. */
static double poisson(uint32_t bits)
{
    double u = ((double)bits + 0.5) * 0x1p-32;
    double term = 0x1.78b56362cef38p-2, sum = term; /* e^-1 */
    int k = 0;
    while (u > sum && k < 12) {
        k++;
        term /= k;
        sum += term;
    }
    return k;
}

void plk_resamples_add(plk_resamples *r, uint64_t row, const double *g)
{
    pluck_pcg64 rng;
    uint64_t bits = 0;
    pluck_pcg64_seed(&rng, r->seed, row, 0);
    for (uint32_t i = 0; i < r->n; i++) {
        bits = i % 2 == 0 ? pluck_pcg64_next(&rng) : bits >> 32;
        double weight = poisson((uint32_t)bits);
        for (size_t k = 0; k < PLK_RESAMPLE_NODES; k++)
            r->g[(size_t)i * PLK_RESAMPLE_NODES + k] += weight * g[k];
    }
}

/* Where g, given at the nodes, is 0; beyond them on the line through the last two. */
static double root_of(const double *betas, const double *g)
{
    size_t i = 0;
    while (i + 2 < PLK_RESAMPLE_NODES && g[i + 1] < 0)
        i++;
    double rise = g[i + 1] - g[i];
    return rise > 0 ? betas[i] - g[i] * (betas[i + 1] - betas[i]) / rise : betas[i];
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double quantile(const double *sorted, uint32_t n, double part)
{
    double at = part * (n - 1);
    uint32_t i = (uint32_t)at;
    uint32_t next = i + 1 < n ? i + 1 : i;
    return sorted[i] + (at - i) * (sorted[next] - sorted[i]);
}

void plk_resamples_interval(plk_resamples *r, const double *betas, double level, double *low,
                            double *high)
{
    for (uint32_t i = 0; i < r->n; i++)
        r->g[i] = root_of(betas, r->g + (size_t)i * PLK_RESAMPLE_NODES);
    qsort(r->g, r->n, sizeof *r->g, ascending);
    *low = quantile(r->g, r->n, (1 - level) / 2);
    *high = quantile(r->g, r->n, (1 + level) / 2);
}
