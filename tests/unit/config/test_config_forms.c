/*
 * What the two forms mean: which stages a text configures, in which order they run, what the keys
 * that are absent default to, and what setting a single key does to either form.
 */
#include "support/config_parts.h"
#include "test_config_helpers.h"

#include <inttypes.h>

/* "penalties top_k! categorical": the stages in running order, neutral ones marked. */
static void check_chain(const pluck_config *config, const char *expected)
{
    char chain[512];
    size_t n = 0;
    chain[0] = '\0';
    for (size_t i = 0; i < config_n_stages(config); i++)
        n += (size_t)snprintf(chain + n, sizeof chain - n, "%s%s%s", i ? " " : "",
                              config_stage(config, i).stage->name,
                              config_stage(config, i).is_neutral ? "!" : "");
    assert_string_equal(chain, expected);
}

typedef struct chain_case {
    const char *json, *chain;
} chain_case;

static void check_chains(const chain_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pluck_config *config = must_read(cases[i].json);
        check_chain(config, cases[i].chain);
        pluck_config_destroy(&config);
    }
}

/* The value of a number or integer parameter. */
static double parameter(const pluck_config *config, size_t index, const char *name)
{
    const pluck_stage *info = config_stage(config, index).stage;
    for (size_t i = 0; i < info->n_params; i++) {
        const pluck_param *param = &info->params[i];
        const char *place = (const char *)config_stage(config, index).params;
        if (strcmp(param->name, name) != 0)
            continue;
        double number = 0;
        int64_t integer = 0;
        memcpy(&number, place + param->offset_bytes, sizeof number);
        memcpy(&integer, place + param->offset_bytes, sizeof integer);
        return param->type == PLUCK_PARAM_INTEGER ? (double)integer : number;
    }
    fail_msg("%s has no %s", info->name, name);
    return 0;
}

static void check_text(const pluck_config *config, const char *expected)
{
    char *text = must_write(config);
    assert_string_equal(text, expected);
    free(text);
}

static void set(pluck_config *config, const char *key, const char *value)
{
    pluck_error err = {PLUCK_OK, ""};
    if (pluck_config_set_json(config, key, value, &err) != PLUCK_OK)
        fail_msg("%s = %s: %s", key, value, err.message);
}

static void an_empty_text_and_a_new_configuration_draw_from_the_softmax(void **state)
{
    (void)state;
    pluck_config *created = NULL, *read = must_read("{}");
    pluck_error err = {PLUCK_OK, ""};
    assert_int_equal(pluck_config_create(&created, NULL, &err), PLUCK_OK);
    check_chain(created, "categorical");
    assert_true(pluck_config_equal(created, read));
    assert_false(config_info(created).seed_is_random);
    assert_true(config_info(created).is_flat);
    assert_int_equal(config_info(created).seed, 0);
    assert_int_equal(config_info(created).on_nan, PLUCK_ON_NAN_ERROR);
    check_text(created, "{}\n");
    pluck_config_destroy(&created);
    pluck_config_destroy(&read);
}

static void a_flat_text_runs_the_stages_whose_keys_it_has_in_registry_order(void **state)
{
    (void)state;
    static const chain_case cases[] = {
        {"{\"temperature\": 0.8, \"top_k\": 40, \"logit_bias\": {\"3\": 1}, \"min_p\": 0.1}",
         "logit_bias top_k min_p temperature categorical"},
        {"{\"presence_penalty\": 0.5}", "penalties categorical"},
        {"{\"top_k\": 0, \"top_p\": 1, \"min_p\": 0, \"temperature\": 1, \"logit_bias\": {}}",
         "logit_bias! top_k! top_p! min_p! temperature! categorical"},
        {"{\"repeat_last_n\": 64}", "penalties! categorical"},
        {"{\"draw\": \"greedy\", \"top_k\": 3}", "top_k greedy"},
        {"{\"draw\": {\"type\": \"greedy\"}}", "greedy"},
        {"{\"draw\": \"categorical\"}", "categorical"},
    };
    check_chains(cases, sizeof cases / sizeof *cases);
}

