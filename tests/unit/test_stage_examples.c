/*
 * Why: the published results that other engines also give ("checked examples" of docs/stages.md),
 * as numbers that anybody can check by hand. What brute force decides about random rows is in
 * test_exactness.c.
 */
#include "support/test_cases.h"
#include "support/test_samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_TOKENS = 16, END = -1 };

typedef struct example {
    const char *json;
    float in[MAX_TOKENS]; /* logits, or probabilities */
    uint32_t n;
    bool probabilities;
    pluck_token history[8]; /* up to END */
    double out[MAX_TOKENS]; /* p of each token; 0: it must be gone */
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
