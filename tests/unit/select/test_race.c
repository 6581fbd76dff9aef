/*
 * Why: the draw "gumbel" looks at few tokens only, and at most of them through bounds. So: its
 * token is that of the definition, evaluated token by token; the noise is what the definition says;
 * tokens have their probabilities; removed tokens, the place of a cut and the form of a view never
 * change who wins among those that stay.
 */
#include "base/scalar_math.h"
#include "select/pick.h"
#include "simd/kernels.h"
#include "simd/philox.h"
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/random.h"
#include "support/samplers.h"

#include <pluck/pluck.h>

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 20000, MAX_JSON = 256 };

/* Known answers of Philox4x32-10 from the tests of its authors (Random123, kat_vectors). */
static void philox_has_its_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], words[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
         {UINT32_MAX, UINT32_MAX},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t words[4];
        plk_philox(cases[i].counter, cases[i].key, words);
        assert_memory_equal(words, cases[i].words, sizeof words);
    }
}

/* The noise of a token, by the definition in race.c. */
static double noise_of(const plk_noise *noise, uint32_t token)
{
    uint32_t block = token / 64, rest[4];
    plk_noise_words(noise, 1, block, rest);
    double first = plk_noise_exponential(plk_noise_word(noise, 0, block), rest[0]) / 64;
    double second = first + plk_noise_exponential(rest[1], rest[2]) / 64;
    if (token % 64 == rest[0] % 64)
        return first;
    if (token % 64 == rest[2] % 64)
        return second;
    return second +
           plk_noise_exponential(plk_noise_word(noise, 2, token), plk_noise_word(noise, 3, token));
}

/* Every instruction set has the same bounds, and they are bounds, within log2 of 1.1. */
static void bounds_are_above_scores_on_every_instruction_set(void **state)
{
    (void)state;
    enum { N_BLOCKS = 9, N = N_BLOCKS * 64, N_TOPS = N / 4 };
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    test_random random = test_random_make(41);
    for (uint64_t round = 0; round < 200; round++) {
        plk_noise noise = plk_noise_make(test_random_bits(&random), round, round * 77777777777u);
        uint32_t purpose = (uint32_t)test_random_below(&random, 4);
        uint32_t first = (uint32_t)test_random_below(&random, 200000);
        plk_race_terms terms = {.noise = noise,
                                .origin = 3.0f * (float)test_random_normal(&random),
                                .rate = (float)(1 << test_random_below(&random, 4)) * 0.3f,
                                .base = round % 3 == 0 ? 0.0f : 0.013f,
                                .share = round % 2 == 0 ? 1.0f : 1.0f / 64};
        float x[N], bounds[2][N], tops[2][N_TOPS];
        for (size_t i = 0; i < N; i++)
            x[i] = i % 11 == 0
                       ? -INFINITY
                       : terms.origin - 50.0f / terms.rate * (float)test_random_uniform(&random);
        for (size_t k = 0; k < n_tables; k++) {
            tables[k]->race_bounds(&terms, purpose, first, N_BLOCKS, x, bounds[k > 0], tops[k > 0]);
            assert_memory_equal(bounds[k > 0], bounds[0], sizeof bounds[0]);
            assert_memory_equal(tops[k > 0], tops[0], sizeof tops[0]);
        }
        for (size_t i = 0; i < N_TOPS; i++) {
            const float *column = bounds[0] + i / 16 * 64 + i % 16;
            assert_true(tops[0][i] ==
                        fmaxf(fmaxf(column[0], column[16]), fmaxf(column[32], column[48])));
        }
        for (size_t i = 0; i < N; i++) {
            uint32_t word = plk_noise_word(&noise, purpose, first * 64 + (uint32_t)i);
            double least = plk_noise_exponential(word, UINT32_MAX);
            double of_noise = plk_log((double)terms.base + (double)terms.share * least) / log(2);
            double score = (double)terms.rate * ((double)x[i] - (double)terms.origin) - of_noise;
            if (x[i] == -INFINITY)
                assert_true(bounds[0][i] < -1e30f);
            else
                assert_true((double)bounds[0][i] >= score - 0x1p-15);
            if (x[i] > -INFINITY && least < 0.5 && word < UINT32_MAX - 100000)
                assert_true((double)bounds[0][i] <= score + log(1.1) / log(2));
        }
    }
}

