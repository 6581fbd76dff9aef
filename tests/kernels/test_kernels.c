/*
 * Every kernel gives what its definition in kernels.h says, and the same bits on every instruction
 * set. The definition is spelled out here in plain loops; a table is compared with the loops, and
 * with the scalar table bit for bit.
 *
 * Inputs end where the memory ends, and so do outputs, but for the slack that gather documents: an
 * access too far kills the program.
 *
 *   test_kernels [TEST]      PLUCK_SEED and PLUCK_ISA limit a run to one case, one set
 */
#include "simd/fused.h"
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
    MAX_BLOCKS = 67, /* four groups of the widest transposing reduction, and three over */
    MAX_VALUES = MAX_BLOCKS * PLK_BLOCK,
    N_CASES = 600
};

/* Memory of one case, and the case itself: all from the seed. */
typedef struct fixture {
    const plk_kernels *kernels;
    const plk_kernels *scalar;
    guard_buffer input, output, second;
    test_random random;
    size_t n_blocks;
    size_t n; /* any number up to 64 * n_blocks */
    plk_exponent exponent;
    float *x; /* 64 * n_blocks values, at an alignment of 4 */
} fixture;

static size_t size_of_case(test_random *random, size_t limit)
{
    return test_random_below(random, 2) ? test_random_below(random, limit) + 1
                                        : test_random_below(random, 6) + 1;
}

static fixture open_case(uint64_t seed, pluck_isa isa)
{
    static const double betas[] = {1, 1.25, 1 / 0.7, 0.3, 2.5, 33, 1e-3, 1e-30, 1e30, 1e38};
    fixture f = {.kernels = plk_kernels_get(isa), .scalar = plk_kernels_get(PLUCK_ISA_SCALAR)};
    f.random = test_random_make(seed);
    f.n_blocks = size_of_case(&f.random, MAX_BLOCKS);
    f.n = f.n_blocks * PLK_BLOCK - test_random_below(&f.random, PLK_BLOCK);
    size_t n_values = f.n_blocks * PLK_BLOCK;
    size_t shift = test_random_below(&f.random, 3) ? 0 : test_random_below(&f.random, 16);
    size_t size = (MAX_VALUES + 16) * sizeof(double);
    f.input = guard_buffer_create(size);
    f.output = guard_buffer_create(size);
    f.second = guard_buffer_create(size);
    f.x = guard_buffer_tail(&f.input, (n_values + shift) * sizeof *f.x);
    size_t kind = test_random_below(&f.random, TEST_VECTOR_KINDS);
    test_vector_fill((test_vector_kind)kind, seed, n_values, f.x);
    float origin = -INFINITY;
    for (size_t i = 0; i < n_values; i++)
        origin = fmaxf(origin, f.x[i]);
    f.exponent = plk_exponent_make(
        origin, betas[test_random_below(&f.random, sizeof betas / sizeof *betas)]);
    return f;
}

static bool close_case(fixture *f, bool passed)
{
    guard_buffer_destroy(&f->input);
    guard_buffer_destroy(&f->output);
    guard_buffer_destroy(&f->second);
    return passed;
}

/* One of the values: where comparisons are decided. */
static float some_threshold(fixture *f)
{
    float value = f->x[test_random_below(&f->random, f->n_blocks * PLK_BLOCK)];
    return value == -INFINITY ? -1 : value;
}

static bool same_bits(const void *a, const void *b, size_t n, size_t size, const char *what)
{
    const unsigned char *p = a, *q = b;
    for (size_t i = 0; i < n; i++) {
        if (memcmp(p + i * size, q + i * size, size) != 0)
            return test_case_failed("%s: result %zu of %zu differs", what, i, n);
    }
    return true;
}

static bool max_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    float got = f.kernels->max(f.x, f.n_blocks);
    bool passed = true;
    if (got != f.exponent.origin)
        passed = test_case_failed("max is %a, not %a", (double)got, (double)f.exponent.origin);
    float scalar = f.scalar->max(f.x, f.n_blocks);
    return close_case(&f, passed && same_bits(&got, &scalar, 1, sizeof got, "against scalar"));
}

