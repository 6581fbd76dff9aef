/*
 * What the real tables need not contain at any time, with the registry of made_up_stages.c: draws
 * with parameters in both forms, keys that draws share, parameters without a flat key, stages that
 * only the explicit form can have, ranges without ends. And that the code knows no stage by name.
 */
#include "support/config_parts.h"
#include "test_config_helpers.h"

static void check_text(const pluck_config *config, const char *expected)
{
    char *text = must_write(config);
    assert_string_equal(text, expected);
    free(text);
}

static void check_read(const char *json, const char *expected)
{
    pluck_config *config = must_read(json);
    check_text(config, expected);
    pluck_config_destroy(&config);
}

static void set(pluck_config *config, const char *key, const char *value)
{
    pluck_error err = {PLUCK_OK, ""};
    if (pluck_config_set_json(config, key, value, &err) != PLUCK_OK)
        fail_msg("%s = %s: %s", key, value, err.message);
}

/* The draw, and its first parameter, tau. */
static void check_draw(const pluck_config *config, const char *name, double tau)
{
    size_t last = config_n_stages(config) - 1;
    double value = 0;
    assert_string_equal(config_stage(config, last).stage->name, name);
    memcpy(&value, config_stage(config, last).params, sizeof value);
    assert_true(value == tau);
}

static void refuse(const char *json, const char *message)
{
    must_refuse(json, strlen(json), message);
}

static void a_draw_takes_its_parameters_from_its_object_or_from_flat_keys(void **state)
{
    (void)state;
    static const char *const flat[] = {
        "{\"draw\": {\"type\": \"dart\", \"tau\": 3}}",
        "{\"draw\": \"dart\", \"dart_tau\": 3}",
        "{\"dart_tau\": 3, \"draw\": {\"type\": \"dart\", \"eta\": 0.1}}",
    };
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
        pluck_config *config = must_read(flat[i]);
        check_draw(config, "dart", 3);
        pluck_config_destroy(&config);
    }
    check_read(flat[0], "{\n  \"draw\": {\"type\": \"dart\", \"tau\": 3}\n}\n");
    check_read(flat[1], "{\n  \"dart_tau\": 3,\n  \"draw\": \"dart\"\n}\n");
    check_read(flat[2],
               "{\n  \"dart_tau\": 3,\n  \"draw\": {\"type\": \"dart\", \"eta\": 0.1}\n}\n");
}

static void a_flat_key_of_a_draw_chooses_no_draw_but_is_kept(void **state)
{
    (void)state;
    pluck_config *config = must_read("{\"dart_tau\": 3}");
    assert_int_equal(config_n_stages(config), 1);
    assert_string_equal(config_stage(config, 0).stage->name, "categorical");
    check_text(config, "{\n  \"dart_tau\": 3\n}\n");
    set(config, "draw", "\"dart_2\"");
    check_draw(config, "dart_2", 3);
    pluck_config_destroy(&config);
}

static void a_parameter_of_a_draw_given_twice_is_refused(void **state)
{
    (void)state;
    refuse(
        "{\"draw\": {\"type\": \"dart\", \"tau\": 3}, \"dart_tau\": 4}",
        "line 1, column 38: $.dart_tau: \"draw\" sets the same parameter; remove one of the two");
    refuse(
        "{\"dart_tau\": 4, \"draw\": {\"type\": \"dart\", \"tau\": 3}}",
        "line 1, column 42: $.draw.tau: 'dart_tau' sets the same parameter; remove one of the two");
}

static void setting_a_flat_key_replaces_what_the_draw_object_said(void **state)
{
    (void)state;
    pluck_config *config = must_read("{\"draw\": {\"type\": \"dart\", \"tau\": 3, \"m\": 7}}");
    set(config, "dart_tau", "4");
    check_draw(config, "dart", 4);
    check_text(config, "{\n  \"dart_tau\": 4,\n  \"draw\": {\"type\": \"dart\", \"m\": 7}\n}\n");
    pluck_config_destroy(&config);
}

static void another_draw_forgets_the_parameters_of_the_first(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"draw\": {\"type\": \"dart\", \"tau\": 3}}",
                                        "{\"stages\": [], \"draw\": {\"type\": \"dart\", "
                                        "\"tau\": 3}}"};
    for (size_t i = 0; i < 2; i++) {
        pluck_config *config = must_read(texts[i]);
        set(config, "draw", "\"dart_2\"");
        check_draw(config, "dart_2", 5);
        set(config, "draw", "{\"type\": \"dart\", \"eta\": 0.5}");
        check_draw(config, "dart", 5);
        set(config, "draw", "\"dart\"");
        check_text(config, i == 0 ? "{\n  \"draw\": \"dart\"\n}\n"
                                  : "{\n  \"stages\": [],\n  \"draw\": \"dart\"\n}\n");
        pluck_config_destroy(&config);
    }
}

