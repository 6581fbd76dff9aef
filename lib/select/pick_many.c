/*
 * The draw of pick.c, token for token, from tables that are filled in as draws need them.
 *
 * A draw is a function of its random numbers: this must stay so, because draw i of many is the draw
 * at position i. Stored distributions that map random numbers to tokens in another way (alias
 * tables, trees) are therefore not for here. What every draw repeats is kept instead: the weights
 * that all of them start from, the exponentials of the blocks they look into, and the sums of all
 * blocks if some draw needs them. Each is stored as cumulated sums, added in the order in which
 * pick.c adds them, so that its linear searches become binary ones with the same result to the last
 * bit: the first index whose cumulated sum exceeds the target is the same number however it is
 * found. Where rounding leaves a target beyond the end, pick.c's own search decides.
 *
 * A rejected trial refines a weight, for the rest of its draw alone. It then works on copies: of
 * the one group of weights, made when the group first changes in a draw (changed holds the number
 * of that draw, so that nothing has to be undone), and of the sums over groups.
 *
 * A nucleus. membership.c judges a token; its decision is remembered for the token, and since the
 * nucleus holds all tokens that are better than one of its own, one threshold serves all that are
 * inside. When the nucleus itself is needed it is cut out once, into arrays that no dense view
 * reads.
 */
#include "select/pick.h"

#include "select/keep.h"
#include "select/mass.h"

#include <math.h>
#include <string.h>

/* The first index whose cumulated sum exceeds at; n if there is none. */
static uint32_t search(const double *cumulated, uint32_t n, double at)
{
    const double *from = cumulated;
    while (n > 1) {
        uint32_t half = n / 2;
        from += from[half - 1] <= at ? half : 0;
        n -= half;
    }
    return (uint32_t)(from - cumulated) + (*from <= at);
}

static double before(const double *cumulated, uint32_t i)
{
    return i > 0 ? cumulated[i - 1] : 0.0;
}

/* Blocks */

static void begin_blocks(plk_pick_blocks *blocks, const plk_view *view, void *cumulated,
                         double *arrays, size_t n_maxima)
{
    *blocks = (plk_pick_blocks){.view = *view,
                                .cumulated = cumulated,
                                .totals = arrays,
                                .sums = arrays + n_maxima,
                                .reach = arrays + 2 * n_maxima};
    for (uint32_t b = 0; b < plk_view_n_blocks(view); b++)
        blocks->totals[b] = -1.0;
}

static void evaluate(plk_pick_blocks *blocks, uint32_t block)
{
    if (blocks->totals[block] >= 0.0)
        return;
    float e[PLK_BLOCK];
    plk_pick_exponentials(&blocks->view, block, e);
    double *cumulated = blocks->cumulated + (size_t)block * PLK_BLOCK;
    double sum = 0.0;
    for (uint32_t i = 0; i < PLK_BLOCK; i++) {
        sum += (double)e[i];
        cumulated[i] = sum;
    }
    blocks->totals[block] = plk_pick_block_sum(&blocks->view, block);
}

/* The token inside an evaluated block where the fraction lies of its mass. */
static uint32_t pick_inside(const plk_pick_blocks *blocks, uint32_t block, double fraction)
{
    double at = fraction * blocks->totals[block];
    uint32_t i = search(blocks->cumulated + (size_t)block * PLK_BLOCK, PLK_BLOCK, at);
    if (i == PLK_BLOCK) {
        float e[PLK_BLOCK];
        double rest;
        plk_pick_exponentials(&blocks->view, block, e);
        i = plk_pick_find_float(e, PLK_BLOCK, at, &rest);
    }
    return plk_view_token(&blocks->view, block * PLK_BLOCK + i);
}

static void add_up_blocks(plk_pick_blocks *blocks)
{
    uint32_t n = plk_view_n_blocks(&blocks->view);
    (void)plk_view_block_sums(&blocks->view);
    memcpy(blocks->sums, blocks->view.scratch->block_sums, n * sizeof *blocks->sums);
    double sum = 0.0;
    for (uint32_t b = 0; b < n; b++) {
        sum += blocks->sums[b];
        blocks->reach[b] = sum;
    }
    blocks->has_sums = true;
}

