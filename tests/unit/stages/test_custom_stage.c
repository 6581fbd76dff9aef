/*
 * Why: an application's stage runs inside a sampler's loop, on a view whose invariants the library
 * relies on, and takes part in cloning, rewinding and saving. Stages written here through the
 * public functions alone must be, bit for bit, what the library's own stages are, on any row, after
 * any walk; and a table that breaks a rule must be refused before it can do harm.
 */
#include "support/allocator.h"
#include "support/cases.h"
#include "support/config_parts.h"
#include "support/custom_stages.h"
#include "support/fp.h"
#include "support/logit_cases.h"
#include "support/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static pluck_registry *registry;

/* A state that counts how many of its kind live, fails to be made on request, and notes in which
 * floating-point environment its functions run. */
static struct {
    int n_live, n_creates, n_clones;
    int fail_create, fail_clone; /* which of these calls fails; 0: none */
    uint64_t expected_control;
    int wrong_modes;
} fragile;

static void note_mode(void)
{
    fragile.wrong_modes += test_fp_control() != fragile.expected_control;
}

static pluck_status make_fragile(void **state, bool fails, const char *what, pluck_error *err)
{
    note_mode();
    *state = NULL;
    if (fails) {
        err->status = PLUCK_ERR_IO;
        snprintf(err->message, sizeof err->message, "fragile: cannot %s", what);
        return PLUCK_ERR_IO;
    }
    *state = malloc(1);
    assert_non_null(*state);
    fragile.n_live++;
    return PLUCK_OK;
}

static pluck_status create_fragile(void **state, const void *params, uint32_t n_vocab,
                                   uint32_t max_rewind, pluck_error *err)
{
    (void)params;
    (void)n_vocab;
    (void)max_rewind;
    return make_fragile(state, ++fragile.n_creates == fragile.fail_create, "create", err);
}

static pluck_status clone_fragile(void **out, const void *state, pluck_error *err)
{
    assert_non_null(state);
    return make_fragile(out, ++fragile.n_clones == fragile.fail_clone, "clone", err);
}

static void destroy_fragile(void *state)
{
    assert_non_null(state);
    fragile.n_live--;
    free(state);
}

static void reset_fragile(void *state)
{
    (void)state;
    note_mode();
}

static void move_fragile(const void *params, void *state, const pluck_context *context)
{
    (void)params;
    (void)state;
    (void)context;
    note_mode();
}

static size_t save_fragile(const void *params, const void *state, void *bytes,
                           size_t capacity_bytes)
{
    (void)params;
    (void)state;
    (void)bytes;
    (void)capacity_bytes;
    note_mode();
    return 0;
}

static pluck_status load_fragile(const void *params, void *state, const void *bytes,
                                 size_t size_bytes, pluck_error *err)
{
    (void)params;
    (void)state;
    (void)bytes;
    (void)size_bytes;
    (void)err;
    note_mode();
    return PLUCK_OK;
}

static pluck_status apply_nothing(const void *params, void *state, pluck_view *view,
                                  const pluck_context *context, pluck_error *err)
{
    (void)params;
    (void)state;
    (void)view;
    (void)context;
    (void)err;
    note_mode();
    return PLUCK_OK;
}

static const pluck_custom_stage fragile_stage = {
    .struct_size = sizeof fragile_stage,
    .info = {.name = "own_fragile",
             .kind = PLUCK_STAGE_REWEIGHT,
             .summary = "fails to be made",
             .formula = "l' = l"},
    .apply = apply_nothing,
    .create = create_fragile,
    .destroy = destroy_fragile,
    .clone = clone_fragile,
    .reset = reset_fragile,
    .accept = move_fragile,
    .rewind = move_fragile,
    .save = save_fragile,
    .load = load_fragile,
};

