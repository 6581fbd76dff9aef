/*
 * The kernels in plain C: the reference.
 */
#define LANES_IN_MEMORY
#include "simd/vocabulary_scalar.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const plk_kernels plk_kernels_scalar = PLK_KERNELS_TABLE(PLUCK_ISA_SCALAR, "scalar");
