/*
 * a b + c for floats, rounded once: by the processor, if every processor that this code is compiled
 * for has such an instruction, and else by double arithmetic. The C library's fmaf() without the
 * instruction is never called: it takes fifty times as long.
 *
 * The product of two floats is exact in double. The sum is rounded to odd: truncated, and its last
 * bit set if that was inexact. Then rounding it to float gives what rounding the exact sum would
 * give, for subnormal results too, because a double has two bits more than a float, and more than
 * that (S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
 * using rounding to odd", IEEE Transactions on Computers 57(4), 2008; 53 >= 24 + 2). The error e of
 * the rounded sum is known exactly (TwoSum, D. E. Knuth, The Art of Computer Programming, volume 2,
 * 4.2.2). Where e is not 0 and the sum is even, the odd neighbour on the side of e is the sum
 * rounded to odd. Infinities and NaN leave NaN in e, which compares as neither side.
 */
#ifndef PLK_FUSED_H
#define PLK_FUSED_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* gcc defines the first of these. */
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA) ||                   \
    defined(__riscv_flen) || defined(__powerpc64__) || defined(__s390x__)
#    define PLK_HARDWARE_FMAF 1
#endif

static inline float plk_fused(float a, float b, float c)
{
#if defined(PLK_HARDWARE_FMAF)
    return fmaf(a, b, c);
#else
    double p = (double)a * (double)b, z = (double)c;
    double s = p + z, t = s - p, e = (p - (s - t)) + (z - t);
    uint64_t bits;
    memcpy(&bits, &s, sizeof bits);
    if ((e > 0.0 || e < 0.0) && (bits & 1u) == 0) {
        bits += (e < 0.0) == (s < 0.0) ? 1 : ~UINT64_C(0);
        memcpy(&s, &bits, sizeof s);
    }
    return (float)s;
#endif
}

#endif
