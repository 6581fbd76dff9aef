/*
 * The softmax family on the caller's buffers: softmax and its relatives, sparse alternatives, what
 * parts of a vocabulary exchange, and the gradients for training. beta = 1/T is the inverse
 * temperature. Nothing here allocates.
 *
 * Common to all: z holds n >= 1 natural-log values in any order and alignment of float; -inf is a
 * banned entry, whose probability is 0 at every beta. NaN or +inf in z gives PLUCK_ERR_NAN naming
 * the first such index; all entries -inf give PLUCK_ERR_EMPTY; n = 0, a NULL buffer or a beta that
 * is not finite gives PLUCK_ERR_INVALID (pluck_softmax_limit() is what beta tends to). On failure
 * no output is written. Results are the same bits on every instruction set. Error bounds:
 * docs/numerics.md.
 */
#ifndef PLUCK_SOFTMAX_H
#define PLUCK_SOFTMAX_H

#include <pluck/base.h>
#include <pluck/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * p[i] = exp(beta z[i]) / sum over j of exp(beta z[j]). p may be z itself (in place) but not
 * otherwise overlap it. beta > 0 sharpens toward the largest entries, 0 is uniform over the entries
 * above -inf, < 0 prefers the smallest. Powers of another base b are beta = ln b. Each p[i] is
 * within (4 + 2 |ln p|) ulps of the exact value; below 2^-125 of the largest probability it is 0.
 */
PLUCK_API pluck_status pluck_softmax(const float *z, size_t n, float beta, float *p,
                                     pluck_error *err);

/* logprob[i] = ln p[i] for the p of pluck_softmax, without its underflow: -inf only for banned
 * entries. In place allowed. */
PLUCK_API pluck_status pluck_log_softmax(const float *z, size_t n, float beta, float *logprob,
                                         pluck_error *err);

/* *lse = ln of the sum over j of exp(beta z[j]), without overflow. Absolute error below 3e-7 +
 * 2^-52 |lse|. */
PLUCK_API pluck_status pluck_logsumexp(const float *z, size_t n, float beta, double *lse,
                                       pluck_error *err);

/* *nats = -sum of p ln p of the p of pluck_softmax, in [0, ln n]; divide by ln 2 for bits. */
PLUCK_API pluck_status pluck_entropy(const float *z, size_t n, float beta, double *nats,
                                     pluck_error *err);

/* *index of the largest entry, the lowest index among equals (-0 equals +0). */
PLUCK_API pluck_status pluck_argmax(const float *z, size_t n, size_t *index, pluck_error *err);

/* What pluck_softmax() tends to as beta goes to +inf (largest) or -inf (not largest): 1/k on the k
 * entries that equal the largest one, or the smallest one above -inf, and 0 elsewhere. In place
 * allowed. */
PLUCK_API pluck_status pluck_softmax_limit(const float *z, size_t n, bool largest, float *p,
                                           pluck_error *err);

/* *nats = -sum of p ln p of given probabilities, each in [0, inf); their sum is not checked. */
PLUCK_API pluck_status pluck_entropy_of_probs(const float *p, size_t n, double *nats,
                                              pluck_error *err);

/*
 * In parts
 *
 * The state of a softmax over entries that come in parts: a stream, the shards of a vocabulary, the
 * blocks of an attention (M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax",
 * 2018). It stands for sum exp(max) = the sum of exp(beta z) over all entries so far. Zeroed, {0},
 * it is that of no entries. Merging is commutative to the last bit, and associative up to 2^-51
 * relative; each part adds the error of pluck_logsumexp().
 */
typedef struct pluck_softmax_state {
    double max; /* of beta z; means nothing while sum is 0 */
    double sum; /* of exp(beta z - max): 0, or at least 1 */
} pluck_softmax_state;

/* Takes in n >= 0 entries; none that is above -inf changes nothing and is no error. */
PLUCK_API pluck_status pluck_softmax_state_add(pluck_softmax_state *state, const float *z, size_t n,
                                               float beta, pluck_error *err);

/* Takes in what other has. A state that cannot have come about is PLUCK_ERR_INVALID. */
PLUCK_API pluck_status pluck_softmax_state_merge(pluck_softmax_state *state,
                                                 const pluck_softmax_state *other,
                                                 pluck_error *err);

/* *lse = max + ln sum; PLUCK_ERR_EMPTY for no entries. */
PLUCK_API pluck_status pluck_softmax_state_logsumexp(const pluck_softmax_state *state, double *lse,
                                                     pluck_error *err);

/* p[i] = exp(beta z[i] - max) / sum: the part of the softmax over all entries of the state that
 * belongs to these n of them. In place allowed. */
PLUCK_API pluck_status pluck_softmax_state_probs(const pluck_softmax_state *state, const float *z,
                                                 size_t n, float beta, float *p, pluck_error *err);

/*
 * The attention form, in one pass: mean[j] = sum over i of softmax(beta z)_i v[i dim + j] over all
 * entries so far, these n >= 0 included. mean has dim >= 1 doubles and belongs to the state; while
 * that is {0} its content does not matter. Rows of banned entries are not read into it; v is not
 * checked otherwise. Relative error at most 2^-48 of the mean of |v|, for up to 2^20 entries.
 */
PLUCK_API pluck_status pluck_softmax_state_add_mean(pluck_softmax_state *state, double *mean,
                                                    const float *z, size_t n, float beta,
                                                    const float *v, size_t dim, pluck_error *err);

/* Takes in the mean of other entries. */
PLUCK_API pluck_status pluck_softmax_state_merge_mean(pluck_softmax_state *state, double *mean,
                                                      const pluck_softmax_state *other,
                                                      const double *other_mean, size_t dim,
                                                      pluck_error *err);

