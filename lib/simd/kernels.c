/*
 * The instruction sets by name, which table serves which, and how an exponent is split into floats.
 */
#include "simd/kernels.h"

#include "base/error.h"
#include "simd/kernels_tables.h"

#include <string.h>

static const char *const isa_names[] = {"best", "scalar", "avx2", "avx512",
                                        "neon", "sse2",   "wasm", "vector"};

enum { N_ISAS = sizeof isa_names / sizeof *isa_names };

bool pluck_isa_supported(pluck_isa isa)
{
    return (unsigned)isa < N_ISAS && (plk_cpu_isa_set() >> (unsigned)isa & 1u) != 0;
}

const char *pluck_isa_name(pluck_isa isa)
{
    return (unsigned)isa < N_ISAS ? isa_names[isa] : NULL;
}

pluck_status pluck_isa_from_name(const char *name, pluck_isa *isa, pluck_error *err)
{
    if (!name || !isa)
        return plk_fail(err, PLUCK_ERR_INVALID, "instruction set: name and isa must not be NULL");
    for (unsigned i = 0; i < N_ISAS; i++) {
        if (strcmp(name, isa_names[i]) != 0)
            continue;
        if (!pluck_isa_supported((pluck_isa)i))
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "instruction set '%s' is not supported by this machine or this build",
                            name);
        *isa = (pluck_isa)i;
        return PLUCK_OK;
    }
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "instruction set '%s' is unknown: best, scalar, avx2, avx512, neon, sse2, wasm "
                    "or vector",
                    name);
}

static const plk_kernels *table_of(pluck_isa isa)
{
    switch (isa) {
    case PLUCK_ISA_SCALAR:
        return &plk_kernels_scalar;
#if defined(PLK_TABLE_AVX)
    case PLUCK_ISA_AVX2:
        return &plk_kernels_avx2;
    case PLUCK_ISA_AVX512:
        return &plk_kernels_avx512;
#endif
#if defined(PLK_TABLE_SSE2)
    case PLUCK_ISA_SSE2:
        return &plk_kernels_sse2;
#elif defined(PLK_TABLE_NEON)
    case PLUCK_ISA_NEON:
        return &plk_kernels_neon;
#elif defined(PLK_TABLE_WASM)
    case PLUCK_ISA_WASM:
        return &plk_kernels_wasm;
#elif defined(PLK_TABLE_VECTOR)
    case PLUCK_ISA_VECTOR:
        return &plk_kernels_vector;
#endif
    default:
        return NULL;
    }
}

const plk_kernels *plk_kernels_get(pluck_isa isa)
{
    static const pluck_isa fastest_first[] = {PLUCK_ISA_AVX512, PLUCK_ISA_AVX2, PLUCK_ISA_NEON,
                                              PLUCK_ISA_WASM,   PLUCK_ISA_SSE2, PLUCK_ISA_VECTOR};
    if (isa != PLUCK_ISA_BEST)
        return pluck_isa_supported(isa) ? table_of(isa) : NULL;
    for (size_t i = 0; i < sizeof fastest_first / sizeof *fastest_first; i++) {
        if (pluck_isa_supported(fastest_first[i]))
            return table_of(fastest_first[i]);
    }
    return &plk_kernels_scalar;
}

/* The product with 1 / ln 2 rounds in double, 2^-53: 2^-46 in an exponent of 125. */
plk_exponent plk_exponent_make(float origin, double beta)
{
    double log2_e = 0x1.71547652b82fep0;
    double bounded = beta < 0x1p-126 ? 0x1p-126 : beta > 1e38 ? 1e38 : beta;
    double rate = bounded * log2_e;
    float high = (float)rate;
    return (plk_exponent){origin, high, (float)(rate - (double)high)};
}
