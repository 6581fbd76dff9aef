/*
 * Why: two rows must combine as the formulas say, whatever their types and wherever they lie, with
 * bans that never become NaN, and to the same bits on every instruction set. The oracle computes in
 * double with libm.
 */
#include "softmax/softmax_on.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/random.h"
#include "support/samplers.h"

#include <pluck/pluck.h>

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_N = 2500 };

static const uint32_t sizes[] = {1, 2, 63, 64, 65, 1000, 1024, 1025, MAX_N};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static void log_softmax(const float *x, uint32_t n, double *out)
{
    double best = -(double)INFINITY, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        best = (double)x[i] > best ? (double)x[i] : best;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)x[i] - best);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (double)x[i] - best - log(sum);
}

static double clamp(double x)
{
    return fmin(fmax(x, -(double)FLT_MAX), (double)FLT_MAX);
}

static void check_close(double expected, float got, double scale, uint32_t i)
{
    if (isinf(expected)) {
        assert_true(got == -INFINITY);
        return;
    }
    double allowed = fabs(expected) * 0x1p-24 + (1 + fabs(scale)) * 2e-6;
    if (!(fabs((double)got - clamp(expected)) <= allowed))
        fail_msg("token %u: %.9g, not %.17g", i, (double)got, expected);
}

static void check_combine(const logit_row *c, const logit_row *u, double scale)
{
    static double p[MAX_N], q[MAX_N];
    static float out[MAX_N], again[MAX_N];
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    uint32_t n = c->logits.n_vocab;
    bool any = false;
    log_softmax(c->exact, n, p);
    log_softmax(u->exact, n, q);
    for (uint32_t i = 0; i < n; i++)
        any = any || (!isinf(p[i]) && !isinf(q[i]));
    for (size_t t = 0; t < n_tables; t++) {
        float *to = t == 0 ? out : again;
        pluck_status status =
            plk_guidance_combine_on(tables[t], c->logits, u->logits, scale, to, NULL);
        assert_int_equal(any ? PLUCK_OK : PLUCK_ERR_EMPTY, status);
        if (t > 0 && any)
            assert_memory_equal(out, again, n * sizeof *out);
    }
    for (uint32_t i = 0; i < n && any; i++) {
        bool banned = isinf(p[i]) || isinf(q[i]);
        check_close(banned ? -(double)INFINITY : scale * p[i] + (1 - scale) * q[i], out[i], scale,
                    i);
    }
}

static void check_contrast(const logit_row *e, const logit_row *a, double alpha)
{
    static double p[MAX_N], q[MAX_N];
    static float out[MAX_N];
    uint32_t n = e->logits.n_vocab;
    double best = -(double)INFINITY;
    uint32_t n_kept = 0;
    log_softmax(e->exact, n, p);
    log_softmax(a->exact, n, q);
    for (uint32_t i = 0; i < n; i++)
        best = fmax(best, p[i]);
    pluck_status status =
        plk_guidance_contrast_on(test_kernels(), e->logits, a->logits, alpha, out, NULL);
    for (uint32_t i = 0; i < n; i++) {
        double above = p[i] - (best + log(alpha));
        bool possible = !isinf(p[i]) && !isinf(q[i]);
        if (possible && fabs(above) < 1e-9)
            n_kept += status == PLUCK_OK && out[i] > -INFINITY; /* either is right */
        else if (possible && above > 0) {
            n_kept++;
            assert_int_equal(PLUCK_OK, status);
            check_close(p[i] - q[i], out[i], 1, i);
        } else if (status == PLUCK_OK)
            assert_true(out[i] == -INFINITY);
    }
    assert_int_equal(n_kept > 0 ? PLUCK_OK : PLUCK_ERR_EMPTY, status);
}

static void for_all_rows(void (*check)(const logit_row *a, const logit_row *b, double value),
                         const double *values, size_t n_values)
{
    static float x[MAX_N], y[MAX_N];
    test_random random = test_random_make(1);
    for (size_t s = 0; s < N_SIZES; s++)
        for (int kind = 0; kind < LOGITS_KINDS; kind++) {
            logit_fill((logit_kind)kind, s, sizes[s], x);
            logit_fill((logit_kind)test_random_below(&random, LOGITS_KINDS), s + 100, sizes[s], y);
            logit_row a = logit_row_make(x, sizes[s], (pluck_dtype)test_random_below(&random, 3),
                                         test_random_below(&random, 5));
            logit_row b = logit_row_make(y, sizes[s], (pluck_dtype)test_random_below(&random, 3),
                                         test_random_below(&random, 5));
            for (size_t v = 0; v < n_values; v++)
                check(&a, &b, values[v]);
            logit_row_destroy(&a);
            logit_row_destroy(&b);
        }
}

static void guidance_is_its_formula(void **state)
{
    (void)state;
    static const double scales[] = {0, 0.5, 1, 1.5, 7, -2, 1e30};
    for_all_rows(check_combine, scales, sizeof scales / sizeof *scales);
}

static void contrast_is_its_formula(void **state)
{
    (void)state;
    static const double alphas[] = {0, 1e-3, 0.1, 0.7, 1};
    for_all_rows(check_contrast, alphas, sizeof alphas / sizeof *alphas);
}

