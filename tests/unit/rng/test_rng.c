/*
 * Why: a draw is replayed from (seed, stream, position) by other programs, on other machines and in
 * NumPy, so every word must be exactly the published one, a jump must land where single steps do,
 * and integer ranges must not favour any value. Uniformity over seeds, streams and positions is in
 * test_rng_uniformity.c, the comparison with NumPy in test_rng_numpy.py.
 *
 * Built twice: as the library is, and with the parts that standard C alone offers (PLK_NO_INT128,
 * PLK_NO_GETENTROPY).
 */
#include "rng/pcg64_step.h"
#include "support/random.h"

#include <pluck/rng.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define assert_u64_equal(a, b) assert_true((uint64_t)(a) == (uint64_t)(b))

static void assert_same(const pluck_pcg64 *a, const pluck_pcg64 *b, const char *what, uint64_t seed)
{
    if (memcmp(a, b, sizeof *a) != 0)
        fail_msg("%s (seed %llu): state %016llx%016llx, expected %016llx%016llx", what,
                 (unsigned long long)seed, (unsigned long long)a->state_hi,
                 (unsigned long long)a->state_lo, (unsigned long long)b->state_hi,
                 (unsigned long long)b->state_lo);
}

static void test_full_product_of_halves_equals_native(void **state)
{
    (void)state;
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     UINT64_C(0xFFFFFFFF),
                                     UINT64_C(0x100000000),
                                     UINT64_C(0x8000000000000000),
                                     UINT64_MAX,
                                     UINT64_C(0xFFFFFFFF00000000),
                                     UINT64_MAX - 1};
    size_t n_edges = sizeof edges / sizeof edges[0];
    test_random random = test_random_make(1);
    for (size_t i = 0; i < 100000 + n_edges * n_edges; i++) {
        bool edge = i < n_edges * n_edges;
        uint64_t a = edge ? edges[i / n_edges] : test_random_bits(&random);
        uint64_t b = edge ? edges[i % n_edges] : test_random_bits(&random);
        plk_u128 halves = plk_mul_full_halves(a, b);
        plk_u128 native = plk_mul_full(a, b);
        assert_u64_equal(halves.hi, native.hi);
        assert_u64_equal(halves.lo, native.lo);
    }
    /* (2^64 - 1)^2 = 2^128 - 2^65 + 1: right even where both are the same code. */
    plk_u128 largest = plk_mul_full_halves(UINT64_MAX, UINT64_MAX);
    assert_u64_equal(largest.hi, UINT64_MAX - 1);
    assert_u64_equal(largest.lo, 1);
}

static void test_pcg32_gives_the_published_numbers(void **state)
{
    (void)state;
    static const uint32_t expected[] = {0xa15c02b7, 0x7b47f409, 0xba1d3330,
                                        0x83d2f293, 0xbfa4784b, 0xcbed606e};
    pluck_pcg32 rng;
    pluck_pcg32_init(&rng, 42, 54);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(pluck_pcg32_next(&rng), expected[i]);
}

static void test_pcg32_advance_equals_single_steps(void **state)
{
    (void)state;
    pluck_pcg32 stepped;
    pluck_pcg32_init(&stepped, 7, 11);
    pluck_pcg32 start = stepped;
    for (uint64_t n = 0; n < 2000; n++) {
        pluck_pcg32 jumped = start;
        pluck_pcg32_advance(&jumped, n);
        assert_u64_equal(jumped.state, stepped.state);
        pluck_pcg32_advance(&jumped, UINT64_MAX - n + 1);
        assert_u64_equal(jumped.state, start.state);
        (void)pluck_pcg32_next(&stepped);
    }
}

/* The reference values are NumPy's: PCG64 with the state and increment below; test_rng_numpy.py
 * compares many more where NumPy is installed. */
static void test_pcg64_gives_numpys_numbers(void **state)
{
    (void)state;
    static const uint64_t expected[] = {UINT64_C(0xA07D711D2EB89605), UINT64_C(0x64A4E03E9B5FA693),
                                        UINT64_C(0xA355944AB6BCA6A5), UINT64_C(0xE113C9500EB39563)};
    pluck_pcg64 rng = {UINT64_C(0x0123456789ABCDEF), UINT64_C(0xFEDCBA9876543210),
                       UINT64_C(0x0F1E2D3C4B5A6978), UINT64_C(0x8796A5B4C3D2E1F1)};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_u64_equal(pluck_pcg64_next(&rng), expected[i]);
}