static int setup(void **state)
{
    (void)state;
    pluck_error err = {.message = ""};
    assert_int_equal(pluck_registry_create(&registry, NULL, NULL), PLUCK_OK);
    for (size_t i = 0; i < n_custom_stages; i++)
        if (pluck_registry_add(registry, custom_stages + i, &err) != PLUCK_OK)
            fail_msg("%s", err.message);
    if (pluck_registry_add(registry, &fragile_stage, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pluck_registry_destroy(&registry);
    assert_null(registry);
    return 0;
}

static pluck_config *own_config(const char *json)
{
    pluck_config *config = NULL;
    pluck_error err = {.message = ""};
    pluck_config_options options = PLUCK_INIT(pluck_config_options);
    options.registry = registry;
    if (pluck_config_from_json(&config, json, strlen(json), &options, &err) != PLUCK_OK)
        fail_msg("%s: %s", json, err.message);
    return config;
}

static pluck_sampler *own_sampler(const char *json, uint32_t n_vocab, pluck_isa isa)
{
    pluck_config *config = own_config(json);
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = isa};
    assert_int_equal(pluck_sampler_create(&sampler, config, n_vocab, &options, NULL), PLUCK_OK);
    pluck_config_destroy(&config);
    return sampler;
}

/* The same twice: by stages of the application, by those of the library. */
static const struct {
    const char *own, *library;
} twins[] = {
    {"{\"stages\": [{\"type\": \"own_scale\", \"x\": 2}]}",
     "{\"stages\": [{\"type\": \"temperature\", \"t\": 0.5}]}"},
    {"{\"stages\": [{\"type\": \"own_top\", \"x\": 7}]}",
     "{\"stages\": [{\"type\": \"top_k\", \"k\": 7}]}"},
    {"{\"stages\": [{\"type\": \"own_mass\", \"x\": 0.75}, {\"type\": \"own_scale\", \"x\": 4}]}",
     "{\"stages\": [{\"type\": \"top_p\", \"p\": 0.75}, {\"type\": \"temperature\", \"t\": "
     "0.25}]}"},
    {"{\"stages\": [{\"type\": \"top_p\", \"p\": 0.75}, {\"type\": \"own_top\", \"x\": 5}]}",
     "{\"stages\": [{\"type\": \"top_p\", \"p\": 0.75}, {\"type\": \"top_k\", \"k\": 5}]}"},
    {"{\"stages\": [{\"type\": \"own_bias\", \"x\": 1.5}, {\"type\": \"top_k\", \"k\": 20}]}",
     "{\"stages\": [{\"type\": \"logit_bias\", \"bias\": {\"3\": 1.5, \"10\": false}}, "
     "{\"type\": \"top_k\", \"k\": 20}]}"},
    {"{\"stages\": [{\"type\": \"top_k\", \"k\": 9}, {\"type\": \"own_bias_without_memory\", "
     "\"x\": 1.5}]}",
     "{\"stages\": [{\"type\": \"top_k\", \"k\": 9}, {\"type\": \"logit_bias\", \"bias\": "
     "{\"3\": 1.5, \"10\": false}}]}"},
    /* What the first edits without memory is not taken from the second. */
    {"{\"stages\": [{\"type\": \"own_bias_without_memory\", \"x\": 1.5}, {\"type\": "
     "\"logit_bias\", "
     "\"bias\": {\"5\": 1, \"7\": -1}}, {\"type\": \"top_k\", \"k\": 20}]}",
     "{\"stages\": [{\"type\": \"logit_bias\", \"bias\": {\"3\": 1.5, \"5\": 1, \"7\": -1, \"10\": "
     "false}}, {\"type\": \"top_k\", \"k\": 20}]}"},
    {"{\"stages\": [{\"type\": \"own_bias\", \"x\": 0}, {\"type\": \"top_k\", \"k\": 9}]}",
     "{\"stages\": [{\"type\": \"top_k\", \"k\": 9}]}"},
};
enum { N_TWINS = sizeof twins / sizeof *twins };

static bool twins_agree(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    uint32_t n_vocab = 11 + (uint32_t)(seed * 7 % (OWN_MAX_VOCAB - 11));
    float x[OWN_MAX_VOCAB];
    logit_fill((logit_kind)(seed / N_TWINS % LOGITS_KINDS), seed, n_vocab, x);
    logit_row row = logit_row_make(x, n_vocab, (pluck_dtype)(seed % 3), seed % 5);
    pluck_sampler *own = own_sampler(twins[seed % N_TWINS].own, n_vocab, isa);
    pluck_sampler *library = test_sampler(twins[seed % N_TWINS].library, n_vocab, isa, 0);
    test_distribution a = test_distribution_of(own, row.logits);
    test_distribution b = test_distribution_of(library, row.logits);
    /* A temperature of the library's lets a nucleus wait until the draw, which then takes other
     * numbers. */
    bool waits = strstr(twins[seed % N_TWINS].own, "own_mass") != NULL;
    pluck_draw drawn_a = {.token = -1}, drawn_b = {.token = -1};
    bool agrees = test_distribution_equal(&a, &b) &&
                  pluck_sampler_draw(own, row.logits, &drawn_a, NULL) ==
                      pluck_sampler_draw(library, row.logits, &drawn_b, NULL) &&
                  (waits || drawn_a.token == drawn_b.token);
    test_distribution_free(&a);
    test_distribution_free(&b);
    pluck_sampler_destroy(&own);
    pluck_sampler_destroy(&library);
    logit_row_destroy(&row);
    return agrees || test_case_failed("%s on %u logits", twins[seed % N_TWINS].own, n_vocab);
}

static void stages_of_ones_own_equal_those_of_the_library(void **state)
{
    (void)state;
    test_cases_run("stages_of_ones_own_equal_those_of_the_library", 0, 70 * N_TWINS, twins_agree,
                   NULL);
}

static void more_edits_than_there_is_memory_for_are_made_all_the_same(void **state)
{
    (void)state;
    float x[OWN_MAX_VOCAB];
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 2, OWN_MAX_VOCAB, x);
    pluck_logits logits = {x, PLUCK_F32, OWN_MAX_VOCAB};
    pluck_sampler *with = own_sampler(twins[4].own, OWN_MAX_VOCAB, PLUCK_ISA_BEST);
    pluck_sampler *without = own_sampler("{\"stages\": [{\"type\": \"own_bias_without_memory\", "
                                         "\"x\": 1.5}, {\"type\": \"top_k\", \"k\": 20}]}",
                                         OWN_MAX_VOCAB, PLUCK_ISA_BEST);
    test_distribution a = test_distribution_of(with, logits);
    test_distribution b = test_distribution_of(without, logits);
    assert_int_equal(a.status, PLUCK_OK);
    assert_true(test_distribution_equal(&a, &b));
    test_distribution_free(&a);
    test_distribution_free(&b);
    pluck_sampler_destroy(&with);
    pluck_sampler_destroy(&without);
}

