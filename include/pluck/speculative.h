/*
 * Speculative decoding (Leviathan, Kalman, Matias, "Fast Inference from Transformers via
 * Speculative Decoding", 2023; Chen et al., "Accelerating Large Language Model Decoding with
 * Speculative Sampling", 2023): a small model drafts n tokens, and the target model evaluates all
 * of them at once. Some of the drafts and one more token are then emitted, and each emitted token
 * has the distribution that sampling from the target alone gives.
 *
 * A draft x has the probability d(x) in the distribution that it was drawn from, and t(x) in that
 * of the target. The draft is accepted if u d(x) < t(x), where u is uniform on [0, 1). In place of
 * the first rejected draft a token is drawn from max(t - d, 0), renormalised, and the drafts after
 * it are void. If all drafts are accepted, the target's next distribution gives one more token. So
 * a greedy target ("temperature": 0) accepts exactly the drafts that it would have chosen.
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
 * is accepted if it is the token that the target draws. Then the emitted tokens are exactly those
 * that the target alone gives, whatever the drafts are. Many are accepted if the drafting sampler
 * draws with gumbel too, from the same seed and stream.
 *
 * Random numbers: position p takes the numbers of (seed, stream, p) from a space that samplers do
 * not use, so a sampler may have the same seed and stream. A position that is drafted again after a
 * rejection takes the same numbers again; that does no harm, because emitted tokens do not depend
 * on void drafts. But if the target's configuration has a random stage (xtc), the drafting sampler
 * must have a different seed or a different stream. Otherwise the drafts would depend on the random
 * numbers that the target uses, and the result would not have the distribution of the target. By
 * the rule for gumbel it has it with any drafts.
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

/* n >= 0 drafted tokens, and the distribution that each was drawn from. supports NULL: every draft
 * had the probability 1, because it was found by a look-up or chosen by a greedy model. */
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

/* Has a seed, a stream, and working memory of 12 bytes per token of the vocabulary. */
typedef struct pluck_speculation pluck_speculation;

/* n_vocab is in [1, PLUCK_MAX_VOCAB]. On failure *out is NULL. */
PLUCK_API pluck_status pluck_speculation_create(pluck_speculation **out, uint32_t n_vocab,
                                                uint64_t seed, uint64_t stream,
                                                const pluck_allocator *allocator, pluck_error *err);

PLUCK_API void pluck_speculation_destroy(pluck_speculation **speculation);

/*
 * Decides which of n drafts are accepted. position is that of the first draft, which is the number
 * of tokens before it. targets has n + 1 distributions: targets[i] is the distribution of the
 * target model after i drafts. Distributions after the first rejected draft are not read. The time
 * grows with the sizes of the supports that are read, not with the vocabulary, and nothing is
 * allocated. Calls do not influence each other: the same arguments always give the same verdict.
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
 * Decides as pluck_speculation_verify() does, from the logits of the target, a matrix of n + 1
 * rows, and from its sampler. The sampler is at the position of the first draft, has the vocabulary
 * of the speculation, and can rewind n tokens (max_rewind). The distribution at each position is
 * the final distribution of the sampler after the drafts before that position, so that penalties,
 * dry and all other stages that look back see these drafts. The sampler accepts the tokens that are
 * emitted, and a draw that learns from its tokens (mirostat, adaptive_p) learns from them as if it
 * had drawn them: its state becomes what it would be without speculation.
 *
 * pluck_sampler_rewind(target, verdict->n_accepted + 1) undoes the step. On failure the sampler is
 * unchanged.
 */
PLUCK_API pluck_status pluck_speculation_step(pluck_speculation *speculation, pluck_sampler *target,
                                              const pluck_matrix *rows, const pluck_drafts *drafts,
                                              pluck_verdict *verdict, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
