/*
 * What calls on several tokens of one row share: the inside of pluck_sampler_draw_distinct(),
 * pluck_sampler_top_logprobs() and pluck_logprob_of().
 */
#ifndef PL_LOGPROBS_H
#define PL_LOGPROBS_H

#include "sampler/draw.h"

/* The view of one of the two distributions, settled: of the logits as they came, or the final
 * one. */
pluck_status pl_sampler_view_of(const pluck_sampler *sampler, pluck_logits logits,
                                pluck_logprob_kind kind, pl_view *view, pluck_error *err);

#endif
