/*
 * PCG generators: a linear congruential generator (LCG) whose state is permuted on the way out.
 *
 *   pcg32  state' = A state + inc mod 2^64; the output comes from the state before the step:
 *          XSH-RR, the upper bits folded by a shift and rotated by the topmost five.
 *   pcg64  state' = A state + inc mod 2^128; the output comes from the state after the step, as in
 *          NumPy: XSL-RR, the two halves exclusive-ored and rotated by the topmost six bits.
 *
 * Source: M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
 * Algorithms for Random Number Generation", HMC-CS-2014-0905, 2014, section 6.3; the multipliers
 * are those of its reference code, of which the 128-bit one is the default of NumPy's PCG64.
 *
 * Jumps (F. B. Brown, "Random number generation with arbitrary strides", Trans. Am. Nucl. Soc. 71,
 * 1994). n steps are one affine map, state -> A^n state + inc (A^n - 1) / (A - 1). Squaring builds
 * the maps of 1, 2, 4 ... steps; those that n's binary digits name are composed, so that a jump
 * costs one turn of a loop for each digit of n. The quotient is never divided for: it follows its
 * own recurrence, (A^2n - 1) / (A - 1) = (A^n + 1) (A^n - 1) / (A - 1), and multiplies inc only at
 * the end, which makes a jump of a known length two constants (STRIDE_MULTIPLIER, STRIDE_SUM).
 *
 * Positions. Position p of a (seed, stream) is position 0 advanced by p S numbers, S =
 * PLUCK_POSITION_STRIDE. As p < 2^64 and S < 2^64, all positions lie within one period of 2^128
 * and any two are at least S > 2^63 numbers apart: they never share a number.
 * Why S is not simply 2^32: the states of consecutive positions are themselves an LCG, with the
 * multiplier A^S. A^(2^32) = 1 + 2^34 x with x odd, and the k-th difference of those states over
 * positions is a multiple of 2^(32 + 34 (k - 1)): the lower 32 bits would never change from one
 * position to the next, and the fourth difference vanishes modulo 2^128, so that the state would be
 * a cubic polynomial of the position. For an odd S, A^S = 5 mod 8 as A itself is, the sequence over
 * positions has the full period 2^128, and its k-th difference carries no more than the factor
 * 4^(k-1) that it has in any LCG of this kind. Its spectral test is good too: the shortest vector
 * of the dual lattice is 0.61, 0.72, 0.72, 0.58, 0.51 of the largest possible in 2 to 6 dimensions,
 * for A itself 0.83, 0.64, 0.69, 0.66, 0.73, and for A^(2^32) 0.69, 0.64, 0.06, 0.00, 0.00.
 *
 * Seeding. w[0] = seed, w[1] = stream, w[i] = mix(w[i-2] + w[i-1] + gamma) modulo 2^64, with mix
 * and gamma of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014; mix is D. Stafford's variant 13). The state of position 0 is w[4]:w[5],
 * the increment w[6]:w[7] with its lowest bit set. As mix is a bijection, so is the step from
 * (w[i-2], w[i-1]) to (w[i-1], w[i]): different (seed, stream) always give different states, and
 * each word of the result has passed through mix at least twice after it met both numbers.
 */
#include <pluck/rng.h>

#include "base/error.h"
#include "base/platform.h"
#include "rng/pcg64_step.h"

static const uint64_t PCG32_MULTIPLIER = UINT64_C(6364136223846793005);

/* The map of S = PLUCK_POSITION_STRIDE steps: A^S and (A^S - 1) / (A - 1), both modulo 2^128; in
 * Python pow(A, S, 2**128) and (pow(A, S, (A - 1) << 128) - 1) // (A - 1). */
static const plk_u128 STRIDE_MULTIPLIER = {UINT64_C(0xBDEF026585BF2616),
                                           UINT64_C(0xCD4BC49BD3E46E35)};
static const plk_u128 STRIDE_SUM = {UINT64_C(0xEBE094A4A673818C), UINT64_C(0xA6F5304DF9D4703D)};

static const plk_u128 ONE = {0, 1};

void pluck_pcg32_init(pluck_pcg32 *rng, uint64_t initstate, uint64_t initseq)
{
    if (!rng)
        return;
    rng->inc = (initseq << 1) | 1;
    /* One step from state 0 gives inc, then initstate is added, then one more step. */
    rng->state = (rng->inc + initstate) * PCG32_MULTIPLIER + rng->inc;
}

uint32_t pluck_pcg32_next(pluck_pcg32 *rng)
{
    if (!rng)
        return 0;
    uint64_t state = rng->state;
    rng->state = state * PCG32_MULTIPLIER + rng->inc;
    uint32_t folded = (uint32_t)(((state >> 18) ^ state) >> 27);
    unsigned count = (unsigned)(state >> 59);
    return (folded >> count) | (folded << (-count & 31));
}

