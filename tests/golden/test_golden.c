/*
 * Why: tokens and bits do not depend on the floating-point mode that the caller runs in, and the
 * mode is left as it was. What is expected is in tokens.txt; the golden program compares with it in
 * the usual mode. And the cases must be about something: golden_bite.c.
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
#include <stdlib.h>

#include <cmocka.h>

#if defined(__x86_64__)
#    include <xmmintrin.h>
#endif

static golden_text expected;

static void check(pluck_isa isa)
{
    golden_text got = {.chars = NULL}, first = {.chars = NULL};
    size_t n_skipped = 0;
    golden_tokens(&got, isa);
    if (golden_compare(&got, &expected, &first, &n_skipped) > 0)
        fail_msg("%s gives %s", pluck_isa_name(isa), first.chars);
    free(got.chars);
}

/* In a floating-point mode of the caller. Where time is short, on the last set alone. */
static void check_in_a_mode(void)
{
    pluck_isa isas[TEST_MAX_TABLES];
    unsigned n = test_all_isas(isas);
    for (unsigned i = test_n_repeats(1) > 0 ? 0 : n - 1; i < n; i++)
        check(isas[i]);
}

static void every_stage_and_draw_bites(void **state)
{
    (void)state;
    golden_chains_bite();
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
    expected = golden_read(path ? path : "tests/golden/tokens.txt");
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
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stage_and_draw_bites),
        cmocka_unit_test(rounding_modes_change_nothing_and_are_left_as_they_were),
        cmocka_unit_test(flush_to_zero_changes_nothing_and_is_left_as_it_was),
        cmocka_unit_test(modes_survive_errors),
    };
    return cmocka_run_group_tests(tests, read_expected, free_expected);
}
