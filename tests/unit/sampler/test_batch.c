/*
 * Why: a server gives all its sequences one workspace and samples them in one call. That must be
 * invisible: the tokens are those of samplers on their own, whatever the number of threads and
 * whatever happens in other rows, and a sampler that borrows a workspace is small enough to have
 * 100,000 of them.
 */
#include "support/allocator.h"
#include "support/cases.h"
#include "support/logit_cases.h"
#include "support/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_ROWS = 37, N_VOCAB = 1500, N_ROUNDS = 4 };

static const char *const configurations[] = {
    "{\"seed\": 1}",
    "{\"seed\": 2, \"temperature\": 0}",
    "{\"seed\": 3, \"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05, \"temperature\": 0.8}",
    "{\"seed\": 4, \"top_p\": 0.9, \"temperature\": 1.5}",
    "{\"seed\": 5, \"repeat_penalty\": 1.3, \"frequency_penalty\": 0.5, \"top_p\": 0.8}",
    "{\"seed\": 6, \"logit_bias\": {\"3\": 2, \"7\": false}, \"min_p\": 0.01}",
};
enum { N_CONFIGURATIONS = sizeof configurations / sizeof *configurations };

static const uint32_t thread_counts[] = {1, 2, 7, 0};
enum { N_COUNTS = sizeof thread_counts / sizeof *thread_counts };

static pluck_sampler *create(size_t i, pluck_workspace *workspace)
{
    pluck_config *config = test_config(configurations[i % N_CONFIGURATIONS]);
    pluck_sampler_options options = {
        .struct_size = sizeof options, .stream = i, .workspace = workspace};
    pluck_sampler *sampler = NULL;
    pluck_error err = {.status = PLUCK_OK};
    if (pluck_sampler_create(&sampler, config, N_VOCAB, &options, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    pluck_config_destroy(&config);
    return sampler;
}

typedef struct batch {
    pluck_pool *pool;
    pluck_workspace *workspace;
    pluck_sampler *samplers[N_ROWS];
    logit_row rows[N_ROWS];
    const void *starts[N_ROWS];
    pluck_matrix matrix;
    pluck_token tokens[N_ROWS];
    pluck_status statuses[N_ROWS];
} batch;

/* Rows of many kinds of distribution. */
static void make_rows(batch *b, pluck_dtype dtype)
{
    static float x[N_VOCAB];
    for (size_t i = 0; i < N_ROWS; i++) {
        logit_kind kind = (logit_kind)(i % LOGITS_KINDS);
        if (kind == (logit_kind)TEST_VECTOR_HUGE || kind == LOGITS_EXTREMES)
            kind = (logit_kind)TEST_VECTOR_NORMAL;
        logit_fill(kind, i, N_VOCAB, x);
        b->rows[i] = logit_row_make(x, N_VOCAB, dtype, i % 5);
        b->starts[i] = b->rows[i].logits.data;
    }
    b->matrix =
        (pluck_matrix){.rows = b->starts, .dtype = dtype, .n_cols = N_VOCAB, .n_rows = N_ROWS};
}

static batch *batch_create_of(uint32_t threads, pluck_dtype dtype)
{
    batch *b = calloc(1, sizeof *b);
    assert_non_null(b);
    assert_int_equal(pluck_pool_create(&b->pool, threads, NULL, NULL), PLUCK_OK);
    assert_int_equal(
        pluck_workspace_create(&b->workspace, N_VOCAB, pluck_pool_parallel(b->pool), NULL, NULL),
        PLUCK_OK);
    for (size_t i = 0; i < N_ROWS; i++)
        b->samplers[i] = create(i, b->workspace);
    make_rows(b, dtype);
    return b;
}

static batch *batch_create(uint32_t threads)
{
    return batch_create_of(threads, PLUCK_F32);
}

static void batch_destroy(batch *b)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        pluck_sampler_destroy(&b->samplers[i]);
        logit_row_destroy(&b->rows[i]);
    }
    pluck_workspace_destroy(&b->workspace);
    pluck_pool_destroy(&b->pool);
    free(b);
}

/* Samples the batch, and accepts nothing. */
static pluck_status run(batch *b, pluck_error *err)
{
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.tokens = b->tokens;
    outputs.statuses = b->statuses;
    for (size_t i = 0; i < N_ROWS; i++) {
        b->tokens[i] = -7;
        b->statuses[i] = (pluck_status)99;
    }
    return pluck_workspace_run(b->workspace, b->samplers, &b->matrix, &outputs, err);
}

