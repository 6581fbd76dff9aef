/*
 * How the small functions of a vocabulary are declared: always inlined, so that nothing compiled
 * for one instruction set can be called by code compiled for another.
 */
#ifndef PLK_LANES_INLINE_H
#define PLK_LANES_INLINE_H

#include "simd/kernels.h"

#if defined(__GNUC__)
#    define LANES_INLINE static inline __attribute__((always_inline))
#else
#    define LANES_INLINE static inline
#endif

/* Before a loop whose body is large: gcc would unroll it completely and then spill registers. */
#if defined(__GNUC__) && !defined(__clang__)
#    define LANES_ROLLED _Pragma("GCC unroll 1")
#else
#    define LANES_ROLLED
#endif

#endif
