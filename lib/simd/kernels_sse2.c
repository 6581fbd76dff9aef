/*
 * The kernels for SSE2, which every x86-64 processor has.
 */
#include "simd/vocabulary_vector.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const plk_kernels plk_kernels_sse2 = PLK_KERNELS_TABLE(PLUCK_ISA_SSE2, "sse2");
