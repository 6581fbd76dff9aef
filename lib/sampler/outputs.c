/*
 * pluck_outputs: one scan of the logits, the stages once, and no pass over all exponentials that
 * another one has made already. The order of work:
 *   1. What the block maxima find among the logits as they came, before a stage changes the maxima:
 *      the best tokens, the ranks of given ones.
 *   2. The stages, the pick, the reports on the final distribution.
 *   3. The log-probabilities of the logits as they came. They come last because a stage, or the
 *      nucleus, may have added up the same exponentials (mass.c notes the sum); otherwise they are
 *      added up now.
 * A normaliser is computed only if a field that is wanted needs it. A pass over the whole row costs
 * several times what everything else does: there are two of them only for log-probabilities of both
 * kinds where the final distribution is dense and not that of the logits as they came.
 *
 * The pick works on the view as the stages left it, with its nucleus still deferred, exactly as
 * pluck_sampler_sample() does; only then is the view settled for the reports. So a token does not
 * depend on what is reported about it.
 *
 * The tokens that a row keeps wait in the scratch memory, in ids and values, until the calling
 * thread knows where they go. No function that works on the logits as they came touches these.
 */
#include "sampler/sampler_impl.h"

#include "base/error.h"
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "select/pick.h"

#include <float.h>
#include <math.h>
#include <string.h>

static bool wants_top(const pluck_outputs *out, pluck_logprob_kind kind)
{
    return out->top && out->n_top > 0 && out->top_kind == kind;
}

static bool wants_given(const pluck_outputs *out, pluck_logprob_kind kind)
{
    return (out->given_logprobs || out->given_ranks) && out->n_given > 0 && out->given_kind == kind;
}

static pluck_status check_given(const pluck_outputs *out, uint32_t n_vocab, size_t n_rows,
                                pluck_error *err)
{
    if (!out->given_logprobs && !out->given_ranks)
        return PLUCK_OK;
    if (!out->given && out->n_given > 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "outputs.given is NULL");
    for (size_t i = 0; i < n_rows * out->n_given; i++)
        if (out->given[i] < 0 || (uint32_t)out->given[i] >= n_vocab)
            return plk_fail(err, PLUCK_ERR_INVALID, "outputs.given: token %d is outside [0, %u]",
                            out->given[i], n_vocab - 1);
    return PLUCK_OK;
}

pluck_status plk_outputs_check(pluck_outputs *out, const pluck_outputs *given, uint32_t n_vocab,
                               size_t n_rows, pluck_error *err)
{
    if (!given)
        return plk_fail(err, PLUCK_ERR_INVALID, "outputs is NULL");
    pluck_status status = PLK_READ_STRUCT(out, given, "outputs", pluck_outputs, err);
    if (status != PLUCK_OK)
        return status;
    if (!out->tokens && (out->accept || out->logprobs || out->raw_logprobs))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "outputs.tokens is NULL, so nothing is drawn: accept must be false, "
                        "logprobs and raw_logprobs NULL");
    if (out->top_kind != PLUCK_LOGPROB_RAW && out->top_kind != PLUCK_LOGPROB_FINAL)
        return plk_fail(err, PLUCK_ERR_INVALID, "outputs.top_kind: %d is not a pluck_logprob_kind",
                        (int)out->top_kind);
    if (out->given_kind != PLUCK_LOGPROB_RAW && out->given_kind != PLUCK_LOGPROB_FINAL)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "outputs.given_kind: %d is not a pluck_logprob_kind", (int)out->given_kind);
    if (!out->kept_offsets && out->kept)
        return plk_fail(err, PLUCK_ERR_INVALID, "outputs.kept needs outputs.kept_offsets");
    if (!out->kept && (out->kept_logprobs || out->kept_capacity > 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "outputs.kept is NULL; kept_logprobs must be NULL and kept_capacity 0");
    if (out->probs_stride != 0 && out->probs_stride < n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "outputs.probs_stride is %zu; it must be 0 or at least %u",
                        out->probs_stride, n_vocab);
    return check_given(out, n_vocab, n_rows, err);
}

static float *probs_of(const pluck_outputs *out, size_t row, uint32_t n_vocab)
{
    return out->probs + row * (out->probs_stride != 0 ? out->probs_stride : n_vocab);
}