static bool find_max_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    uint32_t place = UINT32_MAX, expected = 0;
    while (f.x[expected] != f.exponent.origin)
        expected++;
    float got = f.kernels->find_max(f.x, f.n_blocks, &place);
    bool passed = true;
    if (got != f.exponent.origin || place != expected)
        passed = test_case_failed("the largest is %a at %u, not %a at %u", (double)got, place,
                                  (double)f.exponent.origin, expected);
    return close_case(&f, passed);
}

static bool exponential_is_accurate(float x, float e, const plk_exponent *exponent)
{
    float d = x - exponent->origin;
    double rate = (double)exponent->rate_hi + (double)exponent->rate_lo;
    double exact = exp2(rate * (double)d);
    if (exact < 0x1p-126)
        return e == 0;
    if (e == 0)
        return exact < 0x1.01p-125;
    int power;
    frexp(exact, &power);
    return fabs((double)e - exact) <= ldexp(1, power - 24);
}

static bool exp_values_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    size_t n = f.n_blocks * PLK_BLOCK;
    float *e = guard_buffer_tail(&f.output, n * sizeof *e);
    float *scalar = guard_buffer_tail(&f.second, n * sizeof *scalar);
    f.kernels->exp_values(f.x, f.n_blocks, f.exponent, e);
    f.scalar->exp_values(f.x, f.n_blocks, f.exponent, scalar);
    bool passed = same_bits(e, scalar, n, sizeof *e, "against scalar");
    for (size_t i = 0; passed && i < n; i++) {
        if (!exponential_is_accurate(f.x[i], e[i], &f.exponent))
            passed = test_case_failed("value %zu: exponential of %a is %a", i, (double)f.x[i],
                                      (double)e[i]);
    }
    f.kernels->exp_values(f.x, f.n_blocks, f.exponent, f.x);
    return close_case(&f, passed && same_bits(f.x, e, n, sizeof *e, "in place"));
}

/* Lanes as kernels.h folds them. */
static double fold(double *lane)
{
    for (size_t half = 8; half > 0; half /= 2) {
        for (size_t j = 0; j < half; j++)
            lane[j] += lane[j + half];
    }
    return lane[0];
}

/* The tree of kernels.h over one block. */
static double tree_sum(const float *v)
{
    double lane[16];
    for (size_t j = 0; j < 16; j++)
        lane[j] = (double)((v[j] + v[j + 16]) + (v[j + 32] + v[j + 48]));
    return fold(lane);
}

static double dot_sum(const float *e, const float *x, float origin)
{
    double lane[16];
    for (size_t j = 0; j < 16; j++) {
        float dot = 0;
        for (size_t i = j; i < PLK_BLOCK; i += 16) {
            if (e[i] > 0)
                dot = i == j ? e[i] * (x[i] - origin) : plk_fused(e[i], x[i] - origin, dot);
        }
        lane[j] = (double)dot;
    }
    return fold(lane);
}

static bool exp_sums_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    float threshold = some_threshold(&f);
    double *sums = guard_buffer_tail(&f.output, f.n_blocks * sizeof *sums);
    double *from = guard_buffer_tail(&f.second, f.n_blocks * sizeof *from);
    f.kernels->exp_sums(f.x, f.n_blocks, f.exponent, sums);
    f.kernels->exp_sums_from(f.x, f.n_blocks, f.exponent, threshold, from);
    bool passed = true;
    for (size_t b = 0; passed && b < f.n_blocks; b++) {
        float e[PLK_BLOCK], kept[PLK_BLOCK];
        f.scalar->exp_values(f.x + b * PLK_BLOCK, 1, f.exponent, e);
        for (size_t i = 0; i < PLK_BLOCK; i++)
            kept[i] = f.x[b * PLK_BLOCK + i] >= threshold ? e[i] : 0;
        const double expected[] = {tree_sum(e), tree_sum(kept)};
        passed = same_bits(sums + b, expected, 1, sizeof *sums, "exp_sums") &&
                 same_bits(from + b, expected + 1, 1, sizeof *from, "exp_sums_from");
        if (!passed)
            test_case_failed("in block %zu of %zu", b, f.n_blocks);
    }
    return close_case(&f, passed);
}