/* E is exponential; which token of a block is first is uniform and independent of when, and so is
 * which is second and how much later. */
static void noise_is_exponential(void **state)
{
    (void)state;
    enum { N_BINS = 40, N_BLOCKS = 20000, N_PLACES = 64 * 4 };
    uint64_t all[N_BINS] = {0}, first[N_PLACES] = {0}, second[N_PLACES] = {0};
    double p_all[N_BINS], p_place[N_PLACES];
    plk_noise noise = plk_noise_make(12, 34, UINT64_C(0x123456789));
    for (uint32_t block = 0; block < N_BLOCKS; block++) {
        uint32_t best = 0, next = 0;
        double least = (double)INFINITY, later = (double)INFINITY;
        for (uint32_t i = 0; i < 64; i++) {
            double e = noise_of(&noise, block * 64 + i);
            size_t bin = (size_t)((1 - plk_exp(-e)) * N_BINS);
            all[bin < N_BINS ? bin : N_BINS - 1]++;
            if (e < least) {
                next = best;
                later = least;
                best = i;
                least = e;
            } else if (e < later) {
                next = i;
                later = e;
            }
        }
        size_t quarter = (size_t)((1 - plk_exp(-64 * least)) * 4);
        first[best * 4 + (quarter < 4 ? quarter : 3)]++;
        quarter = (size_t)((1 - plk_exp(-63 * (later - least))) * 4);
        second[next * 4 + (quarter < 4 ? quarter : 3)]++;
    }
    for (size_t i = 0; i < N_BINS; i++)
        p_all[i] = 1.0 / N_BINS;
    for (size_t i = 0; i < N_PLACES; i++)
        p_place[i] = 1.0 / N_PLACES;
    assert_true(chi_square_test(all, p_all, N_BINS, (uint64_t)N_BLOCKS * 64).p_value > 1e-5);
    assert_true(chi_square_test(first, p_place, N_PLACES, N_BLOCKS).p_value > 1e-5);
    assert_true(chi_square_test(second, p_place, N_PLACES, N_BLOCKS).p_value > 1e-5);
}

/* Whether h + l of a comes before that of b: sums without error, then the lower token. */
typedef struct runner {
    double h, l;
    uint32_t token;
} runner;

static void two_sum(double a, double b, double *sum, double *rest)
{
    *sum = a + b;
    double part = *sum - a;
    *rest = (a - (*sum - part)) + (b - part);
}

static bool is_ahead(runner a, runner b)
{
    double sum_a, rest_a, sum_b, rest_b;
    two_sum(a.h, a.l, &sum_a, &rest_a);
    two_sum(b.h, b.l, &sum_b, &rest_b);
    if (sum_a != sum_b)
        return sum_a > sum_b;
    return rest_a != rest_b ? rest_a > rest_b : a.token < b.token;
}

static const char *const truncations[] = {"",
                                          ", \"top_k\": 40",
                                          ", \"top_k\": 700",
                                          ", \"top_p\": 0.9",
                                          ", \"top_p\": 0.5, \"min_keep\": 3",
                                          ", \"min_p\": 0.02",
                                          ", \"typical_p\": 0.8",
                                          ", \"top_n_sigma\": 1.5",
                                          ", \"top_p\": 0.999"};

