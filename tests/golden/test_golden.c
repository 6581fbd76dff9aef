/*
 * Why: the same configuration, seed, stream and logits give the same tokens and the same bits on
 * every instruction set, compiler and machine, whatever floating-point mode the caller runs in. The
 * expected results are in tokens.txt; every machine and every set must give them. Logits are made
 * from integers alone, so that no libm can blur what is compared.
 *
 * A line is: case, position, token, bits of the log-probability, number of survivors, and a hash of
 * the bits of the whole distribution. test_golden --refresh prints the file.
 */
#include "support/test_cases.h"
#include "support/test_isa.h"
#include "support/test_random.h"
#include "support/test_samplers.h"

#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if defined(__x86_64__)
#    include <xmmintrin.h>
#endif

enum { MAX_VOCAB = 32000, N_TOKENS = 12, MAX_LINE = 128 };

typedef struct golden_case {
    const char *name, *json;
    uint32_t n_vocab;
    pluck_dtype dtype;
    uint64_t stream;
} golden_case;

static const golden_case cases[] = {
    {"softmax", "{\"seed\": 1}", 1000, PLUCK_F32, 0},
    {"stream", "{\"seed\": 1}", 1000, PLUCK_F32, 1},
    {"large", "{\"seed\": 2}", 32000, PLUCK_F32, 0},
    {"greedy", "{\"temperature\": 0}", 1000, PLUCK_F32, 0},
    {"hot", "{\"seed\": 3, \"temperature\": 1.7}", 5000, PLUCK_F32, 0},
    {"cold", "{\"seed\": 3, \"temperature\": 0.31}", 5000, PLUCK_F32, 0},
    {"top_k", "{\"seed\": 4, \"top_k\": 40}", 32000, PLUCK_F32, 7},
    {"top_p", "{\"seed\": 5, \"top_p\": 0.92}", 32000, PLUCK_F32, 0},
    {"min_p", "{\"seed\": 6, \"min_p\": 0.07, \"temperature\": 1.3}", 5000, PLUCK_F32, 0},
    {"half", "{\"seed\": 7, \"top_p\": 0.99}", 4097, PLUCK_F16, 0},
    {"bfloat", "{\"seed\": 8, \"temperature\": 0.8}", 4097, PLUCK_BF16, 0},
    {"penalties",
     "{\"seed\": 9, \"repeat_penalty\": 1.25, \"repeat_last_n\": 4, \"frequency_penalty\": 0.5, "
     "\"presence_penalty\": 0.25}",
     70, PLUCK_F32, 0},
    {"bias", "{\"seed\": 10, \"logit_bias\": {\"0\": 3.5, \"64\": -1.25, \"1\": false}}", 65,
     PLUCK_F32, 0},
    {"usual",
     "{\"seed\": 11, \"repeat_penalty\": 1.1, \"top_k\": 60, \"top_p\": 0.95, \"min_p\": 0.02, "
     "\"temperature\": 0.8}",
     32000, PLUCK_F16, 18446744073709551615u},
    {"extreme", "{\"seed\": 12, \"temperature\": 1e-40}", 100, PLUCK_F32, 0},
    {"boiling", "{\"seed\": 13, \"temperature\": 1e40}", 100, PLUCK_F32, 0},
};
enum { N_CASES = sizeof cases / sizeof *cases };

typedef struct text {
    char *chars;
    size_t n;
} text;

static text expected;

/* Row number row of logits: sums of four integers below 2^11, over 256 (f32, within [-16, 16)) or,
 * for the short types, bit patterns of values between 2^-3 and 16 of both signs. */
