/*
 * A dump comes from elsewhere: cut off, mislabelled, or made to do harm. Every message of the
 * readers is reached here by an input that produces it, once as a mapped file and once from memory,
 * and every prefix of a valid file is refused.
 */
#include "test_dump_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "support/dump_reading.h"

#define F4(shape)   "{'descr':'<f4','fortran_order':False,'shape':" shape "}"
#define DESCR(type) "{'descr':" type ",'fortran_order':False,'shape':(2,3)}"

/* Opens bytes both ways; both have to fail alike. */
static void check_refused(byte_string bytes, const pluck_dump_options *options,
                          pluck_status expected, const char *fragment)
{
    for (int from_memory = 0; from_memory < 2; from_memory++) {
        pluck_dump *dump = (pluck_dump *)&bytes;
        pluck_error err = {0};
        temporary_file file = temporary_file_write(bytes);
        pluck_status status = from_memory ? plk_dump_open_memory(&dump, file.path, bytes.data,
                                                                 bytes.size, false, options, &err)
                                          : pluck_dump_open(&dump, file.path, options, &err);
        unlink(file.path);
        if (status != expected || err.status != expected || !strstr(err.message, fragment) ||
            !strstr(err.message, file.path))
            fail_msg("%s: \"%s\", expected %s and \"%s\"", pluck_status_name(status), err.message,
                     pluck_status_name(expected), fragment);
        assert_null(dump);
        /* The same without anywhere to write the message. */
        assert_int_equal(
            plk_dump_open_memory(&dump, "x", bytes.data, bytes.size, false, options, NULL),
            expected);
    }
}

