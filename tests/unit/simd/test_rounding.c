/*
 * A program's rounding mode, and flushing of subnormal numbers, change no number that the library
 * parses or prints. Each case writes all that it gets, with every bit, into one text; the text must
 * be the same in every mode, and the mode must be what it was afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pluck/config.h>
#include <pluck/dump.h>
#include <pluck/sampler.h>
#include <pluck/softmax.h>
#include <pluck/weighted.h>

#include "support/config_parts.h"
#include "support/dump_reading.h"

#if defined(__x86_64__)
#    include <xmmintrin.h>
#endif

/* Numbers that no mode may change: inexact ones, halfway cases, subnormal ones. */
#define HARD                                                                                       \
    "0.7, 0.1, 0.3, 1e-5, 123456.789, 9007199254740993e-20, 3.4028236e38, 1e-40, 1.17549435e-38, " \
    "0.30000001192092896, 16777217, 5e-324, 2.2250738585072011e-308"

static FILE *out;

static void put_bits(const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fprintf(out, "%02x", ((const unsigned char *)bytes)[i]);
    (void)fputc('\n', out);
}

static void put_error(pluck_status status, const pluck_error *err)
{
    (void)fprintf(out, "%d: %s\n", (int)status, status ? err->message : "");
}

static void put_config(const pluck_config *config)
{
    static char text[1 << 16];
    size_t size = 0;
    pluck_error err;
    pluck_status status = pluck_config_to_json(config, text, sizeof text, &size, &err);
    put_error(status, &err);
    (void)fputs(text, out);
    for (size_t i = 0; i < config_n_stages(config); i++)
        (void)fprintf(out, "%d", config_stage(config, i).is_neutral);
}

static void configurations(void)
{
    static const char *const texts[] = {
        "{\"temperature\": 0.7, \"top_p\": 0.1, \"min_p\": 0.3, \"typical_p\": 0.95, \"seed\": 7, "
        "\"logit_bias\": [[3, 0.1], [4, 1e-40], [5, -123456.78901], [6, 5e-324]]}",
        "{\"stages\": [{\"type\": \"temperature\", \"t\": 0.30000000000000004}, "
        "{\"type\": "
        "\"xtc\", \"probability\": 0.1, \"threshold\": 0.7}], \"draw\": {\"type\": \"adaptive_p\", "
        "\"target\": 0.55, \"decay\": 0.9}}",
        "{\"temperature\": -0.1}",
        "{\"top_p\": 1.1}",
        "{\"top_k\": 2.5}",
        "{\"temperature\": 1e999}",
    };
    static const char *const values[] = {"0.7", "0.1", "123456.789", "1e-300", "-0.1", "5e-324"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pluck_config *config = NULL;
        pluck_error err;
        put_error(pluck_config_from_json(&config, texts[i], strlen(texts[i]), NULL, &err), &err);
        assert_true((config != NULL) == (i < 2));
        for (size_t v = 0; config && v < sizeof values / sizeof *values; v++) {
            put_error(pluck_config_set_json(config, "temperature", values[v], &err), &err);
            put_config(config);
        }
        pluck_config_destroy(&config);
    }
    static char schema[1 << 18];
    size_t size = 0;
    pluck_error err;
    put_error(pluck_config_schema(schema, sizeof schema, &size, &err), &err);
    (void)fputs(schema, out);
}

static void note(void *user, const char *key, pluck_import_fate fate, const char *text)
{
    (void)user;
    (void)fprintf(out, "%s %d %s\n", key, (int)fate, text ? text : "");
}

static void imports(void)
{
    static const char text[] =
        "{\"temperature\": 0.7, \"top_p\": 0.1, \"repetition_penalty\": 1.1, \"min_p\": 0.3}";
    for (int kind = 0; pluck_import_format_name((pluck_import_format)kind); kind++) {
        pluck_config *config = NULL;
        pluck_error err;
        put_error(pluck_config_import(&config, (pluck_import_format)kind, text, strlen(text), note,
                                      NULL, NULL, &err),
                  &err);
        if (config)
            put_config(config);
        pluck_config_destroy(&config);
    }
}

