/*
 * JSON that is nested too deep is refused by every reader, before anything recurses: all calls are
 * made by a thread with a stack of 64 KiB, as a program may have them. What is nested exactly as
 * deep as is allowed is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pluck/config.h>
#include <pluck/dump.h>
#include <pluck/head.h>
#include <pluck/sampler.h>
#include <pluck/weighted.h>

#include "support/random.h"
#include "json/json.h"

enum { SMALL_STACK = 64 << 10, DEEPEST = 64 };

#if defined(__SANITIZE_ADDRESS__)
static const size_t stack_bytes = 16 * SMALL_STACK; /* its frames are much larger */
#else
static const size_t stack_bytes = SMALL_STACK;
#endif

typedef struct job {
    void (*run)(struct job *job);
    const char *text; /* JSON, depth levels deep with what is around it */
    size_t n;
    const char *path; /* a file of that JSON, if run opens one */
    pluck_status status;
    pluck_error err;
} job;

static void *start(void *context)
{
    job *j = context;
    j->run(j);
    return NULL;
}

static void run_on_small_stack(job *j)
{
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    /* Some systems give no thread as little. */
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    size_t size = stack_bytes < least ? least : stack_bytes;
    assert_int_equal(pthread_attr_setstacksize(&attributes, size), 0);
    assert_int_equal(pthread_create(&thread, &attributes, start, j), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

/* Readers */

static void parse(job *j)
{
    plk_json json;
    plk_json_problem problem = {0, ""};
    j->status = plk_json_parse(&json, j->text, j->n, 0, NULL, &problem, &j->err);
    if (j->status == PLUCK_ERR_FORMAT)
        (void)snprintf(j->err.message, sizeof j->err.message, "%s", problem.what);
    plk_json_close(&json);
}

static void open_tree(job *j)
{
    plk_json json;
    j->status = plk_json_open(&json, j->text, j->n, 0, NULL, NULL, &j->err);
    plk_json_close(&json);
}

static void read_config(job *j)
{
    pluck_config *config = NULL;
    j->status = pluck_config_from_json(&config, j->text, j->n, NULL, &j->err);
    pluck_config_destroy(&config);
}

static void set_config(job *j)
{
    pluck_config *config = NULL;
    if (pluck_config_create(&config, NULL, &j->err) == PLUCK_OK)
        j->status = pluck_config_set_json(config, "logit_bias", j->text, &j->err);
    pluck_config_destroy(&config);
}

static void import_config(job *j)
{
    for (int kind = 0; pluck_import_format_name((pluck_import_format)kind); kind++) {
        pluck_config *config = NULL;
        pluck_status status = pluck_config_import(&config, (pluck_import_format)kind, j->text, j->n,
                                                  NULL, NULL, NULL, &j->err);
        j->status = kind == 0 || status == j->status ? status : PLUCK_ERR_NAN;
        pluck_config_destroy(&config);
    }
}

static void guess_kind(job *j)
{
    pluck_import_format kind = PLUCK_IMPORT_OPENAI;
    j->status = pluck_import_guess(j->text, j->n, &kind, &j->err);
}

static void create_sampler(job *j)
{
    pluck_sampler *sampler = NULL;
    j->status = pluck_sampler_from_json(&sampler, j->text, j->n, 9, &j->err);
    pluck_sampler_destroy(&sampler);
}

static void open_dump(job *j)
{
    pluck_dump *dump = NULL;
    j->status = pluck_dump_open(&dump, j->path, NULL, &j->err);
    pluck_dump_destroy(&dump);
}

static void load_head(job *j)
{
    pluck_head *head = NULL;
    j->status = pluck_head_open(&head, j->path, NULL, &j->err);
    pluck_head_destroy(&head);
}

static void load_weighted(job *j)
{
    pluck_weighted *weighted = NULL;
    j->status = pluck_weighted_open(&weighted, j->path, NULL, &j->err);
    pluck_weighted_destroy(&weighted);
}

static void resume_training(job *j)
{
    static const float hidden[] = {1, 2};
    static const pluck_token targets[] = {0, 1};
    static const pluck_train_data data = {
        .struct_size = sizeof data, .hidden = hidden, .n_rows = 2, .dim = 1, .targets = targets};
    pluck_tree *tree = NULL;
    pluck_trainer *trainer = NULL;
    if (pluck_tree_create_balanced(&tree, 2, NULL, &j->err) == PLUCK_OK &&
        pluck_trainer_create(&trainer, tree, &data, NULL, &j->err) == PLUCK_OK)
        j->status = pluck_trainer_restore(trainer, j->path, &j->err);
    pluck_trainer_destroy(&trainer);
    pluck_tree_destroy(&tree);
}

/* The row is read, too: the first one when the dump is opened, the second one later. */
static void read_json_lines(job *j)
{
    pluck_dump *dump = NULL;
    pluck_dump_row row = {.struct_size = sizeof row, .target = 0};
    float scratch[2];
    j->status = pluck_dump_open(&dump, j->path, NULL, &j->err);
    for (uint64_t i = 0; i < 2 && j->status == PLUCK_OK; i++)
        j->status = pluck_dump_read(dump, i, scratch, &row, &j->err);
    pluck_dump_destroy(&dump);
}

typedef enum text_form { ARRAYS, OBJECTS, HEADER, ROW } text_form;

static const struct {
    const char *name;
    void (*run)(job *j);
    text_form form;
    bool reads_deepest; /* what is nested 64 deep is not refused for anything else */
} readers[] = {
    {"plk_json_parse", parse, ARRAYS, true},
    {"plk_json_parse", parse, OBJECTS, true},
    {"plk_json_open", open_tree, ARRAYS, true},
    {"plk_json_open", open_tree, OBJECTS, true},
    {"pluck_config_from_json", read_config, OBJECTS, false},
    {"pluck_config_from_json", read_config, ARRAYS, false},
    {"pluck_config_set_json", set_config, ARRAYS, false},
    {"pluck_config_import", import_config, OBJECTS, true},
    {"pluck_import_guess", guess_kind, OBJECTS, false},
    {"pluck_sampler_from_json", create_sampler, OBJECTS, false},
    {"pluck_dump_open of .safetensors", open_dump, HEADER, true},
    {"pluck_head_open", load_head, HEADER, false},
    {"pluck_weighted_open", load_weighted, HEADER, false},
    {"pluck_trainer_restore", resume_training, HEADER, false},
    {"pluck_dump_open of JSON lines", read_json_lines, ROW, true},
};

enum { N_READERS = sizeof readers / sizeof *readers };

static const size_t depths[] = {DEEPEST, 65, 990, 100000};

static void repeat(FILE *file, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fputs(text, file);
}

/* A text that is depth levels deep: the header and the row have levels of their own around it. */
static char *make_text(text_form form, size_t depth, size_t *n)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, n);
    assert_non_null(file);
    if (form == OBJECTS) {
        repeat(file, "{\"a\":", depth - 1);
        (void)fputs("{}", file);
        repeat(file, "}", depth - 1);
    } else if (form == ARRAYS) {
        repeat(file, "[", depth);
        repeat(file, "]", depth);
    } else if (form == HEADER) {
        (void)fputs("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                    "\"__metadata__\":{\"note\":",
                    file);
        repeat(file, "[", depth - 2);
        repeat(file, "]", depth - 2);
        (void)fputs("}}", file);
    } else {
        (void)fputs("{\"logits\":[1,2]}\n{\"note\":", file);
        repeat(file, "[", depth - 1);
        repeat(file, "]", depth - 1);
        (void)fputs(",\"logits\":[1,2]}\n", file);
    }
    assert_int_equal(fclose(file), 0);
    return text;
}

