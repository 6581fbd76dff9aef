/*
 * Trained vectors belong to nodes by number: one other choice at a tie and every probability below
 * that node is another one. So Huffman trees are compared with a brute-force builder, node for
 * node, and with a priority queue for their cost; and all trees are tried where trees break: one
 * token, two, a million, depths of n - 1, equal counts, zero counts, codes and children that are
 * no tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pluck/head.h>

#include "support/random.h"

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

/*
 * The loop of fastText's buildTree as it stands there, with its sentinel counts, over counts in
 * descending order.
 */
static void fasttext_tree(const int64_t *counts, int32_t n, int32_t *children)
{
    int64_t *count = calloc(2 * (size_t)n, sizeof *count);
    for (int32_t i = 0; i < 2 * n - 1; i++)
        count[i] = i < n ? counts[i] : (int64_t)1e15;
    int32_t leaf = n - 1, node = n;
    for (int32_t i = n; i < 2 * n - 1; i++) {
        int32_t mini[2] = {0, 0};
        for (int j = 0; j < 2; j++) {
            if (leaf >= 0 && count[leaf] < count[node])
                mini[j] = leaf--;
            else
                mini[j] = node++;
        }
        children[2 * (i - n)] = mini[0];
        children[2 * (i - n) + 1] = mini[1];
        count[i] = count[mini[0]] + count[mini[1]];
    }
    free(count);
}

/* The cost of a Huffman code, by always adding the two smallest: quadratic. */
static int64_t huffman_cost(const int64_t *counts, size_t n)
{
    int64_t *left = malloc(n * sizeof *left), cost = 0;
    memcpy(left, counts, n * sizeof *left);
    for (; n > 1; n--) {
        for (size_t k = 0; k < 2; k++) {
            size_t least = k;
            for (size_t i = k; i < n; i++)
                least = left[i] < left[least] ? i : least;
            int64_t swapped = left[k];
            left[k] = left[least];
            left[least] = swapped;
        }
        cost += left[0] + left[1];
        left[1] += left[0];
        left[0] = left[n - 1];
    }
    free(left);
    return cost;
}

static int64_t cost_of(const pluck_tree *tree, const int64_t *counts)
{
    int64_t cost = 0;
    for (uint32_t t = 0; t < pluck_tree_n_tokens(tree); t++) {
        size_t length = 0;
        assert_ok(pluck_tree_code(tree, (pluck_token)t, NULL, 0, &length, &err));
        cost += counts[t] * (int64_t)length;
    }
    return cost;
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static void random_counts(test_random *random, int64_t *counts, size_t n)
{
    size_t range = (size_t)1 << test_random_below(random, 30);
    for (size_t i = 0; i < n; i++)
        counts[i] = (int64_t)test_random_below(random, range);
}

static void test_sorted_counts_give_the_tree_of_fasttext(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        test_random random = test_random_make(seed);
        size_t n = 1 + test_random_below(&random, 200);
        int64_t counts[200];
        int32_t expected[400];
        random_counts(&random, counts, n);
        qsort(counts, n, sizeof *counts, descending);
        fasttext_tree(counts, (int32_t)n, expected);
        pluck_tree *tree = NULL;
        assert_ok(pluck_tree_create_huffman(&tree, counts, (uint32_t)n, NULL, &err));
        if (memcmp(pluck_tree_children(tree), expected, 2 * (n - 1) * sizeof *expected) != 0)
            fail_msg("seed %" PRIu64 ", n = %zu: other children than fastText's", seed, n);
        pluck_tree_destroy(&tree);
    }
}

static void test_any_order_of_counts_gives_the_least_cost(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        test_random random = test_random_make(seed);
        size_t n = 1 + test_random_below(&random, 120);
        int64_t counts[120];
        random_counts(&random, counts, n);
        pluck_tree *tree = NULL;
        assert_ok(pluck_tree_create_huffman(&tree, counts, (uint32_t)n, NULL, &err));
        if (cost_of(tree, counts) != huffman_cost(counts, n))
            fail_msg("seed %" PRIu64 ", n = %zu: not the least cost", seed, n);
        pluck_tree_destroy(&tree);
    }
}

static void test_ties_go_to_the_lower_token_first(void **state)
{
    (void)state;
    /* In descending order, ties by token: 1 (9), 0, 2, 3 (4 each). Merged: 3 and 2, then 0 and the
     * node of both (4 < 8), then 1 (9 < 12). */
    const int64_t counts[4] = {4, 9, 4, 4};
    const int32_t expected[6] = {3, 2, 0, 4, 1, 5};
    pluck_tree *tree = NULL;
    assert_ok(pluck_tree_create_huffman(&tree, counts, 4, NULL, &err));
    assert_memory_equal(pluck_tree_children(tree), expected, sizeof expected);
    pluck_tree_destroy(&tree);
}

