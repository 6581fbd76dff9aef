/*
 * The tables that a build has, one per kernels_<isa>.c, and which of them this machine can use. The
 * compiler's target decides, and the build asks this file: PLK_TABLES names the files besides
 * kernels_scalar.c that it has to compile.
 */
#ifndef PLK_KERNELS_TABLES_H
#define PLK_KERNELS_TABLES_H

#include "simd/fused.h"
#include "simd/kernels.h"

#if defined(__x86_64__)
#    define PLK_TABLE_AVX
#    define PLK_TABLE_SSE2
#    define PLK_TABLES avx512 avx2 sse2
#elif defined(__SSE2__)
#    define PLK_TABLE_SSE2
#    define PLK_TABLES sse2
#elif defined(__aarch64__)
#    define PLK_TABLE_NEON
#    define PLK_TABLES neon
#elif defined(__wasm_simd128__)
#    define PLK_TABLE_WASM
#    define PLK_TABLES wasm
#elif defined(PLK_HARDWARE_FMAF)
#    define PLK_TABLE_VECTOR
#    define PLK_TABLES vector
#else
#    define PLK_TABLES
#endif

extern const plk_kernels plk_kernels_scalar, plk_kernels_avx2, plk_kernels_avx512;
extern const plk_kernels plk_kernels_neon, plk_kernels_sse2, plk_kernels_wasm, plk_kernels_vector;

/* Bit i is set if the pluck_isa of value i can be used; PLUCK_ISA_BEST and PLUCK_ISA_SCALAR always
 * can. */
unsigned plk_cpu_isa_set(void);

#endif
