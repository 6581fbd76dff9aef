/*
 * From logits to the final distribution of a sampler, as a view.
 */
#ifndef PLK_DRAW_H
#define PLK_DRAW_H

#include "sampler/sampler_impl.h"

/* PLUCK_ERR_INVALID unless the logits are usable by this sampler. */
pluck_status plk_sampler_check(const pluck_sampler *sampler, pluck_logits logits, pluck_error *err);

/* Opens a view on the logits, as the sampler's configuration says, under the mask unless a stage
 * applies it. */
pluck_status plk_sampler_open_view(const pluck_sampler *sampler, pluck_logits logits,
                                   plk_view *view, pluck_error *err);

/* The same, and runs the chain: the view is then the final distribution. Random stages take numbers
 * from rng, which starts as that of a position; the pick goes on with it. */
pluck_status plk_sampler_final_view(const pluck_sampler *sampler, pluck_logits logits,
                                    pluck_pcg64 *rng, plk_view *view, pluck_error *err);

/* Notes the token drawn at the current position from the final view, with what a draw that learns
 * needs to know of it. */
void plk_sampler_remember(pluck_sampler *sampler, plk_view *view, pluck_token token);

/* Fills in log-probability and survivors of n draws from the settled final view. */
void plk_sampler_report(const plk_view *view, size_t n, pluck_draw *draws);

#endif