static bool exp_dots_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    double *sums = guard_buffer_tail(&f.output, f.n_blocks * sizeof *sums);
    double *dots = guard_buffer_tail(&f.second, f.n_blocks * sizeof *dots);
    f.kernels->exp_dots(f.x, f.n_blocks, f.exponent, sums, dots);
    bool passed = true;
    for (size_t b = 0; passed && b < f.n_blocks; b++) {
        float e[PLK_BLOCK];
        f.scalar->exp_values(f.x + b * PLK_BLOCK, 1, f.exponent, e);
        const double expected[] = {tree_sum(e), dot_sum(e, f.x + b * PLK_BLOCK, f.exponent.origin)};
        passed = same_bits(sums + b, expected, 1, sizeof *sums, "sums");
        if (dots[b] != expected[1])
            passed = test_case_failed("block %zu: dot %a, not %a", b, dots[b], expected[1]);
    }
    return close_case(&f, passed);
}

/* The origin by its definition, of n values. */
static float moments_origin(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] > -INFINITY)
            return x[i];
    return 0;
}

/* Of one group of at most PLK_MOMENTS_BLOCKS blocks. */
static bool moments_are(const plk_spread *group, const float *x, size_t n_blocks)
{
    float d[PLK_BLOCK] = {0}, dd[PLK_BLOCK] = {0}, origin = moments_origin(x, n_blocks * PLK_BLOCK);
    size_t n = 0;
    for (size_t b = 0; b < n_blocks; b++) {
        for (size_t i = 0; i < PLK_BLOCK; i++) {
            float value = x[b * PLK_BLOCK + i];
            n += value > -INFINITY;
            d[i] += value > -INFINITY ? value - origin : 0;
            dd[i] = value > -INFINITY ? plk_fused(value - origin, value - origin, dd[i]) : dd[i];
        }
    }
    double sum = tree_sum(d), square = tree_sum(dd);
    return (group->n == (double)n && group->origin == (double)origin && group->square == square &&
            (group->sum == sum || (isnan(group->sum) && isnan(sum)))) ||
           test_case_failed("%g values around %a, sums %a and %a, not %zu around %a, %a and %a",
                            group->n, group->origin, group->sum, group->square, n, (double)origin,
                            sum, square);
}

static bool moments_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    size_t n_groups = (f.n_blocks + PLK_MOMENTS_BLOCKS - 1) / PLK_MOMENTS_BLOCKS;
    plk_spread *groups = calloc(n_groups, sizeof *groups);
    assert_non_null(groups);
    f.kernels->moments(f.x, f.n_blocks, groups);
    bool passed = true;
    for (size_t g = 0; g < n_groups && passed; g++) {
        size_t left = f.n_blocks - g * PLK_MOMENTS_BLOCKS;
        passed = moments_are(groups + g, f.x + g * PLK_MOMENTS_BLOCKS * PLK_BLOCK,
                             left < PLK_MOMENTS_BLOCKS ? left : PLK_MOMENTS_BLOCKS);
    }
    free(groups);
    return close_case(&f, passed);
}

/* A random mask, all or nothing in some words, as the last bytes of the memory. */
static int32_t *some_mask(fixture *f, guard_buffer *memory)
{
    *memory = guard_buffer_create(2 * f->n_blocks * sizeof(int32_t) + 3);
    size_t shift = test_random_below(&f->random, 4);
    unsigned char *bytes = guard_buffer_tail(memory, 2 * f->n_blocks * sizeof(int32_t) + shift);
    for (size_t w = 0; w < 2 * f->n_blocks; w++) {
        uint32_t word = (uint32_t)test_random_bits(&f->random);
        size_t kind = test_random_below(&f->random, 4);
        word = kind == 0 ? 0 : kind == 1 ? UINT32_MAX : word;
        memcpy(bytes + w * sizeof word, &word, sizeof word);
    }
    return (int32_t *)(void *)bytes;
}

