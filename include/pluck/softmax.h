/*
 * Softmax and related functions on buffers of the caller: softmax over entries that come in parts,
 * sparse alternatives, gradients for training, and guidance. beta = 1/T is the inverse temperature.
 * Nothing here allocates.
 *
 * Common to all functions with z and n: z holds n >= 1 floats. An entry of -inf is banned: its
 * probability is 0 at every beta. PLUCK_ERR_NAN: z has NaN or +inf; the message names the first
 * such index. PLUCK_ERR_EMPTY: all entries are -inf. PLUCK_ERR_INVALID: n is 0, a buffer is NULL,
 * or beta is not finite (pluck_softmax_limit() is for infinite beta). On failure no output is
 * written. "In place" means that the output buffer may be z itself; it must not overlap z
 * otherwise. Results have the same bits on every instruction set. docs/numerics.md derives the
 * error bounds.
 */
#ifndef PLUCK_SOFTMAX_H
#define PLUCK_SOFTMAX_H

#include <pluck/base.h>
#include <pluck/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * p[i] = exp(beta z[i]) / sum over j of exp(beta z[j]). In place is allowed. beta > 0 prefers the
 * largest entries, beta < 0 the smallest ones; beta = 0 gives the uniform distribution over the
 * entries above -inf. For powers of a base b instead of e, set beta = ln b. The error of each p[i]
 * is at most (4 + 2 |ln p[i]|) ulps; a probability below 2^-125 of the largest one becomes 0.
 */
PLUCK_API pluck_status pluck_softmax(const float *z, size_t n, float beta, float *p,
                                     pluck_error *err);

/* logprob[i] = ln p[i] for the exact p of pluck_softmax(), which does not underflow: it is -inf
 * only for banned entries. In place is allowed. */
PLUCK_API pluck_status pluck_log_softmax(const float *z, size_t n, float beta, float *logprob,
                                         pluck_error *err);

/* *lse = ln of the sum over j of exp(beta z[j]). It does not overflow. The absolute error is below
 * 3e-7 + 2^-52 |lse|. */
PLUCK_API pluck_status pluck_logsumexp(const float *z, size_t n, float beta, double *lse,
                                       pluck_error *err);

/* *nats = -sum of p ln p for the p of pluck_softmax(), the entropy in nats, in [0, ln n]. Divide it
 * by ln 2 to get bits. */
PLUCK_API pluck_status pluck_entropy(const float *z, size_t n, float beta, double *nats,
                                     pluck_error *err);

/* *index = the index of the largest entry; of equal entries, the lowest index (-0 equals +0). */
PLUCK_API pluck_status pluck_argmax(const float *z, size_t n, size_t *index, pluck_error *err);

/* The limit of pluck_softmax() as beta goes to +inf (largest is true) or to -inf (largest is
 * false). p is 1/k for each of the k entries that equal the largest one, or the smallest one above
 * -inf, and 0 for all other entries. In place is allowed. */
PLUCK_API pluck_status pluck_softmax_limit(const float *z, size_t n, bool largest, float *p,
                                           pluck_error *err);

/* *nats = -sum of p ln p for given probabilities, each in [0, inf). Their sum is not checked. */
PLUCK_API pluck_status pluck_entropy_of_probs(const float *p, size_t n, double *nats,
                                              pluck_error *err);

/*
 * Softmax in parts
 *
 * The state of a softmax over entries that come in parts: a stream, the shards of a vocabulary, or
 * the blocks of an attention (M. Milakov, N. Gimelshein, "Online normalizer calculation for
 * softmax", 2018). The state stands for the product sum * exp(max), which is the sum of exp(beta z)
 * over all entries so far. {0} is the state of no entries. Merging is commutative to the last bit,
 * and associative within a relative error of 2^-51. Each part adds the error of pluck_logsumexp().
 */
typedef struct pluck_softmax_state {
    double max; /* the largest beta z; without meaning while sum is 0 */
    double sum; /* the sum of exp(beta z - max): 0 for no entries, else at least 1 */
} pluck_softmax_state;

