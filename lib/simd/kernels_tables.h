/*
 * The tables that a build has, one a kernels_<isa>.c.
 */
#ifndef PLK_KERNELS_TABLES_H
#define PLK_KERNELS_TABLES_H

#include "simd/kernels.h"

extern const plk_kernels plk_kernels_scalar;
#if defined(__x86_64__)
extern const plk_kernels plk_kernels_avx2;
extern const plk_kernels plk_kernels_avx512;
#elif defined(__aarch64__)
extern const plk_kernels plk_kernels_neon;
#endif

#endif
