/*
 * The kernels for AVX-512 F, BW, DQ and VL.
 */
#include "simd/vocabulary_avx512.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const pl_kernels pl_kernels_avx512 = PL_KERNELS_TABLE(PLUCK_ISA_AVX512, "avx512");
