/*
 * Softmax and its relatives on buffers of the caller: sparse alternatives, softmax over entries
 * that come in parts, gradients for training, and guidance. beta = 1/T is the inverse temperature.
 * Nothing here allocates.
 *
 * Common to all functions: z holds n >= 1 floats; -inf is a banned entry, whose probability is 0 at
 * every beta. PLUCK_ERR_NAN: z has NaN or +inf; the message names the first index. PLUCK_ERR_EMPTY:
 * all entries are -inf. PLUCK_ERR_INVALID: n is 0, a buffer is NULL, or beta is not finite
 * (pluck_softmax_limit() is for infinite beta). On failure no output is written. "In place" means
 * that the output may be z itself; it must not overlap z otherwise. Results are the same bits on
 * every instruction set. docs/numerics.md derives the error bounds.
 */
#ifndef PLUCK_SOFTMAX_H
#define PLUCK_SOFTMAX_H

#include <pluck/base.h>
#include <pluck/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * p[i] = exp(beta z[i]) / sum over j of exp(beta z[j]). In place is allowed. beta > 0 sharpens
 * toward the largest entries, 0 is uniform over the entries above -inf, and beta < 0 prefers the
 * smallest. Powers of another base b are beta = ln b. Each p[i] is within (4 + 2 |ln p|) ulps of
 * the exact value; below 2^-125 of the largest probability it is 0.
 */
PLUCK_API pluck_status pluck_softmax(const float *z, size_t n, float beta, float *p,
                                     pluck_error *err);

/* logprob[i] = ln p[i] for the p of pluck_softmax(), without its underflow: -inf only for banned
 * entries. In place is allowed. */
PLUCK_API pluck_status pluck_log_softmax(const float *z, size_t n, float beta, float *logprob,
                                         pluck_error *err);

/* *lse = ln of the sum over j of exp(beta z[j]), without overflow. The absolute error is below
 * 3e-7 + 2^-52 |lse|. */
PLUCK_API pluck_status pluck_logsumexp(const float *z, size_t n, float beta, double *lse,
                                       pluck_error *err);

/* *nats = -sum of p ln p for the p of pluck_softmax(), in [0, ln n]. Divided by ln 2, it is in
 * bits. */
PLUCK_API pluck_status pluck_entropy(const float *z, size_t n, float beta, double *nats,
                                     pluck_error *err);

/* *index = the index of the largest entry, the lowest one among equals (-0 equals +0). */
PLUCK_API pluck_status pluck_argmax(const float *z, size_t n, size_t *index, pluck_error *err);

/* The limit of pluck_softmax() as beta goes to +inf (largest) or -inf (not largest): 1/k for each
 * of the k entries that equal the largest one, or the smallest one above -inf, and 0 for all
 * others. In place is allowed. */
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
 * softmax", 2018). It stands for sum exp(max), the sum of exp(beta z) over all entries so far. {0}
 * is the state of no entries. Merging is commutative to the last bit and associative up to 2^-51
 * relative. Each part adds the error of pluck_logsumexp().
 */
typedef struct pluck_softmax_state {
    double max; /* of beta z; without meaning while sum is 0 */
    double sum; /* of exp(beta z - max): 0, or at least 1 */
} pluck_softmax_state;

/* Adds n entries. Entries of -inf do not count; n may be 0. */
PLUCK_API pluck_status pluck_softmax_state_add(pluck_softmax_state *state, const float *z, size_t n,
                                               float beta, pluck_error *err);

/* Adds the entries of other. PLUCK_ERR_INVALID if the numbers in a state cannot result from these
 * functions. */
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
 * Attention in one pass: adds n entries, n >= 0, with rows v[i dim] to v[i dim + dim - 1], and
 * keeps mean[j] = sum over i of softmax(beta z)_i v[i dim + j], over all entries so far. mean has
 * dim >= 1 doubles and belongs to the state; while that is {0}, the content of mean does not
 * matter. Rows of banned entries are not read. v is not checked. The error is at most 2^-48 of the
 * mean of |v|, for up to 2^20 entries.
 */
PLUCK_API pluck_status pluck_softmax_state_add_mean(pluck_softmax_state *state, double *mean,
                                                    const float *z, size_t n, float beta,
                                                    const float *v, size_t dim, pluck_error *err);

/* Adds the entries of other, whose mean is other_mean. */
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
 * Martins, R. Astudillo, 2016). In place is allowed. The sum of p is 1 within 2^-23. For alpha <= 2
 * each p[i] is within (2^-23 + 2^-50 / (alpha - 1)) p[i] + 2^-50 of the exact value. For alpha > 2
 * an entry within 2^-52 of tau can be off by 2^(-52 / (alpha - 1)), because p changes there faster
 * than doubles can resolve.
 */