static void setting_a_key_of_the_draw_of_an_explicit_configuration_changes_it(void **state)
{
    (void)state;
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = must_read("{\"stages\": [], \"draw\": \"dart_2\"}");
    set(config, "dart_tau", "4");
    check_draw(config, "dart_2", 4);
    check_text(config, "{\n  \"stages\": [],\n  \"draw\": {\"type\": \"dart_2\", \"tau\": 4}\n}\n");
    assert_int_equal(pluck_config_set_json(config, "dart_m", "4", &err), PLUCK_ERR_CONFIG);
    assert_string_equal(
        err.message,
        "dart_m: no stage of this configuration has this parameter; add the stage first");
    pluck_config_destroy(&config);
}

static void what_has_no_flat_key_is_for_the_explicit_form(void **state)
{
    (void)state;
    check_read(
        "{\"stages\": [{\"type\": \"map_stage\", \"hidden\": 1}, {\"type\": \"bare_stage\"}, "
        "{\"type\": \"keep_stage\", \"min_keep\": 3}]}",
        "{\n  \"stages\": [\n    {\"type\": \"map_stage\", \"hidden\": 1},\n    {\"type\": "
        "\"bare_stage\"},\n    {\"type\": \"keep_stage\", \"min_keep\": 3}\n  ]\n}\n");
    refuse("{\"hidden\": 1}", "line 1, column 2: $.hidden: unknown key");
    refuse("{\"bare_stage\": 1}", "line 1, column 2: $.bare_stage: unknown key");
    refuse("{\"stages\": [{\"type\": \"bare_stage\", \"x\": 1}]}",
           "line 1, column 36: $.stages[0].x: bare_stage has no such parameter; it has none");
}

static void a_message_lists_whole_flat_keys_as_long_as_they_fit(void **state)
{
    (void)state;
    refuse("{\"long_stage\": 1}",
           "line 1, column 2: $.long_stage: unknown key; the flat keys of this "
           "stage are: long_1_long_long_long_long_long_long_long, "
           "long_2_long_long_long_long_long_long_long, "
           "long_3_long_long_long_long_long_long_");
}

static void ranges_are_shown_as_intervals_and_checked_exactly(void **state)
{
    (void)state;
    refuse("{\"wide\": \"x\"}",
           "line 1, column 10: $.wide: expected a number in (-inf, inf), not a string");
    refuse("{\"wide_y\": 0}", "line 1, column 12: $.wide_y: y = 0 is outside (0, 1)");
    refuse("{\"wide_y\": 1}", "line 1, column 12: $.wide_y: y = 1 is outside (0, 1)");
    refuse("{\"wide_z\": 0}", "line 1, column 12: $.wide_z: z = 0 is outside (0, inf)");
    refuse("{\"wide_z\": 1e-999}", "line 1, column 12: $.wide_z: z = 1e-999 is outside (0, inf)");
    refuse("{\"wide_n\": 9007199254740993}",
           "line 1, column 12: $.wide_n: n = 9007199254740993 is outside [-9007199254740992, "
           "9007199254740992]");
    check_read("{\"wide_n\": -9007199254740991, \"wide_y\": 4.9e-324, \"wide\": "
               "-1.7976931348623157e308}",
               "{\n  \"wide\": -1.7976931348623157e+308,\n  \"wide_y\": 4.94065645841247e-324,\n  "
               "\"wide_n\": -9007199254740991\n}\n");
}

static void the_schema_follows_the_registry(void **state)
{
    (void)state;
    size_t size_bytes = 0;
    pluck_error err = {PLUCK_OK, ""};
    (void)pluck_config_schema(NULL, 0, &size_bytes, NULL);
    char *text = malloc(size_bytes);
    assert_non_null(text);
    assert_int_equal(pluck_config_schema(text, size_bytes, &size_bytes, &err), PLUCK_OK);
    assert_non_null(strstr(text, "\"exclusiveMaximum\": 1"));
    assert_non_null(strstr(text, "{\"const\": \"dart_2\"}"));
    assert_non_null(strstr(text, "\"hidden\": {"));
    assert_null(strstr(text, ": inf"));
    assert_null(strstr(text, ": -inf"));
    assert_null(strstr(text, "top_k"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draw_takes_its_parameters_from_its_object_or_from_flat_keys),
        cmocka_unit_test(a_flat_key_of_a_draw_chooses_no_draw_but_is_kept),
        cmocka_unit_test(a_parameter_of_a_draw_given_twice_is_refused),
        cmocka_unit_test(setting_a_flat_key_replaces_what_the_draw_object_said),
        cmocka_unit_test(another_draw_forgets_the_parameters_of_the_first),
        cmocka_unit_test(setting_a_key_of_the_draw_of_an_explicit_configuration_changes_it),
        cmocka_unit_test(what_has_no_flat_key_is_for_the_explicit_form),
        cmocka_unit_test(a_message_lists_whole_flat_keys_as_long_as_they_fit),
        cmocka_unit_test(ranges_are_shown_as_intervals_and_checked_exactly),
        cmocka_unit_test(the_schema_follows_the_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
