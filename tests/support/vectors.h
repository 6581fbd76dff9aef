/*
 * Logit vectors to test with: ordinary ones, and those that break implementations.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include "support/random.h"

typedef enum test_vector_kind {
    TEST_VECTOR_NORMAL,   /* normal, standard deviation 3 */
    TEST_VECTOR_PEAKED,   /* as a language model's: a few large values over a broad floor */
    TEST_VECTOR_FALLING,  /* frequency-ordered: large values crowd at the start */
    TEST_VECTOR_EQUAL,    /* all the same value */
    TEST_VECTOR_SPIKE,    /* one value 60 above the rest */
    TEST_VECTOR_TIES,     /* seven different values only */
    TEST_VECTOR_BANNED,   /* two thirds are -inf, at least one is not */
    TEST_VECTOR_ONE,      /* one value, all others -inf */
    TEST_VECTOR_ZEROS,    /* +0 and -0 */
    TEST_VECTOR_DENORMAL, /* subnormal values of both signs */
    TEST_VECTOR_OVERFLOW, /* about 1000: exp(x) overflows, exp(x - max) does not */
    TEST_VECTOR_HUGE,     /* up to the largest floats of both signs */
    TEST_VECTOR_WIDE,     /* between -150 and 0: exponentials down to below the smallest float */
    TEST_VECTOR_KINDS
} test_vector_kind;

const char *test_vector_name(test_vector_kind kind);

/* Writes n >= 1 values, none NaN or +inf, at least one above -inf. The same seed gives the same
 * values. */
void test_vector_fill(test_vector_kind kind, uint64_t seed, size_t n, float *x);

#endif