static void write_file(const char *path, const job *j, bool is_safetensors)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (unsigned i = 0; is_safetensors && i < 8; i++)
        (void)fputc((int)(j->n >> (8 * i) & 0xFF), file);
    assert_int_equal(fwrite(j->text, 1, j->n, file), j->n);
    if (is_safetensors)
        assert_int_equal(fwrite("\0\0\200?\0\0\0@", 1, 8, file), 8);
    assert_int_equal(fclose(file), 0);
}

static void test_every_reader_refuses_what_is_nested_too_deep(void **state)
{
    (void)state;
    char path[] = "/tmp/pluck_json_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (size_t r = 0; r < N_READERS; r++) {
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            job j = {.run = readers[r].run, .path = path};
            char *text = make_text(readers[r].form, depths[d], &j.n);
            j.text = text;
            write_file(path, &j, readers[r].form == HEADER);
            run_on_small_stack(&j);
            bool is_told = strstr(j.err.message, "64 levels") != NULL;
            bool is_deepest = depths[d] == DEEPEST;
            if (is_deepest ? is_told || (readers[r].reads_deepest && j.status != PLUCK_OK)
                           : !is_told || j.status == PLUCK_OK)
                fail_msg("%s, %zu levels: %s: \"%s\"", readers[r].name, depths[d],
                         pluck_status_name(j.status), j.err.message);
            free(text);
        }
    }
    (void)unlink(path);
}

