/*
 * Choosing the kernel tables of a test run from the environment.
 */
#include "support/isa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_SKIPPED = 77, EXIT_HARD_ERROR = 99 };

static bool is_known(const char *name)
{
    static const char *const names[] = {"best", "scalar", "avx2", "avx512", "neon"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

pluck_isa test_isa(void)
{
    const char *name = getenv("PLUCK_ISA");
    if (!name || !*name)
        return PLUCK_ISA_BEST;
    pluck_isa isa = PLUCK_ISA_BEST;
    pluck_error err = {.status = PLUCK_OK};
    if (pluck_isa_from_name(name, &isa, &err) != PLUCK_OK) {
        fprintf(stderr, "PLUCK_ISA: %s\n", err.message);
        exit(is_known(name) ? EXIT_SKIPPED : EXIT_HARD_ERROR);
    }
    return isa;
}

const plk_kernels *test_kernels(void)
{
    return plk_kernels_get(test_isa());
}

size_t test_all_kernels(const plk_kernels **tables)
{
    static const pluck_isa sets[] = {PLUCK_ISA_SCALAR, PLUCK_ISA_NEON, PLUCK_ISA_AVX2,
                                     PLUCK_ISA_AVX512};
    size_t n = 0;
    if (test_isa() != PLUCK_ISA_BEST) {
        tables[n++] = test_kernels();
        return n;
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        const plk_kernels *table = plk_kernels_get(sets[i]);
        if (table)
            tables[n++] = table;
    }
    return n;
}
