/*
 * Both distributions lie in arrays by token, so that comparing is one pass in token order: sums are
 * added in that order and come out the same everywhere. A stage moves only the scale, or replaces
 * single stored logits, or (plk_view_edit_all) replaces all and sets the scale to 1: a stored logit
 * that is neither the old one nor the old one with the scale multiplied in was edited.
 *
 * The bound is the stage's own if it tells one; else the sets tell: what was removed lies below
 * what was kept, above it, or on both sides of it.
 *
 * The way of single tokens: rank and the probability above are counted over the whole distribution,
 * one pass per token and stage, in token order too.
 */
#include "sampler/trace_compare.h"

#include "base/scalar_math.h"
#include "select/mass.h"
#include "select/order.h"

#include <math.h>
#include <string.h>

void plk_snapshot_fill(plk_snapshot *snapshot, const plk_view *view)
{
    uint32_t n_vocab = snapshot->n_vocab, n_blocks = plk_view_n_blocks(view);
    double normaliser;
    for (uint32_t t = 0; t < n_vocab; t++)
        snapshot->stored[t] = -INFINITY;
    memset(snapshot->weights, 0, n_vocab * sizeof *snapshot->weights);
    snapshot->sum = 0.0;
    for (uint32_t b = 0; b < n_blocks; b++) {
        float buffer[PLK_BLOCK], e[PLK_BLOCK];
        const float *x = plk_view_block(view, b, buffer);
        plk_view_exp_values(view, x, 1, e);
        for (uint32_t i = 0; i < PLK_BLOCK; i++) {
            float stored = plk_float_at(x, i);
            if (stored == -INFINITY)
                continue;
            uint32_t token = plk_view_token(view, b * PLK_BLOCK + i);
            snapshot->stored[token] = stored;
            snapshot->weights[token] = e[i];
            snapshot->sum += (double)e[i];
        }
    }
    snapshot->scale = view->scale;
    snapshot->max = view->scale * (double)view->max;
    snapshot->entropy = plk_view_entropy(view, &normaliser);
    snapshot->n_survivors = plk_view_count(view);
}

double plk_snapshot_logit(const plk_snapshot *snapshot, uint32_t token)
{
    return snapshot->scale * (double)snapshot->stored[token];
}

double plk_snapshot_prob(const plk_snapshot *snapshot, uint32_t token)
{
    return (double)snapshot->weights[token] / snapshot->sum;
}

/* Best and worst of the tokens kept and removed, as keys in the order before; 0: there are none. */
typedef struct extremes {
    plk_key worst_kept, best_kept, worst_removed, best_removed;
} extremes;

static void extend(plk_key key, plk_key *worst, plk_key *best)
{
    *best = key > *best ? key : *best;
    *worst = *worst == 0 || key < *worst ? key : *worst;
}

static pluck_place place_of(const plk_snapshot *before, plk_key key)
{
    if (key == 0)
        return (pluck_place){.token = -1};
    uint32_t token = plk_key_token(key);
    return (pluck_place){(pluck_token)token, plk_snapshot_logit(before, token),
                         plk_snapshot_prob(before, token)};
}

/* Whether a removed token lies strictly between the logits of two kept ones, or has the logit of an
 * end and is better than the token there: a stage with a band keeps the lower of equal tokens. */
static bool has_gaps(const plk_snapshot *before, const plk_snapshot *after, const extremes *ends)
{
    float low = plk_key_logit(ends->worst_kept), high = plk_key_logit(ends->best_kept);
    for (uint32_t t = 0; t < before->n_vocab; t++) {
        float x = before->stored[t];
        if (x < low || x > high || after->stored[t] > -INFINITY)
            continue;
        plk_key key = plk_key_of(x, t);
        if ((x > low && x < high) || (x == low && key > ends->worst_kept) ||
            (x == high && key > ends->best_kept))
            return true;
    }
    return false;
}

