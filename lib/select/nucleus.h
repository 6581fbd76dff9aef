/*
 * Truncation by probability mass: top-p.
 */
#ifndef PLK_NUCLEUS_H
#define PLK_NUCLEUS_H

#include "select/view.h"

/* Keeps the shortest prefix of the tokens, best first, whose probability is >= p, and at least
 * min_keep tokens; 0 <= p < 1. On a dense view this may only note what was asked for. */
void plk_view_keep_nucleus(plk_view *view, double p, uint32_t min_keep);

/* Does what plk_view_keep_nucleus noted, if anything. Everything but plk_view_scale() and
 * plk_view_pick() needs a settled view. */
void plk_view_settle(plk_view *view);

#endif
