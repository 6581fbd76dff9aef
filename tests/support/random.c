/*
 * SplitMix64: a counter through a 64-bit finaliser.
 */
#include "support/random.h"

test_random test_random_make(uint64_t seed)
{
    return (test_random){.state = seed};
}

uint64_t test_random_bits(test_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

size_t test_random_below(test_random *random, size_t n)
{
    return (size_t)(test_random_bits(random) % n);
}

double test_random_uniform(test_random *random)
{
    return (double)(test_random_bits(random) >> 11) * 0x1p-53;
}

double test_random_normal(test_random *random)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += test_random_uniform(random);
    return sum;
}
