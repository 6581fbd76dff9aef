/*
 * A trace runs the chain twice. First as a draw does, where a nucleus may stay uncut, because the
 * random numbers that a draw consumes depend on how it goes; then once more, cutting at once, with
 * a snapshot of the distribution after every stage. Both keep the same tokens.
 */
#include <pluck/trace.h>

#include "base/error.h"
#include "base/scalar_math.h"
#include "sampler/sampler_impl.h"
#include "sampler/trace_compare.h"
#include "select/keep.h"
#include "select/mass.h"
#include "select/pick.h"

#include <math.h>
#include <string.h>

struct pluck_trace {
    pluck_allocator allocator;
    uint32_t n_vocab;
    size_t max_stages, max_tokens, max_edits;
    plk_snapshot snapshots[2];
    pluck_stage_report *stages;           /* [max_stages] */
    const pluck_stage_report **stages_at; /* [max_stages] where each is */
    pluck_trace_edit *edits;              /* [max_stages][max_edits] */
    pluck_token_fate *fates;              /* [max_tokens] */
    const pluck_token_fate **fates_at;    /* [max_tokens] where each is */
    pluck_token_step *steps;              /* [max_tokens][max_stages] */
    pluck_trace_draw draw;
    pluck_trace_report report; /* n_stages 0: the last run failed */
};

/* Room for n times each elements; false if there is none. */
static bool reserve(const pluck_allocator *allocator, size_t n, size_t each, size_t size_bytes,
                    void *out)
{
    size_t total;
    void *memory = plk_mul_size(n, each, &total) ? plk_alloc(allocator, total, size_bytes) : NULL;
    memcpy(out, &memory, sizeof memory);
    return memory != NULL;
}

static bool reserve_all(pluck_trace *trace)
{
    const pluck_allocator *allocator = &trace->allocator;
    bool ok = true;
    for (int i = 0; i < 2; i++) {
        plk_snapshot *snapshot = trace->snapshots + i;
        snapshot->n_vocab = trace->n_vocab;
        ok = ok && reserve(allocator, trace->n_vocab, 1, sizeof(float), &snapshot->stored) &&
             reserve(allocator, trace->n_vocab, 1, sizeof(float), &snapshot->weights);
    }
    return ok && reserve(allocator, trace->max_stages, 1, sizeof *trace->stages, &trace->stages) &&
           reserve(allocator, trace->max_stages, 1, sizeof *trace->stages_at, &trace->stages_at) &&
           reserve(allocator, trace->max_stages, trace->max_edits, sizeof *trace->edits,
                   &trace->edits) &&
           reserve(allocator, trace->max_tokens, 1, sizeof *trace->fates, &trace->fates) &&
           reserve(allocator, trace->max_tokens, 1, sizeof *trace->fates_at, &trace->fates_at) &&
           reserve(allocator, trace->max_tokens, trace->max_stages, sizeof *trace->steps,
                   &trace->steps);
}

pluck_status pluck_trace_create(pluck_trace **out, const pluck_sampler *sampler,
                                const pluck_trace_options *options, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_trace_create: out must not be NULL");
    *out = NULL;
    if (!sampler)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_trace_create: sampler must not be NULL");
    pluck_trace_options known;
    pluck_status status = PLK_READ_STRUCT(&known, options, "options", pluck_trace_options, err);
    if (status != PLUCK_OK)
        return status;
    pluck_trace *trace = plk_alloc_zero(&sampler->allocator, 1, sizeof *trace);
    if (!trace)
        return plk_fail_nomem(err, sizeof *trace);
    trace->allocator = sampler->allocator;
    trace->n_vocab = sampler->n_vocab;
    trace->max_stages = sampler->chain.n + 1;
    trace->max_tokens = known.max_tokens != 0 ? known.max_tokens : PLUCK_TRACE_TOKENS;
    trace->max_edits = known.max_edits != 0 ? known.max_edits : PLUCK_TRACE_EDITS;
    if (!reserve_all(trace)) {
        pluck_trace_destroy(&trace);
        return plk_fail(err, PLUCK_ERR_NOMEM,
                        "out of memory: a trace of %u logits could not be allocated",
                        sampler->n_vocab);
    }
    for (size_t i = 0; i < trace->max_stages; i++)
        trace->stages_at[i] = trace->stages + i;
    for (size_t i = 0; i < trace->max_tokens; i++)
        trace->fates_at[i] = trace->fates + i;
    trace->report.stages = trace->stages_at;
    trace->report.tokens = trace->fates_at;
    trace->report.draw = &trace->draw;
    *out = trace;
    return PLUCK_OK;
}

