/*
 * Typed setters: a configuration that is built without JSON is the one that its JSON says, for
 * every parameter of every stage, whatever the program's locale.
 */
#include "test_config_helpers.h"

#include "support/cases.h"
#include "support/config_parts.h"

#include "test_config_values.h"

static void must_set(pluck_status status, const pluck_error *err, const char *key)
{
    if (status != PLUCK_OK)
        fail_msg("%s: %s", key, err->message);
}

static void set_value(pluck_config *config, const char *key, const pluck_param *param,
                      made_value *value)
{
    pluck_error err = {PLUCK_OK, ""};
    pluck_token tokens[MAX_TOKENS];
    pluck_sequences sequences = {tokens, value->ends, value->n_sequences};
    for (size_t i = 0; i < MAX_TOKENS; i++)
        tokens[i] = (pluck_token)value->tokens[i];
    pluck_status status = PLUCK_ERR_INVALID;
    switch (param->type) {
    case PLUCK_PARAM_NUMBER:
        status = pluck_config_set_number(config, key, value->number, &err);
        break;
    case PLUCK_PARAM_INTEGER:
        status = pluck_config_set_integer(config, key, value->integer, &err);
        break;
    case PLUCK_PARAM_BOOLEAN:
        status = pluck_config_set_bool(config, key, value->boolean, &err);
        break;
    case PLUCK_PARAM_BIAS_MAP:
        status = pluck_config_set_biases(config, key, value->biases, value->n_biases, &err);
        break;
    case PLUCK_PARAM_TOKENS:
        status = pluck_config_set_tokens(config, key, tokens, value->n_tokens, &err);
        break;
    case PLUCK_PARAM_SEQUENCES:
        status = pluck_config_set_sequences(config, key, &sequences, &err);
        break;
    }
    must_set(status, &err, key);
}

static void check_equal(pluck_config *a, pluck_config *b, const char *key, const char *json)
{
    char *text_a = must_write(a), *text_b = must_write(b);
    if (!pluck_config_equal(a, b) || strcmp(text_a, text_b) != 0)
        fail_msg("%s, %s:\n%s\n%s", key, json, text_a, text_b);
    free(text_a);
    free(text_b);
}

/* Through both ways, on a copy each. */
static void check_both(const pluck_config *config, const char *key, const pluck_stage *stage,
                       const pluck_param *param, made_value *value)
{
    pluck_config *typed = NULL, *json = NULL;
    pluck_error err = {PLUCK_OK, ""};
    assert_int_equal(pluck_config_clone(&typed, config, &err), PLUCK_OK);
    assert_int_equal(pluck_config_clone(&json, config, &err), PLUCK_OK);
    set_value(typed, key, param, value);
    must_set(pluck_config_set_json(json, key, value->text, &err), &err, key);
    check_equal(typed, json, key, value->text);
    for (size_t i = 0; i < config_n_stages(typed); i++)
        if (config_stage(typed, i).stage == stage)
            check_value(config_stage(typed, i).params, param, value);
    pluck_config_destroy(&typed);
    pluck_config_destroy(&json);
}

/* Values are made in the locale of C, and set in another. */
static void check_every_parameter(test_random *r, const char *locale)
{
    pluck_error err = {PLUCK_OK, ""};
    for (size_t s = 0; pluck_stage_at(s); s++) {
        const pluck_stage *stage = pluck_stage_at(s);
        pluck_config *flat = must_read("{\"description\": \"kept\"}"), *explicit_form = NULL;
        assert_int_equal(pluck_config_clone(&explicit_form, flat, &err), PLUCK_OK);
        must_set(pluck_config_add_stage(explicit_form, stage->name, &err), &err, stage->name);
        for (size_t i = 0; i < stage->n_params; i++) {
            const pluck_param *param = &stage->params[i];
            char key[96];
            made_value value;
            setlocale(LC_ALL, "C");
            make_value(r, param, &value);
            setlocale(LC_ALL, locale);
            snprintf(key, sizeof key, "%s.%s", stage->name, param->name);
            check_both(explicit_form, key, stage, param, &value);
            if (!param->flat_key)
                continue;
            check_both(flat, param->flat_key, stage, param, &value);
            if (pluck_config_set_json(flat, key, value.text, &err) == PLUCK_OK) {
                pluck_config *other = must_read("{\"description\": \"kept\"}");
                set_value(other, param->flat_key, param, &value);
                check_equal(flat, other, key, value.text);
                pluck_config_destroy(&other);
                pluck_config_destroy(&flat);
                flat = must_read("{\"description\": \"kept\"}");
            } else {
                assert_non_null(strstr(err.message, "several stages share"));
            }
        }
        pluck_config_destroy(&flat);
        pluck_config_destroy(&explicit_form);
    }
}

static void every_parameter_can_be_set_by_its_type(void **state)
{
    (void)state;
    test_random random = test_random_make(1);
    for (int i = 0; i < 20; i++)
        check_every_parameter(&random, "C");
}