static void put_dump(const char *path)
{
    pluck_dump *dump = NULL;
    pluck_error err;
    put_error(pluck_dump_open(&dump, path, NULL, &err), &err);
    if (!dump)
        return;
    pluck_dump_info info = info_of_dump(dump);
    float *scratch = malloc(info.n_vocab * sizeof *scratch);
    assert_non_null(scratch);
    for (uint64_t row = 0; row < 2; row++) {
        pluck_dump_row read = {.struct_size = sizeof read, .target = 0};
        pluck_status status = pluck_dump_read(dump, row, scratch, &read, &err);
        put_error(status, &err);
        if (status == PLUCK_OK && read.logits.data)
            put_bits(read.logits.data, info.n_vocab * pluck_dtype_size_bytes(read.logits.dtype));
    }
    free(scratch);
    pluck_dump_destroy(&dump);
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* 64-bit values are rounded to 32 bits when they are read. */
static void dumps(void)
{
    static const char lines[] =
        "{\"logits\": [" HARD "]}\n{\"logits\": {\"3\": 0.1, \"4\": -0.7}}\n"
        "{\"logits\": [x";
    static const char targets[] = "3 4\n5.5";
    static const double values[] = {0.7, 0.1, -0.3, 1e-40, 16777217, 3.4028235677973362e38};
    char npy[128 + sizeof values];
    memset(npy, ' ', 128);
    memcpy(npy, "\x93NUMPY\x01\0\x76\0", 10);
    static const char header[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }";
    memcpy(npy + 10, header, sizeof header - 1);
    npy[127] = '\n';
    memcpy(npy + 128, values, sizeof values);
    write_file("rounding.jsonl", lines, sizeof lines - 1);
    put_dump("rounding.jsonl");
    write_file("rounding.npy", npy, sizeof npy);
    put_dump("rounding.npy");
    write_file("rounding.txt", targets, sizeof targets - 1);
    pluck_targets *read = NULL;
    pluck_error err;
    put_error(pluck_targets_open(&read, "rounding.txt", NULL, &err), &err);
    pluck_targets_destroy(&read);
}

static const float logits_row[] = {0.7f,        0.1f,  -0.3f, 1e-40f, 1.17549435e-38f,
                                   123456.789f, 1e-5f, -0.0f};
enum { N = sizeof logits_row / sizeof *logits_row };

static void put_written(pluck_dump_format format, pluck_dtype dtype)
{
    pluck_dump_writer_options options = {
        .struct_size = sizeof options, .format = format, .dtype = dtype, .n_rows = 1, .n_vocab = N};
    pluck_dump_row row = {
        .struct_size = sizeof row, .logits = {logits_row, PLUCK_F32, N}, .target = PLUCK_NO_TOKEN};
    pluck_dump_writer *writer = NULL;
    pluck_error err;
    char bytes[4096];
    (void)unlink("rounding.written");
    put_error(pluck_dump_writer_create(&writer, "rounding.written", &options, &err), &err);
    if (!writer)
        return;
    put_error(pluck_dump_writer_write(writer, &row, &err), &err);
    put_error(pluck_dump_writer_finish(writer, &err), &err);
    pluck_dump_writer_destroy(&writer);
    FILE *file = fopen("rounding.written", "rb");
    assert_non_null(file);
    put_bits(bytes, fread(bytes, 1, sizeof bytes, file));
    (void)fclose(file);
}

static void writers(void)
{
    put_written(PLUCK_DUMP_JSONL, PLUCK_F32);
    for (pluck_dtype dtype = PLUCK_F32; pluck_dtype_name(dtype); dtype++)
        put_written(PLUCK_DUMP_NPY, dtype);
}

static void messages(void)
{
    pluck_error err;
    pluck_sampler *sampler = NULL;
    static const char text[] = "{\"temperature\": -0.1}";
    put_error(pluck_sampler_from_json(&sampler, text, strlen(text), N, &err), &err);
    pluck_weighted *weighted = NULL;
    const float weights[] = {0.5f, -0.1f};
    put_error(pluck_weighted_create(&weighted, PLUCK_WEIGHTED_ALIAS,
                                    (pluck_weights){weights, PLUCK_F32, 2}, NULL, &err),
              &err);
    float p[N];
    put_error(pluck_entmax(logits_row, N, 1, -0.1, p, &err), &err);
}

/* What is made when a sampler is created, and what it learns, comes into its saved state. */
static void samplers(void)
{
    static const char *const texts[] = {
        "{\"temperature\": 0.7, \"top_p\": 0.9, \"draw\": {\"type\": \"adaptive_p\", \"target\": "
        "0.3, "
        "\"decay\": 0.7}}",
        "{\"mirostat\": 2, \"mirostat_tau\": 1.3, \"mirostat_eta\": 0.3}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pluck_sampler *sampler = NULL;
        pluck_error err;
        put_error(pluck_sampler_from_json(&sampler, texts[i], strlen(texts[i]), N, &err), &err);
        if (!sampler)
            continue;
        const float row[N] = {0.7f, 0.1f, -0.3f, 1.5f, 1.4f, 0.2f, 0.9f, 0.3f};
        for (int t = 0; t < 20; t++) {
            pluck_token token = 0;
            put_error(
                pluck_sampler_sample(sampler, (pluck_logits){row, PLUCK_F32, N}, &token, &err),
                &err);
            put_bits(&token, sizeof token);
            put_error(pluck_sampler_accept(sampler, token, &err), &err);
        }
        char saved[4096];
        size_t size = 0;
        put_error(pluck_sampler_save(sampler, saved, sizeof saved, &size, &err), &err);
        put_bits(saved, size < sizeof saved ? size : 0);
        pluck_sampler_destroy(&sampler);
    }
}

/* Modes */

typedef struct mode {
    const char *name;
    int rounding;
    unsigned control; /* bits of MXCSR alone: x87 and the C library do not see them */
} mode;

static const mode modes[] = {
    {"upward", FE_UPWARD, 0},
    {"downward", FE_DOWNWARD, 0},
    {"toward zero", FE_TOWARDZERO, 0},
    {"nearest", FE_TONEAREST, 0},
    {"MXCSR upward", FE_TONEAREST, 0x4000},
    {"flush to zero, subnormals are zero", FE_TONEAREST, 0x8040},
    {"upward, flush to zero, subnormals are zero", FE_UPWARD, 0x8040},
};

static unsigned control_now(void)
{
#if defined(__x86_64__)
    return _mm_getcsr() & ~0x3Fu;
#else
    return 0;
#endif
}

static void enter(const mode *m)
{
    assert_int_equal(fesetround(m->rounding), 0);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | m->control);
#endif
}

