/*
 * Instruction sets by name, which of them have kernels, and the floating-point environment that all
 * results are computed in.
 */
#include "simd/kernels.h"
#include "support/fp.h"

#include <pluck/base.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    pluck_isa isa;
    const char *name;
} sets[] = {{PLUCK_ISA_BEST, "best"},     {PLUCK_ISA_SCALAR, "scalar"}, {PLUCK_ISA_AVX2, "avx2"},
            {PLUCK_ISA_AVX512, "avx512"}, {PLUCK_ISA_NEON, "neon"},     {PLUCK_ISA_SSE2, "sse2"},
            {PLUCK_ISA_WASM, "wasm"},     {PLUCK_ISA_VECTOR, "vector"}};

enum { N_SETS = sizeof sets / sizeof *sets };

static void names_lead_back_to_their_sets(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SETS; i++) {
        assert_string_equal(pluck_isa_name(sets[i].isa), sets[i].name);
        pluck_isa isa = (pluck_isa)99;
        pluck_error err = {.status = PLUCK_OK};
        pluck_status status = pluck_isa_from_name(sets[i].name, &isa, &err);
        if (pluck_isa_supported(sets[i].isa)) {
            assert_int_equal(status, PLUCK_OK);
            assert_int_equal(isa, sets[i].isa);
            assert_int_equal(err.status, PLUCK_OK);
        } else {
            assert_int_equal(status, PLUCK_ERR_INVALID);
            assert_int_equal(isa, 99);
            assert_non_null(strstr(err.message, sets[i].name));
        }
    }
    assert_null(pluck_isa_name((pluck_isa)N_SETS));
    assert_null(pluck_isa_name((pluck_isa)-1));
}

static void unknown_names_are_invalid(void **state)
{
    (void)state;
    static const char *const names[] = {"", "AVX2", "avx", "avx512 ", "sse9"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        pluck_isa isa = PLUCK_ISA_SCALAR;
        pluck_error err = {.status = PLUCK_OK};
        assert_int_equal(pluck_isa_from_name(names[i], &isa, &err), PLUCK_ERR_INVALID);
        assert_int_equal(isa, PLUCK_ISA_SCALAR);
        assert_non_null(strstr(err.message, "unknown"));
    }
    pluck_isa isa;
    assert_int_equal(pluck_isa_from_name(NULL, &isa, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_isa_from_name("best", NULL, NULL), PLUCK_ERR_INVALID);
}

static void supported_sets_and_no_others_have_kernels(void **state)
{
    (void)state;
    assert_true(pluck_isa_supported(PLUCK_ISA_BEST));
    assert_true(pluck_isa_supported(PLUCK_ISA_SCALAR));
    assert_false(pluck_isa_supported((pluck_isa)N_SETS));
    assert_false(pluck_isa_supported((pluck_isa)-1));
    assert_null(plk_kernels_get((pluck_isa)N_SETS));
    for (size_t i = 1; i < N_SETS; i++) {
        const plk_kernels *kernels = plk_kernels_get(sets[i].isa);
        assert_true((kernels != NULL) == pluck_isa_supported(sets[i].isa));
        if (kernels) {
            assert_int_equal(kernels->isa, sets[i].isa);
            assert_string_equal(kernels->name, sets[i].name);
        }
    }
    assert_non_null(plk_kernels_get(PLUCK_ISA_BEST));
#if defined(__aarch64__)
    assert_true(pluck_isa_supported(PLUCK_ISA_NEON));
#else
    assert_false(pluck_isa_supported(PLUCK_ISA_NEON));
#endif
#if defined(__SSE2__)
    assert_true(pluck_isa_supported(PLUCK_ISA_SSE2));
#else
    assert_false(pluck_isa_supported(PLUCK_ISA_SSE2));
#endif
#if defined(__x86_64__) && defined(__linux__)
    /* The tunables hide instructions from the library only. */
    if (!getenv("GLIBC_TUNABLES")) {
        assert_true(pluck_isa_supported(PLUCK_ISA_AVX2) ==
                    (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
        assert_true(pluck_isa_supported(PLUCK_ISA_AVX512) ==
                    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")));
    }
#endif
}

/* The variable is that of the test setup no_fma. */
static void the_best_set_is_the_first_supported(void **state)
{
    (void)state;
    static const pluck_isa order[] = {PLUCK_ISA_AVX512, PLUCK_ISA_AVX2, PLUCK_ISA_NEON,
                                      PLUCK_ISA_WASM,   PLUCK_ISA_SSE2, PLUCK_ISA_VECTOR,
                                      PLUCK_ISA_SCALAR};
    const char *expected = getenv("PLUCK_BEST_ISA");
    size_t i = 0;
    while (!pluck_isa_supported(order[i]))
        i++;
    assert_int_equal(plk_kernels_get(PLUCK_ISA_BEST)->isa, order[i]);
    if (expected)
        assert_string_equal(pluck_isa_name(order[i]), expected);
}

static void the_default_environment_is_entered_and_left(void **state)
{
    (void)state;
    size_t default_setting = test_fp_count();
    test_fp_set(default_setting);
    uint64_t expected = test_fp_control();
    for (size_t setting = 0; setting <= default_setting; setting++) {
        test_fp_set(setting);
        uint64_t before = test_fp_control();
        plk_fp_state outer = plk_fp_enter();
        uint64_t inside = test_fp_control();
        plk_fp_state inner = plk_fp_enter();
        plk_fp_leave(inner);
        uint64_t still_inside = test_fp_control();
        plk_fp_leave(outer);
        uint64_t after = test_fp_control();
        test_fp_set(default_setting);
        assert_true(inside == expected && still_inside == expected);
        assert_true(after == before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_back_to_their_sets),
        cmocka_unit_test(unknown_names_are_invalid),
        cmocka_unit_test(supported_sets_and_no_others_have_kernels),
        cmocka_unit_test(the_best_set_is_the_first_supported),
        cmocka_unit_test(the_default_environment_is_entered_and_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
