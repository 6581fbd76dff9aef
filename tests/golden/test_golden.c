/*
 * Why: the same configuration, seed, stream and logits give the same tokens and the same bits on
 * every instruction set, compiler and machine, whatever floating-point mode the caller runs in. The
 * expected results are in tokens.txt; every machine and every set must give them. Logits are made
 * from integers alone, so that no libm can blur what is compared.
 *
 * golden_*.c have the cases and say what their lines are. test_golden --refresh prints the file.
 */
#include "golden/golden.h"

#include <pluck/trace.h>

#include "support/cases.h"
#include "support/isa.h"
#include "support/samplers.h"

#include <fenv.h>
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

static golden_text expected;

static golden_text run_all(pluck_isa isa)
{
    golden_text out = {NULL, 0, 0};
    golden_flat_chains(&out, isa);
    golden_stage_chains(&out, isa);
    golden_states(&out, isa);
    golden_draws(&out, isa);
    golden_softmax(&out);
    golden_weighted(&out);
    golden_heads(&out, isa);
    return out;
}

/* Compares line by line, to name the first case that differs. */
static void check(pluck_isa isa)
{
    golden_text got = run_all(isa);
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

/* In a floating-point mode of the caller. Where time is short, on the last set alone. */
static void check_in_a_mode(void)
{
    if (test_n_repeats(1) > 0) {
        check_all_isas();
        return;
    }
    pluck_isa isas[TEST_MAX_TABLES];
    unsigned n = test_all_isas(isas);
    check(isas[n - 1]);
}

static void every_stage_and_draw_bites(void **state)
{
    (void)state;
    golden_chains_bite();
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
        check_in_a_mode();
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
    uint64_t flushing = 0x8040; /* FTZ and DAZ */
#else
    const uint64_t flushing = UINT64_C(1) << 24; /* FZ of FPCR */
#endif
    uint64_t before = read_control();
    write_control(before | flushing);
    uint64_t flushed = read_control();
    check_in_a_mode();
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
        pluck_trace_run(trace, sampler, (pluck_logits){empty, PLUCK_F32, 2}, NULL, 0, NULL);
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
    char line[256];
    while (fgets(line, sizeof line, file))
        golden_add(&expected, "%s", line);
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
        golden_text out = run_all(test_isa());
        fwrite(out.chars, 1, out.n, stdout);
        free(out.chars);
        return EXIT_SUCCESS;
    }
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stage_and_draw_bites),
        cmocka_unit_test(every_instruction_set_gives_the_golden_tokens),
        cmocka_unit_test(rounding_modes_change_nothing_and_are_left_as_they_were),
        cmocka_unit_test(flush_to_zero_changes_nothing_and_is_left_as_it_was),
        cmocka_unit_test(modes_survive_errors),
    };
    return cmocka_run_group_tests(tests, read_expected, free_expected);
}
