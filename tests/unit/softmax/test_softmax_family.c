/*
 * Why: the relatives of softmax are judged by formulas that are written down here once more, in
 * long double and by other means than the library's: sparsemax and 1.5-entmax by sorting, the
 * others by bisection; states and means by one softmax over everything. Gradients are in
 * test_softmax_gradients.c.
 */
#include "softmax/softmax_on.h"
#include "support/cases.h"
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

enum { N_CASES = 60, MAX_N = 1500, MAX_ENTMAX = 150, MAX_DIM = 9 };

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

static const float betas[] = {1, 0.1f, -1, 0, 7, -0.3f, 1e-20f};

typedef struct input {
    size_t n;
    float beta;
    test_vector_kind kind;
    float z[MAX_N];
} input;

static void make_input(input *in, uint64_t seed)
{
    test_random random = test_random_make(~seed);
    in->n = 1 + test_random_below(&random, seed % 3 ? MAX_N : 12);
    in->beta = betas[test_random_below(&random, sizeof betas / sizeof *betas)];
    in->kind = (test_vector_kind)(seed % TEST_VECTOR_KINDS);
    test_vector_fill(in->kind, seed, in->n, in->z);
}

/* beta z, -inf for banned entries, descending. */
static size_t sorted_logits(const input *in, long double *x)
{
    size_t n = 0;
    for (size_t i = 0; i < in->n; i++)
        if (!isinf(in->z[i]))
            x[n++] = (long double)in->beta * (long double)in->z[i];
    for (size_t i = 1; i < n; i++) {
        long double value = x[i];
        size_t k = i;
        for (; k > 0 && x[k - 1] < value; k--)
            x[k] = x[k - 1];
        x[k] = value;
    }
    return n;
}

/* k* = #{k: 1 + k z_(k) > sum of the k largest}, tau = (sum of the k* largest - 1) / k*; less max,
 * as all that follows. */
static long double sparsemax_tau(const long double *x, size_t n)
{
    long double sum = 0, tau = 0;
    for (size_t k = 1; k <= n; k++) {
        sum += x[k - 1] - x[0];
        if (1 + (long double)k * (x[k - 1] - x[0]) > sum)
            tau = (sum - 1) / (long double)k;
    }
    return tau;
}

/* For x = (z - max) / 2: M_k mean, S_k = k (mean of squares - M_k^2), tau_k = M_k - sqrt((1 - S_k)
 * / k), k* = #{tau_k <= x_(k)}. */
static long double entmax15_tau(const long double *z, size_t n)
{
    long double sum = 0, squares = 0, tau = 0;
    for (size_t k = 1; k <= n; k++) {
        long double x = (z[k - 1] - z[0]) / 2, size = (long double)k;
        sum += x;
        squares += x * x;
        long double mean = sum / size, spread = size * (squares / size - mean * mean);
        long double tau_k = mean - sqrtl(fmaxl(0, (1 - spread) / size));
        if (tau_k <= x)
            tau = tau_k;
    }
    return tau;
}

static long double power_sum(const long double *z, size_t n, long double alpha, long double tau)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++) {
        long double x = (alpha - 1) * (z[i] - z[0]) - tau;
        sum += x > 0 ? powl(x, 1 / (alpha - 1)) : 0;
    }
    return sum;
}

