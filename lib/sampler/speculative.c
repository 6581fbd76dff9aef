/*
 * One position after the other. The difference max(t - d, 0) needs d for the tokens of t: d is
 * written into an array over the vocabulary that is zero everywhere between two calls, read along
 * t, and erased along d, so that the cost is that of the two supports.
 *
 * Products, differences and sums are doubles of float probabilities: u d(x) < t(x) is off by 2^-53
 * relative, a sum of n terms by n 2^-53. What is verified against are the probabilities given, each
 * within 2^-24 of its distribution's. The order of the terms is the caller's, so that results are
 * the same everywhere.
 *
 * Source: Leviathan, Kalman, Matias 2023, algorithm 1 and appendix A.1.
 */
#include <pluck/speculative.h>

#include "base/alloc.h"
#include "base/error.h"
#include "sampler/sampler_impl.h"
#include "select/keep.h"

#include <math.h>

struct pluck_speculation {
    pluck_allocator allocator;
    uint32_t n_vocab;
    uint64_t seed; /* of a space of its own */
    uint64_t stream;
    float *drafted;     /* d of the position at work; else 0 */
    pluck_prob *target; /* t of pluck_speculation_step() */
};

/* No sampler's seed is likely to be this number away from another's: "speculat" in ASCII. */
#define SEED_SPACE UINT64_C(0x73706563756C6174)

/* At which of the drafts, for messages, and what its position decided. */
typedef struct plk_position {
    uint64_t position;
    uint32_t index;
    bool accepted;
    pluck_token token;
} plk_position;

static pluck_status fail_null(const char *names, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_INVALID, "%s must not be NULL", names);
}

pluck_status pluck_speculation_create(pluck_speculation **out, uint32_t n_vocab, uint64_t seed,
                                      uint64_t stream, const pluck_allocator *allocator,
                                      pluck_error *err)
{
    if (!out)
        return fail_null("pluck_speculation_create: out", err);
    *out = NULL;
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "n_vocab = %u is outside [1, %u]", n_vocab,
                        PLUCK_MAX_VOCAB);
    pluck_allocator memory = plk_allocator_or_default(allocator);
    pluck_speculation *s = plk_alloc_zero(&memory, 1, sizeof *s);
    if (!s)
        return plk_fail_nomem(err, sizeof *s);
    s->allocator = memory;
    s->n_vocab = n_vocab;
    s->seed = seed ^ SEED_SPACE;
    s->stream = stream;
    s->drafted = plk_alloc_zero(&memory, n_vocab, sizeof *s->drafted);
    s->target = plk_alloc(&memory, n_vocab, sizeof *s->target);
    if (!s->drafted || !s->target) {
        pluck_speculation_destroy(&s);
        return plk_fail_nomem(err, n_vocab * (sizeof *s->drafted + sizeof *s->target));
    }
    *out = s;
    return PLUCK_OK;
}

void pluck_speculation_destroy(pluck_speculation **speculation)
{
    if (!speculation || !*speculation)
        return;
    pluck_speculation *s = *speculation;
    pluck_allocator memory = s->allocator;
    plk_free(&memory, s->drafted);
    plk_free(&memory, s->target);
    plk_free(&memory, s);
    *speculation = NULL;
}

/* what: "draft" or "target". */
static pluck_status check_support(const pluck_speculation *s, const pluck_support *support,
                                  const char *what, uint32_t index, pluck_error *err)
{
    if (!support->probs && support->n > 0)
        return fail_null("a list of probabilities", err);
    for (uint32_t i = 0; i < support->n; i++) {
        pluck_prob p = support->probs[i];
        if (p.token < 0 || (uint32_t)p.token >= s->n_vocab)
            return plk_fail(err, PLUCK_ERR_INVALID, "%s %u: token %d is outside [0, %u]", what,
                            index, p.token, s->n_vocab - 1);
        if (!(p.prob >= 0.0f) || !isfinite(p.prob))
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "%s %u: the probability of token %d is negative or not finite", what,
                            index, p.token);
    }
    return PLUCK_OK;
}

/* 0 if the token is not there. */
static double prob_of(const pluck_support *support, pluck_token token)
{
    for (uint32_t i = 0; i < support->n; i++)
        if (support->probs[i].token == token)
            return (double)support->probs[i].prob;
    return 0.0;
}

/* What is left of the i-th entry of t when d is taken away. */
static double left_over(const pluck_speculation *s, const pluck_support *target, uint32_t i)
{
    pluck_prob p = target->probs[i];
    double left = (double)p.prob - (double)s->drafted[p.token];
    return left > 0.0 ? left : 0.0;
}

