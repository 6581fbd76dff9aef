/*
 * The kernels for AArch64 Advanced SIMD.
 */
#include "simd/vocabulary_neon.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const plk_kernels plk_kernels_neon = PLK_KERNELS_TABLE(PLUCK_ISA_NEON, "neon");
