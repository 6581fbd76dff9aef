/*
 * Why: a sampler takes one uniform from the start of each (seed, stream, position), so that what
 * must look random is not the sequence of one generator but the sequence of first numbers over
 * consecutive seeds, streams and positions. A generator seeded by adding a step to its state gives
 * nearly the same quantile for every token, though each of its sequences is beyond reproach.
 *
 * Over 10^6 first words along each axis: chi-square in 1024 bins, of the upper and of the lower
 * bits; correlation at lags 1 to 4; chi-square of pairs of neighbours in 64 x 64 bins. Every
 * statistic is brought to a standard normal and may reach 6, which a correct generator exceeds
 * with probability 2e-9; there are 72 of them, so all hold with probability 1 - 1.5e-7. Seeds are
 * fixed: a run repeats exactly.
 */
#include <pluck/rng.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_WORDS = 1000000, N_BINS = 1024, N_SIDE = 64 };

static const double LARGEST_NORMAL = 6.0;

/* The i-th word of the sequence under test; base tells sequences of one axis apart. */
typedef uint64_t word_at(uint64_t base, uint64_t i);

static uint64_t first_word(uint64_t seed, uint64_t stream, uint64_t position)
{
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, seed, stream, position);
    return pluck_pcg64_next(&rng);
}

static uint64_t word_of_seed(uint64_t base, uint64_t i)
{
    return first_word(base + i, base, 0);
}

static uint64_t word_of_stream(uint64_t base, uint64_t i)
{
    return first_word(base, base + i, 0);
}

static uint64_t word_of_position(uint64_t base, uint64_t i)
{
    return first_word(base, base, base + i);
}

/* The mistake that this test is about: the step added to the state of an otherwise good pcg64. */
static uint64_t word_of_added_step(uint64_t base, uint64_t i)
{
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, base, 0, 0);
    rng.state_lo += i;
    return pluck_pcg64_next(&rng);
}

/* Chi-square with n - 1 degrees of freedom as a standard normal (E. B. Wilson, M. M. Hilferty, "The
 * distribution of chi-square", PNAS 17, 1931). */
static double normal_of_counts(const uint32_t *counts, size_t n, double expected)
{
    double chi_square = 0;
    for (size_t i = 0; i < n; i++) {
        double excess = counts[i] - expected;
        chi_square += excess * excess / expected;
    }
    double freedom = (double)(n - 1);
    double variance = 2.0 / (9.0 * freedom);
    return (cbrt(chi_square / freedom) - (1.0 - variance)) / sqrt(variance);
}

static double normal_of_bins(const uint64_t *words, unsigned shift)
{
    uint32_t counts[N_BINS] = {0};
    for (size_t i = 0; i < N_WORDS; i++)
        counts[(words[i] >> shift) % N_BINS]++;
    return normal_of_counts(counts, N_BINS, (double)N_WORDS / N_BINS);
}

/* Pairs do not overlap, so that their counts are independent. */
static double normal_of_pairs(const uint64_t *words)
{
    uint32_t counts[N_SIDE * N_SIDE] = {0};
    for (size_t i = 0; i + 1 < N_WORDS; i += 2)
        counts[(words[i] >> 58) * N_SIDE + (words[i + 1] >> 58)]++;
    return normal_of_counts(counts, N_SIDE * N_SIDE, 0.5 * N_WORDS / (N_SIDE * N_SIDE));
}

/* The products of centred uniforms have mean 0 and variance 1/144, and are uncorrelated. */
static double normal_of_lag(const uint64_t *words, size_t lag)
{
    double sum = 0;
    for (size_t i = 0; i + lag < N_WORDS; i++) {
        double a = (double)(words[i] >> 11) * 0x1p-53 - 0.5;
        double b = (double)(words[i + lag] >> 11) * 0x1p-53 - 0.5;
        sum += a * b;
    }
    return 12.0 * sum / sqrt((double)(N_WORDS - lag));
}

/* The largest of the eight statistics; each one is printed if it is too large. */
static double largest_normal(word_at *word, uint64_t base, const char *axis)
{
    uint64_t *words = malloc(N_WORDS * sizeof *words);
    assert_non_null(words);
    for (uint64_t i = 0; i < N_WORDS; i++)
        words[i] = word(base, i);
    const struct {
        const char *name;
        double normal;
    } statistics[] = {
        {"upper bits", normal_of_bins(words, 54)}, {"middle bits", normal_of_bins(words, 27)},
        {"lower bits", normal_of_bins(words, 0)},  {"pairs", normal_of_pairs(words)},
        {"lag 1", normal_of_lag(words, 1)},        {"lag 2", normal_of_lag(words, 2)},
        {"lag 3", normal_of_lag(words, 3)},        {"lag 4", normal_of_lag(words, 4)},
    };
    free(words);
    double largest = 0;
    for (size_t i = 0; i < sizeof statistics / sizeof statistics[0]; i++) {
        double size = fabs(statistics[i].normal);
        if (!(size <= LARGEST_NORMAL))
            print_message("%s from %llu on: %s: %g standard deviations\n", axis,
                          (unsigned long long)base, statistics[i].name, statistics[i].normal);
        if (!(size <= largest))
            largest = size;
    }
    return largest;
}

static const uint64_t bases[] = {0, UINT64_C(1) << 32, UINT64_C(0) - 500000};

static void assert_uniform(word_at *word, const char *axis)
{
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
        assert_true(largest_normal(word, bases[i], axis) <= LARGEST_NORMAL);
}

static void test_first_words_of_consecutive_seeds_are_uniform(void **state)
{
    (void)state;
    assert_uniform(word_of_seed, "seeds");
}

static void test_first_words_of_consecutive_streams_are_uniform(void **state)
{
    (void)state;
    assert_uniform(word_of_stream, "streams");
}

static void test_first_words_of_consecutive_positions_are_uniform(void **state)
{
    (void)state;
    assert_uniform(word_of_position, "positions");
}

/* Without this the statistics might be blind. */
static void test_steps_added_to_the_state_are_found_out(void **state)
{
    (void)state;
    assert_true(largest_normal(word_of_added_step, 0, "planted mistake") > LARGEST_NORMAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_words_of_consecutive_seeds_are_uniform),
        cmocka_unit_test(test_first_words_of_consecutive_streams_are_uniform),
        cmocka_unit_test(test_first_words_of_consecutive_positions_are_uniform),
        cmocka_unit_test(test_steps_added_to_the_state_are_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
