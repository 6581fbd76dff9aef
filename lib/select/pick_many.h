/*
 * Many draws from one view.
 */
#ifndef PLK_PICK_MANY_H
#define PLK_PICK_MANY_H

#include "select/pick.h"

/* What is known of the blocks of one view. Arrays belong to the scratch memory. */
typedef struct plk_pick_blocks {
    plk_view view;
    double *cumulated; /* [64 a block] sums of the exponentials up to each, if totals knows them */
    double *totals;    /* [a block] the last of them; below 0: not computed yet */
    double *sums;      /* [a block] as plk_view_block_sums() leaves them */
    double *reach;     /* [a block] sums of these up to each */
    bool has_sums;
} plk_pick_blocks;

/* Initial and current weights of pick.c, as cumulated sums. */
typedef struct plk_pick_weights {
    uint32_t n_groups;
    uint64_t draw;       /* the number of this draw, from 1 */
    bool refined;        /* in this draw */
    double total;        /* of the weights now */
    double *reach;       /* [a block] of the initial weights in its group, if seen says so */
    double *now_reach;   /* [a block] the same now, if changed says so */
    float *now;          /* [a block] the weights now, of the same groups */
    double *group_reach; /* [a group] of the initial group sums */
    double *now_group_reach;
    double *now_group_sums;
    uint64_t *changed; /* [a group] the draw that changed it last */
    uint64_t *seen;    /* [a group] whether reach is filled in */
} plk_pick_weights;

typedef struct plk_picks {
    plk_pick_blocks all; /* of the view as given */
    plk_pick_blocks
        nucleus; /* of the view with its deferred nucleus cut out, once that is needed */
    bool has_nucleus;
    plk_pick_weights weights;
    uint64_t *outside;   /* [a block] bits of tokens that are known to be outside of the nucleus */
    uint64_t *undecided; /* [a block] or known to be too near its end to tell */
    double normaliser;   /* for membership.h */
    double maxima;
    float inside; /* the worst token that is known to be inside: its stored logit, and itself */
    uint32_t inside_token;
} plk_picks;

/* Uses the scratch memory of the view, where nothing else may work until the last draw is done.
 * The view is copied. */
void plk_picks_begin(plk_picks *picks, const plk_view *view);

/* The token that plk_view_pick() gives for a copy of the view and this rng, with the same numbers
 * used; far faster from the second draw on. */
uint32_t plk_picks_next(plk_picks *picks, pluck_pcg64 *rng);

#endif