static void test_mean_code_length_is_within_a_bit_of_the_entropy(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        test_random random = test_random_make(seed);
        uint32_t n = 2 + (uint32_t)test_random_below(&random, 3000);
        int64_t *counts = malloc(n * sizeof *counts);
        random_counts(&random, counts, n);
        counts[0] += 1;
        counts[1] += 1;
        pluck_tree *tree = NULL;
        pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
        assert_ok(pluck_tree_create_huffman(&tree, counts, n, NULL, &err));
        assert_ok(pluck_tree_get_stats(tree, counts, &stats, &err));
        if (!(stats.mean_length >= stats.entropy_bits - 1e-9) ||
            !(stats.mean_length < stats.entropy_bits + 1))
            fail_msg("seed %" PRIu64 ": mean length %g, entropy %g", seed, stats.mean_length,
                     stats.entropy_bits);
        pluck_tree_destroy(&tree);
        free(counts);
    }
}

static void test_fibonacci_counts_give_depth_n_minus_1(void **state)
{
    (void)state;
    enum { N = 88 };
    int64_t counts[N] = {1, 1};
    uint32_t histogram[N] = {0};
    for (size_t i = 2; i < N; i++)
        counts[i] = counts[i - 1] + counts[i - 2];
    pluck_tree *tree = NULL;
    pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
    assert_ok(pluck_tree_create_huffman(&tree, counts, N, NULL, &err));
    stats.histogram = histogram;
    stats.n_histogram = N;
    assert_ok(pluck_tree_get_stats(tree, counts, &stats, &err));
    assert_ptr_equal(stats.histogram, histogram);
    assert_int_equal(stats.max_length, N - 1);
    assert_int_equal(stats.min_length, 1);
    assert_int_equal(histogram[N - 1], 2);
    for (size_t l = 1; l < N - 1; l++)
        assert_int_equal(histogram[l], 1);
    pluck_tree_destroy(&tree);
}

/* A million leaves, the deepest under a million nodes. */
static void test_a_chain_of_a_million_nodes_needs_no_recursion(void **state)
{
    (void)state;
    uint32_t n = 1000000;
    int32_t *children = malloc(2 * (size_t)n * sizeof *children);
    for (uint32_t i = 0; i + 1 < n; i++) {
        children[2 * (size_t)i] = (int32_t)i + 1;
        children[2 * (size_t)i + 1] = i == 0 ? 0 : (int32_t)(n + i - 1);
    }
    pluck_tree *tree = NULL;
    pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
    size_t length = 0;
    uint8_t *bits = malloc(n);
    assert_non_null(bits);
    assert_ok(pluck_tree_create_from_children(&tree, children, n, NULL, &err));
    assert_ok(pluck_tree_get_stats(tree, NULL, &stats, &err));
    assert_int_equal(stats.max_length, n - 1);
    bits[0] = 7;
    assert_int_equal(pluck_tree_code(tree, 1, bits, n - 2, &length, &err), PLUCK_ERR_SPACE);
    assert_int_equal(length, n - 1);
    assert_int_equal(bits[0], 7);
    assert_ok(pluck_tree_code(tree, 1, bits, n - 1, &length, &err));
    assert_int_equal(length, n - 1);
    assert_int_equal(bits[0] + bits[1] + bits[2], 3);
    assert_ok(pluck_tree_code(tree, (pluck_token)n - 1, bits, 1, &length, &err));
    assert_int_equal(length, 1);
    assert_int_equal(bits[0], 0);
    pluck_tree_destroy(&tree);
    free(children);
    free(bits);
}

/* Without counts, and with zeroes alone, all tokens weigh the same. */
static void test_equal_counts_need_not_be_given(void **state)
{
    (void)state;
    static const int64_t zeroes[12], threes[12] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3};
    static const int64_t *const counts[] = {NULL, zeroes, threes};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        pluck_tree *tree = NULL;
        pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
        assert_ok(pluck_tree_create_balanced(&tree, 12, NULL, &err));
        assert_ok(pluck_tree_get_stats(tree, counts[i], &stats, &err));
        /* Eight codes have 4 bits, four have 3. */
        assert_true(fabs(stats.mean_length - 44.0 / 12) < 1e-12);
        assert_true(fabs(stats.entropy_bits - log2(12)) < 1e-12);
        pluck_tree_destroy(&tree);
    }
}