static void test_npy_headers_that_are_wrong_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fragment;
    } cases[] = {
        {"", "byte 10: expected '{', found the end of the header"},
        {"(", "byte 10: expected '{', found '('"},
        {"{\x01", "byte 11: expected 'descr', 'fortran_order', 'shape' or '}', found byte 0x01"},
        {"{}", "the key 'descr' is missing"},
        {"{'descr':'<f4'}", "the key 'fortran_order' is missing"},
        {"{'descr':'<f4','fortran_order':False}", "the key 'shape' is missing"},
        {"{,}", "byte 11: expected 'descr'"},
        {"{descr:1}", "byte 11: expected 'descr'"},
        {"{'descr' '<f4'}", "byte 19: expected ':', found '''"},
        {"{'descr':<f4}", "byte 19: expected a type such as '<f4', found '<'"},
        {"{'descr':'<f4' 'shape':(1,)}", "byte 25: expected ',' or '}', found '''"},
        {"{'descr':'<f4',,}", "byte 25: expected 'descr'"},
        {"{'descr':'<f4','descr':'<f4'}", "byte 25: repeated key 'descr'"},
        {"{'order':'<f4'}", "byte 11: unknown key 'order'"},
        {"{'descr':'<f4", "byte 23: expected a closing quote, found the end of the header"},
        {"{'descr':'<f4\"}", "expected a closing quote"},
        {"{'descr':'<\\x664'}", "byte 21: expected a string without escapes, found '\\'"},
        {"{'descr':'<f\n4'}", "byte 22: expected a string without escapes, found byte 0x0a"},
        {"{'fortran_order':false}", "byte 27: expected True or False, found 'f'"},
        {"{'fortran_order':1}", "expected True or False"},
        {"{'fortran_order':Fals", "expected True or False"},
        {F4("(2,3)") "x", "expected nothing but spaces after '}', found 'x'"},
        {F4("(2,3)") "{}", "expected nothing but spaces after '}', found '{'"},
        {F4("5"), "expected a tuple, found '5'"},
        {F4("[2,3]"), "expected a tuple, found '['"},
        {F4("None"), "expected a tuple, found 'N'"},
        {F4("(5)"), "expected ',', found ')'"},
        {F4("(2 3)"), "expected ',', found '3'"},
        {F4("(2,3 4)"), "expected ',' or ')', found '4'"},
        {F4("(,)"), "expected a length of 0 or more, or ')', found ','"},
        {F4("(2,,3)"), "expected a length of 0 or more, or ')', found ','"},
        {F4("(-2,3)"), "expected a length of 0 or more, or ')', found '-'"},
        {F4("(2,-3)"), "found '-'"},
        {F4("(+2,3)"), "found '+'"},
        {F4("(2.0,3)"), "expected ',', found '.'"},
        {F4("(2L,3)"), "expected ',', found 'L'"},
        {F4("(0x2,3)"), "expected ',', found 'x'"},
        {F4("(1_0,3)"), "expected ',', found '_'"},
        {F4("('2',3)"), "found '''"},
        {F4("((2,),3)"), "found '('"},
        {F4("(2,3"), "found '}'"},
        {F4("(9223372036854775808,3)"), "byte 56: expected a length below 2^63, found '9'"},
        {F4("(18446744073709551615,3)"), "expected a length below 2^63"},
        {F4("(18446744073709551618,3)"), "expected a length below 2^63"},
        {F4("(184467440737095516180000000000,3)"), "expected a length below 2^63"},
        {F4("(9223372036854775807,3)"), "shape (9223372036854775807, 3) is larger than any file"},
        {F4("(4294967296,4294967296,3)"), "is larger than any file"},
        {F4("(4611686018427387904,4,3)"), "is larger than any file"},
        {F4("(2305843009213693952,2)"), "is larger than any file"},
        {F4("(1152921504606846976,2)"), "is larger than any file"},
        {F4("()"), "shape () is a single value, expected rows of logits"},
        {F4("(0,)"), "the last axis of shape (0,) is the vocabulary and must be 1 to 16777216"},
        {F4("(64,0)"), "the last axis of shape (64, 0) is the vocabulary"},
        {F4("(1,16777217)"), "the last axis of shape (1, 16777217) is the vocabulary"},
        {F4("(0,3)"), "has no rows: its shape is (0, 3)"},
        {F4("(9223372036854775807,9223372036854775807,0,3)"), "has no rows"},
        {F4("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
            "1,"
            "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"),
         "expected at most 64 axes, found '1'"},
        {F4("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
            "1,"
            "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,0)"),
         "1, 1, ...) is the vocabulary"},
        {DESCR("'<i4'"), "values of type '<i4' (integers) at byte 20 are not logits: expected f2"},
        {DESCR("'|u1'"), "'|u1' (integers)"},
        {DESCR("'|b1'"), "'|b1' (booleans)"},
        {DESCR("'<c8'"), "'<c8' (complex numbers)"},
        {DESCR("'|O'"), "'|O' (pickled Python objects)"},
        {DESCR("'<U5'"), "'<U5' (text)"},
        {DESCR("'|S5'"), "'|S5' (text)"},
        {DESCR("'<M8[ns]'"), "'<M8[ns]' (times)"},
        {DESCR("'|V4'"), "'|V4' (opaque bytes)"},
        {DESCR("'>V2'"), "'>V2' (opaque bytes)"},
        {DESCR("'<f16'"), "'<f16' (floats of another size)"},
        {DESCR("'<f1'"), "'<f1' (floats of another size)"},
        {DESCR("'|f4'"), "'|f4' (floats of another size)"},
        {DESCR("'f4'"), "'f4' (floats of another size)"},
        {DESCR("'q'"), "'q' (unknown)"},
        {DESCR("'<'"), "'<' (unknown)"},
        {DESCR("''"), "'' (unknown)"},
        {DESCR("'bfloat16bfloat16bfloat16bfloat16bfloat16'"), "'bfloat16bfloat16bfloat16bfloat16'"},
        {DESCR("[('a','<f4')]"), "byte 19: records (a structured type) are not logits"},
        {DESCR("('<f4',(2,))"), "records (a structured type) are not logits"},
        {F4("(2,3)"),
         "truncated: 2 x 3 values of <f4 need 24 bytes from offset 61, the file has 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_dump_options options = {.struct_size = sizeof options,
                                      .format = i % 2 ? PLUCK_DUMP_AUTO : PLUCK_DUMP_NPY};
        byte_string bytes = npy_header(1, cases[i].text);
        /* A file has 12 bytes before the reader looks at the text. */
        bytes_append_zeros(&bytes, strlen(cases[i].text) < 2 ? 2 : 0);
        check_refused(bytes, &options, PLUCK_ERR_FORMAT, cases[i].fragment);
        bytes_free(&bytes);
    }
}

