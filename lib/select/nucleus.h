/*
 * Truncation by probability mass: top-p.
 */
#ifndef PL_NUCLEUS_H
#define PL_NUCLEUS_H

#include "select/view.h"

/* Keeps the shortest prefix of the tokens, best first, whose probability is >= p, and at least
 * min_keep tokens; 0 <= p < 1. On a dense view this may only note what was asked for. */
void pl_view_keep_nucleus(pl_view *view, double p, uint32_t min_keep);

/* Does what pl_view_keep_nucleus noted, if anything. Everything but pl_view_scale() and
 * pl_view_pick() needs a settled view. */
void pl_view_settle(pl_view *view);

#endif
