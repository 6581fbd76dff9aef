/*
 * Compact views: inverse transform over the exact block sums, one uniform.
 *
 * Dense views: exact rejection with lazily refined bounds, at little more than the cost of reading
 * the block maxima. The mass of a block of 64 is at most 64 exp(max of the block): its *weight*. A
 * block is drawn by weight, its exact sum s is computed, and with probability s / weight the draw
 * is accepted and a token picked inside by inverse transform. Otherwise the weight becomes s and
 * the next uniform is tried. Given that a trial accepts, block b was drawn with probability
 * proportional to weight * s / weight = s: exact in every trial, whatever the weights were. Peaked
 * distributions refine the few blocks that matter; when MAX_TRIALS were not enough (maxima that
 * say little about their blocks), all sums are computed once and one last uniform decides.
 *
 * Weights are grouped by 64 again, so that a draw walks n_blocks / 64 group sums and 64 weights.
 * Source of the idea: rejection from an upper bound that is tightened where it was hit, as in
 * adaptive rejection sampling (Gilks and Wild 1992), on blocks of a discrete distribution.
 */
#include "select/pick.h"

#include "select/block_weights.h"
#include "select/mass.h"
#include "select/membership.h"
#include "select/nucleus.h"

#include <math.h>

enum {
    MAX_TRIALS = 48,
    MAX_REJECTED = 8 /* tokens outside a deferred nucleus before it is cut out after all */
};

typedef struct block_values {
    float e[PL_BLOCK];
    double sum;
} block_values;

static void evaluate_block(const pl_view *view, uint32_t block, block_values *out)
{
    float buffer[PL_BLOCK];
    pl_view_exp_values(view, pl_view_block(view, block, buffer), 1, out->e);
    out->sum = 0.0;
    for (uint32_t i = 0; i < PL_BLOCK; i++)
        out->sum += (double)out->e[i];
}

/* The token inside a block where the fraction lies of the block's mass, 0 <= fraction < 1. */
static uint32_t pick_inside(const pl_view *view, uint32_t block, const block_values *values,
                            double fraction)
{
    double rest;
    uint32_t i = pl_find_float(values->e, PL_BLOCK, fraction * values->sum, &rest);
    return pl_view_token(view, block * PL_BLOCK + i);
}

/* Inverse transform over exact sums of all blocks. */
static uint32_t pick_by_sums(const pl_view *view, pluck_pcg64 *rng)
{
    const double *sums = view->workspace->block_sums;
    double total = pl_view_normaliser(view);
    double rest;
    uint32_t block =
        pl_find_double(sums, pl_view_n_blocks(view), pluck_pcg64_uniform(rng) * total, &rest);
    block_values values;
    evaluate_block(view, block, &values);
    return pick_inside(view, block, &values, rest / sums[block]);
}

/* One token of a dense view whose blocks have been weighed. */
static uint32_t pick_dense(const pl_view *view, uint32_t n_groups, pluck_pcg64 *rng)
{
    pl_workspace *w = view->workspace;
    for (int trial = 0; trial < MAX_TRIALS; trial++) {
        double total = pl_sum_of(w->group_sums, n_groups);
        double rest;
        uint32_t g =
            pl_find_double(w->group_sums, n_groups, pluck_pcg64_uniform(rng) * total, &rest);
        float *weights = w->weights + (size_t)g * PL_BLOCK;
        uint32_t i = pl_find_float(weights, PL_BLOCK, rest, &rest);
        uint32_t block = g * PL_BLOCK + i;
        block_values values;
        evaluate_block(view, block, &values);
        if (rest < values.sum)
            return pick_inside(view, block, &values, rest / values.sum);
        weights[i] = (float)values.sum;
        w->group_sums[g] = pl_group_sum(weights);
    }
    return pick_by_sums(view, rng);
}

static uint32_t pick_compact(const pl_view *view, pluck_pcg64 *rng)
{
    return view->n == 1 ? view->workspace->ids[0] : pick_by_sums(view, rng);
}

/* Draws from the whole distribution until the token is in the nucleus: what is accepted has the law
 * of the nucleus. */
static uint32_t pick_from_nucleus(pl_view *view, pluck_pcg64 *rng)
{
    uint32_t n_groups = pl_weigh_blocks(view, view->workspace->n_blocks);
    pl_nucleus_bounds bounds;
    pl_membership_begin(view, &bounds);
    for (int i = 0; i < MAX_REJECTED; i++) {
        uint32_t token = pick_dense(view, n_groups, rng);
        pl_verdict verdict = pl_membership(view, &bounds, token);
        if (verdict == PL_INSIDE)
            return token;
        if (verdict == PL_OUTSIDE)
            continue;
        pl_view_settle(view);
        return pl_view_stored(view, token) > -INFINITY ? token : pick_compact(view, rng);
    }
    pl_view_settle(view);
    return pick_compact(view, rng);
}

uint32_t pl_view_pick(pl_view *view, pluck_pcg64 *rng)
{
    if (view->compact)
        return pick_compact(view, rng);
    if (view->deferred.p > 0.0)
        return pick_from_nucleus(view, rng);
    return pick_dense(view, pl_weigh_blocks(view, view->workspace->n_blocks), rng);
}
