/*
 * Where a prefix of given mass ends: the selection behind top-p, without sorting.
 */
#ifndef PL_BOUNDARY_H
#define PL_BOUNDARY_H

#include "select/view.h"

/* The last value of the prefix, and how many tokens with exactly this value belong to it. */
typedef struct pl_boundary {
    float value;
    uint32_t n_above; /* tokens with a larger value: all belong to the prefix */
    uint32_t n_equal; /* tokens with this value that belong to it, lowest tokens first; >= 1 */
} pl_boundary;

/*
 * The shortest prefix of values, largest first, whose sum of exp(logit - max logit) is at least
 * mass; everything if rounding leaves mass out of reach. values: n >= 1 stored logits of the view's
 * tokens, finite, in an array padded to whole blocks; it is used up. total is an estimate of their
 * sum: it only guides the search. O(n) whatever the values.
 */
pl_boundary pl_find_boundary(const pl_view *view, float *values, uint32_t n, double mass,
                             double total);

#endif
