/*
 * What <pluck/softmax.h> promises, against brute force in long double: the accuracy, the bits on
 * every instruction set and in every floating-point environment, and what happens to bad input.
 *
 *   test_softmax [TEST]      PLUCK_SEED and PLUCK_ISA limit a run to one case, one set
 */
#include "softmax/softmax_on.h"
#include "support/cases.h"
#include "support/fp.h"
#include "support/isa.h"
#include "support/reference.h"
#include "support/vectors.h"

#include <pluck/softmax.h>

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const float betas[] = {1,      -1,      0,      0.8f,    1.5f,   -0.3f,   20,     1e-3f,
                              1e-10f, -1e-10f, 1e-30f, -1e-30f, 1e-45f, -1e-40f, 1e-37f, 1e10f,
                              -1e19f, 3e19f,   1e30f,  -1e30f,  3e38f,  -3e38f};

enum { N_BETAS = sizeof betas / sizeof *betas, N_CASES = 500, MAX_N = 2000 };

/* One input, the reference's answer and room for the library's. */
typedef struct fixture {
    const plk_kernels *kernels;
    size_t n;
    float beta;
    float *z, *p, *again;
    long double *exact;
} fixture;

static fixture fixture_create(size_t n, float beta, pluck_isa isa)
{
    fixture f = {plk_kernels_get(isa), n, beta, NULL, NULL, NULL, NULL};
    f.z = calloc(n, sizeof *f.z);
    f.p = calloc(n, sizeof *f.p);
    f.again = calloc(n, sizeof *f.again);
    f.exact = calloc(n, sizeof *f.exact);
    return f;
}

static void fixture_destroy(fixture *f)
{
    free(f->z);
    free(f->p);
    free(f->again);
    free(f->exact);
}

static fixture fixture_of_case(uint64_t seed, pluck_isa isa)
{
    test_random random = test_random_make(~seed);
    size_t limit = test_random_below(&random, 2) ? MAX_N : 100;
    size_t n = test_random_below(&random, limit) + 1;
    fixture f = fixture_create(n, betas[test_random_below(&random, N_BETAS)], isa);
    size_t kind = test_random_below(&random, TEST_VECTOR_KINDS);
    test_vector_fill((test_vector_kind)kind, seed, n, f.z);
    return f;
}

static bool probability_is_accurate(float p, long double exact, long double largest)
{
    if (exact == 0)
        return p == 0;
    if (exact < 0x1p-125L * largest * (1 + 0x1p-9L))
        return p == 0 || (exact > 0x1p-125L * largest * (1 - 0x1p-9L) && p < 0x1p-124f);
    long double bound = 4 + 2 * fabsl(logl(exact));
    return fabsl((long double)p - exact) <= bound * reference_float_ulp(exact);
}

static bool check_softmax(fixture *f)
{
    if (plk_softmax_on(f->kernels, f->z, f->n, f->beta, f->p, NULL) != PLUCK_OK)
        return test_case_failed("plk_softmax_on refuses");
    reference_softmax(f->z, f->n, (double)f->beta, f->exact);
    long double largest = 0;
    double sum = 0;
    for (size_t i = 0; i < f->n; i++)
        largest = fmaxl(largest, f->exact[i]);
    for (size_t i = 0; i < f->n; i++) {
        sum += (double)f->p[i];
        if (!probability_is_accurate(f->p[i], f->exact[i], largest))
            return test_case_failed("n %zu, beta %g: p[%zu] = %a, exactly %La", f->n,
                                    (double)f->beta, i, (double)f->p[i], f->exact[i]);
    }
    if (!(fabs(sum - 1) < 1e-6))
        return test_case_failed("n %zu, beta %g: the sum is %.9g", f->n, (double)f->beta, sum);
    const plk_kernels *scalar = plk_kernels_get(PLUCK_ISA_SCALAR);
    plk_softmax_on(scalar, f->z, f->n, f->beta, f->again, NULL);
    if (memcmp(f->p, f->again, f->n * sizeof *f->p) != 0)
        return test_case_failed("bits differ from scalar");
    memcpy(f->again, f->z, f->n * sizeof *f->z);
    plk_softmax_on(f->kernels, f->again, f->n, f->beta, f->again, NULL);
    return memcmp(f->p, f->again, f->n * sizeof *f->p) == 0 ||
           test_case_failed("bits differ in place");
}