/* Draws in proportion to what is left: from t itself while d is erased. false if it is nothing. */
static bool draw_left_over(const pluck_speculation *s, const pluck_support *target, double u,
                           pluck_token *token)
{
    double total = 0.0, sum = 0.0;
    for (uint32_t i = 0; i < target->n; i++)
        total += left_over(s, target, i);
    if (!(total > 0.0))
        return false;
    for (uint32_t i = 0; i < target->n && !(sum > u * total); i++) {
        double left = left_over(s, target, i);
        sum += left;
        if (left > 0.0)
            *token = target->probs[i].token;
    }
    return true;
}

/* support NULL: the draft was certain. */
static void mark_drafted(pluck_speculation *s, const pluck_support *support, pluck_token draft,
                         bool there)
{
    if (!support)
        s->drafted[draft] = there ? 1.0f : 0.0f;
    for (uint32_t i = 0; support && i < support->n; i++)
        s->drafted[support->probs[i].token] = there ? support->probs[i].prob : 0.0f;
}

/* One token from t, after rejecting a draft or behind the last one. */
static pluck_status draw_target(const pluck_speculation *s, const pluck_support *target, double u,
                                plk_position *at, pluck_error *err)
{
    if (!draw_left_over(s, target, u, &at->token))
        return plk_fail(err, PLUCK_ERR_EMPTY, "target %u has no token with p > 0", at->index);
    return PLUCK_OK;
}

static pluck_status check_draft(const pluck_drafts *drafts, uint32_t index, uint32_t n_vocab,
                                pluck_error *err)
{
    pluck_token draft = drafts->tokens[index];
    if (draft >= 0 && (uint32_t)draft < n_vocab)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "draft %u: token %d is outside [0, %u]", index, draft,
                    n_vocab - 1);
}

static pluck_status judge_draft(pluck_speculation *s, const pluck_drafts *drafts,
                                const pluck_support *target, plk_position *at, pluck_error *err)
{
    pluck_token draft = drafts->tokens[at->index];
    const pluck_support *support = drafts->supports ? drafts->supports + at->index : NULL;
    pluck_status status = check_draft(drafts, at->index, s->n_vocab, err);
    if (status == PLUCK_OK && support)
        status = check_support(s, support, "draft", at->index, err);
    if (status != PLUCK_OK)
        return status;
    double d = support ? prob_of(support, draft) : 1.0;
    if (!(d > 0.0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "draft %u: token %d has the probability 0 in its support; expected the "
                        "support that it was drawn from",
                        at->index, draft);
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, s->seed, s->stream, at->position);
    at->accepted = pluck_pcg64_uniform(&rng) * d < prob_of(target, draft);
    at->token = draft;
    if (at->accepted)
        return PLUCK_OK;
    double u = pluck_pcg64_uniform(&rng);
    mark_drafted(s, support, draft, true);
    bool any = draw_left_over(s, target, u, &at->token);
    mark_drafted(s, support, draft, false);
    return any ? PLUCK_OK : draw_target(s, target, u, at, err);
}

/* Decides one position: a draft, or the token behind the last one. */
static pluck_status decide(pluck_speculation *s, const pluck_drafts *drafts,
                           const pluck_support *target, plk_position *at, pluck_error *err)
{
    pluck_status status = check_support(s, target, "target", at->index, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    at->accepted = false;
    if (at->index < drafts->n) {
        status = judge_draft(s, drafts, target, at, err);
    } else {
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, s->seed, s->stream, at->position);
        status = draw_target(s, target, pluck_pcg64_uniform(&rng), at, err);
    }
    plk_fp_leave(fp);
    return status;
}

pluck_status pluck_speculation_verify(pluck_speculation *speculation, uint64_t position,
                                      const pluck_drafts *drafts, const pluck_support *targets,
                                      pluck_verdict *verdict, pluck_error *err)
{
    if (!speculation || !drafts || !targets || !verdict || (!drafts->tokens && drafts->n > 0))
        return fail_null(
            "pluck_speculation_verify: speculation, drafts and its tokens, targets and verdict",
            err);
    plk_position at = {.position = position};
    pluck_status status = decide(speculation, drafts, targets, &at, err);
    while (status == PLUCK_OK && at.accepted) {
        at.index++;
        at.position++;
        status = decide(speculation, drafts, targets + at.index, &at, err);
    }
    if (status == PLUCK_OK)
        *verdict = (pluck_verdict){at.index, at.token};
    return status;
}

