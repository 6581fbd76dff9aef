/*
 * Why: tail_free sorts a head of the vocabulary and claims that the tokens it keeps are those of
 * the whole sort, to the last bit. Here everything is sorted, exponentials are those of the library
 * (plk_exp), sums are added in the same order: no margin is left, and every case has one answer.
 * z comes near 1 and onto partial sums, where a head decides last or never. A staircase of pairs of
 * equal logits below some large ones has a tail whose differences reach the bound.
 */
#include "base/scalar_math.h"
#include "support/cases.h"
#include "support/logit_cases.h"
#include "support/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct candidate {
    float logit;
    uint32_t token;
} candidate;

static int compare(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

/* All tokens above -inf that the mask (or NULL) allows, best first. */
static candidate *sorted_of(const float *x, uint32_t n_vocab, const int32_t *mask, uint32_t *n)
{
    candidate *sorted = malloc(n_vocab * sizeof *sorted);
    assert_non_null(sorted);
    *n = 0;
    for (uint32_t i = 0; i < n_vocab; i++)
        if (x[i] > -INFINITY && (!mask || ((uint32_t)mask[i / 32] >> i % 32 & 1)))
            sorted[(*n)++] = (candidate){x[i], i};
    qsort(sorted, *n, sizeof *sorted, compare);
    return sorted;
}

/* The partial sums of the n - 2 differences, by the definition. */
static double *sums_of(const candidate *sorted, uint32_t n, double scale)
{
    double *sums = calloc(n, sizeof *sums), *p = malloc(n * sizeof *p), sum = 0.0;
    assert_true(sums && p);
    for (uint32_t i = 0; i < n; i++)
        p[i] = plk_exp(scale * ((double)sorted[i].logit - (double)sorted[0].logit));
    for (uint32_t i = 0; i + 2 < n; i++)
        sums[i] = sum += fabs((p[i + 2] - p[i + 1]) - (p[i + 1] - p[i]));
    free(p);
    return sums;
}

static uint32_t kept_of(const double *sums, uint32_t n, double z)
{
    uint32_t kept = 1;
    while (kept + 1 < n && sums[kept - 1] <= z * sums[n - 3])
        kept++;
    return kept;
}

/* Usual values, values near 1, and one that puts z times the sum at a partial sum or next to it. */
static double random_z(test_random *random, const double *sums, uint32_t n)
{
    static const double values[] = {0,    0.3,   0.5,    0.9,         0.95,        0.98,
                                    0.99, 0.999, 0.9999, 1 - 0x1p-20, 1 - 0x1p-40, 1 - 0x1p-53};
    enum { N_VALUES = sizeof values / sizeof *values };
    double usual = values[test_random_below(random, N_VALUES)];
    if (n < 3 || !(sums[n - 3] > 0.0) || test_random_below(random, 3))
        return usual;
    double z = sums[test_random_below(random, n < 50 ? n - 2 : 48)] / sums[n - 3];
    size_t side = test_random_below(random, 3);
    z = side == 0 ? nextafter(z, 0.0) : side == 1 ? nextafter(z, 1.0) : z;
    return z < 1.0 ? z : usual;
}

/* Whether the tokens that are left are the n best, less those whose exponential is 0. */
static bool keeps(pluck_sampler *sampler, pluck_logits logits, const candidate *sorted, uint32_t n,
                  double scale)
{
    float *probs = malloc(logits.n_vocab * sizeof *probs);
    assert_non_null(probs);
    pluck_outputs out = PLUCK_INIT(pluck_outputs);
    out.probs = probs;
    pluck_error err = {.message = ""};
    bool same = pluck_sampler_run(sampler, logits, &out, &err) == PLUCK_OK;
    if (!same)
        test_case_failed("%s", err.message);
    for (uint32_t i = 0; same && i < n; i++) {
        double below = scale * ((double)sorted[i].logit - (double)sorted[0].logit);
        if (probs[sorted[i].token] > 0.0f)
            probs[sorted[i].token] = 0.0f;
        else if (plk_exp(below) > 0.0)
            same = test_case_failed("token %u, rank %u of %u, was cut", sorted[i].token, i, n);
    }
    for (uint32_t t = 0; same && t < logits.n_vocab; t++)
        if (probs[t] > 0.0f)
            same = test_case_failed("token %u was kept beyond the %u best", t, n);
    free(probs);
    return same;
}

enum { ANY = -1, STAIRCASE = -2 };

typedef struct shape {
    uint32_t max_vocab;
    int kind; /* ANY, STAIRCASE or a logit_kind */
} shape;

static void fill_staircase(test_random *random, uint32_t n, float *x)
{
    double step = 20.0 / n, top = -1.0 - 8.0 * test_random_uniform(random);
    for (uint32_t i = 0; i < n; i++)
        x[i] = (float)(i < 20 ? -3.0 * test_random_uniform(random) : top - step * (i / 2));
}

static float *random_logits(const shape *s, uint64_t seed, uint32_t n, test_random *random)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    if (s->kind == STAIRCASE)
        fill_staircase(random, n, x);
    else if (s->kind == ANY)
        logit_fill((logit_kind)test_random_below(random, LOGITS_KINDS), seed, n, x);
    else
        logit_fill((logit_kind)s->kind, seed, n, x);
    return x;
}