static void scale_1_samples_as_the_conditional_row(void **state)
{
    (void)state;
    static float x[500], y[500], out[500];
    for (uint64_t seed = 0; seed < 20; seed++) {
        logit_fill((logit_kind)TEST_VECTOR_NORMAL, seed, 500, x);
        logit_fill((logit_kind)TEST_VECTOR_NORMAL, seed + 50, 500, y);
        pluck_logits c = {x, PLUCK_F32, 500}, u = {y, PLUCK_F32, 500};
        pluck_logits g = {out, PLUCK_F32, 500};
        assert_int_equal(PLUCK_OK, pluck_guidance_combine(c, u, 1, out, NULL));
        pluck_sampler *sampler = test_sampler("{\"top_p\": 0.9}", 500, test_isa(), seed);
        test_distribution a = test_distribution_of(sampler, c);
        test_distribution b = test_distribution_of(sampler, g);
        assert_int_equal(a.n, b.n);
        for (uint32_t i = 0; i < a.n; i++)
            assert_true(fabs((double)a.probs[i].prob - (double)b.probs[i].prob) < 1e-6);
        test_distribution_free(&a);
        test_distribution_free(&b);
        pluck_sampler_destroy(&sampler);
    }
}

static void the_result_may_replace_a_row(void **state)
{
    (void)state;
    static float x[MAX_N], y[MAX_N], out[MAX_N];
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 1, MAX_N, x);
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 2, MAX_N, y);
    pluck_logits c = {x, PLUCK_F32, MAX_N}, u = {y, PLUCK_F32, MAX_N};
    assert_int_equal(PLUCK_OK, pluck_guidance_combine(c, u, 3, out, NULL));
    assert_int_equal(PLUCK_OK, pluck_guidance_combine(c, u, 3, y, NULL));
    assert_memory_equal(out, y, sizeof out);
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 2, MAX_N, y);
    assert_int_equal(PLUCK_OK, pluck_guidance_contrast(c, u, 0.1, out, NULL));
    assert_int_equal(PLUCK_OK, pluck_guidance_contrast(c, u, 0.1, x, NULL));
    assert_memory_equal(out, x, sizeof out);
}

static void expect(pluck_status status, const char *words, pluck_status got, const pluck_error *err)
{
    assert_int_equal(status, got);
    assert_int_equal(status, err->status);
    if (!strstr(err->message, words))
        fail_msg("no \"%s\" in \"%s\"", words, err->message);
}

static void failures_are_named_and_write_nothing(void **state)
{
    (void)state;
    pluck_error e = {.status = PLUCK_OK};
    float good[3] = {1, 2, 3}, nan[3] = {1, NAN, 3}, inf[3] = {1, 2, INFINITY};
    float none[3] = {-INFINITY, -INFINITY, -INFINITY}, out[3] = {7, 8, 9};
    float left[3] = {1, -INFINITY, -INFINITY}, right[3] = {-INFINITY, 2, 2};
    pluck_logits ok = {good, PLUCK_F32, 3}, short_row = {good, PLUCK_F32, 2};
    pluck_logits n = {nan, PLUCK_F32, 3}, i = {inf, PLUCK_F32, 3};
    pluck_logits l = {left, PLUCK_F32, 3}, r = {right, PLUCK_F32, 3};
    pluck_logits nothing = {none, PLUCK_F32, 3}, odd = {good, (pluck_dtype)9, 3};
    pluck_logits null = {NULL, PLUCK_F32, 3}, zero = {good, PLUCK_F32, 0};
    expect(PLUCK_ERR_NAN, "conditional: the logit of token 1 is NaN",
           pluck_guidance_combine(n, ok, 2, out, &e), &e);
    expect(PLUCK_ERR_NAN, "unconditional: the logit of token 2 is +inf",
           pluck_guidance_combine(ok, i, 2, out, &e), &e);
    expect(PLUCK_ERR_NAN, "amateur", pluck_guidance_contrast(ok, n, 0.1, out, &e), &e);
    expect(PLUCK_ERR_EMPTY, "unconditional", pluck_guidance_combine(ok, nothing, 2, out, &e), &e);
    expect(PLUCK_ERR_EMPTY, "both rows", pluck_guidance_combine(l, r, 2, out, &e), &e);
    expect(PLUCK_ERR_EMPTY, "both rows", pluck_guidance_contrast(l, r, 0, out, &e), &e);
    expect(PLUCK_ERR_INVALID, "conditional has 3 logits, unconditional has 2",
           pluck_guidance_combine(ok, short_row, 2, out, &e), &e);
    expect(PLUCK_ERR_INVALID, "scale", pluck_guidance_combine(ok, ok, (double)NAN, out, &e), &e);
    expect(PLUCK_ERR_INVALID, "alpha = 1.5", pluck_guidance_contrast(ok, ok, 1.5, out, &e), &e);
    expect(PLUCK_ERR_INVALID, "alpha", pluck_guidance_contrast(ok, ok, (double)NAN, out, &e), &e);
    expect(PLUCK_ERR_INVALID, "NULL", pluck_guidance_combine(ok, null, 1, out, &e), &e);
    expect(PLUCK_ERR_INVALID, "NULL", pluck_guidance_combine(ok, ok, 1, NULL, &e), &e);
    expect(PLUCK_ERR_INVALID, "dtype 9", pluck_guidance_combine(ok, odd, 1, out, &e), &e);
    expect(PLUCK_ERR_INVALID, "n_vocab = 0", pluck_guidance_combine(zero, zero, 1, out, &e), &e);
    assert_true(out[0] == 7 && out[1] == 8 && out[2] == 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guidance_is_its_formula),
        cmocka_unit_test(contrast_is_its_formula),
        cmocka_unit_test(scale_1_samples_as_the_conditional_row),
        cmocka_unit_test(the_result_may_replace_a_row),
        cmocka_unit_test(failures_are_named_and_write_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