static uint32_t pick_by_sums(plk_pick_blocks *blocks, pluck_pcg64 *rng)
{
    if (!blocks->has_sums)
        add_up_blocks(blocks);
    uint32_t n = plk_view_n_blocks(&blocks->view);
    double at = pluck_pcg64_uniform(rng) * blocks->reach[n - 1];
    double rest;
    uint32_t block = search(blocks->reach, n, at);
    if (block < n)
        rest = at - before(blocks->reach, block);
    else
        block = plk_pick_find_double(blocks->sums, n, at, &rest);
    evaluate(blocks, block);
    return pick_inside(blocks, block, rest / blocks->sums[block]);
}

/* Weights */

static void begin_weights(plk_pick_weights *weights, const plk_view *view, double *arrays,
                          size_t n_maxima)
{
    double *groups = arrays + 3 * n_maxima;
    uint32_t n = plk_pick_weigh_groups(view);
    *weights = (plk_pick_weights){.n_groups = n,
                                  .reach = arrays,
                                  .now_reach = arrays + n_maxima,
                                  .now = (float *)(void *)(arrays + 2 * n_maxima),
                                  .group_reach = groups,
                                  .now_group_reach = groups + n,
                                  .now_group_sums = groups + 2 * (size_t)n,
                                  .changed = (uint64_t *)(void *)(groups + 3 * (size_t)n),
                                  .seen = (uint64_t *)(void *)(groups + 4 * (size_t)n)};
    double sum = 0.0;
    for (uint32_t g = 0; g < n; g++) {
        sum += view->scratch->group_sums[g];
        weights->group_reach[g] = sum;
    }
    memset(weights->changed, 0, 2 * n * sizeof *weights->changed);
}

/* Cumulated sums of values[first .. 63], behind those that are there. */
static void cumulate(const float *values, uint32_t first, double *cumulated)
{
    double sum = before(cumulated, first);
    for (uint32_t i = first; i < PLK_BLOCK; i++) {
        sum += (double)values[i];
        cumulated[i] = sum;
    }
}

/* The weights of a group as they are now, and their cumulated sums. */
static const double *reach_of(plk_pick_weights *weights, const plk_view *view, uint32_t group,
                              const float **values)
{
    const plk_scratch *w = view->scratch;
    size_t first = (size_t)group * PLK_BLOCK;
    *values = w->weights + first;
    if (weights->changed[group] == weights->draw) {
        *values = weights->now + first;
        return weights->now_reach + first;
    }
    if (weights->seen[group] == 0) {
        plk_pick_weigh(view, group, w->weights + first);
        cumulate(*values, 0, weights->reach + first);
        weights->seen[group] = 1;
    }
    return weights->reach + first;
}

static uint32_t find_group(const plk_pick_weights *weights, const plk_scratch *w, double uniform,
                           double *rest)
{
    const double *reach = weights->refined ? weights->now_group_reach : weights->group_reach;
    double at = uniform * weights->total;
    uint32_t group = search(reach, weights->n_groups, at);
    if (group < weights->n_groups) {
        *rest = at - before(reach, group);
        return group;
    }
    return plk_pick_find_double(weights->refined ? weights->now_group_sums : w->group_sums,
                                weights->n_groups, at, rest);
}

/* The weight of a block becomes what its sum turned out to be. */
static void refine(plk_pick_weights *weights, const plk_scratch *w, uint32_t block, double sum)
{
    uint32_t group = block / PLK_BLOCK, n = weights->n_groups;
    size_t first = (size_t)group * PLK_BLOCK;
    if (!weights->refined) {
        memcpy(weights->now_group_sums, w->group_sums, n * sizeof(double));
        memcpy(weights->now_group_reach, weights->group_reach, n * sizeof(double));
        weights->refined = true;
    }
    if (weights->changed[group] != weights->draw) {
        memcpy(weights->now + first, w->weights + first, PLK_BLOCK * sizeof(float));
        memcpy(weights->now_reach + first, weights->reach + first, PLK_BLOCK * sizeof(double));
        weights->changed[group] = weights->draw;
    }
    double change = (double)(float)sum - (double)weights->now[block];
    weights->now[block] = (float)sum;
    cumulate(weights->now + first, block % PLK_BLOCK, weights->now_reach + first);
    weights->now_group_sums[group] += change;
    weights->total += change;
    double reach = before(weights->now_group_reach, group);
    for (uint32_t g = group; g < n; g++) {
        reach += weights->now_group_sums[g];
        weights->now_group_reach[g] = reach;
    }
}

