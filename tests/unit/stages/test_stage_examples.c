/*
 * Why: results that are published or that other engines also give, in numbers that anybody can
 * check by hand. What brute force decides about random rows is in test_exactness.c.
 */
#include "support/cases.h"
#include "support/samplers.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_TOKENS = 16, END = -1 };

typedef struct example {
    const char *json;
    float in[MAX_TOKENS]; /* logits, or probabilities */
    uint32_t n;
    bool probabilities;
    pluck_token history[10]; /* up to END */
    double out[MAX_TOKENS];  /* p of each token; 0: it must be gone */
} example;

static void check_on(const example *e, pluck_isa isa)
{
    float logits[MAX_TOKENS];
    for (uint32_t i = 0; i < e->n; i++)
        logits[i] = e->probabilities ? (float)log((double)e->in[i]) : e->in[i];
    pluck_sampler *sampler = test_sampler(e->json, e->n, isa, 0);
    size_t n_history = 0;
    while (e->history[n_history] != END)
        n_history++;
    test_accept(sampler, e->history, n_history);
    test_distribution d = test_distribution_of(sampler, (pluck_logits){logits, PLUCK_F32, e->n});
    assert_int_equal(d.status, PLUCK_OK);
    for (uint32_t i = 0; i < e->n; i++) {
        float p = test_distribution_p(&d, (pluck_token)i);
        if (fabs((double)p - e->out[i]) > 1e-3 || (p == 0) != (e->out[i] == 0))
            fail_msg("%s on %s: token %u has p = %g, not %g", e->json, pluck_isa_name(isa), i,
                     (double)p, e->out[i]);
    }
    test_distribution_free(&d);
    pluck_sampler_destroy(&sampler);
}

static void check(const example *examples, size_t n)
{
    pluck_isa isas[8];
    unsigned n_isas = test_all_isas(isas);
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < n_isas; k++)
            check_on(examples + i, isas[k]);
}

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        (void)state;                                                                               \
        static const example examples[] = {__VA_ARGS__};                                           \
        check(examples, sizeof examples / sizeof *examples);                                       \
    } while (0)