static void sets_and_probabilities_can_be_made_by_functions(void **state)
{
    (void)state;
    float x[OWN_MAX_VOCAB];
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 4, OWN_MAX_VOCAB, x);
    pluck_logits logits = {x, PLUCK_F32, OWN_MAX_VOCAB};
    pluck_sampler *own = own_sampler("{\"stages\": [{\"type\": \"own_odd\"}, {\"type\": "
                                     "\"own_sharpen\", \"x\": 3}]}",
                                     OWN_MAX_VOCAB, PLUCK_ISA_BEST);
    test_distribution d = test_distribution_of(own, logits);
    long double sum = 0;
    for (int i = 1; i < OWN_MAX_VOCAB; i += 2)
        sum += expl(3 * (long double)x[i]);
    assert_int_equal(d.n, OWN_MAX_VOCAB / 2);
    for (uint32_t i = 0; i < d.n; i++) {
        assert_int_equal(d.probs[i].token % 2, 1);
        long double p = expl(3 * (long double)x[d.probs[i].token]) / sum;
        assert_true(fabsl((long double)d.probs[i].prob / p - 1) < 1e-5L);
    }
    test_distribution_free(&d);
    pluck_sampler_destroy(&own);
}

/* Draws of many positions toss anew for each. */
static void a_random_stage_is_keyed_by_position(void **state)
{
    (void)state;
    static const float x[] = {1, 1.5f, 2, 1.75f};
    pluck_logits logits = {x, PLUCK_F32, 4};
    pluck_sampler *own =
        own_sampler("{\"stages\": [{\"type\": \"own_toss\", \"x\": 0.5}]}", 4, PLUCK_ISA_BEST);
    enum { N = 300 };
    pluck_draw draws[N], one;
    int n_alone = 0;
    assert_int_equal(pluck_sampler_draw_many(own, logits, N, draws, NULL), PLUCK_OK);
    for (int i = 0; i < N; i++) {
        pluck_sampler_set_position(own, (uint64_t)i, NULL);
        assert_int_equal(pluck_sampler_draw(own, logits, &one, NULL), PLUCK_OK);
        assert_int_equal(one.token, draws[i].token);
        assert_int_equal(one.n_survivors, draws[i].n_survivors);
        n_alone += one.n_survivors == 1;
    }
    assert_in_range(n_alone, 100, 200);
    pluck_sampler_destroy(&own);
}