/* ln Z is off by 3e-7 at most; then comes the rounding to float. */
static bool check_log_softmax(fixture *f)
{
    if (plk_log_softmax_on(f->kernels, f->z, f->n, f->beta, f->p, NULL) != PLUCK_OK)
        return test_case_failed("plk_log_softmax_on refuses");
    reference_log_softmax(f->z, f->n, (double)f->beta, f->exact);
    for (size_t i = 0; i < f->n; i++) {
        long double exact = fmaxl(f->exact[i], -(long double)FLT_MAX);
        bool banned = isinf(f->z[i]);
        long double bound = 3e-7L + 0.501L * reference_float_ulp(exact);
        if (banned ? f->p[i] != -INFINITY : !(fabsl((long double)f->p[i] - exact) <= bound))
            return test_case_failed("n %zu, beta %g: ln p[%zu] = %a, exactly %La", f->n,
                                    (double)f->beta, i, (double)f->p[i], f->exact[i]);
    }
    const plk_kernels *scalar = plk_kernels_get(PLUCK_ISA_SCALAR);
    plk_log_softmax_on(scalar, f->z, f->n, f->beta, f->again, NULL);
    if (memcmp(f->p, f->again, f->n * sizeof *f->p) != 0)
        return test_case_failed("bits differ from scalar");
    memcpy(f->again, f->z, f->n * sizeof *f->z);
    plk_log_softmax_on(f->kernels, f->again, f->n, f->beta, f->again, NULL);
    return memcmp(f->p, f->again, f->n * sizeof *f->p) == 0 ||
           test_case_failed("bits differ in place");
}

static bool check_logsumexp(fixture *f)
{
    double lse, scalar;
    if (plk_logsumexp_on(f->kernels, f->z, f->n, f->beta, &lse, NULL) != PLUCK_OK)
        return test_case_failed("plk_logsumexp_on refuses");
    long double exact = reference_logsumexp(f->z, f->n, (double)f->beta);
    if (!(fabsl((long double)lse - exact) < 3e-7L + 0x1p-52L * fabsl(exact)))
        return test_case_failed("n %zu, beta %g: lse = %.17g, exactly %.20Lg", f->n,
                                (double)f->beta, lse, exact);
    plk_logsumexp_on(plk_kernels_get(PLUCK_ISA_SCALAR), f->z, f->n, f->beta, &scalar, NULL);
    return memcmp(&lse, &scalar, sizeof lse) == 0 || test_case_failed("bits differ from scalar");
}

/* If every p is off by a factor 1 + e, then the entropy H by sum of p e (ln p + H); e is the
 * rounding of z - max, and 2^-22 for exponentials, products and sums. */
static bool check_entropy(fixture *f)
{
    double entropy, scalar;
    if (plk_entropy_on(f->kernels, f->z, f->n, f->beta, &entropy, NULL) != PLUCK_OK)
        return test_case_failed("plk_entropy_on refuses");
    long double exact = reference_entropy(f->z, f->n, (double)f->beta);
    reference_log_softmax(f->z, f->n, (double)f->beta, f->exact);
    long double largest = -HUGE_VALL, bound = 1e-12L;
    for (size_t i = 0; i < f->n; i++)
        largest = fmaxl(largest, f->exact[i]);
    for (size_t i = 0; i < f->n; i++) {
        long double p = expl(f->exact[i]);
        if (p > 0)
            bound += p * (0x1p-24L * (largest - f->exact[i]) + 0x1p-22L) *
                     (fabsl(f->exact[i] + exact) + 1);
    }
    if (!(fabsl((long double)entropy - exact) <= bound))
        return test_case_failed("n %zu, beta %g: entropy %.12g, exactly %.12Lg, bound %.2Lg", f->n,
                                (double)f->beta, entropy, exact, bound);
    if (!(entropy >= 0 && entropy <= log((double)f->n) * (1 + 0x1p-50)))
        return test_case_failed("entropy %.17g of %zu entries", entropy, f->n);
    plk_entropy_on(plk_kernels_get(PLUCK_ISA_SCALAR), f->z, f->n, f->beta, &scalar, NULL);
    return memcmp(&entropy, &scalar, sizeof entropy) == 0 ||
           test_case_failed("bits differ from scalar");
}

static bool check_all(fixture *f)
{
    return check_softmax(f) && check_log_softmax(f) && check_logsumexp(f) && check_entropy(f);
}

static bool any_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = fixture_of_case(seed, isa);
    bool passed = check_all(&f);
    fixture_destroy(&f);
    return passed;
}

static void results_are_within_their_bounds(void **state)
{
    (void)state;
    test_cases_run(__func__, 0, N_CASES, any_case, NULL);
}

static bool length_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = fixture_create((size_t)seed, 1, isa);
    test_vector_fill(TEST_VECTOR_NORMAL, seed, f.n, f.z);
    bool passed = check_all(&f);
    fixture_destroy(&f);
    return passed;
}

static void every_length_up_to_200_is_right(void **state)
{
    (void)state;
    test_cases_run(__func__, 1, 200, length_case, NULL);
}

static bool large_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = fixture_create(131072, seed % 2 ? 1.0f : -0.7f, isa);
    test_vector_fill((test_vector_kind)(seed % TEST_VECTOR_KINDS), seed, f.n, f.z);
    bool passed = check_all(&f);
    fixture_destroy(&f);
    return passed;
}