void pluck_trace_destroy(pluck_trace **trace)
{
    if (!trace || !*trace)
        return;
    pluck_trace *t = *trace;
    pluck_allocator allocator = t->allocator;
    for (int i = 0; i < 2; i++) {
        plk_free(&allocator, t->snapshots[i].stored);
        plk_free(&allocator, t->snapshots[i].weights);
    }
    plk_free(&allocator, t->stages);
    plk_free(&allocator, t->edits);
    plk_free(&allocator, (void *)t->stages_at);
    plk_free(&allocator, t->fates);
    plk_free(&allocator, (void *)t->fates_at);
    plk_free(&allocator, t->steps);
    plk_free(&allocator, t);
    *trace = NULL;
}

/* The numbers that take one generator to the other: how many, and the first of them. */
static size_t words_between(pluck_pcg64 from, const pluck_pcg64 *to, uint64_t *words,
                            size_t capacity)
{
    size_t most = (size_t)1 << 20; /* a stage that jumps never arrives */
    size_t n = 0;
    while ((from.state_lo != to->state_lo || from.state_hi != to->state_hi) && n < most) {
        uint64_t word = pluck_pcg64_next(&from);
        if (n < capacity)
            words[n] = word;
        n++;
    }
    return n;
}

/* Where the followed tokens are after report number index. */
static void follow(pluck_trace *trace, size_t index, const plk_snapshot *before,
                   const plk_snapshot *after)
{
    for (size_t i = 0; i < trace->report.n_tokens; i++) {
        pluck_token_fate *fate = trace->fates + i;
        pluck_token_step *step = trace->steps + i * trace->max_stages + index;
        *step = plk_token_step_in(after, (uint32_t)fate->token);
        if (step->logit > -(double)INFINITY || fate->removed_by != PLUCK_TRACE_SURVIVED)
            continue;
        fate->removed_by = index;
        if (before)
            plk_token_lacked(before, trace->stages + index, fate);
    }
}

static void report_logits(pluck_trace *trace, const plk_snapshot *logits)
{
    pluck_place nobody = {.token = -1};
    trace->stages[0] = (pluck_stage_report){.stage = "logits",
                                            .n_survivors = logits->n_survivors,
                                            .mass = 1.0,
                                            .entropy_before = logits->entropy,
                                            .entropy = logits->entropy,
                                            .temperature = 1.0,
                                            .bound_logit = (double)NAN,
                                            .bound_prob = (double)NAN,
                                            .worst_kept = nobody,
                                            .best_kept = nobody,
                                            .best_removed = nobody};
    trace->report.n_stages = 1;
    follow(trace, 0, NULL, logits);
}

/* Runs link number index and reports on it. */
static pluck_status trace_stage(const plk_chain *chain, size_t index, plk_view *view,
                                const plk_stage_context *context, pluck_trace *trace,
                                pluck_error *err)
{
    const plk_link *link = chain->links + index;
    const plk_snapshot *before = trace->snapshots + index % 2;
    plk_snapshot *after = trace->snapshots + (index + 1) % 2;
    pluck_stage_report *report = trace->stages + index + 1;
    pluck_pcg64 rng = *context->rng;
    plk_explanation explanation = {0};
    if (link->stage->explain)
        link->stage->explain(link->params, link->state, view, context, &explanation);
    pluck_status status = plk_chain_apply(chain, index, view, context, err);
    if (status != PLUCK_OK)
        return status;
    plk_view_settle(view);
    plk_snapshot_fill(after, view);
    *report = (pluck_stage_report){
        .stage = link->stage->info.name, .info = &link->stage->info, .params = link->params};
    plk_compare(before, after, link->stage->max_edits != NULL, &explanation,
                trace->edits + (index + 1) * trace->max_edits, trace->max_edits, report);
    for (; report->n_values < explanation.n_values; report->n_values++)
        report->values[report->n_values] = (pluck_trace_value){
            explanation.names[report->n_values], explanation.values[report->n_values]};
    report->n_words = words_between(rng, context->rng, report->words, PLUCK_TRACE_WORDS);
    trace->report.n_stages++;
    follow(trace, index + 1, before, after);
    return PLUCK_OK;
}