static bool same_now(pluck_sampler *a, pluck_sampler *b, pluck_logits logits)
{
    test_distribution of_a = test_distribution_of(a, logits),
                      of_b = test_distribution_of(b, logits);
    bool equal = of_a.status == PLUCK_OK && test_distribution_equal(&of_a, &of_b);
    test_distribution_free(&of_a);
    test_distribution_free(&of_b);
    return equal;
}

static void put_in_place(pluck_sampler **place, pluck_sampler *other)
{
    pluck_sampler_destroy(place);
    *place = other;
}

/* Beside penalties of the library, which look back on everything, through any walk. */
static bool state_follows(uint64_t seed, pluck_isa isa, const void *context)
{
    enum { N = 40, N_STEPS = 60 };
    static const char own_json[] = "{\"stages\": [{\"type\": \"own_seen\", \"x\": 0.75}]}";
    (void)context;
    float x[N];
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, seed, N, x);
    pluck_logits logits = {x, PLUCK_F32, N};
    test_random random = test_random_make(seed);
    pluck_sampler *own = own_sampler(own_json, N, isa), *copy = NULL;
    pluck_sampler *library =
        test_sampler("{\"presence_penalty\": 0.75, \"repeat_last_n\": -1}", N, isa, 0);
    bool same = true;
    for (int i = 0; i < N_STEPS && same; i++) {
        pluck_token token = (pluck_token)test_random_below(&random, N);
        uint32_t n = (uint32_t)test_random_below(&random, 4);
        unsigned char bytes[4096];
        size_t n_bytes = 0;
        switch (test_random_below(&random, 8)) {
        case 0:
            same = pluck_sampler_rewind(own, n, NULL) == pluck_sampler_rewind(library, n, NULL);
            break;
        case 1:
            assert_int_equal(pluck_sampler_clone(&copy, own, NULL), PLUCK_OK);
            put_in_place(&own, copy);
            break;
        case 2:
            assert_int_equal(pluck_sampler_save(own, bytes, sizeof bytes, &n_bytes, NULL),
                             PLUCK_OK);
            put_in_place(&own, own_sampler(own_json, N, isa));
            assert_int_equal(pluck_sampler_restore(own, bytes, n_bytes, NULL), PLUCK_OK);
            break;
        case 3:
            if (test_random_below(&random, 6) == 0) {
                pluck_sampler_reset(own, NULL);
                pluck_sampler_reset(library, NULL);
            }
            break;
        default:
            assert_int_equal(pluck_sampler_accept(own, token, NULL), PLUCK_OK);
            assert_int_equal(pluck_sampler_accept(library, token, NULL), PLUCK_OK);
        }
        same = same && same_now(own, library, logits);
    }
    pluck_sampler_destroy(&own);
    pluck_sampler_destroy(&library);
    return same || test_case_failed("the state went another way");
}

