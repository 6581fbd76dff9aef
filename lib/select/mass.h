/*
 * Sums over the tokens of a view: the normaliser, the entropy, the spread of the logits, how many
 * tokens are possible.
 */
#ifndef PLK_MASS_H
#define PLK_MASS_H

#include "select/view.h"

/* e[i] = exp(logit - max logit) of the stored logits x, 64 * n_blocks of them; e may be x. */
void plk_view_exp_values(const plk_view *view, const float *x, uint32_t n_blocks, float *e);

/* Both of one block whose first n stored logits are x and whose others are -inf: e as above, and
 * their sum as plk_view_exp_sums() gives it. */
double plk_view_exp_block(const plk_view *view, const float *x, uint32_t n, float *e);

/* sums[b] = the sum of the exponentials of block b, as they are taken above. */
void plk_view_exp_sums(const plk_view *view, const float *x, uint32_t n_blocks, double *sums);

/* Both over a whole compact view: e has room for its blocks. Returns the normaliser. */
double plk_view_exp_all(const plk_view *view, float *e);

/* Sum over all tokens of exp(logit - max logit): in [1, n]. */
double plk_view_normaliser(const plk_view *view);

/* Whether all that tells the view from the logits as they came are edits and the scale: then both
 * have most of their block sums in common. */
bool plk_view_is_only_edited(const plk_view *view);

/* The same number, and the sum of every block in the scratch memory's block_sums. */
double plk_view_block_sums(const plk_view *view);

/* The same sum over the stored logits x >= threshold, 64 * n_blocks of them. */
double plk_view_mass_from(const plk_view *view, const float *x, uint32_t n_blocks, float threshold);

/* The same sum over all 64 * n_blocks stored logits x. */
double plk_view_mass_of(const plk_view *view, const float *x, uint32_t n_blocks);

/* -sum of p ln p in nats, and the normaliser on the way. */
double plk_view_entropy(const plk_view *view, double *normaliser);

/* The mean of stored logit - max, each token weighted by its probability, and the normaliser on the
 * way; <= 0. The plain mean of the logits is part of plk_view_deviation(). */
double plk_view_mean(const plk_view *view, double *normaliser);

/* ln p of a token; costs a normaliser. */
double plk_view_logprob(const plk_view *view, uint32_t token);

/* How many tokens are above -inf. */
uint32_t plk_view_n_candidates(const plk_view *view);

/* How many tokens have a positive probability, as pluck_sampler_distribution() defines it. */
uint32_t plk_view_count(const plk_view *view);

/* The smallest stored logit whose token has a positive probability. */
float plk_view_least(const plk_view *view);

/* logit - max logit of a stored logit. */
double plk_view_below_max(const plk_view *view, float stored);

/* The probability of a token with this stored logit, which is at least plk_view_least(), as
 * pluck_sampler_distribution() reports it: never 0. */
float plk_view_prob(const plk_view *view, float stored, double normaliser);

/* The population standard deviation of the stored logits above -inf. */
double plk_view_deviation(const plk_view *view);

/* For a dense view: a threshold below which all tokens together probably have at most the mass, in
 * units of exp(logit - max logit), and not much less. Whoever uses it has to check: the sample can
 * mislead. */
float plk_view_tail_below(const plk_view *view, double mass);

#endif