/* In units of (alpha - 1) (z - max). */
static long double exact_tau(const long double *z, size_t n, double alpha)
{
    if (alpha == 2)
        return sparsemax_tau(z, n);
    if (alpha == 1.5)
        return entmax15_tau(z, n);
    long double low = -1, high = 0;
    for (int i = 0; i < 110; i++) {
        long double middle = (low + high) / 2;
        if (power_sum(z, n, (long double)alpha, middle) >= 1)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static bool check_entmax(const input *in, double alpha)
{
    static long double sorted[MAX_N];
    static float p[MAX_N], again[MAX_N];
    size_t n = sorted_logits(in, sorted);
    assert_ok(pluck_entmax(in->z, in->n, in->beta, alpha, p, &err));
    long double tau = exact_tau(sorted, n, alpha), q = 1 / ((long double)alpha - 1);
    double sum = 0;
    for (size_t i = 0; i < in->n; i++) {
        long double logit = (long double)in->beta * (long double)in->z[i];
        long double x = ((long double)alpha - 1) * (logit - sorted[0]) - tau;
        long double exact = isinf(in->z[i]) || !(x > 0) ? 0 : powl(x, q);
        long double bound =
            alpha <= 2 ? (0x1p-23L + 0x1p-50L * q) * exact + 0x1p-50L : powl(0x1p-40L, q) + 1e-6L;
        if (!(fabsl((long double)p[i] - exact) <= bound) || (isinf(in->z[i]) && p[i] != 0))
            return test_case_failed("%s, n %zu, beta %g, alpha %g: p[%zu] = %a, exactly %La",
                                    test_vector_name(in->kind), in->n, (double)in->beta, alpha, i,
                                    (double)p[i], exact);
        sum += (double)p[i];
    }
    if (!(fabs(sum - 1) <= 0x1p-23))
        return test_case_failed("alpha %g: the sum is %.17g", alpha, sum);
    memcpy(again, in->z, in->n * sizeof *again);
    assert_ok(pluck_entmax(again, in->n, in->beta, alpha, again, &err));
    return memcmp(again, p, in->n * sizeof *p) == 0 || test_case_failed("differs in place");
}

static bool entmax_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    static input in;
    static const double alphas[] = {2, 1.5, 1.01, 1.25, 1.9, 2.5, 4, 30};
    make_input(&in, seed);
    in.n = in.n < MAX_ENTMAX ? in.n : MAX_ENTMAX;
    test_vector_fill(in.kind, seed, in.n, in.z);
    for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++)
        if (!check_entmax(&in, alphas[i]))
            return false;
    return true;
}

static void entmax_is_what_sorting_and_bisection_give(void **state)
{
    (void)state;
    test_cases_run_once("entmax_is_what_sorting_and_bisection_give", 0, N_CASES, entmax_case, NULL);
}

static void entmax_of_1_is_softmax(void **state)
{
    (void)state;
    static input in;
    static float p[MAX_N], q[MAX_N];
    for (uint64_t seed = 0; seed < 30; seed++) {
        make_input(&in, seed);
        assert_ok(pluck_entmax(in.z, in.n, in.beta, 1, p, &err));
        assert_ok(pluck_softmax(in.z, in.n, in.beta, q, &err));
        assert_memory_equal(p, q, in.n * sizeof *p);
    }
}

static void expect_values(const float *p, const double *expected, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)p[i] - expected[i]) <= tolerance))
            fail_msg("p[%zu] = %.9g, expected %.9g", i, (double)p[i], expected[i]);
}

/* The numbers that documents quote. */
static void the_published_numbers_come_out(void **state)
{
    (void)state;
    const float z[] = {-2, 0, 0.5f}, seven[] = {1, 2, 3, 4, 1, 2, 3}, three[] = {1, 2, 8};
    const double sparse[] = {0, .25, .75}, half[] = {0, .3260, .6740};
    const double soft[] = {.0486, .3592, .5922};
    const double cold[] = {.024, .064, .175, .475, .024, .064, .175};
    const double hot[] = {.125, .138, .153, .169, .125, .138, .153};
    const double far[] = {.001, .002, .997}, powers[] = {1 / 7.0, 2 / 7.0, 4 / 7.0};
    const float steps[] = {0, 1, 2};
    float p[7];
    assert_ok(pluck_entmax(z, 3, 1, 2, p, &err));
    expect_values(p, sparse, 3, 1e-7);
    assert_ok(pluck_entmax(z, 3, 1, 1.5, p, &err));
    expect_values(p, half, 3, 5e-5);
    assert_ok(pluck_entmax(z, 3, 1, 1, p, &err));
    expect_values(p, soft, 3, 5e-5);
    assert_ok(pluck_softmax(seven, 7, 1, p, &err));
    expect_values(p, cold, 7, 5e-4);
    assert_ok(pluck_softmax(seven, 7, 0.1f, p, &err));
    expect_values(p, hot, 7, 5e-4);
    assert_ok(pluck_softmax(three, 3, 1, p, &err));
    expect_values(p, far, 3, 5e-4);
    assert_ok(pluck_softmax(steps, 3, (float)log(2), p, &err));
    expect_values(p, powers, 3, 1e-7);
}