/* Adds n entries. Entries of -inf do not count; n may be 0. */
PLUCK_API pluck_status pluck_softmax_state_add(pluck_softmax_state *state, const float *z, size_t n,
                                               float beta, pluck_error *err);

/* Adds the entries of other to state. PLUCK_ERR_INVALID if the numbers in one of the states cannot
 * result from these functions. */
PLUCK_API pluck_status pluck_softmax_state_merge(pluck_softmax_state *state,
                                                 const pluck_softmax_state *other,
                                                 pluck_error *err);

/* *lse = max + ln sum. PLUCK_ERR_EMPTY for the state of no entries. */
PLUCK_API pluck_status pluck_softmax_state_logsumexp(const pluck_softmax_state *state, double *lse,
                                                     pluck_error *err);

/* p[i] = exp(beta z[i] - max) / sum: the probabilities of these n entries in the softmax over all
 * entries of the state. In place is allowed. */
PLUCK_API pluck_status pluck_softmax_state_probs(const pluck_softmax_state *state, const float *z,
                                                 size_t n, float beta, float *p, pluck_error *err);

/*
 * Attention in one pass: adds n >= 0 entries, where entry i has the row of dim numbers at v + i
 * dim. mean[j] becomes the sum over all entries so far of softmax(beta z)_i v[i dim + j]. mean has
 * dim >= 1 doubles and belongs to the state; while the state is {0}, the content of mean does not
 * matter. Rows of banned entries are not read. The values of v are not checked. The absolute error
 * of mean[j] is at most 2^-48 times the same mean of |v|, for up to 2^20 entries.
 */
PLUCK_API pluck_status pluck_softmax_state_add_mean(pluck_softmax_state *state, double *mean,
                                                    const float *z, size_t n, float beta,
                                                    const float *v, size_t dim, pluck_error *err);

/* Adds the entries of other, whose mean is other_mean, to state and mean. */
PLUCK_API pluck_status pluck_softmax_state_merge_mean(pluck_softmax_state *state, double *mean,
                                                      const pluck_softmax_state *other,
                                                      const double *other_mean, size_t dim,
                                                      pluck_error *err);

/*
 * Sparse alternatives
 *
 * alpha-entmax: p = [(alpha - 1) beta z - tau]+ ^ (1 / (alpha - 1)), with tau such that p adds up
 * to 1 (B. Peters, V. Niculae, A. Martins, "Sparse sequence-to-sequence models", 2019). alpha is in
 * [1, 100]: 1 is softmax, 2 is sparsemax, the Euclidean projection of beta z onto the simplex (A.
 * Martins, R. Astudillo, 2016). In place is allowed. The sum of p is 1 within 2^-23. For 1 < alpha
 * <= 2 the absolute error of p[i] is at most (2^-23 + 2^-50 / (alpha - 1)) p[i] + 2^-50. For alpha
 * > 2 an entry whose (alpha - 1) beta z is within 2^-52 of tau can be off by 2^(-52 / (alpha - 1)),
 * because p changes there faster than doubles can resolve.
 */
PLUCK_API pluck_status pluck_entmax(const float *z, size_t n, float beta, double alpha, float *p,
                                    pluck_error *err);

/*
 * Gradients
 *
 * The Jacobian of p with respect to z is symmetric. So pluck_entmax_jvp() serves two purposes: with
 * a direction v in z it gives the change of p, and with a gradient v with respect to p it gives the
 * gradient with respect to z (backpropagation). out may be p or v. Sums are in double. p has n >= 1
 * probabilities and v has n finite numbers; neither is checked.
 */

/* out = beta (s v - s (s.v) / sum of s), where p is a result of pluck_entmax(), and s is p^(2 -
 * alpha) where p > 0, else 0. With alpha = 1 this is beta p (v - p.v), where p is a result of
 * pluck_softmax(). */
PLUCK_API pluck_status pluck_entmax_jvp(const float *p, const float *v, size_t n, float beta,
                                        double alpha, float *out, pluck_error *err);

