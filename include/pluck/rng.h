/*
 * Random numbers from PCG generators (M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient
 * Statistically Good Algorithms for Random Number Generation", 2014). NumPy can replay the numbers
 * of pcg64. A generator jumps to any place in its sequence in constant time.
 *
 * A generator is a plain value: a copy of the struct is a saved state. The functions of generators
 * allocate nothing and cannot fail. Different threads may use different generators.
 */
#ifndef PLUCK_RNG_H
#define PLUCK_RNG_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* pcg32: XSH-RR 64/32, period 2^64. inc is odd. */
typedef struct pluck_pcg32 {
    uint64_t state;
    uint64_t inc;
} pluck_pcg32;

/* Seeds a generator from a state and a sequence as published for PCG: 42 and 54 give a15c02b7 as
 * the first number. */
PLUCK_API void pluck_pcg32_init(pluck_pcg32 *rng, uint64_t initstate, uint64_t initseq);

/* Returns the next number, 32 random bits. */
PLUCK_API uint32_t pluck_pcg32_next(pluck_pcg32 *rng);

/* Returns a uniform integer from 0 to bound - 1, without modulo bias (Lemire 2019). bound >= 1. */
PLUCK_API uint32_t pluck_pcg32_below(pluck_pcg32 *rng, uint32_t bound);

/* Skips delta numbers in at most 64 steps. The period is 2^64, so delta = 2^64 - 1 goes back by one
 * number. */
PLUCK_API void pluck_pcg32_advance(pluck_pcg32 *rng, uint64_t delta);

/* pcg64: XSL-RR 128/64, period 2^128, equal to NumPy's PCG64 for the same state and increment.
 * inc_lo is odd. */
typedef struct pluck_pcg64 {
    uint64_t state_hi, state_lo;
    uint64_t inc_hi, inc_lo;
} pluck_pcg64;

/*
 * Makes the generator of (seed, stream, position), from which a sampler draws at that position of
 * its sequence. Seed and stream pass through a 64-bit finaliser (SplitMix64; Steele, Lea, Flood
 * 2014), so that consecutive seeds or streams give unrelated numbers. Each position has 2^32
 * numbers of its own. Position p is position 0 advanced by p * PLUCK_POSITION_STRIDE, so NumPy
 * replays it with a PCG64 that has the {state, inc} of position 0, after .advance(p *
 * PLUCK_POSITION_STRIDE).
 */
PLUCK_API void pluck_pcg64_seed(pluck_pcg64 *rng, uint64_t seed, uint64_t stream,
                                uint64_t position);

/* The distance from one position to the next: floor(2^64 / golden ratio), which is odd and above
 * 2^32. docs/numerics.md says why it is not 2^32 itself. */
#define PLUCK_POSITION_STRIDE UINT64_C(0x9E3779B97F4A7C15)

/* Skips n_positions positions. If k numbers of a position were used before, k numbers of the new
 * position count as used. One position costs two 128-bit multiplications. */
PLUCK_API void pluck_pcg64_skip_positions(pluck_pcg64 *rng, uint64_t n_positions);

/* Skips delta_hi * 2^64 + delta_lo numbers. The period is 2^128. */
PLUCK_API void pluck_pcg64_advance(pluck_pcg64 *rng, uint64_t delta_hi, uint64_t delta_lo);

/* Returns the next number, 64 random bits. */
PLUCK_API uint64_t pluck_pcg64_next(pluck_pcg64 *rng);

/* Returns a uniform double in [0, 1): the upper 53 bits of the next number times 2^-53, as NumPy's
 * Generator.random does. */
PLUCK_API double pluck_pcg64_uniform(pluck_pcg64 *rng);

/* Returns a uniform integer from 0 to bound - 1, without modulo bias (Lemire 2019). bound >= 1. */
PLUCK_API uint64_t pluck_pcg64_below(pluck_pcg64 *rng, uint64_t bound);

/* *seed = 64 random bits from the operating system. PLUCK_ERR_IO if it provides none. */
PLUCK_API pluck_status pluck_random_seed(uint64_t *seed, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
