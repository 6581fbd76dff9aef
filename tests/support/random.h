/*
 * A small generator for tests (SplitMix64, Steele, Lea and Flood 2014), independent of the one
 * under test. The whole state is one number: print the seed and a run can be replayed.
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct test_random {
    uint64_t state;
} test_random;

test_random test_random_make(uint64_t seed);
uint64_t test_random_bits(test_random *random);

/* In 0 .. n - 1, n >= 1; the bias of the modulus does not matter here. */
size_t test_random_below(test_random *random, size_t n);

/* In [0, 1). */
double test_random_uniform(test_random *random);

/* Sum of twelve uniforms, centred: nearly normal, mean 0, variance 1, the same everywhere. */
double test_random_normal(test_random *random);

#endif
