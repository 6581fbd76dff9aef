/*
 * Why: what a sampler promises about mistakes and bad data. Every error has an input here that
 * produces it; after each, the sampler must go on exactly as if nothing had been asked.
 */
#include "support/cases.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/samplers.h"

#include <pluck/trace.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 200 };

static pluck_isa isas[TEST_MAX_TABLES];
static unsigned n_isas;

static void normal_logits(float *x, uint32_t n)
{
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 7, n, x);
}

/* All three functions that read logits fail with this status and message, and change nothing. */
static void check_refused(pluck_sampler *sampler, pluck_logits logits, pluck_status status,
                          const char *says)
{
    pluck_error err[4];
    memset(err, 0, sizeof err);
    pluck_token token = -77;
    pluck_draw draw = {-77, -77.0f, 77};
    pluck_prob probs[4] = {{-77, -77.0f}};
    pluck_trace *trace = NULL;
    uint32_t n_total = 77;
    uint64_t position = pluck_sampler_position(sampler);
    assert_int_equal(pluck_sampler_sample(sampler, logits, &token, err), status);
    assert_int_equal(pluck_sampler_draw(sampler, logits, &draw, err + 1), status);
    assert_int_equal(pluck_sampler_distribution(sampler, logits, probs, 4, &n_total, err + 2),
                     status);
    assert_int_equal(pluck_trace_create(&trace, sampler, NULL, NULL), PLUCK_OK);
    assert_int_equal(pluck_trace_run(trace, sampler, logits, NULL, 0, err + 3), status);
    assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), status);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(err[i].status, status);
        if (!strstr(err[i].message, says))
            fail_msg("message %d, \"%s\", does not say \"%s\"", i, err[i].message, says);
        assert_null(strchr(err[i].message, '\n'));
    }
    assert_int_equal(token, -77);
    assert_int_equal(draw.token, -77);
    assert_int_equal(n_total, 77);
    assert_null(pluck_trace_get_report(trace));
    pluck_trace_destroy(&trace);
    assert_int_equal(pluck_sampler_position(sampler), position);
}

static const char *const chain =
    "{\"seed\": 3, \"repeat_penalty\": 1.2, \"top_k\": 90, \"top_p\": 0.9, \"temperature\": 0.7}";