static bool base_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    static input in;
    static float p[MAX_N];
    static long double exact[MAX_N];
    static const double bases[] = {2, 10, 0.5, 1, 1.0001};
    make_input(&in, seed);
    double base = bases[seed % 5];
    assert_ok(plk_softmax_on(plk_kernels_get(isa), in.z, in.n, (float)log(base), p, &err));
    reference_softmax(in.z, in.n, log(base), exact);
    for (size_t i = 0; i < in.n; i++) {
        /* 4 + 2 |ln p| are those of softmax. ln base is rounded by 2^-24 of it, which moves ln p by
         * 2^-24 |ln p + entropy|. */
        long double size = 4 + 3 * fabsl(logl(exact[i])) + logl((long double)in.n);
        if (exact[i] > 0x1p-100L &&
            !(fabsl((long double)p[i] - exact[i]) <= size * reference_float_ulp(exact[i])))
            return test_case_failed("base %g: p[%zu] = %a, exactly %La", base, i, (double)p[i],
                                    exact[i]);
    }
    return true;
}

static void softmax_to_another_base_is_softmax_at_its_logarithm(void **state)
{
    (void)state;
    test_cases_run("softmax_to_another_base_is_softmax_at_its_logarithm", 0, N_CASES, base_case,
                   NULL);
}

static void the_limits_are_shared_by_the_extreme_entries(void **state)
{
    (void)state;
    const float z[] = {1, 3, -INFINITY, 3, -5, 0};
    const double top[] = {0, .5, 0, .5, 0, 0}, bottom[] = {0, 0, 0, 0, 1, 0};
    float p[6];
    size_t index = 0;
    assert_ok(pluck_softmax_limit(z, 6, true, p, &err));
    expect_values(p, top, 6, 0);
    assert_ok(pluck_softmax_limit(z, 6, false, p, &err));
    expect_values(p, bottom, 6, 0);
    assert_ok(pluck_softmax(z, 6, 1e30f, p, &err));
    expect_values(p, top, 6, 0);
    assert_ok(pluck_softmax(z, 6, -1e30f, p, &err));
    expect_values(p, bottom, 6, 0);
    assert_ok(pluck_argmax(z, 6, &index, &err));
    assert_int_equal(index, 1);
    memcpy(p, z, sizeof p);
    assert_ok(pluck_softmax_limit(p, 6, true, p, &err));
    expect_values(p, top, 6, 0);
}

/* Random cuts into parts, merged in random order, against one softmax over all. */
static bool state_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    enum { MAX_PARTS = 7 };
    static input in;
    static float p[MAX_N];
    static long double exact[MAX_N];
    make_input(&in, seed);
    test_random random = test_random_make(seed);
    const plk_kernels *kernels = plk_kernels_get(isa), *scalar = plk_kernels_get(PLUCK_ISA_SCALAR);
    pluck_softmax_state parts[MAX_PARTS] = {{0, 0}}, check[MAX_PARTS] = {{0, 0}}, all = {0, 0};
    for (size_t i = 0; i < in.n;) {
        size_t n = 1 + test_random_below(&random, in.n);
        n = n < in.n - i ? n : in.n - i;
        size_t part = test_random_below(&random, MAX_PARTS);
        assert_ok(plk_softmax_state_add_on(kernels, &parts[part], in.z + i, n, in.beta, &err));
        assert_ok(plk_softmax_state_add_on(scalar, &check[part], in.z + i, n, in.beta, &err));
        i += n;
    }
    if (memcmp(parts, check, sizeof parts) != 0)
        return test_case_failed("bits differ from scalar");
    for (size_t i = 0; i < MAX_PARTS; i++) {
        pluck_softmax_state one = all, other = parts[i];
        assert_ok(pluck_softmax_state_merge(&one, &parts[i], &err));
        assert_ok(pluck_softmax_state_merge(&other, &all, &err));
        if (one.sum != other.sum || (one.sum > 0 && one.max != other.max))
            return test_case_failed("merging is not commutative");
        all = one;
    }
    double lse = 0;
    assert_ok(pluck_softmax_state_logsumexp(&all, &lse, &err));
    long double exact_lse = reference_logsumexp(in.z, in.n, (double)in.beta);
    if (!(fabsl((long double)lse - exact_lse) < 3e-7L + 0x1p-50L * fabsl(exact_lse)))
        return test_case_failed("lse %.17g, exactly %.17Lg", lse, exact_lse);
    assert_ok(plk_softmax_state_probs_on(kernels, &all, in.z, in.n, in.beta, p, &err));
    reference_softmax(in.z, in.n, (double)in.beta, exact);
    for (size_t i = 0; i < in.n; i++)
        if (!(fabsl((long double)p[i] - exact[i]) <= 5e-7L * exact[i] + 0x1p-149L))
            return test_case_failed("p[%zu] = %a, exactly %La", i, (double)p[i], exact[i]);
    return true;
}

