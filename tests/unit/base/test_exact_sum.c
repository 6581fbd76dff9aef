/*
 * Why: a sum that is merged from parts must not depend on who added which part. So: order and cuts
 * change no bit, and the value is the exact sum rounded once. The reference keeps a list of doubles
 * that do not overlap and whose exact sum is the sum so far (J. R. Shewchuk, "Adaptive Precision
 * Floating-Point Arithmetic and Fast Robust Geometric Predicates", 1997), as Python's math.fsum().
 */
#include "base/exact_sum.h"
#include "support/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_PARTS = 300, MAX_VALUES = 4000, STATE_BYTES = 512 };

static double reference_sum(const double *values, size_t n)
{
    double parts[MAX_PARTS];
    size_t n_parts = 0;
    for (size_t i = 0; i < n; i++) {
        double x = values[i];
        size_t kept = 0;
        for (size_t k = 0; k < n_parts; k++) {
            double y = parts[k], large = fabs(x) < fabs(y) ? y : x;
            double small = fabs(x) < fabs(y) ? x : y;
            double high = large + small, low = small - (high - large);
            if (low != 0)
                parts[kept++] = low;
            x = high;
        }
        parts[kept++] = x;
        n_parts = kept;
        assert_true(n_parts < MAX_PARTS);
    }
    double high = n_parts > 0 ? parts[--n_parts] : 0, low = 0;
    while (n_parts > 0 && low == 0) {
        double x = high, y = parts[--n_parts];
        high = x + y;
        low = y - (high - x);
    }
    /* high is rounded to even, which is wrong if what is left decides a tie. */
    if (n_parts > 0 &&
        ((low < 0 && parts[n_parts - 1] < 0) || (low > 0 && parts[n_parts - 1] > 0))) {
        double twice = 2 * low, next = high + twice;
        if (twice == next - high)
            high = next;
    }
    return high;
}

static void assert_same(double a, double b, const char *where)
{
    if (memcmp(&a, &b, sizeof a) != 0)
        fail_msg("%s: %a, expected %a", where, a, b);
}

static plk_exact_sum sum_of(const double *values, size_t n)
{
    plk_exact_sum sum = {0};
    for (size_t i = 0; i < n; i++)
        plk_exact_sum_add(&sum, values[i]);
    return sum;
}

static size_t bytes_of(const plk_exact_sum *sum, unsigned char *bytes)
{
    plk_byte_writer out = plk_byte_writer_make(bytes, STATE_BYTES);
    plk_exact_sum_put(sum, &out);
    assert_true(out.n_bytes <= STATE_BYTES);
    return out.n_bytes;
}

static void assert_equal_bytes(const plk_exact_sum *a, const plk_exact_sum *b)
{
    unsigned char bytes_a[STATE_BYTES], bytes_b[STATE_BYTES];
    size_t n = bytes_of(a, bytes_a);
    assert_int_equal(n, bytes_of(b, bytes_b));
    assert_memory_equal(bytes_a, bytes_b, n);
}

/* A double of any sign, with an exponent in a band that the case chooses. */
static double random_double(test_random *random, int low, int high)
{
    double mantissa = 1 + (double)test_random_below(random, 1u << 30) * 0x1p-30 +
                      (double)test_random_below(random, 1u << 22) * 0x1p-52;
    int exponent = low + (int)test_random_below(random, (size_t)(high - low + 1));
    double value = ldexp(mantissa, exponent);
    return test_random_below(random, 2) == 0 ? value : -value;
}

typedef struct band {
    const char *name;
    int low, high;
    bool cancels; /* every value comes again with the other sign, except for the first few */
} band;

static void values_of(const band *b, test_random *random, double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = b->cancels && i >= n / 2 + 3 ? -values[i - n / 2]
                                                 : random_double(random, b->low, b->high);
}

static void shuffle(test_random *random, double *values, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = test_random_below(random, i);
        double x = values[i - 1];
        values[i - 1] = values[j];
        values[j] = x;
    }
}

static void the_value_is_the_exact_sum_rounded_once(void **state)
{
    (void)state;
    static const band bands[] = {
        {"near 1", -2, 2, false},
        {"wide", -400, 400, false},
        {"cancelling", -60, 60, true},
        {"cancelling, wide", -1000, 900, true},
        {"subnormal", -1080, -1000, false},
        {"large", 900, 1000, false},
        {"tiny next to large", -1074, 1000, true},
    };
    static double values[MAX_VALUES];
    test_random random = test_random_make(20261130);
    for (size_t b = 0; b < sizeof bands / sizeof *bands; b++)
        for (int round = 0; round < 40; round++) {
            size_t n = 1 + test_random_below(&random, MAX_VALUES);
            values_of(&bands[b], &random, values, n);
            shuffle(&random, values, n);
            plk_exact_sum sum = sum_of(values, n);
            assert_same(plk_exact_sum_value(&sum), reference_sum(values, n), bands[b].name);
        }
}

