/*
 * Why: the draw "gumbel" looks at few tokens only, and at most of them through bounds. So: its
 * token is that of the definition, evaluated token by token; the noise is what the definition says;
 * tokens have their probabilities; removed tokens, the place of a cut and the form of a view never
 * change who wins among those that stay.
 */
#include "base/scalar_math.h"
#include "simd/kernels.h"
#include "simd/philox.h"
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/random.h"
#include "support/samplers.h"

#include <pluck/pluck.h>
#include <pluck/speculative.h>

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

/* Without probabilities of the drafts, speculation emits what the target alone emits. */
static void drafts_change_no_token(void **state)
{
    (void)state;
    enum { N = 200, N_TOKENS = 60, N_DRAFTS = 4 };
    static const char json[] =
        "{\"draw\": \"gumbel\", \"temperature\": 0.4, \"repeat_penalty\": 1.2}";
    float x[N_DRAFTS + 1][N];
    pluck_token alone[N_TOKENS + N_DRAFTS + 1], drafts[N_DRAFTS];
    uint32_t n_accepted = 0;
    test_random random = test_random_make(23);
    for (size_t i = 0; i < N; i++)
        x[0][i] = (float)(2 * test_random_normal(&random));
    for (size_t k = 1; k <= N_DRAFTS; k++)
        memcpy(x[k], x[0], sizeof x[0]);
    pluck_sampler *sampler = test_sampler(json, N, PLUCK_ISA_BEST, 0);
    pluck_sampler *target = test_sampler(json, N, PLUCK_ISA_BEST, 0);
    pluck_speculation *speculation = NULL;
    assert_int_equal(pluck_speculation_create(&speculation, N, 1, 2, NULL, NULL), PLUCK_OK);
    for (size_t i = 0; i < N_TOKENS + N_DRAFTS + 1; i++)
        assert_int_equal(
            pluck_sampler_next(sampler, (pluck_logits){x[0], PLUCK_F32, N}, &alone[i], NULL),
            PLUCK_OK);
    for (size_t at = 0; at < N_TOKENS;) {
        for (size_t k = 0; k < N_DRAFTS; k++)
            drafts[k] = test_random_below(&random, 3) > 0
                            ? alone[at + k]
                            : (pluck_token)test_random_below(&random, N);
        pluck_matrix rows = {.data = x, .dtype = PLUCK_F32, .n_cols = N, .n_rows = N_DRAFTS + 1};
        pluck_drafts given = {drafts, NULL, N_DRAFTS};
        pluck_verdict verdict;
        assert_int_equal(pluck_speculation_step(speculation, target, &rows, &given, &verdict, NULL),
                         PLUCK_OK);
        for (uint32_t k = 0; k < verdict.n_accepted; k++)
            assert_int_equal(drafts[k], alone[at + k]);
        assert_int_equal(verdict.next, alone[at + verdict.n_accepted]);
        if (verdict.n_accepted < N_DRAFTS)
            assert_int_not_equal(drafts[verdict.n_accepted], alone[at + verdict.n_accepted]);
        n_accepted += verdict.n_accepted;
        at += verdict.n_accepted + 1;
    }
    assert_true(n_accepted > 10);
    pluck_speculation_destroy(&speculation);
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&target);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_has_its_known_answers),
        cmocka_unit_test(bounds_are_above_scores_on_every_instruction_set),
        cmocka_unit_test(noise_is_exponential),
        cmocka_unit_test(tokens_are_those_of_the_definition),
        cmocka_unit_test(tokens_have_their_probabilities),
        cmocka_unit_test(who_wins_does_not_depend_on_who_was_removed),
        cmocka_unit_test(drafts_change_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
