/*
 * Verifying drafted tokens (Leviathan, Kalman, Matias, "Fast Inference from Transformers via
 * Speculative Decoding", 2023; Chen et al., "Accelerating Large Language Model Decoding with
 * Speculative Sampling", 2023): a cheap model drafts n tokens, the target model evaluates all of
 * them at once, and every token that is then emitted has the distribution of sampling from the
 * target alone.
 *
 * Draft x at a position, with probability d(x) where it was drawn and t(x) in the target, is
 * accepted if u d(x) < t(x), u uniform on [0, 1). At the first rejection the token comes from
 * max(t - d, 0) renormalised, and what was drafted after it is void; if all are accepted, the
 * target's next distribution gives one token more. A greedy target ("temperature": 0) so accepts
 * exactly the drafts that it would have chosen.
 *
 *     pluck_sampler_prompt(draft, prompt, n_prompt, &err);        and the same for the target
 *     for (i = 0; i < n; i++) {                               draft, from a sampler of its own
 *         pluck_sampler_sample(draft, draft_row(i), &tokens[i], &err);
 *         pluck_sampler_distribution(draft, draft_row(i), probs[i], n_vocab, &supports[i].n, &err);
 *         supports[i].probs = probs[i];
 *         pluck_sampler_accept(draft, tokens[i], &err);
 *     }
 *     rows = target_model(tokens);                            n + 1 rows of logits
 *     pluck_speculation_step(speculation, target, rows, &(pluck_drafts){tokens, supports, n},
 *                            &verdict, &err);                 target has accepted what is emitted
 *     pluck_sampler_rewind(draft, n - verdict.n_accepted, &err);
 *     pluck_sampler_accept(draft, verdict.next, &err);
 *
 * Randomness: the numbers for position p are those of (seed, stream, p) in a space of their own,
 * so that they may share seed and stream with a sampler. Nothing is lost by positions that are
 * drafted again after a rejection: what was emitted does not depend on the drafts that were void.
 * But the drafting sampler must differ from the target's in seed or stream if the target's
 * configuration has a random stage (xtc): a draft must not know the target's numbers.
 */
#ifndef PLUCK_SPECULATIVE_H
#define PLUCK_SPECULATIVE_H

#include <pluck/base.h>
#include <pluck/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A distribution as pluck_sampler_distribution() writes it: the tokens with p > 0, each once, in
 * any order. The p add up to 1 but for rounding. */
typedef struct pluck_support {
    const pluck_prob *probs;
    uint32_t n;
} pluck_support;

/* n drafted tokens, n >= 0, and the distributions that they were drawn from; supports NULL: they
 * were certain, found by a look-up or chosen greedily. */
typedef struct pluck_drafts {
    const pluck_token *tokens;
    const pluck_support *supports;
    uint32_t n;
} pluck_drafts;

/* What is emitted: the first n_accepted drafts, then next. */
typedef struct pluck_verdict {
    uint32_t n_accepted;
    pluck_token next; /* instead of the first rejected draft, or after all of them */
} pluck_verdict;

/* Seed, stream and working memory (12 bytes a token of the vocabulary). */
typedef struct pluck_speculation pluck_speculation;

/* n_vocab in [1, 2^24]. allocator may be NULL; it must outlive the object. On failure *out is
 * NULL. */
PLUCK_API pluck_status pluck_speculation_create(pluck_speculation **out, uint32_t n_vocab,
                                                uint64_t seed, uint64_t stream,
                                                const pluck_allocator *allocator, pluck_error *err);

PLUCK_API void pluck_speculation_destroy(pluck_speculation **speculation);

/*
 * position: of the first draft, the number of tokens before it. targets: n + 1 distributions, the
 * i-th after i drafts; those behind the first rejected draft are not read. Costs time in the sizes
 * of the supports that are read, whatever the vocabulary, and allocates nothing.
 *
 * PLUCK_ERR_INVALID for a token outside the vocabulary, a probability that is negative or not
 * finite, or a draft that has no probability in its own support; PLUCK_ERR_EMPTY for a target
 * without any. The object only lends memory: the same call gives the same verdict.
 */
PLUCK_API pluck_status pluck_speculation_verify(pluck_speculation *speculation, uint64_t position,
                                                const pluck_drafts *drafts,
                                                const pluck_support *targets,
                                                pluck_verdict *verdict, pluck_error *err);

/*
 * The same from the target's n + 1 rows of logits and its sampler, which stands before the first
 * draft, has the same vocabulary, and can rewind n tokens or more (max_rewind). Its distribution at
 * each position is that after the drafts before it, so that penalties, DRY and everything else that
 * looks back see them. It accepts what is emitted, and draws that learn from their tokens
 * (mirostat, adaptive_p) learn from it as if they had drawn it: its state is that of sampling
 * alone.
 *
 * pluck_sampler_rewind(target, n_accepted + 1) undoes it. On failure the sampler is unchanged.
 */
PLUCK_API pluck_status pluck_speculation_step(pluck_speculation *speculation, pluck_sampler *target,
                                              const pluck_logits *rows, const pluck_drafts *drafts,
                                              pluck_verdict *verdict, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
