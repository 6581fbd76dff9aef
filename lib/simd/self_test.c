/*
 * The self-test: 64 results, each of which has one right value to the last bit, against values that
 * were computed once. Six are single operations in this file, written so that a compiler that was
 * allowed to compute something else gives another result; each says which permission that was. The
 * others are of the kernels, which are compiled in files of their own, perhaps with other flags,
 * and of the scalar functions. These show what goes wrong without saying why.
 *
 * The inputs are integers times powers of two, so that no flag can change them.
 */
#include "base/error.h"
#include "base/scalar_math.h"
#include "simd/fp_state.h"
#include "simd/kernels.h"

#include <math.h>
#include <string.h>

enum {
    N_OPERATIONS = 6,
    N_EXPONENTIALS = 24,
    N_BENT = 12,
    N_PREFERRED = 12,
    N_SUMS = 6,
    N_SCALAR = 4,
    N_RESULTS = N_OPERATIONS + N_EXPONENTIALS + N_BENT + N_PREFERRED + N_SUMS + N_SCALAR
};
_Static_assert(N_RESULTS == 64, "the number that base.h says");

typedef struct group {
    const char *name;
    size_t n;
} group;

static const group groups[] = {
    {"exponential", N_EXPONENTIALS}, {"bend", N_BENT}, {"prefer", N_PREFERRED}, {"sum", N_SUMS},
    {"scalar function", N_SCALAR},
};

/* What the compiler was allowed if operation i is wrong, and the flag that says so. */
static const struct {
    const char *allowed, *flag;
} permissions[N_OPERATIONS] = {
    {"to contract a product and a sum", "with -ffp-contract=off"},
    {"to contract a product and a sum of floats", "with -ffp-contract=off"},
    {"to reassociate sums", "without -ffast-math and -fassociative-math"},
    {"to multiply by a reciprocal", "without -ffast-math and -freciprocal-math"},
    {"to assume that no value is NaN", "without -ffast-math and -ffinite-math-only"},
    {"to drop the sign of zero", "without -ffast-math and -fno-signed-zeros"},
};

/* clang-format off */
static const uint64_t expected[N_RESULTS] = {
    0x0, 0x0, 0x0, 0x3fd3333333333333,
    0x1, 0x0, 0x3f800000, 0x3b06c76a,
    0x368deabd, 0x3d5b77a7, 0x38e7172d, 0x34735449,
    0x3b3c25ef, 0x36c61cd6, 0x3d992f83, 0x39214c65,
    0x34a9d744, 0x3b83533e, 0x370a47be, 0x3dd5d7e9,
    0x39612b2f, 0x34ed1802, 0x3bb753a8, 0x37410930,
    0x3e154297, 0x399d2a40, 0x35257d15, 0x3bffeb75,
    0x3786bc9a, 0x3e505d11, 0x25d00000, 0xa6cc0000,
    0xa4c00000, 0xa6cc0000, 0xa6cc0000, 0x25d00000,
    0xa6cc0000, 0x25200000, 0xa6cc0000, 0xa6cc0000,
    0x25d00000, 0xa6cc0000, 0x0, 0xa8c00000,
    0xa9480000, 0xa9960000, 0xa9c60000, 0xa9fa0000,
    0xaa160000, 0xaa2e0000, 0xaa480000, 0xaa610000,
    0xaa790000, 0xaa898000, 0x400ff90ba0600000, 0xc012881dac800000,
    0x40c09f6d68000000, 0xc09e3bf556000000, 0xc069ec1249000000, 0xbf83133881400000,
    0xbfd6d3c324e13f50, 0x4022d79375ae89ba, 0x3fdfc80db9dd5542, 0x4115079f95a52756,
};
/* clang-format on */

static uint64_t bits_of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void operate(uint64_t *results)
{
    /* Volatile, so that the compiler cannot do the arithmetic itself. */
    volatile double near_one = 1 + 0x1p-27, square = 1 + 0x1p-26;
    volatile float near_one_f = 1 + 0x1p-13f, square_f = 1 + 0x1p-12f;
    volatile double huge = 0x1p60, one = 1, three = 3, minus_zero = -0.0;
    volatile double not_a_number = (double)NAN;
    double a = near_one, h = huge, x = not_a_number, z = minus_zero;
    float a_f = near_one_f;
    results[0] = bits_of_double(a * a - square);
    results[1] = bits_of_float(a_f * a_f - square_f);
    results[2] = bits_of_double((h + one) - h);
    results[3] = bits_of_double(three / 10);
    results[4] = x != x;
    results[5] = bits_of_double(z + 0.0);
}