static void check_threads(uint32_t threads, pluck_dtype dtype)
{
    batch *b = batch_create_of(threads, dtype);
    pluck_sampler *alone[N_ROWS];
    for (size_t i = 0; i < N_ROWS; i++)
        alone[i] = create(i, NULL);
    for (int round = 0; round < N_ROUNDS; round++) {
        pluck_error err = {.status = PLUCK_OK};
        if (run(b, &err) != PLUCK_OK)
            fail_msg("%s", err.message);
        for (size_t i = 0; i < N_ROWS; i++) {
            pluck_token token = -1;
            assert_int_equal(pluck_sampler_sample(alone[i], b->rows[i].logits, &token, NULL),
                             PLUCK_OK);
            if (b->statuses[i] != PLUCK_OK || b->tokens[i] != token)
                fail_msg("%u threads, round %d, row %zu: token %d, alone %d", threads, round, i,
                         (int)b->tokens[i], (int)token);
            assert_int_equal(pluck_sampler_accept(alone[i], token, NULL), PLUCK_OK);
            assert_int_equal(pluck_sampler_accept(b->samplers[i], token, NULL), PLUCK_OK);
        }
    }
    for (size_t i = 0; i < N_ROWS; i++)
        pluck_sampler_destroy(&alone[i]);
    batch_destroy(b);
}

static void a_batch_gives_the_tokens_of_single_calls_for_any_threads(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_COUNTS; s++)
        for (int dtype = PLUCK_F32; dtype <= PLUCK_BF16; dtype++)
            check_threads(thread_counts[s], (pluck_dtype)dtype);
}

static void failed_rows_are_reported_and_the_others_done(void **state)
{
    (void)state;
    for (size_t s = 0; s < N_COUNTS; s++) {
        batch *b = batch_create(thread_counts[s]);
        assert_int_equal(run(b, NULL), PLUCK_OK);
        pluck_token expected[N_ROWS];
        memcpy(expected, b->tokens, sizeof expected);

        static float nan_row[N_VOCAB], banned[N_VOCAB];
        for (size_t i = 0; i < N_VOCAB; i++)
            banned[i] = -INFINITY;
        nan_row[1234] = NAN;
        b->starts[30] = nan_row;
        b->starts[11] = banned;
        b->starts[20] = NULL;
        pluck_error err = {.status = PLUCK_OK};
        assert_int_equal(run(b, &err), PLUCK_ERR_EMPTY);
        assert_int_equal(err.status, PLUCK_ERR_EMPTY);
        assert_int_equal(strncmp(err.message, "row 11: ", 8), 0);
        for (size_t i = 0; i < N_ROWS; i++) {
            bool bad = i == 11 || i == 20 || i == 30;
            assert_int_equal(b->tokens[i], bad ? PLUCK_NO_TOKEN : expected[i]);
            if (!bad)
                assert_int_equal(b->statuses[i], PLUCK_OK);
        }
        assert_int_equal(b->statuses[11], PLUCK_ERR_EMPTY);
        assert_int_equal(b->statuses[20], PLUCK_ERR_INVALID);
        assert_int_equal(b->statuses[30], PLUCK_ERR_NAN);

        b->starts[11] = nan_row;
        assert_int_equal(run(b, &err), PLUCK_ERR_NAN);
        assert_non_null(strstr(err.message, "row 11: the logit of token 1234 is NaN"));
        batch_destroy(b);
    }
}

/* A call that must be refused, and change nothing. */
static void check_refused(batch *b, const char *message)
{
    pluck_error err = {.status = PLUCK_OK};
    assert_int_equal(run(b, &err), PLUCK_ERR_INVALID);
    if (!strstr(err.message, message))
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
    for (size_t i = 0; i < N_ROWS; i++) {
        assert_int_equal(b->tokens[i], -7);
        assert_int_equal(b->statuses[i], 99);
    }
}

