/*
 * The scan and the widening of halves: every half-precision value, every position of a bad one,
 * every alignment. A NaN that the scan misses would reach a result; a maximum that is wrong would
 * make a stage skip the block that holds the answer.
 *
 *   test_scan [TEST]      PLUCK_SEED and PLUCK_ISA limit a run to one case, one set
 */
#include "simd/kernels.h"
#include "support/cases.h"
#include "support/guard_buffer.h"
#include "support/isa.h"
#include "support/vectors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MAX_BLOCKS = 35, /* two groups of the widest transposing reduction, and three over */
    N_HALVES = 1 << 16,
    N_CASES = 2000
};

typedef struct value_format {
    const char *name;
    size_t size_bytes;
    bool (*scan)(const plk_kernels *kernels, const void *x, size_t n_blocks, float *block_max);
} value_format;

static bool scan_f32(const plk_kernels *kernels, const void *x, size_t n_blocks, float *block_max)
{
    return kernels->scan_f32(x, n_blocks, block_max);
}

static bool scan_f16(const plk_kernels *kernels, const void *x, size_t n_blocks, float *block_max)
{
    return kernels->scan_f16(x, n_blocks, block_max);
}

static bool scan_bf16(const plk_kernels *kernels, const void *x, size_t n_blocks, float *block_max)
{
    return kernels->scan_bf16(x, n_blocks, block_max);
}

static const value_format formats[] = {
    {"f32", 4, scan_f32}, {"f16", 2, scan_f16}, {"bf16", 2, scan_bf16}};

enum { N_FORMATS = sizeof formats / sizeof *formats };

/* The meaning of a half by its fields (IEEE 754, 3.4): sign, 5 or 8 bits of exponent, the rest. */
static double value_of_half(uint16_t half, int fraction_bits)
{
    int exponent_bits = 15 - fraction_bits;
    int exponent = half >> fraction_bits & ((1 << exponent_bits) - 1);
    int fraction = half & ((1 << fraction_bits) - 1);
    int bias = (1 << (exponent_bits - 1)) - 1;
    double magnitude;
    if (exponent == (1 << exponent_bits) - 1)
        magnitude = fraction ? (double)NAN : HUGE_VAL;
    else if (exponent == 0)
        magnitude = ldexp(fraction, 1 - bias - fraction_bits);
    else
        magnitude = ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
    return half & 0x8000 ? -magnitude : magnitude;
}

static double value_at(size_t format, const unsigned char *x, size_t i)
{
    if (format == 0) {
        float value;
        memcpy(&value, x + i * sizeof value, sizeof value);
        return (double)value;
    }
    uint16_t half;
    memcpy(&half, x + i * sizeof half, sizeof half);
    return value_of_half(half, format == 1 ? 10 : 7);
}

/* The bits of a quiet NaN, +inf or -inf; the sign of NaN varies with the seed. */
static void put(size_t format, unsigned char *x, size_t i, double value, uint64_t seed)
{
    static const uint32_t infinity[] = {0x7F800000u, 0x7C00u, 0x7F80u};
    static const uint32_t sign[] = {0x80000000u, 0x8000u, 0x8000u};
    uint32_t bits = infinity[format];
    if (isnan(value))
        bits |= 1u | (seed & 1 ? sign[format] : 0) | (seed & 2 ? bits >> 1 : 0);
    else if (value < 0)
        bits |= sign[format];
    if (format == 0) {
        memcpy(x + i * sizeof bits, &bits, sizeof bits);
    } else {
        uint16_t half = (uint16_t)bits;
        memcpy(x + i * sizeof half, &half, sizeof half);
    }
}

/* Any finite value or -inf. */
static void fill(size_t format, uint64_t seed, size_t n, unsigned char *x)
{
    test_random random = test_random_make(seed);
    if (format == 0) {
        float *values = calloc(n, sizeof *values);
        size_t kind = test_random_below(&random, TEST_VECTOR_KINDS);
        test_vector_fill((test_vector_kind)kind, seed, n, values);
        memcpy(x, values, n * sizeof *values);
        free(values);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        do
            half = (uint16_t)test_random_bits(&random);
        while (!(value_of_half(half, format == 1 ? 10 : 7) < HUGE_VAL));
        memcpy(x + i * sizeof half, &half, sizeof half);
    }
}

static bool allows(const int32_t *mask, size_t i)
{
    return !mask || ((uint32_t)mask[i / 32] >> i % 32 & 1u) != 0;
}