static void a_state_goes_through_any_walk(void **state)
{
    (void)state;
    test_cases_run("a_state_goes_through_any_walk", 1, 60, state_follows, NULL);
}

static void configurations_with_own_stages_read_back(void **state)
{
    (void)state;
    pluck_config *config = own_config(twins[2].own), *copy = NULL, *again = NULL;
    char text[1000];
    size_t n = 0;
    assert_string_equal(config_stage(config, 0).stage->name, "own_mass");
    assert_int_equal(pluck_config_to_json(config, text, sizeof text, &n, NULL), PLUCK_OK);
    again = own_config(text);
    assert_true(pluck_config_equal(config, again));
    assert_int_equal(pluck_config_clone(&copy, config, NULL), PLUCK_OK);
    assert_true(pluck_config_equal(config, copy));
    assert_int_equal(pluck_config_set_json(copy, "top_k", "5", NULL), PLUCK_OK);
    assert_string_equal(config_stage(copy, 0).stage->name, "top_k");
    assert_string_equal(config_stage(copy, 1).stage->name, "own_mass");
    pluck_config_destroy(&config);
    pluck_config_destroy(&copy);
    pluck_config_destroy(&again);
}

static void mistakes_in_configurations_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
        bool with_registry;
    } cases[] = {
        {"{\"stages\": [{\"type\": \"own_tpo\"}]}", "did you mean 'own_top'?", true},
        {"{\"stages\": [{\"type\": \"own_top\"}]}", "unknown stage 'own_top'", false},
        {"{\"stages\": [{\"type\": \"own_top\", \"x\": 1001}]}", "outside [-1000, 1000]", true},
        {"{\"stages\": [{\"type\": \"own_top\", \"y\": 1}]}", "own_top has no such parameter",
         true},
        {"{\"order\": [\"own_top\"]}", "so list the stages in \"stages\"", true},
        {"{\"draw\": \"own_top\"}", "is a stage, not a draw", true},
        {"{\"own_top\": 3}", "unknown key", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_config *config = NULL;
        pluck_error err = {.message = ""};
        pluck_config_options options = PLUCK_INIT(pluck_config_options);
        options.registry = cases[i].with_registry ? registry : NULL;
        assert_int_equal(
            pluck_config_from_json(&config, cases[i].json, strlen(cases[i].json), &options, &err),
            PLUCK_ERR_CONFIG);
        assert_null(config);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s: %s", cases[i].json, err.message);
    }
}

static void what_goes_wrong_in_a_stage_is_reported_with_its_name(void **state)
{
    (void)state;
    static const struct {
        double x;
        pluck_status status;
        const char *message;
    } cases[] = {
        {1, PLUCK_ERR_INVALID, "own_faulty: token 1 to edit is not below 300"},
        {2, PLUCK_ERR_INVALID, "own_faulty: token 300 to edit is not below 300"},
        {3, PLUCK_ERR_NAN, "own_faulty: a new logit is NaN or +inf"},
        {4, PLUCK_ERR_IO, "own_faulty: failed"},
    };
    float x[OWN_MAX_VOCAB] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[100];
        snprintf(json, sizeof json, "{\"stages\": [{\"type\": \"own_faulty\", \"x\": %g}]}",
                 cases[i].x);
        pluck_sampler *sampler = own_sampler(json, OWN_MAX_VOCAB, PLUCK_ISA_BEST);
        pluck_token token = -1;
        pluck_error err = {.message = ""};
        assert_int_equal(pluck_sampler_sample(sampler, (pluck_logits){x, PLUCK_F32, OWN_MAX_VOCAB},
                                              &token, &err),
                         cases[i].status);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s", err.message);
        pluck_sampler_destroy(&sampler);
    }
}