void plk_outputs_clear(const pluck_outputs *out, size_t row, uint32_t n_vocab, pluck_status status)
{
    if (out->tokens)
        out->tokens[row] = PLUCK_NO_TOKEN;
    if (out->statuses)
        out->statuses[row] = status;
    if (out->logprobs)
        out->logprobs[row] = NAN;
    if (out->raw_logprobs)
        out->raw_logprobs[row] = NAN;
    if (out->n_survivors)
        out->n_survivors[row] = 0;
    for (uint32_t i = 0; out->top && i < out->n_top; i++)
        out->top[row * out->n_top + i] = (pluck_logprob){PLUCK_NO_TOKEN, -INFINITY};
    if (out->kept_log_mass)
        out->kept_log_mass[row] = NAN;
    for (uint32_t i = 0; out->given_logprobs && i < out->n_given; i++)
        out->given_logprobs[row * out->n_given + i] = NAN;
    for (uint32_t i = 0; out->given_ranks && i < out->n_given; i++)
        out->given_ranks[row * out->n_given + i] = 0;
    for (uint32_t t = 0; out->probs && t < n_vocab; t++)
        probs_of(out, row, n_vocab)[t] = NAN;
}

/* The caller's logit of a token, whatever has become of the scratch memory. Tokens that a
 * configuration bans for a bad logit are at -inf. */
static float raw_logit(const plk_view *raw, uint32_t token)
{
    float logit = plk_view_raw(raw, token);
    return logit <= FLT_MAX ? logit : -INFINITY;
}

static float logprob_in(const plk_view *view, pluck_logprob_kind kind, double log_normaliser,
                        pluck_token token)
{
    float stored = kind == PLUCK_LOGPROB_RAW ? raw_logit(view, (uint32_t)token)
                                             : plk_view_stored(view, (uint32_t)token);
    return (float)(plk_view_below_max(view, stored) - log_normaliser);
}

/* The best tokens, with their logits in the place of log-probabilities, which follow; and the ranks
 * of the tokens given. */
static void find_tokens(const plk_view *view, pluck_logprob_kind kind, const pluck_outputs *out,
                        size_t row)
{
    size_t first_given = row * out->n_given, first_top = row * out->n_top;
    if (wants_given(out, kind) && out->given_ranks)
        plk_view_ranks(view, out->given + first_given, out->n_given,
                       out->given_ranks + first_given);
    if (!wants_top(out, kind))
        return;
    uint32_t n = plk_view_best(view, out->n_top);
    const plk_key *keys = view->scratch->keys;
    for (uint32_t i = 0; i < n; i++)
        out->top[first_top + i] =
            (pluck_logprob){(pluck_token)plk_key_token(keys[i]), plk_key_logit(keys[i])};
    for (uint32_t i = n; i < out->n_top; i++)
        out->top[first_top + i] = (pluck_logprob){PLUCK_NO_TOKEN, -INFINITY};
}

/* Looking a token up in a compact view takes much longer than all else here, but a zero may have
 * lost its sign on the way. */
static void score_top(const plk_view *view, pluck_logprob_kind kind, double log_normaliser,
                      pluck_logprob *top, uint32_t n)
{
    for (uint32_t i = 0; i < n && top[i].token != PLUCK_NO_TOKEN; i++) {
        float logit = top[i].logprob;
        top[i].logprob = logit != 0.0f ? (float)(plk_view_below_max(view, logit) - log_normaliser)
                                       : logprob_in(view, kind, log_normaliser, top[i].token);
    }
}

static void score_tokens(const plk_view *view, pluck_logprob_kind kind, double log_normaliser,
                         const pluck_outputs *out, size_t row)
{
    size_t first_given = row * out->n_given;
    if (wants_given(out, kind) && out->given_logprobs)
        for (size_t i = first_given; i < first_given + out->n_given; i++)
            out->given_logprobs[i] = logprob_in(view, kind, log_normaliser, out->given[i]);
    if (wants_top(out, kind))
        score_top(view, kind, log_normaliser, out->top + row * out->n_top, out->n_top);
}