static void test_pcg64_seeding_never_changes(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, stream, position, first;
    } cases[] = {
        {0, 0, 0, UINT64_C(0xCA4133420331B405)},
        {42, 0, 0, UINT64_C(0xC9FC62B912AAC891)},
        {42, 0, 1, UINT64_C(0x8A9C61F6A1CD8BE6)},
        {42, 1, 0, UINT64_C(0xDC733956743A0FA7)},
        {43, 0, 0, UINT64_C(0x3F2BFAB03DC98157)},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_C(0x4E487A8CA6943BDC)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, cases[i].seed, cases[i].stream, cases[i].position);
        assert_u64_equal(rng.inc_lo & 1, 1);
        assert_u64_equal(pluck_pcg64_next(&rng), cases[i].first);
    }
}

static void test_pcg64_advance_equals_single_steps(void **state)
{
    (void)state;
    pluck_pcg64 stepped;
    pluck_pcg64_seed(&stepped, 3, 5, 0);
    pluck_pcg64 start = stepped;
    for (uint64_t n = 0; n < 2000; n++) {
        pluck_pcg64 jumped = start;
        pluck_pcg64_advance(&jumped, 0, n);
        assert_same(&jumped, &stepped, "advance", n);
        (void)pluck_pcg64_next(&stepped);
    }
}

static void test_pcg64_advance_by_minus_one_undoes_a_step(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, seed, 1, 2);
        pluck_pcg64 before = rng;
        uint64_t word = pluck_pcg64_next(&rng);
        pluck_pcg64_advance(&rng, UINT64_MAX, UINT64_MAX);
        assert_same(&rng, &before, "advance(-1)", seed);
        assert_u64_equal(pluck_pcg64_next(&rng), word);
    }
}

static void test_pcg64_advances_add_up(void **state)
{
    (void)state;
    test_random random = test_random_make(2);
    for (uint64_t seed = 0; seed < 500; seed++) {
        plk_u128 a = {test_random_bits(&random), test_random_bits(&random)};
        plk_u128 b = {test_random_bits(&random), test_random_bits(&random)};
        plk_u128 sum = plk_add128(a, b);
        pluck_pcg64 twice, once;
        pluck_pcg64_seed(&twice, seed, 0, 0);
        once = twice;
        pluck_pcg64_advance(&twice, a.hi, a.lo);
        pluck_pcg64_advance(&twice, b.hi, b.lo);
        pluck_pcg64_advance(&once, sum.hi, sum.lo);
        assert_same(&once, &twice, "advance(a + b)", seed);
    }
}

/* Also checks the constants of one stride against the general jump, as n = 1 uses nothing else. */
static void test_a_position_is_stride_numbers_after_the_one_before(void **state)
{
    (void)state;
    static const uint64_t edges[] = {0, 1, 2, 3, 1000, UINT64_C(1) << 32, UINT64_MAX};
    test_random random = test_random_make(3);
    for (uint64_t i = 0; i < 500; i++) {
        uint64_t n = i < 7 ? edges[i] : test_random_bits(&random) >> (i % 64);
        uint64_t seed = test_random_bits(&random), stream = test_random_bits(&random);
        plk_u128 distance = plk_mul_full_halves(n, PLUCK_POSITION_STRIDE);
        pluck_pcg64 advanced, skipped, seeded;
        pluck_pcg64_seed(&advanced, seed, stream, 0);
        skipped = advanced;
        pluck_pcg64_advance(&advanced, distance.hi, distance.lo);
        pluck_pcg64_skip_positions(&skipped, n);
        pluck_pcg64_seed(&seeded, seed, stream, n);
        assert_same(&skipped, &advanced, "skip_positions", n);
        assert_same(&seeded, &advanced, "seed", n);
    }
}

static void test_skipping_one_by_one_equals_skipping_at_once(void **state)
{
    (void)state;
    pluck_pcg64 walked;
    pluck_pcg64_seed(&walked, 9, 9, 0);
    (void)pluck_pcg64_next(&walked); /* from inside a position, not from its start */
    pluck_pcg64 start = walked;
    for (uint64_t n = 0; n < 1000; n++) {
        pluck_pcg64 leapt = start;
        pluck_pcg64_skip_positions(&leapt, n);
        assert_same(&leapt, &walked, "skip_positions", n);
        pluck_pcg64_skip_positions(&walked, 1);
    }
}