static bool allows(const int32_t *mask, size_t i)
{
    uint32_t word;
    memcpy(&word, (const unsigned char *)mask + i / 32 * sizeof word, sizeof word);
    return word >> i % 32 & 1u;
}

static bool mask_values_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    guard_buffer memory;
    const int32_t *mask = some_mask(&f, &memory);
    size_t n = f.n_blocks * PLK_BLOCK;
    float *out = guard_buffer_tail(&f.output, n * sizeof *out);
    f.kernels->mask_values(f.x, mask, f.n_blocks, out);
    bool passed = true;
    for (size_t i = 0; passed && i < n; i++) {
        float expected = allows(mask, i) ? f.x[i] : -INFINITY;
        passed = same_bits(out + i, &expected, 1, sizeof expected, "masked value");
    }
    f.kernels->mask_values(f.x, mask, f.n_blocks, f.x);
    passed = passed && same_bits(f.x, out, n, sizeof *out, "in place");
    guard_buffer_destroy(&memory);
    return close_case(&f, passed);
}

static bool gather_masked_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    guard_buffer memory;
    const int32_t *mask = some_mask(&f, &memory);
    size_t n = 0, capacity = f.n_blocks * PLK_BLOCK + PLK_SLACK;
    uint32_t first_id = (uint32_t)test_random_below(&f.random, 1000);
    uint32_t *ids = guard_buffer_tail(&f.second, capacity * sizeof *ids);
    float *logits = guard_buffer_tail(&f.output, capacity * sizeof *logits);
    size_t got = f.kernels->gather_masked(f.x, mask, f.n_blocks, first_id, ids, logits);
    bool passed = true;
    for (size_t i = 0; passed && i < f.n_blocks * PLK_BLOCK; i++) {
        if (!allows(mask, i) || f.x[i] == -INFINITY)
            continue;
        if (n >= got || ids[n] != first_id + i)
            passed = test_case_failed("value %zu is missing", i);
        passed = passed && same_bits(logits + n, f.x + i, 1, sizeof *logits, "gathered value");
        n++;
    }
    if (passed && n != got)
        passed = test_case_failed("gathered %zu values, not %zu", got, n);
    guard_buffer_destroy(&memory);
    return close_case(&f, passed);
}

/* What the kernels without a mask give where the banned values are -inf. */
static bool masked_sums_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    guard_buffer memory;
    const int32_t *mask = some_mask(&f, &memory);
    float threshold = some_threshold(&f);
    double *sums = guard_buffer_tail(&f.output, f.n_blocks * sizeof *sums);
    double *expected = guard_buffer_tail(&f.second, f.n_blocks * sizeof *expected);
    f.kernels->exp_sums_masked(f.x, mask, f.n_blocks, f.exponent, sums);
    size_t n = f.kernels->count_masked(f.x, mask, f.n_blocks, threshold);
    for (size_t i = 0; i < f.n_blocks * PLK_BLOCK; i++)
        f.x[i] = allows(mask, i) ? f.x[i] : -INFINITY;
    f.scalar->exp_sums(f.x, f.n_blocks, f.exponent, expected);
    size_t expected_n = f.scalar->count(f.x, f.n_blocks, threshold);
    bool passed = same_bits(sums, expected, f.n_blocks, sizeof *sums, "sums");
    if (passed && n != expected_n)
        passed = test_case_failed("counted %zu, not %zu", n, expected_n);
    guard_buffer_destroy(&memory);
    return close_case(&f, passed);
}

/* Any number of values, up to the end of the memory: what exp_values and exp_sums give. */
static bool exp_block_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    size_t n = test_random_below(&f.random, PLK_BLOCK) + 1;
    float *x = f.x + f.n_blocks * PLK_BLOCK - n;
    float padded[PLK_BLOCK], expected[PLK_BLOCK];
    float *e = guard_buffer_tail(&f.output, sizeof expected);
    for (size_t i = 0; i < PLK_BLOCK; i++)
        padded[i] = i < n ? x[i] : -INFINITY;
    double expected_sum, sum = f.kernels->exp_block(x, n, f.exponent, e);
    f.scalar->exp_values(padded, 1, f.exponent, expected);
    f.scalar->exp_sums(padded, 1, f.exponent, &expected_sum);
    bool passed = same_bits(e, expected, PLK_BLOCK, sizeof *e, "exponentials") &&
                  same_bits(&sum, &expected_sum, 1, sizeof sum, "sum");
    return close_case(&f, passed);
}

