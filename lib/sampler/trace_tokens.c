/*
 * Rank and the probability above are counted over the whole distribution: a pass a token and stage,
 * in token order, so that the sum is the same everywhere.
 */
#include "sampler/trace_tokens.h"

#include "select/order.h"

#include <math.h>

pluck_token_step plk_token_step_in(const plk_snapshot *snapshot, uint32_t token)
{
    float stored = snapshot->stored[token];
    if (stored == -INFINITY)
        return (pluck_token_step){.logit = -(double)INFINITY};
    plk_key own = plk_key_make(stored, token);
    uint32_t n_better = 0;
    double above = 0.0;
    for (uint32_t t = 0; t < snapshot->n_vocab; t++)
        if (snapshot->stored[t] > -INFINITY && plk_key_make(snapshot->stored[t], t) > own) {
            n_better++;
            above += (double)snapshot->weights[t];
        }
    return (pluck_token_step){plk_snapshot_logit(snapshot, token),
                              plk_snapshot_prob(snapshot, token), n_better + 1,
                              above / snapshot->sum};
}

static double positive(double x)
{
    return x > 0.0 ? x : 0.0;
}

void plk_token_lacked(const plk_snapshot *before, const pluck_stage_report *report,
                      pluck_token_fate *fate)
{
    double logit = plk_snapshot_logit(before, (uint32_t)fate->token);
    double prob = plk_snapshot_prob(before, (uint32_t)fate->token);
    bool has_upper = report->bound == PLUCK_BOUND_BEST_KEPT || report->bound == PLUCK_BOUND_BAND;
    if (report->bound == PLUCK_BOUND_NONE) {
        fate->lacked_logit = fate->lacked_prob = 0.0;
    } else if (has_upper && logit > report->best_kept.logit) {
        fate->lacked_logit = report->best_kept.logit - logit;
        fate->lacked_prob = report->best_kept.prob - prob;
    } else {
        fate->lacked_logit = positive(report->bound_logit - logit);
        fate->lacked_prob = positive(report->bound_prob - prob);
    }
}
