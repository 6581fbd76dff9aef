/*
 * The softmax family on the caller's buffers. beta = 1/T is the inverse temperature. Nothing here
 * allocates.
 *
 * Common to all: z holds n >= 1 natural-log values in any order and alignment of float; -inf is a
 * banned entry, whose probability is 0 at every beta. NaN or +inf in z gives PLUCK_ERR_NAN naming
 * the first such index; all entries -inf give PLUCK_ERR_EMPTY; n = 0, a NULL buffer or a beta that
 * is not finite gives PLUCK_ERR_INVALID. On failure no output is written. Results are the same bits
 * on every instruction set. Error bounds: docs/numerics.md.
 */
#ifndef PLUCK_SOFTMAX_H
#define PLUCK_SOFTMAX_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * p[i] = exp(beta z[i]) / sum over j of exp(beta z[j]). p may be z itself (in place) but not
 * otherwise overlap it. beta > 0 sharpens toward the largest entries, 0 is uniform over the entries
 * above -inf, < 0 prefers the smallest. Each p[i] is within (4 + 2 |ln p|) ulps of the exact value;
 * below 2^-125 of the largest probability it is 0.
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

#ifdef __cplusplus
}
#endif

#endif
