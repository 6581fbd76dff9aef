/*
 * A distribution laid out by token, what a stage did (the difference of two of them), and the way
 * of single tokens through the stages.
 */
#ifndef PLK_TRACE_COMPARE_H
#define PLK_TRACE_COMPARE_H

#include "stages/stage_impl.h"

#include <pluck/trace.h>

typedef struct plk_snapshot {
    float *stored;  /* [n_vocab] stored logits; -inf: no candidate */
    float *weights; /* [n_vocab] exp(logit - max logit) */
    uint32_t n_vocab;
    uint32_t n_survivors;
    double scale;
    double max; /* the largest logit */
    double sum; /* of the weights, ascending by token */
    double entropy;
} plk_snapshot;

/* Of a settled view. */
void plk_snapshot_fill(plk_snapshot *snapshot, const plk_view *view);

/* -inf if it was removed. */
double plk_snapshot_logit(const plk_snapshot *snapshot, uint32_t token);
double plk_snapshot_prob(const plk_snapshot *snapshot, uint32_t token);

/* Fills in what follows from the two distributions; edits holds max_edits. edits_single: the stage
 * looks at single tokens, so that what it removes is an edit too, and no bound is looked for. */
void plk_compare(const plk_snapshot *before, const plk_snapshot *after, bool edits_single,
                 const plk_explanation *explanation, pluck_trace_edit *edits, size_t max_edits,
                 pluck_stage_report *report);

/* Where a token stands in a distribution. */
pluck_token_step plk_token_step_in(const plk_snapshot *snapshot, uint32_t token);

/* What the token, which the stage removed, lacked. */
void plk_token_lacked(const plk_snapshot *before, const pluck_stage_report *report,
                      pluck_token_fate *fate);

#endif
