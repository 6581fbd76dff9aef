/*
 * Brute force in long double: what the library's results are judged by. Slow, obvious, and free of
 * the library's code.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stddef.h>

/* p[i] = exp(beta z[i]) / sum of exp(beta z[j]); -inf entries have p = 0 at every beta; at least
 * one entry is above -inf. */
void reference_softmax(const float *z, size_t n, double beta, long double *p);

/* ln p[i]; -inf for banned entries only. */
void reference_log_softmax(const float *z, size_t n, double beta, long double *logprob);

/* ln of the sum of exp(beta z[j]). */
long double reference_logsumexp(const float *z, size_t n, double beta);

/* -sum of p ln p, in nats. */
long double reference_entropy(const float *z, size_t n, double beta);

/* The spacing of floats at |x|: 2^-149 at least. */
long double reference_float_ulp(long double x);

#endif
