/*
 * Why: a program and the library may be of different versions. What a caller's struct says must
 * reach the library whole or be refused, and nothing may be written behind it.
 */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct options {
    size_t struct_size;
    uint32_t a, b;
    double c;
} options;

typedef struct newer_options {
    options known;
    uint64_t d, e;
} newer_options;

static pluck_status read(options *into, const void *given, pluck_error *err)
{
    return PLK_READ_STRUCT(into, given, "options", options, err);
}

static void a_struct_of_this_version_is_read(void **state)
{
    (void)state;
    options given = PLUCK_INIT(options), known;
    assert_int_equal(given.struct_size, sizeof given);
    assert_int_equal(given.a, 0);
    given.a = 3;
    given.c = 0.5;
    assert_int_equal(read(&known, &given, NULL), PLUCK_OK);
    assert_memory_equal(&known, &given, sizeof known);
}

static void null_means_defaults(void **state)
{
    (void)state;
    options known, defaults = PLUCK_INIT(options);
    assert_int_equal(read(&known, NULL, NULL), PLUCK_OK);
    assert_memory_equal(&known, &defaults, sizeof known);
}

static void sizes_are_told_apart(void **state)
{
    (void)state;
    newer_options given = {.known = {.a = 1, .b = 2, .c = 3}};
    for (size_t size = 0; size <= sizeof given; size++) {
        /* No version ends in the middle of a field. */
        if (size > sizeof size && size % sizeof given.known.a != 0)
            continue;
        given.known.struct_size = size;
        options known;
        pluck_error err = {.status = PLUCK_OK};
        pluck_status status = read(&known, &given, &err);
        if (size < sizeof(size_t)) {
            assert_int_equal(status, PLUCK_ERR_INVALID);
            char expected[120];
            snprintf(expected, sizeof expected,
                     "options.struct_size is %zu; initialise it with PLUCK_INIT(options)", size);
            assert_string_equal(err.message, expected);
            continue;
        }
        assert_int_equal(status, PLUCK_OK);
        assert_int_equal(known.struct_size, sizeof known);
        assert_int_equal(known.a, size >= offsetof(options, b) ? 1 : 0);
        assert_int_equal(known.b, size >= offsetof(options, c) ? 2 : 0);
        assert_true(known.c == (size >= sizeof known ? 3.0 : 0.0));
    }
}

static void a_field_that_is_not_known_is_refused_if_it_is_set(void **state)
{
    (void)state;
    newer_options given = {.known = {.struct_size = sizeof given, .a = 1}};
    options known;
    assert_int_equal(read(&known, &given, NULL), PLUCK_OK);
    assert_int_equal(known.a, 1);
    for (size_t i = sizeof known; i < sizeof given; i++) {
        newer_options set = given;
        ((unsigned char *)&set)[i] = 1;
        pluck_error err = {.status = PLUCK_OK};
        assert_int_equal(read(&known, &set, &err), PLUCK_ERR_INVALID);
        assert_non_null(strstr(err.message, "has a field set that this version of pluck does not"));
        set.known.struct_size = i;
        assert_int_equal(read(&known, &set, NULL), PLUCK_OK);
    }
}

static void nothing_is_written_behind_a_struct(void **state)
{
    (void)state;
    options result = {.struct_size = sizeof result, .a = 7, .b = 8, .c = 9};
    for (size_t size = 0; size <= sizeof(newer_options); size++) {
        newer_options given, before;
        memset(&given, 0x5a, sizeof given);
        given.known.struct_size = size;
        before = given;
        pluck_status status = PLK_WRITE_STRUCT(&given, &result, "info", options, NULL);
        assert_true(status == (size < sizeof size ? PLUCK_ERR_INVALID : PLUCK_OK));
        size_t n = status == PLUCK_OK ? size : 0;
        assert_memory_equal((char *)&given + n, (char *)&before + n, sizeof given - n);
        assert_int_equal(given.known.struct_size, size);
        if (n >= sizeof result)
            assert_memory_equal(&given.known.a, &result.a, sizeof result - sizeof size);
        for (size_t i = sizeof result; i < n; i++)
            assert_int_equal(((unsigned char *)&given)[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_struct_of_this_version_is_read),
        cmocka_unit_test(null_means_defaults),
        cmocka_unit_test(sizes_are_told_apart),
        cmocka_unit_test(a_field_that_is_not_known_is_refused_if_it_is_set),
        cmocka_unit_test(nothing_is_written_behind_a_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