static void test_npy_files_of_the_wrong_size_say_what_was_expected(void **state)
{
    (void)state;
    static const pluck_dump_options options = {.struct_size = sizeof options};
    static const struct {
        const char *text;
        size_t data_size;
        const char *fragment;
    } cases[] = {
        {F4("(64,50257)"), 12000000,
         "truncated: 64 x 50257 values of <f4 need 12865792 bytes from offset 66, the file has "
         "12000000"},
        {F4("(2,3)"), 23, "truncated: 2 x 3 values of <f4 need 24 bytes"},
        {F4("(2,3)"), 25,
         "oversized: 2 x 3 values of <f4 need 24 bytes from offset 61, the file has "
         "25"},
        {F4("(2,2,3)"), 24, "truncated: 4 x 3 values of <f4 need 48 bytes"},
        {"{'descr':'>f8','fortran_order':True,'shape':(2,3)}", 24,
         "truncated: 2 x 3 values of >f8 need 48 bytes"},
        {F4("(2000000000,1000000)"), 100, "need 8000000000000000 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        byte_string bytes = npy_header(1, cases[i].text);
        bytes_append_zeros(&bytes, cases[i].data_size);
        check_refused(bytes, &options, PLUCK_ERR_FORMAT, cases[i].fragment);
        bytes_free(&bytes);
    }
}

static void test_npy_prefixes_that_are_wrong_say_where(void **state)
{
    (void)state;
    static const pluck_dump_options automatic = {.struct_size = sizeof automatic};
    static const pluck_dump_options npy = {.struct_size = sizeof npy, .format = PLUCK_DUMP_NPY};
    static const struct {
        const char *bytes;
        size_t size;
        const char *fragment;
    } cases[] = {
        {"\x93NUMPY", 6, "truncated: the .npy header ends after 6 bytes"},
        {"\x93NUMPY\1\0\1\0{", 11, "truncated: the .npy header ends after 11 bytes"},
        {"\x93NUMPY\0\0\1\0{}", 12, ".npy version 0.0 at byte 6, expected 1.0, 2.0 or 3.0"},
        {"\x93NUMPY\4\0\1\0{}", 12, ".npy version 4.0 at byte 6"},
        {"\x93NUMPY\1\1\1\0{}", 12, ".npy version 1.1 at byte 6"},
        {"\x93NUMPY\1\0\3\0{}", 12, "truncated: the .npy header has 13 bytes, the file has 12"},
        {"\x93NUMPY\1\0\xFF\xFF{}", 12,
         "truncated: the .npy header has 65545 bytes, the file has 12"},
        {"\x93NUMPY\2\0\xFF\xFF\0\0{}", 14, "the .npy header has 65547 bytes, the file has 14"},
        {"\x93NUMPY\2\0\xFF\xFF\xFF\xFF{}", 14,
         "a header of 4294967295 bytes at byte 8, expected at most 1048564"},
        {"\x93NUMPY\3\0\xF5\xFF\x0F\0{}", 14, "a header of 1048565 bytes at byte 8"},
    };
    byte_string bytes = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes_append(&bytes, cases[i].bytes, cases[i].size);
        check_refused(bytes, &automatic, PLUCK_ERR_FORMAT, cases[i].fragment);
        check_refused(bytes, &npy, PLUCK_ERR_FORMAT, cases[i].fragment);
        bytes_free(&bytes);
    }
    bytes_append(&bytes, "NUMPY, but not quite", 20);
    check_refused(bytes, &npy, PLUCK_ERR_FORMAT, "is not an .npy file: expected \\x93NUMPY");
    bytes_free(&bytes);
}

#define TENSOR(name, dtype, shape, begin, end)                                                     \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end   \
    "]}"
#define ONE(rest) "{\"t\":{" rest "}}"

