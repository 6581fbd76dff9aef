/*
 * Why: that stored distributions are what their header promises. The integers of an alias table add
 * up exactly and are as near to the weights as stated; trees have the sums, depths and draws that
 * they must; draws in groups are draws one by one; what changes in a sum tree leaves no trace; and
 * every mistake is refused. That entries come with their probabilities is in test_weighted_draws.c.
 */
#include "support/cases.h"
#include "support/fp.h"
#include "support/random.h"
#include "support/weight_cases.h"
#include "weighted/kinds.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_CASES = 300, MAX_N = 2000 };

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

typedef struct sample_weights {
    weight_kind kind;
    uint32_t n;
    double values[MAX_N];
} sample_weights;

static void make_weights(sample_weights *w, uint64_t seed)
{
    test_random random = test_random_make(seed);
    w->kind = (weight_kind)(seed % WEIGHTS_KINDS);
    w->n = 1 + (uint32_t)test_random_below(&random, seed % 4 ? MAX_N : 20);
    weights_fill(w->kind, seed, w->n, w->values);
}

static pluck_weights as_doubles(const sample_weights *w)
{
    return (pluck_weights){w->values, PLUCK_F64, w->n};
}

static long double exact_total(const sample_weights *w)
{
    long double total = 0;
    for (uint32_t i = 0; i < w->n; i++)
        total += (long double)w->values[i];
    return total;
}

/* Units of each entry from the cells: thresholds, and what lies above those that name it. */
static void units_of_cells(const pluck_weighted *alias, uint64_t *units)
{
    memset(units, 0, alias->n * sizeof *units);
    for (uint32_t i = 0; i < alias->n; i++) {
        units[i] += alias->cells[i].threshold;
        units[alias->cells[i].alias] += (UINT64_C(1) << 32) - alias->cells[i].threshold;
    }
}

static bool check_units(const sample_weights *w, const uint64_t *units)
{
    long double all = (long double)w->n * 0x1p32L, total = exact_total(w);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        long double share = (long double)w->values[i] / total;
        long double error = fabsl((long double)units[i] / all - share);
        sum += units[i];
        if (w->values[i] == 0 && units[i] != 0)
            return test_case_failed("%s: entry %u of weight 0 has %llu units",
                                    weight_kind_name(w->kind), i, (unsigned long long)units[i]);
        if (error > 1 / all + 0x1p-51L)
            return test_case_failed("%s: entry %u of %u is off by %Lg", weight_kind_name(w->kind),
                                    i, w->n, error);
    }
    return sum == (uint64_t)w->n << 32 || test_case_failed("they do not add up");
}

static bool alias_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    static sample_weights w;
    static uint64_t units[MAX_N], from_cells[MAX_N];
    static double probs[MAX_N];
    make_weights(&w, seed);
    pluck_weighted *alias = NULL;
    double total, prob;
    uint32_t n_positive;
    assert_ok(plk_weights_check(as_doubles(&w), &total, &n_positive, &err));
    assert_ok(pluck_weighted_create(&alias, PLUCK_WEIGHTED_ALIAS, as_doubles(&w), NULL, &err));
    plk_alias_units(as_doubles(&w), total, units);
    units_of_cells(alias, from_cells);
    bool good = check_units(&w, units);
    if (good && memcmp(units, from_cells, w.n * sizeof *units) != 0)
        good = test_case_failed("%s: the cells hold other units", weight_kind_name(w.kind));
    assert_ok(pluck_weighted_probabilities(alias, probs, &err));
    for (uint32_t i = 0; i < w.n && good; i += 1 + w.n / 7) {
        assert_ok(pluck_weighted_probability(alias, i, &prob, &err));
        if (prob != (double)units[i] * 0x1p-32 / (double)w.n || fabs(prob - probs[i]) > 0x1p-52)
            good = test_case_failed("probability of %u is %a or %a", i, prob, probs[i]);
    }
    pluck_weighted_destroy(&alias);
    return good;
}

static void alias_cells_hold_the_weights_as_nearly_as_stated(void **state)
{
    (void)state;
    test_cases_run_once("alias_cells_hold_the_weights_as_nearly_as_stated", 0, N_CASES, alias_case,
                        NULL);
}

/* One of each kind. */
typedef struct three {
    pluck_weighted *kinds[3];
} three;