static void parts_of_a_softmax_merge_to_the_whole(void **state)
{
    (void)state;
    test_cases_run("parts_of_a_softmax_merge_to_the_whole", 0, N_CASES, state_case, NULL);
}

/* In two calls and one merge, against the mean over all. */
static bool mean_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    static input in;
    static float v[MAX_N * MAX_DIM];
    static long double exact[MAX_N];
    make_input(&in, seed);
    test_random random = test_random_make(seed);
    const plk_kernels *kernels = plk_kernels_get(isa);
    size_t dim = 1 + test_random_below(&random, MAX_DIM);
    for (size_t i = 0; i < in.n * dim; i++) /* the rows of banned entries must not be read */
        v[i] = isinf(in.z[i / dim]) ? NAN : (float)test_random_normal(&random);
    pluck_softmax_state a = {0, 0}, b = {0, 0};
    double mean[MAX_DIM] = {(double)NAN}, other[MAX_DIM] = {(double)NAN};
    size_t first = test_random_below(&random, in.n + 1), second = (in.n - first) / 2;
    size_t third = in.n - first - second;
    assert_ok(plk_softmax_state_add_mean_on(kernels, &a, mean, in.z, first, in.beta, v, dim, &err));
    assert_ok(plk_softmax_state_add_mean_on(kernels, &a, mean, in.z + first, second, in.beta,
                                            v + first * dim, dim, &err));
    assert_ok(plk_softmax_state_add_mean_on(kernels, &b, other, in.z + first + second, third,
                                            in.beta, v + (first + second) * dim, dim, &err));
    assert_ok(pluck_softmax_state_merge_mean(&a, mean, &b, other, dim, &err));
    reference_softmax(in.z, in.n, (double)in.beta, exact);
    for (size_t j = 0; j < dim; j++) {
        long double sum = 0, size = 0;
        for (size_t i = 0; i < in.n; i++) {
            sum += exact[i] > 0 ? exact[i] * (long double)v[i * dim + j] : 0;
            size += exact[i] > 0 ? exact[i] * fabsl((long double)v[i * dim + j]) : 0;
        }
        if (!(fabsl((long double)mean[j] - sum) <= 0x1p-44L * size))
            return test_case_failed("%s, beta %g: mean[%zu] = %.17g, exactly %.17Lg",
                                    test_vector_name(in.kind), (double)in.beta, j, mean[j], sum);
    }
    return true;
}

static void the_mean_is_that_of_one_softmax_over_all(void **state)
{
    (void)state;
    test_cases_run("the_mean_is_that_of_one_softmax_over_all", 0, N_CASES, mean_case, NULL);
}

static void nothing_added_changes_nothing(void **state)
{
    (void)state;
    const float banned[] = {-INFINITY, -INFINITY}, z[] = {1, 2}, v[] = {3, 4};
    pluck_softmax_state s = {0, 0};
    double mean = 5, lse = 5;
    float p[2] = {5, 5};
    assert_ok(pluck_softmax_state_add(&s, banned, 2, 1, &err));
    assert_ok(pluck_softmax_state_add(&s, NULL, 0, 1, &err));
    assert_true(s.sum == 0);
    assert_int_equal(pluck_softmax_state_logsumexp(&s, &lse, &err), PLUCK_ERR_EMPTY);
    assert_int_equal(pluck_softmax_state_probs(&s, z, 2, 1, p, &err), PLUCK_ERR_INVALID);
    assert_ok(pluck_softmax_state_probs(&s, banned, 2, 1, p, &err));
    assert_true(p[0] == 0 && p[1] == 0);
    assert_ok(pluck_softmax_state_add_mean(&s, &mean, z, 2, 0, v, 1, &err));
    assert_true(mean == 3.5);
    assert_ok(pluck_softmax_state_add_mean(&s, &mean, banned, 2, 0, v, 1, &err));
    assert_true(mean == 3.5 && s.sum == 2);
}