/* A sampler that met an error gives what one that did not meet it gives. */
static void check_unharmed(pluck_sampler *sampler, pluck_isa isa, const pluck_token *history,
                           size_t n_history)
{
    float x[N];
    normal_logits(x, N);
    pluck_logits logits = {x, PLUCK_F32, N};
    pluck_sampler *fresh = test_sampler(chain, N, isa, 0);
    test_accept(fresh, history, n_history);
    test_distribution a = test_distribution_of(sampler, logits);
    test_distribution b = test_distribution_of(fresh, logits);
    assert_int_equal(a.status, PLUCK_OK);
    assert_true(test_distribution_equal(&a, &b));
    pluck_token s, t;
    assert_int_equal(pluck_sampler_sample(sampler, logits, &s, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_sample(fresh, logits, &t, NULL), PLUCK_OK);
    assert_int_equal(s, t);
    test_distribution_free(&a);
    test_distribution_free(&b);
    pluck_sampler_destroy(&fresh);
}

static void every_bad_logit_is_found_and_the_first_one_named(void **state)
{
    (void)state;
    static const pluck_dtype dtypes[] = {PLUCK_F32, PLUCK_F16, PLUCK_BF16};
    static const uint32_t sizes[] = {1, 17, 64, 65, 127, N};
    const float bad[] = {NAN, -NAN, HUGE_VALF};
    float x[N];
    normal_logits(x, N);
    for (unsigned k = 0; k < n_isas; k++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int d = 0; d < 3; d++) {
                uint32_t n = sizes[s];
                pluck_sampler *sampler = test_sampler("{}", n, isas[k], 0);
                logit_row row = logit_row_make(x, n, dtypes[d], s % 4);
                for (uint32_t i = 0; i < n; i++) {
                    float value = bad[i % 3], kept = row.exact[i];
                    logit_row_set(&row, i, value);
                    char says[64];
                    snprintf(says, sizeof says, "token %u is %s;", i,
                             isnan(value) ? "NaN" : "+inf");
                    check_refused(sampler, row.logits, PLUCK_ERR_NAN, says);
                    float later = row.exact[n - 1];
                    logit_row_set(&row, n - 1, i + 1 < n ? NAN : value);
                    check_refused(sampler, row.logits, PLUCK_ERR_NAN, says);
                    logit_row_set(&row, n - 1, later);
                    logit_row_set(&row, i, kept);
                }
                logit_row_destroy(&row);
                pluck_sampler_destroy(&sampler);
            }
}

static void bad_logits_can_be_banned(void **state)
{
    (void)state;
    float x[N], clean[N];
    normal_logits(x, N);
    memcpy(clean, x, sizeof x);
    for (uint32_t i = 0; i < N; i += 7) {
        x[i] = i % 2 ? NAN : HUGE_VALF;
        clean[i] = -HUGE_VALF;
    }
    static const char *const banning[] = {
        "{\"on_nan\": \"ban\"}",
        "{\"on_nan\": \"ban\", \"top_k\": 20}",
        "{\"on_nan\": \"ban\", \"temperature\": 0}",
        "{\"on_nan\": \"ban\", \"top_p\": 0.8, \"logit_bias\": {\"3\": 2, \"7\": 5, \"8\": false}}",
    };
    for (unsigned k = 0; k < n_isas; k++)
        for (size_t c = 0; c < sizeof banning / sizeof *banning; c++) {
            pluck_sampler *sampler = test_sampler(banning[c], N, isas[k], 0);
            test_distribution a = test_distribution_of(sampler, (pluck_logits){x, PLUCK_F32, N});
            test_distribution b =
                test_distribution_of(sampler, (pluck_logits){clean, PLUCK_F32, N});
            assert_int_equal(a.status, PLUCK_OK);
            assert_int_equal(a.n, b.n);
            for (uint32_t i = 0; i < a.n; i++) {
                assert_int_equal(a.probs[i].token, b.probs[i].token);
                assert_true(fabsf(a.probs[i].prob - b.probs[i].prob) <= 1e-6f * b.probs[i].prob);
            }
            test_distribution_free(&a);
            test_distribution_free(&b);
            for (uint32_t i = 0; i < N; i++)
                clean[i] = i % 2 ? NAN : HUGE_VALF;
            check_refused(sampler, (pluck_logits){clean, PLUCK_F32, N}, PLUCK_ERR_EMPTY,
                          "no token can be chosen");
            normal_logits(clean, N);
            for (uint32_t i = 0; i < N; i += 7)
                clean[i] = -HUGE_VALF;
            pluck_sampler_destroy(&sampler);
        }
}

static void nothing_left_to_choose_is_an_error_of_its_own(void **state)
{
    (void)state;
    float x[N];
    for (int i = 0; i < N; i++)
        x[i] = -HUGE_VALF;
    for (unsigned k = 0; k < n_isas; k++) {
        pluck_sampler *sampler = test_sampler(chain, N, isas[k], 0);
        static const pluck_token history[] = {5, 6, 5};
        test_accept(sampler, history, 3);
        check_refused(sampler, (pluck_logits){x, PLUCK_F32, N}, PLUCK_ERR_EMPTY,
                      "all 200 logits are -inf");
        check_unharmed(sampler, isas[k], history, 3);
        pluck_sampler_destroy(&sampler);
        float y[3] = {1, -HUGE_VALF, 2};
        sampler = test_sampler("{\"logit_bias\": {\"0\": false, \"2\": null}}", 3, isas[k], 0);
        check_refused(sampler, (pluck_logits){y, PLUCK_F32, 3}, PLUCK_ERR_EMPTY, "logit_bias: ");
        y[1] = -5;
        pluck_token token;
        assert_int_equal(
            pluck_sampler_sample(sampler, (pluck_logits){y, PLUCK_F32, 3}, &token, NULL), PLUCK_OK);
        assert_int_equal(token, 1);
        pluck_sampler_destroy(&sampler);
        sampler = test_sampler("{\"stages\": [{\"type\": \"top_k\", \"k\": 2}, {\"type\": "
                               "\"logit_bias\", \"bias\": {\"0\": false, \"2\": null}}]}",
                               3, isas[k], 0);
        check_refused(sampler, (pluck_logits){y, PLUCK_F32, 3}, PLUCK_ERR_EMPTY, "logit_bias: ");
        pluck_sampler_destroy(&sampler);
    }
}

static void logits_of_the_wrong_shape_are_refused(void **state)
{
    (void)state;
    float x[N + 1];
    normal_logits(x, N + 1);
    static const pluck_token history[] = {1, 2};
    for (unsigned k = 0; k < n_isas; k++) {
        pluck_sampler *sampler = test_sampler(chain, N, isas[k], 0);
        test_accept(sampler, history, 2);
        check_refused(sampler, (pluck_logits){x, PLUCK_F32, N + 1}, PLUCK_ERR_INVALID, "201");
        check_refused(sampler, (pluck_logits){x, PLUCK_F32, N - 1}, PLUCK_ERR_INVALID, "199");
        check_refused(sampler, (pluck_logits){x, PLUCK_F32, 0}, PLUCK_ERR_INVALID, "0 logits");
        check_refused(sampler, (pluck_logits){NULL, PLUCK_F32, N}, PLUCK_ERR_INVALID, "NULL");
        check_refused(sampler, (pluck_logits){x, (pluck_dtype)3, N}, PLUCK_ERR_INVALID, "dtype 3");
        check_refused(sampler, (pluck_logits){x, (pluck_dtype)-1, N}, PLUCK_ERR_INVALID, "dtype");
        check_unharmed(sampler, isas[k], history, 2);
        pluck_sampler_destroy(&sampler);
    }
}

static void null_objects_are_invalid_and_never_followed(void **state)
{
    (void)state;
    float x[N];
    normal_logits(x, N);
    pluck_logits logits = {x, PLUCK_F32, N};
    pluck_sampler *sampler = test_sampler(chain, N, test_isa(), 0), *none = NULL;
    pluck_config *config = test_config("{}");
    pluck_token token;
    pluck_draw draw;
    pluck_prob prob;
    pluck_trace *trace = NULL;
    assert_int_equal(pluck_trace_create(&trace, sampler, NULL, NULL), PLUCK_OK);
    uint32_t n32;
    pluck_error err;
    pluck_sampler_info info = PLUCK_INIT(pluck_sampler_info);
    const pluck_status results[] = {
        pluck_sampler_sample(NULL, logits, &token, &err),
        pluck_sampler_sample(sampler, logits, NULL, &err),
        pluck_sampler_draw(NULL, logits, &draw, &err),
        pluck_sampler_draw(sampler, logits, NULL, &err),
        pluck_sampler_draw_many(NULL, logits, 1, &draw, &err),
        pluck_sampler_draw_many(sampler, logits, 1, NULL, &err),
        pluck_sampler_draw_many(sampler, logits, 0, &draw, &err),
        pluck_sampler_distribution(NULL, logits, &prob, 1, &n32, &err),
        pluck_sampler_distribution(sampler, logits, NULL, 1, &n32, &err),
        pluck_sampler_distribution(sampler, logits, &prob, 1, NULL, &err),
        pluck_trace_run(trace, NULL, logits, NULL, 0, &err),
        pluck_trace_run(trace, sampler, logits, NULL, 1, &err),
        pluck_trace_run(NULL, sampler, logits, NULL, 0, &err),
        pluck_trace_create(NULL, sampler, NULL, &err),
        pluck_sampler_accept(NULL, 0, &err),
        pluck_sampler_rewind(NULL, 0, &err),
        pluck_sampler_reset(NULL, &err),
        pluck_sampler_next(NULL, logits, &token, &err),
        pluck_sampler_next(sampler, logits, NULL, &err),
        pluck_sampler_accept_many(NULL, &token, 1, &err),
        pluck_sampler_accept_many(sampler, NULL, 1, &err),
        pluck_sampler_prompt(NULL, &token, 1, &err),
        pluck_sampler_prompt(sampler, NULL, 1, &err),
        pluck_sampler_start(NULL, 0, 0, &err),
        pluck_sampler_get_info(NULL, &info, &err),
        pluck_sampler_get_info(sampler, NULL, &err),
        pluck_sampler_set_position(NULL, 0, &err),
        pluck_sampler_clone(NULL, sampler, &err),
        pluck_sampler_clone(&none, NULL, &err),
        pluck_sampler_create(NULL, config, N, NULL, &err),
        pluck_sampler_create(&none, NULL, N, NULL, &err),
        pluck_sampler_from_json(NULL, "{}", 2, N, &err),
        pluck_sampler_from_json(&none, NULL, 2, N, &err),
    };
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i] != PLUCK_ERR_INVALID)
            fail_msg("call %zu gave %s", i, pluck_status_name(results[i]));
    assert_null(none);
    pluck_sampler_destroy(NULL);
    pluck_sampler_destroy(&none);
    check_unharmed(sampler, test_isa(), NULL, 0);
    pluck_trace_destroy(&trace);
    pluck_config_destroy(&config);
    pluck_sampler_destroy(&sampler);
    assert_null(sampler);
}

