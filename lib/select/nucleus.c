/*
 * Top-p. One exponential pass gives the normaliser Z. Among n tokens, those of probability below
 * (1 - p) / n have together less than 1 - p, so that the prefix never needs them: only the rest is
 * gathered and sorted, and its mass added from the best on until p Z is reached.
 *
 * Both sides of that comparison are sums of the same exponentials, in double, so the decision
 * differs from exact arithmetic only where the mass at the boundary is within 1e-6 of p. Inside that
 * margin, a mass that misses p by no more than the rounding of logits to floats counts as p:
 * probabilities .5 and .3, given by their logarithms, reach .8.
 */
#include "select/nucleus.h"

#include "select/keep.h"
#include "select/mass.h"
#include "simd/scalar_math.h"

#include <math.h>

/* How many of the n sorted keys make up the mass; all of them if rounding leaves it out of reach. */
static uint32_t prefix_length(const pl_view *view, uint32_t n, double mass)
{
    const pl_workspace *w = view->workspace;
    double sum = 0.0;
    for (uint32_t first = 0; first < n; first += PL_BLOCK) {
        float e[PL_BLOCK];
        for (uint32_t i = 0; i < PL_BLOCK; i++)
            e[i] = first + i < n ? pl_key_logit(w->keys[first + i]) : -INFINITY;
        pl_view_exp_values(view, e, 1, e);
        for (uint32_t i = 0; i < PL_BLOCK && first + i < n; i++) {
            sum += (double)e[i];
            if (sum >= mass)
                return first + i + 1;
        }
    }
    return n;
}

void pl_view_keep_nucleus(pl_view *view, double p, uint32_t min_keep)
{
    pl_workspace *w = view->workspace;
    double normaliser = pl_view_normaliser(view);
    uint32_t n = view->n;
    if (!view->compact) {
        /* The margin covers the rounding of the normaliser. */
        const double margin = 1e-5;
        double negligible = (1.0 - p) * normaliser / (double)w->n_vocab;
        double offset = (negligible < 1.0 ? pl_log(negligible) : 0.0) - margin;
        n = pl_view_gather(view, pl_view_threshold(view, offset));
    }
    if (n < min_keep) {
        pl_view_keep_top(view, min_keep);
        return;
    }
    pl_candidate_keys(view, n);
    pl_key_sort(w->keys, n, w->spare);
    const double logit_rounding = 0x1p-22;
    uint32_t length = prefix_length(view, n, p * normaliser * (1.0 - logit_rounding));
    if (length < min_keep)
        length = min_keep;
    pl_view_keep_from(view, n, w->keys[length - 1]);
}
