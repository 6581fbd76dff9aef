/*
 * The draw itself: one token from the distribution that a view stands for.
 */
#ifndef PL_PICK_H
#define PL_PICK_H

#include "select/view.h"

#include <pluck/rng.h>

/* A token with probability proportional to exp(logit): exact, whatever the distribution. Uses as
 * many numbers of rng as it needs; none when a single candidate is left. A deferred nucleus is
 * honoured, and settled only if the draw needs it. */
uint32_t pl_view_pick(pl_view *view, pluck_pcg64 *rng);

/*
 * The same, and where in the token's probability the draw fell. Given the token, inside is uniform
 * on [0, 1): with inverse transform it is what the uniform has left in the token's interval, with
 * rejection what the accepted one has, and acceptance does not look at it. So low + inside * p,
 * with low the probability of the tokens before this one in any fixed order, is uniform too: the
 * one number from which inverse transform would have made this draw. 0 if no number was used.
 */
typedef struct pl_pick {
    uint32_t token;
    double inside;
    bool inverse; /* inverse transform of the view's tokens, by the last number used */
} pl_pick;

pl_pick pl_view_pick_where(pl_view *view, pluck_pcg64 *rng);

#endif