static void what_cannot_be_created_is_null(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint32_t n_vocab;
        int isa;
        pluck_status status;
        const char *says;
    } cases[] = {
        {"{}", 0, 0, PLUCK_ERR_INVALID, "n_vocab = 0"},
        {"{}", PLUCK_MAX_VOCAB + 1, 0, PLUCK_ERR_INVALID, "n_vocab = 16777217"},
        {"{}", 10, 99, PLUCK_ERR_INVALID, "instruction set"},
        {"{\"logit_bias\": {\"10\": 1}}", 10, 0, PLUCK_ERR_CONFIG, "token 10"},
    };
    pluck_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_config *config = test_config(cases[i].json);
        pluck_sampler *sampler = (pluck_sampler *)&err;
        pluck_sampler_options options = {.struct_size = sizeof options,
                                         .isa = (pluck_isa)cases[i].isa};
        assert_int_equal(pluck_sampler_create(&sampler, config, cases[i].n_vocab, &options, &err),
                         cases[i].status);
        assert_non_null(strstr(err.message, cases[i].says));
        assert_null(sampler);
        pluck_config_destroy(&config);
    }
    pluck_config *config = test_config("{}");
    for (int isa = PLUCK_ISA_BEST; pluck_isa_name((pluck_isa)isa); isa++) {
        pluck_sampler *sampler = (pluck_sampler *)&err;
        pluck_sampler_options options = {.struct_size = sizeof options, .isa = (pluck_isa)isa};
        bool supported = pluck_isa_supported((pluck_isa)isa);
        assert_int_equal(pluck_sampler_create(&sampler, config, 10, &options, &err),
                         supported ? PLUCK_OK : PLUCK_ERR_INVALID);
        if (supported && isa != PLUCK_ISA_BEST)
            assert_int_equal(test_info_of(sampler).isa, isa);
        if (supported)
            assert_int_not_equal(test_info_of(sampler).isa, PLUCK_ISA_BEST);
        else
            assert_null(sampler);
        pluck_sampler_destroy(&sampler);
    }
    pluck_config_destroy(&config);
    pluck_sampler *sampler = (pluck_sampler *)&err;
    assert_int_equal(pluck_sampler_from_json(&sampler, "{\"top_q\": 1}", 12, 10, &err),
                     PLUCK_ERR_CONFIG);
    assert_null(sampler);
}