/* The draw as pluck_sampler_draw() makes it. */
static pluck_status trace_draw(const pluck_sampler *sampler, pluck_logits logits,
                               pluck_trace_draw *draw, double *inside, pluck_error *err)
{
    plk_view view;
    pluck_pcg64 rng = sampler->rng;
    pluck_status status = plk_sampler_final_view(sampler, logits, &rng, &view, err);
    if (status != PLUCK_OK)
        return status;
    pluck_pcg64 first = rng;
    plk_pick picked = plk_view_pick_where(&view, &rng);
    draw->drawn.token = (pluck_token)picked.token;
    draw->inverse = picked.inverse;
    draw->n_words = words_between(first, &rng, draw->words, PLUCK_TRACE_DRAW_WORDS);
    *inside = picked.inside;
    return PLUCK_OK;
}

/* The rest of the draw, in the final distribution. */
static void place_draw(pluck_trace_draw *draw, const plk_view *view, const plk_snapshot *final,
                       double inside)
{
    uint32_t token = (uint32_t)draw->drawn.token;
    double below = 0.0;
    for (uint32_t t = 0; t < token; t++)
        below += (double) final->weights[t];
    draw->low = below / final->sum;
    draw->high = (below + (double) final->weights[token]) / final->sum;
    double at = draw->low + inside * (draw->high - draw->low);
    draw->at = at < draw->high || draw->low == draw->high ? at : nextafter(draw->high, 0.0);
    double log_normaliser = plk_log(plk_view_normaliser(view));
    draw->drawn.logprob =
        (float)(plk_view_below_max(view, plk_view_stored(view, token)) - log_normaliser);
    draw->drawn.n_survivors = final->n_survivors;
}

static pluck_status run(const pluck_sampler *sampler, pluck_logits logits, pluck_trace *trace,
                        pluck_error *err)
{
    const plk_chain *chain = &sampler->chain;
    pluck_pcg64 rng = sampler->rng;
    plk_stage_context context = plk_sampler_context(sampler, &rng);
    plk_view view;
    double inside = 0.0;
    pluck_status status = trace_draw(sampler, logits, &trace->draw, &inside, err);
    if (status == PLUCK_OK)
        status = plk_sampler_open_view(sampler, logits, &view, err);
    if (status != PLUCK_OK)
        return status;
    plk_snapshot_fill(trace->snapshots, &view);
    report_logits(trace, trace->snapshots);
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++)
        status = trace_stage(chain, i, &view, &context, trace, err);
    if (status == PLUCK_OK)
        place_draw(&trace->draw, &view, trace->snapshots + chain->n % 2, inside);
    return status;
}

static pluck_status check(const pluck_sampler *sampler, const pluck_token *tokens, size_t n_tokens,
                          const pluck_trace *trace, pluck_error *err)
{
    if (!tokens && n_tokens > 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "tokens is NULL");
    if (trace->n_vocab != sampler->n_vocab || trace->max_stages < sampler->chain.n + 1)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "the trace is for %zu stages and %u tokens, but the sampler has %zu stages and %u "
            "tokens; create the trace with this sampler",
            trace->max_stages - 1, trace->n_vocab, sampler->chain.n, sampler->n_vocab);
    if (n_tokens > trace->max_tokens)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "tokens: %zu were given, but the trace can follow %zu (max_tokens)",
                        n_tokens, trace->max_tokens);
    for (size_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= sampler->n_vocab)
            return plk_fail(err, PLUCK_ERR_INVALID, "token %d is outside [0, %u]", tokens[i],
                            sampler->n_vocab - 1);
    return PLUCK_OK;
}

pluck_status pluck_trace_run(pluck_trace *trace, pluck_sampler *sampler, pluck_logits logits,
                             const pluck_token *tokens, size_t n_tokens, pluck_error *err)
{
    if (!trace)
        return plk_fail(err, PLUCK_ERR_INVALID, "trace is NULL");
    trace->report.n_stages = trace->report.n_tokens = 0;
    pluck_status status = plk_sampler_check(sampler, logits, err);
    if (status == PLUCK_OK)
        status = check(sampler, tokens, n_tokens, trace, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t i = 0; i < n_tokens; i++)
        trace->fates[i] = (pluck_token_fate){.token = tokens[i],
                                             .steps = trace->steps + i * trace->max_stages,
                                             .removed_by = PLUCK_TRACE_SURVIVED};
    trace->report.n_tokens = n_tokens;
    plk_fp_state fp = plk_fp_enter();
    status = run(sampler, logits, trace, err);
    plk_fp_leave(fp);
    if (status != PLUCK_OK)
        trace->report.n_stages = trace->report.n_tokens = 0;
    return status;
}

const pluck_trace_report *pluck_trace_get_report(const pluck_trace *trace)
{
    return trace && trace->report.n_stages > 0 ? &trace->report : NULL;
}