static three make_three(pluck_weights weights)
{
    three t = {{NULL, NULL, NULL}};
    for (int kind = 0; kind < 3; kind++)
        assert_ok(
            pluck_weighted_create(&t.kinds[kind], (pluck_weighted_kind)kind, weights, NULL, &err));
    return t;
}

static void destroy_three(three *t)
{
    for (int kind = 0; kind < 3; kind++)
        pluck_weighted_destroy(&t->kinds[kind]);
}

static double probability(const three *t, int which, uint32_t index)
{
    double p = -1;
    assert_int_equal(pluck_weighted_probability(t->kinds[which], index, &p, NULL), PLUCK_OK);
    return p;
}

static void draw_many(const three *t, int which, pluck_pcg64 *rng, size_t n, uint32_t *out)
{
    assert_ok(pluck_weighted_draw(t->kinds[which], rng, n, out, &err));
}

static void draw_one(const three *t, int which, pluck_pcg64 *rng, uint32_t *out)
{
    draw_many(t, which, rng, 1, out);
}

static bool draws_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    enum { N_DRAWS = 200 };
    static sample_weights w;
    uint32_t many[N_DRAWS], one;
    make_weights(&w, seed);
    three t = make_three(as_doubles(&w));
    bool good = true;
    for (int which = 0; which < 3 && good; which++) {
        pluck_pcg64 rng, rng_many;
        pluck_pcg64_seed(&rng, seed, 0, 0);
        rng_many = rng;
        size_t n = 1 + seed % N_DRAWS;
        draw_many(&t, which, &rng_many, n, many);
        for (size_t i = 0; i < n && good; i++) {
            draw_one(&t, which, &rng, &one);
            if (one != many[i] || one >= w.n || !(w.values[one] > 0))
                good = test_case_failed("%s, kind %d: draw %zu is %u or %u of %u",
                                        weight_kind_name(w.kind), which, i, one, many[i], w.n);
        }
        if (good && memcmp(&rng, &rng_many, sizeof rng) != 0)
            good = test_case_failed("kind %d: the numbers used differ", which);
    }
    destroy_three(&t);
    return good;
}

static void draws_of_many_are_draws_one_by_one_and_positive(void **state)
{
    (void)state;
    test_cases_run_once("draws_of_many_are_draws_one_by_one_and_positive", 0, N_CASES, draws_case,
                        NULL);
}

/* The least and the largest number that a draw can take: there rounding could leave the range. */
static void the_ends_of_the_range_are_entries_of_positive_weight(void **state)
{
    (void)state;
    static sample_weights w;
    for (uint64_t seed = 0; seed < 100; seed++) {
        make_weights(&w, seed);
        three t = make_three(as_doubles(&w));
        for (int which = 0; which < 3; which++) {
            for (int end = 0; end < 2; end++) {
                /* From state 0 the next state is the increment: equal halves make 64 zeros, an
                 * upper half of 0 and a lower one of ones makes 64 ones. */
                pluck_pcg64 rng = {0, 0, end == 0 ? UINT64_MAX : 0, UINT64_MAX};
                uint32_t out = UINT32_MAX;
                draw_one(&t, which, &rng, &out);
                assert_true(out < w.n && w.values[out] > 0);
            }
        }
        destroy_three(&t);
    }
}

/* Tables beyond 2^14 entries are drawn from ahead of the cells: the same draws as one by one, the
 * same numbers used, for any number of draws around the distance that it runs ahead. */
static void draws_of_many_from_large_tables_are_draws_one_by_one(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1 << 14, (1 << 14) + 1, 20000, 100003};
    static const size_t n_draws[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 1000};
    static uint32_t many[1000], one;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        double *weights = malloc(sizes[s] * sizeof *weights);
        assert_non_null(weights);
        weights_fill(WEIGHTS_ZIPF, s, sizes[s], weights);
        three t = make_three((pluck_weights){weights, PLUCK_F64, sizes[s]});
        for (size_t k = 0; k < sizeof n_draws / sizeof *n_draws; k++) {
            for (int which = 0; which < 3; which++) {
                pluck_pcg64 rng, rng_many;
                pluck_pcg64_seed(&rng, 9, s, k);
                rng_many = rng;
                draw_many(&t, which, &rng_many, n_draws[k], many);
                for (size_t i = 0; i < n_draws[k]; i++) {
                    draw_one(&t, which, &rng, &one);
                    assert_int_equal(one, many[i]);
                }
                assert_memory_equal(&rng, &rng_many, sizeof rng);
            }
        }
        destroy_three(&t);
        free(weights);
    }
}

