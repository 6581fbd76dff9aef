/*
 * The tables that a build has, one per kernels_<isa>.c, and which of them this machine can use.
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

/* Bit i is set if the pluck_isa of value i can be used; PLUCK_ISA_BEST and PLUCK_ISA_SCALAR always
 * can. */
unsigned plk_cpu_isa_set(void);

#endif
