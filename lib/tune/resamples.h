/*
 * How much the solution of mean g(beta) = 0 varies with the rows that happened to be there.
 */
#ifndef PLK_RESAMPLES_H
#define PLK_RESAMPLES_H

#include <pluck/base.h>

#include <stdbool.h>
#include <stdint.h>

#define PLK_RESAMPLE_NODES 9

/* Weighted sums of g at a few betas in each resample, in constant memory. */
typedef struct plk_resamples {
    pluck_allocator allocator;
    uint32_t n;
    uint64_t seed;
    double *g; /* PLK_RESAMPLE_NODES a resample */
} plk_resamples;

/* Returns false when memory is short; plk_resamples_close() is due in any case. */
bool plk_resamples_open(plk_resamples *r, uint32_t n, uint64_t seed,
                        const pluck_allocator *allocator);
void plk_resamples_close(plk_resamples *r);

/* A row with its g at each node, counted a Poisson(1) number of times in each resample: what it
 * counts depends on (seed, row, resample) alone. */
void plk_resamples_add(plk_resamples *r, uint64_t row, const double *g);

/* The interval of the root with equal tails and this level, interpolated between resamples; betas:
 * the nodes, ascending. Overwrites the sums; n >= 1. */
void plk_resamples_interval(plk_resamples *r, const double *betas, double level, double *low,
                            double *high);

#endif
