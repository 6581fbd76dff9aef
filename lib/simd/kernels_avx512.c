/*
 * The kernels for AVX-512 F, BW, DQ and VL.
 */
#include "simd/vocabulary_avx512.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const plk_kernels plk_kernels_avx512 = PLK_KERNELS_TABLE(PLUCK_ISA_AVX512, "avx512");