static void test_safetensors_headers_that_are_wrong_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        size_t data_size;
        const char *fragment;
    } cases[] = {
        {"{\"t\":", 0, "byte 13: the .safetensors header is not valid JSON: the text ends where"},
        {"{\"t\":1,", 0,
         "byte 15: the .safetensors header is not valid JSON: the text ends inside"},
        {"{\"t\":\"", 0,
         "byte 13: the .safetensors header is not valid JSON: this string does not"},
        {"{\"t\":\"\\", 0, "byte 14: the .safetensors header is not valid JSON: unknown escape"},
        {"{\"t\":[[[[", 0, "byte 17: the .safetensors header is not valid JSON: the text ends"},
        {"{'t':1}", 0,
         "byte 9: the .safetensors header is not valid JSON: expected a key in double"},
        {"{} x", 0,
         "byte 11: the .safetensors header is not valid JSON: unexpected text after the value"},
        {"{}{}", 0,
         "byte 10: the .safetensors header is not valid JSON: unexpected text after the value"},
        {"{}", 0, "has no tensor of floats with an axis; it has none"},
        {"{\"__metadata__\":{\"a\":\"b\"}}", 0, "has no tensor of floats"},
        {"{}", 1, "oversized: the tensors end after 0 bytes of data, the file has 1"},
        {"{\"t\":1}", 0, "tensor 't' must be a JSON object"},
        {ONE("\"shape\":[1],\"data_offsets\":[0,4]"), 4, "tensor 't': \"dtype\" is missing"},
        {ONE("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "tensor 't': \"shape\" is missing"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1]"), 4, "tensor 't': \"data_offsets\" is missing"},
        {ONE("\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]"), 4,
         "tensor 't': \"dtype\" is listed twice"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]"), 4,
         "\"shape\" is listed twice"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"data_offsets\":[0,4]"), 4,
         "\"data_offsets\" is listed twice"},
        {ONE("\"dtype\":3,\"shape\":[1],\"data_offsets\":[0,4]"), 4, "dtype must be a string"},
        {ONE("\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]"), 4, "shape must be an array"},
        {ONE("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"), 4,
         "shape must be an array"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]"), 4, "shape must be"},
        {ONE("\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]"), 4, "shape must be"},
        {ONE("\"dtype\":\"F32\",\"shape\":[null],\"data_offsets\":[0,4]"), 4, "shape must be"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1e400],\"data_offsets\":[0,4]"), 4, "shape must be"},
        {ONE("\"dtype\":\"F32\",\"shape\":[9007199254740992],\"data_offsets\":[0,4]"), 4,
         "shape must be an array of at most 64 whole numbers from 0 to 2^53"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
             "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"
             "\"data_offsets\":[0,4]"),
         4, "at most 64 whole numbers"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4"), 4, "two whole numbers"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[]"), 4, "two whole numbers"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]"), 4, "two whole numbers"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]"), 4, "two whole numbers"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,\"4\"]"), 4, "two whole numbers"},
        {ONE("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]"), 4, "two whole numbers"},
        {"{" TENSOR("t", "F32", "[1]", "4", "0") "}", 4,
         "tensor 't': data_offsets [4, 0] are outside the 4 bytes of data"},
        {"{" TENSOR("t", "F32", "[2]", "0", "8") "}", 4,
         "tensor 't': data_offsets [0, 8] are outside the 4 bytes of data"},
        {"{" TENSOR("t", "F32", "[1]", "9007199254740988", "9007199254740991") "}", 4,
         "are outside the 4 bytes of data"},
        {"{" TENSOR("t", "F32", "[2,6]", "0", "40") "}", 40,
         "tensor 't': shape (2, 6) of F32 does not fill data_offsets [0, 40], which hold 40 bytes"},
        {"{" TENSOR("t", "I64", "[6]", "0", "40") "}", 40, "shape (6,) of I64 does not fill"},
        {"{" TENSOR("t", "F32", "[4503599627370496,4503599627370496]", "0", "4") "}", 4,
         "shape (4503599627370496, 4503599627370496) of F32 does not fill"},
        {"{" TENSOR("t", "F32", "[1]", "0", "4") "}", 5,
         "oversized: the tensors end after 4 bytes of data, the file has 5"},
        {"{" TENSOR("t", "F32", "[1]", "1", "5") "}", 5,
         "data_offsets [1, 5] leave a gap or overlap: expected 0 for the first"},
        {"{" TENSOR("t", "F32", "[2]", "0", "8") "," TENSOR("u", "F32", "[1]", "4", "8") "}", 8,
         "tensor 'u': data_offsets [4, 8] leave a gap or overlap: expected 8 for the first"},
        {"{" TENSOR("t", "F32", "[1]", "0", "4") "," TENSOR("t", "F32", "[1]", "4", "8") "}", 8,
         "tensor 't' is listed twice"},
        {"{" TENSOR("t", "I64", "[1,1]", "0", "8") "}", 8,
         "has no tensor of floats with an axis; it has 't'"},
        {"{" TENSOR("t", "F4", "[16]", "0", "8") "}", 8, "has no tensor of floats"},
        {"{" TENSOR("t", "F32", "[]", "0", "4") "}", 4, "with an axis; it has 't'"},
        {"{" TENSOR("t", "F32", "[1]", "0", "4") "," TENSOR("u", "F16", "[2]", "4", "8") "}", 8,
         "has 2 tensors that may be logits; name one with --tensor: 't', 'u'"},
        {"{" TENSOR("t", "F32", "[1,1]", "0", "4") "," TENSOR(
             "v", "F16", "[1]", "8", "10") "," TENSOR("u", "F32", "[1,1,1]", "4", "8") "}",
         10, "has 2 tensors that may be logits; name one with --tensor: 't', 'u'"},
        {"{" TENSOR("t", "F32", "[3,0]", "0", "0") "}", 0,
         "tensor 't': the last axis of shape (3, 0) is the vocabulary"},
        {"{" TENSOR("t", "F32", "[0,3]", "0", "0") "}", 0,
         "tensor 't': has no rows: its shape is (0, 3)"},
        {"{" TENSOR("t", "F16", "[1,16777217]", "0", "33554434") "}", 33554434,
         "tensor 't': the last axis of shape (1, 16777217) is the vocabulary"},
    };
    static const pluck_dump_options options = {.struct_size = sizeof options};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        byte_string bytes = safetensors_file(cases[i].json, cases[i].data_size);
        check_refused(bytes, &options, PLUCK_ERR_FORMAT, cases[i].fragment);
        bytes_free(&bytes);
    }
}

