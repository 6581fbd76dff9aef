/*
 * The way of single tokens through the stages.
 */
#ifndef PL_TRACE_TOKENS_H
#define PL_TRACE_TOKENS_H

#include "sampler/trace_compare.h"

/* Where a token stands in a distribution. */
pluck_token_step pl_token_step_in(const pl_snapshot *snapshot, uint32_t token);

/* What the token, which the stage removed, lacked. */
void pl_token_lacked(const pl_snapshot *before, const pluck_stage_report *report,
                     pluck_token_fate *fate);

#endif
