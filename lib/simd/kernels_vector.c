/*
 * The kernels for processors with a fused multiply-add and without a vocabulary of their own. Where
 * such a processor has no vectors (RISC-V without V, IBM Z before z14), gcc keeps those of its
 * extension in memory, and takes up to three times the instructions of the scalar vocabulary,
 * inlined.
 */
#if defined(__VSX__) || defined(__VX__) || defined(__loongarch_sx)
#    include "simd/vocabulary_vector.h"
#else
#    include "simd/vocabulary_scalar.h"
#endif

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const plk_kernels plk_kernels_vector = PLK_KERNELS_TABLE(PLUCK_ISA_VECTOR, "vector");
