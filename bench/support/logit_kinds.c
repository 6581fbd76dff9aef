/*
 * Random numbers are SplitMix64 (Steele, Lea and Flood 2014). A normal deviate is the sum of twelve
 * 16-bit numbers minus its mean, in units of the standard deviation (Irwin-Hall): integers until
 * the last step, hence the same bits everywhere, and good to 4 standard deviations, which is what a
 * bulk of logits needs. Large logits come from a head that follows Zipf's law instead.
 *
 * The kind "peaked" models the next-token distribution of a language model: a bulk of standard
 * deviation 2 that holds 2 % of the mass, and 1000 tokens at random places whose probability falls
 * like rank^-1.2, with noise. Its entropy is between 2 and 5 nats for every vocabulary used here.
 */
#include "support/logit_kinds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 1000 };

static uint64_t next_word(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static float normal(uint64_t *state)
{
    int32_t sum = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t word = next_word(state);
        sum += (int32_t)(word & 0xffff) + (int32_t)(word >> 16 & 0xffff);
        sum += (int32_t)(word >> 32 & 0xffff) + (int32_t)(word >> 48);
    }
    /* The mean of twelve is 6 * 65535; the standard deviation is 65536. */
    return (float)(sum - 6 * 65535) * 0x1p-16f;
}

static size_t below(uint64_t *state, size_t bound)
{
    return (size_t)((next_word(state) >> 32) * bound >> 32);
}

static void fill_bulk(float *x, size_t n, float sigma, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        x[i] = sigma * normal(state);
}

/* The logit of the head's first token. The bulk's mass is n exp(2^2 / 2); the head's is about
 * exp(top) * 4, and 49 times the bulk's. */
static double head_top(size_t n)
{
    return log((double)n) + 2.0 + log(49.0 / 4.0);
}

static void fill_peaked(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    (void)dtype;
    uint64_t state = seed;
    fill_bulk(x, n, 2.0f, &state);
    double top = head_top(n);
    for (size_t rank = 1; rank <= HEAD && rank <= n; rank++) {
        float noise = 0.3f * normal(&state);
        x[below(&state, n)] = (float)(top - 1.2 * log((double)rank)) + noise;
    }
}

/* As peaked, but frequent tokens have low ids, as in vocabularies made from a corpus: the bulk
 * falls with the id, and half of the head lies within the first hundredth. */
static void fill_ordered(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    (void)dtype;
    uint64_t state = seed;
    fill_bulk(x, n, 1.5f, &state);
    for (size_t i = 0; i < n; i++)
        x[i] += (float)(4.0 - 1.0 * log((double)(i + 20) / 20.0));
    double top = head_top(n);
    for (size_t rank = 1; rank <= HEAD && rank <= n; rank++) {
        float noise = 0.3f * normal(&state);
        size_t range = rank % 2 ? n / 100 + 1 : n;
        x[below(&state, range)] = (float)(top - 1.2 * log((double)rank)) + noise;
    }
}

static void fill_flat(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    (void)dtype;
    uint64_t state = seed;
    fill_bulk(x, n, 0.1f, &state);
}

static void fill_equal(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    (void)seed, (void)dtype;
    for (size_t i = 0; i < n; i++)
        x[i] = 1.0f;
}

static void fill_spike(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    (void)dtype;
    uint64_t state = seed;
    fill_bulk(x, n, 1.0f, &state);
    x[below(&state, n)] = 60.0f;
}

static void fill_block_spikes(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    (void)dtype;
    uint64_t state = seed;
    fill_bulk(x, n, 1.0f, &state);
    for (size_t block = 0; block < n; block += 64)
        x[block + below(&state, n - block < 64 ? n - block : 64)] = 14.0f + normal(&state);
}

static void fill_ties(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    fill_peaked(x, n, seed, dtype);
    size_t n_equal = n < 100000 ? n - n / 8 : 100000;
    float value = (float)head_top(n) - 8.0f;
    for (size_t i = 0; i < n_equal; i++)
        x[i] = value;
}

static int by_float(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void fill_ascending(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    fill_peaked(x, n, seed, dtype);
    qsort(x, n, sizeof *x, by_float);
}

static void fill_descending(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    fill_ascending(x, n, seed, dtype);
    for (size_t i = 0; i < n / 2; i++) {
        float low = x[i];
        x[i] = x[n - 1 - i];
        x[n - 1 - i] = low;
    }
}

static void fill_crowded(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    (void)dtype;
    uint64_t state = seed;
    fill_bulk(x, n, 1.0f, &state);
    size_t first = below(&state, n / 64 + 1) * 64;
    for (size_t i = first; i < n && i < first + 64; i++)
        x[i] = 14.0f + normal(&state);
}

/* Multiples of the smallest positive value of the type. */
static void fill_denormals(float *x, size_t n, uint64_t seed, pluck_dtype dtype)
{
    static const float smallest[] = {
        [PLUCK_F32] = 0x1p-149f, [PLUCK_F16] = 0x1p-24f, [PLUCK_BF16] = 0x1p-133f};
    uint64_t state = seed;
    for (size_t i = 0; i < n; i++)
        x[i] = ((float)below(&state, 127) - 63.0f) * smallest[dtype];
}

static const bench_logit_kind kinds[] = {
    {"peaked", "a language model's: entropy 2 to 5 nats, large logits anywhere", fill_peaked},
    {"ordered", "the same, frequent tokens first", fill_ordered},
    {"flat", "normal, standard deviation 0.1", fill_flat},
    {"equal", "all the same", fill_equal},
    {"spike", "one far above the rest", fill_spike},
    {"block-spikes", "one large value in every block of 64", fill_block_spikes},
    {"crowded", "all large values in one block of 64", fill_crowded},
    {"ties", "100000 equal values at the boundary of the nucleus", fill_ties},
    {"ascending", "peaked, in ascending order", fill_ascending},
    {"descending", "peaked, in descending order", fill_descending},
    {"denormals", "multiples of the smallest positive value", fill_denormals},
};

size_t bench_logit_kind_count(void)
{
    return sizeof kinds / sizeof *kinds;
}

const bench_logit_kind *bench_logit_kind_at(size_t index)
{
    return index < bench_logit_kind_count() ? &kinds[index] : NULL;
}

const bench_logit_kind *bench_logit_kind_find(const char *name)
{
    for (size_t i = 0; i < bench_logit_kind_count(); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

double bench_entropy(const float *x, size_t n, size_t *nucleus)
{
    double sum = 0, dot = 0;
    float top = -INFINITY;
    for (size_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)top, e = exp(d);
        sum += e;
        dot += e > 0 ? e * d : 0;
    }
    *nucleus = 0;
    float *sorted = malloc(n * sizeof *sorted);
    if (sorted) {
        memcpy(sorted, x, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_float);
        double mass = 0;
        while (*nucleus < n && mass < 0.95 * sum)
            mass += exp((double)sorted[n - ++*nucleus] - (double)top);
        free(sorted);
    }
    return log(sum) - dot / sum;
}
