/*
 * The standard deviation in one pass over groups of 32 blocks. Of each the sums of d = x - origin
 * and of d^2 are added in float and folded in double. The variance, mean of d^2 - (mean of d)^2,
 * cancels little when the origin is near the mean: it is one of the logits, so that its distance is
 * one deviation on average. Where the variance cancels much or squares overflow or underflow in
 * float, the sums of the group are taken again in double. A sum takes up to 34 additions in float:
 * the relative error is about 2^-21 usually, and below 2^-12 whatever the logits.
 *
 * Groups are joined in double, one after another: their sums are moved to the origin of the first.
 * That is one of the n logits, so it is at most sqrt(n) deviations from their mean, and the last
 * subtraction leaves an error of n 2^-53 at most. Origins are logits, so differences are unchanged
 * when all logits are shifted, and the result depends on the logits and their places alone. Source:
 * T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance: analysis
 * and recommendations", 1983 (shifted data, and joining samples).
 */
#include "select/mass.h"

#include "select/share.h"

#include <math.h>

enum { GROUP = PLK_MOMENTS_BLOCKS };

/* n_blocks blocks in one piece, at most a group if they have to be put together. */
static const float *piece_at(const plk_view *view, uint32_t block, uint32_t *n_blocks,
                             float *buffer)
{
    uint32_t wanted = *n_blocks < GROUP ? *n_blocks : GROUP;
    const float *x = plk_view_blocks(view, block, n_blocks, buffer);
    if (*n_blocks >= wanted)
        return x;
    float *at = buffer;
    for (uint32_t b = 0, n = *n_blocks;;) {
        if (x != at)
            memcpy(at, x, n * PLK_BLOCK * sizeof *at);
        b += n;
        if (b == wanted)
            break;
        n = wanted - b;
        at = buffer + (size_t)b * PLK_BLOCK;
        x = plk_view_blocks(view, block + b, &n, at);
    }
    *n_blocks = wanted;
    return buffer;
}

/* Whether sums in float are good enough: the deviation is not far below the distance of the origin
 * from the mean, and nothing overflowed or was lost. */
static bool is_fair(const plk_spread *s)
{
    double least = 1e-20, most = 1e30, part = 0.99;
    return s->sum * s->sum < part * s->n * s->square && s->square > least && s->square < most;
}

/* The sums in double. */
static void add_up_again(plk_spread *s, const float *x, uint32_t n_blocks)
{
    s->sum = s->square = 0.0;
    for (size_t i = 0; i < (size_t)n_blocks * PLK_BLOCK; i++) {
        float value = plk_float_at(x, i);
        double d = (double)value - s->origin;
        if (value == -INFINITY)
            continue;
        s->sum += d;
        s->square += d * d;
    }
}

uint32_t plk_view_n_spreads(const plk_view *view)
{
    return (plk_view_n_blocks(view) + GROUP - 1) / GROUP;
}

void plk_view_spreads(const plk_view *view, uint32_t first, uint32_t n, plk_spread *groups)
{
    uint32_t end = plk_view_n_blocks(view);
    end = (first + n) * GROUP < end ? (first + n) * GROUP : end;
    float buffer[GROUP * PLK_BLOCK];
    for (uint32_t block = first * GROUP, n_blocks; block < end; block += n_blocks) {
        n_blocks = end - block;
        const float *x = piece_at(view, block, &n_blocks, buffer);
        if (block + n_blocks < end)
            n_blocks -= n_blocks % GROUP;
        view->kernels->moments(x, n_blocks, groups);
        for (uint32_t b = 0; b < n_blocks; b += GROUP, groups++)
            if (!is_fair(groups))
                add_up_again(groups, x + (size_t)b * PLK_BLOCK,
                             n_blocks - b < GROUP ? n_blocks - b : GROUP);
    }
}

void plk_spread_join(plk_spread *all, const plk_spread *next)
{
    if (all->n == 0.0)
        all->origin = next->origin;
    double distance = next->origin - all->origin, moved = distance * next->n;
    all->square += next->square + distance * (2.0 * next->sum + moved);
    all->sum += next->sum + moved;
    all->n += next->n;
}

double plk_spread_deviation(const plk_spread *all)
{
    double square = all->square - all->sum * all->sum / all->n;
    return square > 0.0 ? sqrt(square / all->n) : 0.0;
}

double plk_view_deviation(const plk_view *view)
{
    enum { STEP = 64 };
    plk_spread all = {.n = 0}, groups[STEP];
    if (view->share)
        return plk_spread_deviation(&plk_share_ask(view, PLK_ASKS_SPREAD)->spread);
    uint32_t n_groups = plk_view_n_spreads(view);
    for (uint32_t first = 0; first < n_groups; first += STEP) {
        uint32_t n = n_groups - first < STEP ? n_groups - first : STEP;
        plk_view_spreads(view, first, n, groups);
        for (uint32_t g = 0; g < n; g++)
            plk_spread_join(&all, groups + g);
    }
    return plk_spread_deviation(&all);
}