static void test_safetensors_lengths_are_checked_before_anything_is_allocated(void **state)
{
    (void)state;
    static const pluck_dump_options options = {.struct_size = sizeof options,
                                               .format = PLUCK_DUMP_SAFETENSORS};
    static const struct {
        const char *bytes;
        size_t size;
        const char *fragment;
    } cases[] = {
        {"\2\0\0\0\0\0\0\0", 8, "truncated: a .safetensors file has more than 8 bytes, this one 8"},
        {"\3\0\0\0\0\0\0\0{}", 10,
         "truncated: the .safetensors header has 3 bytes from offset 8, the file has 2"},
        {"\0\341\365\5\0\0\0\0{}", 10, "the .safetensors header has 100000000 bytes"},
        {"\1\341\365\5\0\0\0\0{}", 10,
         "header of 100000001 bytes at byte 0, expected at most 100000000"},
        {"\377\377\377\377\377\377\377\377{}", 10, "header of 18446744073709551615 bytes"},
        {"\0\0\0\0\0\0\0\0{}", 10, "byte 8: expected '{' of a .safetensors header"},
        {"\2\0\0\0\0\0\0\0[]", 10, "byte 8: expected '{' of a .safetensors header"},
        {"\3\0\0\0\0\0\0\0{}\0", 11,
         "byte 10: the .safetensors header is not valid JSON: unexpected text after the value"},
    };
    byte_string bytes = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes_append(&bytes, cases[i].bytes, cases[i].size);
        check_refused(bytes, &options, PLUCK_ERR_FORMAT, cases[i].fragment);
        bytes_free(&bytes);
    }
    /* Two million values in two megabytes; strings do not count. */
    byte_string json = {0};
    bytes_append(&json, "{\"t\":[", 6);
    for (size_t i = 0; i < (1 << 20); i++)
        bytes_append(&json, "0,", 2);
    bytes_append(&json, "0]}", 4);
    bytes = safetensors_file((const char *)json.data, 0);
    check_refused(bytes, &options, PLUCK_ERR_FORMAT, "has more than 1048576 JSON values");
    bytes_free(&bytes);
    memset(json.data + 6, '"', 1);
    memset(json.data + json.size - 4, '"', 1);
    bytes = safetensors_file((const char *)json.data, 0);
    check_refused(bytes, &options, PLUCK_ERR_FORMAT, "tensor 't' must be a JSON object");
    bytes_free(&bytes);
    /* Nesting that a recursive parser would follow to the end of its stack. */
    memcpy(json.data, "{\"t\":", 5);
    memset(json.data + 5, '[', 500000);
    json.data[500005] = '\0';
    bytes = safetensors_file((const char *)json.data, 0);
    check_refused(bytes, &options, PLUCK_ERR_FORMAT,
                  "byte 76: the .safetensors header is not valid JSON: nested more than 64 levels");
    bytes_free(&bytes);
    bytes_free(&json);
}

static void test_a_tensor_that_is_not_there_is_named_with_what_is(void **state)
{
    (void)state;
    static const char json[] = "{" TENSOR("logits", "F32", "[1,2]", "0",
                                          "8") "," TENSOR("token_ids", "I64", "[1]", "8", "16") "}";
    static const struct {
        const char *name;
        pluck_status status;
        const char *fragment;
    } cases[] = {
        {"logit", PLUCK_ERR_INVALID, "has no tensor 'logit', did you mean 'logits'?"},
        {"token-idz", PLUCK_ERR_INVALID, "did you mean 'token_ids'?"},
        {"probabilities", PLUCK_ERR_INVALID,
         "has no tensor 'probabilities'; it has 'logits', 'token_ids'"},
        {"", PLUCK_ERR_INVALID, "has no tensor ''"},
        {"token_ids", PLUCK_ERR_FORMAT,
         "tensor 'token_ids': values of I64 are not logits: expected F32, F16, BF16 or F64"},
    };
    byte_string bytes = safetensors_file(json, 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_dump_options options = {.struct_size = sizeof options, .tensor = cases[i].name};
        check_refused(bytes, &options, cases[i].status, cases[i].fragment);
    }
    bytes_free(&bytes);
}

