/*
 * Why: that tokens come with their probabilities. At least 10^6 draws of each distribution against
 * the exact one by chi-square; so are pairs of neighbouring positions and of neighbouring streams.
 * The distributions are chosen for the ways through the draw: compact and dense views, accepted at
 * once, after refining bounds, or by the exact pass after bounds that said nothing.
 *
 * A correct sampler fails one of the tests below with probability 35 * 1e-8 at most; seeds are
 * fixed, so that a run repeats exactly. Instruction sets give the same bits (golden tests), so one
 * is enough: PLUCK_ISA chooses.
 */
#include "select/pick.h"
#include "support/brute_force.h"
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_DRAWS = 1000000 };

static const double SMALLEST_P_VALUE = 1e-8;

typedef struct draw_case {
    const char *json;
    int kind;
    uint32_t n_vocab;
    pluck_dtype dtype;
} draw_case;

static const draw_case cases[] = {
    {"{\"seed\": 1}", TEST_VECTOR_NORMAL, 1, PLUCK_F32},
    {"{\"seed\": 2}", TEST_VECTOR_NORMAL, 64, PLUCK_F32},
    {"{\"seed\": 3}", TEST_VECTOR_NORMAL, 65, PLUCK_F16},
    {"{\"seed\": 4}", TEST_VECTOR_PEAKED, 300, PLUCK_F32},
    {"{\"seed\": 5}", TEST_VECTOR_EQUAL, 1000, PLUCK_F32},
    {"{\"seed\": 6, \"temperature\": 8}", TEST_VECTOR_NORMAL, 1000, PLUCK_F32},
    {"{\"seed\": 11}", TEST_VECTOR_BANNED, 200, PLUCK_F32},
    {"{\"seed\": 12}", LOGITS_GRID, 200, PLUCK_BF16},
    {"{\"seed\": 14, \"top_k\": 40}", TEST_VECTOR_NORMAL, 200, PLUCK_F32},
    {"{\"seed\": 15, \"top_p\": 0.9}", TEST_VECTOR_NORMAL, 100, PLUCK_F16},
    {"{\"seed\": 20, \"top_p\": 0.6, \"temperature\": 2}", TEST_VECTOR_NORMAL, 50, PLUCK_F32},
    {"{\"seed\": 21, \"top_p\": 0.9, \"temperature\": 0.5}", TEST_VECTOR_PEAKED, 300, PLUCK_F32},
    {"{\"seed\": 23, \"top_p\": 0.5}", TEST_VECTOR_TIES, 50, PLUCK_F32},
    {"{\"seed\": 16, \"top_k\": 50, \"temperature\": 1.5}", TEST_VECTOR_EQUAL, 70, PLUCK_F32},
    {"{\"seed\": 18, \"logit_bias\": {\"0\": 8, \"63\": 9, \"64\": false, \"199\": 10}}",
     TEST_VECTOR_NORMAL, 200, PLUCK_F32},
    {"{\"seed\": 19, \"temperature\": 1e38}", LOGITS_EXTREMES, 20, PLUCK_F32},
    {"{\"seed\": 24, \"smoothing_factor\": 0.2}", TEST_VECTOR_NORMAL, 1000, PLUCK_F32},
    {"{\"seed\": 25, \"smoothing_factor\": 0.1, \"smoothing_curve\": 2.5, \"temperature\": 1.5}",
     TEST_VECTOR_PEAKED, 300, PLUCK_F16},
    {"{\"seed\": 26, \"smoothing_factor\": 0.02, \"smoothing_curve\": 4}", TEST_VECTOR_NORMAL, 200,
     PLUCK_F32},
    {"{\"seed\": 27, \"smoothing_factor\": 0.05, \"smoothing_curve\": 3, \"top_p\": 0.8}",
     TEST_VECTOR_BANNED, 200, PLUCK_F32},
    {"{\"seed\": 28, \"smoothing_factor\": 0.3, \"logit_bias\": {\"0\": 8, \"64\": false}}",
     TEST_VECTOR_TIES, 200, PLUCK_BF16},
};

/* Drawn from a view that is opened once, because a draw must not cost a scan of these. In the
 * peaks, bounds are 64 times too large, in more blocks than the draw tries before it computes all
 * sums. */
static const draw_case large_cases[] = {
    {"{}", LOGITS_BLOCK_PEAKS, 3200, PLUCK_F32},
    {"{}", TEST_VECTOR_FALLING, 50257, PLUCK_F32},
    {"{}", LOGITS_ASCENDING, 1000, PLUCK_F16},
};

static logit_row make_row(const draw_case *c)
{
    float *x = malloc(c->n_vocab * sizeof *x);
    assert_non_null(x);
    logit_fill((logit_kind)c->kind, 11, c->n_vocab, x);
    logit_row row = logit_row_make(x, c->n_vocab, c->dtype, 0);
    free(x);
    return row;
}

