/*
 * Kernels that give every value a new one by a formula in double: the same bits as plain C on every
 * instruction set, in place too, and up to the end of the memory.
 *
 *   test_maps [TEST]      PLUCK_SEED and PLUCK_ISA limit a run to one case, one set
 */
#include "select/view.h"
#include "simd/kernels.h"
#include "support/cases.h"
#include "support/guard_buffer.h"
#include "support/vectors.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_BLOCKS = 9, N_CASES = 600 };

typedef struct fixture {
    const plk_kernels *kernels;
    test_random random;
    guard_buffer input, output;
    size_t n_blocks, n;
    float *x, *out;
    float max;
} fixture;

static fixture open_case(uint64_t seed, pluck_isa isa)
{
    fixture f = {.kernels = plk_kernels_get(isa), .random = test_random_make(seed)};
    size_t size = MAX_BLOCKS * PLK_BLOCK * sizeof(float);
    f.input = guard_buffer_create(size);
    f.output = guard_buffer_create(size);
    f.n_blocks = 1 + test_random_below(&f.random, MAX_BLOCKS);
    f.n = f.n_blocks * PLK_BLOCK;
    f.x = guard_buffer_tail(&f.input, f.n * sizeof *f.x);
    f.out = guard_buffer_tail(&f.output, f.n * sizeof *f.out);
    test_vector_fill((test_vector_kind)test_random_below(&f.random, TEST_VECTOR_KINDS), seed, f.n,
                     f.x);
    f.max = -INFINITY;
    for (size_t i = 0; i < f.n; i++)
        f.max = fmaxf(f.max, f.x[i]);
    return f;
}

static bool close_case(fixture *f, bool passed)
{
    guard_buffer_destroy(&f->input);
    guard_buffer_destroy(&f->output);
    return passed;
}

static bool same_float(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static plk_bend random_bend(test_random *random, float max)
{
    static const double scales[] = {1, 1, 1 / 0.7, 0.25, 1e-3, 1e-30, 1e3, 1e30, 1e250};
    static const double factors[] = {0.2, 1, 0.3125, 4.9e-324, 1e-30, 30, 1e6};
    static const double curves[] = {1, 1, 1.5, 2, 3, 3.5, 100};
    double scale = scales[test_random_below(random, sizeof scales / sizeof *scales)];
    double factor = factors[test_random_below(random, sizeof factors / sizeof *factors)];
    double curve = curves[test_random_below(random, sizeof curves / sizeof *curves)];
    return (plk_bend){scale, scale * (double)max, -factor * (3.0 - curve) / 2.0,
                      factor * (curve - 1.0) / 2.0};
}

static bool bend_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    plk_bend bend = random_bend(&f.random, f.max);
    f.kernels->bend(f.x, f.n_blocks, bend, f.out);
    bool passed = true;
    for (size_t i = 0; passed && i < f.n; i++) {
        float expected = plk_bend_value(&bend, f.x[i]);
        if (!same_float(f.out[i], expected))
            passed = test_case_failed("value %zu: %a gives %a, not %a", i, (double)f.x[i],
                                      (double)f.out[i], (double)expected);
        else if ((f.x[i] > -INFINITY) != (f.out[i] >= -FLT_MAX && f.out[i] <= FLT_MAX))
            passed =
                test_case_failed("value %zu: %a gives %a", i, (double)f.x[i], (double)f.out[i]);
    }
    f.kernels->bend(f.x, f.n_blocks, bend, f.x);
    for (size_t i = 0; passed && i < f.n; i++)
        passed = same_float(f.x[i], f.out[i]) || test_case_failed("value %zu in place", i);
    return close_case(&f, passed);
}

static void bent_values_are_those_of_the_formula(void **state)
{
    (void)state;
    test_cases_run("bent_values_are_those_of_the_formula", 0, N_CASES, bend_case, NULL);
}

static int compare_floats(const void *a, const void *b)
{
    float x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* What a dense view relies on: with cube >= 0 >= square, roundings and all. Neighbours come too, at
 * which roundings show. */
static bool order_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    for (size_t i = 1; i < f.n; i += 2)
        f.x[i] = f.x[i - 1] > -FLT_MAX ? nextafterf(f.x[i - 1], -INFINITY) : f.x[i - 1];
    qsort(f.x, f.n, sizeof *f.x, compare_floats);
    plk_bend bend = random_bend(&f.random, f.x[f.n - 1]);
    if (bend.square > 0.0)
        bend.square = -bend.square;
    f.kernels->bend(f.x, f.n_blocks, bend, f.out);
    bool passed = true;
    for (size_t i = 1; passed && i < f.n; i++)
        if (f.out[i] < f.out[i - 1])
            passed = test_case_failed("%a below %a gives %a above %a", (double)f.x[i - 1],
                                      (double)f.x[i], (double)f.out[i - 1], (double)f.out[i]);
    return close_case(&f, passed);
}

