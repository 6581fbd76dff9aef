/*
 * Top-p. One exponential pass gives the sums of all blocks and their sum Z. What is gathered is all
 * that reaches some threshold; if its mass is p Z or more, the end of the prefix is found there by
 * selection (boundary.c). Two thresholds are tried:
 *   1. One below which a sample finds somewhat less than (1 - p) Z: few more tokens than needed.
 *   2. When that was too high: block sums give one below which all tokens together have certainly
 *      less than (1 - p) Z.
 *
 * Where the prefix ends among equal tokens, the lowest stay: keep.c takes them in ascending order
 * when survivors are wanted, membership.c counts them when a token is. min_keep goes through
 * plk_view_keep_top().
 *
 * The prefix is defined by integers: it ends at the largest logit whose tokens and all better ones
 * have p Z or more. Both sides are sums of the same exponentials, so the decision differs from
 * exact arithmetic only where the mass at the boundary is within 1e-6 of p. Inside that margin, a
 * mass that misses p by no more than the rounding of logits to floats counts as p: probabilities
 * .5 and .3, given by their logarithms, reach .8.
 */
#include "select/keep.h"

#include "base/scalar_math.h"
#include "select/mass.h"
#include "select/rules.h"
#include "select/share.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Class c holds the sums in [2^(c - 185), 2^(c - 184)), the first and last also what is beyond. */
static int class_of(double sum, int n_classes)
{
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    int class = (int)(bits >> 52) - 1023 + 185;
    return class < 0 ? 0 : class < n_classes ? class : n_classes - 1;
}

/*
 * A threshold below which all tokens together have at most the given mass. With e the exponential
 * of the threshold, what block b has below it is at most its whole sum s_b and at most 64 e. So
 * the largest e is wanted for which the sum of min(s_b, 64 e) stays within the mass; powers of two
 * are close enough. Blocks are put into classes by the exponent of s_b, and the classes added up.
 */
static float negligible_below(const plk_view *view, double mass)
{
    enum { N_CLASSES = 192 };
    const plk_scratch *w = view->scratch;
    double sums[N_CLASSES] = {0};
    uint32_t counts[N_CLASSES] = {0};
    for (uint32_t b = 0; b < w->n_blocks; b++) {
        int class = class_of(w->block_sums[b], N_CLASSES);
        sums[class] += w->block_sums[b];
        counts[class]++;
    }
    uint32_t n_larger = w->n_blocks;
    double smaller = 0.0, bound = 0x1p-185;
    for (int class = 0; class < N_CLASSES - 1; class ++) {
        smaller += sums[class];
        n_larger -= counts[class];
        /* 2 bound is the lower end of the next class: a larger 64 e than bound. */
        if (smaller + (double)n_larger * 2.0 * bound > mass)
            break;
        bound *= 2.0;
    }
    double margin = 1e-5;
    double offset = plk_log(bound / PLK_BLOCK) - margin;
    return plk_view_threshold(view, offset < 0.0 ? offset : -margin);
}

/* Gathers the tokens that reach the threshold: n, with the sum of their exponentials. Whether the
 * prefix with the mass needed is among them. */
static bool gather_from(const plk_view *view, float threshold, plk_mass needed, uint32_t *n,
                        double *sum)
{
    float *values = view->scratch->values;
    *n = plk_view_gather(view, threshold);
    for (uint32_t i = *n; i % PLK_BLOCK != 0; i++)
        values[i] = -INFINITY;
    *sum = plk_view_sum_of(view, values, (*n + PLK_BLOCK - 1) / PLK_BLOCK);
    if (plk_mass_is_clear(view, *sum, needed))
        return *sum > plk_mass_value(needed);
    return plk_view_mass_between(view, threshold, INFINITY) >= needed;
}

/* Gathers tokens that hold the prefix: of a row in slices those that are known, more and more. */
static uint32_t gather_prefix(const plk_view *view, plk_mass total, plk_mass needed, double *sum)
{
    double rest = plk_mass_value(total - needed);
    uint32_t n;
    while (view->share && !gather_from(view, plk_share_known_from(view), needed, &n, sum))
        if (!plk_share_ask_more(view))
            break;
    if (view->share)
        return n;
    if (!gather_from(view, plk_view_tail_below(view, rest), needed, &n, sum) &&
        !gather_from(view, negligible_below(view, rest), needed, &n, sum))
        gather_from(view, -FLT_MAX, needed, &n, sum);
    return n;
}

static void cut(plk_view *view, double p, uint32_t min_keep)
{
    plk_scratch *w = view->scratch;
    plk_mass total = view->share ? plk_view_mass(view) : plk_view_block_sums(view);
    plk_mass needed = plk_mass_at_least(p, total);
    double sum = plk_mass_value(total);
    uint32_t n = view->compact ? view->n : gather_prefix(view, total, needed, &sum);
    memcpy(w->ordered, w->values, n * sizeof *w->values);
    plk_boundary boundary = {0};
    if (n >= min_keep)
        boundary = plk_find_boundary(view, w->ordered, n, sum, needed);
    if (boundary.n_above + boundary.n_equal < min_keep)
        plk_view_keep_top(view, min_keep);
    else
        plk_view_keep_gathered(view, n, boundary);
}

void plk_view_keep_nucleus(plk_view *view, double p, uint32_t min_keep)
{
    if (!view->compact && view->deferred.p == 0.0 && p > 0.0 && min_keep == 1)
        view->deferred = (plk_deferred_nucleus){p, view->scale};
    else
        cut(view, p, min_keep);
}

void plk_view_settle(plk_view *view)
{
    plk_deferred_nucleus deferred = view->deferred;
    if (deferred.p == 0.0)
        return;
    double scale = view->scale;
    view->deferred.p = 0.0;
    view->scale = deferred.scale;
    cut(view, deferred.p, 1);
    view->scale = scale;
}