/* Everything that a string may hold, read from the text and by plk_json_node. */
static void test_strings_are_bytes_with_a_length(void **state)
{
    (void)state;
    static const char text[] =
        "{\"k\\u0000\\ud83d\\ude42\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC"
        "\\u0000\xC3\xA9\", \"plain\": \"\"}";
    static const char value[] = "\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC\0\xC3\xA9";
    static const char key[] = "k\0\xF0\x9F\x99\x82";
    plk_json json;
    plk_json_problem problem = {0, NULL};
    pluck_error err;
    assert_int_equal(plk_json_parse(&json, text, sizeof text - 1, 0, NULL, &problem, &err),
                     PLUCK_ERR_FORMAT);
    assert_string_equal(problem.what, "a string cannot hold the character \\u0000");
    assert_int_equal(problem.at, 3);
    assert_null(json.root);
    assert_int_equal(
        plk_json_parse(&json, text, sizeof text - 1, PLK_JSON_NUL, NULL, &problem, &err), PLUCK_OK);
    const plk_json_node *first = plk_json_child(json.root), *plain = plk_json_sibling(first);
    assert_int_equal(plk_json_key_bytes(first), sizeof key - 1);
    assert_memory_equal(plk_json_key(first), key, sizeof key);
    assert_int_equal(plk_json_string_bytes(first), sizeof value - 1);
    assert_memory_equal(plk_json_string(first), value, sizeof value);
    assert_int_equal(plk_json_key_bytes(plain), 5);
    assert_string_equal(plk_json_key(plain), "plain");
    assert_int_equal(plk_json_string_bytes(plain), 0);
    assert_string_equal(plk_json_string(plain), "");
    plk_json_close(&json);
}

