/*
 * The kernels for AVX2, FMA and F16C.
 */
#include "simd/vocabulary_avx2.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const plk_kernels plk_kernels_avx2 = PLK_KERNELS_TABLE(PLUCK_ISA_AVX2, "avx2");