/* Lemire's method, as in pluck_pcg64_below(). */
uint32_t pluck_pcg32_below(pluck_pcg32 *rng, uint32_t bound)
{
    if (!rng)
        return 0;
    uint64_t product = (uint64_t)pluck_pcg32_next(rng) * bound;
    if ((uint32_t)product < bound) {
        uint32_t n_surplus = (uint32_t)-bound % bound;
        while ((uint32_t)product < n_surplus)
            product = (uint64_t)pluck_pcg32_next(rng) * bound;
    }
    return (uint32_t)(product >> 32);
}

void pluck_pcg32_advance(pluck_pcg32 *rng, uint64_t delta)
{
    if (!rng)
        return;
    uint64_t multiplier = 1, sum = 0;
    uint64_t power = PCG32_MULTIPLIER, power_sum = 1;
    for (; delta != 0; delta >>= 1) {
        if (delta & 1) {
            multiplier *= power;
            sum = sum * power + power_sum;
        }
        power_sum *= power + 1;
        power *= power;
    }
    rng->state = rng->state * multiplier + rng->inc * sum;
}

/* state -> multiplier * state + inc * sum */
static void pcg64_apply(pluck_pcg64 *rng, plk_u128 multiplier, plk_u128 sum)
{
    plk_u128 state = {rng->state_hi, rng->state_lo};
    plk_u128 inc = {rng->inc_hi, rng->inc_lo};
    plk_u128 moved = plk_add128(plk_mul128(state, multiplier), plk_mul128(inc, sum));
    rng->state_hi = moved.hi;
    rng->state_lo = moved.lo;
}

/* Applies n times the map that power and power_sum describe. */
static void pcg64_repeat(pluck_pcg64 *rng, plk_u128 n, plk_u128 power, plk_u128 power_sum)
{
    plk_u128 multiplier = ONE, sum = {0, 0};
    while (n.hi | n.lo) {
        if (n.lo & 1) {
            multiplier = plk_mul128(multiplier, power);
            sum = plk_add128(plk_mul128(sum, power), power_sum);
        }
        power_sum = plk_mul128(power_sum, plk_add128(power, ONE));
        power = plk_mul128(power, power);
        n.lo = (n.lo >> 1) | (n.hi << 63);
        n.hi >>= 1;
    }
    pcg64_apply(rng, multiplier, sum);
}

/* SplitMix64's finaliser: a bijection of 64-bit numbers. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

void pluck_pcg64_seed(pluck_pcg64 *rng, uint64_t seed, uint64_t stream, uint64_t position)
{
    if (!rng)
        return;
    uint64_t gamma = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t w[8] = {seed, stream};
    for (int i = 2; i < 8; i++)
        w[i] = mix(w[i - 2] + w[i - 1] + gamma);
    rng->state_hi = w[4];
    rng->state_lo = w[5];
    rng->inc_hi = w[6];
    rng->inc_lo = w[7] | 1;
    pluck_pcg64_skip_positions(rng, position);
}

void pluck_pcg64_skip_positions(pluck_pcg64 *rng, uint64_t n_positions)
{
    if (!rng)
        return;
    if (n_positions == 1)
        pcg64_apply(rng, STRIDE_MULTIPLIER, STRIDE_SUM);
    else if (n_positions > 1)
        pcg64_repeat(rng, (plk_u128){0, n_positions}, STRIDE_MULTIPLIER, STRIDE_SUM);
}

void pluck_pcg64_advance(pluck_pcg64 *rng, uint64_t delta_hi, uint64_t delta_lo)
{
    if (!rng)
        return;
    pcg64_repeat(rng, (plk_u128){delta_hi, delta_lo}, PLK_PCG64_MULTIPLIER, ONE);
}

uint64_t pluck_pcg64_next(pluck_pcg64 *rng)
{
    return rng ? plk_pcg64_step(rng) : 0;
}

double pluck_pcg64_uniform(pluck_pcg64 *rng)
{
    return (double)(pluck_pcg64_next(rng) >> 11) * 0x1p-53;
}

/*
 * D. Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1), 2019, algorithm 5:
 * the upper half of next * bound. Each result owns floor(2^64 / bound) or one more products; those
 * whose lower half is below 2^64 mod bound are the surplus, and are drawn again. The division waits
 * until the lower half is below bound, which is necessary for it to matter.
 */
uint64_t pluck_pcg64_below(pluck_pcg64 *rng, uint64_t bound)
{
    if (!rng)
        return 0;
    plk_u128 product = plk_mul_full(pluck_pcg64_next(rng), bound);
    if (product.lo < bound) {
        uint64_t n_surplus = -bound % bound;
        while (product.lo < n_surplus)
            product = plk_mul_full(pluck_pcg64_next(rng), bound);
    }
    return product.hi;
}

pluck_status pluck_random_seed(uint64_t *seed, pluck_error *err)
{
    if (!seed)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_random_seed: seed is NULL; it must point to where the seed goes");
    uint64_t value = 0;
    int code = plk_random_bytes(&value, sizeof value);
    if (code != 0) {
        char reason[128];
        plk_system_message(code, reason, sizeof reason);
        return plk_fail(err, PLUCK_ERR_IO,
                        "random seed: the system gives no random bytes (%s); "
                        "give a seed instead",
                        reason);
    }
    *seed = value;
    return PLUCK_OK;
}
