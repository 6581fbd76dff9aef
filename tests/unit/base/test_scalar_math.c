/*
 * plk_log and plk_exp against long double: below 1 ulp over the whole range of double. Everything
 * that reports a logprob rests on them.
 *
 *   test_scalar_math [TEST]      PLUCK_SEED replays one case of a failing test
 */
#include "base/scalar_math.h"
#include "support/cases.h"
#include "support/random.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#if LDBL_MANT_DIG < 64
#    error "these tests need a long double wider than double"
#endif

enum { N_CASES = 500, N_POINTS = 2000 };

/* The distance in units of the last place of double that exact would have. */
static long double error_in_ulps(double got, long double exact)
{
    int power;
    frexpl(exact, &power);
    if (power < DBL_MIN_EXP)
        power = DBL_MIN_EXP;
    return fabsl((long double)got - exact) / ldexpl(1, power - DBL_MANT_DIG);
}

static bool log_is_accurate(double x)
{
    long double exact = logl((long double)x);
    double got = plk_log(x);
    return (exact == 0 ? got == 0 : error_in_ulps(got, exact) < 1) ||
           test_case_failed("ln %a is %a, exactly %La", x, got, exact);
}

static bool exp_is_accurate(double x)
{
    long double exact = expl((long double)x);
    double got = plk_exp(x);
    if (exact > (long double)DBL_MAX)
        return got == HUGE_VAL || test_case_failed("exp %a is %a, not infinite", x, got);
    return error_in_ulps(got, exact) < 1 ||
           test_case_failed("exp %a is %a, exactly %La", x, got, exact);
}

/* Any positive double by its bits, and doubles near 1, where the logarithm cancels. */
static bool log_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa;
    (void)context;
    test_random random = test_random_make(seed);
    for (int i = 0; i < N_POINTS; i++) {
        uint64_t bits = test_random_bits(&random) >> 1;
        double x;
        memcpy(&x, &bits, sizeof x);
        if (isfinite(x) && x > 0 && !log_is_accurate(x))
            return false;
        double distance =
            ldexp(test_random_uniform(&random) - 0.5, -(int)test_random_below(&random, 54));
        if (!log_is_accurate(1 + distance) ||
            !log_is_accurate(ldexp(1 + distance, i % 2000 - 1000)))
            return false;
    }
    return true;
}

static bool exp_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa;
    (void)context;
    test_random random = test_random_make(seed);
    for (int i = 0; i < N_POINTS; i++) {
        double centred = test_random_uniform(&random) - 0.5;
        if (!exp_is_accurate(centred * 1460) ||
            !exp_is_accurate(ldexp(centred, -(int)test_random_below(&random, 60))) ||
            !exp_is_accurate(-708 - 38 * test_random_uniform(&random)))
            return false;
        /* Where the reduction rounds to the next n. */
        double n = (double)test_random_below(&random, 2000) - 1000;
        if (!exp_is_accurate((n + 0.5 + centred * 1e-9) * 0.693147180559945309))
            return false;
    }
    return true;
}

static void logarithm_is_within_one_ulp(void **state)
{
    (void)state;
    test_cases_run_once(__func__, 0, N_CASES, log_case, NULL);
}

static void exponential_is_within_one_ulp(void **state)
{
    (void)state;
    test_cases_run_once(__func__, 0, N_CASES, exp_case, NULL);
}

static void logarithm_of_special_values(void **state)
{
    (void)state;
    assert_true(plk_log(1) == 0 && !signbit(plk_log(1)));
    assert_true(plk_log(0.0) == -HUGE_VAL);
    assert_true(plk_log(-0.0) == -HUGE_VAL);
    assert_true(plk_log(HUGE_VAL) == HUGE_VAL);
    assert_true(isnan(plk_log(-1)));
    assert_true(isnan(plk_log(-HUGE_VAL)));
    assert_true(isnan(plk_log((double)NAN)));
    assert_true(log_is_accurate(DBL_TRUE_MIN));
    assert_true(log_is_accurate(DBL_MIN));
    assert_true(log_is_accurate(nextafter(DBL_MIN, 0)));
    assert_true(log_is_accurate(DBL_MAX));
    assert_true(log_is_accurate(nextafter(1, 0)));
    assert_true(log_is_accurate(nextafter(1, 2)));
}

static void exponential_of_special_values(void **state)
{
    (void)state;
    assert_true(plk_exp(0.0) == 1 && plk_exp(-0.0) == 1);
    assert_true(plk_exp(-HUGE_VAL) == 0 && !signbit(plk_exp(-HUGE_VAL)));
    assert_true(plk_exp(HUGE_VAL) == HUGE_VAL);
    assert_true(plk_exp(DBL_MAX) == HUGE_VAL);
    assert_true(plk_exp(-DBL_MAX) == 0);
    assert_true(isnan(plk_exp((double)NAN)));
    assert_true(exp_is_accurate(DBL_TRUE_MIN));
    /* The last argument with a finite result, and the first without; the same for 0. */
    assert_true(exp_is_accurate(0x1.62e42fefa39efp9));
    assert_true(plk_exp(0x1.62e42fefa39f0p9) == HUGE_VAL);
    assert_true(exp_is_accurate(-0x1.74385446d71c3p9));
    assert_true(exp_is_accurate(-0x1.74910d52d3051p9));
    assert_true(plk_exp(-0x1.74a0000000000p9) == 0);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithm_is_within_one_ulp),
        cmocka_unit_test(exponential_is_within_one_ulp),
        cmocka_unit_test(logarithm_of_special_values),
        cmocka_unit_test(exponential_of_special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
