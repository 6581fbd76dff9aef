/*
 * Configurations come from strangers too. Text that is made to be slow or to break a parser must be
 * refused or read in time that grows with its length, and one byte changed anywhere must never do
 * more harm than a refusal.
 */
#include "test_config_helpers.h"

#include "base/text.h"
#include "support/cases.h"
#include "support/config_parts.h"
#include "support/random.h"
#include "json/json.h"

#include <inttypes.h>
#include <unistd.h>

enum { MEGABYTES_10 = 10 * 1000 * 1000 };

/* Of processor time, in seconds. No speed is claimed: all texts here are read within a tenth of it,
 * instrumented builds on busy machines included, while work that grows with the square of 10 MB, or
 * of 10^5 keys that share a hundred bytes, takes minutes to days. */
static const double time_limit = 20;

/* repeat times `unit` between two texts. */
static char *repeated(const char *before, const char *unit, size_t repeat, const char *after,
                      size_t *size_bytes)
{
    size_t n_before = strlen(before), n_unit = strlen(unit), n_after = strlen(after);
    char *text = malloc(n_before + repeat * n_unit + n_after + 1);
    assert_non_null(text);
    memcpy(text, before, n_before);
    for (size_t i = 0; i < repeat; i++)
        memcpy(text + n_before + i * n_unit, unit, n_unit);
    *size_bytes = n_before + repeat * n_unit + n_after;
    memcpy(text + n_before + repeat * n_unit, after, n_after + 1);
    return text;
}

/* The text must be refused in time, with a message that starts so. Frees it. */
static void refuse_quickly(char *text, size_t size_bytes, const char *start_of_message)
{
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = NULL;
    double start = seconds();
    pluck_status status = pluck_config_from_json(&config, text, size_bytes, NULL, &err);
    double took = seconds() - start;
    if (status != PLUCK_ERR_CONFIG ||
        strncmp(err.message, start_of_message, strlen(start_of_message)) != 0)
        fail_msg("expected: %s\n  got:      %s", start_of_message, err.message);
    if (took > time_limit)
        fail_msg("%s\n  took %.2f s", err.message, took);
    free(text);
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    size_t n = 0;
    char *text = repeated("", "[", 300, "", &n);
    refuse_quickly(text, n, "line 1, column 65: nested more than 64 levels deep");
    text = repeated("", "{\"a\":", 300, "1", &n);
    refuse_quickly(text, n, "line 1, column 321: nested more than 64 levels deep");
    text = repeated("", "[", MEGABYTES_10, "", &n);
    refuse_quickly(text, n, "line 1, column 65: nested more than 64 levels deep");
    text = repeated("{\"a\":", "[[],", MEGABYTES_10 / 4, "", &n);
    refuse_quickly(text, n, "line 1, column 255: nested more than 64 levels deep");
    text = repeated("", "[", 64,
                    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"
                    "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
                    &n);
    refuse_quickly(text, n, "line 1, column 1: $: a configuration is an object, not an array");
}

static void ten_megabytes_of_one_thing_are_refused_quickly(void **state)
{
    (void)state;
    if (test_n_repeats(1) == 0)
        skip(); /* only the size differs from what the other tests read */
    size_t n = 0;
    char *text = repeated("{\"top_k\": \"", "a", MEGABYTES_10, "\"}", &n);
    refuse_quickly(text, n, "line 1, column 11: $.top_k: expected a whole number");
    text = repeated("{\"", "a", MEGABYTES_10, "\": 1}", &n);
    refuse_quickly(text, n, "line 1, column 2: $[\"aaaaaaaaaaaaaaaa");
    text = repeated("{\"draw\": \"", "\xF0\x9F\x98\x80", MEGABYTES_10 / 4, "\"}", &n);
    refuse_quickly(text, n, "line 1, column 10: $.draw: unknown draw '\xF0\x9F\x98\x80");
    text = repeated("{\"draw\": \"", "\\u0041", MEGABYTES_10 / 6, "", &n);
    refuse_quickly(text, n,
                   "line 1, column 10: this string does not end; its closing quote is missing");
    text = repeated("{\"top_k\": ", "9", MEGABYTES_10, "}", &n);
    refuse_quickly(text, n, "line 1, column 11: a number may have at most 127 characters");
    text = repeated("{\"order\": [", "1,", MEGABYTES_10 / 10, "1]}", &n);
    refuse_quickly(text, n, "line 1, column 12: $.order[0]: expected the name of a stage");
    text = repeated("", "\n", MEGABYTES_10, "x", &n);
    refuse_quickly(text, n, "line 10000001, column 1: expected a value");
    text = repeated("{\"stages\": [", "{\"type\":\"top_k\"},", 100000, "3]}", &n);
    refuse_quickly(text, n, "line 1, column 1700013: $.stages[100000]: expected an object");
    text = repeated("{} ", " ", MEGABYTES_10, "{}", &n);
    refuse_quickly(text, n, "line 1, column 10000004: unexpected text after the value");
}

