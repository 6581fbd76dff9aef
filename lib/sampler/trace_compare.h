/*
 * A distribution laid out by token, and what a stage did: the difference of two of them.
 */
#ifndef PL_TRACE_COMPARE_H
#define PL_TRACE_COMPARE_H

#include "stages/stage_impl.h"

#include <pluck/trace.h>

typedef struct pl_snapshot {
    float *stored;  /* [n_vocab] stored logits; -inf: no candidate */
    float *weights; /* [n_vocab] exp(logit - max logit) */
    uint32_t n_vocab;
    uint32_t n_survivors;
    double scale;
    double max; /* the largest logit */
    double sum; /* of the weights, ascending by token */
    double entropy;
} pl_snapshot;

/* Of a settled view. */
void pl_snapshot_take(pl_snapshot *snapshot, const pl_view *view);

/* -inf if it is no candidate. */
double pl_snapshot_logit(const pl_snapshot *snapshot, uint32_t token);
double pl_snapshot_prob(const pl_snapshot *snapshot, uint32_t token);

/* Fills in what follows from the two distributions; edits holds max_edits. edits_single: the stage
 * looks at single tokens, so that what it removes is an edit too, and no bound is looked for. */
void pl_compare(const pl_snapshot *before, const pl_snapshot *after, bool edits_single,
                const pl_explanation *explanation, pluck_trace_edit *edits, size_t max_edits,
                pluck_stage_report *report);

#endif