static void order_decides_and_may_name_stages_that_are_absent(void **state)
{
    (void)state;
    static const chain_case cases[] = {
        {"{\"order\": [\"temperature\", \"penalties\", \"top_k\"], \"top_k\": 3, "
         "\"temperature\": 2}",
         "temperature top_k categorical"},
        {"{\"top_k\": 3, \"temperature\": 2, \"order\": [\"temperature\", \"top_k\"], "
         "\"draw\": \"greedy\"}",
         "temperature top_k greedy"},
        {"{\"order\": []}", "categorical"},
    };
    check_chains(cases, sizeof cases / sizeof *cases);
}

static void mirostat_chooses_the_draw_of_its_version(void **state)
{
    (void)state;
    static const chain_case cases[] = {
        {"{\"mirostat\": 0}", "categorical"},
        {"{\"mirostat\": 1}", "mirostat"},
        {"{\"mirostat_tau\": 3, \"mirostat\": 2, \"mirostat_eta\": 0.2}", "mirostat_v2"},
        {"{\"mirostat_tau\": 3}", "categorical"},
        {"{\"draw\": \"greedy\", \"mirostat\": 0}", "greedy"},
        {"{\"mirostat\": 0, \"draw\": {\"type\": \"mirostat_v2\", \"tau\": 3}}", "mirostat_v2"},
    };
    check_chains(cases, sizeof cases / sizeof *cases);
    pluck_config *config = must_read("{\"mirostat_tau\": 3, \"mirostat\": 2}");
    assert_true(parameter(config, 0, "tau") == 3 && parameter(config, 0, "eta") == 0.1);
    set(config, "mirostat", "1");
    check_chain(config, "mirostat");
    assert_true(parameter(config, 0, "tau") == 3);
    set(config, "draw", "\"greedy\"");
    check_chain(config, "greedy");
    set(config, "mirostat", "2");
    set(config, "mirostat", "0");
    check_chain(config, "categorical");
    check_text(config, "{\n  \"mirostat_tau\": 3,\n  \"mirostat\": 0\n}\n");
    pluck_config_destroy(&config);
}

/* As in llama.cpp, one key sets the temperature of both, and one of them runs. */
static void dynamic_temperature_takes_the_place_of_temperature(void **state)
{
    (void)state;
    static const chain_case cases[] = {
        {"{\"temperature\": 0.8, \"dynatemp_range\": 0.5}", "dynamic_temperature categorical"},
        {"{\"dynatemp_range\": 0.5, \"top_k\": 3, \"temperature\": 0.8, \"order\": "
         "[\"temperature\", \"top_k\"]}",
         "dynamic_temperature top_k categorical"},
        {"{\"dynatemp_range\": 0.5, \"top_k\": 3, \"temperature\": 0.8, \"order\": "
         "[\"temperature\", \"top_k\", \"dynamic_temperature\"]}",
         "top_k dynamic_temperature categorical"},
        {"{\"dynatemp_range\": 0, \"temperature\": 1}", "dynamic_temperature! categorical"},
        {"{\"stages\": [{\"type\": \"temperature\"}, {\"type\": \"dynamic_temperature\"}]}",
         "temperature dynamic_temperature! categorical"},
    };
    check_chains(cases, sizeof cases / sizeof *cases);
    pluck_config *config = must_read("{\"temperature\": 0.8, \"dynatemp_range\": 0.5}");
    assert_true(parameter(config, 0, "t") == 0.8 && parameter(config, 0, "range") == 0.5);
    pluck_config_destroy(&config);
}

static void an_explicit_text_runs_its_stages_as_listed(void **state)
{
    (void)state;
    static const chain_case cases[] = {
        {"{\"stages\": []}", "categorical"},
        {"{\"draw\": \"greedy\", \"stages\": []}", "greedy"},
        {"{\"stages\": [{\"type\": \"temperature\", \"t\": 2}, {\"type\": \"top_k\", \"k\": 5}, "
         "{\"type\": \"temperature\", \"t\": 1}], \"draw\": {\"type\": \"greedy\"}}",
         "temperature top_k temperature! greedy"},
    };
    check_chains(cases, sizeof cases / sizeof *cases);
}