static void a_large_vocabulary_is_right(void **state)
{
    (void)state;
    test_cases_run(__func__, 0, 3, large_case, NULL);
}

/* For all entries but one z - max is -8 - 2^-21, a tie of rounding, where the relative error is
 * largest, and always rounds the same way: the errors add up. Without the correction of Z the
 * logarithm would be off by 4e-7 here. */
static bool conspiring_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = fixture_create(1 << 16, 1.25f + (float)seed * 0.0625f, isa);
    for (size_t i = 0; i < f.n; i++)
        f.z[i] = i == 12345 ? nextafterf(4, 8) : -4;
    bool passed = check_softmax(&f) && check_log_softmax(&f) && check_logsumexp(&f);
    fixture_destroy(&f);
    return passed;
}

static void rounding_errors_that_conspire_do_not_add_up(void **state)
{
    (void)state;
    test_cases_run(__func__, 0, 3, conspiring_case, NULL);
}

static bool mirror_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = fixture_of_case(seed, isa);
    plk_softmax_on(f.kernels, f.z, f.n, f.beta, f.p, NULL);
    for (size_t i = 0; i < f.n; i++)
        f.z[i] = isinf(f.z[i]) ? f.z[i] : -f.z[i];
    plk_softmax_on(f.kernels, f.z, f.n, -f.beta, f.again, NULL);
    bool passed = memcmp(f.p, f.again, f.n * sizeof *f.p) == 0;
    fixture_destroy(&f);
    return passed || test_case_failed("softmax(z, beta) and softmax(-z, -beta) differ");
}

static void negative_beta_mirrors_the_entries(void **state)
{
    (void)state;
    test_cases_run(__func__, 0, 500, mirror_case, NULL);
}

static bool argmax_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    fixture f = fixture_of_case(seed, isa);
    size_t expected = 0, index = SIZE_MAX;
    for (size_t i = 1; i < f.n; i++) {
        if (f.z[i] > f.z[expected])
            expected = i;
    }
    plk_argmax_on(f.kernels, f.z, f.n, &index, NULL);
    fixture_destroy(&f);
    return index == expected || test_case_failed("index %zu, not %zu", index, expected);
}

static void argmax_is_the_lowest_index_of_the_largest(void **state)
{
    (void)state;
    test_cases_run(__func__, 0, 2000, argmax_case, NULL);
}

/* Everything that the public functions give for one input, as bytes. */
enum { N_RESULT = 300 };
typedef struct results {
    float p[N_RESULT], logprob[N_RESULT];
    double lse, entropy;
    size_t index;
} results;

static void compute(const float *z, float beta, results *r)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(pluck_softmax(z, N_RESULT, beta, r->p, NULL), PLUCK_OK);
    assert_int_equal(pluck_log_softmax(z, N_RESULT, beta, r->logprob, NULL), PLUCK_OK);
    assert_int_equal(pluck_logsumexp(z, N_RESULT, beta, &r->lse, NULL), PLUCK_OK);
    assert_int_equal(pluck_entropy(z, N_RESULT, beta, &r->entropy, NULL), PLUCK_OK);
    assert_int_equal(pluck_argmax(z, N_RESULT, &r->index, NULL), PLUCK_OK);
}

static void the_callers_floating_point_settings_neither_matter_nor_change(void **state)
{
    (void)state;
    size_t default_setting = test_fp_count();
    float z[N_RESULT];
    for (size_t kind = 0; kind < TEST_VECTOR_KINDS; kind++) {
        for (size_t b = 0; b < N_BETAS; b++) {
            test_vector_fill((test_vector_kind)kind, kind + b, N_RESULT, z);
            results expected, got;
            compute(z, betas[b], &expected);
            for (size_t setting = 0; setting < test_fp_count(); setting++) {
                test_fp_set(setting);
                uint64_t before = test_fp_control();
                compute(z, betas[b], &got);
                uint64_t after = test_fp_control();
                test_fp_set(default_setting);
                assert_true(before == after);
                if (memcmp(&got, &expected, sizeof got) != 0)
                    fail_msg("%s, beta %g: bits change with \"%s\"",
                             test_vector_name((test_vector_kind)kind), (double)betas[b],
                             test_fp_name(setting));
            }
        }
    }
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_within_their_bounds),
        cmocka_unit_test(every_length_up_to_200_is_right),
        cmocka_unit_test(a_large_vocabulary_is_right),
        cmocka_unit_test(rounding_errors_that_conspire_do_not_add_up),
        cmocka_unit_test(negative_beta_mirrors_the_entries),
        cmocka_unit_test(argmax_is_the_lowest_index_of_the_largest),
        cmocka_unit_test(the_callers_floating_point_settings_neither_matter_nor_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
