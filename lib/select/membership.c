/*
 * A token is in the nucleus if the mass before it, of larger logits and of equal lower tokens, is
 * below what the nucleus needs: integers on both sides, the same that nucleus.c and boundary.c have
 * when they cut it out. The mass before a token lies in the few blocks whose maximum reaches it,
 * and Z need not be known to accept it: the sums of those blocks and the maxima of the others bound
 * Z from below. More blocks are summed, those with the next largest maxima, until the lower bound
 * accepts; only when that fails is Z computed. The bounds keep a margin for all roundings together.
 */
#include "select/pick.h"

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
    bounds->maxima = plk_view_sum_of(&at, w->block_max, (w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK);
    bounds->mass = 0;
}

/* Whether the nucleus has room for a token with at most this mass before it, if the mass of all
 * tokens is at least total, up to roundings. False: perhaps. */
static bool surely_has_room(const plk_view *at, plk_mass before, double total)
{
    double rounding = 0x1p-38 * (double)at->scratch->n_blocks; /* of masses, by 2^-40 per block */
    return !plk_top_p_reached(plk_mass_value(before) + rounding, at->deferred.p, total,
                              plk_mass_margin);
}

/* With Z known. before_at_most counts all equal tokens as better ones; only if that is too much are
 * those told apart that come before this one. */
static bool decide(const plk_view *at, plk_mass total, plk_mass before_at_most, plk_mass own,
                   uint32_t token, float stored)
{
    if (surely_has_room(at, before_at_most, plk_mass_value(total)))
        return true;
    plk_mass before = plk_view_mass_between(at, nextafterf(stored, INFINITY), INFINITY);
    before += own * plk_view_n_equal_before(at, stored, token);
    return before < plk_mass_at_least(at->deferred.p, total);
}

bool plk_membership(const plk_view *view, plk_nucleus_bounds *bounds, uint32_t token)
{
    plk_view at = view_at_nucleus(view);
    float stored = plk_view_stored(view, token);
    /* Equal tokens are counted as better ones here, the token itself is not. */
    plk_blocks_mass near = plk_view_blocks_mass(&at, stored, INFINITY, stored);
    plk_mass own = plk_view_mass_of_one(&at, stored);
    plk_mass before = near.from - own;
    if (bounds->mass > 0)
        return decide(&at, bounds->mass, before, own, token, stored);

    double step = 2.0; /* in the units of logits: a factor e^2 in probability */
    int n_steps = 2;
    plk_mass exact = near.all;
    double rest = bounds->maxima - near.maxima;
    float high = stored;
    for (int i = 0;; i++) {
        if (surely_has_room(&at, before, plk_mass_value(exact) + rest))
            return true;
        if (i == n_steps)
            break;
        float low = (float)((double)high - step / at.scale);
        if (!(low > -FLT_MAX))
            break;
        plk_blocks_mass more = plk_view_blocks_mass(&at, low, high, INFINITY);
        exact += more.all;
        rest -= more.maxima;
        high = low;
    }
    bounds->mass = plk_view_block_sums(&at); /* cutting the nucleus out needs them too */
    return decide(&at, bounds->mass, before, own, token, stored);
}