static void absent_parameters_have_the_defaults_of_the_table(void **state)
{
    (void)state;
    pluck_config *flat = must_read("{\"frequency_penalty\": 0.5, \"top_p\": 0.5}");
    assert_true(parameter(flat, 0, "last_n") == 64);
    assert_true(parameter(flat, 0, "repeat") == 1);
    assert_true(parameter(flat, 0, "frequency") == 0.5);
    assert_true(parameter(flat, 1, "min_keep") == 1);
    pluck_config_destroy(&flat);
    for (size_t s = 0; pluck_stage_at(s); s++) {
        const pluck_stage *info = pluck_stage_at(s);
        char json[128];
        snprintf(json, sizeof json,
                 info->kind == PLUCK_STAGE_DRAW ? "{\"stages\": [], \"draw\": {\"type\": \"%s\"}}"
                                                : "{\"stages\": [{\"type\": \"%s\"}]}",
                 info->name);
        pluck_config *config = must_read(json);
        assert_ptr_equal(config_stage(config, 0).stage, info);
        for (size_t p = 0; p < info->n_params; p++) {
            if (info->params[p].type <= PLUCK_PARAM_INTEGER)
                assert_true(parameter(config, 0, info->params[p].name) ==
                            info->params[p].default_value);
        }
        pluck_config_destroy(&config);
    }
}

static void a_shared_key_reaches_every_configured_stage_and_configures_none(void **state)
{
    (void)state;
    pluck_config *config = must_read("{\"min_keep\": 3}");
    check_chain(config, "categorical");
    check_text(config, "{\n  \"min_keep\": 3\n}\n");
    set(config, "min_p", "0.1");
    check_chain(config, "min_p categorical");
    assert_true(parameter(config, 0, "min_keep") == 3);
    set(config, "top_p", "0.5");
    check_chain(config, "top_p min_p categorical");
    assert_true(parameter(config, 0, "min_keep") == 3);
    set(config, "min_keep", "4");
    assert_true(parameter(config, 0, "min_keep") == 4 && parameter(config, 1, "min_keep") == 4);
    pluck_config_destroy(&config);
}

static void whole_numbers_may_be_written_in_any_way(void **state)
{
    (void)state;
    static const char *const forms[] = {"40",    "40.0",  "4e1",      "4E+1",  "400e-1",
                                        "40.00", "0.4e2", "0.0040e4", "4.0e1", "40e0"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"top_k\": %s}", forms[i]);
        pluck_config *config = must_read(json);
        assert_true(parameter(config, 0, "k") == 40);
        check_text(config, "{\n  \"top_k\": 40\n}\n");
        pluck_config_destroy(&config);
    }
}

static void seeds_keep_all_64_bits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seed;
    } cases[] = {{"0", 0},
                 {"-0", 0},
                 {"42", 42},
                 {"42.0", 42},
                 {"9007199254740993", 9007199254740993u},
                 {"18446744073709551615", UINT64_MAX},
                 {"18446744073709551614", UINT64_MAX - 1},
                 {"1.8446744073709551615e19", UINT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[64], written[64];
        snprintf(json, sizeof json, "{\"seed\": %s}", cases[i].text);
        snprintf(written, sizeof written, "{\n  \"seed\": %" PRIu64 "\n}\n", cases[i].seed);
        pluck_config *config = must_read(json);
        assert_false(config_info(config).seed_is_random);
        assert_true(config_info(config).seed == cases[i].seed);
        check_text(config, written);
        pluck_config_destroy(&config);
    }
    pluck_config *random = must_read("{\"seed\": \"random\"}");
    assert_true(config_info(random).seed_is_random);
    set(random, "seed", "5");
    assert_false(config_info(random).seed_is_random);
    assert_int_equal(config_info(random).seed, 5);
    pluck_config_destroy(&random);
}

static void on_nan_is_read(void **state)
{
    (void)state;
    pluck_config *config = must_read("{\"on_nan\": \"ban\"}");
    assert_int_equal(config_info(config).on_nan, PLUCK_ON_NAN_BAN);
    set(config, "on_nan", "\"error\"");
    assert_int_equal(config_info(config).on_nan, PLUCK_ON_NAN_ERROR);
    pluck_config_destroy(&config);
}

static void bias_maps_come_out_sorted_whatever_their_form(void **state)
{
    (void)state;
    pluck_config *object =
        must_read("{\"logit_bias\": {\"15043\": -1.5, \"2\": false, \"0\": null, "
                  "\"16777215\": 1}}");
    pluck_config *pairs = must_read("{\"logit_bias\": [[15043, -1.5], [16777215, 1], [2, false], "
                                    "[0.0, null]]}");
    assert_true(pluck_config_equal(object, pairs));
    check_text(pairs,
               "{\n  \"logit_bias\": {\n    \"0\": false,\n    \"2\": false,\n    \"15043\": "
               "-1.5,\n    \"16777215\": 1\n  }\n}\n");
    pluck_config_destroy(&object);
    pluck_config_destroy(&pairs);
}