/* The token of a random row is that of the definition over the survivors. */
static bool token_is_the_definition(uint64_t seed, pluck_isa isa, const void *context)
{
    static const double temperatures[] = {1, 0.8, 0.3, 1.7, 5, 0.01, 40, 1e-6, 1e6, 1e30};
    static float x[MAX_VOCAB];
    (void)context;
    test_random random = test_random_make(seed);
    uint32_t n = 1 + (uint32_t)test_random_below(&random, seed % 4 == 0 ? MAX_VOCAB : 900);
    logit_kind kind = (logit_kind)test_random_below(&random, LOGITS_KINDS);
    pluck_dtype dtype = (pluck_dtype)test_random_below(&random, 3);
    double t = temperatures[test_random_below(&random, sizeof temperatures / sizeof *temperatures)];
    const char *more =
        truncations[test_random_below(&random, sizeof truncations / sizeof *truncations)];
    logit_fill(kind, seed, n, x);
    logit_row row = logit_row_make(x, n, dtype, 0);
    char json[MAX_JSON];
    snprintf(json, sizeof json, "{\"seed\": %u, \"draw\": \"gumbel\", \"temperature\": %g%s}",
             (unsigned)(seed % 1000), t, more);
    uint64_t stream = test_random_below(&random, 5), position = test_random_bits(&random) >> 8;
    pluck_sampler *sampler = test_sampler(json, n, isa, stream);
    pluck_token token = PLUCK_NO_TOKEN;
    pluck_draw drawn = {PLUCK_NO_TOKEN, 0, 0};
    bool is_right = pluck_sampler_set_position(sampler, position, NULL) == PLUCK_OK &&
                    pluck_sampler_sample(sampler, row.logits, &token, NULL) == PLUCK_OK &&
                    pluck_sampler_draw(sampler, row.logits, &drawn, NULL) == PLUCK_OK;
    test_distribution survivors = test_distribution_of(sampler, row.logits);
    plk_noise noise = plk_noise_make(seed % 1000, stream, position);
    runner best = {0};
    for (uint32_t i = 0; i < survivors.n; i++) {
        uint32_t id = (uint32_t)survivors.probs[i].token;
        runner r = {(1 / t) * (double)row.exact[id], -plk_log(noise_of(&noise, id)), id};
        if (i == 0 || is_ahead(r, best))
            best = r;
    }
    if (is_right && (token != (pluck_token)best.token || drawn.token != token))
        is_right = test_case_failed("%s, n %u, %s: %d and %d, expected %u", logit_kind_name(kind),
                                    n, json, (int)token, (int)drawn.token, best.token);
    test_distribution_free(&survivors);
    pluck_sampler_destroy(&sampler);
    logit_row_destroy(&row);
    return is_right;
}

static void tokens_are_those_of_the_definition(void **state)
{
    (void)state;
    test_cases_run("tokens_are_those_of_the_definition", 0, 1500, token_is_the_definition, NULL);
}

static plk_view open_view(plk_scratch *scratch, pluck_isa isa, pluck_logits logits, double scale)
{
    plk_view view;
    assert_int_equal(plk_view_open(&view, scratch, plk_kernels_get(isa), logits, false, NULL),
                     PLUCK_OK);
    view.scale = scale;
    view.is_race = true;
    view.noise = plk_noise_make(1, 2, 3);
    return view;
}

/* Without the tokens that came before it, the next one of the definition wins; without any, none
 * does. Tokens that are banned, or far below the largest logit, are no exception. */
