/*
 * A token is in the nucleus if the mass before it (of better tokens) is below p Z. The mass before
 * it lies in the few blocks whose maximum reaches it, and Z need not be known: the exact sums of
 * those blocks and the maxima of the others bound it from below. More blocks are summed, those with
 * the next largest maxima, until the lower bound accepts; only when that fails is Z computed.
 * Decisions keep a margin for all roundings together; what lies within it is left undecided.
 */
#include "select/pick.h"

#include "select/keep.h"
#include "select/mass.h"
#include "select/rules.h"

#include <float.h>
#include <math.h>

/* The view as it was when the nucleus was asked for. */
static plk_view view_at_nucleus(const plk_view *view)
{
    plk_view at = *view;
    at.scale = view->deferred.scale;
    return at;
}

void plk_nucleus_bounds_init(const plk_view *view, plk_nucleus_bounds *bounds)
{
    plk_view at = view_at_nucleus(view);
    const plk_scratch *w = view->scratch;
    bounds->maxima = plk_view_mass_of(&at, w->block_max, (w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK);
    bounds->normaliser = 0.0;
}

/* Sums over the blocks whose maximum lies in [low, high). */
typedef struct visit {
    double maxima; /* of the exponentials of their maxima */
    double sum;    /* of all their exponentials */
    double from;   /* of those that are >= threshold */
    uint32_t n_blocks;
} visit;

static visit visit_blocks(const plk_view *at, float low, float high, float threshold)
{
    plk_scratch *w = at->scratch;
    uint32_t n = (uint32_t)at->kernels->gather(w->block_max, w->n_blocks, low, high, 0,
                                               w->block_ids, w->block_spare);
    visit v = {.n_blocks = n};
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    for (uint32_t i = 0, n_blocks = 1; i < n; i += n_blocks) {
        const uint32_t *ids = w->block_ids + i;
        for (n_blocks = 1; i + n_blocks < n && ids[n_blocks] == ids[0] + n_blocks;)
            n_blocks++;
        const float *x = plk_view_blocks(at, ids[0], &n_blocks, buffer);
        v.sum += plk_view_mass_of(at, x, n_blocks);
        if (threshold < INFINITY)
            v.from += plk_view_mass_from(at, x, n_blocks, threshold);
    }
    for (uint32_t i = n; i % PLK_BLOCK != 0; i++)
        w->block_spare[i] = -INFINITY;
    v.maxima = plk_view_mass_of(at, w->block_spare, (n + PLK_BLOCK - 1) / PLK_BLOCK);
    return v;
}

static float next_above(float x)
{
    return nextafterf(x, INFINITY);
}

/* How many tokens below this one have its logit. The blocks listed are those that reach it. */
static size_t count_equal_below(const plk_view *at, uint32_t n_listed, uint32_t token, float stored)
{
    const uint32_t *ids = at->scratch->block_ids;
    float above = next_above(stored);
    float buffer[PLK_BLOCK];
    size_t n = 0;
    for (uint32_t i = 0; i < n_listed && ids[i] <= token / PLK_BLOCK; i++) {
        const float *x = plk_view_block(at, ids[i], buffer);
        if (ids[i] < token / PLK_BLOCK)
            n += at->kernels->count(x, 1, stored) - at->kernels->count(x, 1, above);
        else
            for (uint32_t k = 0; k < token % PLK_BLOCK; k++)
                n += plk_float_at(x, k) == stored;
    }
    return n;
}

/* With Z known. before counts all equal tokens as better ones; only if that is too much are those
 * told apart that come before this one. */
static plk_decision decide(const plk_view *at, const plk_nucleus_bounds *bounds, double before,
                           double own, uint32_t token, float stored)
{
    double p = at->deferred.p, total = bounds->normaliser;
    if (!plk_top_p_reached(before, p, total, plk_mass_margin))
        return PLK_INSIDE;
    visit above = visit_blocks(at, stored, INFINITY, next_above(stored));
    double exact = above.from + own * (double)count_equal_below(at, above.n_blocks, token, stored);
    if (!plk_top_p_reached(exact, p, total, plk_mass_margin))
        return PLK_INSIDE;
    return exact > plk_top_p_mass(p, total, -plk_mass_margin) ? PLK_OUTSIDE : PLK_UNDECIDED;
}

plk_decision plk_membership(const plk_view *view, plk_nucleus_bounds *bounds, uint32_t token)
{
    plk_view at = view_at_nucleus(view);
    float stored = plk_view_stored(view, token);
    /* Equal tokens are counted as better ones here, the token itself is not. */
    visit near = visit_blocks(&at, stored, INFINITY, stored);
    float alone[PLK_BLOCK] = {stored};
    for (uint32_t i = 1; i < PLK_BLOCK; i++)
        alone[i] = -INFINITY;
    double own = plk_view_mass_of(&at, alone, 1);
    double before = near.from - own;
    if (bounds->normaliser > 0.0)
        return decide(&at, bounds, before, own, token, stored);

    double step = 2.0; /* in the units of logits: a factor e^2 in probability */
    int n_steps = 2;
    double exact = near.sum, rest = bounds->maxima - near.maxima;
    float high = stored;
    for (int i = 0;; i++) {
        if (!plk_top_p_reached(before, at.deferred.p, exact + rest, plk_mass_margin))
            return PLK_INSIDE;
        if (i == n_steps)
            break;
        float low = (float)((double)high - step / at.scale);
        if (!(low > -FLT_MAX))
            break;
        visit more = visit_blocks(&at, low, high, INFINITY);
        exact += more.sum;
        rest -= more.maxima;
        high = low;
    }
    bounds->normaliser = plk_view_block_sums(&at); /* cutting the nucleus out needs them too */
    return decide(&at, bounds, before, own, token, stored);
}