static void top_k_keeps_exactly_k(void **state)
{
    CHECK({"{\"top_k\": 3}",
           {0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
           10,
           false,
           {END},
           {0, 0, 0, 0, 0, 0, 0, 0.0900, 0.2447, 0.6652}},
          {"{\"top_k\": 2}", {5, 5, 5, 5}, 4, false, {END}, {0.5, 0.5, 0, 0}});
}

static void top_p_keeps_the_shortest_prefix(void **state)
{
    CHECK({"{\"top_p\": 0.8}", {.3f, .1f, .1f, .5f}, 4, true, {END}, {.375, 0, 0, .625}},
          {"{\"top_p\": 0.8}",
           {.15f, .3f, .3f, .25f},
           4,
           true,
           {END},
           {0, .352941, .352941, .294118}});
}

static void top_p_honours_min_keep(void **state)
{
    (void)state;
    float logits[1000];
    for (int i = 0; i < 1000; i++)
        logits[i] = (float)(i / 100 - 5);
    pluck_isa isas[8];
    unsigned n_isas = test_all_isas(isas);
    for (unsigned k = 0; k < n_isas; k++) {
        pluck_sampler *sampler =
            test_sampler("{\"top_p\": 0.001, \"min_keep\": 2}", 1000, isas[k], 0);
        test_distribution d =
            test_distribution_of(sampler, (pluck_logits){logits, PLUCK_F32, 1000});
        assert_int_equal(d.n, 2);
        assert_int_equal(d.probs[0].token, 900);
        assert_int_equal(d.probs[1].token, 901);
        test_distribution_free(&d);
        pluck_sampler_destroy(&sampler);
    }
    CHECK({"{\"top_p\": 0.9, \"min_keep\": 2}",
           {-500, -400, -300, -200, -100, 0, 100, 200, 300, 310},
           10,
           false,
           {END},
           {0, 0, 0, 0, 0, 0, 0, 0, 4.54e-5, 1}});
}

static void min_p_is_relative_to_the_best(void **state)
{
    CHECK({"{\"min_p\": 0.05}",
           {.9f, .0274f, .047f, .0274f},
           4,
           true,
           {END},
           {.950370, 0, .049630, 0}});
}

static void repeat_divides_positive_and_multiplies_negative_logits(void **state)
{
    /* softmax of (-.2, .05, .2, 0): the last token was not seen. */
    CHECK({"{\"repeat_penalty\": 2}",
           {-.1f, .1f, .4f, 0},
           4,
           false,
           {0, 1, 2, END},
           {.200110, .256946, .298530, .244414}});
}

static void frequency_counts_and_presence_does_not(void **state)
{
    /* Token 0 seen twice, token 1 once, of equal logits: -2 f - p and -f - p. */
    CHECK({"{\"frequency_penalty\": 0.5, \"presence_penalty\": 1}",
           {1, 1, 1},
           3,
           false,
           {0, 1, 0, END},
           {.09962, .16425, .73612}},
          {"{\"frequency_penalty\": 0.5, \"repeat_last_n\": 1}",
           {1, 1, 1},
           3,
           false,
           {1, 1, 0, END},
           {.232697, .383652, .383652}});
}

static void softmax_examples(void **state)
{
    CHECK(
        {"{}", {1, 2, 3, 4, 1, 2, 3}, 7, false, {END}, {.024, .064, .175, .475, .024, .064, .175}},
        {"{\"temperature\": 10}",
         {1, 2, 3, 4, 1, 2, 3},
         7,
         false,
         {END},
         {.125, .138, .153, .169, .125, .138, .153}},
        {"{}", {1, 2, 8}, 3, false, {END}, {.001, .002, .997}},
        {"{}", {-2, 0, .5f}, 3, false, {END}, {.0486, .3592, .5922}});
}

static void the_order_of_stages_matters(void **state)
{
    CHECK({"{\"top_p\": 0.8, \"temperature\": 0.5}",
           {3, 2, 1},
           3,
           false,
           {END},
           {.880797, .119203, 0}},
          {"{\"top_p\": 0.8, \"temperature\": 0.5, \"order\": [\"temperature\", \"top_p\"]}",
           {3, 2, 1},
           3,
           false,
           {END},
           {1, 0, 0}},
          {"{\"stages\": [{\"type\": \"temperature\", \"t\": 0.5}, {\"type\": \"top_p\", \"p\": "
           "0.8}]}",
           {3, 2, 1},
           3,
           false,
           {END},
           {1, 0, 0}});
}

static void zero_temperature_is_the_lowest_of_the_best(void **state)
{
    CHECK({"{\"temperature\": 0}", {1, 3, 3, 2}, 4, false, {END}, {0, 1, 0, 0}},
          {"{\"stages\": [], \"draw\": \"greedy\"}", {1, 3, 3, 2}, 4, false, {END}, {0, 1, 0, 0}},
          {"{\"temperature\": 0}", {-1, -0.0f, 0.0f, -2}, 4, false, {END}, {0, 1, 0, 0}});
}

static void biases_add_and_ban(void **state)
{
    CHECK({"{\"logit_bias\": {\"1\": 1, \"2\": false, \"0\": null}}",
           {5, 1, 9, 1},
           4,
           false,
           {END},
           {0, .731059, 0, .268941}});
}

static void typical_keeps_what_is_as_surprising_as_expected(void **state)
{
    CHECK(
        {"{\"typical_p\": 0.5}", {.97f, .01f, .01f, .01f}, 4, true, {END}, {1, 0, 0, 0}},
        {"{\"typical_p\": 0.5}", {.4f, .2f, .2f, .2f}, 4, true, {END}, {0, 1. / 3, 1. / 3, 1. / 3}},
        {"{\"typical_p\": 0.5, \"min_keep\": 4}",
         {.4f, .2f, .2f, .2f},
         4,
         true,
         {END},
         {.4, .2, .2, .2}});
}

static void top_n_sigma_measures_in_deviations(void **state)
{
    /* Mean 2, deviation sqrt(2): 2.586 and 1.172 are the thresholds. */
    CHECK({"{\"top_n_sigma\": 1}", {0, 1, 2, 3, 4}, 5, false, {END}, {0, 0, 0, .268941, .731059}},
          {"{\"top_n_sigma\": 2}",
           {0, 1, 2, 3, 4},
           5,
           false,
           {END},
           {0, 0, .090031, .244728, .665241}},
          {"{\"top_n_sigma\": 1}", {3, 3, 3}, 3, false, {END}, {1. / 3, 1. / 3, 1. / 3}});
}

/* The deviation is taken from a logit near the mean, found by a sample; here almost all logits that
 * are looked at for it are -inf, and the largest, which is far away, would be a bad choice. */
static void top_n_sigma_is_precise_whatever_a_sample_finds(void **state)
{
    (void)state;
    enum { N = 1 << 16, STEP = (1 << 12) + 1, LARGEST = 50 };
    static float x[N];
    static bool kept[N];
    double n = 0, mean = 0, square = 0;
    for (uint32_t i = 0; i < N; i++) {
        x[i] = (float)(i * 2654435761u >> 12) / (float)(1 << 19) - 1;
        if (i % STEP == 0)
            x[i] = i == 8 * STEP ? 0.25f : -INFINITY;
    }
    x[5] = LARGEST;
    for (uint32_t i = 0; i < N; i++)
        if (x[i] > -INFINITY) {
            mean += (double)x[i];
            n++;
        }
    mean /= n;
    for (uint32_t i = 0; i < N; i++)
        square += x[i] > -INFINITY ? ((double)x[i] - mean) * ((double)x[i] - mean) : 0;
    char json[96];
    (void)snprintf(json, sizeof json, "{\"top_n_sigma\": %.9g, \"temperature\": 9}",
                   (LARGEST - 0.1) / sqrt(square / n));
    pluck_sampler *sampler = test_sampler(json, N, PLUCK_ISA_BEST, 0);
    test_distribution d = test_distribution_of(sampler, (pluck_logits){x, PLUCK_F32, N});
    assert_int_equal(d.status, PLUCK_OK);
    for (uint32_t i = 0; i < d.n; i++)
        kept[d.probs[i].token] = true;
    /* The deviation is off by less than 2^-19, and so is what it reaches down from the largest. */
    for (uint32_t i = 0; i < N; i++)
        if (fabs((double)x[i] - 0.1) > LARGEST * 0x1p-19)
            assert_true(kept[i] == (x[i] > 0.1f));
    test_distribution_free(&d);
    pluck_sampler_destroy(&sampler);
}

static void cutoffs_are_thresholds_on_p(void **state)
{
    CHECK({"{\"eta_cutoff\": 0.0625}", {0, .1f, .8f, .1f}, 4, true, {END}, {0, .1, .8, .1}},
          {"{\"eta_cutoff\": 0.0625}", {.01f, .04f, .9f, .05f}, 4, true, {END}, {0, 0, 1, 0}},
          {"{\"epsilon_cutoff\": 0.1}",
           {.05f, .1f, .35f, .5f},
           4,
           true,
           {END},
           {0, .105263, .368421, .526316}},
          {"{\"epsilon_cutoff\": 0.6}", {.2f, .4f, .4f}, 3, true, {END}, {0, 1, 0}},
          {"{\"p_less\": true}", {.5f, .3f, .2f}, 3, true, {END}, {1, 0, 0}},
          {"{\"p_less\": true}", {.4f, .4f, .2f}, 3, true, {END}, {.5, .5, 0}},
          {"{\"p_less\": true}", {.25f, .25f, .25f, .25f}, 4, true, {END}, {.25, .25, .25, .25}});
}

static void top_h_keeps_a_share_of_the_entropy(void **state)
{
    CHECK({"{\"top_h\": 0.7}", {.4f, .3f, .2f, .1f}, 4, true, {END}, {.571429, .428571, 0, 0}});
}

static void tail_free_cuts_where_the_curve_is_straight(void **state)
{
    /* Second differences .05, .1, 0: shares 1/3, 2/3, 0. The last token falls in any case. */
    CHECK({"{\"tfs_z\": 0.5}",
           {.4f, .3f, .15f, .1f, .05f},
           5,
           true,
           {END},
           {.571429, .428571, 0, 0, 0}},
          {"{\"tfs_z\": 0.2}", {.4f, .3f, .15f, .1f, .05f}, 5, true, {END}, {1, 0, 0, 0, 0}},
          {"{\"tfs_z\": 0.5}", {.6f, .3f, .1f}, 3, true, {END}, {1, 0, 0}});
}

static void xtc_leaves_the_least_of_the_top_choices(void **state)
{
    CHECK({"{\"xtc_probability\": 1, \"xtc_threshold\": 0.2}",
           {.4f, .3f, .2f, .1f},
           4,
           true,
           {END},
           {0, 0, .666667, .333333}},
          {"{\"xtc_probability\": 1, \"xtc_threshold\": 0.35}",
           {.4f, .3f, .2f, .1f},
           4,
           true,
           {END},
           {.4, .3, .2, .1}},
          {"{\"xtc_probability\": 1, \"xtc_threshold\": 0.2, \"min_keep\": 3}",
           {.4f, .3f, .2f, .1f},
           4,
           true,
           {END},
           {.4, .3, .2, .1}},
          {"{\"xtc_probability\": 1, \"xtc_threshold\": 0.2, \"xtc_protect\": [3, 1]}",
           {.4f, .3f, .2f, .1f},
           4,
           true,
           {END},
           {.4, .3, .2, .1}},
          {"{\"xtc_probability\": 1, \"xtc_threshold\": 0.2, \"xtc_protect\": [2]}",
           {.4f, .3f, .2f, .1f},
           4,
           true,
           {END},
           {0, 0, .666667, .333333}});
}

static void dynamic_temperature_follows_the_entropy(void **state)
{
    /* T = 1.42321965 */
    CHECK({"{\"temperature\": 1, \"dynatemp_range\": 0.5}",
           {.1f, .2f, .3f, .4f},
           4,
           true,
           {END},
           {.134408, .218745, .290847, .356001}},
          {"{\"temperature\": 10, \"dynatemp_range\": 0}",
           {1, 2, 3, 4, 1, 2, 3},
           7,
           false,
           {END},
           {.125, .138, .153, .169, .125, .138, .153}},
          /* near the largest double: T between 7e307 and 1.8e308, and 0 */
          {"{\"temperature\": 1.7e308, \"dynatemp_range\": 1e308}",
           {FLT_MAX, -FLT_MAX, 0, 1},
           4,
           false,
           {END},
           {.25, .25, .25, .25}},
          {"{\"temperature\": 1.7e308, \"dynatemp_range\": 1e308}",
           {1, 2, 3, 4},
           4,
           false,
           {END},
           {.25, .25, .25, .25}},
          {"{\"temperature\": 1.7e308, \"dynatemp_range\": 1.7e308, \"dynatemp_exponent\": 0}",
           {FLT_MAX, -FLT_MAX, 0, 1},
           4,
           false,
           {END},
           {.25, .25, .25, .25}},
          {"{\"temperature\": 1.7e308, \"dynatemp_range\": 1.7e308}",
           {FLT_MAX, -FLT_MAX, 0, 1},
           4,
           false,
           {END},
           {1, 0, 0, 0}});
}

static void smoothing_bends_logits(void **state)
{
    CHECK({"{\"smoothing_factor\": 0.5}",
           {.1f, .2f, .3f, .4f},
           4,
           true,
           {END},
           {.122279, .251386, .306689, .319646}});
}

static void entmax_is_sparse(void **state)
{
    CHECK({"{\"entmax_alpha\": 2}", {-2, 0, .5f}, 3, false, {END}, {0, .25, .75}},
          {"{\"entmax_alpha\": 1.5}", {-2, 0, .5f}, 3, false, {END}, {0, .3260, .6740}},
          {"{\"entmax_alpha\": 1}", {-2, 0, .5f}, 3, false, {END}, {.0486, .3592, .5922}});
}

static void mirostat_keeps_tokens_by_surprise(void **state)
{
    /* mu = 2: version 1 has s = .774054, k = 3.1943; version 2 keeps p >= 1/4. */
    CHECK({"{\"mirostat\": 1, \"mirostat_tau\": 1}",
           {.1f, .2f, .3f, .4f},
           4,
           true,
           {END},
           {0, .222222, .333333, .444444}},
          {"{\"mirostat\": 2, \"mirostat_tau\": 1}",
           {.1f, .2f, .3f, .4f},
           4,
           true,
           {END},
           {0, 0, .428571, .571429}},
          {"{\"mirostat\": 2, \"mirostat_tau\": 0}", {.1f, .6f, .3f}, 3, true, {END}, {0, 1, 0}});
}

static void adaptive_p_prefers_its_target(void **state)
{
    /* d = .1 / .3, .1 / .3, .2 / .3: 5 - 10 d^2 / (1 + d) = 4.166667, 4.166667, 2.333333. */
    CHECK({"{\"stages\": [], \"draw\": {\"type\": \"adaptive_p\", \"target\": 0.4}}",
           {.5f, .3f, .2f},
           3,
           true,
           {END},
           {.462988, .462988, .074024}});
}

static void no_repeat_ngram_bans_what_completes_one(void **state)
{
    CHECK({"{\"no_repeat_ngram_size\": 3}",
           {0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
           10,
           false,
           {1, 2, 5, 7, 8, 5, 1, 2, END},
           {1. / 9, 1. / 9, 1. / 9, 1. / 9, 1. / 9, 0, 1. / 9, 1. / 9, 1. / 9, 1. / 9}});
}

static void bad_words_ban_the_end_of_a_sequence(void **state)
{
    CHECK({"{\"bad_words_ids\": [[0], [1, 2, 3], [2, 1], [3, 2, 4]]}",
           {0, 0, 0, 0, 0},
           5,
           false,
           {3, 1, 2, END},
           {0, 0, .5, 0, .5}},
          {"{\"bad_words_ids\": [[1, 2, 3]]}",
           {0, 0, 0, 0},
           4,
           false,
           {2, END},
           {.25, .25, .25, .25}});
}

static void min_tokens_bans_until_enough_came(void **state)
{
    CHECK(
        {"{\"min_tokens\": 2, \"min_tokens_ids\": [1]}", {0, 0}, 2, false, {0, END}, {1, 0}},
        {"{\"min_tokens\": 2, \"min_tokens_ids\": [1]}", {0, 0}, 2, false, {0, 0, END}, {.5, .5}});
}

static void exp_decay_length_raises_more_and_more(void **state)
{
    /* Two tokens beyond start: 1 + 1 * (1.5^2 - 1) = 2.25, and -1 + 1.25 = 0.25. */
    CHECK({"{\"exp_decay_start\": 1, \"exp_decay_factor\": 1.5, \"exp_decay_tokens\": [0, 1]}",
           {1, -1, 0},
           3,
           false,
           {2, 2, 2, END},
           {.805974, .109077, .084949}});
}

static void dry_penalises_what_continues_a_repetition(void **state)
{
    CHECK({"{\"dry_multiplier\": 2, \"dry_base\": 1.1, \"dry_allowed_length\": 2, "
           "\"dry_penalty_last_n\": 5}",
           {0, 0, 0, 0, 0},
           5,
           false,
           {0, 1, 2, 0, 1, END},
           {.241818, .241818, .032727, .241818, .241818}},
          {"{\"dry_multiplier\": 2, \"dry_base\": 1.1, \"dry_sequence_breakers\": [[2]]}",
           {0, 0, 0, 0, 0},
           5,
           false,
           {0, 1, 2, 0, 1, END},
           {.2, .2, .2, .2, .2}},
          {"{\"dry_multiplier\": 2, \"dry_base\": 1.1, \"dry_sequence_breakers\": [[2, 3], [3]]}",
           {0, 0, 0, 0, 0},
           5,
           false,
           {0, 1, 2, 0, 1, END},
           {.241818, .241818, .032727, .241818, .241818}},
          {"{\"dry_multiplier\": 2, \"dry_base\": 1.1, \"dry_sequence_breakers\": [[2, 0]]}",
           {0, 0, 0, 0, 0},
           5,
           false,
           {0, 1, 2, 0, 1, END},
           {.2, .2, .2, .2, .2}},
          {"{\"dry_multiplier\": 2, \"dry_base\": 1, \"dry_allowed_length\": 1, "
           "\"dry_sequence_breakers\": [[2, 0]]}",
           {0, 0, 0, 0, 0},
           5,
           false,
           {0, 1, 2, 0, 1, END},
           {.241818, .241818, .032727, .241818, .241818}},
          {"{\"dry_multiplier\": 2, \"dry_sequence_breakers\": [[0]]}",
           {0, 0, 0, 0, 0},
           5,
           false,
           {0, 1, 2, 0, 1, END},
           {.2, .2, .2, .2, .2}});
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_k_keeps_exactly_k),
        cmocka_unit_test(top_p_keeps_the_shortest_prefix),
        cmocka_unit_test(top_p_honours_min_keep),
        cmocka_unit_test(min_p_is_relative_to_the_best),
        cmocka_unit_test(repeat_divides_positive_and_multiplies_negative_logits),
        cmocka_unit_test(frequency_counts_and_presence_does_not),
        cmocka_unit_test(softmax_examples),
        cmocka_unit_test(the_order_of_stages_matters),
        cmocka_unit_test(zero_temperature_is_the_lowest_of_the_best),
        cmocka_unit_test(biases_add_and_ban),
        cmocka_unit_test(typical_keeps_what_is_as_surprising_as_expected),
        cmocka_unit_test(top_n_sigma_measures_in_deviations),
        cmocka_unit_test(top_n_sigma_is_precise_whatever_a_sample_finds),
        cmocka_unit_test(cutoffs_are_thresholds_on_p),
        cmocka_unit_test(top_h_keeps_a_share_of_the_entropy),
        cmocka_unit_test(tail_free_cuts_where_the_curve_is_straight),
        cmocka_unit_test(xtc_leaves_the_least_of_the_top_choices),
        cmocka_unit_test(dynamic_temperature_follows_the_entropy),
        cmocka_unit_test(smoothing_bends_logits),
        cmocka_unit_test(entmax_is_sparse),
        cmocka_unit_test(mirostat_keeps_tokens_by_surprise),
        cmocka_unit_test(adaptive_p_prefers_its_target),
        cmocka_unit_test(no_repeat_ngram_bans_what_completes_one),
        cmocka_unit_test(bad_words_ban_the_end_of_a_sequence),
        cmocka_unit_test(min_tokens_bans_until_enough_came),
        cmocka_unit_test(exp_decay_length_raises_more_and_more),
        cmocka_unit_test(dry_penalises_what_continues_a_repetition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
