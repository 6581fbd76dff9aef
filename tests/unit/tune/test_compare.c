/*
 * The measures of two rows against sums by their definitions in long double, on random rows, and
 * against values that can be worked out by hand where definitions meet their limits: banned tokens,
 * ties, equal rows, a target that cannot be.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pluck/tune.h>

#include "file/array_file.h"
#include "support/random.h"

static pluck_logits row_of(const float *values, uint32_t n)
{
    return (pluck_logits){values, PLUCK_F32, n};
}

static long double log_sum(const float *z, size_t n)
{
    long double sum = 0, max = -(long double)INFINITY;
    for (size_t i = 0; i < n; i++)
        max = (long double)z[i] > max ? (long double)z[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += expl((long double)z[i] - max);
    return max + logl(sum);
}

/* Both rows finite. */
static void check_sums(const float *a, const float *b, size_t n, const pluck_comparison *c)
{
    long double la = log_sum(a, n), lb = log_sum(b, n);
    long double ab = 0, ba = 0, tv = 0, ha = 0, hb = 0;
    for (size_t i = 0; i < n; i++) {
        long double x = (long double)a[i] - la, y = (long double)b[i] - lb;
        long double p = expl(x), q = expl(y);
        ab += p * (x - y);
        ba += q * (y - x);
        tv += fabsl(p - q) / 2;
        ha -= p * x;
        hb -= q * y;
    }
    const double expected[] = {(double)ab, (double)ba, (double)tv, (double)ha, (double)hb};
    const double got[] = {c->kl_ab, c->kl_ba, c->total_variation, c->entropy_a, c->entropy_b};
    for (size_t i = 0; i < 5; i++)
        if (!(fabs(got[i] - expected[i]) <= 1e-12 * (1 + fabs(expected[i]))))
            fail_msg("measure %zu of %zu tokens: %.17g instead of %.17g", i, n, got[i],
                     expected[i]);
}

static int by_value(const void *x, const void *y)
{
    const float *a = *(const float *const *)x, *b = *(const float *const *)y;
    return *a > *b ? -1 : *a < *b ? 1 : a < b ? -1 : 1;
}

/* Rank among n values by sorting; ties share the mean. */
static void sorted_ranks(const double *values, size_t n, double *ranks)
{
    for (size_t i = 0; i < n; i++) {
        size_t first = 0, last = 0;
        for (size_t j = 0; j < n; j++) {
            first += values[j] > values[i];
            last += values[j] >= values[i];
        }
        ranks[i] = ((double)first + 1 + (double)last) / 2;
    }
}

static double brute_spearman(const float *a, const float *b, size_t n)
{
    const float **order = malloc(n * sizeof *order);
    double x[PLUCK_COMPARE_RANKS], y[PLUCK_COMPARE_RANKS], rx[PLUCK_COMPARE_RANKS],
        ry[PLUCK_COMPARE_RANKS];
    for (size_t i = 0; i < n; i++)
        order[i] = a + i;
    qsort(order, n, sizeof *order, by_value);
    size_t k = 0;
    for (; k < n && k < PLUCK_COMPARE_RANKS && *order[k] != -INFINITY; k++) {
        x[k] = (double)*order[k];
        y[k] = (double)b[order[k] - a];
    }
    free(order);
    sorted_ranks(x, k, rx);
    sorted_ranks(y, k, ry);
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < k; i++) {
        mx += rx[i];
        my += ry[i];
    }
    mx /= (double)k;
    my /= (double)k;
    for (size_t i = 0; i < k; i++) {
        xx += (rx[i] - mx) * (rx[i] - mx);
        yy += (ry[i] - my) * (ry[i] - my);
        xy += (rx[i] - mx) * (ry[i] - my);
    }
    return xy / sqrt(xx * yy);
}

