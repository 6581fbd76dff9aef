/*
 * Sampled softmax: training a softmax over n tokens with the logits of a few of them.
 *
 * Importance sampling (Y. Bengio, J.-S. Senecal, 2003 and 2008): in addition to the target,
 * candidates are drawn from a proposal that is cheap and resembles the data. From each logit, the
 * logarithm of the expected number of times that its token is among the candidates is subtracted. A
 * softmax over the target and the candidates then replaces the softmax over all tokens. Target
 * sampling (S. Jean, K. Cho, R. Memisevic, Y. Bengio, 2015): the corpus is cut into partitions with
 * few different targets each, and the softmax of a partition is over these targets.
 *
 *     pluck_candidate_sampler *sampler = NULL;
 *     pluck_candidate_sampler_create(&sampler, n_vocab, NULL, &err);
 *     tokens[0] = target;
 *     pluck_candidate_sampler_draw(sampler, &rng, 64, true, tokens + 1, &n_tries, &err);
 *     for (int i = 0; i < 65; i++) {
 *         pluck_candidate_sampler_expected(sampler, tokens[i], n_tries, true, &expected[i], &err);
 *         logits[i] = your_logit(hidden, tokens[i]);
 *     }
 *     pluck_sampled_softmax(logits, expected, tokens, 65, &loss, gradient, &err);
 *
 * The log-uniform proposal assumes that tokens are numbered by falling frequency: token 0 is the
 * most frequent one.
 */
#ifndef PLUCK_SAMPLED_SOFTMAX_H
#define PLUCK_SAMPLED_SOFTMAX_H

#include <pluck/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Draws candidates from one vocabulary. A candidate sampler has scratch memory of n_vocab bits, so
 * one thread at a time may use it. */
typedef struct pluck_candidate_sampler pluck_candidate_sampler;

/* n_vocab is in [1, PLUCK_MAX_VOCAB]. allocator may be NULL; an allocator must outlive the object.
 * On failure *out is NULL. */
PLUCK_API pluck_status pluck_candidate_sampler_create(pluck_candidate_sampler **out,
                                                      uint32_t n_vocab,
                                                      const pluck_allocator *allocator,
                                                      pluck_error *err);
PLUCK_API void pluck_candidate_sampler_destroy(pluck_candidate_sampler **sampler);

/*
 * Draws n >= 1 tokens from the log-uniform (Zipf-like) proposal P(k) = ln((k + 2) / (k + 1)) /
 * ln(n_vocab + 1); each is floor(exp(u ln(n_vocab + 1))) - 1 for a random number u of rng. If
 * unique is true, the function draws until it has n different tokens, n <= n_vocab, and writes them
 * in the order of their first draws. *n_tries becomes the number of draws, which is n if unique is
 * false. Drawing nearly all tokens with unique takes long: about n_vocab (ln n_vocab)^2 draws.
 * Allocates nothing.
 */
PLUCK_API pluck_status pluck_candidate_sampler_draw(pluck_candidate_sampler *sampler,
                                                    pluck_pcg64 *rng, uint32_t n, bool unique,
                                                    pluck_token *tokens, uint64_t *n_tries,
                                                    pluck_error *err);

/* *probability becomes P(token), the probability of the token in one draw. */
PLUCK_API pluck_status pluck_candidate_sampler_probability(const pluck_candidate_sampler *sampler,
                                                           pluck_token token, double *probability,
                                                           pluck_error *err);

/* *expected becomes the number of times that the token is expected among the candidates of n_tries
 * draws, n_tries >= 1. With P = P(token) it is n_tries P or, if unique is true, the probability
 * that the token is among them, -expm1(n_tries log1p(-P)). */
PLUCK_API pluck_status pluck_candidate_sampler_expected(const pluck_candidate_sampler *sampler,
                                                        pluck_token token, uint64_t n_tries,
                                                        bool unique, double *expected,
                                                        pluck_error *err);

/*
 * Makes one partition for target sampling. It takes targets in order, up to the last one before the
 * partition would have more than max_unique >= 1 different targets. tokens[0] to tokens[*n_unique -
 * 1] become the different targets in the order of their first occurrence. *n_used becomes the
 * number of targets taken; the next partition begins behind them. The loss of a target is
 * pluck_cross_entropy() over the logits of tokens. On failure the content of tokens is undefined.
 * Allocates nothing.
 */
PLUCK_API pluck_status pluck_candidate_sampler_partition(pluck_candidate_sampler *sampler,
                                                         const pluck_token *targets,
                                                         size_t n_targets, uint32_t max_unique,
                                                         pluck_token *tokens, uint32_t *n_unique,
                                                         size_t *n_used, pluck_error *err);

/*
 * Computes the loss of a target among candidates. Of the arrays, entry 0 is for the target and
 * entries 1 to n - 1 are for the candidates, n >= 1. Logits are on the natural-log scale; expected
 * has results of pluck_candidate_sampler_expected(), which are positive. Candidates that are the
 * same token as the target (accidental hits) are left out. With o[i] = logits[i] - ln expected[i],
 *     *loss = ln(sum of exp o) - o[0],   gradient[i] = softmax(o)[i] - (i == 0),
 * the gradient with respect to logits[i]; it is 0 for candidates that were left out. gradient may
 * be logits, but not NULL, because it is also the scratch memory. A logit that is NaN or +inf is
 * PLUCK_ERR_NAN, and a target whose logit is -inf is PLUCK_ERR_INVALID, or PLUCK_ERR_EMPTY if all
 * logits are -inf. A candidate whose logit is -inf is left out. On failure nothing is written.
 * Allocates nothing.
 */
PLUCK_API pluck_status pluck_sampled_softmax(const float *logits, const double *expected,
                                             const pluck_token *tokens, size_t n, double *loss,
                                             float *gradient, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