static void mistakes_are_refused_and_change_nothing(void **state)
{
    (void)state;
    batch *b = batch_create(2);
    assert_int_equal(run(b, NULL), PLUCK_OK);
    pluck_token expected[N_ROWS];
    memcpy(expected, b->tokens, sizeof expected);
    pluck_sampler *last = b->samplers[N_ROWS - 1];

    b->samplers[N_ROWS - 1] = b->samplers[3];
    check_refused(b, "is listed twice");
    b->samplers[N_ROWS - 1] = create(0, NULL);
    check_refused(b, "does not borrow this workspace");
    pluck_sampler_destroy(&b->samplers[N_ROWS - 1]);
    pluck_workspace *other = NULL;
    assert_int_equal(pluck_workspace_create(&other, N_VOCAB, NULL, NULL, NULL), PLUCK_OK);
    b->samplers[N_ROWS - 1] = create(0, other);
    check_refused(b, "does not borrow this workspace");
    pluck_sampler_destroy(&b->samplers[N_ROWS - 1]);
    pluck_workspace_destroy(&other);

    b->samplers[N_ROWS - 1] = last;
    b->matrix.n_cols = N_VOCAB - 1;
    check_refused(b, "rows of 1499 logits");
    b->matrix.n_cols = N_VOCAB;
    b->matrix.dtype = PLUCK_F64;
    check_refused(b, "dtype 3");
    b->matrix.dtype = PLUCK_F32;
    assert_int_equal(run(b, NULL), PLUCK_OK);
    assert_memory_equal(b->tokens, expected, sizeof expected);
    pluck_token token = -1;
    assert_int_equal(pluck_sampler_sample(last, b->rows[N_ROWS - 1].logits, &token, NULL),
                     PLUCK_OK);
    assert_int_equal(token, expected[N_ROWS - 1]);
    batch_destroy(b);
}

static void null_pointers_are_refused_and_no_rows_are_fine(void **state)
{
    (void)state;
    batch *b = batch_create(2);
    pluck_workspace *w = b->workspace;
    pluck_sampler *const *s = b->samplers;
    pluck_matrix rows = b->matrix;
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    pluck_status bad = PLUCK_ERR_INVALID;
    assert_int_equal(pluck_workspace_run(NULL, s, &rows, &outputs, NULL), bad);
    assert_int_equal(pluck_workspace_run(w, NULL, &rows, &outputs, NULL), bad);
    assert_int_equal(pluck_workspace_run(w, s, NULL, &outputs, NULL), bad);
    assert_int_equal(pluck_workspace_run(w, s, &rows, NULL, NULL), bad);
    rows.rows = NULL;
    assert_int_equal(pluck_workspace_run(w, s, &rows, &outputs, NULL), bad);
    rows.n_rows = 0;
    size_t offsets[1] = {7};
    outputs.kept_offsets = offsets;
    assert_int_equal(pluck_workspace_run(w, NULL, &rows, &outputs, NULL), PLUCK_OK);
    assert_int_equal(offsets[0], 0);
    batch_destroy(b);
}