static void test_a_million_tokens_build(void **state)
{
    (void)state;
    uint32_t n = 1000000;
    int64_t *counts = malloc(n * sizeof *counts);
    for (uint32_t t = 0; t < n; t++)
        counts[t] = 100000000 / (1 + (int64_t)((t * UINT64_C(7919)) % n));
    pluck_tree *tree = NULL;
    pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
    assert_ok(pluck_tree_create_huffman(&tree, counts, n, NULL, &err));
    assert_ok(pluck_tree_get_stats(tree, counts, &stats, &err));
    assert_true(stats.mean_length >= stats.entropy_bits);
    assert_true(stats.mean_length < stats.entropy_bits + 1);
    pluck_tree_destroy(&tree);
    assert_ok(pluck_tree_create_balanced(&tree, n, NULL, &err));
    assert_ok(pluck_tree_get_stats(tree, NULL, &stats, &err));
    assert_int_equal(stats.min_length, 19);
    assert_int_equal(stats.max_length, 20);
    pluck_tree_destroy(&tree);
    free(counts);
}

static void test_one_token_is_a_root_with_an_empty_code(void **state)
{
    (void)state;
    int64_t count = 0;
    size_t end = 0;
    float vector = 1;
    pluck_matrix vectors = {.data = &vector, .dtype = PLUCK_F32, .n_rows = 1, .n_cols = 1};
    pluck_tree *trees[5] = {NULL};
    assert_ok(pluck_tree_create_huffman(&trees[0], &count, 1, NULL, &err));
    assert_ok(pluck_tree_create_balanced(&trees[1], 1, NULL, &err));
    assert_ok(pluck_tree_create_from_codes(&trees[2], NULL, &end, 1, NULL, &err));
    assert_ok(pluck_tree_create_from_children(&trees[3], NULL, 1, NULL, &err));
    assert_ok(pluck_tree_create_clustered(&trees[4], &vectors, 0, NULL, &err));
    for (size_t i = 0; i < 5; i++) {
        size_t length = 7;
        pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
        assert_ok(pluck_tree_code(trees[i], 0, NULL, 0, &length, &err));
        assert_int_equal(length, 0);
        assert_ok(pluck_tree_get_stats(trees[i], &count, &stats, &err));
        assert_true(stats.mean_length == 0 && stats.entropy_bits == 0);
        pluck_tree_destroy(&trees[i]);
        assert_null(trees[i]);
    }
}

static void test_balanced_codes_differ_by_one_bit_and_keep_the_order(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 130; n++) {
        pluck_tree *tree = NULL;
        assert_ok(pluck_tree_create_balanced(&tree, n, NULL, &err));
        double log2_n = log2(n);
        double before = -1;
        for (uint32_t t = 0; t < n; t++) {
            uint8_t bits[16];
            size_t length = 0;
            double place = 0;
            assert_ok(pluck_tree_code(tree, (pluck_token)t, bits, sizeof bits, &length, &err));
            assert_true((double)length == floor(log2_n) || (double)length == floor(log2_n) + 1);
            for (size_t i = 0; i < length; i++)
                place += bits[i] * pow(0.5, (double)i + 1);
            assert_true(place > before);
            before = place;
        }
        pluck_tree_destroy(&tree);
    }
}

/* Codes of a tree give the tree back, up to the numbers of inner nodes. */
static void test_codes_of_a_tree_build_it_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        test_random random = test_random_make(seed);
        uint32_t n = 2 + (uint32_t)test_random_below(&random, 60);
        int64_t counts[62];
        uint8_t bits[62 * 62];
        size_t ends[62], used = 0;
        random_counts(&random, counts, n);
        pluck_tree *tree = NULL, *again = NULL;
        assert_ok(pluck_tree_create_huffman(&tree, counts, n, NULL, &err));
        for (uint32_t t = 0; t < n; t++) {
            size_t length = 0;
            assert_ok(pluck_tree_code(tree, (pluck_token)t, bits + used, 62, &length, &err));
            used += length;
            ends[t] = used;
        }
        assert_ok(pluck_tree_create_from_codes(&again, bits, ends, n, NULL, &err));
        for (uint32_t t = 0; t < n; t++) {
            uint8_t code[62];
            size_t length = 0;
            size_t begin = t ? ends[t - 1] : 0;
            assert_ok(pluck_tree_code(again, (pluck_token)t, code, 62, &length, &err));
            assert_int_equal(length, ends[t] - begin);
            assert_memory_equal(code, bits + begin, length);
        }
        pluck_tree *valid = NULL;
        assert_ok(
            pluck_tree_create_from_children(&valid, pluck_tree_children(again), n, NULL, &err));
        pluck_tree_destroy(&valid);
        pluck_tree_destroy(&again);
        pluck_tree_destroy(&tree);
    }
}