/* p of every token, by brute force. */
static double *exact_p(const draw_case *c, const logit_row *logits)
{
    pluck_config *config = test_config(c->json);
    brute_force row;
    assert_int_equal(brute_force_run(&row, config, logits->exact, c->n_vocab, NULL, 0), PLUCK_OK);
    assert_false(row.doubt);
    double *p = calloc(c->n_vocab, sizeof *p);
    assert_non_null(p);
    for (uint32_t i = 0; i < row.n; i++)
        p[row.items[i].token] = (double)row.items[i].p;
    brute_force_free(&row);
    pluck_config_destroy(&config);
    return p;
}

static void check(const char *what, const uint64_t *counts, const double *p, size_t n,
                  uint64_t n_draws)
{
    chi_square result = chi_square_test(counts, p, n, n_draws);
    if (!(result.p_value >= SMALLEST_P_VALUE))
        fail_msg("%s: chi-square %g with %g degrees of freedom, p-value %g", what, result.statistic,
                 result.freedom, result.p_value);
}

static void check_draws(const draw_case *c)
{
    logit_row row = make_row(c);
    double *p = exact_p(c, &row);
    uint64_t *counts = calloc(c->n_vocab, sizeof *counts);
    assert_non_null(counts);
    pluck_sampler *sampler = test_sampler(c->json, c->n_vocab, test_isa(), 0);
    uint64_t n_draws = test_n_repeats(N_DRAWS);
    for (uint64_t i = 0; i < n_draws; i++) {
        pluck_token token = -1;
        pluck_sampler_sample(sampler, row.logits, &token, NULL);
        if (token < 0 || (uint32_t)token >= c->n_vocab)
            fail_msg("token %d", token);
        counts[token]++;
        pluck_sampler_accept(sampler, token, NULL);
    }
    check(c->json, counts, p, c->n_vocab, n_draws);
    pluck_sampler_destroy(&sampler);
    logit_row_destroy(&row);
    free(counts);
    free(p);
}

static void tokens_come_with_their_probabilities(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_draws(cases + i);
}

static void check_large_draws(const draw_case *c, uint64_t seed)
{
    logit_row row = make_row(c);
    double *p = exact_p(c, &row);
    uint64_t *counts = calloc(c->n_vocab, sizeof *counts);
    assert_non_null(counts);
    plk_scratch *scratch = NULL;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    assert_int_equal(plk_scratch_create(&scratch, c->n_vocab, &allocator, NULL), PLUCK_OK);
    plk_view view;
    assert_int_equal(plk_view_open(&view, scratch, test_kernels(), row.logits, false, NULL),
                     PLUCK_OK);
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, seed, 0, 0);
    uint64_t n_draws = test_n_repeats(N_DRAWS);
    for (uint64_t d = 0; d < n_draws; d++)
        counts[plk_view_pick(&view, &rng)]++;
    check(logit_kind_name((logit_kind)c->kind), counts, p, c->n_vocab, n_draws);
    plk_scratch_destroy(&scratch);
    logit_row_destroy(&row);
    free(counts);
    free(p);
}

static void draws_from_a_large_view_come_with_their_probabilities(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof large_cases / sizeof *large_cases; i++)
        check_large_draws(large_cases + i, 21 + i);
}

enum { N_SIDE = 12 };

/* What token the sampler gives at place i of a walk. */
typedef pluck_token walk_function(pluck_sampler *sampler, pluck_logits logits, uint64_t i);

static pluck_token at_position(pluck_sampler *sampler, pluck_logits logits, uint64_t i)
{
    pluck_token token = -1;
    pluck_sampler_set_position(sampler, i, NULL);
    pluck_sampler_sample(sampler, logits, &token, NULL);
    return token;
}

static pluck_token at_stream(pluck_sampler *sampler, pluck_logits logits, uint64_t i)
{
    pluck_token token = -1;
    test_start_stream(sampler, i);
    pluck_sampler_sample(sampler, logits, &token, NULL);
    return token;
}

/* Pairs of places at a distance; dense and compact views. */
static void check_pairs(const char *json, walk_function *walk, uint64_t distance)
{
    draw_case c = {json, TEST_VECTOR_NORMAL, N_SIDE, PLUCK_F32};
    float x[N_SIDE];
    for (int i = 0; i < N_SIDE; i++)
        x[i] = 0.15f * (float)i;
    logit_row row = logit_row_make(x, N_SIDE, PLUCK_F32, 0);
    double *p = exact_p(&c, &row), pairs[N_SIDE * N_SIDE];
    uint64_t counts[N_SIDE * N_SIDE] = {0};
    for (int i = 0; i < N_SIDE * N_SIDE; i++)
        pairs[i] = p[i / N_SIDE] * p[i % N_SIDE];
    pluck_sampler *sampler = test_sampler(json, N_SIDE, test_isa(), 0);
    uint64_t n_draws = test_n_repeats(N_DRAWS);
    for (uint64_t i = 0; i < n_draws; i += 2) {
        uint64_t place = i / (2 * distance) * (2 * distance) + i / 2 % distance;
        pluck_token first = walk(sampler, row.logits, place);
        counts[first * N_SIDE + walk(sampler, row.logits, place + distance)]++;
    }
    check(json, counts, pairs, N_SIDE * N_SIDE, (n_draws + 1) / 2);
    pluck_sampler_destroy(&sampler);
    logit_row_destroy(&row);
    free(p);
}