PLUCK_API pluck_status pluck_entmax(const float *z, size_t n, float beta, double alpha, float *p,
                                    pluck_error *err);

/*
 * Gradients
 *
 * The Jacobian of p with respect to z is symmetric. So one function multiplies it by a direction v
 * (how p moves) and by a gradient v with respect to p (backpropagation). out may be p or v. Sums
 * are in double. p has n >= 1 probabilities and v has n finite numbers; neither is checked.
 */

/* out = beta (s v - s (s.v) / sum of s), s = p^(2 - alpha) where p > 0, else 0, for p of
 * pluck_entmax(). alpha = 1: beta p (v - p.v), for p of pluck_softmax(). */
PLUCK_API pluck_status pluck_entmax_jvp(const float *p, const float *v, size_t n, float beta,
                                        double alpha, float *out, pluck_error *err);

/* *loss = -ln softmax(beta z)[target], within 3e-7 + 2^-52 |lse|, and, unless gradient is NULL,
 * gradient[i] = beta (p[i] - (i == target)). gradient may be z. A target that is banned or not
 * below n is PLUCK_ERR_INVALID. */
PLUCK_API pluck_status pluck_cross_entropy(const float *z, size_t n, float beta, size_t target,
                                           double *loss, float *gradient, pluck_error *err);

/* The same for a target distribution y: n numbers >= 0 that add up to 1 within 1e-4, and are 0
 * wherever z is -inf. *loss = -sum of y ln p, gradient[i] = beta (p[i] sum of y - y[i]). */
PLUCK_API pluck_status pluck_cross_entropy_soft(const float *z, size_t n, float beta,
                                                const float *y, double *loss, float *gradient,
                                                pluck_error *err);

/*
 * Gumbel-softmax (E. Jang, S. Gu, B. Poole, 2017; C. Maddison, A. Mnih, Y. Teh, 2017): with g[i] =
 * -ln(-ln u[i]), soft = softmax((z + g) / temperature), temperature > 0, and *index is the arg max
 * of z + g, which is an exact draw from softmax(z). Uses n numbers of rng, one for each entry, in
 * order; on failure none. soft may be z. Straight-through estimation uses the one-hot vector of
 * *index forward, and pluck_entmax_jvp(soft, v, n, 1 / temperature, 1, ...) backward.
 */
PLUCK_API pluck_status pluck_gumbel_softmax(const float *z, size_t n, float temperature,
                                            pluck_pcg64 *rng, float *soft, size_t *index,
                                            pluck_error *err);

/*
 * Guidance
 *
 * Two rows of logits become one, for classifier-free guidance and contrastive decoding. The result
 * goes to a sampler like any other row.
 *
 * Common to both functions: the rows have the same n_vocab and any types. out has room for n_vocab
 * floats; it may be the buffer of a row that is PLUCK_F32, and must not overlap a row otherwise. A
 * token that is -inf in one row is -inf in out. Finite results stay finite: beyond the range of
 * float they become its largest or smallest number. Each result is within 2^-24 relative of the
 * exact one, plus (1 + |scale|) 2e-6 that is the same for all tokens and so has no effect on the
 * distribution. Nothing is allocated. Results are the same bits on every instruction set.
 *
 * PLUCK_ERR_NAN: a row has NaN or +inf; the message names the row and the token. PLUCK_ERR_EMPTY:
 * no token is above -inf in both rows. PLUCK_ERR_INVALID: a buffer is NULL, the sizes differ, or a
 * parameter is out of its range. On failure out is not written.
 */

/*
 * Classifier-free guidance (Sanchez et al., "Stay on topic with Classifier-Free Guidance", 2023; as
 * Hugging Face Transformers computes it): with log-softmax L of each row,
 *
 *     out = L(unconditional) + scale (L(conditional) - L(unconditional))
 *
 * The conditional row is computed from the whole prompt, the unconditional one without the part to
 * stress, or from a negative prompt. scale is any finite number: 1 gives the conditional row, more
 * than 1 stresses the prompt.
 */
PLUCK_API pluck_status pluck_guidance_combine(pluck_logits conditional, pluck_logits unconditional,
                                              double scale, float *out, pluck_error *err);

/*
 * Contrastive decoding (Li et al., "Contrastive Decoding: Open-ended Text Generation as
 * Optimization", 2022): out = ln p_expert - ln p_amateur for tokens whose probability in the expert
 * is at least alpha times its largest one, and -inf for all others. alpha is in [0, 1]. The paper
 * uses 0.1.
 */
PLUCK_API pluck_status pluck_guidance_contrast(pluck_logits expert, pluck_logits amateur,
                                               double alpha, float *out, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