/* The probabilities as pluck_sampler_distribution() writes them. */
static void write_probs(const plk_view *view, double normaliser, float *probs)
{
    float least = plk_view_least(view);
    memset(probs, 0, view->logits.n_vocab * sizeof *probs);
    plk_run run;
    plk_run_init(&run, view);
    while (plk_run_next(&run))
        for (uint32_t i = 0; i < run.n_blocks * PLK_BLOCK; i++) {
            float x = plk_float_at(run.x, i);
            if (x >= least)
                probs[plk_view_token(view, run.first_block * PLK_BLOCK + i)] =
                    plk_view_prob(view, x, normaliser);
        }
}

/* The tokens with p > 0 into ids, ascending, and their log-probabilities into values, if those are
 * wanted: the last that is done with the view. */
static uint32_t list_kept(const plk_view *view, double log_normaliser, bool wants_logprobs)
{
    plk_scratch *w = view->scratch;
    float least = plk_view_least(view);
    uint32_t n = 0;
    if (view->compact)
        for (uint32_t i = 0; i < view->n; i++) {
            w->ids[n] = w->ids[i];
            w->values[n] = w->values[i];
            n += w->values[i] >= least;
        }
    else
        n = plk_view_gather(view, least);
    /* plk_view_below_max() of each, as a loop that compilers vectorise. */
    double scale = view->scale, max = (double)view->max;
    for (uint32_t i = 0; i < n && wants_logprobs; i++)
        w->values[i] = (float)(scale * ((double)w->values[i] - max) - log_normaliser);
    return n;
}

/* ln of the share that the n >= 1 tokens in ids have of the distribution. Their exponentials are
 * taken relative to the largest of them, so that none is lost far below the maximum. */
static float log_mass_of(const plk_view *raw, double log_normaliser, uint32_t n)
{
    const uint32_t *tokens = raw->scratch->ids;
    bool may_be_all = !raw->compact && n > raw->logits.n_vocab / 2;
    if (may_be_all && n == plk_view_n_candidates(raw))
        return 0.0f;
    plk_view near = *raw;
    near.max = -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        near.max = fmaxf(near.max, raw_logit(raw, tokens[i]));
    double mass = 0.0;
    for (uint32_t first = 0; first < n; first += PLK_BLOCK) {
        float x[PLK_BLOCK];
        double sum;
        for (uint32_t i = 0; i < PLK_BLOCK; i++)
            x[i] = first + i < n ? raw_logit(raw, tokens[first + i]) : -INFINITY;
        plk_view_exp_sums(&near, x, 1, &sum);
        mass += sum;
    }
    double log_mass = plk_view_below_max(raw, near.max) + plk_log(mass) - log_normaliser;
    return (float)(log_mass < 0.0 ? log_mass : 0.0);
}

/* Whether a report is on the final distribution, beyond the draw itself. */
static bool reports_final(const pluck_outputs *out)
{
    return out->logprobs || out->n_survivors || out->kept_offsets || out->kept_log_mass ||
           out->probs || wants_top(out, PLUCK_LOGPROB_FINAL) ||
           wants_given(out, PLUCK_LOGPROB_FINAL);
}

/* Whether log-probabilities of this kind are wanted in a list. */
static bool lists_logprobs(const pluck_outputs *out, pluck_logprob_kind kind)
{
    return wants_top(out, kind) || (wants_given(out, kind) && out->given_logprobs);
}

static bool needs_final_normaliser(const pluck_outputs *out)
{
    return out->logprobs || out->probs || out->kept_logprobs ||
           lists_logprobs(out, PLUCK_LOGPROB_FINAL);
}

static bool needs_raw_normaliser(const pluck_outputs *out)
{
    return out->raw_logprobs || out->kept_log_mass || lists_logprobs(out, PLUCK_LOGPROB_RAW);
}

/* The normaliser of the final view. Where it has edits alone, the sums that the raw one needs too
 * serve for both. */
static double final_normaliser(const plk_view *view, const plk_view *raw, const pluck_outputs *out)
{
    if (!needs_final_normaliser(out))
        return 1.0;
    bool has_edits_alone = plk_view_is_only_edited(view) && view->n_edits > 0;
    if (needs_raw_normaliser(out) && has_edits_alone && view->scale == raw->scale)
        (void)plk_view_block_sums(raw);
    return plk_view_normaliser(view);
}