static void neighbouring_positions_are_independent(void **state)
{
    (void)state;
    check_pairs("{\"seed\": 31}", at_position, 1);
    check_pairs("{\"seed\": 32}", at_position, 2);
    check_pairs("{\"seed\": 33, \"top_k\": 11}", at_position, 1);
}

static void neighbouring_streams_are_independent(void **state)
{
    (void)state;
    check_pairs("{\"seed\": 41}", at_stream, 1);
    check_pairs("{\"seed\": 42, \"top_k\": 11}", at_stream, 1);
}

/* The judge itself: published quantiles, and a bias of a few percent that 10^6 draws must show. */
static void chi_square_knows_its_quantiles_and_sees_a_bias(void **state)
{
    (void)state;
    static const struct {
        double statistic, freedom, p_value;
    } quantiles[] = {{3.841459, 1, 0.05}, {18.307038, 10, 0.05}, {135.806723, 100, 0.01},
                     {2.705543, 1, 0.10}, {1.145476, 5, 0.95},   {1074.679449, 1000, 0.05}};
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        double tail = chi_square_tail(quantiles[i].statistic, quantiles[i].freedom);
        assert_true(fabs(tail - quantiles[i].p_value) < 1e-6);
    }
    uint64_t counts[100];
    double p[100];
    for (size_t i = 0; i < 100; i++) {
        p[i] = 0.01;
        counts[i] = i < 50 ? 10100 : 9900;
    }
    assert_true(chi_square_test(counts, p, 100, 1000000).p_value > SMALLEST_P_VALUE);
    for (size_t i = 0; i < 100; i++)
        counts[i] = i < 50 ? 10200 : 9800;
    assert_true(chi_square_test(counts, p, 100, 1000000).p_value < SMALLEST_P_VALUE);
    p[99] = 0;
    assert_true(chi_square_test(counts, p, 100, 1000000).p_value == 0);
}

/* What acts at random by the position's numbers mixes two laws. p = .4 .3 .2 .1, threshold .15:
 * acting leaves 2/3, 1/3 on the last two. Positions one at a time and many at once give the same
 * tokens. */
static void xtc_mixes_two_distributions(void **state)
{
    (void)state;
    enum { N = 4, BATCH = 1000 };
    static const double before[N] = {.4, .3, .2, .1}, after[N] = {0, 0, 2. / 3, 1. / 3};
    double chance = 0.35;
    float logits[N];
    double p[N];
    uint64_t counts[N] = {0};
    pluck_draw draws[BATCH], one;
    for (int i = 0; i < N; i++) {
        logits[i] = (float)log(before[i]);
        p[i] = chance * after[i] + (1 - chance) * before[i];
    }
    pluck_sampler *sampler = test_sampler(
        "{\"xtc_probability\": 0.35, \"xtc_threshold\": 0.15, \"seed\": 3}", N, test_isa(), 0);
    pluck_logits row = {logits, PLUCK_F32, N};
    uint64_t n_draws = test_n_repeats(N_DRAWS) / BATCH * BATCH;
    for (uint64_t at = 0; at < n_draws; at += BATCH) {
        assert_int_equal(pluck_sampler_set_position(sampler, at, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_draw_many(sampler, row, BATCH, draws, NULL), PLUCK_OK);
        for (int i = 0; i < BATCH; i++)
            counts[draws[i].token]++;
        pluck_sampler_set_position(sampler, at + 7, NULL);
        assert_int_equal(pluck_sampler_draw(sampler, row, &one, NULL), PLUCK_OK);
        assert_int_equal(one.token, draws[7].token);
        assert_int_equal(one.n_survivors, draws[7].n_survivors);
    }
    check("xtc", counts, p, N, n_draws);
    pluck_sampler_destroy(&sampler);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chi_square_knows_its_quantiles_and_sees_a_bias),
        cmocka_unit_test(tokens_come_with_their_probabilities),
        cmocka_unit_test(draws_from_a_large_view_come_with_their_probabilities),
        cmocka_unit_test(xtc_mixes_two_distributions),
        cmocka_unit_test(neighbouring_positions_are_independent),
        cmocka_unit_test(neighbouring_streams_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