static void setting_a_key_of_a_flat_configuration_is_as_writing_it(void **state)
{
    (void)state;
    pluck_config *config = must_read("{\"top_k\": 3}");
    set(config, "temperature", "0.5");
    set(config, "top_k", "5");
    set(config, "draw", "\"greedy\"");
    set(config, "logit_bias", "{\"7\": -2}");
    set(config, "description", "\"mine\"");
    check_text(config, "{\n  \"description\": \"mine\",\n  \"logit_bias\": {\n    \"7\": -2\n  },\n"
                       "  \"top_k\": 5,\n  \"temperature\": 0.5,\n  \"draw\": \"greedy\"\n}\n");
    set(config, "order", "[\"temperature\", \"top_k\", \"logit_bias\"]");
    check_chain(config, "temperature top_k logit_bias greedy");
    set(config, "draw", "{\"type\": \"categorical\"}");
    check_chain(config, "temperature top_k logit_bias categorical");
    pluck_config_destroy(&config);
}

static void setting_a_key_of_an_explicit_configuration_changes_or_adds_its_stage(void **state)
{
    (void)state;
    pluck_config *config = must_read("{\"stages\": [{\"type\": \"temperature\"}, "
                                     "{\"type\": \"top_k\"}, {\"type\": \"temperature\"}]}");
    set(config, "temperature", "0.5");
    assert_true(parameter(config, 0, "t") == 0.5 && parameter(config, 2, "t") == 0.5);
    set(config, "top_p", "0.5");
    check_chain(config, "top_p temperature top_k temperature categorical");
    set(config, "min_keep", "2");
    set(config, "draw", "\"greedy\"");
    set(config, "logit_bias", "[[5, 1.5]]");
    set(config, "seed", "3");
    check_text(
        config,
        "{\n  \"seed\": 3,\n  \"stages\": [\n    {\"type\": \"logit_bias\", \"bias\": "
        "{\"5\": 1.5}},\n    {\"type\": \"top_p\", \"p\": 0.5, \"min_keep\": 2},\n    "
        "{\"type\": \"temperature\", \"t\": 0.5},\n    {\"type\": \"top_k\"},\n    {\"type\": "
        "\"temperature\", \"t\": 0.5}\n  ],\n  \"draw\": \"greedy\"\n}\n");
    pluck_config_destroy(&config);
    config = must_read("{\"stages\": [{\"type\": \"top_k\"}, {\"type\": \"top_p\"}]}");
    set(config, "temperature", "0.5");
    check_chain(config, "top_k top_p temperature categorical");
    pluck_config_destroy(&config);
}

static void equality_compares_meaning_and_bits(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"{}", "{\"seed\": 0, \"on_nan\": \"error\", \"draw\": \"categorical\"}", true},
        {"{\"top_k\": 40}", "{\"top_k\": 4e1, \"description\": \"x\"}", true},
        {"{\"top_p\": 0.5}", "{\"top_p\": 0.5, \"min_keep\": 1}", true},
        {"{\"top_p\": 0.5}", "{\"top_p\": 0.5, \"min_keep\": 2}", false},
        {"{}", "{\"stages\": []}", false},
        {"{}", "{\"seed\": 1}", false},
        {"{}", "{\"seed\": \"random\"}", false},
        {"{}", "{\"on_nan\": \"ban\"}", false},
        {"{}", "{\"draw\": \"greedy\"}", false},
        {"{}", "{\"top_k\": 40}", false},
        {"{\"top_k\": 40}", "{\"top_k\": 41}", false},
        {"{\"presence_penalty\": 0}", "{\"presence_penalty\": -0}", false},
        {"{\"top_p\": 0.1}", "{\"top_p\": 0.10000000000000002}", false},
        {"{\"logit_bias\": {\"1\": 1}}", "{\"logit_bias\": {\"1\": 2}}", false},
        {"{\"logit_bias\": {\"1\": 1}}", "{\"logit_bias\": {\"2\": 1}}", false},
        {"{\"logit_bias\": {\"1\": 1}}", "{\"logit_bias\": {}}", false},
        {"{\"top_k\": 2, \"top_p\": 0.5}",
         "{\"top_p\": 0.5, \"top_k\": 2, \"order\": [\"top_k\", \"top_p\"]}", true},
        {"{\"top_k\": 2, \"top_p\": 0.5}",
         "{\"top_p\": 0.5, \"top_k\": 2, \"order\": [\"top_p\", \"top_k\"]}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_config *a = must_read(cases[i].a), *b = must_read(cases[i].b);
        if (pluck_config_equal(a, b) != cases[i].equal ||
            pluck_config_equal(b, a) != cases[i].equal)
            fail_msg("%s and %s: expected %s", cases[i].a, cases[i].b,
                     cases[i].equal ? "equal" : "different");
        pluck_config_destroy(&a);
        pluck_config_destroy(&b);
    }
}

