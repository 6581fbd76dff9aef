/*
 * One step of pcg64 as an inline function, for loops that draw many numbers: rng.c says what it is.
 */
#ifndef PLK_PCG64_STEP_H
#define PLK_PCG64_STEP_H

#include "rng/u128.h"

#include <pluck/rng.h>

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