/* Three of them and stages of the library with states between. */
static const char fragile_json[] =
    "{\"stages\": [{\"type\": \"own_fragile\"}, {\"type\": \"penalties\", \"repeat\": 2}, "
    "{\"type\": \"own_fragile\"}, {\"type\": \"dry\", \"multiplier\": 1}, {\"type\": "
    "\"own_fragile\"}], \"draw\": \"mirostat\"}";

static void expect_fragile(pluck_status status, const char *message, const pluck_error *err,
                           const pluck_sampler *sampler, int n_live)
{
    assert_int_equal(status, PLUCK_ERR_IO);
    assert_string_equal(err->message, message);
    assert_null(sampler);
    assert_int_equal(fragile.n_live, n_live);
}

static void a_state_that_cannot_be_made_leaves_nothing_behind(void **state)
{
    (void)state;
    float x[20] = {0, 1};
    pluck_logits logits = {x, PLUCK_F32, 20};
    pluck_config *config = own_config(fragile_json);
    test_allocator allocator;
    test_allocator_init(&allocator);
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .allocator = &allocator.interface};
    for (int i = 1; i <= 3; i++) {
        memset(&fragile, 0, sizeof fragile);
        pluck_sampler *sampler = (pluck_sampler *)&allocator, *copy = (pluck_sampler *)&allocator;
        pluck_error err = {.message = ""};
        fragile.fail_create = i;
        pluck_status status = pluck_sampler_create(&sampler, config, 20, &options, &err);
        expect_fragile(status, "fragile: cannot create", &err, sampler, 0);
        assert_int_equal(fragile.n_creates, i);
        assert_int_equal(allocator.n_live, 0);

        memset(&fragile, 0, sizeof fragile);
        assert_int_equal(pluck_sampler_create(&sampler, config, 20, &options, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_accept(sampler, 1, NULL), PLUCK_OK);
        uint64_t n_live = allocator.n_live;
        fragile.fail_clone = i;
        status = pluck_sampler_clone(&copy, sampler, &err);
        expect_fragile(status, "fragile: cannot clone", &err, copy, 3);
        assert_int_equal(fragile.n_clones, i);
        assert_int_equal(allocator.n_live, n_live);

        /* Loading makes a copy first: the sampler stays as it was. */
        unsigned char bytes[4096];
        size_t n = 0;
        assert_int_equal(pluck_sampler_save(sampler, bytes, sizeof bytes, &n, NULL), PLUCK_OK);
        fragile.n_clones = 0;
        assert_int_equal(pluck_sampler_restore(sampler, bytes, n, &err), PLUCK_ERR_IO);
        assert_int_equal(fragile.n_live, 3);
        assert_int_equal(allocator.n_live, n_live);
        pluck_token token = -1;
        assert_int_equal(pluck_sampler_position(sampler), 1);
        assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), PLUCK_OK);
        pluck_sampler_destroy(&sampler);
        assert_int_equal(fragile.n_live, 0);
        assert_int_equal(allocator.n_live, 0);
    }
    pluck_config_destroy(&config);
}

static void stages_run_in_one_floating_point_environment(void **state)
{
    (void)state;
    float x[20] = {0, 1};
    pluck_logits logits = {x, PLUCK_F32, 20};
    pluck_config *config = own_config(fragile_json);
    pluck_sampler *sampler = NULL, *copy = NULL;
    pluck_token token = -1;
    unsigned char bytes[4096];
    size_t n = 0;
    memset(&fragile, 0, sizeof fragile);
    if (test_fp_count() == 0)
        skip();
    test_fp_set(test_fp_count());
    fragile.expected_control = test_fp_control();
    test_fp_set(0);
    uint64_t before = test_fp_control();
    assert_true(before != fragile.expected_control);
    pluck_status statuses[] = {
        pluck_sampler_create(&sampler, config, 20, NULL, NULL),
        pluck_sampler_prompt(sampler, (const pluck_token[]){2}, 1, NULL),
        pluck_sampler_sample(sampler, logits, &token, NULL),
        pluck_sampler_accept(sampler, token, NULL),
        pluck_sampler_clone(&copy, sampler, NULL),
        pluck_sampler_save(sampler, bytes, sizeof bytes, &n, NULL),
        pluck_sampler_restore(copy, bytes, n, NULL),
        pluck_sampler_rewind(copy, 1, NULL),
        pluck_sampler_reset(copy, NULL),
        pluck_sampler_start(copy, 1, 3, NULL),
        pluck_sampler_next(copy, logits, &token, NULL),
    };
    uint64_t after = test_fp_control();
    test_fp_set(test_fp_count());
    assert_true(after == before);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        assert_int_equal(statuses[i], PLUCK_OK);
    assert_int_equal(fragile.wrong_modes, 0);
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&copy);
    pluck_config_destroy(&config);
}

