/*
 * The replay command is the program as it was started, the two variables and the test's name.
 */
#include "support/cases.h"

#include "support/isa.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *program = "the test program";

void test_cases_begin(int argc, char **argv)
{
    if (argc > 0)
        program = argv[0];
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
}

bool test_case_failed(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("    ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return false;
}

unsigned test_all_isas(pluck_isa *isas)
{
    const plk_kernels *tables[TEST_MAX_TABLES];
    unsigned n = (unsigned)test_all_kernels(tables);
    for (unsigned i = 0; i < n; i++)
        isas[i] = tables[i]->isa;
    return n;
}

/* Of which number of cases one is run. */
static uint64_t case_step(void)
{
    const char *text = getenv("PLUCK_CASE_STEP");
    uint64_t step = text ? strtoull(text, NULL, 10) : 1;
    return step > 0 ? step : 1;
}

uint64_t test_n_repeats(uint64_t n)
{
    return n / case_step();
}

static void run(const char *test, uint64_t first, uint64_t n, test_case_function *function,
                const void *context, const pluck_isa *isas, unsigned n_isas)
{
    const char *only = getenv("PLUCK_SEED");
    if (only && *only) {
        first = strtoull(only, NULL, 0);
        n = 1;
    }
    for (uint64_t seed = first; seed < first + n; seed += case_step()) {
        for (unsigned i = 0; i < n_isas; i++) {
            if (function(seed, isas[i], context))
                continue;
            fprintf(stderr, "replay: PLUCK_SEED=%" PRIu64, seed);
            if (isas[i] != PLUCK_ISA_BEST)
                fprintf(stderr, " PLUCK_ISA=%s", pluck_isa_name(isas[i]));
            fprintf(stderr, " %s %s\n", program, test);
            fail();
        }
    }
}

void test_cases_run(const char *test, uint64_t first, uint64_t n, test_case_function *function,
                    const void *context)
{
    pluck_isa isas[TEST_MAX_TABLES];
    unsigned n_isas = test_all_isas(isas);
    run(test, first, n, function, context, isas, n_isas);
}

void test_cases_run_once(const char *test, uint64_t first, uint64_t n, test_case_function *function,
                         const void *context)
{
    pluck_isa best = PLUCK_ISA_BEST;
    run(test, first, n, function, context, &best, 1);
}
