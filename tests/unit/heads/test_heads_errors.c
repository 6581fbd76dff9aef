/*
 * What goes wrong must say what and where, and leave the outputs alone: bad numbers in hidden
 * states and weights, masks that allow nothing, arguments out of range.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/head_cases.h"

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

static void test_bad_numbers_are_named(void **state)
{
    (void)state;
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 5, 9, 4);
        pluck_head_query *query = NULL;
        pluck_logprob token = {.token = 77};
        float hidden[4] = {1, 2, NAN, 4};
        assert_ok(pluck_head_query_create(&query, c.head, NULL, &err));
        assert_int_equal(head_greedy(query, hidden, &token, &err), PLUCK_ERR_NAN);
        assert_non_null(strstr(err.message, "hidden[2]"));
        hidden[2] = INFINITY;
        assert_int_equal(head_greedy(query, hidden, &token, &err), PLUCK_ERR_NAN);
        assert_int_equal(token.token, 77);
        pluck_head_query_destroy(&query);
        head_case_free(&c);
    }
    const float weights[4] = {NAN, 1, 1, 1};
    pluck_matrix matrix = {.data = weights, .dtype = PLUCK_F32, .n_rows = 2, .n_cols = 2};
    const float hidden[2] = {1, 1};
    pluck_head *head = NULL;
    pluck_head_query *query = NULL;
    double logprob = 7;
    assert_ok(pluck_head_create_dense(&head, &matrix, NULL, NULL, &err));
    assert_ok(pluck_head_query_create(&query, head, NULL, &err));
    assert_int_equal(pluck_head_query_logprob(query, hidden, 1, &logprob, &err), PLUCK_ERR_NAN);
    assert_non_null(strstr(err.message, "token 0"));
    assert_true(logprob == 7);
    pluck_head_query_destroy(&query);
    pluck_head_destroy(&head);
}

/* The cluster is expanded for the first of the tokens that are drawn, or after one. */
static void test_bad_numbers_are_named_whenever_they_are_met(void **state)
{
    (void)state;
    for (int is_late = 0; is_late < 2; is_late++) {
        const float root[2] = {is_late ? 30 : -30, 0}, one = 1, bad[2] = {1, NAN}, hidden[1] = {1};
        pluck_matrix of_root = {.data = root, .n_rows = 2, .n_cols = 1};
        pluck_head_tail tail = {.projection = {.data = &one, .n_rows = 1, .n_cols = 1},
                                .output = {.data = bad, .n_rows = 2, .n_cols = 1}};
        pluck_head *head = NULL;
        pluck_head_query *query = NULL;
        pluck_logprob tokens[2] = {{.token = 77}};
        uint32_t n = 7;
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, 1, 0, 0);
        assert_ok(pluck_head_create_adaptive(&head, &of_root, NULL, &tail, 1, NULL, &err));
        assert_ok(pluck_head_query_create(&query, head, NULL, &err));
        memset(&err, 0, sizeof err);
        assert_int_equal(pluck_head_query_sample(query, hidden, 1, &rng, 2, tokens, &n, &err),
                         PLUCK_ERR_NAN);
        assert_int_equal(err.status, PLUCK_ERR_NAN);
        assert_non_null(strstr(err.message, "token 2"));
        assert_int_equal(tokens[0].token, is_late ? 0 : 77);
        assert_int_equal(n, 7);
        pluck_head_query_destroy(&query);
        pluck_head_destroy(&head);
    }
}

static void test_masks_that_allow_nothing_are_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 6, 40, 4);
        pluck_head_query *query = NULL;
        const float hidden[4] = {1, 2, 3, 4};
        const int32_t none[2] = {0, (int32_t)0xFFFFFF00}, one[2] = {0, 1};
        pluck_logprob token;
        assert_ok(pluck_head_query_create(&query, c.head, NULL, &err));
        assert_ok(pluck_head_query_set_mask(query, one, 2, &err));
        assert_int_equal(pluck_head_query_set_mask(query, none, 2, &err), PLUCK_ERR_EMPTY);
        assert_int_equal(pluck_head_query_set_mask(query, one, 1, &err), PLUCK_ERR_INVALID);
        assert_ok(head_greedy(query, hidden, &token, &err));
        assert_int_equal(token.token, 32);
        assert_ok(pluck_head_query_set_mask(query, NULL, 0, &err));
        double log_mass = 1;
        assert_ok(pluck_head_query_log_mass(query, hidden, &log_mass, &err));
        assert_true(log_mass == 0);
        pluck_head_query_destroy(&query);
        head_case_free(&c);
    }
}