/* Small integers times any power of two that a double holds exactly: the same draws and the same
 * probabilities, down to multiples of the smallest subnormal number. */
static void draws_depend_on_the_ratios_of_weights_alone(void **state)
{
    (void)state;
    enum { N = 21, N_DRAWS = 4000 };
    static const int exponents[] = {-1074, -1070, -1040, -1022, -1000, -961, -960, -900, 0, 900};
    static uint32_t expected[3][N_DRAWS], drawn[N_DRAWS];
    double expected_probs[3][N];
    for (size_t e = sizeof exponents / sizeof *exponents; e-- > 0;) {
        double weights[N];
        for (int i = 0; i < N; i++)
            weights[i] = ldexp(1 + i * 7 % 5, exponents[e]) * (i % 4 > 0);
        three t = make_three((pluck_weights){weights, PLUCK_F64, N});
        bool is_first = exponents[e] == 900;
        for (int which = 0; which < 3; which++) {
            pluck_pcg64 rng;
            pluck_pcg64_seed(&rng, 5, (uint64_t)which, 0);
            draw_many(&t, which, &rng, N_DRAWS, is_first ? expected[which] : drawn);
            if (!is_first)
                assert_memory_equal(expected[which], drawn, sizeof drawn);
            for (uint32_t i = 0; i < N; i++) {
                double p = probability(&t, which, i);
                if (is_first)
                    expected_probs[which][i] = p;
                assert_true(p == expected_probs[which][i]);
            }
        }
        destroy_three(&t);
    }
}

/* The weight over the sum of all, worked out by hand: 1/8, 0, 5/8, 2/8. */
static void probabilities_are_shares_of_the_sum(void **state)
{
    (void)state;
    static const double expected[4] = {0.125, 0, 0.625, 0.25};
    for (int e = -1074; e <= 1000; e += 61) {
        const double weights[4] = {ldexp(1, e), 0, ldexp(5, e), ldexp(2, e)};
        three t = make_three((pluck_weights){weights, PLUCK_F64, 4});
        for (int which = 0; which < 3; which++) {
            double all[4];
            assert_ok(pluck_weighted_probabilities(t.kinds[which], all, &err));
            for (uint32_t i = 0; i < 4; i++)
                assert_true(probability(&t, which, i) == expected[i] && all[i] == expected[i]);
            assert_true(pluck_weighted_total(t.kinds[which]) == (which > 0 ? ldexp(8, e) : 1));
        }
        assert_int_equal(pluck_weighted_set(t.kinds[1], 1, ldexp(8, e), NULL), PLUCK_OK);
        assert_true(probability(&t, 1, 1) == 0.5 && probability(&t, 1, 2) == 0.3125);
        destroy_three(&t);
    }
}

static void floats_and_doubles_of_any_alignment_give_the_same(void **state)
{
    (void)state;
    enum { N = 77 };
    float floats[N];
    double doubles[N];
    unsigned char bytes[N * sizeof(double) + 3];
    test_random random = test_random_make(5);
    for (int i = 0; i < N; i++) {
        floats[i] = (float)test_random_uniform(&random);
        doubles[i] = (double)floats[i];
    }
    memcpy(bytes + 3, doubles, sizeof doubles);
    three a = make_three((pluck_weights){floats, PLUCK_F32, N});
    three b = make_three((pluck_weights){bytes + 3, PLUCK_F64, N});
    assert_memory_equal(a.kinds[0]->cells, b.kinds[0]->cells, N * sizeof(plk_alias_cell));
    assert_true(pluck_weighted_total(a.kinds[1]) == pluck_weighted_total(b.kinds[1]));
    assert_memory_equal(a.kinds[2]->huffman.nodes, b.kinds[2]->huffman.nodes,
                        (N - 1) * sizeof(plk_huffman_node));
    destroy_three(&a);
    destroy_three(&b);
}

