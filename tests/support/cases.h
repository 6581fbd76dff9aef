/*
 * Randomised tests as numbered cases. A case is a function of its seed alone; when one fails, the
 * seed and the command that runs this case alone are printed.
 */
#ifndef CASES_H
#define CASES_H

#include "base/error.h"
#include "simd/kernels.h"

#include <stdbool.h>
#include <stdint.h>

/* One case on one instruction set. False, with the reason in test_case_failed(), if the property
 * does not hold. */
typedef bool test_case_function(uint64_t seed, pluck_isa isa, const void *context);

/* To call first in main: a test's name as the first argument runs that test alone. */
void test_cases_begin(int argc, char **argv);

/* Runs the cases first .. first + n - 1, each on every instruction set of this machine, and fails
 * the test at the first case that fails. The environment variables PLUCK_SEED and PLUCK_ISA limit a
 * run to one case and to one set; PLUCK_CASE_STEP=17 runs every 17th case, where time is short.
 * test is the name of the test function. */
void test_cases_run(const char *test, uint64_t first, uint64_t n, test_case_function *function,
                    const void *context);

/* The same, once for each seed (isa is PLUCK_ISA_BEST): for cases that run the sets themselves. */
void test_cases_run_once(const char *test, uint64_t first, uint64_t n, test_case_function *function,
                         const void *context);

/* How often a test repeats what it would do n times: n, or one in PLUCK_CASE_STEP of that. */
uint64_t test_n_repeats(uint64_t n);

/* Says why a case fails; always false. */
bool test_case_failed(const char *format, ...) PLK_PRINTF(1, 2);

/* The instruction sets to test, at most TEST_MAX_TABLES; returns how many. */
unsigned test_all_isas(pluck_isa *isas);

#endif
