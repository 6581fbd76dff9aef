/*
 * Compact views: inverse transform over the exact block sums, one uniform.
 *
 * Dense views: exact rejection with lazily refined bounds, at little more than the cost of reading
 * the block maxima. The mass of a block of 64 is at most 64 exp(max of the block): its *weight*. A
 * block is drawn by weight, its exact sum s is computed, and with probability s / weight the draw
 * is accepted and a token picked inside by inverse transform. Otherwise the weight becomes s and
 * the next uniform is tried. Given that a trial accepts, block b was drawn with probability
 * proportional to weight * s / weight = s: exact in every trial, whatever the weights were. Peaked
 * distributions refine the few blocks that matter. Where maxima say little about their blocks there
 * are many trials; when they have cost about as much as the sums of all blocks, these are computed,
 * and one last uniform decides.
 *
 * Weights are grouped by 64 again, so that a draw walks n_blocks / 64 group sums and 64 weights;
 * the weights of a group are computed when a trial first enters it. A group's sum comes from a
 * kernel of its own, its weights are floats: the two agree to 2^-22, which is how exactly a block
 * is drawn by weight. Refining moves a group's sum and the total by the difference; each such step
 * may leave 2^-53 of the first total behind.
 * Source of the idea: rejection from an upper bound that is tightened where it was hit, as in
 * adaptive rejection sampling (Gilks and Wild 1992), on blocks of a discrete distribution.
 */
#include "select/pick.h"

#include "select/keep.h"
#include "select/mass.h"
#include "select/share.h"

#include <math.h>
#include <string.h>

/* 64 exponentials; above an exact sum by more than all roundings of a block sum together. */
static const float block_bound = 64.0f * (1.0f + 0x1p-20f);

uint32_t plk_pick_max_trials(const plk_view *view)
{
    uint32_t least = 48, blocks_a_trial = 16;
    uint32_t n = view->scratch->n_blocks / blocks_a_trial;
    return n > least ? n : least;
}

double plk_pick_block_sum(const plk_view *view, uint32_t block)
{
    float buffer[PLK_BLOCK];
    double sum;
    plk_view_exp_sums(view, plk_view_block(view, block, buffer), 1, &sum);
    return sum;
}

void plk_pick_exponentials(const plk_view *view, uint32_t block, float *e)
{
    float buffer[PLK_BLOCK];
    plk_view_exp_values(view, plk_view_block(view, block, buffer), 1, e);
}

uint32_t plk_pick_find_float(const float *values, uint32_t n, double at, double *rest)
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

uint32_t plk_pick_find_double(const double *values, uint32_t n, double at, double *rest)
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

/* A block that a draw looks into: its exponentials, of which the first n can be positive. */
typedef struct looked_into {
    uint32_t block;
    uint32_t n;
    double sum;
    float e[PLK_BLOCK];
} looked_into;

/* The sum alone where the block may be another rank's. */
static void look_into(const plk_view *view, uint32_t block, looked_into *in)
{
    if (view->share) {
        *in = (looked_into){.block = block, .sum = view->share->block_sums[block]};
        return;
    }
    float buffer[PLK_BLOCK];
    const float *x = plk_view_part(view, block, buffer, &in->n);
    in->block = block;
    in->sum = plk_view_exp_block(view, x, in->n, in->e);
}

/* The token where the fraction lies of the block's mass, 0 <= fraction < 1. */
static plk_pick pick_inside(const plk_view *view, const looked_into *in, double fraction)
{
    double rest;
    if (view->share)
        return (plk_pick){.token = plk_share_pick_inside(view, in->block, fraction)};
    uint32_t i = plk_pick_find_float(in->e, in->n, fraction * in->sum, &rest);
    return (plk_pick){.token = plk_view_token(view, in->block * PLK_BLOCK + i),
                      .inside = rest / (double)in->e[i]};
}

/* Inverse transform over the sums of all blocks in double: also of those that have no mass. */
static plk_pick pick_by_sums(const plk_view *view, pluck_pcg64 *rng)
{
    const double *sums = view->share ? view->share->block_sums : view->scratch->block_sums;
    uint32_t n_blocks = plk_view_n_summed(view);
    double total = 0.0;
    if (!view->share)
        (void)plk_view_block_sums(view);
    for (uint32_t b = 0; b < n_blocks; b++)
        total += sums[b];
    double rest;
    looked_into in;
    uint32_t block = plk_pick_find_double(sums, n_blocks, pluck_pcg64_uniform(rng) * total, &rest);
    look_into(view, block, &in);
    return pick_inside(view, &in, rest / in.sum);
}