static uint32_t pick_dense(plk_picks *picks, pluck_pcg64 *rng)
{
    plk_pick_weights *weights = &picks->weights;
    plk_pick_blocks *blocks = &picks->all;
    const plk_scratch *w = blocks->view.scratch;
    for (uint32_t trial = plk_pick_max_trials(&blocks->view); trial > 0; trial--) {
        double rest;
        uint32_t group = find_group(weights, w, pluck_pcg64_uniform(rng), &rest);
        const float *values;
        const double *reach = reach_of(weights, &blocks->view, group, &values);
        uint32_t i = search(reach, PLK_BLOCK, rest);
        if (i < PLK_BLOCK)
            rest = rest - before(reach, i);
        else
            i = plk_pick_find_float(values, PLK_BLOCK, rest, &rest);
        uint32_t block = group * PLK_BLOCK + i;
        evaluate(blocks, block);
        double sum = blocks->totals[block];
        if (rest < sum)
            return pick_inside(blocks, block, rest / sum);
        refine(weights, w, block, sum);
    }
    return pick_by_sums(blocks, rng);
}

/* The nucleus */

static double *arrays_from(const plk_view *view, size_t n, size_t *n_maxima)
{
    const plk_scratch *w = view->scratch;
    *n_maxima = ((size_t)w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK * PLK_BLOCK;
    return w->picks + n * *n_maxima;
}

static void begin_nucleus(plk_picks *picks, const plk_view *view)
{
    size_t n_maxima;
    double *arrays = arrays_from(view, 10, &n_maxima);
    plk_nucleus_bounds_init(view, &picks->bounds);
    picks->inside = INFINITY;
    picks->outside = (uint64_t *)(void *)arrays;
    memset(picks->outside, 0, n_maxima * sizeof *picks->outside);
}

/* What the blocks of the whole view are known to be is forgotten: cutting may use their memory. */
static void cut_nucleus(plk_picks *picks)
{
    if (picks->has_nucleus)
        return;
    size_t n_maxima;
    double *arrays = arrays_from(&picks->all.view, 3, &n_maxima);
    plk_view view = picks->all.view;
    plk_view_settle(&view);
    begin_blocks(&picks->nucleus, &view, view.scratch->keys, arrays, n_maxima);
    for (uint32_t b = 0; b < plk_view_n_blocks(&picks->all.view); b++)
        picks->all.totals[b] = -1.0;
    picks->has_nucleus = true;
}

static bool is_inside(plk_picks *picks, uint32_t token)
{
    uint64_t bit = (uint64_t)1 << token % PLK_BLOCK;
    uint32_t block = token / PLK_BLOCK;
    const plk_view *view = &picks->all.view;
    float stored = plk_view_stored(view, token);
    if (stored > picks->inside || (stored == picks->inside && token <= picks->inside_token))
        return true;
    if (picks->outside[block] & bit)
        return false;
    if (!plk_membership(view, &picks->bounds, token)) {
        picks->outside[block] |= bit;
        return false;
    }
    picks->inside = stored;
    picks->inside_token = token;
    return true;
}

static uint32_t pick_compact(plk_pick_blocks *blocks, pluck_pcg64 *rng)
{
    const plk_view *view = &blocks->view;
    return view->n == 1 ? view->scratch->ids[0] : pick_by_sums(blocks, rng);
}

static uint32_t pick_from_nucleus(plk_picks *picks, pluck_pcg64 *rng)
{
    for (int i = 0; i < PLK_PICK_MAX_REJECTED; i++) {
        uint32_t token = pick_dense(picks, rng);
        if (is_inside(picks, token))
            return token;
    }
    cut_nucleus(picks);
    return pick_compact(&picks->nucleus, rng);
}

void plk_picks_init(plk_picks *picks, const plk_view *view)
{
    size_t n_maxima;
    double *arrays = arrays_from(view, 0, &n_maxima);
    *picks = (plk_picks){.has_nucleus = false};
    begin_blocks(&picks->all, view, view->compact ? view->scratch->keys : view->scratch->spare,
                 arrays, n_maxima);
    if (view->compact)
        return;
    begin_weights(&picks->weights, view, arrays_from(view, 6, &n_maxima), n_maxima);
    if (view->deferred.p > 0.0)
        begin_nucleus(picks, view);
}

uint32_t plk_picks_next(plk_picks *picks, pluck_pcg64 *rng)
{
    if (picks->all.view.compact)
        return pick_compact(&picks->all, rng);
    picks->weights.draw++;
    picks->weights.refined = false;
    picks->weights.total = picks->weights.group_reach[picks->weights.n_groups - 1];
    return picks->all.view.deferred.p > 0.0 ? pick_from_nucleus(picks, rng)
                                            : pick_dense(picks, rng);
}
