/*
 * The way of single tokens through the stages.
 */
#ifndef PLK_TRACE_TOKENS_H
#define PLK_TRACE_TOKENS_H

#include "sampler/trace_compare.h"

/* Where a token stands in a distribution. */
pluck_token_step plk_token_step_in(const plk_snapshot *snapshot, uint32_t token);

/* What the token, which the stage removed, lacked. */
void plk_token_lacked(const plk_snapshot *before, const pluck_stage_report *report,
                      pluck_token_fate *fate);

#endif
