/*
 * Targets decide what a perplexity or a fitted temperature is: one that is misread, or shifted by
 * one, shows as a plausible number. So every integer type, byte order and notation has to give the
 * same tokens, as a file and as a stream, and what is no target has to be refused with its place.
 */
#include "test_dump_files.h"

#include "dump/reader.h"

static const pluck_token expected[] = {0, 1, 127, PLUCK_NO_TOKEN, 5};
enum { N = 5 };

static byte_string integers(const char *descr, const char *shape)
{
    char text[128];
    unsigned size = (unsigned)(descr[2] - '0');
    snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr,
             shape);
    byte_string bytes = npy_header(1, text);
    for (size_t i = 0; i < N; i++) {
        pluck_token token = expected[i] < 0 && descr[1] == 'u' ? 3 : expected[i];
        bytes_append_number(&bytes, (uint64_t)(int64_t)token, size, descr[0] == '>');
    }
    return bytes;
}

static pluck_status open_bytes(byte_string bytes, bool streamed, pluck_targets **targets,
                               pluck_error *err)
{
    return plk_targets_open_memory(targets, "t", bytes.data, bytes.size, streamed, NULL, err);
}

static void check(byte_string bytes, bool is_signed)
{
    pluck_error err = {0};
    for (int streamed = 0; streamed < 2; streamed++) {
        pluck_targets *targets = NULL;
        pluck_token tokens[N];
        assert_status(open_bytes(bytes, streamed == 1, &targets, &err), PLUCK_OK, err);
        assert_int_equal(pluck_targets_count(targets), N);
        assert_status(pluck_targets_read(targets, 0, N, tokens, &err), PLUCK_OK, err);
        for (size_t i = 0; i < N; i++)
            assert_int_equal(tokens[i], expected[i] < 0 && !is_signed ? 3 : expected[i]);
        assert_status(pluck_targets_read(targets, 2, 1, tokens, &err), PLUCK_OK, err);
        assert_int_equal(tokens[0], 127);
        assert_status(pluck_targets_read(targets, N, 0, NULL, &err), PLUCK_OK, err);
        assert_int_equal(pluck_targets_read(targets, N, 1, tokens, &err), PLUCK_ERR_INVALID);
        assert_int_equal(pluck_targets_read(targets, UINT64_MAX, 2, tokens, &err),
                         PLUCK_ERR_INVALID);
        pluck_targets_destroy(&targets);
        assert_null(targets);
    }
    bytes_free(&bytes);
}

static void every_integer_type_gives_the_same_tokens(void **state)
{
    (void)state;
    static const char *const types[] = {"|i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8",
                                        "|u1", "<u2", ">u2", "<u4", ">u4", "<u8", ">u8"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        check(integers(types[i], "(5,)"), types[i][1] == 'i');
        check(integers(types[i], "(1, 5)"), types[i][1] == 'i');
    }
}

static void check_shape(byte_string bytes, const uint64_t *expected_axes, size_t n_axes)
{
    pluck_error err = {0};
    pluck_targets *targets = NULL;
    const uint64_t *axes = NULL;
    assert_status(open_bytes(bytes, false, &targets, &err), PLUCK_OK, err);
    assert_int_equal(pluck_targets_axes(targets, &axes), n_axes);
    assert_int_equal(pluck_targets_axes(targets, NULL), n_axes);
    assert_memory_equal(axes, expected_axes, n_axes * sizeof *axes);
    pluck_targets_destroy(&targets);
    bytes_free(&bytes);
}

static byte_string text_of(const char *text)
{
    byte_string bytes = {0};
    bytes_append(&bytes, text, strlen(text));
    return bytes;
}

static void every_notation_gives_the_same_tokens(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0\n1\n127\n-1\n5\n",
        "0 1 127 -1 5",
        "0,1,127,-1,5",
        "[0, 1, 127, -100, 5]\n",
        "\r\n 0\t1 ,127\r\n-7 5",
        "[\n0,1,127,-1,5 ]",
        "\xEF\xBB\xBF"
        "0 1 127 -1 5,\n",
        "0.000000000000000000e+00\n1.0e+00\n1.27e2\n-1.0\n5.\n",
        "[[0], [1], [127], [-1], [+5]]",
        "[[0, 1, 127, -1, 5]]",
        "00 0001 127 -99999999999999999999 5",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check(text_of(texts[i]), true);
}

static void axes_are_those_of_the_file(void **state)
{
    (void)state;
    check_shape(integers("<i4", "(5,)"), (uint64_t[]){5}, 1);
    check_shape(integers("<i4", "(1, 5)"), (uint64_t[]){1, 5}, 2);
    check_shape(integers("<i4", "(5, 1, 1)"), (uint64_t[]){5, 1, 1}, 3);
    check_shape(text_of("1 2\n3 4\n"), (uint64_t[]){4}, 1);
    check_shape(text_of("[1, 2]"), (uint64_t[]){2}, 1);
    check_shape(text_of("[[1, 2, 3], [4, 5, 6]]"), (uint64_t[]){2, 3}, 2);
    check_shape(text_of("[[[1], [2]]]"), (uint64_t[]){1, 2, 1}, 3);
    const uint64_t *axes = (const uint64_t *)state;
    assert_int_equal(pluck_targets_axes(NULL, &axes), 0);
    assert_null(axes);
}

static void check_refused(byte_string bytes, const char *fragment)
{
    for (int streamed = 0; streamed < 2; streamed++) {
        pluck_error err = {0};
        pluck_targets *targets = (pluck_targets *)&err;
        pluck_token tokens[N];
        pluck_status status = open_bytes(bytes, streamed == 1, &targets, &err);
        if (status == PLUCK_OK)
            status = pluck_targets_read(targets, 0, pluck_targets_count(targets), tokens, &err);
        else
            assert_null(targets);
        if (status != PLUCK_ERR_FORMAT || !strstr(err.message, fragment))
            print_error("'%s' instead of '%s'\n", err.message, fragment);
        assert_int_equal(status, PLUCK_ERR_FORMAT);
        assert_non_null(strstr(err.message, fragment));
        pluck_targets_destroy(&targets);
    }
    bytes_free(&bytes);
}

