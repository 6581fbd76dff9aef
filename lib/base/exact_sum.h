/*
 * Sums of doubles without rounding. The result depends on the values alone, not on their order or
 * on how they were divided into parts, so that threads, processes and machines can each add a part
 * and merge.
 */
#ifndef PLK_EXACT_SUM_H
#define PLK_EXACT_SUM_H

#include "base/bytes.h"

enum {
    PLK_EXACT_LIMBS = 70,
    PLK_EXACT_MOST_BYTES = 36 + 4 * PLK_EXACT_LIMBS /* of plk_exact_sum_put() */
};

/* All zero is the sum of no values. */
typedef struct plk_exact_sum {
    int64_t limbs[PLK_EXACT_LIMBS]; /* limb i counts units of 2^(32 i - 1074) */
    uint32_t n_pending;             /* additions since the limbs were made digits */
    uint64_t n_nan, n_plus_inf, n_minus_inf;
} plk_exact_sum;

void plk_exact_sum_add(plk_exact_sum *sum, double value);

/* Adds a b, exactly if a b is 0 or between 2^-960 and 2^1023 in magnitude, and a and b are below
 * 2^995; otherwise with a b rounded. */
void plk_exact_sum_add_product(plk_exact_sum *sum, double a, double b);

/* Adds the values of other. */
void plk_exact_sum_merge(plk_exact_sum *sum, const plk_exact_sum *other);

/* The sum, rounded once, to nearest even: NaN for a NaN or for infinities of both signs. */
double plk_exact_sum_value(const plk_exact_sum *sum);

/* Equal sums are equal bytes: about 40 of them for values of similar size. */
void plk_exact_sum_put(const plk_exact_sum *sum, plk_byte_writer *out);

/* Reads what plk_exact_sum_put() wrote; false for any other bytes. */
bool plk_exact_sum_take(plk_exact_sum *sum, plk_byte_reader *in);

#endif