/* Of what the mask allows; NULL: of everything. */
static bool expect_maxima(size_t format, const unsigned char *x, const int32_t *mask,
                          size_t n_blocks, const float *max)
{
    for (size_t b = 0; b < n_blocks; b++) {
        double expected = -HUGE_VAL;
        for (size_t i = 0; i < PLK_BLOCK; i++) {
            double value = value_at(format, x, b * PLK_BLOCK + i);
            expected = value > expected && allows(mask, b * PLK_BLOCK + i) ? value : expected;
        }
        if ((double)max[b] != expected)
            return test_case_failed("%s: maximum of block %zu is %a, not %a", formats[format].name,
                                    b, (double)max[b], expected);
    }
    return true;
}

/* The context is the index of the format. Then one value is made bad, and the scan must say so. */
static bool scan_case(uint64_t seed, pluck_isa isa, const void *context)
{
    size_t format = *(const size_t *)context;
    size_t value_bytes = formats[format].size_bytes;
    const plk_kernels *kernels = plk_kernels_get(isa);
    test_random random = test_random_make(~seed);
    size_t n_blocks = test_random_below(&random, MAX_BLOCKS) + 1;
    size_t shift = test_random_below(&random, 2) ? 0 : test_random_below(&random, 64);
    size_t n = n_blocks * PLK_BLOCK;
    guard_buffer input = guard_buffer_create(n * value_bytes + shift);
    guard_buffer output = guard_buffer_create(n_blocks * sizeof(float));
    unsigned char *x = guard_buffer_tail(&input, n * value_bytes + shift);
    float *max = guard_buffer_tail(&output, n_blocks * sizeof *max);
    fill(format, seed, n, x);
    bool passed = true;
    if (formats[format].scan(kernels, x, n_blocks, max))
        passed = test_case_failed("%s: good values are called bad", formats[format].name);
    passed = passed && expect_maxima(format, x, NULL, n_blocks, max);

    size_t bad = test_random_below(&random, n);
    put(format, x, bad, seed % 3 ? (double)NAN : HUGE_VAL, seed);
    if (passed && !formats[format].scan(kernels, x, n_blocks, max))
        passed = test_case_failed("%s: a bad value at %zu of %zu is missed", formats[format].name,
                                  bad, n);
    guard_buffer_destroy(&input);
    guard_buffer_destroy(&output);
    return passed;
}

static void scan_gives_block_maxima_and_finds_a_bad_value(void **state)
{
    (void)state;
    for (size_t format = 0; format < N_FORMATS; format++)
        test_cases_run(__func__, 0, N_CASES, scan_case, &format);
}

static bool scan_masked(size_t format, const plk_kernels *kernels, const void *x,
                        const int32_t *mask, size_t n_blocks, float *block_max, size_t *n_allowed)
{
    return (format == 0   ? kernels->scan_masked_f32
            : format == 1 ? kernels->scan_masked_f16
                          : kernels->scan_masked_bf16)(x, mask, n_blocks, block_max, n_allowed);
}

/* A mask with words of every kind; returns how many bits are 1. */
static size_t fill_mask(test_random *random, size_t n_words, int32_t *mask)
{
    size_t n = 0;
    for (size_t w = 0; w < n_words; w++) {
        uint32_t word = (uint32_t)test_random_bits(random);
        size_t kind = test_random_below(random, 4);
        word = kind == 0 ? 0 : kind == 1 ? UINT32_MAX : word;
        memcpy(mask + w, &word, sizeof word);
        for (; word != 0; word &= word - 1)
            n++;
    }
    return n;
}

/* As scan_case, under a mask: bad values are found whether they are banned or not. */
static bool scan_masked_case(uint64_t seed, pluck_isa isa, const void *context)
{
    size_t format = *(const size_t *)context;
    size_t value_bytes = formats[format].size_bytes;
    const plk_kernels *kernels = plk_kernels_get(isa);
    test_random random = test_random_make(~seed);
    size_t n_blocks = test_random_below(&random, MAX_BLOCKS) + 1;
    size_t shift = test_random_below(&random, 2) ? 0 : test_random_below(&random, 64);
    size_t n = n_blocks * PLK_BLOCK;
    guard_buffer input = guard_buffer_create(n * value_bytes + shift);
    guard_buffer output = guard_buffer_create(n_blocks * sizeof(float));
    guard_buffer words = guard_buffer_create(n / 32 * sizeof(int32_t));
    unsigned char *x = guard_buffer_tail(&input, n * value_bytes + shift);
    float *max = guard_buffer_tail(&output, n_blocks * sizeof *max);
    int32_t *mask = guard_buffer_tail(&words, n / 32 * sizeof *mask);
    fill(format, seed, n, x);
    size_t expected = fill_mask(&random, n / 32, mask) + 5, n_allowed = 5;
    bool passed = true;
    if (scan_masked(format, kernels, x, mask, n_blocks, max, &n_allowed))
        passed = test_case_failed("%s: good values are called bad", formats[format].name);
    if (passed && n_allowed != expected)
        passed = test_case_failed("%zu are allowed, not %zu", n_allowed - 5, expected - 5);
    passed = passed && expect_maxima(format, x, mask, n_blocks, max);
    size_t bad = test_random_below(&random, n);
    put(format, x, bad, seed % 3 ? (double)NAN : HUGE_VAL, seed);
    if (passed && !scan_masked(format, kernels, x, mask, n_blocks, max, &n_allowed))
        passed = test_case_failed("%s: a bad value at %zu of %zu is missed", formats[format].name,
                                  bad, n);
    guard_buffer_destroy(&input);
    guard_buffer_destroy(&output);
    guard_buffer_destroy(&words);
    return passed;
}