/* The final view: draws, settles, reports. raw: NULL if nothing of it is wanted. */
static void fill_final(pluck_sampler *sampler, plk_view *view, const plk_view *raw,
                       pluck_pcg64 *rng, const pluck_outputs *out, size_t row, uint32_t *n_kept)
{
    if (out->tokens) {
        out->tokens[row] = (pluck_token)plk_view_pick(view, rng);
        plk_sampler_remember(sampler, view, out->tokens[row]);
    }
    if (!reports_final(out))
        return;
    plk_view_settle(view);
    double normaliser = final_normaliser(view, raw, out);
    double log_normaliser = plk_log(normaliser);
    if (out->logprobs)
        out->logprobs[row] =
            logprob_in(view, PLUCK_LOGPROB_FINAL, log_normaliser, out->tokens[row]);
    if (out->n_survivors)
        out->n_survivors[row] = plk_view_count(view);
    if (out->probs)
        write_probs(view, normaliser, probs_of(out, row, sampler->n_vocab));
    find_tokens(view, PLUCK_LOGPROB_FINAL, out, row);
    score_tokens(view, PLUCK_LOGPROB_FINAL, log_normaliser, out, row);
    if (out->kept_offsets || out->kept_log_mass)
        *n_kept = list_kept(view, log_normaliser, out->kept_logprobs != NULL);
}

/* The log-probabilities of the logits as they came. */
static void fill_raw(const plk_view *raw, double normaliser, const pluck_outputs *out, size_t row,
                     uint32_t n_kept)
{
    double log_normaliser = plk_log(normaliser);
    score_tokens(raw, PLUCK_LOGPROB_RAW, log_normaliser, out, row);
    if (out->raw_logprobs)
        out->raw_logprobs[row] =
            logprob_in(raw, PLUCK_LOGPROB_RAW, log_normaliser, out->tokens[row]);
    if (out->kept_log_mass)
        out->kept_log_mass[row] = log_mass_of(raw, log_normaliser, n_kept);
}

/* Where nothing of the logits as they came is wanted, a mask can act while they are scanned. */
static pluck_status fill_final_alone(pluck_sampler *sampler, pluck_logits logits,
                                     const pluck_outputs *out, size_t row, uint32_t *n_kept,
                                     pluck_error *err)
{
    plk_view view;
    pluck_pcg64 rng = sampler->rng;
    pluck_status status = plk_sampler_final_view(sampler, logits, &rng, &view, err);
    if (status == PLUCK_OK)
        fill_final(sampler, &view, NULL, &rng, out, row, n_kept);
    return status;
}

static pluck_status fill_row(pluck_sampler *sampler, pluck_logits logits, const pluck_outputs *out,
                             size_t row, uint32_t *n_kept, pluck_error *err)
{
    bool has_raw = needs_raw_normaliser(out) || wants_top(out, PLUCK_LOGPROB_RAW) ||
                   wants_given(out, PLUCK_LOGPROB_RAW);
    bool has_final = out->tokens || reports_final(out);
    if (has_final && !has_raw)
        return fill_final_alone(sampler, logits, out, row, n_kept, err);
    plk_view raw;
    pluck_status status = plk_sampler_open_raw(sampler, logits, &raw, err);
    if (status != PLUCK_OK)
        return status;
    find_tokens(&raw, PLUCK_LOGPROB_RAW, out, row);
    /* Where bad logits were banned the view is compact, and the stages use it up. */
    double normaliser = 0.0;
    if (raw.compact && needs_raw_normaliser(out))
        normaliser = plk_view_normaliser(&raw);
    if (has_final) {
        plk_view view = raw;
        pluck_pcg64 rng = sampler->rng;
        status = plk_sampler_finish_view(sampler, &rng, &view, err);
        if (status != PLUCK_OK)
            return status;
        fill_final(sampler, &view, &raw, &rng, out, row, n_kept);
    }
    if (!needs_raw_normaliser(out))
        return PLUCK_OK;
    if (!raw.compact)
        normaliser = plk_view_normaliser(&raw);
    fill_raw(&raw, normaliser, out, row, *n_kept);
    return PLUCK_OK;
}

