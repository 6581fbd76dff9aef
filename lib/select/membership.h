/*
 * Does a token belong to the nucleus? Often far cheaper to say than where the nucleus ends.
 */
#ifndef PL_MEMBERSHIP_H
#define PL_MEMBERSHIP_H

#include "select/view.h"

typedef enum pl_verdict { PL_OUTSIDE, PL_INSIDE, PL_UNDECIDED } pl_verdict;

/* What is known of the whole distribution; grows with the questions asked about one view. */
typedef struct pl_nucleus_bounds {
    double maxima;     /* sum over all blocks of the exponential of their maximum */
    double normaliser; /* the exact sum of all exponentials; 0: not computed yet */
} pl_nucleus_bounds;

/* For a dense view whose nucleus is deferred. */
void pl_membership_begin(const pl_view *view, pl_nucleus_bounds *bounds);

/* Whether the token is in the deferred nucleus. The verdict, if there is one, is that of
 * pl_view_settle(). */
pl_verdict pl_membership(const pl_view *view, pl_nucleus_bounds *bounds, uint32_t token);

#endif
