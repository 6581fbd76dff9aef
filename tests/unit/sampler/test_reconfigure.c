/*
 * Why: what a changed configuration does beyond what the random laws of reconfigure compare: what
 * draws have learnt, what is dropped, messages, and that a failure changes nothing.
 */
#include "support/cases.h"
#include "support/logit_cases.h"
#include "support/samplers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VOCAB = 100, MAX_BYTES = 1 << 14 };

static float x[N_VOCAB];

static pluck_logits logits(void)
{
    return (pluck_logits){x, PLUCK_F32, N_VOCAB};
}

static pluck_status reconfigure(pluck_sampler *sampler, const char *json, pluck_error *err)
{
    pluck_config *config = test_config(json);
    pluck_status status = pluck_sampler_reconfigure(sampler, config, err);
    pluck_config_destroy(&config);
    return status;
}

static pluck_sampler *sampler_of(const char *json)
{
    return test_sampler(json, N_VOCAB, PLUCK_ISA_BEST, 3);
}

/* n tokens that are drawn and accepted. */
static void play(pluck_sampler *sampler, int n)
{
    for (int i = 0; i < n; i++) {
        pluck_token token = -1;
        assert_int_equal(pluck_sampler_next(sampler, logits(), &token, NULL), PLUCK_OK);
    }
}

typedef struct saved {
    unsigned char bytes[MAX_BYTES];
    size_t n;
} saved;

static saved save(const pluck_sampler *sampler)
{
    saved s;
    assert_int_equal(pluck_sampler_save(sampler, s.bytes, sizeof s.bytes, &s.n, NULL), PLUCK_OK);
    return s;
}

static void check_equal(const saved *a, const saved *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->bytes, b->bytes, a->n);
}

/* The state of the draw is the end of the bytes: mu and 0, now and before each of the n tokens. */
static double mu_of(const pluck_sampler *sampler, size_t n)
{
    saved s = save(sampler);
    double mu;
    memcpy(&mu, s.bytes + s.n - 8 - 16 * (n + 1), sizeof mu);
    return mu;
}

/* mu goes on if the draw stays as it is, whatever the other stages; else it starts anew, and
 * rewinding does not bring the old one back. */
static void what_a_draw_has_learnt_stays_with_its_parameters(void **state)
{
    (void)state;
    enum { N = 20 };
    pluck_sampler *sampler = sampler_of("{\"mirostat\": 2, \"mirostat_tau\": 3}");
    play(sampler, N);
    double mu = mu_of(sampler, N);
    assert_true(mu < 6 || mu > 6);
    assert_int_equal(
        reconfigure(sampler, "{\"mirostat\": 2, \"mirostat_tau\": 3, \"top_k\": 9}", NULL),
        PLUCK_OK);
    assert_true(mu_of(sampler, N) <= mu && mu_of(sampler, N) >= mu);
    pluck_token drawn = -1;
    assert_int_equal(pluck_sampler_sample(sampler, logits(), &drawn, NULL), PLUCK_OK);
    assert_int_equal(
        reconfigure(sampler, "{\"mirostat\": 2, \"mirostat_tau\": 4, \"top_k\": 9}", NULL),
        PLUCK_OK);
    /* The token was drawn by the old draw: the new one learns nothing from it. */
    assert_int_equal(pluck_sampler_accept(sampler, drawn, NULL), PLUCK_OK);
    assert_true(mu_of(sampler, N + 1) <= 8 && mu_of(sampler, N + 1) >= 8);
    play(sampler, 3);
    assert_true(mu_of(sampler, N + 4) < 8 || mu_of(sampler, N + 4) > 8);
    assert_int_equal(pluck_sampler_rewind(sampler, 10, NULL), PLUCK_OK);
    assert_true(mu_of(sampler, N - 6) <= 8 && mu_of(sampler, N - 6) >= 8);
    pluck_sampler_destroy(&sampler);
}

