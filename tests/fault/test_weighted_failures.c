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

#include "support/allocator.h"

static pluck_error err;
static char path[] = "/tmp/pluck-weighted-XXXXXX";
static const float values[] = {1, 0, 3, 4, 5, 1, 1, 2, 7, 1};
static const pluck_weights weights = {values, PLUCK_F32, sizeof values / sizeof *values};

static pluck_status use(pluck_weighted_kind kind, const pluck_allocator *allocator)
{
    pluck_weighted *weighted = NULL, *opened = NULL;
    pluck_status status = pluck_weighted_create(&weighted, kind, weights, allocator, &err);
    if (status == PLUCK_OK)
        status = pluck_weighted_save(weighted, path, &err);
    if (status == PLUCK_OK)
        status = pluck_weighted_open(&opened, path, allocator, &err);
    pluck_weighted_destroy(&weighted);
    pluck_weighted_destroy(&opened);
    return status;
}

static void fail_each_allocation(pluck_weighted_kind kind)
{
    for (uint64_t n = 0;; n++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = n;
        pluck_status status = use(kind, &allocator.interface);
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
        assert_true(test_allocator_explains(&allocator, &err));
    }
}

static void an_alias_table_reports_a_failed_allocation(void **state)
{
    (void)state;
    fail_each_allocation(PLUCK_WEIGHTED_ALIAS);
}

static void a_sum_tree_reports_a_failed_allocation(void **state)
{
    (void)state;
    fail_each_allocation(PLUCK_WEIGHTED_SUM_TREE);
}

static void a_huffman_tree_reports_a_failed_allocation(void **state)
{
    (void)state;
    fail_each_allocation(PLUCK_WEIGHTED_HUFFMAN);
}

static void draws_and_changes_ask_for_no_memory(void **state)
{
    (void)state;
    test_allocator allocator;
    test_allocator_init(&allocator);
    pluck_weighted *weighted[3] = {NULL, NULL, NULL};
    uint32_t drawn[100];
    double probs[sizeof values / sizeof *values];
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 1, 0, 0);
    for (int kind = 0; kind < 3; kind++)
        assert_int_equal(pluck_weighted_create(&weighted[kind], (pluck_weighted_kind)kind, weights,
                                               &allocator.interface, &err),
                         PLUCK_OK);
    uint64_t n = allocator.n_allocations;
    assert_int_equal(pluck_weighted_set(weighted[PLUCK_WEIGHTED_SUM_TREE], 1, 5, &err), PLUCK_OK);
    for (int kind = 0; kind < 3; kind++) {
        assert_int_equal(pluck_weighted_draw(weighted[kind], &rng, 100, drawn, &err), PLUCK_OK);
        assert_int_equal(pluck_weighted_probabilities(weighted[kind], probs, &err), PLUCK_OK);
    }
    assert_int_equal(allocator.n_allocations, n);
    for (int kind = 0; kind < 3; kind++)
        pluck_weighted_destroy(&weighted[kind]);
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