static void assert_trees_equal(const pluck_weighted *a, const pluck_weighted *b)
{
    size_t n = a->n;
    for (uint32_t level = 0; level <= a->sum_tree.n_levels; level++) {
        assert_memory_equal(a->sum_tree.levels[level], b->sum_tree.levels[level],
                            n * sizeof(double));
        n = (n + PLK_SUM_TREE_FAN - 1) / PLK_SUM_TREE_FAN;
    }
}

/* 10^5 changes over 300 orders of magnitude, in which rounding errors that stay would show. */
static void a_changed_sum_tree_is_the_tree_of_its_weights(void **state)
{
    (void)state;
    static sample_weights w;
    for (uint64_t seed = 0; seed < 20; seed++) {
        make_weights(&w, seed);
        pluck_weighted *tree = NULL, *fresh = NULL;
        assert_ok(
            pluck_weighted_create(&tree, PLUCK_WEIGHTED_SUM_TREE, as_doubles(&w), NULL, &err));
        test_random random = test_random_make(seed);
        for (int i = 0; i < 5000; i++) {
            uint32_t at = (uint32_t)test_random_below(&random, w.n);
            w.values[at] =
                ldexp(test_random_uniform(&random), (int)test_random_below(&random, 1000) - 500);
            assert_ok(pluck_weighted_set(tree, at, w.values[at], &err));
        }
        assert_ok(
            pluck_weighted_create(&fresh, PLUCK_WEIGHTED_SUM_TREE, as_doubles(&w), NULL, &err));
        assert_trees_equal(tree, fresh);
        pluck_weighted_destroy(&tree);
        pluck_weighted_destroy(&fresh);
    }
}

static void a_sum_tree_can_be_emptied_and_filled_again(void **state)
{
    (void)state;
    enum { N = 100 };
    double ones[N], weight = 7, prob = 7;
    for (int i = 0; i < N; i++)
        ones[i] = 1;
    pluck_weighted *tree = NULL;
    assert_ok(pluck_weighted_create(&tree, PLUCK_WEIGHTED_SUM_TREE,
                                    (pluck_weights){ones, PLUCK_F64, N}, NULL, &err));
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 1, 0, 0);
    bool drawn[N] = {false};
    uint32_t index = 0;
    for (int i = 0; i < N; i++) { /* without replacement: every entry once */
        assert_ok(pluck_weighted_draw(tree, &rng, 1, &index, &err));
        assert_false(drawn[index]);
        drawn[index] = true;
        assert_ok(pluck_weighted_set(tree, index, 0, &err));
    }
    pluck_pcg64 before = rng;
    index = 12345;
    assert_int_equal(pluck_weighted_draw(tree, &rng, 1, &index, &err), PLUCK_ERR_EMPTY);
    assert_int_equal(pluck_weighted_probability(tree, 3, &prob, &err), PLUCK_ERR_EMPTY);
    assert_int_equal(pluck_weighted_probabilities(tree, ones, &err), PLUCK_ERR_EMPTY);
    assert_int_equal(pluck_weighted_save(tree, "/nowhere/x", &err), PLUCK_ERR_EMPTY);
    assert_memory_equal(&before, &rng, sizeof rng);
    assert_int_equal(index, 12345);
    assert_ok(pluck_weighted_set(tree, 42, 0x1p-1074, &err));
    assert_ok(pluck_weighted_draw(tree, &rng, 1, &index, &err));
    assert_int_equal(index, 42);
    assert_ok(pluck_weighted_get(tree, 42, &weight, &err));
    assert_true(weight == 0x1p-1074);
    pluck_weighted_destroy(&tree);
}

/* Lengths of an optimal code, by merging the two least again and again. */
static double optimal_depth(const sample_weights *w)
{
    static double sums[MAX_N];
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++)
        if (w->values[i] > 0)
            sums[n++] = w->values[i];
    double all = 0, total = n > 0 ? sums[0] : 0;
    while (n > 1) {
        for (int side = 0; side < 2; side++) { /* the least to the end */
            uint32_t least = 0;
            uint32_t end = n - 1 - (uint32_t)side;
            for (uint32_t i = 1; i <= end; i++)
                least = sums[i] < sums[least] ? i : least;
            double swap = sums[least];
            sums[least] = sums[end];
            sums[end] = swap;
        }
        sums[n - 2] += sums[n - 1];
        total = sums[n - 2];
        all += total;
        n--;
    }
    return all / total;
}

