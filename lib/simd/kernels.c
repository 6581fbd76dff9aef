/*
 * Which table serves which instruction set, and how an exponent is split into floats.
 */
#include "simd/kernels.h"

#include "simd/kernels_tables.h"

static const pl_kernels *table_of(pluck_isa isa)
{
    switch (isa) {
    case PLUCK_ISA_SCALAR:
        return &pl_kernels_scalar;
#if defined(__x86_64__)
    case PLUCK_ISA_AVX2:
        return &pl_kernels_avx2;
    case PLUCK_ISA_AVX512:
        return &pl_kernels_avx512;
#elif defined(__aarch64__)
    case PLUCK_ISA_NEON:
        return &pl_kernels_neon;
#endif
    default:
        return NULL;
    }
}

const pl_kernels *pl_kernels_get(pluck_isa isa)
{
    static const pluck_isa fastest_first[] = {PLUCK_ISA_AVX512, PLUCK_ISA_AVX2, PLUCK_ISA_NEON};
    if (isa != PLUCK_ISA_BEST)
        return pluck_isa_supported(isa) ? table_of(isa) : NULL;
    for (size_t i = 0; i < sizeof fastest_first / sizeof *fastest_first; i++) {
        if (pluck_isa_supported(fastest_first[i]))
            return table_of(fastest_first[i]);
    }
    return &pl_kernels_scalar;
}

pl_exponent pl_exponent_make(float origin, double beta)
{
    const double log2_e = 0x1.71547652b82fep0;
    double bounded = beta < 0x1p-126 ? 0x1p-126 : beta > 1e38 ? 1e38 : beta;
    float high = (float)bounded;
    return (pl_exponent){
        .origin = origin,
        .beta_hi = high,
        .beta_lo = (float)(bounded - (double)high),
        .beta_log2e = (float)(bounded * log2_e),
    };
}
