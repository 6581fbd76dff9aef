/*
 * A finite double is +-m 2^(e - 1) units of 2^-1074 with m < 2^53 and 1 <= e <= 2046. With
 * e - 1 = 32 k + s, m 2^s has at most 84 bits: three digits of 32 bits, which are added to the
 * signed 64-bit limbs k, k + 1 and k + 2. A limb takes 2^30 additions before a carry is due. The
 * largest sum of 2^64 values is below 2^1088, that is limb 67.
 *
 * Source: R. M. Neal, "Fast exact summation using small and large superaccumulators", 2015 (the
 * small one).
 */
#include "base/exact_sum.h"

#include <math.h>
#include <string.h>

enum { DIGIT_BITS = 32, MAX_PENDING = 1 << 30, LOWEST_EXPONENT = -1074, MANTISSA_BITS = 53 };

#define DIGIT_MASK UINT64_C(0xffffffff)

/* Makes all limbs but the last digits in [0, 2^32): the only such form of a sum. */
static void carry(plk_exact_sum *sum)
{
    for (size_t i = 0; i + 1 < PLK_EXACT_LIMBS; i++) {
        int64_t digit = (int64_t)((uint64_t)sum->limbs[i] & DIGIT_MASK);
        sum->limbs[i + 1] += (sum->limbs[i] - digit) / (INT64_C(1) << DIGIT_BITS);
        sum->limbs[i] = digit;
    }
    sum->n_pending = 0;
}

static void add_special(plk_exact_sum *sum, double value)
{
    sum->n_nan += isnan(value) != 0;
    sum->n_plus_inf += value == (double)INFINITY;
    sum->n_minus_inf += value == (double)-INFINITY;
}

void plk_exact_sum_add(plk_exact_sum *sum, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t exponent = (uint32_t)(bits >> 52) & 0x7ff;
    if (exponent == 0x7ff) {
        add_special(sum, value);
        return;
    }
    /* Without branches on the sign or the shift, which data would mispredict. */
    uint64_t is_normal = exponent != 0;
    uint64_t m = (bits & ((UINT64_C(1) << 52) - 1)) | is_normal << 52;
    uint32_t shift = exponent - (uint32_t)is_normal, s = shift % DIGIT_BITS;
    int64_t *limb = sum->limbs + shift / DIGIT_BITS;
    int64_t sign = -(int64_t)(bits >> 63);
    uint64_t low = m << s;
    limb[0] += ((int64_t)(low & DIGIT_MASK) ^ sign) - sign;
    limb[1] += ((int64_t)(low >> DIGIT_BITS) ^ sign) - sign;
    limb[2] += ((int64_t)(m >> 1 >> (63 - s)) ^ sign) - sign;
    if (++sum->n_pending == MAX_PENDING)
        carry(sum);
}

/* The upper 26 bits of a value; the lower half, with its sign, has 26 too (Veltkamp). */
static double upper_half(double value)
{
    double scaled = 134217729.0 * value; /* 2^27 + 1 */
    return scaled - (scaled - value);
}

/* What rounding a b to product left out, which is a double (T. J. Dekker, "A floating-point
 * technique for extending the available precision", Numerische Mathematik 18, 1971). C libraries
 * exist whose fma() rounds twice. */
static double product_error(double a, double b, double product)
{
    double a_high = upper_half(a), a_low = a - a_high;
    double b_high = upper_half(b), b_low = b - b_high;
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
}

void plk_exact_sum_add_product(plk_exact_sum *sum, double a, double b)
{
    const double most = 0x1p995; /* the halves of what is above may overflow */
    double product = a * b;
    plk_exact_sum_add(sum, product);
    if (isfinite(product) && fabs(a) < most && fabs(b) < most)
        plk_exact_sum_add(sum, product_error(a, b, product));
}

void plk_exact_sum_merge(plk_exact_sum *sum, const plk_exact_sum *other)
{
    plk_exact_sum digits = *other;
    carry(&digits);
    carry(sum);
    for (size_t i = 0; i < PLK_EXACT_LIMBS; i++)
        sum->limbs[i] += digits.limbs[i];
    sum->n_pending = 1;
    sum->n_nan += other->n_nan;
    sum->n_plus_inf += other->n_plus_inf;
    sum->n_minus_inf += other->n_minus_inf;
}