static void measures_are_their_definitions(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 99, 100, 101, 511, 512, 513, 5000};
    for (uint64_t seed = 0; seed < 200; seed++) {
        test_random random = test_random_make(seed);
        size_t n = sizes[seed % 10];
        double scale = seed % 3 == 0 ? 0.01 : seed % 3 == 1 ? 3.0 : 40.0;
        float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
        for (size_t i = 0; i < n; i++) {
            a[i] = (float)(scale * test_random_normal(&random));
            b[i] = a[i] + (float)(seed % 2 ? 1e-4 : 1.0) * (float)test_random_normal(&random);
            /* Ties. */
            if (seed % 5 == 0)
                a[i] = rintf(a[i]);
        }
        pluck_comparison c = PLUCK_INIT(pluck_comparison);
        pluck_error err = {0};
        pluck_token target = (pluck_token)test_random_below(&random, n);
        assert_int_equal(
            pluck_compare_rows(row_of(a, (uint32_t)n), row_of(b, (uint32_t)n), target, &c, &err),
            PLUCK_OK);
        check_sums(a, b, n, &c);
        assert_true(c.kept_a == 1 && c.kept_b == 1);
        assert_true(fabs(c.nll_a - (double)(log_sum(a, n) - (long double)a[target])) < 1e-12 * 100);
        assert_true(fabs(c.nll_b - (double)(log_sum(b, n) - (long double)b[target])) < 1e-12 * 100);
        double expected = brute_spearman(a, b, n);
        if (!(fabs(c.rank_correlation - expected) < 1e-12) &&
            !(isnan(expected) && isnan(c.rank_correlation)))
            fail_msg("seed %d: rank correlation %.17g instead of %.17g", (int)seed,
                     c.rank_correlation, expected);
        free(a);
        free(b);
    }
}

static pluck_comparison compare(const float *a, const float *b, uint32_t n, pluck_token target)
{
    pluck_comparison c = PLUCK_INIT(pluck_comparison);
    pluck_error err = {0};
    pluck_status status = pluck_compare_rows(row_of(a, n), row_of(b, n), target, &c, &err);
    if (status)
        fail_msg("%s", err.message);
    return c;
}

static void banned_tokens_make_divergences_infinite(void **state)
{
    (void)state;
    const float a[] = {0, 0, -INFINITY, -INFINITY}, b[] = {0, 0, 0, -INFINITY};
    pluck_comparison c = compare(a, b, 4, 2);
    assert_true(fabs(c.kl_ab - log(1.5)) < 1e-15);
    assert_true(c.kl_ba == (double)INFINITY);
    assert_int_equal(c.n_only_a, 0);
    assert_int_equal(c.n_only_b, 1);
    assert_true(c.kept_a == 1 && fabs(c.kept_b - 2.0 / 3) < 1e-15);
    assert_true(fabs(c.total_variation - 1.0 / 3) < 1e-15);
    assert_true(c.nll_a == (double)INFINITY && fabs(c.nll_b - log(3)) < 1e-15);
    assert_true(isnan(c.rank_correlation));
    const float d[] = {0, -INFINITY, -INFINITY}, e[] = {-INFINITY, 0, -INFINITY};
    c = compare(d, e, 3, -1);
    assert_true(c.kl_ab == (double)INFINITY && c.kl_ba == (double)INFINITY);
    assert_true(c.total_variation == 1.0 && isnan(c.nll_a) && isnan(c.nll_b));
    assert_int_equal(c.top_a, 0);
    assert_int_equal(c.top_b, 1);
    assert_true(c.entropy_a == 0.0 && c.top_prob_a == 1.0);
    assert_true(c.kept_a == 0 && c.kept_b == 0);
}