static bool huffman_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    static sample_weights w;
    make_weights(&w, seed);
    if (w.n > 300)
        w.n = 300;
    long double total = exact_total(&w), entropy = 0;
    if (total == 0)
        w.values[0] = (double)(total = 1);
    for (uint32_t i = 0; i < w.n; i++) {
        long double p = (long double)w.values[i] / total;
        entropy -= p > 0 ? p * log2l(p) : 0;
    }
    pluck_weighted *huffman = NULL;
    assert_ok(pluck_weighted_create(&huffman, PLUCK_WEIGHTED_HUFFMAN, as_doubles(&w), NULL, &err));
    double depth = pluck_weighted_mean_depth(huffman), best = optimal_depth(&w);
    pluck_weighted_destroy(&huffman);
    if (fabs(depth - best) > 1e-12 * best)
        return test_case_failed("%s: mean depth %.17g, the least is %.17g",
                                weight_kind_name(w.kind), depth, best);
    return ((double)entropy <= depth + 1e-12 && depth < (double)entropy + 1 + 1e-12) ||
           test_case_failed("mean depth %g, entropy %Lg", depth, entropy);
}

static void a_huffman_tree_has_the_least_mean_depth(void **state)
{
    (void)state;
    test_cases_run_once("a_huffman_tree_has_the_least_mean_depth", 0, 100, huffman_case, NULL);
}

/* Powers of two: each level has one entry, as deep as the numbers of a double go. */
static void a_huffman_tree_may_be_a_thousand_levels_deep(void **state)
{
    (void)state;
    enum { N = 2000 };
    static double w[N];
    for (int i = 0; i < N; i++)
        w[i] = ldexp(1, 900 - i);
    pluck_weighted *huffman = NULL;
    assert_ok(pluck_weighted_create(&huffman, PLUCK_WEIGHTED_HUFFMAN,
                                    (pluck_weights){w, PLUCK_F64, N}, NULL, &err));
    const plk_huffman_node *nodes = huffman->huffman.nodes;
    uint32_t depth = 0;
    for (uint32_t at = huffman->huffman.root; !(at & PLK_HUFFMAN_LEAF); depth++)
        at = nodes[at].children[nodes[at].children[1] & PLK_HUFFMAN_LEAF ? 0 : 1];
    assert_true(depth >= 1900);
    assert_true(fabs(pluck_weighted_mean_depth(huffman) - 2) < 1e-12);
    pluck_weighted_destroy(&huffman);
}

static void expect(pluck_status expected, pluck_weights weights, const char *message)
{
    for (int kind = 0; kind < 3; kind++) {
        pluck_weighted *weighted = (pluck_weighted *)&err;
        assert_int_equal(
            pluck_weighted_create(&weighted, (pluck_weighted_kind)kind, weights, NULL, &err),
            expected);
        assert_non_null(strstr(err.message, message));
        assert_null(weighted);
    }
}

static void weights_that_are_no_distribution_are_refused(void **state)
{
    (void)state;
    const double nan_at_2[] = {1, 2, (double)NAN, 3}, infinite[] = {1, (double)INFINITY},
                 negative[] = {1, -1e-300};
    const double zero[] = {0, -0.0, 0}, overflow[] = {1.7e308, 1.7e308, 0};
    const float nan_f32[] = {1, NAN};
    pluck_dtype f64 = PLUCK_F64;
    expect(PLUCK_ERR_NAN, (pluck_weights){nan_at_2, f64, 4}, "weight 2 is NaN");
    expect(PLUCK_ERR_NAN, (pluck_weights){nan_f32, PLUCK_F32, 2}, "weight 1 is NaN");
    expect(PLUCK_ERR_NAN, (pluck_weights){infinite, f64, 2}, "weight 1 is infinite");
    expect(PLUCK_ERR_INVALID, (pluck_weights){negative, f64, 2}, "weight 1 is -1e-300");
    expect(PLUCK_ERR_EMPTY, (pluck_weights){zero, f64, 3}, "all weights are 0");
    expect(PLUCK_ERR_INVALID, (pluck_weights){overflow, f64, 3}, "overflows");
    expect(PLUCK_ERR_INVALID, (pluck_weights){zero, f64, 0}, "weights.n is 0");
    expect(PLUCK_ERR_INVALID, (pluck_weights){zero, f64, PLUCK_MAX_WEIGHTS + 1}, "2^30");
    expect(PLUCK_ERR_INVALID, (pluck_weights){NULL, f64, 3}, "NULL");
    expect(PLUCK_ERR_INVALID, (pluck_weights){zero, (pluck_dtype)7, 3}, "weights.dtype is 7");
    expect(PLUCK_ERR_INVALID, (pluck_weights){zero, PLUCK_F16, 3}, "weights.dtype is 1");
}

