/*
 * One case a kind; every value is a function of (kind, seed, index, n).
 */
#include "support/vectors.h"

#include <float.h>
#include <math.h>

static const char *const names[] = {"normal",   "peaked", "falling", "equal", "spike",
                                    "ties",     "banned", "one",     "zeros", "denormal",
                                    "overflow", "huge",   "wide"};

const char *test_vector_name(test_vector_kind kind)
{
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

static double huge(test_random *random)
{
    double magnitude = pow(10, 76 * test_random_uniform(random) - 38);
    double sign = test_random_below(random, 2) ? 1 : -1;
    return sign * fmin(magnitude, (double)FLT_MAX);
}

static double value(test_vector_kind kind, test_random *random, size_t i, size_t special)
{
    double normal = test_random_normal(random);
    switch (kind) {
    case TEST_VECTOR_PEAKED:
        return test_random_below(random, 200) == 0 ? 12 + 3 * normal : 2 * normal;
    case TEST_VECTOR_FALLING:
        return 8 - 1.3 * log1p((double)i) + normal;
    case TEST_VECTOR_EQUAL:
        return -2.7182818284590452;
    case TEST_VECTOR_SPIKE:
        return i == special ? 57.5 : normal - 2.5;
    case TEST_VECTOR_TIES:
        return (double)test_random_below(random, 7) - 3;
    case TEST_VECTOR_BANNED:
        return i != special && test_random_below(random, 3) ? -HUGE_VAL : 3 * normal;
    case TEST_VECTOR_ONE:
        return i == special ? 3 * normal : -HUGE_VAL;
    case TEST_VECTOR_ZEROS:
        return test_random_below(random, 2) ? 0.0 : -0.0;
    case TEST_VECTOR_DENORMAL:
        return normal * 0x1p-129;
    case TEST_VECTOR_OVERFLOW:
        return 1000 + 3 * normal;
    case TEST_VECTOR_HUGE:
        return huge(random);
    case TEST_VECTOR_WIDE:
        return -150 * test_random_uniform(random);
    default:
        return 3 * normal;
    }
}

void test_vector_fill(test_vector_kind kind, uint64_t seed, size_t n, float *x)
{
    test_random random = test_random_make(seed);
    size_t special = test_random_below(&random, n);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)value(kind, &random, i, special);
}
