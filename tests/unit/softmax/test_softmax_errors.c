/*
 * Bad input to the softmax family: the status, a message that names the culprit, and outputs that
 * stay as they were.
 */
#include <pluck/softmax.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    N = 2100 /* more than two chunks */
};

/* All five on z; a NULL z or output is passed on. Each must fail with status, say text, and write
 * nothing. */
static void expect(const float *z, size_t n, float beta, pluck_status status, const char *text)
{
    float p[N], before[N];
    double lse = 7, entropy = 7;
    size_t index = 7;
    for (size_t i = 0; i < N; i++)
        p[i] = before[i] = (float)i;
    for (int function = 0; function < 5; function++) {
        pluck_error err = {.status = PLUCK_OK};
        pluck_status got = PLUCK_OK;
        switch (function) {
        case 0:
            got = pluck_softmax(z, n, beta, p, &err);
            break;
        case 1:
            got = pluck_log_softmax(z, n, beta, p, &err);
            break;
        case 2:
            got = pluck_logsumexp(z, n, beta, &lse, &err);
            break;
        case 3:
            got = pluck_entropy(z, n, beta, &entropy, &err);
            break;
        default:
            if (!isfinite(beta))
                continue;
            got = pluck_argmax(z, n, &index, &err);
        }
        assert_int_equal(got, status);
        assert_int_equal(err.status, status);
        if (!strstr(err.message, text))
            fail_msg("'%s' does not say '%s'", err.message, text);
    }
    assert_memory_equal(p, before, sizeof p);
    assert_true(lse == 7 && entropy == 7);
    assert_int_equal(index, 7);
}

static void fill(float *z)
{
    for (size_t i = 0; i < N; i++)
        z[i] = (float)(i % 17) - 8;
}

static void the_first_nan_or_infinity_is_named(void **state)
{
    (void)state;
    static const size_t places[] = {0, 1, 63, 64, 1023, 1024, 1500, N - 1};
    static const float signs[] = {1, -1, 0};
    float z[N];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (size_t s = 0; s < 3; s++) {
            char text[64];
            fill(z);
            z[N - 1] = NAN;
            z[places[i]] = NAN;
            snprintf(text, sizeof text, "z[%zu] is NaN", places[i]);
            expect(z, N, signs[s], PLUCK_ERR_NAN, text);
            z[places[i]] = INFINITY;
            snprintf(text, sizeof text, "z[%zu] is +inf", places[i]);
            expect(z, N, signs[s], PLUCK_ERR_NAN, text);
        }
    }
}

static void nothing_but_banned_entries_is_empty(void **state)
{
    (void)state;
    static const float betas[] = {1, -1, 0, 1e-30f, 1e30f};
    float z[N];
    for (size_t i = 0; i < N; i++)
        z[i] = -INFINITY;
    for (size_t b = 0; b < sizeof betas / sizeof *betas; b++) {
        expect(z, 1, betas[b], PLUCK_ERR_EMPTY, "every entry is -inf");
        expect(z, N, betas[b], PLUCK_ERR_EMPTY, "every entry is -inf");
    }
}

static void callers_mistakes_are_invalid(void **state)
{
    (void)state;
    float z[N];
    fill(z);
    expect(NULL, N, 1, PLUCK_ERR_INVALID, "must not be NULL");
    expect(z, 0, 1, PLUCK_ERR_INVALID, "n is 0");
    expect(z, N, NAN, PLUCK_ERR_INVALID, "beta is ");
    expect(z, N, INFINITY, PLUCK_ERR_INVALID, "beta is inf");
    expect(z, N, -INFINITY, PLUCK_ERR_INVALID, "beta is -inf");
    assert_int_equal(pluck_softmax(z, N, 1, NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_log_softmax(z, N, 1, NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_logsumexp(z, N, 1, NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entropy(z, N, 1, NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_argmax(z, N, NULL, NULL), PLUCK_ERR_INVALID);
}

static void in_place_failure_keeps_the_input(void **state)
{
    (void)state;
    float z[N], before[N];
    fill(z);
    z[N - 1] = NAN;
    memcpy(before, z, sizeof z);
    assert_int_equal(pluck_softmax(z, N, 1, z, NULL), PLUCK_ERR_NAN);
    assert_int_equal(pluck_log_softmax(z, N, -1, z, NULL), PLUCK_ERR_NAN);
    assert_memory_equal(z, before, sizeof z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_nan_or_infinity_is_named),
        cmocka_unit_test(nothing_but_banned_entries_is_empty),
        cmocka_unit_test(callers_mistakes_are_invalid),
        cmocka_unit_test(in_place_failure_keeps_the_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
