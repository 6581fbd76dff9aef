/*
 * The draw itself: one token from the distribution that a view stands for.
 */
#ifndef PLK_PICK_H
#define PLK_PICK_H

#include "select/view.h"

#include <pluck/rng.h>

/* A token with probability proportional to exp(logit): exact, whatever the distribution. Takes the
 * numbers of rng that it needs, none when a single candidate is left. A deferred nucleus is
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
 * until one is in the nucleus: what is accepted has the distribution of the nucleus. Where they are
 * rejected again and again (a temperature after the nucleus moves mass out of it), the nucleus is
 * cut out and drawn from. view is a copy of dense in the same scratch memory; it is settled when
 * that is needed, or has been before: then it says who is in the nucleus, and the token is the
 * same.
 */
uint32_t plk_view_pick_nucleus(const plk_view *dense, plk_view *view, pluck_pcg64 *rng);

/* The token of one block of a dense view where the fraction lies of its mass, 0 <= fraction < 1: of
 * a slice, one of its own blocks. */
uint32_t plk_view_pick_inside(const plk_view *view, uint32_t block, double fraction);

/*
 * A draw as an exponential race (race.c), for views with is_race; the functions above call these.
 */

/* The token that arrives first: that with the largest score h + l, where h = scale * logit and l =
 * -ln of its noise. is_there is false if all tokens are excluded. */
typedef struct plk_arrival {
    bool is_there;
    uint32_t token;
    double h, l;
} plk_arrival;

plk_arrival plk_view_race(const plk_view *view, const uint32_t *excluded, uint32_t n_excluded);

/* Whether a has the larger score as a real number, or the same and the lower token. The first of
 * all parts of a vocabulary is the first of the whole. */
bool plk_arrival_is_before(const plk_arrival *a, const plk_arrival *b);

/* The first to arrive in the nucleus that is deferred in dense; view is a copy of it, as for
 * plk_view_pick_nucleus(). */
uint32_t plk_view_race_nucleus(const plk_view *dense, plk_view *view);

/*
 * The steps of a draw, for pick_many.c, which makes the same draw with other means.
 */

enum { PLK_PICK_MAX_REJECTED = 3 }; /* tokens outside a nucleus before it is cut out after all */

/* Refined weights before the sums of all blocks are computed: a number that costs about the
 * same. */
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

/*
 * Whether a token belongs to the nucleus: often far cheaper to find out than where the nucleus
 * ends.
 */

/* What is known of the whole distribution; grows with the questions asked about one view. */
typedef struct plk_nucleus_bounds {
    double maxima; /* sum over all blocks of the exponential of their maximum */
    plk_mass mass; /* of all tokens; 0: not computed yet */
} plk_nucleus_bounds;

/* For a dense view whose nucleus is deferred. */
void plk_nucleus_bounds_init(const plk_view *view, plk_nucleus_bounds *bounds);

/* Whether the token is in the deferred nucleus: whether it would be left by plk_view_settle(). */
bool plk_membership(const plk_view *view, plk_nucleus_bounds *bounds, uint32_t token);

/* Whether the token is in the nucleus deferred in dense, which may have been cut out of its copy
 * view. bounds are needed while view->deferred.p > 0. */
bool plk_in_nucleus(const plk_view *dense, const plk_view *view, plk_nucleus_bounds *bounds,
                    uint32_t token);

/*
 * Many draws from one view.
 */

/* What is known of the blocks of one view. Arrays belong to the scratch memory. */
typedef struct plk_pick_blocks {
    plk_view view;
    double
        *cumulated; /* [64 per block] sums of the exponentials up to each, if totals knows them */
    double *totals; /* [per block] the last of them; below 0: not computed yet */
    double *sums;   /* [per block] as plk_view_block_sums() leaves them */
    double *reach;  /* [per block] sums of these up to each */
    bool has_sums;
} plk_pick_blocks;

/* Initial and current weights of pick.c, as cumulated sums. */
typedef struct plk_pick_weights {
    uint32_t n_groups;
    uint64_t draw;       /* the number of this draw, from 1 */
    bool refined;        /* in this draw */
    double total;        /* of the weights now */
    double *reach;       /* [per block] of the initial weights in its group, if seen says so */
    double *now_reach;   /* [per block] the same now, if changed says so */
    float *now;          /* [per block] the weights now, of the same groups */
    double *group_reach; /* [per group] of the initial group sums */
    double *now_group_reach;
    double *now_group_sums;
    uint64_t *changed; /* [per group] the draw that changed it last */
    uint64_t *seen;    /* [per group] whether reach is filled in */
} plk_pick_weights;

typedef struct plk_picks {
    plk_pick_blocks all; /* of the view as given */
    plk_pick_blocks
        nucleus; /* of the view with its deferred nucleus cut out, once that is needed */
    bool has_nucleus;
    plk_pick_weights weights;
    uint64_t *outside; /* [per block] bits of tokens that are known to be outside of the nucleus */
    plk_nucleus_bounds bounds;
    float inside; /* the worst token that is known to be inside: its stored logit, and itself */
    uint32_t inside_token;
} plk_picks;

/* Uses the scratch memory of the view, where nothing else may work until the last draw is done.
 * The view is copied. */
void plk_picks_init(plk_picks *picks, const plk_view *view);

/* The token that plk_view_pick() gives for a copy of the view and this rng, with the same numbers
 * used; far faster from the second draw on. */
uint32_t plk_picks_next(plk_picks *picks, pluck_pcg64 *rng);

/*
 * Several tokens without replacement.
 */

/* Goes on drawing after tokens[0] was drawn from the settled view: each next token from what is
 * left, with probability proportional to exp(logit), until there are n or none is left. Returns how
 * many there are. The scratch memory's block maxima and spare keys are then used up. */
size_t plk_view_pick_distinct(const plk_view *view, pluck_pcg64 *rng, size_t n, uint32_t *tokens);

#endif