static void all_probabilities_are_those_of_each_entry(void **state)
{
    (void)state;
    static const double values[] = {3, 0, 1, 0.25, 7, 1e-9, 2};
    enum { N = sizeof values / sizeof *values };
    for (int kind = 0; kind < 3; kind++) {
        pluck_weighted *weighted = NULL;
        double probs[N], prob = 0, sum = 0;
        memset(probs, 0xFF, sizeof probs);
        assert_ok(pluck_weighted_create(&weighted, (pluck_weighted_kind)kind,
                                        (pluck_weights){values, PLUCK_F64, N}, NULL, &err));
        assert_ok(pluck_weighted_probabilities(weighted, probs, &err));
        for (uint32_t i = 0; i < N; i++) {
            assert_ok(pluck_weighted_probability(weighted, i, &prob, &err));
            assert_true(probs[i] == prob);
            sum += prob;
        }
        assert_true(fabs(sum - 1) < 1e-12);
        pluck_weighted_destroy(&weighted);
    }
}

/* Just below the largest double the order of a sum decides whether it overflows. */
static void sums_that_round_to_infinity_are_refused(void **state)
{
    (void)state;
    const double ties[] = {DBL_MAX, 0x1p969, 0x1p969};
    /* From the smallest on: 2^916 is half a unit of the next, and 2^970 one of the largest. */
    const double rising[] = {DBL_MAX, 0x1.fffffffffffffp969, 0x1p915, 0x1p915};
    const pluck_weights weights = {rising, PLUCK_F64, 4};
    expect(PLUCK_ERR_INVALID, (pluck_weights){ties, PLUCK_F64, 3}, "overflows a double");
    for (int kind = 0; kind < 3; kind++) {
        pluck_weighted *weighted = NULL;
        pluck_status status =
            pluck_weighted_create(&weighted, (pluck_weighted_kind)kind, weights, NULL, &err);
        if (kind == PLUCK_WEIGHTED_HUFFMAN)
            assert_int_equal(status, PLUCK_ERR_INVALID);
        if (status != PLUCK_OK) {
            assert_non_null(strstr(err.message, "overflows a double"));
            continue;
        }
        double prob = 0;
        assert_ok(pluck_weighted_probability(weighted, 0, &prob, &err));
        assert_true(prob == 1);
        pluck_weighted_destroy(&weighted);
    }
}

