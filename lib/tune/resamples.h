/*
 * How much the solution of mean g(beta) = 0 varies with the rows that happened to be there.
 */
#ifndef PL_RESAMPLES_H
#define PL_RESAMPLES_H

#include <pluck/base.h>

#include <stdbool.h>
#include <stdint.h>

#define PL_RESAMPLE_NODES 9

/* Weighted sums of g at a few betas in each resample, in constant memory. */
typedef struct pl_resamples {
    pluck_allocator allocator;
    uint32_t n;
    uint64_t seed;
    double *g; /* PL_RESAMPLE_NODES a resample */
} pl_resamples;

/* Returns false when memory is short; pl_resamples_close() is due in any case. */
bool pl_resamples_open(pl_resamples *r, uint32_t n, uint64_t seed,
                       const pluck_allocator *allocator);
void pl_resamples_close(pl_resamples *r);

/* A row with its g at each node, counted a Poisson(1) number of times in each resample: what it
 * counts depends on (seed, row, resample) alone. */
void pl_resamples_add(pl_resamples *r, uint64_t row, const double *g);

/* The interval of the root with equal tails and this level, interpolated between resamples; betas:
 * the nodes, ascending. Overwrites the sums; n >= 1. */
void pl_resamples_interval(pl_resamples *r, const double *betas, double level, double *low,
                           double *high);

#endif