static void test_members_are_found_in_objects_only(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF[{\"a\": 1, \"A\": 2.5e1, \"a\": 3}, [1]]";
    plk_json json;
    plk_json_problem problem;
    pluck_error err;
    assert_int_equal(plk_json_parse(&json, text, sizeof text - 1, 0, NULL, &problem, &err),
                     PLUCK_OK);
    assert_null(plk_json_member(NULL, "a"));
    assert_null(plk_json_member(json.root, "a"));
    assert_null(plk_json_member(plk_json_sibling(plk_json_child(json.root)), "a"));
    assert_null(plk_json_member(plk_json_child(json.root), "b"));
    assert_true(plk_json_number(plk_json_member(plk_json_child(json.root), "a")) == 1.0);
    assert_true(plk_json_number(plk_json_member(plk_json_child(json.root), "A")) == 25.0);
    plk_json_close(&json);
}

/* {kind, at, length} of each event, and where reading stops. */
static void test_events_tell_kind_and_place(void **state)
{
    (void)state;
    static const char text[] = " {\"a\" : [1e3, \"x\", null], \"\\u00e4\":{} , \"t\":true}\n";
    static const plk_json_event expected[] = {
        {PLK_JSON_OBJECT, 1, 1}, {PLK_JSON_KEY, 2, 3},     {PLK_JSON_ARRAY, 8, 1},
        {PLK_JSON_NUMBER, 9, 3}, {PLK_JSON_STRING, 14, 3}, {PLK_JSON_NULL, 19, 4},
        {PLK_JSON_CLOSE, 23, 1}, {PLK_JSON_KEY, 26, 8},    {PLK_JSON_OBJECT, 35, 1},
        {PLK_JSON_CLOSE, 36, 1}, {PLK_JSON_KEY, 40, 3},    {PLK_JSON_TRUE, 44, 4},
        {PLK_JSON_CLOSE, 48, 1}, {PLK_JSON_END, 50, 0}};
    plk_json_reader reader = plk_json_reader_init(text, sizeof text - 1, 0);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        plk_json_event event;
        if (!plk_json_next(&reader, &event))
            fail_msg("event %zu: byte %zu: %s", i, reader.problem.at, reader.problem.what);
        if (event.kind != expected[i].kind || event.at != expected[i].at ||
            event.length != expected[i].length)
            fail_msg("event %zu: kind %d, byte %zu, %zu bytes", i, (int)event.kind, event.at,
                     event.length);
    }
    assert_int_equal(reader.depth, 0);
}

/* Of texts that no reader has checked: any bytes, halves of surrogate pairs, escapes cut short. */
static void test_any_bytes_are_unescaped(void **state)
{
    (void)state;
    static const struct {
        const char *string, *bytes;
    } cases[] = {{"a\\n\\q\xFF", "a\nq\xFF"},
                 {"\\ud83d\\ude42", "\xF0\x9F\x99\x82"},
                 {"\\ud83dx", "\xEF\xBF\xBDx"},
                 {"\\ude42", "\xEF\xBF\xBD"},
                 {"\\ud83d\\u0041", "\xEF\xBF\xBD\x41"},
                 {"\\u12", "u12"},
                 {"\\", "\\"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        size_t n = plk_json_unescape(cases[i].string, strlen(cases[i].string), out);
        if (n != strlen(cases[i].bytes) || memcmp(out, cases[i].bytes, n) != 0)
            fail_msg("%s: %zu bytes: %.*s", cases[i].string, n, (int)n, out);
    }
}

static void check_number(const char *text)
{
    double scanned = 0, expected = strtod(text, NULL);
    size_t length = 0;
    assert_int_equal(plk_number_scan(text, strlen(text), &length, &scanned), PLK_NUMBER_VALID);
    assert_int_equal(length, strlen(text));
    double read = plk_number_read(text, strlen(text));
    if (memcmp(&scanned, &expected, sizeof expected) != 0 ||
        memcmp(&read, &expected, sizeof expected) != 0)
        fail_msg("%s: %a, %a; strtod: %a", text, scanned, read, expected);
}

/* Both ways to a double, by a product or quotient and by strtod(), at their border too. */
static void test_numbers_are_the_nearest_doubles(void **state)
{
    (void)state;
    static const char *const edges[] = {"0",
                                        "-0",
                                        "-0.0e-5",
                                        "9007199254740992",
                                        "9007199254740993",
                                        "9007199254740993e22",
                                        "9007199254740992e22",
                                        "1e23",
                                        "1e-22",
                                        "1e-23",
                                        "0.00000000000000000000000000000000000001",
                                        "1234567890123456789012345678901234567890",
                                        "1e309",
                                        "-1e999999999",
                                        "4.9e-324",
                                        "2e-324",
                                        "2.2250738585072011e-308",
                                        "1.7976931348623157e308"};
    test_random random = test_random_make(3);
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        check_number(edges[i]);
    for (int i = 0; i < 100000; i++) {
        char text[64];
        uint64_t bits = test_random_bits(&random);
        double value = 0;
        memcpy(&value, &bits, sizeof value);
        if (!(value - value == 0))
            value = test_random_normal(&random);
        (void)snprintf(text, sizeof text, i % 2 ? "%.*e" : "%.*g",
                       (int)test_random_below(&random, 20),
                       i % 4 < 2 ? value : 1000 * test_random_normal(&random));
        char *plus = strstr(text, "e+");
        if (plus)
            memmove(plus + 1, plus + 2, strlen(plus + 2) + 1);
        check_number(text);
    }
}

static void test_what_is_not_a_number_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        plk_number_fault fault;
        size_t length;
    } cases[] = {{"", PLK_NUMBER_NO_DIGIT, 0},       {"-", PLK_NUMBER_NO_DIGIT, 1},
                 {"+1", PLK_NUMBER_NO_DIGIT, 0},     {".5", PLK_NUMBER_NO_DIGIT, 0},
                 {"01", PLK_NUMBER_LEADING_ZERO, 2}, {"-00.5", PLK_NUMBER_LEADING_ZERO, 3},
                 {"1.", PLK_NUMBER_NO_FRACTION, 2},  {"1.e5", PLK_NUMBER_NO_FRACTION, 2},
                 {"1e", PLK_NUMBER_NO_EXPONENT, 2},  {"1.5e+", PLK_NUMBER_NO_EXPONENT, 5},
                 {"12,5", PLK_NUMBER_VALID, 2},      {"0x10", PLK_NUMBER_VALID, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = 0;
        plk_number_fault fault =
            plk_number_scan(cases[i].text, strlen(cases[i].text), &length, NULL);
        if (fault != cases[i].fault || length != cases[i].length)
            fail_msg("'%s': %d at %zu", cases[i].text, (int)fault, length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reader_refuses_what_is_nested_too_deep),
        cmocka_unit_test(test_strings_are_bytes_with_a_length),
        cmocka_unit_test(test_members_are_found_in_objects_only),
        cmocka_unit_test(test_events_tell_kind_and_place),
        cmocka_unit_test(test_any_bytes_are_unescaped),
        cmocka_unit_test(test_numbers_are_the_nearest_doubles),
        cmocka_unit_test(test_what_is_not_a_number_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