/*
 * Sparse alternatives
 *
 * alpha-entmax: p = [(alpha - 1) beta z - tau]+ ^ (1 / (alpha - 1)), tau such that the sum of p is
 * 1 (B. Peters, V. Niculae, A. Martins, "Sparse sequence-to-sequence models", 2019). alpha in [1,
 * 100]: 1 is softmax, 2 sparsemax (A. Martins, R. Astudillo, 2016). In place allowed. tau is found
 * by Newton's method from below for alpha <= 2, where the sum is convex in tau, and by bisection
 * above, both to the last bits of a double: the p[i] add up to 1 within 2^-23, and for alpha <= 2
 * each is within (2^-23 + 2^-50 / (alpha - 1)) p[i] + 2^-50 of the exact value. Above 2 an entry
 * within 2^-52 of tau can be off by 2^(-52 / (alpha - 1)): there p changes faster than numbers can
 * tell.
 */
PLUCK_API pluck_status pluck_entmax(const float *z, size_t n, float beta, double alpha, float *p,
                                    pluck_error *err);

/*
 * Gradients
 *
 * The Jacobians of p with respect to z are symmetric, so that one function is both the product with
 * a direction v (how p moves) and with a gradient v with respect to p (backpropagation). out may be
 * p or v. Sums are in double. p has n >= 1 probabilities, v n finite numbers: neither is checked.
 */

/* out = beta (s v - s (s.v) / sum of s), s = p^(2 - alpha) where p > 0, else 0, for p of
 * pluck_entmax(). alpha = 1: beta p (v - p.v), for p of pluck_softmax(). */
PLUCK_API pluck_status pluck_entmax_jvp(const float *p, const float *v, size_t n, float beta,
                                        double alpha, float *out, pluck_error *err);

/* *loss = -ln softmax(beta z)[target], within 3e-7 + 2^-52 |lse|, and gradient[i] = beta (p[i] -
 * (i == target)), unless gradient is NULL; it may be z. A target that is banned or not below n is
 * PLUCK_ERR_INVALID. */
PLUCK_API pluck_status pluck_cross_entropy(const float *z, size_t n, float beta, size_t target,
                                           double *loss, float *gradient, pluck_error *err);

/* The same for a target distribution y, n numbers >= 0 that add up to 1 within 1e-4: *loss = -sum
 * of y ln p, gradient[i] = beta (p[i] sum of y - y[i]). y[i] = 0 wherever z[i] is -inf. */
PLUCK_API pluck_status pluck_cross_entropy_soft(const float *z, size_t n, float beta,
                                                const float *y, double *loss, float *gradient,
                                                pluck_error *err);

/*
 * Gumbel-softmax (E. Jang, S. Gu, B. Poole, 2017; C. Maddison, A. Mnih, Y. Teh, 2017): with g[i] =
 * -ln(-ln u[i]), soft = softmax((z + g) / temperature), temperature > 0, and *index = arg max of
 * z + g, which is an exact draw from softmax(z). Takes n numbers of rng, one an entry, in order; on
 * failure none. soft may be z. Straight-through estimation uses the one-hot vector of *index
 * forward, and pluck_entmax_jvp(soft, v, n, 1 / temperature, 1, ...) backward.
 */
PLUCK_API pluck_status pluck_gumbel_softmax(const float *z, size_t n, float temperature,
                                            pluck_pcg64 *rng, float *soft, size_t *index,
                                            pluck_error *err);

/*
 * Two rows of logits that become one: classifier-free guidance and contrastive decoding. The third
 * row goes to a sampler like any other.
 *
 * Common to both: the rows have the same n_vocab and any types, out has room for n_vocab floats and
 * may be the buffer of a row that is PLUCK_F32, but must not overlap one otherwise. A token that is
 * -inf in either row is -inf in out: what one side rules out cannot be compared. Finite results
 * stay finite: beyond the range of float they are its largest or smallest number. Each is within
 * 2^-24 relative, plus (1 + |scale|) 2e-6 that is the same for all tokens and thus without effect
 * on the distribution, of the exact one. Nothing is allocated; results are the same bits on every
 * instruction set.
 *
 * NaN or +inf in a row gives PLUCK_ERR_NAN naming row and token, no token above -inf in both rows
 * PLUCK_ERR_EMPTY, a NULL buffer, unequal sizes or a parameter out of its range PLUCK_ERR_INVALID.
 * On failure out is not written.
 */

/*
 * Classifier-free guidance (Sanchez et al., "Stay on topic with Classifier-Free Guidance", 2023; as
 * Hugging Face Transformers computes it): with log-softmax L of each row,
 *
 *     out = L(unconditional) + scale (L(conditional) - L(unconditional))
 *
 * conditional: from the whole prompt; unconditional: without the part to stress, or from a negative
 * prompt. scale: any finite number; 1 is the conditional row alone, above 1 stresses the prompt.
 */
PLUCK_API pluck_status pluck_guidance_combine(pluck_logits conditional, pluck_logits unconditional,
                                              double scale, float *out, pluck_error *err);

/*
 * Contrastive decoding (Li et al., "Contrastive Decoding: Open-ended Text Generation as
 * Optimization", 2022): among the tokens that the expert gives at least alpha times its largest
 * probability, out = ln p_expert - ln p_amateur; the others are -inf. alpha in [0, 1]; the paper
 * uses 0.1.
 */
PLUCK_API pluck_status pluck_guidance_contrast(pluck_logits expert, pluck_logits amateur,
                                               double alpha, float *out, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
