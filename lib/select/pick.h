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

#endif
