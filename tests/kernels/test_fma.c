/*
 * Every result is the same on every machine only if a fused multiply-add rounds once on each of
 * them, also where it is made of double arithmetic (simd/fused.h, simd/vocabulary_vector.h). Here
 * are operands that make a second rounding go wrong: with few significant bits, with results among
 * the subnormal floats, with sums that nearly cancel or come very close to the middle of two
 * floats.
 * How often plain double arithmetic is wrong on them shows that the test can fail.
 *
 * A kernel table does not offer the operation itself, but dot products are made of it. One over 64
 * values c with weights 1 and then 64 values a with weights b leaves fma(a, b, c) in 4 x 16 lanes.
 * The second 16 lanes get the operands of the first 16 with a and c negated, except in the lane
 * that is looked at, where they get 0, as all others do. So all 16 lanes of one operation have
 * hostile operands, and the result of one of them is left over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "simd/fused.h"
#include "support/cases.h"
#include "support/isa.h"
#include "support/random.h"

enum { N_KINDS = 7, N_LANES = 16, N_GROUPS = 120000 };

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

typedef struct operands {
    float a, b, c;
} operands;

/* 0: any bits; 1: few significant bits, any exponent; 2: exponents near 0; 3: products that are
 * subnormal or 0; 4: near 0 with few bits, so that sums are middles. */
static float operand(test_random *random, size_t kind)
{
    uint32_t bits = (uint32_t)test_random_bits(random);
    uint32_t near_one = (uint32_t)(120 + test_random_below(random, 16)) << 23;
    uint32_t small = (uint32_t)(30 + test_random_below(random, 70)) << 23;
    switch (kind) {
    case 1:
        return float_of(bits & (0xFFF00000u | (uint32_t)test_random_below(random, 8)));
    case 2:
        return float_of((bits & 0x807FFFFFu) | near_one);
    case 3:
        return float_of((bits & 0x807FFFFFu) | small);
    case 4:
        return float_of((bits & 0x807E0000u) | near_one);
    default:
        return float_of(bits);
    }
}

/* A sum that is 2^-196 away from the middle of two subnormal floats. One of these has the largest
 * fraction every fourth time, so that the other is the least normal float. */
static operands beside_subnormal_middle(test_random *random)
{
    uint64_t bits = test_random_bits(random);
    float size = float_of((uint32_t)(67 + bits % 30) << 23); /* 2^-60 to 2^-31 */
    float a = (1.0f + 0x1p-23f) * size, b = (1.0f - 0x1p-23f) * (0x1p-90f / size) * 0x1p-60f;
    float c = float_of(bits & 0x300000000u ? (uint32_t)bits & 0x7FFFFFu : 0x7FFFFFu);
    return (operands){bits >> 62 & 1 ? a : -a, b, bits >> 63 ? c : -c};
}

/* 5: the product nearly cancels, or is far below the last bit of c. */
static operands operands_of(test_random *random, size_t kind)
{
    if (kind == 6)
        return beside_subnormal_middle(random);
    operands of = {operand(random, kind), operand(random, kind), operand(random, kind)};
    if (kind != 5)
        return of;
    double product = (double)of.a * (double)of.b;
    size_t way = test_random_below(random, 3);
    of.c = way == 0 ? (float)-product : (float)(product * 0x1p24) * (float)way;
    return of;
}

static bool same(float a, float b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

/* What is left of dot products over the operands when only this lane is looked at. */
static float fused_in_lane(const plk_kernels *table, const operands *of, size_t lane)
{
    float x[128] = {0}, w[128] = {0};
    for (size_t i = 0; i < N_LANES; i++) {
        x[i] = of[i].c;
        x[64 + i] = of[i].a;
        w[64 + i] = of[i].b;
        w[i] = w[N_LANES + i] = 1.0f;
        if (i == lane)
            continue;
        x[N_LANES + i] = -of[i].c;
        x[64 + N_LANES + i] = -of[i].a;
        w[64 + N_LANES + i] = of[i].b;
    }
    return (float)table->dot_f32(x, w, 128);
}

static void each_table_rounds_once(void **state)
{
    (void)state;
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    test_random random = test_random_make(2008);
    size_t n_plain_wrong = 0, n_groups = (size_t)test_n_repeats(N_GROUPS);
    for (size_t g = 0; g < n_groups; g++) {
        operands of[N_LANES];
        size_t lane = test_random_below(&random, N_LANES), one_kind = g % (N_KINDS + 1);
        for (size_t i = 0; i < N_LANES; i++) {
            /* In every seventh group the other lanes are harmless, so that only one is suspect. */
            size_t kind = one_kind < N_KINDS ? one_kind : test_random_below(&random, N_KINDS);
            of[i] = operands_of(&random, kind);
            bool harmless = one_kind == N_KINDS || !isfinite(fmaf(of[i].a, of[i].b, of[i].c));
            if (i != lane && harmless)
                of[i] = (operands){1.5f, 1.5f, (float)i};
        }
        float right = fmaf(of[lane].a, of[lane].b, of[lane].c);
        float plain = (float)((double)of[lane].a * (double)of[lane].b + (double)of[lane].c);
        n_plain_wrong += !same(plain, right);
        for (size_t t = 0; t < n_tables; t++) {
            float got = fused_in_lane(tables[t], of, lane);
            /* A sum with 0 has lost the sign of -0. */
            if (!same(got, right + 0.0f))
                fail_msg("%s: fma(%a, %a, %a) is %a, not %a (group %zu)", tables[t]->name,
                         (double)of[lane].a, (double)of[lane].b, (double)of[lane].c, (double)got,
                         (double)right, g);
        }
    }
    if (n_groups == N_GROUPS)
        assert_true(n_plain_wrong > 100);
}

static void the_scalar_one_rounds_once(void **state)
{
    (void)state;
    static const float special[] = {0.0f,       -0.0f,     1.0f,     -1.0f,   0x1p-149f,
                                    -0x1p-149f, 0x1p-126f, 3.0f,     0x1p23f, -0x1p-23f,
                                    INFINITY,   -INFINITY, 0x1p127f, NAN};
    enum { N = sizeof special / sizeof *special };
    for (size_t i = 0; i < N * N * N; i++) {
        float a = special[i % N], b = special[i / N % N], c = special[i / N / N];
        assert_true(same(plk_fused(a, b, c), fmaf(a, b, c)));
    }
    test_random random = test_random_make(2009);
    size_t n = (size_t)test_n_repeats((uint64_t)N_GROUPS * N_LANES);
    for (size_t i = 0; i < n; i++) {
        operands of = operands_of(&random, i % N_KINDS);
        float got = plk_fused(of.a, of.b, of.c), right = fmaf(of.a, of.b, of.c);
        if (!same(got, right))
            fail_msg("fma(%a, %a, %a) is %a, not %a", (double)of.a, (double)of.b, (double)of.c,
                     (double)got, (double)right);
    }
}

/* The right sum lies 0.42 of the way from this float to the next one. */
static bool library_rounds_once(void)
{
    volatile float a = -0x1.d95994p+1f, b = -0x1.5678c2p-2f, c = -0x1.f89e26p-1f;
    return fmaf(a, b, c) == 0x1.013d9cp-2f;
}

int main(void)
{
    if (!library_rounds_once()) {
        printf("skipped: fmaf() of this C library, the reference, is not exact\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_table_rounds_once),
        cmocka_unit_test(the_scalar_one_rounds_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