static void rising_maps_keep_the_order(void **state)
{
    (void)state;
    test_cases_run("rising_maps_keep_the_order", 0, N_CASES, order_case, NULL);
}

/* What kernels.h defines. */
static float preferred(double weight, plk_preference of)
{
    double d = fabs(weight / of.total - of.aim) / 0.3;
    return (float)(5.0 - 10.0 * d * d / (1.0 + d));
}

/* Probabilities of every size, many of them where the kernel's short way ends. Aims are those where
 * it begins, those of which logits come near a power of two or 0, and any. */
static void fill_weights(fixture *f, plk_preference *of)
{
    static const double aims[] = {0,       1,   0x1p-8,  0.0039, 1e-300, 0.11105,
                                  0.21537, 0.3, 0.37707, 0.45,   0.58873};
    test_random *random = &f->random;
    *of = (plk_preference){.total = 1.0 + test_random_uniform(random) *
                                              exp2((double)test_random_below(random, 24)),
                           .aim = test_random_below(random, 2)
                                      ? aims[test_random_below(random, sizeof aims / sizeof *aims)]
                                      : test_random_uniform(random)};
    double range = test_random_below(random, 2) ? 120.0 : 30.0;
    for (size_t i = 0; i < f->n; i++) {
        double p = exp2(-range * test_random_uniform(random));
        if (test_random_below(random, 4) == 0)
            p = 0x1p-16 * (0.5 + test_random_uniform(random));
        f->x[i] = test_random_below(random, 50) ? (float)fmin(p * of->total, 1.0) : 0.0f;
    }
    /* Groups of 16 that are small as a whole, as nearly all are. */
    for (size_t i = 0; i < f->n; i += 16)
        for (size_t k = 0; k < 16 && i / 16 % 2; k++)
            f->x[i + k] *= 0x1p-14f;
}

static bool prefer_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    plk_preference of;
    fill_weights(&f, &of);
    float top = f.kernels->prefer(f.x, f.n_blocks, of, f.out), max = -INFINITY;
    bool passed = true;
    for (size_t i = 0; passed && i < f.n; i++) {
        float expected = preferred((double)f.x[i], of);
        max = fmaxf(max, expected);
        if (!same_float(f.out[i], expected))
            passed =
                test_case_failed("value %zu: %a of %a, aim %a, gives %a, not %a", i, (double)f.x[i],
                                 of.total, of.aim, (double)f.out[i], (double)expected);
    }
    if (passed && top != max)
        passed = test_case_failed("the largest is %a, not %a", (double)top, (double)max);
    f.kernels->prefer(f.x, f.n_blocks, of, f.x);
    for (size_t i = 0; passed && i < f.n; i++)
        passed = same_float(f.x[i], f.out[i]) || test_case_failed("value %zu in place", i);
    return close_case(&f, passed);
}

static void preferred_values_are_those_of_the_formula(void **state)
{
    (void)state;
    test_cases_run("preferred_values_are_those_of_the_formula", 0, 10 * N_CASES, prefer_case, NULL);
}

static bool both_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = open_case(seed, isa);
    plk_exponent exponent = plk_exponent_make(f.max, 0.5 + test_random_uniform(&f.random));
    float e[MAX_BLOCKS * PLK_BLOCK];
    double expected[MAX_BLOCKS], sums[MAX_BLOCKS];
    f.kernels->exp_values(f.x, f.n_blocks, exponent, e);
    f.kernels->exp_sums(f.x, f.n_blocks, exponent, expected);
    f.kernels->exp_both(f.x, f.n_blocks, exponent, f.out, sums);
    bool passed = memcmp(f.out, e, f.n * sizeof *e) == 0 &&
                  memcmp(sums, expected, f.n_blocks * sizeof *sums) == 0;
    if (!passed)
        test_case_failed("not what two passes give");
    return close_case(&f, passed);
}

static void one_pass_gives_what_two_give(void **state)
{
    (void)state;
    test_cases_run("one_pass_gives_what_two_give", 0, N_CASES, both_case, NULL);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bent_values_are_those_of_the_formula),
        cmocka_unit_test(rising_maps_keep_the_order),
        cmocka_unit_test(preferred_values_are_those_of_the_formula),
        cmocka_unit_test(one_pass_gives_what_two_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
