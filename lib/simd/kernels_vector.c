/*
 * The kernels for processors with a fused multiply-add and without a vocabulary of their own.
 */
#include "simd/vocabulary_vector.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const plk_kernels plk_kernels_vector = PLK_KERNELS_TABLE(PLUCK_ISA_VECTOR, "vector");