static void known_sums(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double values[5];
        double sum;
    } cases[] = {
        {"nothing", {0}, 0},
        {"negative zeros", {-0.0, -0.0}, 0},
        {"one and a tie", {1, 0x1p-53}, 1},
        {"above a tie by the least number", {1, 0x1p-53, 0x1p-1074}, 0x1.0000000000001p0},
        {"below a tie by the least number", {1, 0x1p-53, -0x1p-1074}, 1},
        {"an odd number and a tie", {0x1.0000000000001p0, 0x1p-53}, 0x1.0000000000002p0},
        {"a negative tie", {-0x1.0000000000001p0, -0x1p-53}, -0x1.0000000000002p0},
        {"rounding up to a power of two", {0x1.fffffffffffffp0, 0x1p-53}, 2},
        {"the least number", {0x1p-1074}, 0x1p-1074},
        {"negative, the least number", {-0x1p-1074}, -0x1p-1074},
        {"the largest number", {0x1.fffffffffffffp1023}, 0x1.fffffffffffffp1023},
        {"an overflow on the way", {0x1p1023, 0x1p1023, -0x1p1023}, 0x1p1023},
        {"an overflow", {0x1p1023, 0x1p1023}, (double)INFINITY},
        {"1e100 and back", {1, 1e100, 1, -1e100}, 2},
        {"infinite", {1, (double)INFINITY}, (double)INFINITY},
        {"negative infinite", {(double)-INFINITY, 1e308}, (double)-INFINITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        plk_exact_sum sum = sum_of(cases[i].values, 5);
        assert_same(plk_exact_sum_value(&sum), cases[i].sum, cases[i].name);
    }
    plk_exact_sum both = sum_of((const double[]){(double)INFINITY, (double)-INFINITY}, 2);
    assert_true(isnan(plk_exact_sum_value(&both)));
    plk_exact_sum nan = sum_of((const double[]){1, (double)NAN}, 2);
    assert_true(isnan(plk_exact_sum_value(&nan)));
}

static void order_and_cuts_change_no_bit(void **state)
{
    (void)state;
    static double values[MAX_VALUES];
    test_random random = test_random_make(7);
    const band wide = {"wide", -300, 300, true};
    for (int round = 0; round < 60; round++) {
        size_t n = 2 + test_random_below(&random, MAX_VALUES - 2);
        values_of(&wide, &random, values, n);
        if (round % 5 == 0)
            values[n / 2] = round % 2 == 0 ? (double)INFINITY : (double)NAN;
        plk_exact_sum whole = sum_of(values, n), merged = {0};
        shuffle(&random, values, n);
        for (size_t first = 0; first < n;) {
            size_t left = n - first, part = 1 + test_random_below(&random, left);
            plk_exact_sum sum = sum_of(values + first, part);
            plk_exact_sum_merge(&merged, &sum);
            first += part;
        }
        assert_equal_bytes(&whole, &merged);
    }
}

static void products_are_exact(void **state)
{
    (void)state;
    test_random random = test_random_make(11);
    for (int round = 0; round < 2000; round++) {
        double a = random_double(&random, -100, 100), b = random_double(&random, -100, 100);
        double parts[] = {a * b, fma(a, b, -(a * b))};
        plk_exact_sum sum = {0}, expected = sum_of(parts, 2);
        plk_exact_sum_add_product(&sum, a, b);
        assert_equal_bytes(&sum, &expected);
        plk_exact_sum_add_product(&sum, -a, b);
        assert_same(plk_exact_sum_value(&sum), 0, "a b - a b");
    }
    plk_exact_sum large = {0};
    plk_exact_sum_add_product(&large, 0x1.8p1010, 0x1.4p-20);
    assert_same(plk_exact_sum_value(&large), 0x1.ep990, "a factor whose halves are not taken");
}

static void bytes_give_the_same_sum(void **state)
{
    (void)state;
    test_random random = test_random_make(3);
    static const double powers[] = {0,          1,         -1,         0x1p-1074,
                                    -0x1p-1074, 0x1p-1042, -0x1p-1042, 0x1p1023};
    for (size_t i = 0; i < 500; i++) {
        plk_exact_sum sum = {0}, read;
        if (i < sizeof powers / sizeof *powers)
            plk_exact_sum_add(&sum, powers[i]);
        for (size_t k = i < 8 ? 0 : 1 + i % 9; k > 0; k--)
            plk_exact_sum_add(&sum, random_double(&random, -1070, 1020));
        unsigned char bytes[STATE_BYTES];
        size_t n = bytes_of(&sum, bytes);
        plk_byte_reader in = {.bytes = bytes, .n_bytes = n};
        assert_true(plk_exact_sum_take(&read, &in));
        assert_true(plk_is_read_up(&in));
        assert_equal_bytes(&sum, &read);
        assert_same(plk_exact_sum_value(&read), plk_exact_sum_value(&sum), "read back");
        for (size_t cut = 0; cut < n; cut++) {
            plk_byte_reader small = {.bytes = bytes, .n_bytes = cut};
            assert_false(plk_exact_sum_take(&read, &small));
        }
    }
}

/* Whatever is accepted is what would be written. */
static void other_bytes_are_refused(void **state)
{
    (void)state;
    test_random random = test_random_make(5);
    int n_taken = 0;
    for (int round = 0; round < 20000; round++) {
        uint32_t words[12];
        unsigned char bytes[sizeof words], again[STATE_BYTES];
        plk_exact_sum sum;
        for (size_t i = 0; i < 12; i++) {
            size_t kind = test_random_below(&random, 4);
            words[i] = kind == 0   ? 0
                       : kind == 1 ? UINT32_MAX
                                   : (uint32_t)test_random_below(&random, 72);
        }
        plk_byte_writer out = plk_byte_writer_make(bytes, sizeof bytes);
        for (size_t i = 0; i < 12; i++)
            plk_put_u32(&out, words[i]);
        plk_byte_reader in = {.bytes = bytes, .n_bytes = sizeof bytes};
        if (!plk_exact_sum_take(&sum, &in))
            continue;
        n_taken++;
        size_t n = bytes_of(&sum, again);
        assert_int_equal(n, sizeof bytes - in.n_bytes);
        assert_memory_equal(again, bytes, n);
    }
    assert_true(n_taken > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_is_the_exact_sum_rounded_once),
        cmocka_unit_test(known_sums),
        cmocka_unit_test(order_and_cuts_change_no_bit),
        cmocka_unit_test(products_are_exact),
        cmocka_unit_test(bytes_give_the_same_sum),
        cmocka_unit_test(other_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
