/*
 * Top-p. One exponential pass gives the normaliser Z. Among n tokens, those of probability below
 * (1 - p) / n have together less than 1 - p, so that the prefix never needs them: only the rest is
 * gathered, and the end of the prefix is found there by selection (boundary.h).
 *
 * Both sides of the comparison with p Z are sums of the same exponentials, in double, so the
 * decision differs from exact arithmetic only where the mass at the boundary is within 1e-6 of p.
 * Inside that margin, a mass that misses p by no more than the rounding of logits to floats counts
 * as p: probabilities .5 and .3, given by their logarithms, reach .8.
 */
#include "select/nucleus.h"

#include "select/boundary.h"
#include "select/keep.h"
#include "select/mass.h"
#include "simd/scalar_math.h"

#include <math.h>
#include <string.h>

/* Removes from the first n candidates those beyond the boundary, and makes the view compact. */
static void keep_to(pl_view *view, uint32_t n, pl_boundary boundary)
{
    pl_workspace *w = view->workspace;
    uint32_t kept = 0, n_equal = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool equal = w->values[i] == boundary.value;
        bool keep = w->values[i] > boundary.value || (equal && n_equal < boundary.n_equal);
        n_equal += equal;
        w->ids[kept] = w->ids[i];
        w->values[kept] = w->values[i];
        kept += keep;
    }
    pl_view_become_compact(view, kept);
}

static void cut(pl_view *view, double p, uint32_t min_keep)
{
    pl_workspace *w = view->workspace;
    double normaliser = pl_view_normaliser(view);
    uint32_t n = view->n;
    float *values = w->ordered;
    if (view->compact) {
        memcpy(values, w->values, n * sizeof *values);
    } else {
        /* The margin covers the rounding of the normaliser. */
        const double margin = 1e-5;
        double negligible = (1.0 - p) * normaliser / (double)w->n_vocab;
        double offset = (negligible < 1.0 ? pl_log(negligible) : 0.0) - margin;
        n = pl_view_gather(view, pl_view_threshold(view, offset));
        values = w->values;
    }
    const double logit_rounding = 0x1p-22;
    double mass = p * normaliser * (1.0 - logit_rounding);
    pl_boundary boundary = {0};
    if (n >= min_keep)
        boundary = pl_find_boundary(view, values, n, mass, normaliser);
    if (boundary.n_above + boundary.n_equal < min_keep) {
        pl_view_keep_top(view, min_keep);
        return;
    }
    if (!view->compact)
        n = pl_view_gather(view, boundary.value);
    keep_to(view, n, boundary);
}

void pl_view_keep_nucleus(pl_view *view, double p, uint32_t min_keep)
{
    if (!view->compact && view->deferred.p == 0.0 && p > 0.0 && min_keep == 1)
        view->deferred = (pl_deferred_nucleus){p, view->scale};
    else
        cut(view, p, min_keep);
}

void pl_view_settle(pl_view *view)
{
    pl_deferred_nucleus deferred = view->deferred;
    if (deferred.p == 0.0)
        return;
    double scale = view->scale;
    view->deferred.p = 0.0;
    view->scale = deferred.scale;
    cut(view, deferred.p, 1);
    view->scale = scale;
}
