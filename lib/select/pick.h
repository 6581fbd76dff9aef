/*
 * The draw itself: one token from the distribution that a view stands for.
 */
#ifndef PLK_PICK_H
#define PLK_PICK_H

#include "select/view.h"

#include <pluck/rng.h>

/* A token with probability proportional to exp(logit): exact, whatever the distribution. Uses as
 * many numbers of rng as it needs; none when a single candidate is left. A deferred nucleus is
 * honoured, and settled only if the draw needs it. */
uint32_t plk_view_pick(plk_view *view, pluck_pcg64 *rng);

/*
 * The same, and where in the token's probability the draw fell. Given the token, inside is uniform
 * on [0, 1): with inverse transform it is what the uniform has left in the token's interval, with
 * rejection what the accepted one has, and acceptance does not look at it. So low + inside * p,
 * with low the probability of the tokens before this one in any fixed order, is uniform too: the
 * one number from which inverse transform would have made this draw. 0 if no number was used.
 */
typedef struct plk_pick {
    uint32_t token;
    double inside;
    bool inverse; /* inverse transform of the view's tokens, by the last number used */
} plk_pick;

plk_pick plk_view_pick_where(plk_view *view, pluck_pcg64 *rng);

/*
 * A pick from the nucleus that is deferred in dense. Tokens of the whole distribution are drawn
 * until one is in the nucleus: what is accepted has the law of the nucleus. Where they are rejected
 * again and again (a temperature after the nucleus moves mass out of it), the nucleus is cut out
 * and drawn from. view is a copy of dense in the same scratch memory; it is settled when that is
 * needed, or has been before: then it says who is in the nucleus, and the token is the same.
 */
uint32_t plk_view_pick_nucleus(const plk_view *dense, plk_view *view, pluck_pcg64 *rng);

/*
 * The steps of a draw, for pick_many.c, which makes the same draw with other means.
 */

enum { PLK_PICK_MAX_REJECTED = 3 }; /* tokens outside a nucleus before it is cut out after all */

/* Refined weights before the sums of all blocks are computed: as many as cost about the same. */
uint32_t plk_pick_max_trials(const plk_view *view);

/* The sum of a block's exponentials. */
double plk_pick_block_sum(const plk_view *view, uint32_t block);

/* The exponentials of a block, 64 of them. */
void plk_pick_exponentials(const plk_view *view, uint32_t block, float *e);

/* Writes the sums of the weights of every group of 64 blocks to the scratch memory's group_sums;
 * returns how many groups there are. */
uint32_t plk_pick_weigh_groups(const plk_view *view);

/* The 64 weights of a group: bounds of the sums of its blocks. */
void plk_pick_weigh(const plk_view *view, uint32_t group, float *weights);

/* The first index of values whose cumulated sum exceeds at; the last positive one if rounding
 * leaves at beyond their end. *rest is what is left of at inside that value. */
uint32_t plk_pick_find_float(const float *values, uint32_t n, double at, double *rest);
uint32_t plk_pick_find_double(const double *values, uint32_t n, double at, double *rest);

#endif
