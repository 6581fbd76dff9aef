/*
 * A trace runs the chain once. Before each stage the weights of all tokens are written out, after
 * it they are added up over the tokens left: that is the mass kept, whatever the stage did to the
 * logits. The weights are the one allocation.
 */
#include "sampler/trace.h"

#include "base/error.h"
#include "select/mass.h"
#include "select/nucleus.h"

#include <math.h>
#include <string.h>

double pl_trace_weights(const pl_view *view, float *weights)
{
    memset(weights, 0, view->workspace->n_vocab * sizeof *weights);
    uint32_t n_blocks = pl_view_n_blocks(view);
    double sum = 0.0;
    for (uint32_t b = 0; b < n_blocks; b++) {
        float buffer[PL_BLOCK], e[PL_BLOCK];
        const float *x = pl_view_block(view, b, buffer);
        pl_view_exp_values(view, x, 1, e);
        for (uint32_t i = 0; i < PL_BLOCK; i++)
            if (e[i] > 0.0f) {
                weights[pl_view_token(view, b * PL_BLOCK + i)] = e[i];
                sum += (double)e[i];
            }
    }
    return sum;
}

double pl_trace_kept(const pl_view *view, const float *weights)
{
    uint32_t n_blocks = pl_view_n_blocks(view);
    double sum = 0.0;
    for (uint32_t b = 0; b < n_blocks; b++) {
        float buffer[PL_BLOCK];
        const float *x = pl_view_block(view, b, buffer);
        for (uint32_t i = 0; i < PL_BLOCK; i++)
            if (pl_float_at(x, i) > -INFINITY)
                sum += (double)weights[pl_view_token(view, b * PL_BLOCK + i)];
    }
    return sum;
}

static pluck_stage_report report(const pl_view *view, const char *stage, double mass)
{
    double normaliser;
    return (pluck_stage_report){.stage = stage,
                                .n_survivors = pl_view_count(view),
                                .mass = mass,
                                .entropy = pl_view_entropy(view, &normaliser)};
}

static pluck_status trace(const pluck_sampler *sampler, pluck_logits logits, float *weights,
                          pluck_stage_report *reports, size_t capacity, pluck_error *err)
{
    pluck_pcg64 rng = sampler->rng;
    const pl_stage_context context = {&sampler->history, sampler->n_vocab, &rng};
    const pl_chain *chain = &sampler->chain;
    pl_view view;
    pluck_status status = pl_sampler_open_view(sampler, logits, &view, err);
    if (status == PLUCK_OK && capacity > 0)
        reports[0] = report(&view, "logits", 1.0);
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++) {
        double before = pl_trace_weights(&view, weights);
        status = pl_chain_apply(chain, i, &view, &context, err);
        pl_view_settle(&view);
        if (status == PLUCK_OK && i + 1 < capacity) {
            double mass = pl_trace_kept(&view, weights) / before;
            reports[i + 1] = report(&view, chain->links[i].stage->info.name, mass);
        }
    }
    return status;
}

pluck_status pluck_sampler_trace(pluck_sampler *sampler, pluck_logits logits,
                                 pluck_stage_report *reports, size_t capacity, size_t *n_total,
                                 pluck_error *err)
{
    pluck_status status = pl_sampler_check(sampler, logits, err);
    if (status != PLUCK_OK)
        return status;
    if (!n_total || (!reports && capacity > 0))
        return pl_fail(err, PLUCK_ERR_INVALID, "reports or n_total is NULL");
    float *weights = pl_alloc(&sampler->allocator, sampler->n_vocab, sizeof *weights);
    if (!weights)
        return pl_fail_nomem(err, sampler->n_vocab * sizeof *weights);
    const pl_fp_state fp = pl_fp_enter();
    status = trace(sampler, logits, weights, reports, capacity, err);
    pl_fp_leave(fp);
    if (status == PLUCK_OK)
        *n_total = sampler->chain.n + 1;
    pl_free(&sampler->allocator, weights);
    return status;
}