/* A server forks after its first batch; the child samples on, and ends. */
static void a_forked_child_samples_the_same_tokens(void **state)
{
    (void)state;
    batch *b = batch_create(4);
    assert_int_equal(run(b, NULL), PLUCK_OK);
    pluck_token expected[N_ROWS];
    memcpy(expected, b->tokens, sizeof expected);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(20);
        bool is_right =
            run(b, NULL) == PLUCK_OK && memcmp(b->tokens, expected, sizeof expected) == 0;
        batch_destroy(b);
        _exit(is_right ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(run(b, NULL), PLUCK_OK);
    assert_memory_equal(b->tokens, expected, sizeof expected);
    batch_destroy(b);
}

static void a_workspace_of_another_size_is_refused(void **state)
{
    (void)state;
    pluck_workspace *workspace = NULL;
    pluck_error err = {.status = PLUCK_OK};
    assert_int_equal(pluck_workspace_create(NULL, 10, NULL, NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_workspace_create(&workspace, 0, NULL, NULL, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_workspace_create(&workspace, PLUCK_MAX_VOCAB + 1, NULL, NULL, &err),
                     PLUCK_ERR_INVALID);
    const pluck_parallel nobody = {.n_workers = 1};
    assert_int_equal(pluck_workspace_create(&workspace, 10, &nobody, NULL, NULL),
                     PLUCK_ERR_INVALID);
    assert_null(workspace);
    assert_int_equal(pluck_workspace_create(&workspace, N_VOCAB + 1, NULL, NULL, NULL), PLUCK_OK);
    pluck_config *config = test_config("{}");
    pluck_sampler_options options = {.struct_size = sizeof options, .workspace = workspace};
    pluck_sampler *sampler = NULL;
    assert_int_equal(pluck_sampler_create(&sampler, config, N_VOCAB, &options, &err),
                     PLUCK_ERR_INVALID);
    assert_null(sampler);
    assert_non_null(strstr(err.message, "the workspace is for 1501 tokens, the sampler for 1500"));
    pluck_config_destroy(&config);
    pluck_workspace_destroy(&workspace);
}

/* Samplers with more and more edits join while others are in the middle of their sequences; clones
 * take over from some. */
static void samplers_that_share_a_workspace_do_not_notice(void **state)
{
    (void)state;
    enum { N_SHARING = 3 * N_CONFIGURATIONS, N_STEPS = 40 };
    batch *b = batch_create(1);
    pluck_sampler *sharing[N_SHARING], *alone[N_SHARING];
    for (size_t n = 0; n < N_SHARING; n++) {
        sharing[n] = create(n, b->workspace);
        alone[n] = create(n, NULL);
        for (size_t step = 0; step < N_STEPS; step++) {
            size_t i = step * 7 % (n + 1);
            pluck_token a = -1, c = -2;
            pluck_logits logits = b->rows[(n + step) % N_ROWS].logits;
            if (step % 11 == 5) {
                pluck_sampler *copy = NULL;
                assert_int_equal(pluck_sampler_clone(&copy, sharing[i], NULL), PLUCK_OK);
                pluck_sampler_destroy(&sharing[i]);
                sharing[i] = copy;
            }
            assert_int_equal(pluck_sampler_sample(sharing[i], logits, &a, NULL), PLUCK_OK);
            assert_int_equal(pluck_sampler_sample(alone[i], logits, &c, NULL), PLUCK_OK);
            assert_int_equal(a, c);
            assert_int_equal(pluck_sampler_accept(sharing[i], a, NULL), PLUCK_OK);
            assert_int_equal(pluck_sampler_accept(alone[i], a, NULL), PLUCK_OK);
        }
    }
    for (size_t n = 0; n < N_SHARING; n++) {
        pluck_sampler_destroy(&sharing[n]);
        pluck_sampler_destroy(&alone[n]);
    }
    batch_destroy(b);
}

static void a_hundred_thousand_samplers_take_one_kilobyte_each(void **state)
{
    (void)state;
    /* Of the history a token, and which position of the generated text it is. */
    enum { N = 100000, VOCAB = 128256, A_TOKEN = 8, MALLOC_OVERHEAD = 16 };
    static pluck_sampler *samplers[N];
    test_allocator allocator;
    test_allocator_init(&allocator);
    pluck_workspace *workspace = NULL;
    assert_int_equal(pluck_workspace_create(&workspace, VOCAB, NULL, NULL, NULL), PLUCK_OK);
    pluck_config *config =
        test_config("{\"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05, \"temperature\": 0.8}");
    for (size_t i = 0; i < N; i++) {
        pluck_sampler_options options = {.struct_size = sizeof options,
                                         .stream = i,
                                         .allocator = &allocator.interface,
                                         .workspace = workspace};
        assert_int_equal(pluck_sampler_create(&samplers[i], config, VOCAB, &options, NULL),
                         PLUCK_OK);
    }
    uint64_t history = A_TOKEN * PLUCK_DEFAULT_MAX_REWIND;
    uint64_t all = allocator.n_bytes + MALLOC_OVERHEAD * allocator.n_allocations;
    printf("a sampler: %llu bytes and %llu of history\n", (unsigned long long)(all / N - history),
           (unsigned long long)history);
    assert_true(all / N <= 1024 + history);
    for (size_t i = 0; i < N; i++)
        pluck_sampler_destroy(&samplers[i]);
    pluck_config_destroy(&config);
    pluck_workspace_destroy(&workspace);
    assert_int_equal(allocator.n_live, 0);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_gives_the_tokens_of_single_calls_for_any_threads),
        cmocka_unit_test(failed_rows_are_reported_and_the_others_done),
        cmocka_unit_test(mistakes_are_refused_and_change_nothing),
        cmocka_unit_test(null_pointers_are_refused_and_no_rows_are_fine),
        cmocka_unit_test(a_forked_child_samples_the_same_tokens),
        cmocka_unit_test(a_workspace_of_another_size_is_refused),
        cmocka_unit_test(samplers_that_share_a_workspace_do_not_notice),
        cmocka_unit_test(a_hundred_thousand_samplers_take_one_kilobyte_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