static bool next_token_is_that_of_the_definition(uint64_t seed, pluck_isa isa, const void *context)
{
    enum { MAX_NEXT = 4, MAX_N = 600 };
    static const double scales[] = {1, 0.5, 3, 1e-30, 1e-38, 1e-45, 1e5};
    static const float largest[] = {4, 60, 3e6f, 3e38f}, shifts[] = {0, 0, 0, -3e38f};
    (void)context;
    float x[MAX_N];
    runner order[MAX_N];
    uint32_t taken[MAX_NEXT];
    test_random random = test_random_make(seed);
    uint32_t n = 1 + (uint32_t)test_random_below(&random, MAX_N), n_runners = 0;
    double scale = scales[test_random_below(&random, sizeof scales / sizeof *scales)];
    size_t one_in = test_random_below(&random, 4) == 0 ? n : 1 + test_random_below(&random, 3);
    float shift = shifts[test_random_below(&random, 4)];
    for (uint32_t i = 0; i < n; i++) {
        float value = shift + (float)(5 * test_random_normal(&random));
        x[i] = test_random_below(&random, one_in) == 0 ? value : -INFINITY;
    }
    x[test_random_below(&random, n)] = largest[test_random_below(&random, 4)];
    plk_noise noise = plk_noise_make(1, 2, 3);
    for (uint32_t i = 0; i < n; i++)
        if (x[i] > -INFINITY)
            order[n_runners++] = (runner){scale * (double)x[i], -plk_log(noise_of(&noise, i)), i};
    for (uint32_t i = 0; i < n_runners && i < MAX_NEXT; i++)
        for (uint32_t k = i + 1; k < n_runners; k++)
            if (is_ahead(order[k], order[i])) {
                runner better = order[k];
                order[k] = order[i];
                order[i] = better;
            }
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_scratch *scratch = NULL;
    assert_int_equal(plk_scratch_create(&scratch, n, &allocator, NULL), PLUCK_OK);
    plk_view view = open_view(scratch, isa, (pluck_logits){x, PLUCK_F32, n}, scale);
    bool is_right = true;
    for (uint32_t i = 0; is_right && i <= n_runners && i < MAX_NEXT; i++) {
        plk_arrival a = plk_view_race(&view, taken, i);
        if (a.is_there != (i < n_runners) || (a.is_there && a.token != order[i].token))
            is_right =
                test_case_failed("n %u, scale %g, after %u tokens: %u, expected %u", n, scale, i,
                                 a.token, i < n_runners ? order[i].token : UINT32_MAX);
        taken[i] = a.token;
    }
    plk_scratch_destroy(&scratch);
    return is_right;
}

static void next_tokens_are_those_of_the_definition(void **state)
{
    (void)state;
    test_cases_run("next_tokens_are_those_of_the_definition", 0, 3000,
                   next_token_is_that_of_the_definition, NULL);
}

/* By the exact sum of two doubles, then by the lower token; whoever is there is before who is
 * not. */
static void arrivals_are_in_a_total_order(void **state)
{
    (void)state;
    static const plk_arrival sorted[] = {
        {true, 9, 0x1p60, 3.0}, {true, 2, 0x1p60, 2.0},   {true, 3, 0x1p60, 2.0},
        {true, 1, 0x1p60, 1.0}, {true, 4, 7.5, -0.5},     {true, 5, 6.0, 1.0},
        {true, 6, -1e200, 0.0}, {true, 0, -1e200, -40.0}, {false, 0, 1e300, 0.0}};
    enum { N = sizeof sorted / sizeof *sorted };
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < N; k++)
            assert_int_equal(plk_arrival_is_before(&sorted[i], &sorted[k]), i < k);
}