static void leave(void)
{
#if defined(__x86_64__)
    _mm_setcsr(0x1F80);
#endif
    (void)fesetround(FE_TONEAREST);
}

static void check(void (*run)(void))
{
    char *expected = NULL, *text = NULL;
    size_t n_expected = 0, n = 0;
    out = open_memstream(&expected, &n_expected);
    run();
    assert_int_equal(fclose(out), 0);
    assert_true(n_expected > 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        out = open_memstream(&text, &n);
        enter(&modes[i]);
        unsigned control = control_now();
        run();
        bool kept = fegetround() == modes[i].rounding && control_now() == control;
        leave();
        assert_int_equal(fclose(out), 0);
        size_t at = 0;
        while (at < n && at < n_expected && text[at] == expected[at])
            at++;
        if (n != n_expected || at != n)
            fail_msg("%s: byte %zu: \"%.60s\", expected \"%.60s\"", modes[i].name, at,
                     text + (at < 20 ? 0 : at - 20), expected + (at < 20 ? 0 : at - 20));
        if (!kept)
            fail_msg("%s: the mode is another one afterwards", modes[i].name);
        free(text);
    }
    free(expected);
}

static void test_configurations_read_and_write_the_same_numbers(void **state)
{
    (void)state;
    check(configurations);
    check(imports);
}

static void test_dumps_are_read_and_written_the_same(void **state)
{
    (void)state;
    check(dumps);
    check(writers);
}

static void test_messages_and_samplers_are_the_same(void **state)
{
    (void)state;
    check(messages);
    check(samplers);
}

int main(void)
{
    char folder[] = "/tmp/pluck_rounding_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configurations_read_and_write_the_same_numbers),
        cmocka_unit_test(test_dumps_are_read_and_written_the_same),
        cmocka_unit_test(test_messages_and_samplers_are_the_same),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink("rounding.jsonl");
    (void)unlink("rounding.npy");
    (void)unlink("rounding.txt");
    (void)unlink("rounding.written");
    (void)rmdir(folder);
    return failed;
}