static void scan_under_a_mask_gives_maxima_of_what_is_allowed(void **state)
{
    (void)state;
    for (size_t format = 0; format < N_FORMATS; format++)
        test_cases_run(__func__, 0, N_CASES, scan_masked_case, &format);
}

/* Every length, up to the end of the memory, and every place of a bad value. */
static void scan_of_a_part_is_that_of_a_padded_block(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    guard_buffer input = guard_buffer_create(PLK_BLOCK * sizeof(float));
    for (size_t n = 1; n <= PLK_BLOCK; n++) {
        float *x = guard_buffer_tail(&input, n * sizeof *x), max, expected = -INFINITY;
        fill(0, n, n, (unsigned char *)x);
        for (size_t i = 0; i < n; i++)
            expected = x[i] > expected ? x[i] : expected;
        for (size_t k = 0; k < n_tables; k++) {
            assert_false(tables[k]->scan_part(x, n, &max));
            assert_true(max == expected && !(max == 0 && signbit(max)));
            for (size_t i = 0; i < n; i++) {
                float good = x[i];
                for (uint64_t variant = 0; variant < 5; variant++) {
                    put(0, (unsigned char *)x, i, variant < 4 ? (double)NAN : HUGE_VAL, variant);
                    assert_true(tables[k]->scan_part(x, n, &max));
                }
                x[i] = good;
            }
        }
    }
    for (size_t i = 0; i < PLK_BLOCK; i++) {
        float *x = guard_buffer_tail(&input, (i + 1) * sizeof *x), max = 1;
        for (size_t j = 0; j <= i; j++)
            x[j] = -INFINITY;
        for (size_t k = 0; k < n_tables; k++) {
            assert_false(tables[k]->scan_part(x, i + 1, &max));
            assert_true(max == -INFINITY);
        }
    }
    guard_buffer_destroy(&input);
}

/* All that is allowed is -inf, and what is banned is bad in its last lane. */
static void a_bad_value_that_is_banned_is_found(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    unsigned char x[MAX_BLOCKS * PLK_BLOCK * sizeof(float)];
    int32_t mask[MAX_BLOCKS * 2];
    float max[MAX_BLOCKS];
    memset(mask, 0xFF, sizeof mask);
    for (size_t k = 0; k < n_tables; k++) {
        for (size_t format = 0; format < N_FORMATS; format++) {
            size_t n_allowed = 0;
            for (size_t i = 0; i < MAX_BLOCKS * PLK_BLOCK; i++)
                put(format, x, i, -HUGE_VAL, 0);
            assert_false(scan_masked(format, tables[k], x, mask, MAX_BLOCKS, max, &n_allowed));
            for (size_t b = 0; b < MAX_BLOCKS; b++) {
                assert_true(max[b] == -INFINITY);
                for (uint64_t variant = 0; variant < 5; variant++) {
                    size_t last = (b + 1) * PLK_BLOCK - 1;
                    put(format, x, last, variant < 4 ? (double)NAN : HUGE_VAL, variant);
                    mask[2 * b + 1] = INT32_MAX; /* without the last one */
                    assert_true(
                        scan_masked(format, tables[k], x, mask, MAX_BLOCKS, max, &n_allowed));
                    put(format, x, last, -HUGE_VAL, 0);
                    mask[2 * b + 1] = -1;
                }
            }
        }
    }
}

