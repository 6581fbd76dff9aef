/*
 * Speculative decoding (Leviathan, Kalman, Matias, "Fast Inference from Transformers via
 * Speculative Decoding", 2023; Chen et al., "Accelerating Large Language Model Decoding with
 * Speculative Sampling", 2023): a small model drafts n tokens, the target model evaluates all of
 * them at once, and each token that is then emitted has the distribution of sampling from the
 * target alone.
 *
 * A draft x has the probability d(x) where it was drawn, and t(x) in the target. It is accepted if
 * u d(x) < t(x), where u is uniform on [0, 1). At the first rejection the token is drawn from
 * max(t - d, 0), renormalised, and the drafts after it are void. If all drafts are accepted, the
 * target's next distribution gives one more token. So a greedy target ("temperature": 0) accepts
 * exactly the drafts that it would have chosen.
 *
 *     pluck_sampler_prompt(draft, prompt, n_prompt, &err); // and target, the same
 *     for (uint32_t i = 0; i < n; i++) {
 *         pluck_sampler_sample(draft, draft_row(i), &tokens[i], &err);
 *         pluck_sampler_distribution(draft, draft_row(i), probs[i], n_vocab, &supports[i].n, &err);
 *         supports[i].probs = probs[i];
 *         pluck_sampler_accept(draft, tokens[i], &err);
 *     }
 *     pluck_drafts drafts = {tokens, supports, n};
 *     pluck_matrix rows = target_model(tokens); // n + 1 rows
 *     pluck_speculation_step(speculation, target, &rows, &drafts, &verdict, &err);
 *     pluck_sampler_rewind(draft, n - verdict.n_accepted, &err);
 *     pluck_sampler_accept(draft, verdict.next, &err); // target has accepted what is emitted
 *
 * If the target's draw is gumbel and the drafts come without supports, another rule holds: a draft
 * is accepted if it is the token that the target draws. Then the emitted tokens are those of the
 * target alone.
 *
 * Random numbers: those of position p are the numbers of (seed, stream, p) in a space of their own,
 * so a sampler may have the same seed and stream. A position that is drafted again after a
 * rejection takes the same numbers again; that does no harm, because the tokens that were emitted
 * do not depend on drafts that were void. But if the target's configuration has a random stage
 * (xtc), the drafting sampler must have a different seed or a different stream. Otherwise the
 * drafts would depend on the random numbers that the target uses, and the result would not have
 * the distribution of the target.
 */
#ifndef PLUCK_SPECULATIVE_H
#define PLUCK_SPECULATIVE_H

#include <pluck/base.h>
#include <pluck/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A distribution as pluck_sampler_distribution() writes it: the tokens with p > 0, each once, in
 * any order. The probabilities add up to 1, up to rounding. */
typedef struct pluck_support {
    const pluck_prob *probs;
    uint32_t n;
} pluck_support;

/* n >= 0 drafted tokens, and the distributions that they were drawn from. supports NULL: the drafts
 * were certain, found by a look-up or chosen by a greedy model. */
typedef struct pluck_drafts {
    const pluck_token *tokens;
    const pluck_support *supports;
    uint32_t n;
} pluck_drafts;

/* The tokens to emit: the first n_accepted drafts, then next. */
typedef struct pluck_verdict {
    uint32_t n_accepted;
    pluck_token next; /* replaces the first rejected draft, or follows the last one */
} pluck_verdict;

/* A seed, a stream, and working memory: 12 bytes per token of the vocabulary. */
typedef struct pluck_speculation pluck_speculation;

/* n_vocab is in [1, PLUCK_MAX_VOCAB]. On failure *out is NULL. */
PLUCK_API pluck_status pluck_speculation_create(pluck_speculation **out, uint32_t n_vocab,
                                                uint64_t seed, uint64_t stream,
                                                const pluck_allocator *allocator, pluck_error *err);

PLUCK_API void pluck_speculation_destroy(pluck_speculation **speculation);

/*
 * Decides on n drafts. position is that of the first draft: the number of tokens before it. targets
 * are n + 1 distributions: number i is the target's after i drafts. Those after the first rejected
 * draft are not read. The time grows with the sizes of the supports that are read, not with the
 * vocabulary, and nothing is allocated. The call does not change what later calls give: the same
 * arguments always give the same verdict.
 *
 * PLUCK_ERR_INVALID for a token outside the vocabulary, for a probability that is negative or not
 * finite, and for a draft that has no probability in its own support. PLUCK_ERR_EMPTY for a target
 * without a token of p > 0.
 */
PLUCK_API pluck_status pluck_speculation_verify(pluck_speculation *speculation, uint64_t position,
                                                const pluck_drafts *drafts,
                                                const pluck_support *targets,
                                                pluck_verdict *verdict, pluck_error *err);

/*
 * The same from the target's logits, a matrix of n + 1 rows, and from its sampler, which is at the
 * position of the first draft, has the same vocabulary, and can rewind n tokens (max_rewind). The
 * distribution at each position is the sampler's after the drafts before it, so that penalties, DRY
 * and everything else that looks back see these drafts. The sampler accepts the tokens that are
 * emitted, and a draw that learns from its tokens (mirostat, adaptive_p) learns from them as if it
 * had drawn them: its state is that of sampling alone.
 *
 * pluck_sampler_rewind(target, n_accepted + 1) undoes the step. On failure the sampler is
 * unchanged.
 */
PLUCK_API pluck_status pluck_speculation_step(pluck_speculation *speculation, pluck_sampler *target,
                                              const pluck_matrix *rows, const pluck_drafts *drafts,
                                              pluck_verdict *verdict, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