static pluck_bound bound_of_sets(const plk_snapshot *before, const plk_snapshot *after,
                                 const extremes *ends)
{
    if (ends->best_removed == 0)
        return PLUCK_BOUND_NONE;
    if (ends->best_removed < ends->worst_kept)
        return PLUCK_BOUND_WORST_KEPT;
    if (ends->worst_removed > ends->best_kept)
        return PLUCK_BOUND_BEST_KEPT;
    return has_gaps(before, after, ends) ? PLUCK_BOUND_NONE : PLUCK_BOUND_BAND;
}

static void find_bound(const plk_snapshot *before, const plk_snapshot *after, const extremes *ends,
                       bool edits_single, const plk_explanation *explanation,
                       pluck_stage_report *report)
{
    double rounding = 0x1p-21; /* covers what thresholds allow for that of logits */
    double logit = before->max + explanation->offset;
    report->bound = PLUCK_BOUND_NONE;
    if (explanation->has_threshold && report->worst_kept.logit >= logit - rounding) {
        report->bound = PLUCK_BOUND_FORMULA;
        report->bound_logit = logit;
        report->bound_prob = plk_exp(explanation->offset) / before->sum;
        return;
    }
    if (!edits_single || explanation->from_above)
        report->bound = bound_of_sets(before, after, ends);
    const pluck_place *at =
        report->bound == PLUCK_BOUND_BEST_KEPT ? &report->best_kept : &report->worst_kept;
    bool has_bound = report->bound != PLUCK_BOUND_NONE;
    report->bound_logit = has_bound ? at->logit : (double)NAN;
    report->bound_prob = has_bound ? at->prob : (double)NAN;
}

void plk_compare(const plk_snapshot *before, const plk_snapshot *after, bool edits_single,
                 const plk_explanation *explanation, pluck_trace_edit *edits, size_t max_edits,
                 pluck_stage_report *report)
{
    extremes ends = {0};
    double mass = 0.0;
    bool replaced = false;
    report->edits = edits;
    for (uint32_t t = 0; t < before->n_vocab; t++) {
        float old = before->stored[t], new = after->stored[t];
        if (old == -INFINITY)
            continue;
        plk_key key = plk_key_of(old, t);
        bool kept = new > -INFINITY;
        if (kept) {
            mass += (double)before->weights[t];
            extend(key, &ends.worst_kept, &ends.best_kept);
            replaced |= new != old;
        } else {
            report->n_removed++;
            extend(key, &ends.worst_removed, &ends.best_removed);
        }
        if (!(kept || edits_single) || new == old)
            continue;
        if (after->scale == 1.0 && (float)(before->scale * (double)old) == new)
            continue; /* not an edit: the scale was taken in */
        report->n_edits++;
        if (report->n_listed < max_edits)
            edits[report->n_listed++] = (pluck_trace_edit){
                (pluck_token)t, plk_snapshot_logit(before, t), plk_snapshot_logit(after, t)};
    }
    report->mass = mass / before->sum;
    /* Stored logits and scale both change only where plk_view_edit_all takes the scale in. */
    report->temperature = replaced ? 1.0 : before->scale / after->scale;
    report->entropy_before = before->entropy;
    report->entropy = after->entropy;
    report->n_survivors = after->n_survivors;
    report->worst_kept = place_of(before, ends.worst_kept);
    report->best_kept = place_of(before, ends.best_kept);
    report->best_removed = place_of(before, ends.best_removed);
    find_bound(before, after, &ends, edits_single, explanation, report);
}

pluck_token_step plk_token_step_in(const plk_snapshot *snapshot, uint32_t token)
{
    float stored = snapshot->stored[token];
    if (stored == -INFINITY)
        return (pluck_token_step){.logit = -(double)INFINITY};
    plk_key own = plk_key_of(stored, token);
    uint32_t n_better = 0;
    double above = 0.0;
    for (uint32_t t = 0; t < snapshot->n_vocab; t++)
        if (snapshot->stored[t] > -INFINITY && plk_key_of(snapshot->stored[t], t) > own) {
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