static void every_position_of_nan_and_infinity_is_found(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    unsigned char x[MAX_BLOCKS * PLK_BLOCK * sizeof(float)];
    float max[MAX_BLOCKS];
    for (size_t k = 0; k < n_tables; k++) {
        for (size_t format = 0; format < N_FORMATS; format++) {
            for (size_t i = 0; i < MAX_BLOCKS * PLK_BLOCK; i++)
                put(format, x, i, -HUGE_VAL, 0);
            assert_false(formats[format].scan(tables[k], x, MAX_BLOCKS, max));
            for (size_t i = 0; i < MAX_BLOCKS * PLK_BLOCK; i++) {
                for (uint64_t variant = 0; variant < 5; variant++) {
                    put(format, x, i, variant < 4 ? (double)NAN : HUGE_VAL, variant);
                    assert_true(formats[format].scan(tables[k], x, MAX_BLOCKS, max));
                }
                put(format, x, i, -HUGE_VAL, 0);
            }
        }
    }
}

/* A signalling NaN of binary16 turns quiet, one of bfloat16 stays what it is. */
static uint32_t widened_bits(uint16_t half, int fraction_bits)
{
    double value = value_of_half(half, fraction_bits);
    if (isnan(value)) {
        uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
        uint32_t fraction = half & ((1u << fraction_bits) - 1);
        return sign | 0x7F800000u | fraction << (23 - fraction_bits) |
               (fraction_bits == 10 ? 0x400000u : 0);
    }
    float narrowed = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrowed, sizeof bits);
    return bits;
}

/* All halves from each of the first 17 places on: whole vectors, and tails of every length. */
static void every_half_widens_exactly(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    uint16_t *halves = calloc(N_HALVES, sizeof *halves);
    for (size_t i = 0; i < N_HALVES; i++)
        halves[i] = (uint16_t)i;
    for (size_t k = 0; k < n_tables; k++) {
        for (size_t skip = 0; skip <= 16; skip++) {
            size_t n = N_HALVES - skip;
            guard_buffer input = guard_buffer_create(n * sizeof *halves);
            guard_buffer output = guard_buffer_create(n * sizeof(float));
            uint16_t *x = guard_buffer_tail(&input, n * sizeof *x);
            float *out = guard_buffer_tail(&output, n * sizeof *out);
            memcpy(x, halves, n * sizeof *x);
            for (int fraction_bits = 10; fraction_bits >= 7; fraction_bits -= 3) {
                (fraction_bits == 10 ? tables[k]->widen_f16 : tables[k]->widen_bf16)(x, n, out);
                for (size_t i = 0; i < n; i++) {
                    uint32_t bits;
                    memcpy(&bits, out + i, sizeof bits);
                    assert_int_equal(bits, widened_bits(halves[i], fraction_bits));
                }
            }
            guard_buffer_destroy(&input);
            guard_buffer_destroy(&output);
        }
    }
    free(halves);
}

/* Each half alone in a block of -inf, wandering through the places. */
static void every_half_is_scanned_for_what_it_is(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    for (size_t k = 0; k < n_tables; k++) {
        for (size_t format = 1; format < N_FORMATS; format++) {
            for (uint32_t i = 0; i < N_HALVES; i++) {
                uint16_t half = (uint16_t)i;
                unsigned char x[PLK_BLOCK * sizeof half];
                float max;
                for (size_t place = 0; place < PLK_BLOCK; place++)
                    put(format, x, place, -HUGE_VAL, 0);
                memcpy(x + i % PLK_BLOCK * sizeof half, &half, sizeof half);
                double value = value_at(format, x, i % PLK_BLOCK);
                bool bad = !(value < HUGE_VAL);
                assert_int_equal(formats[format].scan(tables[k], x, 1, &max), bad);
                if (!bad)
                    assert_true((double)max == value);
            }
        }
    }
}

static void both_zeros_are_zero(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    for (size_t k = 0; k < n_tables; k++) {
        for (unsigned pattern = 0; pattern < 8; pattern++) {
            float x[PLK_BLOCK], max = 1;
            for (size_t i = 0; i < PLK_BLOCK; i++)
                x[i] = pattern >> i % 3 & 1 ? -0.0f : 0.0f;
            assert_false(tables[k]->scan_f32(x, 1, &max));
            assert_true(max == 0);
            assert_true(tables[k]->max(x, 1) == 0);
            assert_int_equal(tables[k]->count(x, 1, 0.0f), PLK_BLOCK);
            assert_int_equal(tables[k]->count(x, 1, -0.0f), PLK_BLOCK);
        }
    }
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_gives_block_maxima_and_finds_a_bad_value),
        cmocka_unit_test(scan_under_a_mask_gives_maxima_of_what_is_allowed),
        cmocka_unit_test(scan_of_a_part_is_that_of_a_padded_block),
        cmocka_unit_test(a_bad_value_that_is_banned_is_found),
        cmocka_unit_test(every_position_of_nan_and_infinity_is_found),
        cmocka_unit_test(every_half_widens_exactly),
        cmocka_unit_test(every_half_is_scanned_for_what_it_is),
        cmocka_unit_test(both_zeros_are_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