uint32_t plk_pick_weigh_groups(const plk_view *view)
{
    plk_scratch *w = view->scratch;
    uint32_t n_groups = (w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK;
    plk_view_exp_sums(view, w->block_max, n_groups, w->group_sums);
    for (uint32_t g = 0; g < n_groups; g++)
        w->group_sums[g] *= (double)block_bound;
    return n_groups;
}

void plk_pick_weigh(const plk_view *view, uint32_t group, float *weights)
{
    const float *maxima = view->scratch->block_max + (size_t)group * PLK_BLOCK;
    plk_view_exp_values(view, maxima, 1, weights);
    for (uint32_t i = 0; i < PLK_BLOCK; i++)
        weights[i] *= block_bound;
}

/* The weights of a draw. Those of a group are in the scratch memory once it has been seen. */
typedef struct block_weights {
    uint32_t n_groups;
    double total;
    uint64_t seen[PLUCK_MAX_VOCAB / PLK_BLOCK / PLK_BLOCK / 64];
} block_weights;

static void begin_weights(const plk_view *view, block_weights *weights)
{
    weights->n_groups = plk_pick_weigh_groups(view);
    weights->total = 0.0;
    for (uint32_t g = 0; g < weights->n_groups; g++)
        weights->total += view->scratch->group_sums[g];
    memset(weights->seen, 0, (weights->n_groups + 63) / 64 * sizeof *weights->seen);
}

static float *weights_of(const plk_view *view, block_weights *weights, uint32_t group)
{
    float *of = view->scratch->weights + (size_t)group * PLK_BLOCK;
    uint64_t *seen = weights->seen + group / 64;
    uint64_t bit = (uint64_t)1 << group % 64;
    if (!(*seen & bit))
        plk_pick_weigh(view, group, of);
    *seen |= bit;
    return of;
}

/* One token of a dense view. */
static plk_pick pick_dense(const plk_view *view, block_weights *weights, pluck_pcg64 *rng)
{
    double *group_sums = view->scratch->group_sums;
    looked_into in;
    for (uint32_t trial = plk_pick_max_trials(view); trial > 0; trial--) {
        double rest;
        uint32_t g = plk_pick_find_double(group_sums, weights->n_groups,
                                          pluck_pcg64_uniform(rng) * weights->total, &rest);
        float *of_group = weights_of(view, weights, g);
        uint32_t i = plk_pick_find_float(of_group, PLK_BLOCK, rest, &rest);
        look_into(view, g * PLK_BLOCK + i, &in);
        if (rest < in.sum)
            return pick_inside(view, &in, rest / in.sum);
        double change = (double)(float)in.sum - (double)of_group[i];
        of_group[i] = (float)in.sum;
        group_sums[g] += change;
        weights->total += change;
    }
    return pick_by_sums(view, rng);
}

/*
 * pick_dense() where there is one block: whatever it finds by searching is known, and the one
 * weight is the total. The maximum's own exponential is 1, so that the first weight is block_bound;
 * the float of the sum replaces it exactly.
 */
static plk_pick pick_one_block(const plk_view *view, pluck_pcg64 *rng)
{
    looked_into in;
    look_into(view, 0, &in);
    double weight = (double)block_bound;
    for (uint32_t trial = plk_pick_max_trials(view); trial > 0; trial--) {
        double at = pluck_pcg64_uniform(rng) * weight;
        double rest = at < weight ? at : 0.0;
        if (rest < in.sum)
            return pick_inside(view, &in, rest / in.sum);
        weight = (double)(float)in.sum;
    }
    double at = pluck_pcg64_uniform(rng) * in.sum;
    return pick_inside(view, &in, (at < in.sum ? at : 0.0) / in.sum);
}

static plk_pick pick_compact(const plk_view *view, pluck_pcg64 *rng)
{
    if (view->n == 1)
        return (plk_pick){.token = view->scratch->ids[0]};
    plk_pick picked = pick_by_sums(view, rng);
    picked.inverse = true;
    return picked;
}

bool plk_in_nucleus(const plk_view *dense, const plk_view *view, plk_nucleus_bounds *bounds,
                    uint32_t token)
{
    return view->deferred.p > 0.0 ? plk_membership(dense, bounds, token)
                                  : plk_view_stored(view, token) > -INFINITY;
}

static plk_pick pick_from_nucleus(const plk_view *dense, plk_view *view, pluck_pcg64 *rng)
{
    block_weights weights;
    plk_nucleus_bounds bounds = {0};
    if (dense->share && !plk_share_find_blocks(dense))
        return (plk_pick){.token = 0};
    begin_weights(dense, &weights);
    if (view->deferred.p > 0.0)
        plk_nucleus_bounds_init(dense, &bounds);
    for (int i = 0; i < PLK_PICK_MAX_REJECTED; i++) {
        plk_pick picked = pick_dense(dense, &weights, rng);
        if (plk_in_nucleus(dense, view, &bounds, picked.token))
            return picked;
    }
    plk_view_settle(view);
    return pick_compact(view, rng);
}

uint32_t plk_view_pick_nucleus(const plk_view *dense, plk_view *view, pluck_pcg64 *rng)
{
    return dense->is_race ? plk_view_race_nucleus(dense, view)
                          : pick_from_nucleus(dense, view, rng).token;
}

uint32_t plk_view_pick_inside(const plk_view *view, uint32_t block, double fraction)
{
    plk_view own = *view;
    looked_into in;
    own.share = NULL;
    look_into(&own, block, &in);
    return pick_inside(&own, &in, fraction).token;
}

plk_pick plk_view_pick_where(plk_view *view, pluck_pcg64 *rng)
{
    plk_view dense = *view;
    block_weights weights;
    if (view->is_race && view->deferred.p > 0.0)
        return (plk_pick){.token = plk_view_race_nucleus(&dense, view)};
    if (view->is_race && view->share)
        return (plk_pick){.token = plk_share_ask(view, PLK_ASKS_RACE)->arrival.token};
    if (view->is_race)
        return (plk_pick){.token = plk_view_race(view, NULL, 0).token};
    if (view->compact)
        return pick_compact(view, rng);
    if (view->deferred.p > 0.0)
        return pick_from_nucleus(&dense, view, rng);
    if (view->share && !plk_share_find_blocks(view))
        return (plk_pick){.token = 0};
    if (view->scratch->n_blocks == 1 && !view->share)
        return pick_one_block(view, rng);
    begin_weights(view, &weights);
    return pick_dense(view, &weights, rng);
}

uint32_t plk_view_pick(plk_view *view, pluck_pcg64 *rng)
{
    return plk_view_pick_where(view, rng).token;
}