static void bad_input_is_refused_and_writes_nothing(void **state)
{
    (void)state;
    const float z[] = {1, NAN, 2}, fine[] = {1, 2, 3}, banned[] = {-INFINITY};
    float p[3] = {7, 7, 7};
    double value = 7;
    size_t index = 7;
    pluck_softmax_state s = {1, 2}, bad = {1, 0.5}, infinite = {(double)INFINITY, 2};
    assert_int_equal(pluck_entmax(z, 3, 1, 1.5, p, &err), PLUCK_ERR_NAN);
    assert_non_null(strstr(err.message, "pluck_entmax: z[1] is NaN"));
    assert_int_equal(pluck_entmax(banned, 1, 1, 2, p, &err), PLUCK_ERR_EMPTY);
    assert_int_equal(pluck_entmax(fine, 0, 1, 2, p, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entmax(fine, 3, 1, 0.99, p, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entmax(fine, 3, 1, (double)NAN, p, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entmax(fine, 3, INFINITY, 2, p, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_softmax_limit(z, 3, true, p, &err), PLUCK_ERR_NAN);
    assert_int_equal(pluck_softmax_limit(z, 3, false, p, &err), PLUCK_ERR_NAN);
    assert_int_equal(pluck_softmax_state_add(&s, z, 3, 1, &err), PLUCK_ERR_NAN);
    assert_int_equal(pluck_softmax_state_add(&s, fine, 3, NAN, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_softmax_state_add(NULL, fine, 3, 1, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_softmax_state_merge(&s, &bad, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_softmax_state_merge(&s, &infinite, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_softmax_state_probs(&s, fine, 3, 1, p, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_softmax_state_add_mean(&s, &value, z, 3, 1, fine, 1, &err),
                     PLUCK_ERR_NAN);
    assert_int_equal(pluck_softmax_state_add_mean(&s, NULL, fine, 3, 1, fine, 1, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(pluck_softmax_state_merge_mean(&s, &value, &bad, &value, 1, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entropy_of_probs(z, 3, &value, &err), PLUCK_ERR_NAN);
    assert_int_equal(pluck_entropy_of_probs((const float[]){-1}, 1, &value, &err),
                     PLUCK_ERR_INVALID);
    assert_true(p[0] == 7 && p[1] == 7 && p[2] == 7 && value == 7 && index == 7);
    assert_true(s.max == 1 && s.sum == 2);
}

static void the_entropy_of_probabilities_is_that_of_their_logits(void **state)
{
    (void)state;
    static input in;
    static float p[MAX_N];
    for (uint64_t seed = 0; seed < 40; seed++) {
        double of_p, of_z;
        make_input(&in, seed);
        assert_ok(pluck_softmax(in.z, in.n, in.beta, p, &err));
        assert_ok(pluck_entropy_of_probs(p, in.n, &of_p, &err));
        assert_ok(pluck_entropy(in.z, in.n, in.beta, &of_z, &err));
        assert_true(fabs(of_p - of_z) <= 1e-5 * (1 + of_z));
    }
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entmax_is_what_sorting_and_bisection_give),
        cmocka_unit_test(entmax_of_1_is_softmax),
        cmocka_unit_test(the_published_numbers_come_out),
        cmocka_unit_test(softmax_to_another_base_is_softmax_at_its_logarithm),
        cmocka_unit_test(the_limits_are_shared_by_the_extreme_entries),
        cmocka_unit_test(parts_of_a_softmax_merge_to_the_whole),
        cmocka_unit_test(the_mean_is_that_of_one_softmax_over_all),
        cmocka_unit_test(nothing_added_changes_nothing),
        cmocka_unit_test(bad_input_is_refused_and_writes_nothing),
        cmocka_unit_test(the_entropy_of_probabilities_is_that_of_their_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