/* A token that was drawn before the call is learnt from after it if the draw is the same. */
static void a_drawn_token_is_remembered_by_the_same_draw(void **state)
{
    (void)state;
    pluck_sampler *with = sampler_of("{\"mirostat\": 2}"),
                  *without = sampler_of("{\"mirostat\": 2}");
    for (int i = 0; i < 5; i++) {
        pluck_token token = -1;
        assert_int_equal(pluck_sampler_sample(with, logits(), &token, NULL), PLUCK_OK);
        assert_int_equal(reconfigure(with, "{\"mirostat\": 2, \"temperature\": 0.5}", NULL),
                         PLUCK_OK);
        assert_int_equal(reconfigure(with, "{\"mirostat\": 2}", NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_accept(with, token, NULL), PLUCK_OK);
        play(without, 1);
        saved a = save(with), b = save(without);
        check_equal(&a, &b);
    }
    pluck_sampler_destroy(&with);
    pluck_sampler_destroy(&without);
}

static void the_message_says_what_is_missing(void **state)
{
    (void)state;
    pluck_sampler *sampler = sampler_of("{}");
    for (int i = 0; i < 4000; i++)
        test_accept(sampler, &(pluck_token){i % N_VOCAB}, 1);
    saved before = save(sampler);
    pluck_error err = {.message = ""};
    assert_int_equal(
        reconfigure(sampler, "{\"repeat_penalty\": 1.1, \"repeat_last_n\": 512}", &err),
        PLUCK_ERR_INVALID);
    assert_string_equal(err.message, "the new configuration needs the last 512 tokens, 256 of 4000 "
                                     "were kept; create the sampler with keep_history");
    assert_int_equal(reconfigure(sampler, "{\"repeat_penalty\": 1.1, \"repeat_last_n\": -1}", &err),
                     PLUCK_ERR_INVALID);
    assert_string_equal(err.message, "the new configuration needs all tokens, 256 of 4000 were "
                                     "kept; create the sampler with keep_history");
    assert_int_equal(reconfigure(sampler, "{\"logit_bias\": {\"100\": 1}}", &err),
                     PLUCK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "token 100 is outside the vocabulary"));
    saved after = save(sampler);
    check_equal(&before, &after);
    /* What is there is enough for this, and for a rewind that leaves the window. */
    assert_int_equal(
        reconfigure(sampler, "{\"repeat_penalty\": 1.1, \"repeat_last_n\": 200}", &err), PLUCK_OK);
    assert_int_equal(pluck_sampler_rewind(sampler, 57, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_rewind(sampler, 56, NULL), PLUCK_OK);
    pluck_sampler_destroy(&sampler);
}

/* Seed, stream and position stay; the mask goes; what is done about NaN is the new one's. */
static void the_sequence_stays_and_the_mask_goes(void **state)
{
    (void)state;
    pluck_sampler *sampler = sampler_of("{\"seed\": 5}");
    play(sampler, 7);
    int32_t words[4] = {1, 0, 0, 0}; /* token 0 alone */
    assert_int_equal(pluck_sampler_set_mask(sampler, words, 4, NULL), PLUCK_OK);
    assert_int_equal(
        reconfigure(sampler, "{\"seed\": 6, \"on_nan\": \"ban\", \"top_k\": 50}", NULL), PLUCK_OK);
    pluck_sampler_info info = test_info_of(sampler);
    assert_int_equal(info.seed, 5);
    assert_int_equal(info.stream, 3);
    assert_int_equal(info.position, 7);
    test_distribution all = test_distribution_of(sampler, logits());
    assert_int_equal(all.n, 50);
    test_distribution_free(&all);
    float y[N_VOCAB];
    memcpy(y, x, sizeof y);
    y[3] = (float)strtod("nan", NULL);
    pluck_token token = -1;
    pluck_logits bad = {y, PLUCK_F32, N_VOCAB};
    assert_int_equal(pluck_sampler_sample(sampler, bad, &token, NULL), PLUCK_OK);
    assert_int_equal(reconfigure(sampler, "{}", NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_sample(sampler, bad, &token, NULL), PLUCK_ERR_NAN);
    pluck_sampler_destroy(&sampler);
}

/* A mask acts where the new configuration puts it: with top_k before it, on the one token left. */
static void a_mask_acts_where_the_new_configuration_says(void **state)
{
    (void)state;
    pluck_sampler *sampler = sampler_of("{}");
    uint32_t best = 0;
    for (uint32_t i = 1; i < N_VOCAB; i++)
        best = x[i] > x[best] ? i : best;
    int32_t words[4] = {0, 0, 0, 0};
    words[(best ^ 1) / 32] = (int32_t)(UINT32_C(1) << (best ^ 1) % 32);
    pluck_token token = -1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(reconfigure(sampler,
                                     "{\"stages\": [{\"type\": \"top_k\", \"k\": 1}, "
                                     "{\"type\": \"mask\"}]}",
                                     NULL),
                         PLUCK_OK);
        assert_int_equal(pluck_sampler_set_mask(sampler, words, 4, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_sample(sampler, logits(), &token, NULL), PLUCK_ERR_EMPTY);
        const char *masks_first = i == 0 ? "{\"top_k\": 1}"
                                         : "{\"stages\": [{\"type\": \"mask\"}, {\"type\": "
                                           "\"top_k\", \"k\": 1}]}";
        assert_int_equal(reconfigure(sampler, masks_first, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_set_mask(sampler, words, 4, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_sample(sampler, logits(), &token, NULL), PLUCK_OK);
        assert_int_equal(token, best ^ 1);
    }
    pluck_sampler_destroy(&sampler);
}

/* From the whole history to a window: memory does not go on growing, and nothing is dropped at
 * once. */
static void the_history_is_never_shortened(void **state)
{
    (void)state;
    pluck_sampler *sampler = sampler_of("{\"repeat_penalty\": 1.1, \"repeat_last_n\": -1}");
    for (int i = 0; i < 5000; i++)
        test_accept(sampler, &(pluck_token){i % N_VOCAB}, 1);
    assert_int_equal(pluck_sampler_history(sampler, NULL, 0), 5000);
    assert_int_equal(reconfigure(sampler, "{}", NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_history(sampler, NULL, 0), 5000);
    assert_int_equal(reconfigure(sampler, "{\"no_repeat_ngram_size\": 3}", NULL), PLUCK_OK);
    assert_int_equal(reconfigure(sampler, "{}", NULL), PLUCK_OK);
    for (int i = 5000; i < 20000; i++)
        test_accept(sampler, &(pluck_token){i % N_VOCAB}, 1);
    assert_int_equal(pluck_sampler_history(sampler, NULL, 0), 8192);
    pluck_sampler_destroy(&sampler);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 7, N_VOCAB, x);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_draw_has_learnt_stays_with_its_parameters),
        cmocka_unit_test(a_drawn_token_is_remembered_by_the_same_draw),
        cmocka_unit_test(the_message_says_what_is_missing),
        cmocka_unit_test(the_sequence_stays_and_the_mask_goes),
        cmocka_unit_test(a_mask_acts_where_the_new_configuration_says),
        cmocka_unit_test(the_history_is_never_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
