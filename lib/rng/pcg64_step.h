/*
 * The 128-bit integers of pcg64, and one step of it as an inline function, for loops that draw many
 * numbers: rng.c says what it is.
 *
 * The integers are two 64-bit halves, with sums and products modulo 2^128. Only the full 64 x 64 ->
 * 128 bit product depends on the compiler. Everything else is written on the halves, which gcc and
 * clang turn into the same instructions as for a 128-bit type of their own.
 */
#ifndef PLK_PCG64_STEP_H
#define PLK_PCG64_STEP_H

#include <pluck/rng.h>

typedef struct plk_u128 {
    uint64_t hi, lo;
} plk_u128;

/* a * b in full, from four 32 x 32 bit products. No step overflows: a partial product is at most
 * (2^32 - 1)^2 = 2^64 - 2^33 + 1, which leaves room for two more 32-bit numbers. */
static inline plk_u128 plk_mul_full_halves(uint64_t a, uint64_t b)
{
    uint64_t mask = UINT64_C(0xFFFFFFFF);
    uint64_t a_hi = a >> 32, a_lo = a & mask;
    uint64_t b_hi = b >> 32, b_lo = b & mask;
    uint64_t low = a_lo * b_lo;
    uint64_t middle = a_hi * b_lo + (low >> 32);
    uint64_t cross = a_lo * b_hi + (middle & mask);
    return (plk_u128){.hi = a_hi * b_hi + (middle >> 32) + (cross >> 32),
                      .lo = (cross << 32) | (low & mask)};
}

/* a * b in full. PLK_NO_INT128 keeps to standard C, as for a compiler without a 128-bit type. */
#if defined(__SIZEOF_INT128__) && !defined(PLK_NO_INT128)
__extension__ typedef unsigned __int128 plk_native_u128;

static inline plk_u128 plk_mul_full(uint64_t a, uint64_t b)
{
    plk_native_u128 product = (plk_native_u128)a * b;
    return (plk_u128){.hi = (uint64_t)(product >> 64), .lo = (uint64_t)product};
}
#else
static inline plk_u128 plk_mul_full(uint64_t a, uint64_t b)
{
    return plk_mul_full_halves(a, b);
}
#endif

static inline plk_u128 plk_add128(plk_u128 a, plk_u128 b)
{
    uint64_t lo = a.lo + b.lo;
    return (plk_u128){.hi = a.hi + b.hi + (lo < a.lo), .lo = lo};
}

static inline plk_u128 plk_mul128(plk_u128 a, plk_u128 b)
{
    plk_u128 product = plk_mul_full(a.lo, b.lo);
    product.hi += a.hi * b.lo + a.lo * b.hi;
    return product;
}

/* A = 2360ed051fc65da44385df649fccf645 */
#define PLK_PCG64_MULTIPLIER                                                                       \
    ((plk_u128){UINT64_C(0x2360ED051FC65DA4), UINT64_C(0x4385DF649FCCF645)})

/* pluck_pcg64_next() */
static inline uint64_t plk_pcg64_step(pluck_pcg64 *rng)
{
    plk_u128 state = {rng->state_hi, rng->state_lo};
    state =
        plk_add128(plk_mul128(state, PLK_PCG64_MULTIPLIER), (plk_u128){rng->inc_hi, rng->inc_lo});
    rng->state_hi = state.hi;
    rng->state_lo = state.lo;
    uint64_t x = state.hi ^ state.lo;
    unsigned count = (unsigned)(state.hi >> 58);
    return (x >> count) | (x << (-count & 63));
}

#endif