/* draw_many gives the tokens of single draws, which have their probabilities. */
static void tokens_have_their_probabilities(void **state)
{
    (void)state;
    enum { N = 400, N_DRAWS = 100000 };
    static const char *const configs[] = {
        "{\"seed\": 5, \"draw\": \"gumbel\"}",
        "{\"seed\": 6, \"draw\": \"gumbel\", \"temperature\": 2}",
        "{\"seed\": 7, \"draw\": \"gumbel\", \"top_p\": 0.9, \"temperature\": 0.7}",
        "{\"seed\": 8, \"draw\": \"gumbel\", \"top_k\": 30}"};
    float x[N];
    pluck_logits logits = {x, PLUCK_F32, N};
    size_t n_draws = (size_t)test_n_repeats(N_DRAWS);
    pluck_draw *draws = malloc(n_draws * sizeof *draws);
    assert_non_null(draws);
    test_random random = test_random_make(99);
    for (size_t c = 0; c < sizeof configs / sizeof *configs; c++) {
        uint64_t counts[N] = {0};
        double p[N] = {0}, sum = 0;
        for (size_t i = 0; i < N; i++)
            x[i] = (float)(2.5 * test_random_normal(&random));
        pluck_sampler *sampler = test_sampler(configs[c], N, PLUCK_ISA_BEST, 3);
        test_distribution all = test_distribution_of(sampler, logits);
        for (uint32_t i = 0; i < all.n; i++)
            sum += (double)all.probs[i].prob;
        for (uint32_t i = 0; i < all.n; i++)
            p[all.probs[i].token] = (double)all.probs[i].prob / sum;
        assert_int_equal(pluck_sampler_draw_many(sampler, logits, n_draws, draws, NULL), PLUCK_OK);
        for (size_t i = 0; i < n_draws; i++)
            counts[draws[i].token]++;
        if (!(chi_square_test(counts, p, N, n_draws).p_value > 1e-5))
            fail_msg("%s: unlikely counts", configs[c]);
        for (size_t i = 0; i < 50; i++) {
            pluck_token token;
            assert_int_equal(pluck_sampler_set_position(sampler, i, NULL), PLUCK_OK);
            assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), PLUCK_OK);
            assert_int_equal(token, draws[i].token);
        }
        test_distribution_free(&all);
        pluck_sampler_destroy(&sampler);
    }
    free(draws);
}

/* A cut keeps the winner whenever it stays. */
static void who_wins_does_not_depend_on_who_was_removed(void **state)
{
    (void)state;
    enum { N = 3000 };
    float x[N];
    pluck_logits logits = {x, PLUCK_F32, N};
    test_random random = test_random_make(17);
    uint32_t n_kept = 0;
    for (size_t i = 0; i < N; i++)
        x[i] = (float)(2 * test_random_normal(&random));
    pluck_sampler *whole = test_sampler("{\"draw\": \"gumbel\"}", N, PLUCK_ISA_BEST, 0);
    pluck_sampler *cut =
        test_sampler("{\"draw\": \"gumbel\", \"top_k\": 300}", N, PLUCK_ISA_BEST, 0);
    pluck_sampler *masked = test_sampler("{\"draw\": \"gumbel\"}", N, PLUCK_ISA_BEST, 0);
    int32_t words[(N + 31) / 32];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = (int32_t)(uint32_t)test_random_bits(&random);
    for (uint64_t position = 0; position < 2000; position++) {
        pluck_token of_whole, of_cut, of_masked;
        assert_int_equal(pluck_sampler_set_position(whole, position, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_set_position(cut, position, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_set_position(masked, position, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_set_mask(masked, words, sizeof words / sizeof *words, NULL),
                         PLUCK_OK);
        assert_int_equal(pluck_sampler_sample(whole, logits, &of_whole, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_sample(cut, logits, &of_cut, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_sample(masked, logits, &of_masked, NULL), PLUCK_OK);
        double logprob;
        assert_int_equal(
            pluck_sampler_logprob(cut, logits, PLUCK_LOGPROB_FINAL, of_whole, &logprob, NULL),
            PLUCK_OK);
        if (logprob > (double)-INFINITY) {
            n_kept++;
            assert_int_equal(of_cut, of_whole);
        }
        if ((uint32_t)words[of_whole / 32] >> of_whole % 32 & 1)
            assert_int_equal(of_masked, of_whole);
    }
    assert_in_range(n_kept, 1000, 1999);
    pluck_sampler_destroy(&whole);
    pluck_sampler_destroy(&cut);
    pluck_sampler_destroy(&masked);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_has_its_known_answers),
        cmocka_unit_test(bounds_are_above_scores_on_every_instruction_set),
        cmocka_unit_test(noise_is_exponential),
        cmocka_unit_test(tokens_are_those_of_the_definition),
        cmocka_unit_test(next_tokens_are_those_of_the_definition),
        cmocka_unit_test(arrivals_are_in_a_total_order),
        cmocka_unit_test(tokens_have_their_probabilities),
        cmocka_unit_test(who_wins_does_not_depend_on_who_was_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
