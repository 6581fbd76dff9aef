/*
 * The textbook formulas, shifted by the largest beta * z so that nothing overflows. A product of a
 * float and a float-sized beta is exact in long double where that has 64 bits of significand.
 */
#include "support/reference.h"

#include <math.h>

static long double largest(const float *z, size_t n, double beta)
{
    long double max = -HUGE_VALL;
    for (size_t i = 0; i < n; i++) {
        if (isinf(z[i]))
            continue;
        max = fmaxl(max, (long double)beta * (long double)z[i]);
    }
    return max;
}

static long double shifted(float z, double beta, long double max)
{
    return isinf(z) ? -HUGE_VALL : (long double)beta * (long double)z - max;
}

static long double log_sum(const float *z, size_t n, double beta, long double max)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += expl(shifted(z[i], beta, max));
    return logl(sum);
}

void reference_softmax(const float *z, size_t n, double beta, long double *p)
{
    long double max = largest(z, n, beta);
    long double sum = 0;
    for (size_t i = 0; i < n; i++) {
        p[i] = expl(shifted(z[i], beta, max));
        sum += p[i];
    }
    for (size_t i = 0; i < n; i++)
        p[i] /= sum;
}

void reference_log_softmax(const float *z, size_t n, double beta, long double *logprob)
{
    long double max = largest(z, n, beta);
    long double log_z = log_sum(z, n, beta, max);
    for (size_t i = 0; i < n; i++)
        logprob[i] = shifted(z[i], beta, max) - log_z;
}

long double reference_logsumexp(const float *z, size_t n, double beta)
{
    long double max = largest(z, n, beta);
    return max + log_sum(z, n, beta, max);
}

long double reference_entropy(const float *z, size_t n, double beta)
{
    long double max = largest(z, n, beta);
    long double log_z = log_sum(z, n, beta, max);
    long double entropy = 0;
    for (size_t i = 0; i < n; i++) {
        long double logprob = shifted(z[i], beta, max) - log_z;
        if (!isinf(logprob))
            entropy -= expl(logprob) * logprob;
    }
    return entropy;
}

long double reference_float_ulp(long double x)
{
    if (fabsl(x) < 0x1p-126L)
        return 0x1p-149L;
    int exponent;
    frexpl(x, &exponent);
    return ldexpl(1, exponent - 24);
}
