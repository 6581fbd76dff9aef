/*
 * The scalar form of Philox4x32-10; the same numbers as the kernels' race_bounds() uses.
 */
#include "simd/philox.h"

#include "base/scalar_math.h"

void plk_philox(const uint32_t *counter, const uint32_t *key, uint32_t *words)
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t key0 = key[0], key1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t product0 = (uint64_t)PLK_PHILOX_M0 * c0, product1 = (uint64_t)PLK_PHILOX_M1 * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ key0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ key1;
        c3 = (uint32_t)product0;
        key0 += PLK_PHILOX_W0;
        key1 += PLK_PHILOX_W1;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

/* The finaliser of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom
 * number generators", 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

plk_noise plk_noise_make(uint64_t seed, uint64_t stream, uint64_t position)
{
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t key = mix(mix(seed + step) + stream * step);
    return (plk_noise){{(uint32_t)key, (uint32_t)(key >> 32)},
                       {(uint32_t)position, (uint32_t)(position >> 32)}};
}

void plk_noise_words(const plk_noise *noise, uint32_t purpose, uint32_t place, uint32_t *words)
{
    uint32_t counter[4] = {place, noise->position[0], noise->position[1], purpose};
    plk_philox(counter, noise->key, words);
}

uint32_t plk_noise_word(const plk_noise *noise, uint32_t purpose, uint32_t place)
{
    uint32_t words[4];
    plk_noise_words(noise, purpose, place / 64 * 16 + place % 16, words);
    return words[place % 64 / 16];
}

double plk_noise_exponential(uint32_t high, uint32_t low)
{
    uint64_t bits = ((uint64_t)high << 32 | low) >> 12;
    return -plk_log(((double)bits + 0.5) * 0x1p-52);
}