static void make_row(uint64_t row, pluck_dtype dtype, uint32_t n, void *out)
{
    test_random random = test_random_make(row * 1000003);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits = test_random_bits(&random);
        uint32_t sum = (uint32_t)((bits & 2047) + (bits >> 11 & 2047) + (bits >> 22 & 2047) +
                                  (bits >> 33 & 2047));
        float x = ((float)sum - 4096.0f) * 0x1p-8f;
        uint16_t sign = (uint16_t)(bits >> 63 << 15);
        uint16_t half = (uint16_t)(sign | (0x3000 + sum % 7168));
        uint16_t bfloat = (uint16_t)(sign | (0x3E00 + sum % 896));
        if (dtype == PLUCK_F32)
            memcpy((char *)out + i * sizeof x, &x, sizeof x);
        else
            memcpy((char *)out + i * sizeof half, dtype == PLUCK_F16 ? &half : &bfloat,
                   sizeof half);
    }
}

/* FNV-1a over the tokens and the bits of their probabilities. */
static uint32_t hash(const test_distribution *d)
{
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t words[2] = {(uint32_t)d->probs[i].token};
        memcpy(words + 1, &d->probs[i].prob, sizeof words[1]);
        for (int w = 0; w < 2; w++)
            for (int b = 0; b < 32; b += 8)
                h = (h ^ (words[w] >> b & 255)) * 16777619u;
    }
    return h;
}

static void add_case(text *out, const golden_case *c, pluck_isa isa, void *row)
{
    pluck_sampler *sampler = test_sampler(c->json, c->n_vocab, isa, c->stream);
    for (int i = 0; i < N_TOKENS; i++) {
        make_row((uint64_t)(c - cases) * 100 + (uint64_t)i / 3, c->dtype, c->n_vocab, row);
        pluck_logits logits = {row, c->dtype, c->n_vocab};
        pluck_draw draw = {.token = -1};
        pluck_token token = -1;
        pluck_status status = pluck_sampler_draw(sampler, logits, &draw, NULL);
        test_distribution d = test_distribution_of(sampler, logits);
        pluck_sampler_sample(sampler, logits, &token, NULL);
        uint32_t bits;
        memcpy(&bits, &draw.logprob, sizeof bits);
        if (status != PLUCK_OK || token != draw.token)
            out->n += (size_t)snprintf(out->chars + out->n, MAX_LINE, "%s failed\n", c->name);
        else
            out->n += (size_t)snprintf(out->chars + out->n, MAX_LINE,
                                       "%s %d %d %08" PRIx32 " %" PRIu32 " %08" PRIx32 "\n",
                                       c->name, i, draw.token, bits, draw.n_survivors, hash(&d));
        test_distribution_free(&d);
        pluck_sampler_accept(sampler, draw.token, NULL);
    }
    pluck_sampler_destroy(&sampler);
}

static text run_all(pluck_isa isa)
{
    text out = {malloc((size_t)N_CASES * N_TOKENS * MAX_LINE), 0};
    void *row = malloc(MAX_VOCAB * sizeof(float));
    if (!out.chars || !row)
        abort();
    for (const golden_case *c = cases; c < cases + N_CASES; c++)
        add_case(&out, c, isa, row);
    free(row);
    return out;
}

/* Compares line by line, to name the first case that differs. */
static void check(pluck_isa isa)
{
    text got = run_all(isa);
    const char *e = expected.chars, *g = got.chars;
    const char *e_end = e + expected.n, *g_end = g + got.n;
    while (e < e_end && g < g_end) {
        const char *e_line = memchr(e, '\n', (size_t)(e_end - e));
        const char *g_line = memchr(g, '\n', (size_t)(g_end - g));
        int n_e = (int)((e_line ? e_line : e_end) - e), n_g = (int)(g_line - g);
        if (n_e != n_g || memcmp(e, g, (size_t)n_e) != 0)
            fail_msg("%s gives \"%.*s\", expected \"%.*s\"", pluck_isa_name(isa), n_g, g, n_e, e);
        e += n_e + 1;
        g += n_g + 1;
    }
    assert_int_equal(got.n, expected.n);
    free(got.chars);
}

static void check_all_isas(void)
{
    pluck_isa isas[TEST_MAX_TABLES];
    unsigned n = test_all_isas(isas);
    for (unsigned i = 0; i < n; i++)
        check(isas[i]);
}

static void every_instruction_set_gives_the_golden_tokens(void **state)
{
    (void)state;
    check_all_isas();
}