static void refused_codes(const uint8_t *bits, const size_t *ends, uint32_t n, const char *part)
{
    pluck_tree *tree = NULL;
    assert_int_equal(pluck_tree_create_from_codes(&tree, bits, ends, n, NULL, &err),
                     PLUCK_ERR_INVALID);
    assert_null(tree);
    if (!strstr(err.message, part))
        fail_msg("message '%s' does not say '%s'", err.message, part);
}

static void test_codes_that_are_no_tree_are_refused(void **state)
{
    (void)state;
    refused_codes((const uint8_t[]){0, 0, 1}, (const size_t[]){1, 3}, 2, "beginning of another");
    refused_codes((const uint8_t[]){0, 1, 0}, (const size_t[]){2, 3}, 2, "must fill");
    refused_codes((const uint8_t[]){0, 0}, (const size_t[]){1, 2}, 2, "beginning of another");
    refused_codes((const uint8_t[]){0, 2}, (const size_t[]){1, 2}, 2, "expected 0 or 1");
    refused_codes((const uint8_t[]){0}, (const size_t[]){0, 1}, 2, "is empty");
    refused_codes((const uint8_t[]){0, 1}, (const size_t[]){1, 0}, 2, "below the one before");
    refused_codes((const uint8_t[]){0}, (const size_t[]){1}, 1, "must be empty");
    refused_codes((const uint8_t[]){0, 0, 0, 1, 0}, (const size_t[]){2, 4, 5}, 3, "beginning");
}

static void refused_children(const int32_t *children, uint32_t n)
{
    pluck_tree *tree = NULL;
    assert_int_equal(pluck_tree_create_from_children(&tree, children, n, NULL, &err),
                     PLUCK_ERR_INVALID);
    assert_null(tree);
}

static void test_children_that_are_no_tree_are_refused(void **state)
{
    (void)state;
    refused_children((const int32_t[]){0, 0}, 2);
    refused_children((const int32_t[]){0, 2}, 2);
    refused_children((const int32_t[]){0, -1}, 2);
    refused_children((const int32_t[]){0, 4, 1, 2}, 3);
    refused_children((const int32_t[]){0, 1, 1, 3}, 3);
    refused_children((const int32_t[]){0, 1, 2, INT32_MAX}, 3);
    refused_children(NULL, 2);
    refused_children((const int32_t[]){0, 1}, 0);
    refused_children((const int32_t[]){0, 1}, PLUCK_MAX_VOCAB + 1);
}

/* Four well separated groups: the first two bits of a code name the group. */
static void test_clusters_share_the_beginning_of_their_codes(void **state)
{
    (void)state;
    enum { N = 64, DIM = 5 };
    float vectors[N * DIM];
    test_random random = test_random_make(3);
    for (size_t t = 0; t < N; t++)
        for (size_t j = 0; j < DIM; j++)
            vectors[t * DIM + j] =
                (float)(test_random_normal(&random) * 0.1 + (j == 0 ? 10.0 * (double)(t % 2) : 0) +
                        (j == 1 ? 4.0 * (double)(t / 2 % 2) : 0));
    pluck_tree *tree = NULL, *again = NULL;
    pluck_matrix rows = {.data = vectors, .dtype = PLUCK_F32, .n_rows = N, .n_cols = DIM};
    assert_ok(pluck_tree_create_clustered(&tree, &rows, 7, NULL, &err));
    int group_of_code[4] = {-1, -1, -1, -1};
    for (int t = 0; t < N; t++) {
        uint8_t bits[N];
        size_t length = 0;
        assert_ok(pluck_tree_code(tree, t, bits, N, &length, &err));
        int *group = &group_of_code[2 * bits[0] + bits[1]];
        if (*group < 0)
            *group = t % 4;
        assert_int_equal(*group, t % 4);
    }
    float with_gaps[N * (DIM + 2)];
    for (size_t i = 0; i < N * (DIM + 2); i++)
        with_gaps[i] = i % (DIM + 2) < DIM ? vectors[i / (DIM + 2) * DIM + i % (DIM + 2)] : NAN;
    pluck_matrix gaps = {.data = with_gaps,
                         .dtype = PLUCK_F32,
                         .n_rows = N,
                         .n_cols = DIM,
                         .row_stride_bytes = (DIM + 2) * sizeof(float)};
    const pluck_matrix *const both[] = {&rows, &gaps};
    for (int i = 0; i < 2; i++) {
        assert_ok(pluck_tree_create_clustered(&again, both[i], 7, NULL, &err));
        assert_memory_equal(pluck_tree_children(tree), pluck_tree_children(again),
                            2 * (N - 1) * sizeof(int32_t));
        pluck_tree_destroy(&again);
    }
    pluck_tree_destroy(&tree);
    rows.dtype = PLUCK_F16;
    assert_int_equal(pluck_tree_create_clustered(&again, &rows, 7, NULL, &err), PLUCK_ERR_INVALID);
}