static void a_clone_is_independent(void **state)
{
    (void)state;
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = must_read("{\"logit_bias\": {\"5\": 1}, \"order\": [\"logit_bias\"], "
                                     "\"description\": \"d\", \"$schema\": \"s\", \"seed\": 4}");
    pluck_config *clone = NULL;
    assert_int_equal(pluck_config_clone(&clone, config, &err), PLUCK_OK);
    char *before = must_write(config);
    set(clone, "logit_bias", "{}");
    set(clone, "description", "\"other\"");
    set(clone, "order", "[\"top_k\", \"logit_bias\"]");
    check_text(config, before);
    pluck_config_destroy(&config);
    check_chain(clone, "logit_bias! categorical");
    pluck_config_destroy(&clone);
    free(before);
}

/* Every capacity: never a byte beyond it, always a NUL, always the size that is needed. */
static void writing_stops_at_the_capacity_and_tells_the_size(void **state)
{
    (void)state;
    pluck_config *config = must_read("{\"top_k\": 3, \"description\": \"\\\"x\\\" \\u00e4\"}");
    char *expected = must_write(config);
    size_t needed = strlen(expected);
    for (size_t capacity = 0; capacity < needed + 3; capacity++) {
        char text[256];
        size_t size_bytes = 0;
        pluck_error err = {PLUCK_OK, ""};
        memset(text, 'x', sizeof text);
        pluck_status status = pluck_config_to_json(config, text, capacity, &size_bytes, &err);
        assert_int_equal(size_bytes, needed + 1);
        assert_int_equal(status, capacity > needed ? PLUCK_OK : PLUCK_ERR_SPACE);
        assert_int_equal(text[capacity > needed ? needed + 1 : capacity], 'x');
        if (capacity > 0)
            assert_int_equal(strlen(text), capacity > needed ? needed : capacity - 1);
        if (capacity > 0)
            assert_memory_equal(text, expected, strlen(text));
    }
    free(expected);
    pluck_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_text_and_a_new_configuration_draw_from_the_softmax),
        cmocka_unit_test(a_flat_text_runs_the_stages_whose_keys_it_has_in_registry_order),
        cmocka_unit_test(order_decides_and_may_name_stages_that_are_absent),
        cmocka_unit_test(mirostat_chooses_the_draw_of_its_version),
        cmocka_unit_test(dynamic_temperature_takes_the_place_of_temperature),
        cmocka_unit_test(an_explicit_text_runs_its_stages_as_listed),
        cmocka_unit_test(absent_parameters_have_the_defaults_of_the_table),
        cmocka_unit_test(a_shared_key_reaches_every_configured_stage_and_configures_none),
        cmocka_unit_test(whole_numbers_may_be_written_in_any_way),
        cmocka_unit_test(seeds_keep_all_64_bits),
        cmocka_unit_test(on_nan_is_read),
        cmocka_unit_test(bias_maps_come_out_sorted_whatever_their_form),
        cmocka_unit_test(setting_a_key_of_a_flat_configuration_is_as_writing_it),
        cmocka_unit_test(setting_a_key_of_an_explicit_configuration_changes_or_adds_its_stage),
        cmocka_unit_test(equality_compares_meaning_and_bits),
        cmocka_unit_test(a_clone_is_independent),
        cmocka_unit_test(writing_stops_at_the_capacity_and_tells_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