/* The positions that a sampler can reach are p S .. p S + 2^32 - 1 for p < 2^64: no two of these
 * ranges meet, and the last one ends before the period 2^128 does. */
static void test_positions_are_disjoint_by_arithmetic(void **state)
{
    (void)state;
    uint64_t n_owned = UINT64_C(1) << 32;
    assert_true(PLUCK_POSITION_STRIDE > n_owned);
    assert_u64_equal(PLUCK_POSITION_STRIDE & 1, 1);
    plk_u128 last = plk_mul_full_halves(UINT64_MAX, PLUCK_POSITION_STRIDE);
    plk_u128 end = plk_add128(last, (plk_u128){0, n_owned});
    assert_true(end.hi > last.hi || (end.hi == last.hi && end.lo > last.lo));
}

/* Streams and seeds are not interchangeable, and neither is lost. */
static void test_seed_and_stream_have_different_roles(void **state)
{
    (void)state;
    for (uint64_t a = 0; a < 300; a++) {
        for (uint64_t b = 0; b < a; b++) {
            pluck_pcg64 x, y;
            pluck_pcg64_seed(&x, a, b, 0);
            pluck_pcg64_seed(&y, b, a, 0);
            assert_true(x.state_hi != y.state_hi && x.state_lo != y.state_lo);
            assert_true(x.inc_hi != y.inc_hi && x.inc_lo != y.inc_lo);
        }
    }
}

static void test_uniform_is_the_upper_53_bits_below_one(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100000; seed++) {
        pluck_pcg64 a, b;
        pluck_pcg64_seed(&a, seed, 0, 0);
        b = a;
        double u = pluck_pcg64_uniform(&a);
        assert_true(u >= 0.0 && u < 1.0);
        assert_u64_equal((uint64_t)(u * 0x1p53), pluck_pcg64_next(&b) >> 11);
    }
    /* A state one step before 0:0 gives the least word, one before 0:(2^64 - 1) the greatest, as
     * the upper half 0 asks for no rotation. */
    pluck_pcg64 least = {0, 0, 0, 1};
    pluck_pcg64_advance(&least, UINT64_MAX, UINT64_MAX);
    assert_true(pluck_pcg64_uniform(&least) == 0.0);
    pluck_pcg64 greatest = {0, UINT64_MAX, 0, 1};
    pluck_pcg64_advance(&greatest, UINT64_MAX, UINT64_MAX);
    assert_true(pluck_pcg64_uniform(&greatest) == 1.0 - 0x1p-53);
}

static const uint64_t edge_bounds[] = {
    1,
    2,
    3,
    10,
    UINT64_C(0xFFFFFFFF),
    UINT64_C(0x100000000),
    UINT64_C(0x8000000000000000),
    UINT64_C(0x8000000000000001),
    UINT64_C(0xC000000000000000),
    UINT64_MAX,
};

/* Word w belongs to result floor(w bound / 2^64), and is passed over if w bound mod 2^64 is below
 * 2^64 mod bound; then exactly floor(2^64 / bound) words remain for each result. Written here word
 * by word, with the remainder always computed. */
static void test_pcg64_below_takes_the_unbiased_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edge_bounds / sizeof edge_bounds[0]; i++) {
        uint64_t bound = edge_bounds[i];
        uint64_t n_surplus = (UINT64_MAX % bound + 1) % bound;
        pluck_pcg64 tested, words;
        pluck_pcg64_seed(&tested, bound, 0, 0);
        words = tested;
        for (int draw = 0; draw < 20000; draw++) {
            plk_u128 product;
            do
                product = plk_mul_full_halves(pluck_pcg64_next(&words), bound);
            while (product.lo < n_surplus);
            uint64_t result = pluck_pcg64_below(&tested, bound);
            assert_true(result < bound);
            assert_u64_equal(result, product.hi);
        }
        assert_same(&tested, &words, "numbers used by below", bound);
    }
}

static void test_pcg32_below_takes_the_unbiased_words(void **state)
{
    (void)state;
    static const uint32_t bounds[] = {1, 2, 3, 10, 0x80000000, 0x80000001, 0xC0000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        uint32_t bound = bounds[i];
        uint32_t n_surplus = (UINT32_MAX % bound + 1) % bound;
        pluck_pcg32 tested, words;
        pluck_pcg32_init(&tested, bound, 0);
        words = tested;
        for (int draw = 0; draw < 20000; draw++) {
            uint64_t product;
            do
                product = (uint64_t)pluck_pcg32_next(&words) * bound;
            while ((uint32_t)product < n_surplus);
            assert_int_equal(pluck_pcg32_below(&tested, bound), product >> 32);
        }
        assert_u64_equal(tested.state, words.state);
    }
}

