/*
 * Several tokens without replacement.
 */
#ifndef PLK_DISTINCT_H
#define PLK_DISTINCT_H

#include "select/view.h"

#include <pluck/rng.h>

/* Goes on drawing after tokens[0] was drawn from the settled view: each next token from what is
 * left, with probability proportional to exp(logit), until there are n or none is left. Returns how
 * many there are. The scratch memory's block maxima and spare keys are then used up. */
size_t plk_view_pick_distinct(const plk_view *view, pluck_pcg64 *rng, size_t n, uint32_t *tokens);

#endif
