/*
 * The tables that a build has, one a kernels_<isa>.c.
 */
#ifndef PL_KERNELS_TABLES_H
#define PL_KERNELS_TABLES_H

#include "simd/kernels.h"

extern const pl_kernels pl_kernels_scalar;
#if defined(__x86_64__)
extern const pl_kernels pl_kernels_avx2;
extern const pl_kernels pl_kernels_avx512;
#elif defined(__aarch64__)
extern const pl_kernels pl_kernels_neon;
#endif

#endif
