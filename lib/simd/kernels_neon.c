/*
 * The kernels for AArch64 Advanced SIMD.
 */
#include "simd/vocabulary_neon.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const pl_kernels pl_kernels_neon = PL_KERNELS_TABLE(PLUCK_ISA_NEON, "neon");
