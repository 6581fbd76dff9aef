/*
 * Logarithm and exponential in double by argument reduction and a short series; plain additions,
 * multiplications and divisions only, each correctly rounded by IEEE 754, hence the same bits
 * everywhere. fma() is avoided: without hardware it is a slow library call.
 */
#include "base/scalar_math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ln 2 = LN2_HI + LN2_LO; LN2_HI has 32 bits, so n * LN2_HI is exact for |n| < 2^21. */
#define LN2_HI 0x1.62e42feep-1
#define LN2_LO 0x1.a39ef35793c76p-33

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^n for -1022 <= n <= 1023. */
static double power_of_two(int n)
{
    return of_bits((uint64_t)(n + 1023) << 52);
}

/*
 * x = n ln 2 + r, |r| <= 0.347, and exp(r) = 1 + r + r^2 (1/2 + r/6 + ... + r^11/13!): the series
 * leaves r^14/14! < 2^-57. The rounding errors of r and of 1 + r are carried along (tail, low) and
 * added last, with the small terms; so the sum is off by little more than its last rounding. A
 * subnormal result is rounded once more, by half of its ulp at most, while the error before it then
 * counts for half or less.
 */
double plk_exp(double x)
{
    static const double inverse_factorial[] = {
        1.0 / 2,     1.0 / 6,      1.0 / 24,      1.0 / 120,      1.0 / 720,       1.0 / 5040,
        1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
    };
    int degree = sizeof inverse_factorial / sizeof *inverse_factorial - 1;
    double magic = 0x1.8p52;
    if (isnan(x))
        return x;
    if (x > 709.8)
        return HUGE_VAL;
    if (x < -745.2)
        return 0.0;
    double n = (x * 0x1.71547652b82fep0 + magic) - magic;
    double high = x - n * LN2_HI;
    double r = high - n * LN2_LO;
    double tail = (high - r) - n * LN2_LO;
    double q = inverse_factorial[degree];
    for (int i = degree - 1; i >= 0; i--)
        q = q * r + inverse_factorial[i];
    double one = 1.0 + r;
    double low = r - (one - 1.0);
    double y = one + (low + (q * (r * r) + tail * one));
    int k = (int)n;
    if (k < -1000)
        return y * power_of_two(k + 100) * 0x1p-100;
    return y * power_of_two(k - 1) * 2.0;
}

/*
 * x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), and with s = f / (2 + f)
 *   ln(1 + f) = 2 atanh(s) = 2 s + s R,   R = 2/3 s^2 + 2/5 s^4 + ... + 2/21 s^20,
 * which leaves a relative 2^-60. Since 2 s = f - s f and s f = f^2/2 - s f^2/2, this is
 * f - (f^2/2 - s (f^2/2 + R)): f is exact and what is subtracted is small, so little more than one
 * rounding shows (the arrangement of FreeBSD's e_log.c, Sun Microsystems 1993).
 */
double plk_log(double x)
{
    static const double odd[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                                 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
    int degree = sizeof odd / sizeof *odd - 1;
    uint64_t sqrt_half = UINT64_C(0x3FE6A09E667F3BCD);
    int k = 0;
    if (isnan(x) || x == HUGE_VAL)
        return x;
    if (x <= 0)
        return x == 0 ? -HUGE_VAL : (double)NAN;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        k = -54;
    }
    /* Adding the distance from sqrt(1/2) to 1 carries into the exponent exactly when 1 + f would
     * reach sqrt(2). */
    uint64_t shifted = bits_of(x) + (UINT64_C(0x3FF0000000000000) - sqrt_half);
    k += (int)(shifted >> 52) - 1023;
    double f = of_bits((shifted & UINT64_C(0xFFFFFFFFFFFFF)) + sqrt_half) - 1.0;
    double s = f / (2.0 + f);
    double z = s * s;
    double series = odd[degree];
    for (int i = degree - 1; i >= 0; i--)
        series = series * z + odd[i];
    double half_square = 0.5 * f * f;
    double correction = s * (half_square + series * z) + k * LN2_LO;
    return k * LN2_HI - ((half_square - correction) - f);
}
