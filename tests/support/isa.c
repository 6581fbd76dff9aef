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
    for (int isa = PLUCK_ISA_BEST; pluck_isa_name((pluck_isa)isa); isa++) {
        if (strcmp(pluck_isa_name((pluck_isa)isa), name) == 0)
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
    size_t n = 0;
    if (test_isa() != PLUCK_ISA_BEST) {
        tables[n++] = test_kernels();
        return n;
    }
    for (int isa = PLUCK_ISA_SCALAR; pluck_isa_name((pluck_isa)isa); isa++) {
        const plk_kernels *table = plk_kernels_get((pluck_isa)isa);
        if (table)
            tables[n++] = table;
    }
    return n;
}