static bool gather_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    float low = some_threshold(&f), high = some_threshold(&f);
    if (test_random_below(&f.random, 2) || high < low)
        high = INFINITY;
    uint32_t first_id = (uint32_t)test_random_below(&f.random, 1000);
    float *expected = calloc(MAX_VALUES, sizeof *expected);
    uint32_t *expected_ids = calloc(MAX_VALUES, sizeof *expected_ids);
    size_t n = 0;
    for (size_t i = 0; i < f.n; i++) {
        if (f.x[i] >= low && f.x[i] < high) {
            expected[n] = f.x[i];
            expected_ids[n++] = first_id + (uint32_t)i;
        }
    }
    float *logits = guard_buffer_tail(&f.output, (n + PLK_SLACK) * sizeof *logits);
    uint32_t *ids = guard_buffer_tail(&f.second, (n + PLK_SLACK) * sizeof *ids);
    /* The last value that may be read comes to lie before the guard page. */
    float *x = guard_buffer_tail(&f.input, f.n * sizeof *x);
    memmove(x, f.x, f.n * sizeof *x);
    bool passed = true;
    size_t got = f.kernels->gather(x, f.n, low, high, first_id, ids, logits);
    if (got != n)
        passed = test_case_failed("gathered %zu of %zu values, not %zu", got, f.n, n);
    passed = passed && same_bits(logits, expected, n, sizeof *logits, "logits") &&
             same_bits(ids, expected_ids, n, sizeof *ids, "ids");
    /* In place the slack must be the caller's too. */
    float *y = (float *)(void *)f.input.begin;
    memmove(y, x, f.n * sizeof *y);
    size_t again = f.kernels->gather(y, f.n, low, high, first_id, ids, y);
    passed = passed && again == n && same_bits(y, expected, n, sizeof *y, "in place");
    free(expected);
    free(expected_ids);
    return close_case(&f, passed);
}

static bool count_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    float threshold = some_threshold(&f);
    size_t expected = 0;
    for (size_t i = 0; i < f.n_blocks * PLK_BLOCK; i++)
        expected += f.x[i] >= threshold;
    size_t got = f.kernels->count(f.x, f.n_blocks, threshold);
    bool passed = got == expected || test_case_failed("counted %zu, not %zu", got, expected);
    return close_case(&f, passed);
}

/* Up to four bytes off any alignment; in two of three cases a token is out of its place. */
static bool copy_items_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    static const int32_t hostile[] = {-1, INT32_MIN, INT32_MAX, 0, 1 << 24, MAX_VALUES};
    fixture f = open_case(seed, isa);
    guard_buffer buffer = guard_buffer_create((MAX_VALUES + 1) * sizeof(plk_item));
    size_t shift = test_random_below(&f.random, 4), wrong = f.n;
    unsigned char *items = guard_buffer_tail(&buffer, f.n * sizeof(plk_item) + shift);
    if (test_random_below(&f.random, 3) > 0)
        wrong = test_random_below(&f.random, f.n);
    for (size_t i = 0; i < f.n; i++) {
        plk_item item = {(int32_t)i, f.x[i], (float)i};
        if (i == wrong)
            item.token = hostile[test_random_below(&f.random, sizeof hostile / sizeof *hostile)];
        if (i == wrong && item.token == (int32_t)i)
            item.token++;
        if (i > wrong && test_random_below(&f.random, 2))
            item.token = (int32_t)test_random_bits(&f.random);
        memcpy(items + i * sizeof item, &item, sizeof item);
    }
    float *row = guard_buffer_tail(&f.output, f.n * sizeof *row);
    size_t n = f.kernels->copy_items(items, f.n, row);
    bool passed = n == wrong || test_case_failed("copied %zu items, not %zu", n, wrong);
    passed = passed && same_bits(row, f.x, n, sizeof *row, "logits");
    guard_buffer_destroy(&buffer);
    return close_case(&f, passed);
}