/* The digits of a sum >= 0 that is not 0, rounded. */
static double round_digits(const int64_t *limbs)
{
    size_t top = PLK_EXACT_LIMBS - 1;
    while (limbs[top] == 0)
        top--;
    uint64_t window = 0; /* the 64 highest bits, from the highest one that is set */
    int n_zeros = 0;     /* above it in the top digit */
    while ((uint64_t)limbs[top] << n_zeros < UINT64_C(1) << (DIGIT_BITS - 1))
        n_zeros++;
    uint64_t digits[3] = {(uint64_t)limbs[top], top > 0 ? (uint64_t)limbs[top - 1] : 0,
                          top > 1 ? (uint64_t)limbs[top - 2] : 0};
    window = (digits[0] << DIGIT_BITS | digits[1]) << n_zeros | digits[2] >> (DIGIT_BITS - n_zeros);
    bool is_more = (digits[2] << n_zeros & DIGIT_MASK) != 0;
    for (size_t i = 0; i + 2 < top; i++)
        is_more |= limbs[i] != 0;
    int highest = (int)top * DIGIT_BITS + DIGIT_BITS - 1 - n_zeros; /* place of the highest bit */
    if (highest < MANTISSA_BITS)
        return ldexp((double)(window >> (63 - highest)), LOWEST_EXPONENT);
    uint64_t mantissa = window >> (64 - MANTISSA_BITS);
    uint64_t rest = window & ((UINT64_C(1) << (64 - MANTISSA_BITS)) - 1);
    uint64_t half = UINT64_C(1) << (63 - MANTISSA_BITS);
    mantissa += rest > half || (rest == half && (is_more || mantissa % 2 == 1));
    return ldexp((double)mantissa, highest - MANTISSA_BITS + 1 + LOWEST_EXPONENT);
}

double plk_exact_sum_value(const plk_exact_sum *sum)
{
    if (sum->n_nan > 0 || (sum->n_plus_inf > 0 && sum->n_minus_inf > 0))
        return (double)NAN;
    if (sum->n_plus_inf > 0 || sum->n_minus_inf > 0)
        return sum->n_plus_inf > 0 ? (double)INFINITY : (double)-INFINITY;
    plk_exact_sum digits = *sum;
    carry(&digits);
    bool is_negative = digits.limbs[PLK_EXACT_LIMBS - 1] < 0;
    bool is_zero = true;
    for (size_t i = 0; i < PLK_EXACT_LIMBS; i++) {
        digits.limbs[i] = is_negative ? -digits.limbs[i] : digits.limbs[i];
        is_zero &= digits.limbs[i] == 0;
    }
    if (is_zero)
        return 0;
    carry(&digits);
    double magnitude = round_digits(digits.limbs);
    return is_negative ? -magnitude : magnitude;
}

/* Two's complement: the first digit that is not 0, the number of digits, the digits, and the one
 * that all further digits are, 0 or 2^32 - 1. */
void plk_exact_sum_put(const plk_exact_sum *sum, plk_byte_writer *out)
{
    plk_exact_sum digits = *sum;
    carry(&digits);
    uint32_t sign = digits.limbs[PLK_EXACT_LIMBS - 1] < 0 ? UINT32_MAX : 0;
    uint32_t first = 0, end = PLK_EXACT_LIMBS;
    while (end > 0 && (uint32_t)digits.limbs[end - 1] == sign)
        end--;
    while (first < end && digits.limbs[first] == 0)
        first++;
    plk_put_u32(out, first);
    plk_put_u32(out, end - first);
    for (uint32_t i = first; i < end; i++)
        plk_put_u32(out, (uint32_t)digits.limbs[i]);
    plk_put_u32(out, sign);
    plk_put_u64(out, sum->n_nan);
    plk_put_u64(out, sum->n_plus_inf);
    plk_put_u64(out, sum->n_minus_inf);
}

bool plk_exact_sum_take(plk_exact_sum *sum, plk_byte_reader *in)
{
    *sum = (plk_exact_sum){0};
    uint32_t first = plk_take_u32(in), n = plk_take_u32(in);
    if (first >= PLK_EXACT_LIMBS || n >= PLK_EXACT_LIMBS - first)
        return false;
    uint32_t last = 0;
    for (uint32_t i = first; i < first + n; i++) {
        last = plk_take_u32(in);
        sum->limbs[i] = last;
        if (i == first && last == 0)
            return false;
    }
    uint32_t sign = plk_take_u32(in);
    sum->n_nan = plk_take_u64(in);
    sum->n_plus_inf = plk_take_u64(in);
    sum->n_minus_inf = plk_take_u64(in);
    if (in->is_short || (sign != 0 && sign != UINT32_MAX) || (n > 0 && last == sign) ||
        (n == 0 && sign == 0 && first > 0))
        return false;
    for (uint32_t i = first + n; i < PLK_EXACT_LIMBS; i++)
        sum->limbs[i] = i + 1 < PLK_EXACT_LIMBS ? (int64_t)sign : -(int64_t)(sign != 0);
    return true;
}
