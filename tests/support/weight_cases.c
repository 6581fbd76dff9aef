#include "support/weight_cases.h"

#include "support/random.h"

#include <math.h>

const char *weight_kind_name(weight_kind kind)
{
    static const char *const names[WEIGHTS_KINDS] = {"uniform",   "equal",    "zipf", "spike",
                                                     "many zero", "one",      "wide", "tiny",
                                                     "huge",      "fibonacci"};
    return names[kind];
}

static double one_weight(weight_kind kind, test_random *random, uint32_t n, uint32_t i)
{
    double u = test_random_uniform(random);
    switch (kind) {
    case WEIGHTS_EQUAL:
        return 3;
    case WEIGHTS_ZIPF:
        return 1 / (double)(i + 1);
    case WEIGHTS_MANY_ZERO:
        return test_random_below(random, 3) == 0 ? u + 0x1p-60 : u < 0.5 ? 0.0 : -0.0;
    case WEIGHTS_ONE:
        return 0;
    case WEIGHTS_WIDE:
        return ldexp(1, (int)test_random_below(random, 2000) - 1040);
    case WEIGHTS_TINY:
        return 0x1p-1074 * (double)(1 + test_random_below(random, 1000));
    case WEIGHTS_HUGE:
        return u * 1e300 / (double)n;
    default:
        return u;
    }
}

void weights_fill(weight_kind kind, uint64_t seed, uint32_t n, double *weights)
{
    enum { MAX_FIBONACCI = 60 };
    test_random random = test_random_make(seed);
    for (uint32_t i = 0; i < n; i++)
        weights[i] = one_weight(kind, &random, n, i);
    double before = 1, last = 1;
    for (uint32_t i = 0; i < n && kind == WEIGHTS_FIBONACCI; i++) {
        double next = before + last;
        weights[i] = i < MAX_FIBONACCI ? before : 0;
        before = last;
        last = next;
    }
    for (uint32_t i = n; i > 1 && kind != WEIGHTS_FIBONACCI; i--) {
        uint32_t k = (uint32_t)test_random_below(&random, i);
        double swap = weights[i - 1];
        weights[i - 1] = weights[k];
        weights[k] = swap;
    }
    uint32_t chosen = (uint32_t)test_random_below(&random, n);
    if (kind == WEIGHTS_SPIKE)
        weights[chosen] = 0x1p40;
    else if (kind == WEIGHTS_ONE || (kind == WEIGHTS_MANY_ZERO && weights[chosen] == 0))
        weights[chosen] = 0.25;
}
