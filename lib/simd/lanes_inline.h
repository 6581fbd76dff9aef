/*
 * How the small functions of a vocabulary and of the templates are declared. They are static, so
 * that nothing compiled for one instruction set can be called by code compiled for another, and
 * always inlined, so that lanes stay in registers.
 *
 * The scalar table, whose lanes are memory, leaves inlining to the compiler: on x86-64 gcc takes a
 * third of the time then, for code that is a little faster. With the checks of a sanitizer in every
 * lane, a kernel that has all its functions inlined takes gcc half a minute, so none is.
 */
#ifndef PLK_LANES_INLINE_H
#define PLK_LANES_INLINE_H

#include "simd/kernels.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define LANES_INSTRUMENTED
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define LANES_INSTRUMENTED
#    endif
#endif

#if defined(__GNUC__) && defined(LANES_INSTRUMENTED)
#    define LANES_INLINE static __attribute__((noinline, unused))
#elif defined(__GNUC__) && !defined(LANES_IN_MEMORY)
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