static void numbers_are_the_same_under_a_comma(void **state)
{
    (void)state;
    char folder[] = COMMA_FOLDER;
    const char *locale = set_comma_locale(folder);
    test_random random = test_random_make(2);
    if (locale)
        check_every_parameter(&random, locale);
    leave_comma_locale(folder);
    if (!locale)
        skip();
}

static void a_chain_is_built_without_json(void **state)
{
    (void)state;
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = NULL;
    assert_int_equal(pluck_config_create(&config, NULL, &err), PLUCK_OK);
    must_set(pluck_config_set_integer(config, "top_k", 40, &err), &err, "top_k");
    must_set(pluck_config_set_number(config, "temperature", 0.8, &err), &err, "temperature");
    must_set(pluck_config_add_stage(config, "top_p", &err), &err, "top_p");
    must_set(pluck_config_set_number(config, "top_p.p", 0.9, &err), &err, "top_p.p");
    must_set(pluck_config_add_stage(config, "top_p", &err), &err, "top_p");
    must_set(pluck_config_set_number(config, "top_p.p", 0.5, &err), &err, "top_p.p");
    must_set(pluck_config_add_stage(config, "mirostat_v2", &err), &err, "mirostat_v2");
    must_set(pluck_config_set_number(config, "mirostat_v2.tau", 4.0, &err), &err, "tau");
    must_set(pluck_config_set_seed(config, UINT64_MAX, &err), &err, "seed");
    must_set(pluck_config_set_text(config, "on_nan", "ban", &err), &err, "on_nan");
    pluck_config *read = must_read(
        "{\"seed\": 18446744073709551615, \"on_nan\": \"ban\", \"stages\": [{\"type\": \"top_k\", "
        "\"k\": 40}, {\"type\": \"temperature\", \"t\": 0.8}, {\"type\": \"top_p\", \"p\": 0.9}, "
        "{\"type\": \"top_p\", \"p\": 0.5}], \"draw\": {\"type\": \"mirostat_v2\", \"tau\": 4}}");
    check_equal(config, read, "the chain", "");
    assert_false(config_info(config).is_flat);
    must_set(pluck_config_add_stage(config, "greedy", &err), &err, "greedy");
    assert_int_equal(config_n_stages(config), 5);
    assert_string_equal(config_stage(config, 4).stage->name, "greedy");
    must_set(pluck_config_set_text(config, "seed", "random", &err), &err, "seed");
    assert_true(config_info(config).seed_is_random);
    pluck_config_destroy(&config);
    pluck_config_destroy(&read);
}

typedef enum setter { NUMBER, INTEGER, BOOLEAN, TEXT, TOKEN, BIAS, STAGE } setter;

/* On {"top_k": 2} or on the explicit form of it. */
static const struct {
    setter by;
    bool is_explicit;
    const char *key;
    double number;
    const char *text;
    const char *message;
} refused[] = {
    {NUMBER, false, "top_pp", 1, NULL, "top_pp: unknown key; did you mean 'top_p'?"},
    {NUMBER, false, "top_p", 1.5, NULL, "top_p: p = 1.5 is outside [0, 1]"},
    {NUMBER, false, "top_p", NAN, NULL, "top_p: nan is not a finite number"},
    {NUMBER, false, "top_p", HUGE_VAL, NULL, "top_p: inf is not a finite number"},
    {NUMBER, false, "top_k", 40, NULL,
     "top_k: the parameter is a whole number; use pluck_config_set_integer"},
    {NUMBER, false, "top_k.k", 40, NULL,
     "top_k.k: the parameter is a whole number; use pluck_config_set_integer"},
    {INTEGER, false, "top_p", 2, NULL, "top_p: p = 2 is outside [0, 1]"},
    {BOOLEAN, false, "top_k", 1, NULL,
     "top_k: expected a whole number in [0, 2147483647], not true"},
    {TEXT, false, "top_p", 0, "0.5", "top_p: expected a number in [0, 1], not a string"},
    {TEXT, false, "draw", 0, "greedi", "draw: unknown draw 'greedi'; did you mean 'greedy'?"},
    {TOKEN, false, "xtc_protect", -1, NULL,
     "xtc_protect[0]: -1 is not a token id: a whole number in [0, 16777215]"},
    {TOKEN, false, "top_k", 1, NULL,
     "top_k: expected a whole number in [0, 2147483647], not an array"},
    {BIAS, false, "logit_bias", NAN, NULL,
     "logit_bias: bias 1 is nan; a bias is finite, or -inf to ban the token"},
    {BIAS, false, "logit_bias", 1, NULL, "logit_bias[1]: token 7 is given twice"},
    {NUMBER, false, "top.p", 1, NULL, "top.p: unknown stage 'top'; did you mean 'top_n_sigma'?"},
    {NUMBER, false, "top_p.q", 1, NULL,
     "top_p.q: top_p has no such parameter; it has: p, min_keep"},
    {INTEGER, false, "top_p.min_keep", 1, NULL,
     "top_p.min_keep: in the flat form several stages share 'min_keep'; set it by that key, "
     "without the name of the stage"},
    {NUMBER, true, "top_p.p", 0.5, NULL,
     "top_p.p: this configuration has no stage 'top_p'; add it with pluck_config_add_stage"},
    {STAGE, true, "top_pp", 0, NULL, "unknown stage 'top_pp'; did you mean 'top_p'?"},
};

