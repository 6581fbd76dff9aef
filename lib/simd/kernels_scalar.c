/*
 * The kernels in plain C: the reference.
 */
#include "simd/vocabulary_scalar.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const pl_kernels pl_kernels_scalar = PL_KERNELS_TABLE(PLUCK_ISA_SCALAR, "scalar");