static void test_callers_mistakes_are_refused(void **state)
{
    (void)state;
    head_case c = head_case_make(PLUCK_HEAD_HIERARCHICAL, 6, 40, 4);
    pluck_head_query *query = NULL;
    const float hidden[4] = {1, 2, 3, 4};
    pluck_logprob tokens[2];
    uint32_t n = 0;
    double logprob = 0;
    assert_int_equal(pluck_head_query_create(NULL, c.head, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_head_query_create(&query, NULL, NULL, &err), PLUCK_ERR_INVALID);
    assert_ok(pluck_head_query_create(&query, c.head, NULL, &err));
    assert_int_equal(pluck_head_query_logprob(NULL, hidden, 0, &logprob, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_head_query_logprob(query, NULL, 0, &logprob, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_head_query_logprob(query, hidden, 40, &logprob, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(pluck_head_query_logprob(query, hidden, -1, &logprob, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(pluck_head_query_select(query, hidden, TOP_K(0), tokens, 2, &n, &err),
                     PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "exactly one of top_k, top_p and min_p"));
    pluck_selection two = {.struct_size = sizeof two, .top_k = 3, .top_p = 0.5};
    assert_int_equal(pluck_head_query_select(query, hidden, &two, tokens, 2, &n, &err),
                     PLUCK_ERR_INVALID);
    two.struct_size = 0;
    assert_int_equal(pluck_head_query_select(query, hidden, &two, tokens, 2, &n, &err),
                     PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "PLUCK_INIT(pluck_selection)"));
    assert_int_equal(pluck_head_query_select(query, hidden, TOP_K(1), NULL, 1, &n, &err),
                     PLUCK_ERR_INVALID);
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 1, 0, 0);
    assert_int_equal(pluck_head_query_sample(query, hidden, 1, &rng, 0, tokens, &n, &err),
                     PLUCK_ERR_INVALID);
    static const double outside[] = {-0.5, 0x1.0000000000001p+0, (double)INFINITY};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        n = 77;
        assert_int_equal(
            pluck_head_query_select(query, hidden, TOP_P(outside[i]), tokens, 2, &n, &err),
            PLUCK_ERR_INVALID);
        assert_non_null(strstr(err.message, "outside (0, 1]"));
        assert_int_equal(n, 77);
    }
    assert_int_equal(pluck_head_query_select(query, hidden, TOP_P(1), tokens, 2, &n, &err),
                     PLUCK_OK);
    assert_int_equal(pluck_head_query_select(query, hidden, TOP_P(0.5), NULL, 0, &n, &err),
                     PLUCK_OK);
    assert_int_equal(pluck_head_query_select(query, hidden, TOP_P(0.5), tokens, 2, NULL, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(
        pluck_head_query_select(query, hidden, TOP_P((double)NAN), tokens, 2, &n, &err),
        PLUCK_ERR_INVALID);
    assert_int_equal(pluck_head_query_select(query, hidden, TOP_P(0.5), NULL, 2, &n, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(pluck_head_query_select(query, hidden, MIN_P(1.5), tokens, 2, &n, &err),
                     PLUCK_ERR_INVALID);
    pluck_matrix few = {.data = c.weights, .dtype = c.dtype, .n_rows = 38, .n_cols = 4},
                 nothing = {.data = c.weights, .dtype = c.dtype, .n_rows = 40, .n_cols = 0};
    pluck_head *head = NULL;
    assert_int_equal(
        pluck_head_create_hierarchical(&head, c.tree, &few, NULL, PLUCK_TREE_LEFT, NULL, &err),
        PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "38 rows, expected 39"));
    assert_int_equal(pluck_head_create_dense(&head, &nothing, NULL, NULL, &err), PLUCK_ERR_INVALID);
    assert_null(head);
    /* Borrowed rows are not read until they are needed. */
    static const uint32_t sizes[] = {0, PLUCK_MAX_VOCAB + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pluck_matrix rows = {.data = c.weights, .dtype = c.dtype, .n_rows = sizes[i], .n_cols = 4};
        assert_int_equal(pluck_head_create_dense(&head, &rows, NULL, NULL, &err),
                         PLUCK_ERR_INVALID);
        if (sizes[i] > 0)
            assert_non_null(strstr(err.message, "is outside [1, 16777216]"));
        assert_null(head);
    }
    pluck_head_query_destroy(&query);
    head_case_free(&c);
}

/* Each call gets its struct with sizes that are too small, and with a field that only a later
 * version knows, behind all fields that this one knows. */
typedef union grown {
    size_t size;
    unsigned char bytes[512];
} grown;

static pluck_status call_with(int which, const head_case *c, void *given)
{
    pluck_head *head = NULL;
    pluck_head_query *query = NULL;
    pluck_trainer *trainer = NULL;
    pluck_matrix weights = {.data = c->weights, .dtype = c->dtype, .n_rows = 39, .n_cols = 4};
    const float hidden[4] = {1, 2, 3, 4};
    const pluck_token target = 0;
    const pluck_train_data data = {
        .struct_size = sizeof data, .hidden = hidden, .n_rows = 1, .dim = 4, .targets = &target};
    pluck_logprob token;
    uint32_t n = 0;
    pluck_status status = pluck_head_query_create(&query, c->head, NULL, NULL);
    if (status == PLUCK_OK)
        status = pluck_trainer_create(&trainer, c->tree, &data, NULL, NULL);
    assert_int_equal(status, PLUCK_OK);
    switch (which) {
    case 0:
        status = pluck_head_create_dense(&head, &weights, NULL, given, &err);
        break;
    case 1:
        status = pluck_head_open(&head, "/nonexistent", given, &err);
        break;
    case 2:
        status = pluck_head_query_select(query, hidden, given, &token, 1, &n, &err);
        break;
    case 3:
        status = pluck_head_run(c->head, given, &err);
        break;
    case 4:
        pluck_trainer_destroy(&trainer);
        status = pluck_trainer_create(&trainer, c->tree, given, NULL, &err);
        break;
    case 5:
        pluck_trainer_destroy(&trainer);
        status = pluck_trainer_create(&trainer, c->tree, &data, given, &err);
        break;
    case 6:
        status = pluck_tree_get_stats(c->tree, NULL, given, &err);
        break;
    case 7:
        status = pluck_head_get_info(c->head, given, &err);
        break;
    case 8:
        status = pluck_head_query_get_stats(query, given, &err);
        break;
    default:
        status = pluck_trainer_get_progress(trainer, given, &err);
    }
    assert_null(head);
    pluck_head_query_destroy(&query);
    pluck_trainer_destroy(&trainer);
    return status;
}

static void test_structs_without_a_size_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        size_t size;
        bool is_read;
    } structs[] = {
        {"pluck_head_options", sizeof(pluck_head_options), true},
        {"pluck_head_options", sizeof(pluck_head_options), true},
        {"pluck_selection", sizeof(pluck_selection), true},
        {"pluck_head_batch", sizeof(pluck_head_batch), true},
        {"pluck_train_data", sizeof(pluck_train_data), true},
        {"pluck_train_options", sizeof(pluck_train_options), true},
        {"pluck_tree_stats", sizeof(pluck_tree_stats), true},
        {"pluck_head_info", sizeof(pluck_head_info), false},
        {"pluck_head_stats", sizeof(pluck_head_stats), false},
        {"pluck_train_progress", sizeof(pluck_train_progress), false},
    };
    head_case c = head_case_make(PLUCK_HEAD_HIERARCHICAL, 6, 40, 4);
    for (int i = 0; i < (int)(sizeof structs / sizeof *structs); i++) {
        for (size_t size = 0; size < sizeof size; size += sizeof size - 1) {
            grown given = {.size = size};
            char expected[64];
            (void)snprintf(expected, sizeof expected, "PLUCK_INIT(%s)", structs[i].type);
            assert_int_equal(call_with(i, &c, &given), PLUCK_ERR_INVALID);
            if (!strstr(err.message, expected))
                fail_msg("call %d: %s", i, err.message);
        }
        grown given = {.size = structs[i].size + 8};
        given.bytes[structs[i].size + 3] = 1;
        if (structs[i].is_read) {
            assert_int_equal(call_with(i, &c, &given), PLUCK_ERR_INVALID);
            assert_non_null(strstr(err.message, structs[i].type));
        } else {
            assert_int_equal(call_with(i, &c, &given), PLUCK_OK);
            assert_int_equal(given.bytes[structs[i].size + 3], 0);
        }
        assert_int_equal(given.size, structs[i].size + 8);
    }
    head_case_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_numbers_are_named),
        cmocka_unit_test(test_bad_numbers_are_named_whenever_they_are_met),
        cmocka_unit_test(test_masks_that_allow_nothing_are_refused),
        cmocka_unit_test(test_callers_mistakes_are_refused),
        cmocka_unit_test(test_structs_without_a_size_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