static void a_state_that_cannot_be_saved_is_refused(void **state)
{
    (void)state;
    pluck_sampler *sampler =
        own_sampler("{\"stages\": [{\"type\": \"own_unsaveable\"}]}", 20, PLUCK_ISA_BEST);
    size_t n = 0;
    pluck_error err = {.message = ""};
    assert_int_equal(pluck_sampler_save(sampler, NULL, 0, &n, &err), PLUCK_ERR_INVALID);
    assert_string_equal(err.message, "the stage 'own_unsaveable' cannot save its state");
    pluck_sampler_destroy(&sampler);
}

static void tables_that_break_a_rule_are_refused(void **state)
{
    (void)state;
    pluck_custom_stage good = custom_stages[0];
    good.info.name = "own_good";
    pluck_param x = test_own_params[0];
    pluck_param params[] = {x, x, x, x};
    params[0].flat_key = "own_key";
    params[1].name = "type";
    params[2].type = (pluck_param_type)77;
    params[3].offset_bytes = sizeof(one_number);
    pluck_custom_stage bad[15];
    for (int i = 0; i < 15; i++)
        bad[i] = good;
    bad[0].info.name = NULL;
    bad[1].info.name = "own_top";
    bad[2].info.name = "top_k";
    bad[3].info.kind = PLUCK_STAGE_DRAW;
    bad[4].apply = NULL;
    const pluck_custom_stage *seen = custom_stages + n_custom_stages - 2;
    bad[5].create = seen->create;
    bad[6].accept = seen->accept;
    bad[7].load = seen->load;
    bad[8].info.n_params = 65;
    bad[9].info.params = NULL;
    for (int i = 0; i < 4; i++)
        bad[10 + i].info.params = params + i;
    bad[14].struct_size = 0;
    for (int i = 0; i < 15; i++) {
        pluck_error err = {.message = ""};
        assert_int_equal(pluck_registry_add(registry, bad + i, &err), PLUCK_ERR_INVALID);
        assert_true(strlen(err.message) > 0);
    }
    assert_int_equal(pluck_registry_add(NULL, &good, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_registry_add(registry, NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_registry_create(NULL, NULL, NULL), PLUCK_ERR_INVALID);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_of_ones_own_equal_those_of_the_library),
        cmocka_unit_test(more_edits_than_there_is_memory_for_are_made_all_the_same),
        cmocka_unit_test(sets_and_probabilities_can_be_made_by_functions),
        cmocka_unit_test(a_random_stage_is_keyed_by_position),
        cmocka_unit_test(a_state_goes_through_any_walk),
        cmocka_unit_test(configurations_with_own_stages_read_back),
        cmocka_unit_test(mistakes_in_configurations_are_named),
        cmocka_unit_test(what_goes_wrong_in_a_stage_is_reported_with_its_name),
        cmocka_unit_test(a_state_that_cannot_be_made_leaves_nothing_behind),
        cmocka_unit_test(stages_run_in_one_floating_point_environment),
        cmocka_unit_test(a_state_that_cannot_be_saved_is_refused),
        cmocka_unit_test(tables_that_break_a_rule_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