/* Refused by its size alone: only a few bytes are there. */
static void a_text_above_the_limit_is_not_read(void **state)
{
    (void)state;
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = NULL;
    char *text = strdup("{}  ");
    size_t too_large = (size_t)PLK_JSON_MAX_BYTES + 1;
    assert_int_equal(pluck_config_from_json(&config, text, too_large, NULL, &err),
                     PLUCK_ERR_CONFIG);
    assert_string_equal(err.message, "line 1, column 1: the text is longer than 1 GiB");
    free(text);
}

/* Keys that share a long beginning make comparing them expensive. */
static void many_keys_are_compared_in_time(void **state)
{
    (void)state;
    enum { N_KEYS = 50000 };
    const char shared[] = "a key with a long beginning, a key with a long beginning, a key with a "
                          "long beginning, a key with a long beginning,";
    size_t capacity = N_KEYS * (sizeof shared + 20);
    for (int order = 0; order < 3; order++) {
        char *text = malloc(capacity);
        assert_non_null(text);
        size_t n = (size_t)snprintf(text, capacity, "{");
        for (uint32_t i = 0; i < N_KEYS; i++) {
            uint32_t id = order == 0 ? i : order == 1 ? N_KEYS - i : i * 2654435761u;
            n += (size_t)snprintf(text + n, capacity - n, "\"%s%010" PRIu32 "\":1,\n", shared, id);
        }
        n += (size_t)snprintf(text + n, capacity - n, "\"x\":1,\n\"x\":1}");
        refuse_quickly(text, n,
                       "line 50002, column 1: $.x: duplicate key 'x'; it is already at "
                       "line 50001, column 1");
    }
}

static void a_large_bias_map_is_read_in_time(void **state)
{
    (void)state;
    enum { N_TOKENS = 262144 };
    for (int pairs = 0; pairs < 2; pairs++) {
        size_t capacity = N_TOKENS * 32;
        char *text = malloc(capacity);
        pluck_config *config = NULL;
        pluck_error err = {PLUCK_OK, ""};
        assert_non_null(text);
        size_t n = (size_t)snprintf(text, capacity, "{\"logit_bias\":%s", pairs ? "[" : "{");
        for (uint32_t i = 0; i < N_TOKENS; i++) {
            uint32_t token = i * 2654435761u % N_TOKENS; /* odd factor: a permutation */
            n += (size_t)snprintf(text + n, capacity - n,
                                  pairs ? "%s[%" PRIu32 ",-1.25]" : "%s\"%" PRIu32 "\":-1.25",
                                  i ? "," : "", token);
        }
        n += (size_t)snprintf(text + n, capacity - n, pairs ? "]}" : "}}");
        double start = seconds();
        assert_int_equal(pluck_config_from_json(&config, text, n, NULL, &err), PLUCK_OK);
        double took = seconds() - start;
        if (took > time_limit)
            fail_msg("took %.2f s", took);
        const pluck_bias_map *map = config_stage(config, 0).params;
        assert_int_equal(map->n, N_TOKENS);
        for (uint32_t i = 0; i < N_TOKENS; i++)
            assert_int_equal(map->items[i].token, i);
        pluck_config_destroy(&config);
        free(text);
    }
}

/* Table 3-7 of the Unicode Standard, from the other side: decode, and compare with what each
 * character must be encoded as. */
static bool valid_utf8(const unsigned char *p, size_t n, size_t *length)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    *length = p[0] < 0x80             ? 1
              : (p[0] & 0xE0) == 0xC0 ? 2
              : (p[0] & 0xF0) == 0xE0 ? 3
              : (p[0] & 0xF8) == 0xF0 ? 4
                                      : 0;
    if (*length == 0 || *length > n)
        return false;
    uint32_t code = *length == 1 ? p[0] : p[0] & (0x7Fu >> *length);
    for (size_t i = 1; i < *length; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return false;
        code = code << 6 | (p[i] & 0x3Fu);
    }
    return code >= smallest[*length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

static void utf8_is_checked_strictly(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x00, 0x22, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                          0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                          0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFE, 0xFF};
    enum { N_EDGES = sizeof edges };
    for (size_t i = 0; i < (size_t)N_EDGES * N_EDGES * N_EDGES * N_EDGES; i++) {
        unsigned char bytes[4] = {edges[i % N_EDGES], edges[i / N_EDGES % N_EDGES],
                                  edges[i / N_EDGES / N_EDGES % N_EDGES],
                                  edges[i / N_EDGES / N_EDGES / N_EDGES]};
        for (size_t n = 1; n <= 4; n++) {
            size_t length = 0;
            bool valid = valid_utf8(bytes, n, &length);
            uint32_t code_point = 0;
            if (plk_utf8_decode((const char *)bytes, n, &code_point) != (valid ? length : 0))
                fail_msg("%02X %02X %02X %02X, first %zu", bytes[0], bytes[1], bytes[2], bytes[3],
                         n);
        }
    }
}