#define KERNEL_TEST(name, function)                                                                \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        test_cases_run(#name, 0, N_CASES, function, NULL);                                         \
    }

KERNEL_TEST(max_is_the_largest_value, max_case)
KERNEL_TEST(find_max_gives_the_first_of_the_largest, find_max_case)
KERNEL_TEST(exponentials_are_within_one_ulp_and_equal_everywhere, exp_values_case)
KERNEL_TEST(sums_follow_the_documented_tree, exp_sums_case)
KERNEL_TEST(dots_follow_the_documented_tree, exp_dots_case)
KERNEL_TEST(moments_follow_the_documented_tree, moments_case)
KERNEL_TEST(gather_keeps_exactly_the_values_in_range, gather_case)
KERNEL_TEST(count_is_exact, count_case)
KERNEL_TEST(items_are_copied_up_to_the_first_token_out_of_place, copy_items_case)
KERNEL_TEST(what_a_mask_bans_is_minus_infinity, mask_values_case)
KERNEL_TEST(gather_masked_keeps_exactly_what_is_allowed, gather_masked_case)
KERNEL_TEST(sums_and_counts_under_a_mask_leave_out_what_it_bans, masked_sums_case)
KERNEL_TEST(one_block_is_as_many_blocks_are, exp_block_case)

/* beta (x - origin) of every size: what overflows or is -inf gives 0, never NaN. */
static void exponential_of_any_distance_is_a_number(void **state)
{
    (void)state;
    static const float distances[] = {0,          0x1p-149f, 0x1p-126f, 1e-30f,  1e-6f, 1,
                                      86.643394f, 104,       1e10f,     0x1p64f, 3e38f, INFINITY};
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    for (int power = -126; power <= 126; power++) {
        plk_exponent exponent = plk_exponent_make(0, ldexp(1, power));
        float x[PLK_BLOCK], e[PLK_BLOCK], first[PLK_BLOCK];
        for (size_t i = 0; i < PLK_BLOCK; i++)
            x[i] = -distances[i % (sizeof distances / sizeof *distances)];
        for (size_t k = 0; k < n_tables; k++) {
            tables[k]->exp_values(x, 1, exponent, e);
            if (k == 0)
                memcpy(first, e, sizeof e);
            assert_memory_equal(e, first, sizeof e);
            for (size_t i = 0; i < PLK_BLOCK; i++)
                assert_true(exponential_is_accurate(x[i], e[i], &exponent));
        }
    }
}

static void exponential_of_nan_is_zero(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    for (size_t k = 0; k < n_tables; k++) {
        float x[PLK_BLOCK], e[PLK_BLOCK];
        for (size_t i = 0; i < PLK_BLOCK; i++)
            x[i] = i % 3 ? -(float)i : NAN;
        tables[k]->exp_values(x, 1, plk_exponent_make(0, 1), e);
        for (size_t i = 0; i < PLK_BLOCK; i++)
            assert_true(i % 3 ? e[i] > 0 : e[i] == 0);
    }
}

/* What gather finds block by block. */
static bool gather_blocks_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    size_t capacity = f.n_blocks * PLK_BLOCK + PLK_SLACK;
    float low = some_threshold(&f);
    test_random random = test_random_make(seed);
    uint32_t *blocks = malloc((f.n_blocks + 1) * sizeof *blocks);
    uint32_t *ids = malloc(capacity * sizeof *ids), *expected_ids = malloc(capacity * sizeof *ids);
    float *logits = malloc(capacity * sizeof *logits);
    float *expected = malloc(capacity * sizeof *logits);
    assert_true(blocks && ids && expected_ids && logits && expected);
    size_t n_listed = 0, n = 0;
    for (uint32_t b = 0; b < f.n_blocks; b++) {
        if (test_random_below(&random, 2))
            continue;
        blocks[n_listed++] = b;
        n += f.scalar->gather(f.x + b * PLK_BLOCK, PLK_BLOCK, low, INFINITY, b * PLK_BLOCK,
                              expected_ids + n, expected + n);
    }
    size_t got = f.kernels->gather_blocks(f.x, blocks, n_listed, low, ids, logits);
    bool passed = got == n || test_case_failed("gathered %zu values, not %zu", got, n);
    passed = passed && same_bits(ids, expected_ids, n, sizeof *ids, "ids") &&
             same_bits(logits, expected, n, sizeof *logits, "logits");
    free(blocks);
    free(ids);
    free(expected_ids);
    free(logits);
    free(expected);
    return close_case(&f, passed);
}
KERNEL_TEST(gather_blocks_finds_what_gather_does, gather_blocks_case)