static void rounding_modes_change_nothing_and_are_left_as_they_were(void **state)
{
    (void)state;
    static const int modes[] = {
#ifdef FE_UPWARD
        FE_UPWARD,
#endif
#ifdef FE_DOWNWARD
        FE_DOWNWARD,
#endif
#ifdef FE_TOWARDZERO
        FE_TOWARDZERO,
#endif
    };
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (fesetround(modes[i]) != 0)
            continue;
        check_all_isas();
        int after = fegetround();
        fesetround(FE_TONEAREST);
        assert_int_equal(after, modes[i]);
    }
}

/* The control register of floating point; 0 where flush-to-zero cannot be set. */
static uint64_t read_control(void)
{
#if defined(__x86_64__)
    return _mm_getcsr() & ~0x3Fu;
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
#else
    return 0;
#endif
}

static void write_control(uint64_t control)
{
#if defined(__x86_64__)
    _mm_setcsr((unsigned)control);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(control) : "memory");
#else
    (void)control;
#endif
}

static void flush_to_zero_changes_nothing_and_is_left_as_it_was(void **state)
{
    (void)state;
#if defined(__x86_64__)
    const uint64_t flushing = 0x8040; /* FTZ and DAZ */
#else
    const uint64_t flushing = UINT64_C(1) << 24; /* FZ of FPCR */
#endif
    uint64_t before = read_control();
    write_control(before | flushing);
    uint64_t flushed = read_control();
    check_all_isas();
    uint64_t after = read_control();
    write_control(before);
    assert_int_equal(after, flushed);
}

/* A mode is restored on the failing ways out too. */
static void modes_survive_errors(void **state)
{
    (void)state;
    float nan_first[2] = {NAN, 0}, empty[2] = {-(float)HUGE_VAL, -(float)HUGE_VAL};
    pluck_sampler *sampler = test_sampler("{\"top_k\": 1}", 2, test_isa(), 0);
    pluck_token token;
    pluck_trace *trace = NULL;
    assert_int_equal(pluck_trace_create(&trace, sampler, NULL, NULL), PLUCK_OK);
    if (fesetround(FE_DOWNWARD) == 0) {
        pluck_sampler_sample(sampler, (pluck_logits){nan_first, PLUCK_F32, 2}, &token, NULL);
        pluck_sampler_trace(sampler, (pluck_logits){empty, PLUCK_F32, 2}, NULL, 0, trace, NULL);
        test_distribution d = test_distribution_of(sampler, (pluck_logits){empty, PLUCK_F32, 2});
        test_distribution_free(&d);
        int after = fegetround();
        fesetround(FE_TONEAREST);
        assert_int_equal(after, FE_DOWNWARD);
    }
    pluck_trace_destroy(&trace);
    pluck_sampler_destroy(&sampler);
}

static int read_expected(void **state)
{
    (void)state;
    const char *path = getenv("PLUCK_GOLDEN");
    FILE *file = fopen(path ? path : "tests/golden/tokens.txt", "rb");
    if (!file) {
        fputs("set PLUCK_GOLDEN to the path of tests/golden/tokens.txt\n", stderr);
        return -1;
    }
    expected.chars = malloc((size_t)N_CASES * N_TOKENS * MAX_LINE);
    if (expected.chars)
        expected.n = fread(expected.chars, 1, (size_t)N_CASES * N_TOKENS * MAX_LINE, file);
    fclose(file);
    return expected.n > 0 ? 0 : -1;
}

static int free_expected(void **state)
{
    (void)state;
    free(expected.chars);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--refresh") == 0) {
        text out = run_all(test_isa());
        fwrite(out.chars, 1, out.n, stdout);
        free(out.chars);
        return EXIT_SUCCESS;
    }
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_gives_the_golden_tokens),
        cmocka_unit_test(rounding_modes_change_nothing_and_are_left_as_they_were),
        cmocka_unit_test(flush_to_zero_changes_nothing_and_is_left_as_it_was),
        cmocka_unit_test(modes_survive_errors),
    };
    return cmocka_run_group_tests(tests, read_expected, free_expected);
}
