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

/*
 * The steps of a draw, for pick_many.c, which makes the same draw with other means.
 */

enum {
    PL_PICK_MAX_TRIALS = 48,
    PL_PICK_MAX_REJECTED = 8 /* tokens outside a deferred nucleus before it is cut out after all */
};

/* The exponentials of a block, and their sum in order of index. */
typedef struct pl_pick_values {
    float e[PL_BLOCK];
    double sum;
} pl_pick_values;

void pl_pick_evaluate(const pl_view *view, uint32_t block, pl_pick_values *out);

/* Writes weights of all blocks, at least their sums, to the workspace, and the sums of their groups
 * of 64; returns how many groups there are. */
uint32_t pl_pick_weigh(const pl_view *view);

/* The first index of values whose cumulated sum exceeds at; the last positive one if rounding
 * leaves at beyond their end. *rest is what is left of at inside that value. */
uint32_t pl_pick_find_float(const float *values, uint32_t n, double at, double *rest);
uint32_t pl_pick_find_double(const double *values, uint32_t n, double at, double *rest);

#endif