/* *loss = -ln softmax(beta z)[target], with an absolute error below 3e-7 + 2^-52 |lse|, where lse
 * is that of pluck_logsumexp(). Unless gradient is NULL, gradient[i] = beta (p[i] - (i == target)).
 * gradient may be z. A target that is banned or not below n is PLUCK_ERR_INVALID. */
PLUCK_API pluck_status pluck_cross_entropy(const float *z, size_t n, float beta, size_t target,
                                           double *loss, float *gradient, pluck_error *err);

/* Cross-entropy with a target distribution y: n numbers >= 0 that add up to 1 within 1e-4 and are 0
 * wherever z is -inf. *loss = -sum of y ln p. Unless gradient is NULL, gradient[i] = beta (p[i] sum
 * of y - y[i]); gradient may be z. */
PLUCK_API pluck_status pluck_cross_entropy_soft(const float *z, size_t n, float beta,
                                                const float *y, double *loss, float *gradient,
                                                pluck_error *err);

/*
 * Gumbel-softmax (E. Jang, S. Gu, B. Poole, 2017; C. Maddison, A. Mnih, Y. Teh, 2017): with g[i] =
 * -ln(-ln u[i]), soft = softmax((z + g) / temperature), temperature > 0, and *index is the arg max
 * of z + g, which is an exact draw from softmax(z). Uses n numbers of rng, one for each entry in
 * order; on failure it uses none. soft may be z. Straight-through estimation uses the one-hot
 * vector of *index forward, and pluck_entmax_jvp(soft, v, n, 1 / temperature, 1, ...) backward.
 */
PLUCK_API pluck_status pluck_gumbel_softmax(const float *z, size_t n, float temperature,
                                            pluck_pcg64 *rng, float *soft, size_t *index,
                                            pluck_error *err);

/*
 * Guidance
 *
 * These functions combine two rows of logits into one, for classifier-free guidance and contrastive
 * decoding. A sampler takes the result like any other row.
 *
 * Common to both functions: the rows have the same n_vocab, and each may have any type. out has
 * room for n_vocab floats; it may be the buffer of a row that is PLUCK_F32, and must not overlap a
 * row otherwise. A token that is -inf in either row is -inf in out. Results beyond the range of
 * float become its largest or its smallest finite number. Each result has a relative error of at
 * most 2^-24, plus an absolute error of at most (1 + |scale|) 2e-6; the latter is the same for all
 * tokens, and so has no effect on the distribution. Nothing is allocated. Results have the same
 * bits on every instruction set.
 *
 * PLUCK_ERR_NAN: a row has NaN or +inf; the message names the row and the token. PLUCK_ERR_EMPTY:
 * no token is above -inf in both rows. PLUCK_ERR_INVALID: a buffer is NULL, the sizes differ, or a
 * parameter is out of its range. On failure out is not written.
 */

/*
 * Classifier-free guidance (Sanchez et al., "Stay on topic with Classifier-Free Guidance", 2023; as
 * Hugging Face Transformers computes it): with L the log-softmax of a row,
 *
 *     out = L(unconditional) + scale (L(conditional) - L(unconditional))
 *
 * The model computes the conditional row from the whole prompt, and the unconditional row from the
 * prompt without the part to stress, or from a negative prompt. scale is any finite number: 1 gives
 * the conditional row, and a number above 1 stresses that part of the prompt.
 */
PLUCK_API pluck_status pluck_guidance_combine(pluck_logits conditional, pluck_logits unconditional,
                                              double scale, float *out, pluck_error *err);

/*
 * Contrastive decoding (Li et al., "Contrastive Decoding: Open-ended Text Generation as
 * Optimization", 2022): out = ln p_expert - ln p_amateur for tokens whose p_expert is at least
 * alpha times the largest p_expert, and -inf for all other tokens. alpha is in [0, 1]. The paper
 * uses 0.1.
 */
PLUCK_API pluck_status pluck_guidance_contrast(pluck_logits expert, pluck_logits amateur,
                                               double alpha, float *out, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
