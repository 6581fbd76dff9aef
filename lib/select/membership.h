/*
 * Does a token belong to the nucleus? Often far cheaper to say than where the nucleus ends.
 */
#ifndef PLK_MEMBERSHIP_H
#define PLK_MEMBERSHIP_H

#include "select/view.h"

typedef enum plk_verdict { PLK_OUTSIDE, PLK_INSIDE, PLK_UNDECIDED } plk_verdict;

/* What is known of the whole distribution; grows with the questions asked about one view. */
typedef struct plk_nucleus_bounds {
    double maxima;     /* sum over all blocks of the exponential of their maximum */
    double normaliser; /* the exact sum of all exponentials; 0: not computed yet */
} plk_nucleus_bounds;

/* For a dense view whose nucleus is deferred. */
void plk_membership_begin(const plk_view *view, plk_nucleus_bounds *bounds);

/* Whether the token is in the deferred nucleus. The verdict, if there is one, is that of
 * plk_view_settle(). */
plk_verdict plk_membership(const plk_view *view, plk_nucleus_bounds *bounds, uint32_t token);

#endif
