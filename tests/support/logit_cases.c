/*
 * Values are a function of (kind, seed, index, n). Halves are made by their definition, in integers
 * and powers of two, to owe nothing to the conversions under test.
 */
#include "support/logit_cases.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"ascending", "descending",    "block peaks",
                                    "one block", "plateau",       "signed zeros",
                                    "extremes",  "mostly banned", "grid"};

const char *logit_kind_name(logit_kind kind)
{
    if ((size_t)kind < TEST_VECTOR_KINDS)
        return test_vector_name((test_vector_kind)kind);
    return names[kind - LOGITS_ASCENDING];
}

static double extreme(test_random *random)
{
    static const double values[] = {
        (double)FLT_MAX, -(double)FLT_MAX, 3e38, -3e38, 0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, 1e-38,
        -1e38,           1.0e30,           88.0, -104.0};
    return values[test_random_below(random, sizeof values / sizeof *values)];
}

static double value(logit_kind kind, test_random *random, uint32_t i, uint32_t n, uint32_t special)
{
    switch (kind) {
    case LOGITS_ASCENDING:
        return 20.0 * i / n - 10.0;
    case LOGITS_DESCENDING:
        return 10.0 - 20.0 * i / n;
    case LOGITS_BLOCK_PEAKS:
        return i % 64 == (special + i / 64) % 64 ? 5.0 + 0.1 * test_random_normal(random) : -9.0;
    case LOGITS_ONE_BLOCK:
        return i / 64 == special / 64 ? 9.0 + test_random_normal(random)
                                      : test_random_normal(random) - 4.0;
    case LOGITS_PLATEAU:
        return i % 1000 == special % 1000 ? 3.0 + test_random_normal(random) : 1.25;
    case LOGITS_SIGNED_ZEROS:
        return test_random_below(random, 3) == 0 ? -1.0 - 3 * test_random_uniform(random)
               : test_random_below(random, 2)    ? 0.0
                                                 : -0.0;
    case LOGITS_EXTREMES:
        return extreme(random);
    case LOGITS_MOSTLY_BANNED:
        return i != special && test_random_below(random, 40) ? -HUGE_VAL
                                                             : 2 * test_random_normal(random);
    default:
        return (double)test_random_below(random, 257) / 8 - 16;
    }
}

void logit_fill(logit_kind kind, uint64_t seed, uint32_t n, float *x)
{
    if ((size_t)kind < TEST_VECTOR_KINDS) {
        test_vector_fill((test_vector_kind)kind, seed, n, x);
        return;
    }
    test_random random = test_random_make(seed);
    uint32_t special = (uint32_t)test_random_below(&random, n);
    for (uint32_t i = 0; i < n; i++)
        x[i] = (float)value(kind, &random, i, n, special);
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Nearest half, finite values clamped to the largest finite one; sign, exponent, fraction as
 * binary16 defines them. */
static uint16_t half_of(float x)
{
    uint16_t sign = (uint16_t)(signbit(x) ? 0x8000 : 0);
    if (isnan(x))
        return sign | 0x7E00;
    if (isinf(x))
        return sign | 0x7C00;
    double magnitude = fmin(fabs((double)x), 65504.0);
    if (magnitude < 0x1p-14)
        return (uint16_t)(sign + (uint16_t)nearbyint(magnitude * 0x1p24));
    int exponent;
    double fraction = frexp(magnitude, &exponent);
    return (uint16_t)(sign + (uint16_t)((exponent + 14) << 10) +
                      (uint16_t)nearbyint((fraction - 0.5) * 0x1p11));
}

static float float_of_half(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double magnitude = exponent == 0    ? ldexp(fraction, -24)
                       : exponent == 31 ? (fraction ? (double)NAN : HUGE_VAL)
                                        : ldexp(1024 + fraction, exponent - 25);
    return (float)(half & 0x8000 ? -magnitude : magnitude);
}

static uint16_t bfloat_of(float x)
{
    if (isnan(x))
        return 0x7FC0;
    uint32_t bits = bits_of(x);
    uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
    if ((rounded & 0x7F800000) == 0x7F800000 && !isinf(x))
        rounded = bits;
    return (uint16_t)(rounded >> 16);
}

static float float_of_bfloat(uint16_t bfloat)
{
    uint32_t bits = (uint32_t)bfloat << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void logit_row_set(logit_row *row, uint32_t token, float value)
{
    unsigned char *at = (unsigned char *)(uintptr_t)row->logits.data;
    if (row->logits.dtype == PLUCK_F32) {
        memcpy(at + token * sizeof value, &value, sizeof value);
        row->exact[token] = value;
        return;
    }
    bool half = row->logits.dtype == PLUCK_F16;
    uint16_t stored = half ? half_of(value) : bfloat_of(value);
    memcpy(at + token * sizeof stored, &stored, sizeof stored);
    row->exact[token] = half ? float_of_half(stored) : float_of_bfloat(stored);
}

logit_row logit_row_make(const float *x, uint32_t n, pluck_dtype dtype, size_t skew)
{
    size_t size_bytes = n * pluck_dtype_size_bytes(dtype);
    logit_row row = {.memory = guard_buffer_create(size_bytes + skew),
                     .exact = malloc(n * sizeof *row.exact)};
    if (!row.exact)
        abort();
    row.logits = (pluck_logits){guard_buffer_tail(&row.memory, size_bytes + skew), dtype, n};
    for (uint32_t i = 0; i < n; i++)
        logit_row_set(&row, i, x[i]);
    return row;
}

void logit_row_destroy(logit_row *row)
{
    guard_buffer_destroy(&row->memory);
    free(row->exact);
    row->exact = NULL;
}