static const char sample[] =
    "{\"$schema\": \"./pluck.schema.json\", \"description\": \"\xC3\xA4 \\u20AC \\\" \xF0\x9F\x98"
    "\x80\", \"seed\": 18446744073709551615, \"on_nan\": \"ban\", \"order\": [\"top_k\", "
    "\"logit_bias\", \"top_p\"], \"top_k\": 40, \"top_p\": 9.5e-1, \"min_keep\": 2, "
    "\"logit_bias\": [[5, -1.5], [7, false], [9, null]], \"draw\": {\"type\": \"greedy\"}}";

static void check_any_text(const char *text, size_t size_bytes)
{
    /* An exact heap block, so that reading past its end is seen by a sanitizer. */
    char *exact = malloc(size_bytes ? size_bytes : 1);
    pluck_error err = {PLUCK_OK, ""};
    pluck_config *config = NULL;
    assert_non_null(exact);
    memcpy(exact, text, size_bytes);
    pluck_status status = pluck_config_from_json(&config, exact, size_bytes, NULL, &err);
    assert_true(status == PLUCK_OK || status == PLUCK_ERR_CONFIG);
    assert_true((status == PLUCK_OK) == (config != NULL));
    if (status == PLUCK_ERR_CONFIG)
        assert_true(strncmp(err.message, "line ", 5) == 0);
    pluck_config_destroy(&config);
    free(exact);
}

static void every_beginning_of_a_text_is_refused(void **state)
{
    (void)state;
    check_any_text(sample, sizeof sample - 1);
    pluck_config *whole = must_read(sample);
    pluck_config_destroy(&whole);
    for (size_t n = 0; n < sizeof sample - 1; n++) {
        pluck_config *config = NULL;
        check_any_text(sample, n);
        assert_int_equal(pluck_config_from_json(&config, sample, n, NULL, NULL), PLUCK_ERR_CONFIG);
    }
}

static void any_byte_anywhere_is_read_or_refused(void **state)
{
    (void)state;
    char text[sizeof sample];
    for (size_t at = 0; at < sizeof sample - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(text, sample, sizeof sample);
            text[at] = (char)byte;
            check_any_text(text, sizeof sample - 1);
        }
    }
}

static void random_damage_is_read_or_refused(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        test_random random = test_random_make(seed);
        char text[sizeof sample];
        memcpy(text, sample, sizeof sample);
        for (size_t i = test_random_below(&random, 6) + 1; i > 0; i--) {
            size_t to = test_random_below(&random, sizeof sample - 1);
            text[to] = sample[test_random_below(&random, sizeof sample - 1)];
        }
        check_any_text(text, test_random_below(&random, 4)
                                 ? sizeof sample - 1
                                 : test_random_below(&random, sizeof sample));
    }
}

/* With a decimal comma, JSON must stay what it is. */
static void numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    char folder[] = COMMA_FOLDER;
    pluck_config *before = must_read(sample);
    char *text_before = must_write(before);
    bool comma = set_comma_locale(folder) != NULL;
    if (comma) {
        pluck_config *after = must_read(sample);
        char *text_after = must_write(after);
        assert_true(pluck_config_equal(before, after));
        assert_string_equal(text_before, text_after);
        assert_non_null(strstr(text_after, "0.95"));
        free(text_after);
        pluck_config_destroy(&after);
    }
    leave_comma_locale(folder);
    free(text_before);
    pluck_config_destroy(&before);
    if (!comma)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(ten_megabytes_of_one_thing_are_refused_quickly),
        cmocka_unit_test(a_text_above_the_limit_is_not_read),
        cmocka_unit_test(many_keys_are_compared_in_time),
        cmocka_unit_test(a_large_bias_map_is_read_in_time),
        cmocka_unit_test(utf8_is_checked_strictly),
        cmocka_unit_test(every_beginning_of_a_text_is_refused),
        cmocka_unit_test(any_byte_anywhere_is_read_or_refused),
        cmocka_unit_test(random_damage_is_read_or_refused),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