/* The sampler takes the token as if it had drawn it from these logits. */
static pluck_status take(pluck_sampler *target, pluck_logits logits, pluck_token token,
                         pluck_error *err)
{
    target->drawn = (plk_drawn){.any = true, .token = token};
    if (plk_chain_observes(&target->chain)) {
        plk_fp_state fp = plk_fp_enter();
        plk_view view;
        pluck_pcg64 rng = target->rng;
        pluck_status status = plk_sampler_final_view(target, logits, &rng, &view, err);
        if (status == PLUCK_OK) {
            plk_view_settle(&view);
            target->drawn.observed = plk_chain_observe(&target->chain, &view, (uint32_t)token);
        }
        plk_fp_leave(fp);
        if (status != PLUCK_OK)
            return status;
    }
    return pluck_sampler_accept(target, token, err);
}

/* The target's distribution from a row, and what it decides. */
static pluck_status decide_row(pluck_speculation *s, pluck_sampler *target, pluck_logits row,
                               const pluck_drafts *drafts, plk_position *at, pluck_error *err)
{
    pluck_support support = {s->target, 0};
    pluck_status status =
        pluck_sampler_distribution(target, row, s->target, s->n_vocab, &support.n, err);
    if (status == PLUCK_OK)
        status = decide(s, drafts, &support, at, err);
    if (status == PLUCK_OK)
        status = take(target, row, at->token, err);
    return status;
}

/* The target draws; a draft is accepted if it is the token that was drawn. */
static pluck_status step_by_draws(pluck_sampler *target, const pluck_matrix *rows,
                                  const pluck_drafts *drafts, pluck_verdict *verdict,
                                  pluck_error *err)
{
    plk_drawn drawn = target->drawn;
    for (uint32_t i = 0;; i++) {
        pluck_token token;
        pluck_status status = PLUCK_OK;
        if (i < drafts->n)
            status = check_draft(drafts, i, target->n_vocab, err);
        if (status == PLUCK_OK)
            status = pluck_sampler_next(target, plk_logits_at(rows, i), &token, err);
        if (status != PLUCK_OK) {
            if (pluck_sampler_rewind(target, i, NULL) == PLUCK_OK)
                target->drawn = drawn;
            return status;
        }
        if (i == drafts->n || token != drafts->tokens[i]) {
            *verdict = (pluck_verdict){i, token};
            return PLUCK_OK;
        }
    }
}

pluck_status pluck_speculation_step(pluck_speculation *speculation, pluck_sampler *target,
                                    const pluck_matrix *rows, const pluck_drafts *drafts,
                                    pluck_verdict *verdict, pluck_error *err)
{
    if (!speculation || !target || !rows || (!rows->data && !rows->rows) || !drafts || !verdict ||
        (!drafts->tokens && drafts->n > 0))
        return fail_null("pluck_speculation_step: speculation, target, rows and their logits, "
                         "drafts and its tokens, and verdict",
                         err);
    if (target->n_vocab != speculation->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the speculation is for a vocabulary of %u tokens, the sampler for %u; "
                        "expected the same",
                        speculation->n_vocab, target->n_vocab);
    if (drafts->n > target->max_rewind)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%u drafts were given, but the sampler can rewind only %u tokens; create "
                        "it with a larger max_rewind",
                        drafts->n, target->max_rewind);
    if (rows->n_cols != target->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "rows of %u logits were given to a sampler for %u tokens", rows->n_cols,
                        target->n_vocab);
    if (rows->n_rows != (size_t)drafts->n + 1)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%u drafts need %llu rows of logits, one per draft and one after the last; "
                        "%zu were given",
                        drafts->n, (unsigned long long)drafts->n + 1, rows->n_rows);
    if (!drafts->supports && plk_chain_has(&target->chain, "gumbel"))
        return step_by_draws(target, rows, drafts, verdict, err);
    plk_position at = {.position = target->position};
    plk_drawn drawn = target->drawn;
    pluck_status status = decide_row(speculation, target, plk_logits_at(rows, 0), drafts, &at, err);
    while (status == PLUCK_OK && at.accepted) {
        at.index++;
        at.position++;
        status = decide_row(speculation, target, plk_logits_at(rows, at.index), drafts, &at, err);
    }
    if (status == PLUCK_OK)
        *verdict = (pluck_verdict){at.index, at.token};
    else if (pluck_sampler_rewind(target, at.index, NULL) == PLUCK_OK)
        target->drawn = drawn;
    return status;
}