pluck_status plk_sampler_fill(pluck_sampler *sampler, pluck_logits logits, const pluck_outputs *out,
                              size_t row, uint32_t *n_kept, pluck_error *err)
{
    *n_kept = 0;
    pluck_status status = plk_sampler_check(sampler, logits, err);
    sampler->drawn_before = sampler->drawn;
    if (status == PLUCK_OK) {
        plk_fp_state fp = plk_fp_enter();
        status = fill_row(sampler, logits, out, row, n_kept, err);
        plk_fp_leave(fp);
    }
    if (status != PLUCK_OK)
        plk_outputs_clear(out, row, sampler->n_vocab, status);
    else if (out->statuses)
        out->statuses[row] = PLUCK_OK;
    return status;
}

void plk_outputs_keep(const pluck_outputs *out, size_t row, uint32_t n_kept,
                      const plk_scratch *scratch)
{
    if (!out->kept_offsets)
        return;
    size_t at = row > 0 ? out->kept_offsets[row] : 0;
    out->kept_offsets[0] = 0;
    out->kept_offsets[row + 1] = at + n_kept;
    if (at + n_kept > out->kept_capacity)
        return;
    for (uint32_t i = 0; i < n_kept; i++)
        out->kept[at + i] = (pluck_token)scratch->ids[i];
    if (out->kept_logprobs && n_kept > 0)
        memcpy(out->kept_logprobs + at, scratch->values, n_kept * sizeof *out->kept_logprobs);
}

/* Nothing was drawn, and no row has an output. */
static pluck_status give_up(pluck_sampler *const *samplers, const pluck_outputs *out, size_t n_rows,
                            uint32_t n_vocab, pluck_status status)
{
    for (size_t r = 0; r < n_rows; r++) {
        bool is_skipped = samplers && !samplers[r];
        if (samplers && samplers[r])
            samplers[r]->drawn = samplers[r]->drawn_before;
        plk_outputs_clear(out, r, n_vocab, is_skipped ? PLUCK_OK : status);
    }
    return status;
}

pluck_status plk_outputs_finish(pluck_sampler *const *samplers, const pluck_outputs *out,
                                size_t n_rows, uint32_t n_vocab, pluck_error *err)
{
    if (out->kept && out->kept_offsets[n_rows] > out->kept_capacity) {
        (void)plk_fail(err, PLUCK_ERR_SPACE,
                       "outputs.kept_capacity is %zu, but %zu tokens are kept; kept_offsets[%zu] "
                       "has the number",
                       out->kept_capacity, out->kept_offsets[n_rows], n_rows);
        return give_up(samplers, out, n_rows, n_vocab, PLUCK_ERR_SPACE);
    }
    for (size_t r = 0; out->accept && r < n_rows; r++)
        if (out->tokens[r] != PLUCK_NO_TOKEN &&
            plk_sampler_reserve(samplers[r], out->tokens + r, 1, err) != PLUCK_OK) {
            for (size_t i = 0; out->kept_offsets && i <= n_rows; i++)
                out->kept_offsets[i] = 0;
            return give_up(samplers, out, n_rows, n_vocab, PLUCK_ERR_NOMEM);
        }
    for (size_t r = 0; out->accept && r < n_rows; r++)
        if (out->tokens[r] != PLUCK_NO_TOKEN)
            plk_sampler_accept_reserved(samplers[r], out->tokens[r], false);
    return PLUCK_OK;
}

pluck_status pluck_sampler_run(pluck_sampler *sampler, pluck_logits logits,
                               const pluck_outputs *outputs, pluck_error *err)
{
    if (!sampler)
        return plk_fail(err, PLUCK_ERR_INVALID, "sampler is NULL");
    pluck_outputs out;
    pluck_status status = plk_outputs_check(&out, outputs, sampler->n_vocab, 1, err);
    if (status == PLUCK_OK)
        status = plk_sampler_check(sampler, logits, err);
    if (status != PLUCK_OK)
        return status;
    uint32_t n_kept;
    status = plk_sampler_fill(sampler, logits, &out, 0, &n_kept, err);
    plk_outputs_keep(&out, 0, n_kept, sampler->scratch);
    if (status != PLUCK_OK)
        return status;
    return plk_outputs_finish(&sampler, &out, 1, sampler->n_vocab, err);
}