/* Without rejection, a third of the results of a bound of three quarters of the range would come
 * up twice as often: those that are 0 mod 3 for a scaled product, the lowest third for a modulus.
 * Each count has mean n / 3 and standard deviation sqrt(2 n) / 3: six of them fail once in 5e8. */
static void test_below_three_quarters_of_the_range_is_unbiased(void **state)
{
    (void)state;
    int n = 900000;
    double six_deviations = 2683.3; /* 6 sqrt(2 * 900000) / 3 */
    int by_residue[3] = {0}, by_third[3] = {0}, by_residue_32[3] = {0}, of_three[3] = {0};
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 4, 0, 0);
    pluck_pcg32 rng_32;
    pluck_pcg32_init(&rng_32, 4, 0);
    for (int i = 0; i < n; i++) {
        uint64_t result = pluck_pcg64_below(&rng, UINT64_C(3) << 62);
        by_residue[result % 3]++;
        by_third[result >> 62]++;
        by_residue_32[pluck_pcg32_below(&rng_32, UINT32_C(3) << 30) % 3]++;
        of_three[pluck_pcg64_below(&rng, 3)]++;
    }
    for (int i = 0; i < 3; i++) {
        assert_true(by_residue[i] > n / 3 - six_deviations);
        assert_true(by_third[i] > n / 3 - six_deviations);
        assert_true(by_residue_32[i] > n / 3 - six_deviations);
        assert_true(of_three[i] > n / 3 - six_deviations);
    }
}

static void test_two_random_seeds_differ(void **state)
{
    (void)state;
    uint64_t a = 0, b = 0;
    assert_int_equal(pluck_random_seed(&a, NULL), PLUCK_OK);
    assert_int_equal(pluck_random_seed(&b, NULL), PLUCK_OK);
    assert_true(a != b);
}

static void test_random_seed_without_a_place_is_invalid(void **state)
{
    (void)state;
    pluck_error err = {0};
    assert_int_equal(pluck_random_seed(NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(err.status, PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "seed is NULL"));
    assert_int_equal(pluck_random_seed(NULL, NULL), PLUCK_ERR_INVALID);
}

/* With no file descriptor to be had, /dev/urandom cannot be opened; the system's own function needs
 * none. */
static void test_random_seed_says_when_the_system_refuses(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    uint64_t seed = 12345;
    pluck_error err = {0};
    pluck_status status = pluck_random_seed(&seed, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
#ifdef PLK_NO_GETENTROPY
    assert_int_equal(status, PLUCK_ERR_IO);
    assert_int_equal(err.status, PLUCK_ERR_IO);
    assert_non_null(strstr(err.message, "random seed: the system gives no random bytes ("));
    assert_u64_equal(seed, 12345);
#else
    assert_int_equal(status, PLUCK_OK);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_product_of_halves_equals_native),
        cmocka_unit_test(test_pcg32_gives_the_published_numbers),
        cmocka_unit_test(test_pcg32_advance_equals_single_steps),
        cmocka_unit_test(test_pcg64_gives_numpys_numbers),
        cmocka_unit_test(test_pcg64_seeding_never_changes),
        cmocka_unit_test(test_pcg64_advance_equals_single_steps),
        cmocka_unit_test(test_pcg64_advance_by_minus_one_undoes_a_step),
        cmocka_unit_test(test_pcg64_advances_add_up),
        cmocka_unit_test(test_a_position_is_stride_numbers_after_the_one_before),
        cmocka_unit_test(test_skipping_one_by_one_equals_skipping_at_once),
        cmocka_unit_test(test_positions_are_disjoint_by_arithmetic),
        cmocka_unit_test(test_seed_and_stream_have_different_roles),
        cmocka_unit_test(test_uniform_is_the_upper_53_bits_below_one),
        cmocka_unit_test(test_pcg64_below_takes_the_unbiased_words),
        cmocka_unit_test(test_pcg32_below_takes_the_unbiased_words),
        cmocka_unit_test(test_below_three_quarters_of_the_range_is_unbiased),
        cmocka_unit_test(test_two_random_seeds_differ),
        cmocka_unit_test(test_random_seed_without_a_place_is_invalid),
        cmocka_unit_test(test_random_seed_says_when_the_system_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