static void callers_mistakes_are_refused_and_change_nothing(void **state)
{
    (void)state;
    const double w[] = {1, 2, 1e308};
    three t = make_three((pluck_weights){w, PLUCK_F64, 3});
    pluck_pcg64 rng;
    uint32_t index = 9;
    double value = 9;
    pluck_pcg64_seed(&rng, 1, 0, 0);
    pluck_weighted *alias = t.kinds[0], *tree = t.kinds[1], *huffman = t.kinds[2], *made = NULL;
    double total = pluck_weighted_total(tree);
    const pluck_weights weights = {w, PLUCK_F64, 3};
    const pluck_status invalid[] = {
        pluck_weighted_create(NULL, PLUCK_WEIGHTED_ALIAS, weights, NULL, &err),
        pluck_weighted_create(&made, (pluck_weighted_kind)3, weights, NULL, &err),
        pluck_weighted_draw(NULL, &rng, 1, &index, &err),
        pluck_weighted_draw(alias, NULL, 1, &index, &err),
        pluck_weighted_draw(alias, &rng, 1, NULL, &err),
        pluck_weighted_draw(tree, &rng, 1, NULL, &err),
        pluck_weighted_draw(huffman, NULL, 1, &index, &err),
        pluck_weighted_probability(alias, 3, &value, &err),
        pluck_weighted_probability(alias, 0, NULL, &err),
        pluck_weighted_probabilities(NULL, &value, &err),
        pluck_weighted_probability(tree, 3, &value, &err),
        pluck_weighted_probability(huffman, UINT32_MAX, &value, &err),
        pluck_weighted_get(tree, 3, &value, &err),
        pluck_weighted_get(alias, 0, &value, &err),
        pluck_weighted_get(huffman, 0, &value, &err),
        pluck_weighted_set(NULL, 0, 1, &err),
        pluck_weighted_set(alias, 0, 1, &err),
        pluck_weighted_set(huffman, 0, 1, &err),
        pluck_weighted_set(tree, 3, 1, &err),
        pluck_weighted_set(tree, 0, -1, &err),
        pluck_weighted_set(tree, 0, 1.7e308, &err),
        pluck_weighted_save(alias, NULL, &err),
        pluck_weighted_save(NULL, "/tmp/x", &err),
        pluck_weighted_open(NULL, "/tmp/x", NULL, &err),
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        if (invalid[i] != PLUCK_ERR_INVALID)
            fail_msg("mistake %zu gives %s", i, pluck_status_name(invalid[i]));
    assert_int_equal(pluck_weighted_set(tree, 0, (double)NAN, &err), PLUCK_ERR_NAN);
    assert_int_equal(pluck_weighted_set(tree, 0, (double)INFINITY, NULL), PLUCK_ERR_NAN);
    assert_int_equal(index, 9);
    assert_true(value == 9 && made == NULL);
    assert_true(pluck_weighted_total(tree) == total);
    for (int kind = 0; kind < 3; kind++)
        assert_ok(pluck_weighted_draw(t.kinds[kind], &rng, 0, NULL, &err));
    assert_int_equal(pluck_weighted_size(NULL), 0);
    assert_true(pluck_weighted_total(NULL) == 0 && pluck_weighted_mean_depth(NULL) == 0);
    assert_true(pluck_weighted_mean_depth(alias) == 1 && pluck_weighted_mean_depth(tree) == 8);
    pluck_weighted_destroy(NULL);
    destroy_three(&t);
}

static void the_callers_floating_point_settings_do_not_matter(void **state)
{
    (void)state;
    enum { N = 64 };
    static sample_weights w;
    uint32_t expected[3][N], drawn[N];
    for (uint64_t seed = 0; seed < WEIGHTS_KINDS; seed++) {
        make_weights(&w, seed);
        for (size_t fp = test_fp_count() + 1; fp-- > 0;) {
            bool is_default = fp == test_fp_count();
            test_fp_set(fp);
            three t = make_three(as_doubles(&w));
            for (int which = 0; which < 3; which++) {
                pluck_pcg64 rng;
                pluck_pcg64_seed(&rng, seed, 0, 0);
                draw_many(&t, which, &rng, N, is_default ? expected[which] : drawn);
                if (!is_default)
                    assert_memory_equal(drawn, expected[which], sizeof drawn);
            }
            destroy_three(&t);
            test_fp_set(test_fp_count());
        }
    }
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alias_cells_hold_the_weights_as_nearly_as_stated),
        cmocka_unit_test(draws_of_many_are_draws_one_by_one_and_positive),
        cmocka_unit_test(the_ends_of_the_range_are_entries_of_positive_weight),
        cmocka_unit_test(draws_of_many_from_large_tables_are_draws_one_by_one),
        cmocka_unit_test(draws_depend_on_the_ratios_of_weights_alone),
        cmocka_unit_test(probabilities_are_shares_of_the_sum),
        cmocka_unit_test(floats_and_doubles_of_any_alignment_give_the_same),
        cmocka_unit_test(a_changed_sum_tree_is_the_tree_of_its_weights),
        cmocka_unit_test(a_sum_tree_can_be_emptied_and_filled_again),
        cmocka_unit_test(a_huffman_tree_has_the_least_mean_depth),
        cmocka_unit_test(a_huffman_tree_may_be_a_thousand_levels_deep),
        cmocka_unit_test(weights_that_are_no_distribution_are_refused),
        cmocka_unit_test(all_probabilities_are_those_of_each_entry),
        cmocka_unit_test(sums_that_round_to_infinity_are_refused),
        cmocka_unit_test(callers_mistakes_are_refused_and_change_nothing),
        cmocka_unit_test(the_callers_floating_point_settings_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