static void what_is_no_target_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fragment;
    } cases[] = {
        {"1\n2\nx\n", "line 3: expected a whole number"},
        {"1\n16777216\n", "target 1 is 16777216"},
        {"1\n9223372036854775808\n", "number 1 is 9223372036854775808: expected at most 2^63"},
        {"1 2.5", "expected a whole number"},
        {"1 2e-1", "expected a whole number"},
        {"1-2", "expected white space or a comma"},
        {"+-1", "expected a whole number"},
        {"1e", "expected a whole number"},
        {"1e+", "expected a whole number"},
        {"--1", "expected a whole number"},
        {"1 .5", "expected a whole number"},
        {"1,,2", "expected a whole number"},
        {",1", "does not hold integers"},
        {"1;2", "expected white space or a comma"},
        {"[1, 2", "expected ']'"},
        {"[1, 2,]", "expected a whole number"},
        {"[1, 2] 3", "expected nothing after ']'"},
        {"[1] [2]", "expected nothing after ']'"},
        {"[1]]", "expected nothing after ']'"},
        {"[ ]", "expected non-empty arrays of the same length"},
        {"[[1, 2], [3]]", "expected non-empty arrays of the same length"},
        {"[[1, 2], 3]", "expected arrays nested to the same depth"},
        {"[1, [2, 3]]", "expected arrays nested to the same depth"},
        {"[[1], []]", "expected non-empty arrays of the same length"},
        {"1 [2]", "expected a whole number"},
        {"- 1", "expected a whole number"},
        {"hello", "does not hold integers"},
        {"{\"a\": 1}", "does not hold integers"},
        {"  \n", "does not hold integers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_refused(text_of(cases[i].text), cases[i].fragment);
    byte_string deep = {0};
    for (size_t i = 0; i < 65; i++)
        bytes_append(&deep, "[", 1);
    check_refused(deep, "nested to the same depth everywhere, at most 64");
    byte_string bytes = integers("<i4", "(5,)");
    bytes.size--;
    check_refused(bytes, "do not fit the 19 bytes");
    check_refused(integers("<f4", "(5,)"), "are not integers; expected integers");
    check_refused(integers("|i4", "(5,)"), "are not integers");
    check_refused(integers("<i4", "(4611686018427387904, 8)"), "do not fit");
    check_refused(integers("<i4", "(0, 5)"), "do not fit");
    check_refused(npy_header(1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3)}"),
                  "in Fortran order");
    bytes = npy_header(1, "{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}");
    bytes_append_number(&bytes, 1 << 24, 4, false);
    check_refused(bytes, "target 0 is 16777216");
    bytes = npy_header(1, "{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}");
    bytes.size -= 9;
    check_refused(bytes, "truncated: the .npy header");
}

static void files_are_read_and_errors_of_the_system_told(void **state)
{
    (void)state;
    pluck_error err = {0};
    pluck_targets *targets = NULL;
    pluck_token token = 0;
    byte_string bytes = text_of("7\n8\n");
    temporary_file file = temporary_file_write(bytes);
    assert_status(pluck_targets_open(&targets, file.path, NULL, &err), PLUCK_OK, err);
    assert_status(pluck_targets_read(targets, 1, 1, &token, &err), PLUCK_OK, err);
    assert_int_equal(token, 8);
    pluck_targets_destroy(&targets);
    unlink(file.path);
    bytes_free(&bytes);
    assert_int_equal(pluck_targets_open(&targets, file.path, NULL, &err), PLUCK_ERR_IO);
    assert_int_equal(pluck_targets_open(&targets, "/tmp", NULL, &err), PLUCK_ERR_IO);
    assert_non_null(strstr(err.message, "is a directory"));
    file = temporary_file_write(bytes);
    assert_int_equal(pluck_targets_open(&targets, file.path, NULL, &err), PLUCK_ERR_FORMAT);
    assert_non_null(strstr(err.message, "is empty"));
    unlink(file.path);
    assert_int_equal(pluck_targets_open(NULL, "x", NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_targets_open(&targets, NULL, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_targets_read(NULL, 0, 1, &token, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_targets_count(NULL), 0);
    pluck_targets_destroy(NULL);
}

/* A stream longer than the first buffer, which has to grow. */
static void long_streams_are_read_whole(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    pluck_error err = {0};
    pluck_targets *targets = NULL;
    byte_string bytes = {0};
    for (unsigned i = 0; i < MANY; i++) {
        char text[16];
        bytes_append(&bytes, text, (size_t)snprintf(text, sizeof text, "%u\n", i));
    }
    assert_status(open_bytes(bytes, true, &targets, &err), PLUCK_OK, err);
    assert_int_equal(pluck_targets_count(targets), MANY);
    for (unsigned i = 0; i < MANY; i += 777) {
        pluck_token token = 0;
        assert_status(pluck_targets_read(targets, i, 1, &token, &err), PLUCK_OK, err);
        assert_int_equal(token, i);
    }
    pluck_targets_destroy(&targets);
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_integer_type_gives_the_same_tokens),
        cmocka_unit_test(every_notation_gives_the_same_tokens),
        cmocka_unit_test(axes_are_those_of_the_file),
        cmocka_unit_test(what_is_no_target_is_refused_with_its_place),
        cmocka_unit_test(files_are_read_and_errors_of_the_system_told),
        cmocka_unit_test(long_streams_are_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
