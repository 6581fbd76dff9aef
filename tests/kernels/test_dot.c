/*
 * Every head is made of dot products, and its tokens are the same on every machine only if these
 * are, bit for bit. So every table is compared with the scalar one, the scalar one with a sum in
 * long double, at lengths below, at and above the 16 lanes and the block of 64, on unaligned
 * buffers that end where the memory ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "support/guard_buffer.h"
#include "support/isa.h"
#include "support/random.h"

enum { MAX_LENGTH = 1100 };

typedef double (*dot_function)(const float *x, const void *w, size_t n);

static dot_function dot_of(const plk_kernels *table, pluck_dtype dtype)
{
    return dtype == PLUCK_F32   ? table->dot_f32
           : dtype == PLUCK_F16 ? table->dot_f16
                                : table->dot_bf16;
}

static void widen(pluck_dtype dtype, const void *w, size_t n, float *out)
{
    const plk_kernels *scalar = plk_kernels_get(PLUCK_ISA_SCALAR);
    if (dtype == PLUCK_F32)
        memcpy(out, w, n * sizeof *out);
    else if (dtype == PLUCK_F16)
        scalar->widen_f16(w, n, out);
    else
        scalar->widen_bf16(w, n, out);
}

/* Values of the dtype between about -4 and 4, subnormal ones among them. */
static void fill(test_random *random, pluck_dtype dtype, size_t n, void *w)
{
    for (size_t i = 0; i < n; i++) {
        float value = (float)test_random_normal(random);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        uint16_t half =
            (uint16_t)(dtype == PLUCK_F16 ? test_random_bits(random) & 0xC3FFu : bits >> 16);
        if (dtype == PLUCK_F32)
            memcpy((unsigned char *)w + i * sizeof value, &value, sizeof value);
        else
            memcpy((unsigned char *)w + i * sizeof half, &half, sizeof half);
    }
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* One length: the scalar result against long double, and all tables against the scalar one. */
static void check(test_random *random, pluck_dtype dtype, size_t n)
{
    static float wide[MAX_LENGTH];
    uint64_t seed = random->state;
    size_t value_bytes = pluck_dtype_size_bytes(dtype);
    guard_buffer x_memory = guard_buffer_create((n + 1) * sizeof(float));
    guard_buffer w_memory = guard_buffer_create((n + 1) * value_bytes);
    float *x = guard_buffer_tail(&x_memory, n * sizeof *x);
    unsigned char *w = guard_buffer_tail(&w_memory, n * value_bytes);
    fill(random, PLUCK_F32, n, x);
    fill(random, dtype, n, w);
    widen(dtype, w, n, wide);
    long double exact = 0, magnitude = 0;
    for (size_t i = 0; i < n; i++) {
        exact += (long double)x[i] * (long double)wide[i];
        magnitude += fabsl((long double)x[i] * (long double)wide[i]);
    }
    long double steps = (long double)(n / 64 + 3);
    double expected = dot_of(plk_kernels_get(PLUCK_ISA_SCALAR), dtype)(x, w, n);
    if (fabsl((long double)expected - exact) > steps * (0x1p-24L * magnitude + 0x1p-149L))
        fail_msg("%s, n = %zu, state %#llx: %.17g, exact %.17Lg", pluck_dtype_name(dtype), n,
                 (unsigned long long)seed, expected, exact);
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    for (size_t t = 0; t < n_tables; t++) {
        double found = dot_of(tables[t], dtype)(x, w, n);
        if (!same_bits(found, expected))
            fail_msg("%s, %s, n = %zu, state %#llx: %a, scalar %a", tables[t]->name,
                     pluck_dtype_name(dtype), n, (unsigned long long)seed, found, expected);
    }
    guard_buffer_destroy(&x_memory);
    guard_buffer_destroy(&w_memory);
}

static void test_dot_is_near_the_exact_sum_and_equal_on_all_sets(void **state)
{
    (void)state;
    test_random random = test_random_make(20);
    for (int dtype = PLUCK_F32; dtype <= PLUCK_BF16; dtype++) {
        for (size_t n = 0; n <= 200; n++)
            check(&random, (pluck_dtype)dtype, n);
        for (int i = 0; i < 50; i++)
            check(&random, (pluck_dtype)dtype, 200 + test_random_below(&random, 900));
    }
}

/* Which accumulator an element goes to shows in the rounding: 2^24 swallows a 1 that is added in
 * its own lane only. */
static void test_dot_follows_the_documented_order(void **state)
{
    (void)state;
    float x[128], w[128];
    for (size_t i = 0; i < 128; i++) {
        x[i] = 1;
        w[i] = 0;
    }
    w[5] = 0x1p24f;
    w[5 + 64] = 1;
    w[6 + 64] = 1;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    for (size_t t = 0; t < n_tables; t++)
        assert_true(same_bits(tables[t]->dot_f32(x, w, 128), 0x1p24 + 1));
}

static void test_dot_of_infinities_and_nans_is_what_arithmetic_says(void **state)
{
    (void)state;
    const float x[3] = {1, 2, 3}, infinite[3] = {1, INFINITY, 1}, mixed[3] = {NAN, 1, 1};
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    for (size_t t = 0; t < n_tables; t++) {
        assert_true(tables[t]->dot_f32(x, infinite, 3) == HUGE_VAL);
        assert_true(isnan(tables[t]->dot_f32(x, mixed, 3)));
        assert_true(same_bits(tables[t]->dot_f32(x, mixed, 0), 0.0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dot_is_near_the_exact_sum_and_equal_on_all_sets),
        cmocka_unit_test(test_dot_follows_the_documented_order),
        cmocka_unit_test(test_dot_of_infinities_and_nans_is_what_arithmetic_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
