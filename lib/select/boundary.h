/*
 * Where a prefix of given mass ends: the selection behind top-p, without sorting.
 */
#ifndef PLK_BOUNDARY_H
#define PLK_BOUNDARY_H

#include "select/keep.h"

/*
 * The shortest prefix of values, largest first, whose sum of exp(logit - max logit) is at least
 * mass; everything if rounding leaves mass out of reach. values: n >= 1 stored logits of the view's
 * tokens, finite, in an array with room for whole blocks; it is used up. O(n) whatever the values.
 */
plk_boundary plk_find_boundary(const plk_view *view, float *values, uint32_t n, double mass);

#endif