static void compute(const plk_kernels *kernels, uint64_t *results)
{
    float x[PLK_BLOCK], w[PLK_BLOCK], out[PLK_BLOCK];
    uint16_t halves[PLK_BLOCK];
    double sums[2];
    plk_spread spread;
    for (uint32_t i = 0; i < PLK_BLOCK; i++) {
        x[i] = -(float)(i * 7919u % 20011u) * 0x1p-10f;
        w[i] = (float)(i * 104729u % 2039u + 2048) * 0x1p-10f;
        halves[i] = (uint16_t)(0x3000u + i * 37u);
    }
    uint64_t *next = results;
    plk_exponent exponent = plk_exponent_make(0, 0.8);
    kernels->exp_values(x, 1, exponent, out);
    for (int i = 0; i < N_EXPONENTIALS; i++)
        *next++ = bits_of_float(out[i]);
    /* The terms cancel, so that what is left are roundings. */
    plk_bend bend = {.scale = 0.7, .max = 0.1, .square = 0.3};
    for (int i = 1; i <= N_BENT; i++) {
        double d = bend.scale * (double)x[i] - bend.max;
        bend.cube = -(bend.square * (d * d) + bend.max) / (d * d * d);
        kernels->bend(x, 1, bend, out);
        *next++ = bits_of_float(out[i]);
    }
    plk_preference preference = {.total = 5.3};
    for (int i = 0; i < N_PREFERRED; i++) {
        preference.aim = (double)w[i] / preference.total - (0.3 + i * 0x1p-50);
        (void)kernels->prefer(w, 1, preference, out);
        *next++ = bits_of_float(out[i]);
    }
    kernels->exp_dots(x, 1, exponent, sums, sums + 1);
    kernels->moments(x, 1, &spread);
    *next++ = bits_of_double(sums[0]);
    *next++ = bits_of_double(sums[1]);
    *next++ = bits_of_double(spread.square);
    *next++ = bits_of_double(kernels->dot_f32(x, w, PLK_BLOCK));
    *next++ = bits_of_double(kernels->dot_f16(x, halves, PLK_BLOCK));
    *next++ = bits_of_double(kernels->dot_bf16(x, halves, PLK_BLOCK));
    *next++ = bits_of_double(plk_log(0.7));
    *next++ = bits_of_double(plk_log(12345.5));
    *next++ = bits_of_double(plk_exp(-0.7));
    *next++ = bits_of_double(plk_exp(12.75));
}

static pluck_status compare(const plk_kernels *kernels, pluck_error *err)
{
    uint64_t results[N_RESULTS];
    compute(kernels, results);
    size_t at = 0;
    for (const group *g = groups; at < N_RESULTS - N_OPERATIONS; at += g++->n)
        for (size_t i = 0; i < g->n; i++)
            if (results[at + i] != expected[N_OPERATIONS + at + i])
                return plk_fail(err, PLUCK_ERR_INVALID,
                                "self-test: %s %zu on %s is 0x%llx, not 0x%llx; compile every file "
                                "of pluck with -ffp-contract=off and without -ffast-math",
                                g->name, i, kernels->name, (unsigned long long)results[at + i],
                                (unsigned long long)expected[N_OPERATIONS + at + i]);
    return PLUCK_OK;
}

static pluck_status check_operations(pluck_error *err)
{
    uint64_t results[N_OPERATIONS];
    operate(results);
    for (size_t i = 0; i < N_OPERATIONS; i++)
        if (results[i] != expected[i])
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "self-test: the compiler was allowed %s; compile pluck %s",
                            permissions[i].allowed, permissions[i].flag);
    return PLUCK_OK;
}

static pluck_status check(pluck_error *err)
{
    pluck_status status = check_operations(err);
    for (int isa = PLUCK_ISA_SCALAR; pluck_isa_name((pluck_isa)isa) && status == PLUCK_OK; isa++)
        if (pluck_isa_supported((pluck_isa)isa))
            status = compare(plk_kernels_get((pluck_isa)isa), err);
    return status;
}

pluck_status pluck_self_test(pluck_error *err)
{
    PLK_RETURN_IN_FP(check(err));
}
