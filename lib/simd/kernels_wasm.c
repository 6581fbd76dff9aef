/*
 * The kernels for WebAssembly's SIMD128.
 */
#include "simd/vocabulary_vector.h"

#include "simd/kernels_tables.h"
#include "simd/kernels_template.h"

const plk_kernels plk_kernels_wasm = PLK_KERNELS_TABLE(PLUCK_ISA_WASM, "wasm");