/* Messages stay one line of bounded length whatever the file has in it. */
static void test_long_and_hostile_names_are_cut(void **state)
{
    (void)state;
    char json[8000] = "{";
    for (size_t i = 0; i < 60; i++)
        snprintf(
            json + strlen(json), sizeof json - strlen(json),
            "%s\"layer.%zu.weight\\n\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[%zu,%"
            "zu]}",
            i ? "," : "", i, 4 * i, 4 * i + 4);
    strcat(json, "}");
    byte_string bytes = safetensors_file(json, 240);
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    check_refused(bytes, &options, PLUCK_ERR_FORMAT,
                  "has 60 tensors that may be logits; name one with --tensor: 'layer.0"
                  ".weight\\n', "
                  "'layer.1.weight\\n', ");
    pluck_dump_options other = {.struct_size = sizeof other,
                                .tensor = "\xC3\xA9 a name that nothing in the file is near to, "
                                          "and that goes on and on and on and on and on and on"};
    check_refused(bytes, &other, PLUCK_ERR_INVALID, "; it has 'layer.0.weight\\n', ");
    bytes_free(&bytes);

    char name[3000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(json, sizeof json,
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
             "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,9]}}",
             name);
    bytes = safetensors_file(json, 9);
    check_refused(bytes, &options, PLUCK_ERR_FORMAT, "tensor 'b': shape (1,) of F32 does not fill");
    bytes_free(&bytes);
    snprintf(json, sizeof json, "{\"%s\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
             name);
    bytes = safetensors_file(json, 1);
    check_refused(bytes, &options, PLUCK_ERR_FORMAT, "with an axis; it has ...");
    bytes_free(&bytes);
}

static void test_unknown_content_names_the_formats(void **state)
{
    (void)state;
    static const pluck_dump_options options = {.struct_size = sizeof options};
    static const pluck_dump_options raw = {
        .struct_size = sizeof raw, .raw_n_vocab = 3, .raw_dtype = PLUCK_F16};
    byte_string bytes = {0};
    bytes_append(&bytes, "PK\3\3 and so on", 14);
    check_refused(
        bytes, &options, PLUCK_ERR_FORMAT,
        "unknown format (begins with 50 4b 03 03): expected .npy, .safetensors, "
        "torch.save(), .npz, a KL-divergence base of llama.cpp, JSON, JSON lines, CSV, TSV or "
        "raw values (--vocab-size N)");
    check_refused(
        bytes, &raw, PLUCK_ERR_FORMAT,
        "the file has 14 bytes, which is not a multiple of the row size, 6 bytes (3 values "
        "of f16)");
    bytes_free(&bytes);
    bytes_append(&bytes, "x", 1);
    check_refused(bytes, &options, PLUCK_ERR_FORMAT, "unknown format (begins with 78)");
    bytes_free(&bytes);
    check_refused(bytes, &options, PLUCK_ERR_FORMAT, "is empty");
    check_refused(bytes, &raw, PLUCK_ERR_FORMAT, "is empty");
}

/* Each prefix of a valid file, down to nothing, and the file with one byte more. */
static void check_every_prefix(byte_string bytes)
{
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    for (size_t size = 0; size <= bytes.size + 1; size++)
        for (int streamed = 0; streamed < 2; streamed++) {
            pluck_dump *dump = NULL;
            pluck_error err = {0};
            uint8_t *copy = calloc(size + 1, 1);
            assert_non_null(copy);
            memcpy(copy, bytes.data, size < bytes.size ? size : bytes.size);
            uint8_t *exact = realloc(copy, size ? size : 1);
            assert_non_null(exact);
            pluck_status status =
                plk_dump_open_memory(&dump, "prefix", exact, size, streamed == 1, &options, &err);
            if (status == PLUCK_OK && streamed) {
                float scratch[8];
                pluck_logits logits;
                for (uint64_t row = 0; row < 2 && status == PLUCK_OK; row++)
                    status = read_logits(dump, row, scratch, &logits, &err);
            }
            bool right = size == bytes.size && !(streamed && bytes.data[0] != 0x93);
            if ((status == PLUCK_OK) != right || (!right && status != PLUCK_ERR_FORMAT))
                fail_msg("%zu of %zu bytes, streamed %d: %s", size, bytes.size, streamed,
                         status ? err.message : "accepted");
            pluck_dump_destroy(&dump);
            free(exact);
        }
}

static void test_every_prefix_of_a_valid_file_is_refused(void **state)
{
    (void)state;
    for (unsigned version = 1; version <= 3; version++) {
        byte_string bytes = npy_header(version, F4("(2,3)") "   \n");
        bytes_append_zeros(&bytes, 24);
        check_every_prefix(bytes);
        bytes_free(&bytes);
    }
    /* Doubles are read from a stream in pieces. */
    byte_string wide = npy_header(1, "{'descr':'<f8','fortran_order':False,'shape':(2,3)}\n");
    bytes_append_zeros(&wide, 48);
    check_every_prefix(wide);
    bytes_free(&wide);
    byte_string bytes = safetensors_file(
        "{\"__metadata__\":{\"a\":\"b\"}," TENSOR("a", "F32", "[2,3]", "0", "24") "," TENSOR(
            "b", "BF16", "[2]", "24", "28") "} ",
        28);
    check_every_prefix(bytes);
    bytes_free(&bytes);
}

/* One bit or byte off anywhere in a small file: an error or a dump that can be read, no crash. */
static void test_every_changed_byte_is_survived(void **state)
{
    (void)state;
    byte_string files[3];
    files[0] = npy_header(1, F4("(2,3)") "\n");
    bytes_append_zeros(&files[0], 24);
    files[1] = npy_header(2, "{'descr':'>f8','fortran_order':True,'shape':(3,1)}\n");
    bytes_append_zeros(&files[1], 24);
    files[2] = safetensors_file("{" TENSOR("a", "F32", "[2,3]", "0", "24") "}", 24);
    for (size_t f = 0; f < 3; f++) {
        for (size_t i = 0; i < files[f].size; i++) {
            uint8_t old = files[f].data[i];
            for (unsigned value = 0; value < 256; value++) {
                pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
                pluck_dump *dump = NULL;
                pluck_logits logits;
                static float scratch[1024];
                files[f].data[i] = (uint8_t)value;
                if (plk_dump_open_memory(&dump, "changed", files[f].data, files[f].size, false,
                                         &options, NULL) == PLUCK_OK) {
                    pluck_dump_info info = info_of_dump(dump);
                    assert_true(info.n_vocab <= 1024 && info.n_rows <= 24);
                    for (uint64_t row = 0; row < info.n_rows; row++)
                        assert_int_equal(read_logits(dump, row, scratch, &logits, NULL), PLUCK_OK);
                }
                pluck_dump_destroy(&dump);
            }
            files[f].data[i] = old;
        }
        bytes_free(&files[f]);
    }
}

static void check_open_refused(const char *path, const pluck_dump_options *options,
                               pluck_status expected, const char *fragment)
{
    pluck_dump *dump = (pluck_dump *)&path;
    pluck_error err = {0};
    pluck_status status = pluck_dump_open(&dump, path, options, &err);
    if (status != expected || !strstr(err.message, fragment))
        fail_msg("%s: \"%s\", expected \"%s\"", pluck_status_name(status), err.message, fragment);
    assert_null(dump);
}

static void test_what_the_system_refuses_is_an_io_error(void **state)
{
    (void)state;
    char directory[] = "/tmp/pluck_dump_XXXXXX", path[512];
    assert_non_null(mkdtemp(directory));
    check_open_refused(directory, NULL, PLUCK_ERR_IO, "is a directory");
    snprintf(path, sizeof path, "%s/missing.npy", directory);
    check_open_refused(path, NULL, PLUCK_ERR_IO,
                       "/missing.npy: cannot be opened: No such file or directory");
    check_open_refused("", NULL, PLUCK_ERR_IO, "cannot be opened: ");
    check_open_refused("/dev/null", NULL, PLUCK_ERR_FORMAT, "/dev/null: is empty");
    /* A path that is too long for the message is known by its end. */
    snprintf(path, sizeof path, "%s/", directory);
    for (size_t i = 0; i < 40; i++)
        strcat(path, "\xC3\xA9\xC3\xA9x");
    strcat(path, "/end.npy");
    check_open_refused(path, NULL, PLUCK_ERR_IO, "x/end.npy: cannot be opened: ");
    pluck_error err = {0};
    pluck_dump *dump = NULL;
    assert_int_equal(pluck_dump_open(&dump, path, NULL, &err), PLUCK_ERR_IO);
    assert_memory_equal(err.message, "...", 3);
    assert_int_not_equal((unsigned char)err.message[3] & 0xC0, 0x80);
    rmdir(directory);
}

static void test_standard_input_that_cannot_be_read_is_an_io_error(void **state)
{
    (void)state;
    int old_stdin = dup(STDIN_FILENO), unreadable = open("/dev/null", O_WRONLY);
    assert_true(old_stdin >= 0 && unreadable >= 0);
    assert_int_equal(dup2(unreadable, STDIN_FILENO), STDIN_FILENO);
    close(unreadable);
    check_open_refused("-", NULL, PLUCK_ERR_IO, "standard input: cannot be read: Bad file");
    close(STDIN_FILENO);
    check_open_refused("-", NULL, PLUCK_ERR_IO, "standard input: cannot be opened: Bad file");
    assert_int_equal(dup2(old_stdin, STDIN_FILENO), STDIN_FILENO);
    close(old_stdin);
}

static void test_a_file_beyond_the_address_space_is_an_io_error(void **state)
{
    (void)state;
    pluck_dump_options options = {.struct_size = sizeof options, .raw_n_vocab = 1024};
    temporary_file file;
    int fd = temporary_file_create(&file);
    bool is_sparse = ftruncate(fd, (off_t)1 << 34) == 0;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)1 << 33;
    close(fd);
    if (is_sparse) {
        pluck_dump *dump = NULL;
        pluck_error err = {0};
        assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
        /* Emulators do not hold their programs to the limit. */
        void *beyond = mmap(NULL, (size_t)1 << 34, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pluck_status status = pluck_dump_open(&dump, file.path, &options, &err);
        assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
        unlink(file.path);
        if (beyond != MAP_FAILED) {
            munmap(beyond, (size_t)1 << 34);
            pluck_dump_destroy(&dump);
            skip();
        }
        assert_status(status, PLUCK_ERR_IO, err);
        assert_non_null(strstr(err.message, "cannot be mapped: Cannot allocate memory"));
    }
    unlink(file.path);
}

static void test_mistakes_of_the_caller_are_invalid(void **state)
{
    (void)state;
    pluck_dump *dump = NULL;
    pluck_error err = {0};
    pluck_dump_options format = {.struct_size = sizeof format, .format = (pluck_dump_format)17};
    pluck_dump_options dtype = {
        .struct_size = sizeof dtype, .raw_dtype = (pluck_dtype)17, .raw_n_vocab = 1};
    pluck_dump_options vocab = {.struct_size = sizeof vocab, .raw_n_vocab = PLUCK_MAX_VOCAB + 1};
    pluck_dump_options no_vocab = {.struct_size = sizeof no_vocab, .format = PLUCK_DUMP_RAW};
    pluck_dump_options named = {.struct_size = sizeof named, .tensor = "logits"};
    assert_int_equal(pluck_dump_open(NULL, "x", NULL, &err), PLUCK_ERR_INVALID);
    check_open_refused(NULL, NULL, PLUCK_ERR_INVALID, "path is NULL");
    check_open_refused("x", &format, PLUCK_ERR_INVALID, "format 17 is not a pluck_dump_format");
    check_open_refused("x", &dtype, PLUCK_ERR_INVALID, "raw_dtype 17 is not a type of logits");
    check_open_refused("x", &vocab, PLUCK_ERR_INVALID,
                       "raw_n_vocab is 16777217, expected at most 16777216");
    check_open_refused(
        "x", &no_vocab, PLUCK_ERR_INVALID,
        "raw_n_vocab is 0; raw values need the number of values per row, 1 to 16777216");
    check_open_refused("x", &(pluck_dump_options){.no_map = true}, PLUCK_ERR_INVALID,
                       "options.struct_size is 0; initialise it with PLUCK_INIT");

    byte_string bytes = npy_header(1, "{'descr':'>f4','fortran_order':False,'shape':(2,3)}");
    bytes_append_zeros(&bytes, 24);
    check_refused(bytes, &named, PLUCK_ERR_INVALID,
                  "tensor 'logits' was requested, but tensors of format npy have no names");
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    pluck_logits logits = {"untouched", PLUCK_BF16, 99};
    float scratch[3];
    assert_status(plk_dump_open_memory(&dump, "x", bytes.data, bytes.size, false, &options, &err),
                  PLUCK_OK, err);
    assert_int_equal(read_logits(NULL, 0, scratch, &logits, &err), PLUCK_ERR_INVALID);
    assert_int_equal(read_logits(dump, 0, scratch, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(read_logits(dump, 2, scratch, &logits, &err), PLUCK_ERR_INVALID);
    assert_string_equal(err.message,
                        "x: row 2 does not exist; the dump has 2 rows, the first is row 0");
    assert_int_equal(read_logits(dump, UINT64_MAX, scratch, &logits, &err), PLUCK_ERR_INVALID);
    assert_int_equal(read_logits(dump, 0, NULL, &logits, &err), PLUCK_ERR_INVALID);
    assert_string_equal(err.message, "x: scratch is NULL, but rows of this dump have to be copied; "
                                     "pass a buffer of n_vocab floats");
    assert_int_equal(logits.n_vocab, 99);
    pluck_dump_info info = {.n_vocab = 98};
    assert_int_equal(pluck_dump_get_info(dump, &info, &err), PLUCK_ERR_INVALID);
    assert_int_equal(info.n_vocab, 98);
    assert_int_equal(pluck_dump_get_info(NULL, &info, &err), PLUCK_ERR_INVALID);
    pluck_dump_destroy(&dump);
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy_headers_that_are_wrong_say_where),
        cmocka_unit_test(test_npy_files_of_the_wrong_size_say_what_was_expected),
        cmocka_unit_test(test_npy_prefixes_that_are_wrong_say_where),
        cmocka_unit_test(test_safetensors_headers_that_are_wrong_say_where),
        cmocka_unit_test(test_safetensors_lengths_are_checked_before_anything_is_allocated),
        cmocka_unit_test(test_a_tensor_that_is_not_there_is_named_with_what_is),
        cmocka_unit_test(test_long_and_hostile_names_are_cut),
        cmocka_unit_test(test_unknown_content_names_the_formats),
        cmocka_unit_test(test_every_prefix_of_a_valid_file_is_refused),
        cmocka_unit_test(test_every_changed_byte_is_survived),
        cmocka_unit_test(test_what_the_system_refuses_is_an_io_error),
        cmocka_unit_test(test_standard_input_that_cannot_be_read_is_an_io_error),
        cmocka_unit_test(test_a_file_beyond_the_address_space_is_an_io_error),
        cmocka_unit_test(test_mistakes_of_the_caller_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
