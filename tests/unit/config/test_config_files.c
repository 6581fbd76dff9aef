/*
 * The files that go with the code: every preset loads, is in the form that the library writes and
 * says why it is as it is; the committed schema is the one that the stage tables give; every JSON
 * example of docs/configuration.md is accepted or refused as the page says.
 */
#include "test_config_helpers.h"

static const char *const presets[] = {"balanced", "creative", "greedy", "llama-cpp", "precise"};

static void every_preset_loads_and_is_written_as_its_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        char path[64];
        snprintf(path, sizeof path, "configs/%s.json", presets[i]);
        char *text = source_file(path);
        pluck_config *config = must_read(text);
        char *written = must_write(config);
        assert_string_equal(text, written);
        assert_non_null(strstr(text, "\"$schema\": \"./pluck.schema.json\""));
        assert_non_null(strstr(text, "\"description\": \""));
        pluck_config_destroy(&config);
        free(written);
        free(text);
    }
}

static void the_committed_schema_is_the_generated_one(void **state)
{
    (void)state;
    size_t size_bytes = 0;
    pluck_error err = {PLUCK_OK, ""};
    assert_int_equal(pluck_config_schema(NULL, 0, &size_bytes, NULL), PLUCK_OK);
    char *generated = malloc(size_bytes);
    assert_non_null(generated);
    assert_int_equal(pluck_config_schema(generated, size_bytes, &size_bytes, &err), PLUCK_OK);
    char *committed = source_file("configs/pluck.schema.json");
    if (strcmp(generated, committed) != 0)
        fail_msg("configs/pluck.schema.json is out of date: run scripts/generate-schema");
    free(committed);
    free(generated);
}

/* The text of the next block "```kind … ```" after *at, moved behind it; NULL if there is none. */
static char *next_block(const char **at, const char *kind)
{
    char opening[32];
    snprintf(opening, sizeof opening, "\n```%s\n", kind);
    const char *start = strstr(*at, opening);
    if (!start)
        return NULL;
    start += strlen(opening);
    const char *end = strstr(start, "\n```");
    assert_non_null(end);
    *at = end + 4;
    return strndup(start, (size_t)(end - start));
}

static void every_example_of_the_documentation_is_accepted(void **state)
{
    (void)state;
    char *page = source_file("docs/configuration.md");
    const char *at = page;
    size_t n = 0;
    for (char *block = next_block(&at, "json"); block; block = next_block(&at, "json"), n++) {
        pluck_config *config = must_read(block);
        pluck_config_destroy(&config);
        free(block);
    }
    assert_true(n >= 5);
    free(page);
}

/* Blocks of "text" that start with {: a text, and the message after "=> ". */
static void every_error_of_the_documentation_is_what_is_said(void **state)
{
    (void)state;
    char *page = source_file("docs/configuration.md");
    const char *at = page;
    size_t n = 0;
    for (char *block = next_block(&at, "text"); block; block = next_block(&at, "text")) {
        for (char *line = strtok(block, "\n"); line; line = strtok(NULL, "\n")) {
            char *message = strtok(NULL, "\n");
            assert_non_null(message);
            assert_true(line[0] == '{' && strncmp(message, "=> ", 3) == 0);
            must_refuse(line, strlen(line), message + 3);
            n++;
        }
        free(block);
    }
    assert_true(n >= 3);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_loads_and_is_written_as_its_file),
        cmocka_unit_test(the_committed_schema_is_the_generated_one),
        cmocka_unit_test(every_example_of_the_documentation_is_accepted),
        cmocka_unit_test(every_error_of_the_documentation_is_what_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