/* Half the tokens at random, or NULL. */
static int32_t *random_mask(uint32_t n_vocab, test_random *random)
{
    size_t n_words = (n_vocab + 31) / 32;
    int32_t *mask = test_random_below(random, 3) ? NULL : malloc(n_words * sizeof *mask);
    for (size_t i = 0; mask && i < n_words; i++)
        mask[i] = (int32_t)(uint32_t)test_random_bits(random);
    return mask;
}

static bool cut_case(uint64_t seed, pluck_isa isa, const void *context)
{
    static const double temperatures[] = {1, 1, 1, 0.5, 4, 1e-3, 1e-30, 1e30, 1e38};
    const shape *s = context;
    test_random random = test_random_make(seed);
    uint32_t n_vocab = 1 + (uint32_t)test_random_below(&random, s->max_vocab);
    float *x = random_logits(s, seed, n_vocab, &random);
    logit_row row =
        logit_row_make(x, n_vocab, (pluck_dtype)test_random_below(&random, 3), seed % 65);
    free(x);
    int32_t *mask = random_mask(n_vocab, &random);
    uint32_t n;
    candidate *sorted = sorted_of(row.exact, n_vocab, mask, &n);
    if (n == 0) { /* the mask allows none */
        free(mask);
        free(sorted);
        mask = NULL;
        sorted = sorted_of(row.exact, n_vocab, NULL, &n);
    }
    double t = temperatures[test_random_below(&random, sizeof temperatures / sizeof(double))];
    double *sums = sums_of(sorted, n, 1.0 / t);
    double z = random_z(&random, sums, n);
    char json[256];
    snprintf(json, sizeof json,
             "{\"stages\": [{\"type\": \"temperature\", \"t\": %.17g}, {\"type\": \"tail_free\", "
             "\"z\": %.17g}]}",
             t, z);
    pluck_sampler *sampler = test_sampler(json, n_vocab, isa, 0);
    if (mask)
        assert_int_equal(pluck_sampler_set_mask(sampler, mask, (n_vocab + 31) / 32, NULL),
                         PLUCK_OK);
    bool passed = keeps(sampler, row.logits, sorted, kept_of(sums, n, z), 1.0 / t);
    if (!passed)
        test_case_failed("%s, %u logits", json, n_vocab);
    pluck_sampler_destroy(&sampler);
    free(mask);
    free(sums);
    free(sorted);
    logit_row_destroy(&row);
    return passed;
}

static void a_head_gives_the_cut_of_the_whole_sort(void **state)
{
    (void)state;
    test_cases_run("a_head_gives_the_cut_of_the_whole_sort", 0, 2000, cut_case, &(shape){600, ANY});
    test_cases_run("a_head_gives_the_cut_of_the_whole_sort", 10000, 200, cut_case,
                   &(shape){20000, ANY});
}

static void heads_that_do_not_decide_grow(void **state)
{
    (void)state;
    static const int kinds[] = {TEST_VECTOR_EQUAL, TEST_VECTOR_TIES,  TEST_VECTOR_FALLING,
                                LOGITS_PLATEAU,    LOGITS_DESCENDING, STAIRCASE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        test_cases_run("heads_that_do_not_decide_grow", 20000 + 100 * i, 8, cut_case,
                       &(shape){131072, kinds[i]});
}

static void the_bound_of_the_tail_is_not_exceeded(void **state)
{
    (void)state;
    test_cases_run("the_bound_of_the_tail_is_not_exceeded", 30000, 1000, cut_case,
                   &(shape){3000, STAIRCASE});
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_gives_the_cut_of_the_whole_sort),
        cmocka_unit_test(heads_that_do_not_decide_grow),
        cmocka_unit_test(the_bound_of_the_tail_is_not_exceeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