/* Equal vectors, and vectors whose distances grow so fast that every 2-means split cuts off one. */
static void test_clusters_of_degenerate_vectors_stay_shallow(void **state)
{
    (void)state;
    enum { N = 2000 };
    float *vectors = calloc(N, sizeof *vectors);
    pluck_matrix rows = {.data = vectors, .dtype = PLUCK_F32, .n_rows = N, .n_cols = 1};
    pluck_tree *tree = NULL;
    pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
    assert_ok(pluck_tree_create_clustered(&tree, &rows, 1, NULL, &err));
    assert_ok(pluck_tree_get_stats(tree, NULL, &stats, &err));
    assert_int_equal(stats.max_length, 11);
    pluck_tree_destroy(&tree);
    for (int t = 0; t < N; t++)
        vectors[t] = (float)pow(10, 30.0 * t / N - 15);
    assert_ok(pluck_tree_create_clustered(&tree, &rows, 1, NULL, &err));
    assert_ok(pluck_tree_get_stats(tree, NULL, &stats, &err));
    assert_true(stats.max_length < 11 * log2(N) + 2);
    pluck_tree *valid = NULL;
    assert_ok(pluck_tree_create_from_children(&valid, pluck_tree_children(tree), N, NULL, &err));
    pluck_tree_destroy(&valid);
    pluck_tree_destroy(&tree);
    vectors[5] = NAN;
    assert_int_equal(pluck_tree_create_clustered(&tree, &rows, 1, NULL, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "vector 5"));
    free(vectors);
}

static void test_callers_mistakes_are_named(void **state)
{
    (void)state;
    pluck_tree *tree = NULL;
    const int64_t negative[2] = {1, -1}, huge[2] = {INT64_MAX, 1};
    pluck_tree_stats stats = PLUCK_INIT(pluck_tree_stats);
    size_t length = 0;
    assert_int_equal(pluck_tree_create_huffman(NULL, huge, 2, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tree_create_huffman(&tree, NULL, 2, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tree_create_huffman(&tree, negative, 2, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tree_create_huffman(&tree, huge, 2, NULL, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "2^63"));
    assert_int_equal(pluck_tree_create_balanced(&tree, 0, NULL, &err), PLUCK_ERR_INVALID);
    assert_null(tree);
    assert_ok(pluck_tree_create_balanced(&tree, 2, NULL, &err));
    assert_int_equal(pluck_tree_code(tree, 2, NULL, 0, &length, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tree_code(tree, -1, NULL, 0, &length, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tree_get_stats(tree, negative, &stats, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tree_get_stats(NULL, NULL, &stats, &err), PLUCK_ERR_INVALID);
    pluck_tree_destroy(&tree);
    pluck_tree_destroy(&tree);
    pluck_tree_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorted_counts_give_the_tree_of_fasttext),
        cmocka_unit_test(test_any_order_of_counts_gives_the_least_cost),
        cmocka_unit_test(test_ties_go_to_the_lower_token_first),
        cmocka_unit_test(test_mean_code_length_is_within_a_bit_of_the_entropy),
        cmocka_unit_test(test_fibonacci_counts_give_depth_n_minus_1),
        cmocka_unit_test(test_a_chain_of_a_million_nodes_needs_no_recursion),
        cmocka_unit_test(test_equal_counts_need_not_be_given),
        cmocka_unit_test(test_a_million_tokens_build),
        cmocka_unit_test(test_one_token_is_a_root_with_an_empty_code),
        cmocka_unit_test(test_balanced_codes_differ_by_one_bit_and_keep_the_order),
        cmocka_unit_test(test_codes_of_a_tree_build_it_again),
        cmocka_unit_test(test_codes_that_are_no_tree_are_refused),
        cmocka_unit_test(test_children_that_are_no_tree_are_refused),
        cmocka_unit_test(test_clusters_share_the_beginning_of_their_codes),
        cmocka_unit_test(test_clusters_of_degenerate_vectors_stay_shallow),
        cmocka_unit_test(test_callers_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
