/*
 * Weights of blocks for drawing by rejection (pick.c): upper bounds of their sums, in groups of 64
 * whose sums are kept too, so that a draw walks n_blocks / 64 sums and 64 weights.
 */
#ifndef PL_BLOCK_WEIGHTS_H
#define PL_BLOCK_WEIGHTS_H

#include "select/mass.h"

/* 64 exponentials; above an exact sum by more than all roundings of a block sum together. */
static const float pl_block_bound = 64.0f * (1.0f + 0x1p-20f);

/* The first index of values whose cumulated sum exceeds at; the last positive one if rounding
 * leaves at beyond their end. *rest is what is left of at inside that value. */
static inline uint32_t pl_find_float(const float *values, uint32_t n, double at, double *rest)
{
    uint32_t last = 0;
    double before = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        double after = before + (double)values[i];
        if (at < after) {
            *rest = at - before;
            return i;
        }
        if (values[i] > 0.0f)
            last = i;
        before = after;
    }
    *rest = 0.0;
    return last;
}

static inline uint32_t pl_find_double(const double *values, uint32_t n, double at, double *rest)
{
    uint32_t last = 0;
    double before = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        double after = before + values[i];
        if (at < after) {
            *rest = at - before;
            return i;
        }
        if (values[i] > 0.0)
            last = i;
        before = after;
    }
    *rest = 0.0;
    return last;
}

/* Weights of the first n_blocks blocks, from their maxima, and the sums of their groups; returns
 * how many groups there are. */
static inline uint32_t pl_weigh_blocks(const pl_view *view, uint32_t n_blocks)
{
    pl_workspace *w = view->workspace;
    uint32_t n_groups = (n_blocks + PL_BLOCK - 1) / PL_BLOCK;
    pl_view_exp_values(view, w->block_max, n_groups, w->weights);
    for (uint32_t g = 0; g < n_groups; g++) {
        float *weights = w->weights + (size_t)g * PL_BLOCK;
        double sum = 0.0;
        for (uint32_t i = 0; i < PL_BLOCK; i++) {
            weights[i] *= pl_block_bound;
            sum += (double)weights[i];
        }
        w->group_sums[g] = sum;
    }
    return n_groups;
}

static inline double pl_sum_of(const double *values, uint32_t n)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

static inline double pl_group_sum(const float *weights)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < PL_BLOCK; i++)
        sum += (double)weights[i];
    return sum;
}

#endif