static void what_is_refused_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        pluck_config *config =
            must_read(refused[i].is_explicit ? "{\"stages\": [{\"type\": \"top_k\", \"k\": 2}]}"
                                             : "{\"top_k\": 2}");
        pluck_config *before = NULL;
        const char *key = refused[i].key;
        double number = refused[i].number;
        pluck_token token = number < 0 ? -1 : 7;
        pluck_bias biases[] = {{7, 1}, {7, number}};
        pluck_error err = {PLUCK_OK, ""};
        pluck_status status = PLUCK_OK;
        assert_int_equal(pluck_config_clone(&before, config, &err), PLUCK_OK);
        if (refused[i].by == NUMBER)
            status = pluck_config_set_number(config, key, number, &err);
        else if (refused[i].by == INTEGER)
            status = pluck_config_set_integer(config, key, (int64_t)number, &err);
        else if (refused[i].by == BOOLEAN)
            status = pluck_config_set_bool(config, key, true, &err);
        else if (refused[i].by == TEXT)
            status = pluck_config_set_text(config, key, refused[i].text, &err);
        else if (refused[i].by == TOKEN)
            status = pluck_config_set_tokens(config, key, &token, 1, &err);
        else if (refused[i].by == BIAS)
            status = pluck_config_set_biases(config, key, biases, 2, &err);
        else
            status = pluck_config_add_stage(config, key, &err);
        assert_string_equal(err.message, refused[i].message);
        assert_int_equal(status, PLUCK_ERR_CONFIG);
        check_equal(config, before, key, "");
        pluck_config_destroy(&config);
        pluck_config_destroy(&before);
    }
}

/* The size query, the exact size, and one byte too few. */
static void texts_are_written_into_what_they_need(void **state)
{
    (void)state;
    pluck_config *config = must_read("{\"top_k\": 2}");
    pluck_error err = {PLUCK_OK, ""};
    size_t n = 0, again = 0;
    char text[64];
    assert_int_equal(pluck_config_to_json(config, NULL, 0, &n, &err), PLUCK_OK);
    assert_int_equal(pluck_config_to_json(config, text, n, &again, &err), PLUCK_OK);
    assert_int_equal(strlen(text) + 1, n);
    assert_int_equal(again, n);
    assert_int_equal(pluck_config_to_json(config, text, n - 1, &again, &err), PLUCK_ERR_SPACE);
    assert_int_equal(again, n);
    assert_int_equal(pluck_config_schema(NULL, 0, &n, &err), PLUCK_OK);
    assert_true(n > 1000);
    pluck_config_destroy(&config);
}

/* What base.h promises of every struct with struct_size. */
static void options_may_be_of_another_version(void **state)
{
    (void)state;
    struct {
        pluck_config_options options;
        char more[64];
    } larger;
    pluck_config *config = NULL;
    pluck_error err = {PLUCK_OK, ""};
    memset(&larger, 0, sizeof larger);
    assert_int_equal(pluck_config_create(&config, &larger.options, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "PLUCK_INIT(pluck_config_options)"));
    larger.options.struct_size = sizeof larger;
    assert_int_equal(pluck_config_create(&config, &larger.options, &err), PLUCK_OK);
    pluck_config_destroy(&config);
    larger.more[63] = 1;
    assert_int_equal(pluck_config_create(&config, &larger.options, &err), PLUCK_ERR_INVALID);
    assert_null(config);
    larger.options.struct_size = sizeof larger.options - sizeof larger.options.allocator;
    assert_int_equal(pluck_config_create(&config, &larger.options, &err), PLUCK_OK);
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    info.struct_size = sizeof info.struct_size + sizeof info.n_stages;
    info.seed = 99;
    assert_int_equal(pluck_config_get_info(config, &info, &err), PLUCK_OK);
    assert_int_equal(info.n_stages, 1);
    assert_int_equal(info.seed, 99);
    pluck_config_destroy(&config);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_can_be_set_by_its_type),
        cmocka_unit_test(numbers_are_the_same_under_a_comma),
        cmocka_unit_test(a_chain_is_built_without_json),
        cmocka_unit_test(what_is_refused_changes_nothing),
        cmocka_unit_test(texts_are_written_into_what_they_need),
        cmocka_unit_test(options_may_be_of_another_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