static void equal_rows_and_shifted_rows_are_no_distance_apart(void **state)
{
    (void)state;
    test_random random = test_random_make(3);
    float a[700], b[700];
    for (size_t i = 0; i < 700; i++) {
        a[i] = (float)((int)test_random_below(&random, 4096) - 2048) / 64;
        b[i] = a[i] + 64;
    }
    pluck_comparison c = compare(a, a, 700, 5);
    assert_true(c.kl_ab == 0.0 && c.kl_ba == 0.0 && c.total_variation == 0.0);
    assert_true(c.nll_a == c.nll_b && c.top_a == c.top_b);
    c = compare(a, b, 700, 5);
    assert_true(c.kl_ab == 0.0 && c.total_variation == 0.0 && c.nll_a == c.nll_b);
    assert_true(fabs(c.rank_correlation - 1.0) < 1e-14);
}

/* Far below the smallest double as probabilities, yet no bans: large, but finite. */
static void what_underflows_is_not_banned(void **state)
{
    (void)state;
    const float a[] = {0, -2000}, b[] = {-2000, 0};
    pluck_comparison c = compare(a, b, 2, 1);
    assert_true(c.kl_ab == 2000.0 && c.kl_ba == 2000.0 && c.total_variation == 1.0);
    assert_true(c.nll_a == 2000.0 && c.nll_b == 0.0 && c.rank_correlation == -1.0);
}

static void types_may_differ(void **state)
{
    (void)state;
    const float a[] = {1.5f, -2.0f, 0.25f, 3.0f}, b[] = {1.0f, 2.0f, -4.0f, 0.5f};
    uint16_t half[4], brain[4];
    plk_store(a, PLUCK_F32, 4, PLUCK_F16, (uint8_t *)half);
    plk_store(b, PLUCK_F32, 4, PLUCK_BF16, (uint8_t *)brain);
    uint16_t one = 1;
    if (*(const uint8_t *)&one != 1)
        skip();
    pluck_comparison expected = compare(a, b, 4, 2);
    pluck_comparison c = PLUCK_INIT(pluck_comparison);
    assert_int_equal(pluck_compare_rows((pluck_logits){half, PLUCK_F16, 4},
                                        (pluck_logits){brain, PLUCK_BF16, 4}, 2, &c, NULL),
                     PLUCK_OK);
    assert_memory_equal(&c, &expected, sizeof c);
}

static void what_is_no_row_is_refused(void **state)
{
    (void)state;
    const float good[] = {0, 1, 2}, nan_row[] = {0, NAN, 2}, inf_row[] = {0, 1, INFINITY};
    const float none[] = {-INFINITY, -INFINITY, -INFINITY};
    pluck_comparison c = PLUCK_INIT(pluck_comparison);
    pluck_error err = {0};
    pluck_logits a = row_of(good, 3);
    assert_int_equal(pluck_compare_rows(a, row_of(nan_row, 3), -1, &c, &err), PLUCK_ERR_NAN);
    assert_non_null(strstr(err.message, "second row: the logit of token 1 is NaN"));
    assert_int_equal(pluck_compare_rows(row_of(inf_row, 3), a, -1, &c, &err), PLUCK_ERR_NAN);
    assert_non_null(strstr(err.message, "first row: the logit of token 2 is +inf"));
    assert_int_equal(pluck_compare_rows(a, row_of(none, 3), -1, &c, &err), PLUCK_ERR_EMPTY);
    assert_int_equal(pluck_compare_rows(a, row_of(good, 2), -1, &c, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_compare_rows(a, a, 3, &c, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_compare_rows(a, row_of(NULL, 3), -1, &c, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_compare_rows(a, a, -1, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_compare_rows((pluck_logits){good, (pluck_dtype)9, 3}, a, -1, &c, &err),
                     PLUCK_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measures_are_their_definitions),
        cmocka_unit_test(banned_tokens_make_divergences_infinite),
        cmocka_unit_test(equal_rows_and_shifted_rows_are_no_distance_apart),
        cmocka_unit_test(what_underflows_is_not_banned),
        cmocka_unit_test(types_may_differ),
        cmocka_unit_test(what_is_no_row_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