/* Values of a few kinds, so that there are groups with many hits, with one, and without. */
static bool find_last_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    const plk_kernels *kernels = plk_kernels_get(isa);
    test_random random = test_random_make(seed);
    size_t n = test_random_below(&random, 3) ? test_random_below(&random, 400)
                                             : test_random_below(&random, 70);
    guard_buffer memory = guard_buffer_create((n + 1) * sizeof(int32_t));
    int32_t *x = guard_buffer_tail(&memory, n * sizeof *x);
    size_t kinds = test_random_below(&random, 2) ? 5 : 500;
    for (size_t i = 0; i < n; i++)
        x[i] = (int32_t)test_random_below(&random, kinds) - 2;
    int32_t value = (int32_t)test_random_below(&random, 5) - 2;
    uint64_t expected = 0, bits = 1;
    size_t begin = n;
    while (begin > 0 && expected == 0) {
        size_t end = begin;
        begin = end > 64 ? end - 64 : 0;
        for (size_t i = begin; i < end; i++)
            expected |= (uint64_t)(x[i] == value) << (i - begin);
    }
    size_t got = kernels->find_last(x, n, value, &bits);
    bool passed = got == begin && bits == expected;
    if (!passed)
        passed = test_case_failed("group %zu has %llx, not group %zu %llx", got,
                                  (unsigned long long)bits, begin, (unsigned long long)expected);
    guard_buffer_destroy(&memory);
    return passed;
}
KERNEL_TEST(the_last_places_of_a_value_are_found, find_last_case)

/* With on_nan = "ban" the logits may hold NaN beside values that must not be lost. */
static void gather_finds_values_next_to_nan(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    for (size_t k = 0; k < n_tables; k++) {
        for (size_t place = 0; place < PLK_BLOCK; place++) {
            float x[PLK_BLOCK], logits[1 + PLK_SLACK];
            uint32_t ids[1 + PLK_SLACK];
            for (size_t i = 0; i < PLK_BLOCK; i++)
                x[i] = i == place ? 2 : NAN;
            assert_int_equal(tables[k]->gather(x, PLK_BLOCK, 1, INFINITY, 0, ids, logits), 1);
            assert_int_equal(ids[0], place);
        }
    }
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_is_the_largest_value),
        cmocka_unit_test(find_max_gives_the_first_of_the_largest),
        cmocka_unit_test(exponentials_are_within_one_ulp_and_equal_everywhere),
        cmocka_unit_test(sums_follow_the_documented_tree),
        cmocka_unit_test(dots_follow_the_documented_tree),
        cmocka_unit_test(moments_follow_the_documented_tree),
        cmocka_unit_test(gather_keeps_exactly_the_values_in_range),
        cmocka_unit_test(count_is_exact),
        cmocka_unit_test(items_are_copied_up_to_the_first_token_out_of_place),
        cmocka_unit_test(what_a_mask_bans_is_minus_infinity),
        cmocka_unit_test(gather_masked_keeps_exactly_what_is_allowed),
        cmocka_unit_test(sums_and_counts_under_a_mask_leave_out_what_it_bans),
        cmocka_unit_test(one_block_is_as_many_blocks_are),
        cmocka_unit_test(exponential_of_any_distance_is_a_number),
        cmocka_unit_test(exponential_of_nan_is_zero),
        cmocka_unit_test(gather_blocks_finds_what_gather_does),
        cmocka_unit_test(the_last_places_of_a_value_are_found),
        cmocka_unit_test(gather_finds_values_next_to_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
