/*
 * Why: stored distributions when memory runs out. To make, save and load each, the N-th allocation
 * fails, N = 1, 2, 3 and so on until a run meets no failure. Each failure has to be reported as
 * such, and leave nothing allocated. Draws and changes ask for no memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include <pluck/weighted.h>

#include "support/test_allocator.h"

static pluck_error err;
static char path[] = "/tmp/pluck-weighted-XXXXXX";
static const float values[] = {1, 0, 3, 4, 5, 1, 1, 2, 7, 1};
static const pluck_weights weights = {values, PLUCK_WEIGHTS_F32, sizeof values / sizeof *values};

typedef pluck_status (*attempt)(const pluck_allocator *allocator);

static void fail_each_allocation(attempt run)
{
    for (uint64_t n = 0;; n++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = n;
        pluck_status status = run(&allocator.interface);
        if (allocator.n_live != 0)
            fail_msg("allocation %" PRIu64 " fails: %" PRIu64 " blocks are left", n,
                     allocator.n_live);
        if (!allocator.failed) {
            if (status != PLUCK_OK)
                fail_msg("%s", err.message);
            assert_true(n > 2);
            return;
        }
        if (status != PLUCK_ERR_NOMEM)
            fail_msg("allocation %" PRIu64 " fails: status %s", n, pluck_status_name(status));
    }
}

static pluck_status use_alias(const pluck_allocator *allocator)
{
    pluck_alias *alias = NULL, *loaded = NULL;
    pluck_status status = pluck_alias_create(&alias, weights, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_alias_save(alias, path, &err);
    if (status == PLUCK_OK)
        status = pluck_alias_load(&loaded, path, allocator, &err);
    pluck_alias_destroy(&alias);
    pluck_alias_destroy(&loaded);
    return status;
}

static pluck_status use_sum_tree(const pluck_allocator *allocator)
{
    pluck_sum_tree *tree = NULL, *loaded = NULL;
    pluck_status status = pluck_sum_tree_create(&tree, weights, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_sum_tree_save(tree, path, &err);
    if (status == PLUCK_OK)
        status = pluck_sum_tree_load(&loaded, path, allocator, &err);
    pluck_sum_tree_destroy(&tree);
    pluck_sum_tree_destroy(&loaded);
    return status;
}

static pluck_status use_huffman(const pluck_allocator *allocator)
{
    pluck_huffman *huffman = NULL, *loaded = NULL;
    pluck_status status = pluck_huffman_create(&huffman, weights, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_huffman_save(huffman, path, &err);
    if (status == PLUCK_OK)
        status = pluck_huffman_load(&loaded, path, allocator, &err);
    pluck_huffman_destroy(&huffman);
    pluck_huffman_destroy(&loaded);
    return status;
}

static void an_alias_table_reports_a_failed_allocation(void **state)
{
    (void)state;
    fail_each_allocation(use_alias);
}

static void a_sum_tree_reports_a_failed_allocation(void **state)
{
    (void)state;
    fail_each_allocation(use_sum_tree);
}

static void a_huffman_tree_reports_a_failed_allocation(void **state)
{
    (void)state;
    fail_each_allocation(use_huffman);
}

static void draws_and_changes_ask_for_no_memory(void **state)
{
    (void)state;
    test_allocator allocator;
    test_allocator_init(&allocator);
    pluck_alias *alias = NULL;
    pluck_sum_tree *tree = NULL;
    pluck_huffman *huffman = NULL;
    uint32_t drawn[100];
    double probs[sizeof values / sizeof *values];
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 1, 0, 0);
    assert_int_equal(pluck_alias_create(&alias, weights, &allocator.interface, &err), PLUCK_OK);
    assert_int_equal(pluck_sum_tree_create(&tree, weights, &allocator.interface, &err), PLUCK_OK);
    assert_int_equal(pluck_huffman_create(&huffman, weights, &allocator.interface, &err), PLUCK_OK);
    uint64_t n = allocator.n_allocations;
    assert_int_equal(pluck_alias_draw_many(alias, &rng, 100, drawn, &err), PLUCK_OK);
    assert_int_equal(pluck_alias_probabilities(alias, probs, &err), PLUCK_OK);
    assert_int_equal(pluck_sum_tree_set(tree, 1, 5, &err), PLUCK_OK);
    assert_int_equal(pluck_sum_tree_draw_many(tree, &rng, 100, drawn, &err), PLUCK_OK);
    assert_int_equal(pluck_huffman_draw_many(huffman, &rng, 100, drawn, &err), PLUCK_OK);
    assert_int_equal(allocator.n_allocations, n);
    pluck_alias_destroy(&alias);
    pluck_sum_tree_destroy(&tree);
    pluck_huffman_destroy(&huffman);
    assert_int_equal(allocator.n_live, 0);
}

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_table_reports_a_failed_allocation),
        cmocka_unit_test(a_sum_tree_reports_a_failed_allocation),
        cmocka_unit_test(a_huffman_tree_reports_a_failed_allocation),
        cmocka_unit_test(draws_and_changes_ask_for_no_memory),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
