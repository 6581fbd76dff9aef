/*
 * What calls on several tokens of one row share: the inside of pluck_sampler_draw_distinct(),
 * pluck_sampler_top_logprobs() and pluck_sampler_logprob().
 */
#ifndef PLK_LOGPROBS_H
#define PLK_LOGPROBS_H

#include "sampler/draw.h"

/* The view of one of the two distributions, settled: of the logits as they came, or the final
 * one. */
pluck_status plk_sampler_view_of(const pluck_sampler *sampler, pluck_logits logits,
                                 pluck_logprob_kind kind, plk_view *view, pluck_error *err);

#endif