static void tokens_outside_the_vocabulary_are_refused(void **state)
{
    (void)state;
    static const pluck_token bad[] = {-1, N, INT32_MIN, INT32_MAX};
    static const pluck_token history[] = {0, N - 1};
    pluck_sampler *sampler = test_sampler(chain, N, test_isa(), 0);
    test_accept(sampler, history, 2);
    pluck_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(pluck_sampler_accept(sampler, bad[i], &err), PLUCK_ERR_INVALID);
        assert_non_null(strstr(err.message, "outside [0, 199]"));
    }
    assert_int_equal(pluck_sampler_position(sampler), 2);
    check_unharmed(sampler, test_isa(), history, 2);
    pluck_sampler_destroy(&sampler);
}

static void rewinding_too_far_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    pluck_token history[40];
    for (int i = 0; i < 40; i++)
        history[i] = i % 11;
    pluck_config *config = test_config(chain);
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {
        .struct_size = sizeof options, .isa = test_isa(), .max_rewind = 8};
    assert_int_equal(pluck_sampler_create(&sampler, config, N, &options, NULL), PLUCK_OK);
    pluck_config_destroy(&config);
    test_accept(sampler, history, 5);
    assert_int_equal(pluck_sampler_rewind(sampler, 6, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_rewind(sampler, UINT32_MAX, NULL), PLUCK_ERR_INVALID);
    check_unharmed(sampler, test_isa(), history, 5);
    test_accept(sampler, history + 5, 35);
    assert_int_equal(pluck_sampler_rewind(sampler, 9, NULL), PLUCK_ERR_INVALID);
    check_unharmed(sampler, test_isa(), history, 40);
    assert_int_equal(pluck_sampler_rewind(sampler, 0, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_rewind(sampler, 8, NULL), PLUCK_OK);
    check_unharmed(sampler, test_isa(), history, 32);
    assert_int_equal(pluck_sampler_set_position(sampler, 2, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_rewind(sampler, 3, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_position(sampler), 2);
    pluck_sampler_destroy(&sampler);
}

static void distribution_writes_no_more_than_its_capacity(void **state)
{
    (void)state;
    float x[N];
    normal_logits(x, N);
    pluck_logits logits = {x, PLUCK_F32, N};
    for (unsigned k = 0; k < n_isas; k++) {
        pluck_sampler *sampler = test_sampler("{\"min_p\": 0.001}", N, isas[k], 0);
        test_distribution all = test_distribution_of(sampler, logits);
        assert_in_range(all.n, 3, N - 1);
        for (uint32_t capacity = 0; capacity <= all.n + 1; capacity++) {
            pluck_prob probs[N + 1];
            memset(probs, 0x5A, sizeof probs);
            uint32_t n = 0;
            assert_int_equal(pluck_sampler_distribution(sampler, logits, capacity ? probs : NULL,
                                                        capacity, &n, NULL),
                             PLUCK_OK);
            assert_int_equal(n, all.n);
            uint32_t written = capacity < n ? capacity : n;
            assert_memory_equal(probs, all.probs, written * sizeof *probs);
            assert_int_equal(probs[written].token, 0x5A5A5A5A);
        }
        test_distribution_free(&all);
        pluck_sampler_destroy(&sampler);
    }
}

static void a_sampler_says_what_it_is(void **state)
{
    (void)state;
    pluck_sampler *sampler = test_sampler("{\"seed\": 18446744073709551615}", 77, test_isa(), 9);
    pluck_sampler_info info = test_info_of(sampler);
    assert_int_equal(info.n_vocab, 77);
    assert_int_equal(info.max_rewind, PLUCK_DEFAULT_MAX_REWIND);
    assert_true(info.seed == UINT64_MAX);
    assert_int_equal(info.stream, 9);
    assert_int_equal(info.position, 0);
    assert_int_equal(info.n_prompt, 0);
    assert_int_equal(info.n_history, 0);
    assert_int_equal(pluck_sampler_prompt(sampler, (const pluck_token[]){8, 9, 8}, 3, NULL),
                     PLUCK_OK);
    test_accept(sampler, (const pluck_token[]){3, 4}, 2);
    info = test_info_of(sampler);
    assert_int_equal(info.position, 5);
    assert_int_equal(pluck_sampler_position(sampler), 5);
    assert_int_equal(info.n_prompt, 3);
    assert_int_equal(info.n_history, 5);
    assert_int_equal(pluck_sampler_start(sampler, 4, 5, NULL), PLUCK_OK);
    info = test_info_of(sampler);
    assert_int_equal(info.seed, 4);
    assert_int_equal(info.stream, 5);
    assert_int_equal(info.position, 0);
    assert_int_equal(info.n_prompt, 0);
    assert_int_equal(pluck_sampler_set_position(sampler, UINT64_MAX, NULL), PLUCK_OK);
    assert_true(pluck_sampler_position(sampler) == UINT64_MAX);
    pluck_sampler_destroy(&sampler);
}

/* penalties, dry and a draw that learns: what was drawn, and in which order, matters. */
static const char learning[] =
    "{\"seed\": 3, \"draw\": \"mirostat_v2\", \"repeat_penalty\": 1.3, \"repeat_last_n\": -1, "
    "\"dry_multiplier\": 0.8, \"min_tokens\": 4, \"min_tokens_ids\": [3, 7]}";

static void check_same_state(const pluck_sampler *a, const pluck_sampler *b)
{
    static char of_a[1 << 16], of_b[1 << 16];
    size_t n_a = 0, n_b = 0;
    assert_int_equal(pluck_sampler_save(a, of_a, sizeof of_a, &n_a, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_save(b, of_b, sizeof of_b, &n_b, NULL), PLUCK_OK);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(of_a, of_b, n_a);
}

static void next_samples_and_accepts(void **state)
{
    (void)state;
    float x[N];
    normal_logits(x, N);
    pluck_logits logits = {x, PLUCK_F32, N};
    pluck_sampler *one = test_sampler(learning, N, test_isa(), 0);
    pluck_sampler *two = test_sampler(learning, N, test_isa(), 0);
    for (int i = 0; i < 50; i++) {
        pluck_token token = -1, next = -2;
        assert_int_equal(pluck_sampler_sample(one, logits, &token, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_accept(one, token, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_next(two, logits, &next, NULL), PLUCK_OK);
        assert_int_equal(token, next);
    }
    check_same_state(one, two);
    x[5] = NAN;
    pluck_token token = -77;
    assert_int_equal(pluck_sampler_next(two, logits, &token, NULL), PLUCK_ERR_NAN);
    assert_int_equal(token, -77);
    check_same_state(one, two);
    pluck_sampler_destroy(&one);
    pluck_sampler_destroy(&two);
}

/* The first of many may be what was drawn: then a draw that learns learns from it. */
static void many_tokens_are_accepted_as_one_by_one_or_not_at_all(void **state)
{
    (void)state;
    enum { LENGTH = 3000, TURN = 100 };
    static pluck_token tokens[LENGTH];
    float x[N];
    normal_logits(x, N);
    pluck_logits logits = {x, PLUCK_F32, N};
    pluck_sampler *one = test_sampler(learning, N, test_isa(), 0);
    pluck_sampler *many = test_sampler(learning, N, test_isa(), 0);
    for (int i = 0; i < LENGTH; i++)
        tokens[i] = i * 7 % N;
    pluck_sampler_sample(one, logits, tokens, NULL);
    pluck_sampler_sample(many, logits, tokens, NULL);
    test_accept(one, tokens, LENGTH - TURN);
    assert_int_equal(pluck_sampler_accept_many(many, tokens, LENGTH - TURN, NULL), PLUCK_OK);
    check_same_state(one, many);
    const pluck_token *turn = tokens + LENGTH - TURN;
    for (int i = 0; i < TURN; i++)
        assert_int_equal(pluck_sampler_prompt(one, turn + i, 1, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_prompt(many, turn, TURN, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_accept_many(many, NULL, 0, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_prompt(many, NULL, 0, NULL), PLUCK_OK);
    check_same_state(one, many);
    tokens[LENGTH - 1] = N;
    assert_int_equal(pluck_sampler_accept_many(many, tokens, LENGTH, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_prompt(many, tokens, LENGTH, NULL), PLUCK_ERR_INVALID);
    check_same_state(one, many);
    pluck_sampler_destroy(&one);
    pluck_sampler_destroy(&many);
}

/* What a struct of this size means, in a buffer that has more room. */
typedef union grown_struct {
    size_t struct_size;
    pluck_sampler_options options;
    pluck_sampler_info info;
    char bytes[512];
} grown_struct;

static pluck_status create_with(const grown_struct *given, pluck_error *err)
{
    pluck_config *config = test_config("{}");
    pluck_sampler *sampler = NULL;
    pluck_status status = pluck_sampler_create(&sampler, config, 10, &given->options, err);
    assert_int_equal(sampler != NULL, status == PLUCK_OK);
    if (sampler)
        assert_int_equal(test_info_of(sampler).max_rewind, 5);
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    return status;
}

static void structs_of_other_sizes_are_read_and_written_to_their_end(void **state)
{
    (void)state;
    grown_struct given = {.bytes = {0}};
    given.options = (pluck_sampler_options){.struct_size = sizeof given.options, .max_rewind = 5};
    pluck_error err = {.status = PLUCK_OK};
    given.struct_size = 0;
    assert_int_equal(create_with(&given, &err), PLUCK_ERR_INVALID);
    assert_string_equal(err.message, "options.struct_size is 0; initialise it with "
                                     "PLUCK_INIT(pluck_sampler_options)");
    given.struct_size = sizeof given.options - 1;
    assert_int_equal(create_with(&given, &err), PLUCK_OK);
    given.struct_size = sizeof given.options + 64;
    assert_int_equal(create_with(&given, &err), PLUCK_OK);
    given.bytes[sizeof given.options + 63] = 1;
    assert_int_equal(create_with(&given, &err), PLUCK_ERR_INVALID);

    pluck_sampler *sampler = test_sampler("{}", 77, test_isa(), 9);
    for (size_t size = sizeof(size_t); size <= sizeof given.info + 64; size++) {
        memset(&given, 0x5A, sizeof given);
        given.struct_size = size;
        assert_int_equal(pluck_sampler_get_info(sampler, &given.info, &err), PLUCK_OK);
        assert_int_equal(given.struct_size, size);
        assert_int_equal(given.bytes[size], 0x5A);
        if (size >= sizeof given.info)
            assert_int_equal(given.info.isa, test_info_of(sampler).isa);
        for (size_t i = sizeof given.info; i < size; i++)
            assert_int_equal(given.bytes[i], 0);
    }
    given.struct_size = 0;
    assert_int_equal(pluck_sampler_get_info(sampler, &given.info, &err), PLUCK_ERR_INVALID);
    pluck_sampler_destroy(&sampler);
}

static int setup(void **state)
{
    (void)state;
    n_isas = test_all_isas(isas);
    return 0;
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_logit_is_found_and_the_first_one_named),
        cmocka_unit_test(bad_logits_can_be_banned),
        cmocka_unit_test(nothing_left_to_choose_is_an_error_of_its_own),
        cmocka_unit_test(logits_of_the_wrong_shape_are_refused),
        cmocka_unit_test(null_objects_are_invalid_and_never_followed),
        cmocka_unit_test(what_cannot_be_created_is_null),
        cmocka_unit_test(tokens_outside_the_vocabulary_are_refused),
        cmocka_unit_test(rewinding_too_far_is_refused_and_changes_nothing),
        cmocka_unit_test(distribution_writes_no_more_than_its_capacity),
        cmocka_unit_test(a_sampler_says_what_it_is),
        cmocka_unit_test(structs_of_other_sizes_are_read_and_written_to_their_end),
        cmocka_unit_test(next_samples_and_accepts),
        cmocka_unit_test(many_tokens_are_accepted_as_one_by_one_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
