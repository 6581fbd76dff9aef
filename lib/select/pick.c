/*
 * Compact views: inverse transform over the exact block sums, one uniform.
 *
 * Dense views: exact rejection with lazily refined bounds, at little more than the cost of reading
 * the block maxima. The mass of a block of 64 is at most 64 exp(max of the block): its *weight*. A
 * block is drawn by weight, its exact sum s is computed, and with probability s / weight the draw
 * is accepted and a token picked inside by inverse transform. Otherwise the weight becomes s and
 * the next uniform is tried. Given that a trial accepts, block b was drawn with probability
 * proportional to weight * s / weight = s: exact in every trial, whatever the weights were. Peaked
 * distributions refine the few blocks that matter; when PL_PICK_MAX_TRIALS were not enough (maxima
 * that say little about their blocks), all sums are computed once and one last uniform decides.
 *
 * Weights are grouped by 64 again, so that a draw walks n_blocks / 64 group sums and 64 weights.
 * Source of the idea: rejection from an upper bound that is tightened where it was hit, as in
 * adaptive rejection sampling (Gilks and Wild 1992), on blocks of a discrete distribution.
 */
#include "select/pick.h"

#include "select/mass.h"
#include "select/membership.h"
#include "select/nucleus.h"

#include <math.h>

/* 64 exponentials; above an exact sum by more than all roundings of a block sum together. */
static const float block_bound = 64.0f * (1.0f + 0x1p-20f);

void pl_pick_evaluate(const pl_view *view, uint32_t block, pl_pick_values *out)
{
    float buffer[PL_BLOCK];
    pl_view_exp_values(view, pl_view_block(view, block, buffer), 1, out->e);
    out->sum = 0.0;
    for (uint32_t i = 0; i < PL_BLOCK; i++)
        out->sum += (double)out->e[i];
}

uint32_t pl_pick_find_float(const float *values, uint32_t n, double at, double *rest)
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

uint32_t pl_pick_find_double(const double *values, uint32_t n, double at, double *rest)
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

/* The token inside a block where the fraction lies of the block's mass, 0 <= fraction < 1. */
static pl_pick pick_inside(const pl_view *view, uint32_t block, const pl_pick_values *values,
                           double fraction)
{
    double rest;
    uint32_t i = pl_pick_find_float(values->e, PL_BLOCK, fraction * values->sum, &rest);
    return (pl_pick){.token = pl_view_token(view, block * PL_BLOCK + i),
                     .inside = rest / (double)values->e[i]};
}

/* Inverse transform over exact sums of all blocks. */
static pl_pick pick_by_sums(const pl_view *view, pluck_pcg64 *rng)
{
    const double *sums = view->workspace->block_sums;
    double total = pl_view_normaliser(view);
    double rest;
    uint32_t block =
        pl_pick_find_double(sums, pl_view_n_blocks(view), pluck_pcg64_uniform(rng) * total, &rest);
    pl_pick_values values;
    pl_pick_evaluate(view, block, &values);
    return pick_inside(view, block, &values, rest / sums[block]);
}

uint32_t pl_pick_weigh(const pl_view *view)
{
    pl_workspace *w = view->workspace;
    uint32_t n_groups = (w->n_blocks + PL_BLOCK - 1) / PL_BLOCK;
    pl_view_exp_values(view, w->block_max, n_groups, w->weights);
    for (uint32_t g = 0; g < n_groups; g++) {
        float *weights = w->weights + (size_t)g * PL_BLOCK;
        double sum = 0.0;
        for (uint32_t i = 0; i < PL_BLOCK; i++) {
            weights[i] *= block_bound;
            sum += (double)weights[i];
        }
        w->group_sums[g] = sum;
    }
    return n_groups;
}

static double sum_of(const double *values, uint32_t n)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

static double group_sum(const float *weights)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < PL_BLOCK; i++)
        sum += (double)weights[i];
    return sum;
}

/* One token of a dense view whose blocks have been weighed. */
static pl_pick pick_dense(const pl_view *view, uint32_t n_groups, pluck_pcg64 *rng)
{
    pl_workspace *w = view->workspace;
    for (int trial = 0; trial < PL_PICK_MAX_TRIALS; trial++) {
        double total = sum_of(w->group_sums, n_groups);
        double rest;
        uint32_t g =
            pl_pick_find_double(w->group_sums, n_groups, pluck_pcg64_uniform(rng) * total, &rest);
        float *weights = w->weights + (size_t)g * PL_BLOCK;
        uint32_t i = pl_pick_find_float(weights, PL_BLOCK, rest, &rest);
        uint32_t block = g * PL_BLOCK + i;
        pl_pick_values values;
        pl_pick_evaluate(view, block, &values);
        if (rest < values.sum)
            return pick_inside(view, block, &values, rest / values.sum);
        weights[i] = (float)values.sum;
        w->group_sums[g] = group_sum(weights);
    }
    return pick_by_sums(view, rng);
}

static pl_pick pick_compact(const pl_view *view, pluck_pcg64 *rng)
{
    if (view->n == 1)
        return (pl_pick){.token = view->workspace->ids[0]};
    pl_pick picked = pick_by_sums(view, rng);
    picked.inverse = true;
    return picked;
}

/* Draws from the whole distribution until the token is in the nucleus: what is accepted has the law
 * of the nucleus. */
static pl_pick pick_from_nucleus(pl_view *view, pluck_pcg64 *rng)
{
    uint32_t n_groups = pl_pick_weigh(view);
    pl_nucleus_bounds bounds;
    pl_membership_begin(view, &bounds);
    for (int i = 0; i < PL_PICK_MAX_REJECTED; i++) {
        pl_pick picked = pick_dense(view, n_groups, rng);
        pl_verdict verdict = pl_membership(view, &bounds, picked.token);
        if (verdict == PL_INSIDE)
            return picked;
        if (verdict == PL_OUTSIDE)
            continue;
        pl_view_settle(view);
        return pl_view_stored(view, picked.token) > -INFINITY ? picked : pick_compact(view, rng);
    }
    pl_view_settle(view);
    return pick_compact(view, rng);
}

pl_pick pl_view_pick_where(pl_view *view, pluck_pcg64 *rng)
{
    if (view->compact)
        return pick_compact(view, rng);
    if (view->deferred.p > 0.0)
        return pick_from_nucleus(view, rng);
    return pick_dense(view, pl_pick_weigh(view), rng);
}

uint32_t pl_view_pick(pl_view *view, pluck_pcg64 *rng)
{
    return pl_view_pick_where(view, rng).token;
}
