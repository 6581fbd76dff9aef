/*
 * Why: running out of memory is an answer, not an accident. For every public function of a sampler
 * that allocates, the first allocation fails, then the second, and so on until a run needs no more.
 * Each failure must say PLUCK_ERR_NOMEM, leak nothing, and leave every object as it was: the
 * sampler that was there goes on exactly like one that met no failure.
 */
#include "support/allocator.h"
#include "support/cases.h"
#include "support/custom_stages.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/token_texts.h"

#include <pluck/trace.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N_VOCAB = 500, MANY = 1000 };

/* Stages with and without state and memory of their own, and a history that grows. */
static const char *const configurations[] = {
    "{}",
    "{\"seed\": 1, \"top_k\": 40, \"top_p\": 0.9, \"min_p\": 0.01, \"temperature\": 0.5}",
    "{\"seed\": 2, \"logit_bias\": {\"3\": 1.5, \"4\": false}, \"repeat_penalty\": 1.2}",
    "{\"seed\": 3, \"repeat_penalty\": 1.2, \"repeat_last_n\": -1}",
    "{\"seed\": 4, \"stages\": [{\"type\": \"penalties\", \"last_n\": -1, \"repeat\": 1.1}, "
    "{\"type\": \"top_k\", \"k\": 50}, {\"type\": \"penalties\", \"last_n\": 7, \"presence\": 1}, "
    "{\"type\": \"logit_bias\", \"bias\": {\"0\": 1}}], \"draw\": \"categorical\"}",
    /* Every stage and draw that remembers. */
    "{\"seed\": 5, \"dry_multiplier\": 0.8, \"dry_allowed_length\": 1, \"dry_penalty_last_n\": -1, "
    "\"dry_sequence_breakers\": [[3], [4, 5]]}",
    "{\"seed\": 6, \"dry_multiplier\": 0.8, \"dry_penalty_last_n\": 9}",
    "{\"seed\": 7, \"no_repeat_ngram_size\": 3, \"bad_words_ids\": [[1], [2, 3]], \"min_tokens\": "
    "3, "
    "\"min_tokens_ids\": [9]}",
    "{\"seed\": 8, \"draw\": \"mirostat\"}",
    "{\"seed\": 9, \"draw\": \"mirostat_v2\"}",
    "{\"seed\": 10, \"draw\": \"adaptive_p\"}",
};
enum { N_CONFIGURATIONS = sizeof configurations / sizeof *configurations };

static float x[N_VOCAB];

static pluck_logits logits(void)
{
    return (pluck_logits){x, PLUCK_F32, N_VOCAB};
}

/* Many different tokens, so that what counts them must grow too. */
static pluck_token token_at(int i)
{
    return i * 7 % N_VOCAB;
}

static pluck_status create(pluck_sampler **out, const char *json, test_allocator *allocator,
                           pluck_error *err)
{
    pluck_config *config = test_config(json);
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .allocator = &allocator->interface,
                                     .token_text = test_token_text};
    pluck_status status = pluck_sampler_create(out, config, N_VOCAB, &options, err);
    pluck_config_destroy(&config);
    return status;
}

static void check_nomem(pluck_status status, const pluck_error *err,
                        const test_allocator *allocator)
{
    assert_true(allocator->failed);
    assert_int_equal(status, PLUCK_ERR_NOMEM);
    assert_int_equal(err->status, PLUCK_ERR_NOMEM);
    assert_true(test_allocator_explains(allocator, err));
}

/* As a sampler on the default allocator that accepted the first n tokens. */
static void check_as_new(pluck_sampler *sampler, const char *json, int n)
{
    pluck_sampler *fresh = test_sampler(json, N_VOCAB, PLUCK_ISA_BEST, 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(pluck_sampler_accept(fresh, token_at(i), NULL), PLUCK_OK);
    test_distribution a = test_distribution_of(sampler, logits());
    test_distribution b = test_distribution_of(fresh, logits());
    assert_int_equal(a.status, PLUCK_OK);
    assert_true(test_distribution_equal(&a, &b));
    pluck_token s = -1, t = -2;
    assert_int_equal(pluck_sampler_sample(sampler, logits(), &s, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_sample(fresh, logits(), &t, NULL), PLUCK_OK);
    assert_int_equal(s, t);
    assert_int_equal(pluck_sampler_position(sampler), (uint64_t)n);
    test_distribution_free(&a);
    test_distribution_free(&b);
    pluck_sampler_destroy(&fresh);
}

static void creating_fails_whole(void **state)
{
    (void)state;
    for (int c = 0; c < N_CONFIGURATIONS; c++) {
        uint64_t n = 0;
        for (bool failed = true; failed; n++) {
            test_allocator allocator;
            test_allocator_init(&allocator);
            allocator.fail_at = n;
            pluck_error err = {.status = PLUCK_OK};
            pluck_sampler *sampler = (pluck_sampler *)&err;
            pluck_status status = create(&sampler, configurations[c], &allocator, &err);
            failed = allocator.failed;
            if (failed) {
                check_nomem(status, &err, &allocator);
                assert_null(sampler);
            } else {
                assert_int_equal(status, PLUCK_OK);
                check_as_new(sampler, configurations[c], 0);
                pluck_sampler_destroy(&sampler);
            }
            assert_int_equal(allocator.n_live, 0);
        }
        assert_true(n > 3);
    }
}

static void cloning_fails_whole(void **state)
{
    (void)state;
    for (int c = 0; c < N_CONFIGURATIONS; c++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        pluck_sampler *sampler = NULL;
        assert_int_equal(create(&sampler, configurations[c], &allocator, NULL), PLUCK_OK);
        for (int i = 0; i < 20; i++)
            assert_int_equal(pluck_sampler_accept(sampler, token_at(i), NULL), PLUCK_OK);
        uint64_t n = 0;
        for (bool failed = true; failed; n++) {
            allocator.failed = false;
            allocator.fail_at = n;
            pluck_error err = {.status = PLUCK_OK};
            pluck_sampler *copy = (pluck_sampler *)&err;
            pluck_status status = pluck_sampler_clone(&copy, sampler, &err);
            allocator.fail_at = UINT64_MAX;
            failed = allocator.failed;
            if (failed) {
                check_nomem(status, &err, &allocator);
                assert_null(copy);
            } else {
                assert_int_equal(status, PLUCK_OK);
                check_as_new(copy, configurations[c], 20);
                pluck_sampler_destroy(&copy);
            }
        }
        assert_true(n > 2);
        check_as_new(sampler, configurations[c], 20);
        pluck_sampler_destroy(&sampler);
        assert_int_equal(allocator.n_live, 0);
    }
}

/* Two accepts are undone and made again: a token that a failed accept left in the history would
 * be undone in place of the second. */
static void check_rewind(pluck_sampler *sampler, const char *json, int n)
{
    assert_int_equal(pluck_sampler_rewind(sampler, 2, NULL), PLUCK_OK);
    check_as_new(sampler, json, n - 2);
    for (int i = n - 2; i < n; i++)
        assert_int_equal(pluck_sampler_accept(sampler, token_at(i), NULL), PLUCK_OK);
    check_as_new(sampler, json, n);
}

/* Every accept is first tried with each of its allocations failing. */
static void accepting_fails_without_a_trace(void **state)
{
    (void)state;
    for (int c = 0; c < N_CONFIGURATIONS; c++) {
        bool grows =
            strstr(configurations[c], "-1") || strstr(configurations[c], "no_repeat_ngram");
        test_allocator allocator;
        test_allocator_init(&allocator);
        pluck_sampler *sampler = NULL;
        assert_int_equal(create(&sampler, configurations[c], &allocator, NULL), PLUCK_OK);
        int n_failures = 0, length = 3 * MANY;
        for (int i = 0; i < length; i++) {
            int n_before = n_failures;
            pluck_status status = PLUCK_ERR_NOMEM;
            for (uint64_t n = 0; status != PLUCK_OK; n++) {
                pluck_error err = {.status = PLUCK_OK};
                allocator.failed = false;
                allocator.fail_at = n;
                status = pluck_sampler_accept(sampler, token_at(i), &err);
                allocator.fail_at = UINT64_MAX;
                if (status == PLUCK_OK)
                    break;
                check_nomem(status, &err, &allocator);
                check_as_new(sampler, configurations[c], i);
                n_failures++;
            }
            if (n_failures > n_before)
                check_rewind(sampler, configurations[c], i + 1);
        }
        check_as_new(sampler, configurations[c], length);
        if (grows)
            assert_in_range(n_failures, 2, 20);
        else
            assert_int_equal(n_failures, 0);
        pluck_sampler_destroy(&sampler);
        assert_int_equal(allocator.n_live, 0);
    }
}

/* 3,000 tokens at once, with each of the allocations failing in turn. */
static void accepting_many_is_all_or_none(void **state)
{
    (void)state;
    static pluck_token tokens[3 * MANY];
    for (int i = 0; i < 3 * MANY; i++)
        tokens[i] = token_at(i);
    for (int c = 0; c < N_CONFIGURATIONS; c++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        pluck_sampler *sampler = NULL;
        assert_int_equal(create(&sampler, configurations[c], &allocator, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_accept_many(sampler, tokens, 5, NULL), PLUCK_OK);
        uint64_t n_failures = 0;
        pluck_status status = PLUCK_ERR_NOMEM;
        while (status != PLUCK_OK) {
            pluck_error err = {.status = PLUCK_OK};
            allocator.failed = false;
            allocator.fail_at = n_failures;
            status = pluck_sampler_accept_many(sampler, tokens + 5, 3 * MANY - 5, &err);
            allocator.fail_at = UINT64_MAX;
            if (status == PLUCK_OK)
                break;
            check_nomem(status, &err, &allocator);
            check_as_new(sampler, configurations[c], 5);
            n_failures++;
        }
        if (strstr(configurations[c], "-1"))
            assert_in_range(n_failures, 1, 20);
        check_as_new(sampler, configurations[c], 3 * MANY);
        pluck_sampler_destroy(&sampler);
        assert_int_equal(allocator.n_live, 0);
    }
}

static void traces_fail_whole_and_allocate_only_when_created(void **state)
{
    (void)state;
    for (int c = 0; c < N_CONFIGURATIONS; c++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        pluck_sampler *sampler = NULL;
        assert_int_equal(create(&sampler, configurations[c], &allocator, NULL), PLUCK_OK);
        uint64_t n = 0;
        for (bool failed = true; failed; n++) {
            allocator.failed = false;
            allocator.fail_at = n;
            pluck_error err = {.status = PLUCK_OK};
            pluck_trace *trace = (pluck_trace *)&err;
            pluck_status status = pluck_trace_create(&trace, sampler, NULL, &err);
            failed = allocator.failed;
            if (failed) {
                check_nomem(status, &err, &allocator);
                assert_null(trace);
            } else {
                allocator.fail_at = 0;
                const pluck_token followed[2] = {0, 3};
                status = pluck_trace_run(trace, sampler, logits(), followed, 2, &err);
                assert_int_equal(status, PLUCK_OK);
                assert_false(allocator.failed);
                assert_in_range(pluck_trace_get_report(trace)->n_stages, 2, 16);
                pluck_trace_destroy(&trace);
            }
            allocator.fail_at = UINT64_MAX;
            check_as_new(sampler, configurations[c], 0);
        }
        assert_true(n > 5);
        pluck_sampler_destroy(&sampler);
        assert_int_equal(allocator.n_live, 0);
    }
}

/* The state is of a sampler with a long history, so that loading must make room for it. */
static void loading_fails_without_a_trace(void **state)
{
    (void)state;
    for (int c = 0; c < N_CONFIGURATIONS; c++) {
        enum { LONG = 1500, SHORT = 20 };
        pluck_sampler *saved = test_sampler(configurations[c], N_VOCAB, PLUCK_ISA_BEST, 0);
        for (int i = 0; i < LONG; i++)
            assert_int_equal(pluck_sampler_accept(saved, token_at(i), NULL), PLUCK_OK);
        unsigned char bytes[1 << 15];
        size_t n_bytes = 0;
        assert_int_equal(pluck_sampler_save(saved, bytes, sizeof bytes, &n_bytes, NULL), PLUCK_OK);
        pluck_sampler_destroy(&saved);
        test_allocator allocator;
        test_allocator_init(&allocator);
        pluck_sampler *sampler = NULL;
        assert_int_equal(create(&sampler, configurations[c], &allocator, NULL), PLUCK_OK);
        for (int i = 0; i < SHORT; i++)
            assert_int_equal(pluck_sampler_accept(sampler, token_at(i), NULL), PLUCK_OK);
        uint64_t n = 0;
        for (bool failed = true; failed; n++) {
            allocator.failed = false;
            allocator.fail_at = n;
            pluck_error err = {.status = PLUCK_OK};
            pluck_status status = pluck_sampler_restore(sampler, bytes, n_bytes, &err);
            allocator.fail_at = UINT64_MAX;
            failed = allocator.failed;
            if (failed)
                check_nomem(status, &err, &allocator);
            else
                assert_int_equal(status, PLUCK_OK);
            check_as_new(sampler, configurations[c], failed ? SHORT : LONG);
        }
        assert_true(n > 2);
        pluck_sampler_destroy(&sampler);
        assert_int_equal(allocator.n_live, 0);
    }
}

/* From each configuration to each other one, with a history that is as long as all need. */
static void reconfiguring_fails_without_a_trace(void **state)
{
    (void)state;
    enum { LENGTH = 600 };
    for (int c = 0; c < N_CONFIGURATIONS * N_CONFIGURATIONS; c++) {
        const char *before = configurations[c / N_CONFIGURATIONS];
        const char *after = configurations[c % N_CONFIGURATIONS];
        test_allocator allocator;
        test_allocator_init(&allocator);
        pluck_config *config = test_config(before), *next = test_config(after);
        pluck_sampler_options options = {.struct_size = sizeof options,
                                         .allocator = &allocator.interface,
                                         .keep_history = UINT64_MAX};
        pluck_sampler *sampler = NULL;
        assert_int_equal(pluck_sampler_create(&sampler, config, N_VOCAB, &options, NULL), PLUCK_OK);
        uint64_t seed = test_info_of(sampler).seed, n = 0;
        for (int i = 0; i < LENGTH; i++)
            assert_int_equal(pluck_sampler_accept(sampler, token_at(i), NULL), PLUCK_OK);
        for (bool failed = true; failed; n++) {
            allocator.failed = false;
            allocator.fail_at = n;
            pluck_error err = {.status = PLUCK_OK};
            pluck_status status = pluck_sampler_reconfigure(sampler, next, &err);
            allocator.fail_at = UINT64_MAX;
            failed = allocator.failed;
            if (failed) {
                check_nomem(status, &err, &allocator);
                check_as_new(sampler, before, LENGTH);
            } else {
                assert_int_equal(status, PLUCK_OK);
            }
        }
        assert_true(n > 1);
        assert_int_equal(test_info_of(sampler).seed, seed);
        pluck_sampler *fresh = test_sampler(after, N_VOCAB, PLUCK_ISA_BEST, 0);
        for (int i = 0; i < LENGTH; i++)
            assert_int_equal(pluck_sampler_accept(fresh, token_at(i), NULL), PLUCK_OK);
        test_distribution a = test_distribution_of(sampler, logits());
        test_distribution b = test_distribution_of(fresh, logits());
        assert_true(test_distribution_equal(&a, &b));
        test_distribution_free(&a);
        test_distribution_free(&b);
        pluck_sampler_destroy(&fresh);
        pluck_sampler_destroy(&sampler);
        pluck_config_destroy(&config);
        pluck_config_destroy(&next);
        assert_int_equal(allocator.n_live, 0);
    }
}

/* A registry that could not take one more stage still has those that it had. */
static void registering_fails_whole(void **state)
{
    (void)state;
    uint64_t n = 0;
    for (bool failed = true; failed; n++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = n;
        pluck_error err = {.status = PLUCK_OK};
        pluck_registry *registry = (pluck_registry *)&err;
        pluck_status status = pluck_registry_create(&registry, &allocator.interface, &err);
        size_t n_added = 0;
        while (status == PLUCK_OK && n_added < n_custom_stages) {
            status = pluck_registry_add(registry, custom_stages + n_added, &err);
            n_added += status == PLUCK_OK;
        }
        failed = allocator.failed;
        if (failed)
            check_nomem(status, &err, &allocator);
        else
            assert_int_equal(status, PLUCK_OK);
        allocator.fail_at = UINT64_MAX;
        for (size_t i = 0; i < n_custom_stages && registry; i++)
            assert_int_equal(pluck_registry_add(registry, custom_stages + i, NULL),
                             i < n_added ? PLUCK_ERR_INVALID : PLUCK_OK);
        pluck_registry_destroy(&registry);
        assert_int_equal(allocator.n_live, 0);
    }
    assert_true(n > n_custom_stages);
}

/* Three workers, all of them the calling thread. */
static void run_here(void *user, size_t n, void (*task)(void *data, uint32_t worker, size_t item),
                     void *data)
{
    (void)user;
    for (size_t i = 0; i < n; i++)
        task(data, (uint32_t)i, i);
}

static const pluck_parallel three = {.run = run_here, .n_workers = 3};

/* Memory runs out for one of the samplers of a batch: then none has accepted. */
static void batches_accept_all_or_none(void **state)
{
    (void)state;
    enum { N_ROWS = 4, LENGTH = 1024 };
    const char *json = "{\"seed\": 3, \"repeat_penalty\": 1.2, \"repeat_last_n\": -1}";
    static pluck_token tokens[LENGTH];
    for (int i = 0; i < LENGTH; i++)
        tokens[i] = token_at(i);
    test_allocator allocator;
    test_allocator_init(&allocator);
    pluck_workspace *workspace = NULL;
    assert_int_equal(pluck_workspace_create(&workspace, N_VOCAB, &three, NULL, NULL), PLUCK_OK);
    pluck_config *config = test_config(json);
    pluck_sampler_options options = {
        .struct_size = sizeof options, .allocator = &allocator.interface, .workspace = workspace};
    pluck_sampler *samplers[N_ROWS];
    const void *starts[N_ROWS];
    for (int i = 0; i < N_ROWS; i++) {
        assert_int_equal(pluck_sampler_create(&samplers[i], config, N_VOCAB, &options, NULL),
                         PLUCK_OK);
        assert_int_equal(pluck_sampler_accept_many(samplers[i], tokens, LENGTH, NULL), PLUCK_OK);
        starts[i] = x;
    }
    pluck_matrix rows = {.rows = starts, .dtype = PLUCK_F32, .n_cols = N_VOCAB, .n_rows = N_ROWS};
    pluck_token drawn[N_ROWS];
    pluck_status statuses[N_ROWS];
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.accept = true;
    outputs.tokens = drawn;
    outputs.statuses = statuses;
    size_t kept_offsets[N_ROWS + 1];
    outputs.kept_offsets = kept_offsets;
    uint64_t n = 0;
    for (pluck_status status = PLUCK_ERR_NOMEM; status != PLUCK_OK; n++) {
        pluck_error err = {.status = PLUCK_OK};
        allocator.failed = false;
        allocator.fail_at = n;
        status = pluck_workspace_run(workspace, samplers, &rows, &outputs, &err);
        allocator.fail_at = UINT64_MAX;
        if (status != PLUCK_OK)
            check_nomem(status, &err, &allocator);
        for (int i = 0; i < N_ROWS; i++) {
            assert_int_equal(kept_offsets[i + 1] > kept_offsets[i], status == PLUCK_OK);
            assert_int_equal(statuses[i], status);
            assert_int_equal(drawn[i] == PLUCK_NO_TOKEN, status != PLUCK_OK);
            assert_int_equal(pluck_sampler_position(samplers[i]),
                             (uint64_t)(LENGTH + (status == PLUCK_OK)));
            if (status != PLUCK_OK)
                check_as_new(samplers[i], json, LENGTH);
        }
    }
    assert_true(n >= N_ROWS);
    for (int i = 0; i < N_ROWS; i++)
        pluck_sampler_destroy(&samplers[i]);
    pluck_config_destroy(&config);
    pluck_workspace_destroy(&workspace);
    assert_int_equal(allocator.n_live, 0);
}

static void rows_without_samplers_fail_whole(void **state)
{
    (void)state;
    enum { N_ROWS = 5 };
    test_allocator allocator;
    test_allocator_init(&allocator);
    pluck_workspace *workspace = NULL;
    assert_int_equal(
        pluck_workspace_create(&workspace, N_VOCAB, &three, &allocator.interface, NULL), PLUCK_OK);
    pluck_config *config = test_config("{\"repeat_penalty\": 1.2, \"dry_multiplier\": 0.8}");
    uint64_t n = 0;
    const void *starts[N_ROWS];
    for (int i = 0; i < N_ROWS; i++)
        starts[i] = x;
    pluck_matrix rows = {.rows = starts, .dtype = PLUCK_F32, .n_cols = N_VOCAB, .n_rows = N_ROWS};
    pluck_token drawn[N_ROWS] = {-7, -7, -7, -7, -7};
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.tokens = drawn;
    for (pluck_status status = PLUCK_ERR_NOMEM; status != PLUCK_OK; n++) {
        pluck_error err = {.status = PLUCK_OK};
        allocator.failed = false;
        allocator.fail_at = n;
        status = pluck_sample_rows(workspace, config, 1, 2, 3, &rows, &outputs, &err);
        allocator.fail_at = UINT64_MAX;
        if (status != PLUCK_OK)
            check_nomem(status, &err, &allocator);
        for (int i = 0; i < N_ROWS; i++)
            assert_int_equal(drawn[i] == -7, status != PLUCK_OK);
    }
    assert_true(n > 3); /* one sampler for each worker at least */
    pluck_config_destroy(&config);
    pluck_workspace_destroy(&workspace);
    assert_int_equal(allocator.n_live, 0);
}

static void workspaces_fail_whole(void **state)
{
    (void)state;
    uint64_t n = 0;
    for (bool failed = true; failed; n++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = n;
        pluck_error err = {.status = PLUCK_OK};
        pluck_workspace *workspace = (pluck_workspace *)&err;
        pluck_status status =
            pluck_workspace_create(&workspace, N_VOCAB, &three, &allocator.interface, &err);
        failed = allocator.failed;
        if (failed) {
            check_nomem(status, &err, &allocator);
            assert_null(workspace);
        } else {
            assert_int_equal(status, PLUCK_OK);
            pluck_workspace_destroy(&workspace);
        }
        assert_int_equal(allocator.n_live, 0);
    }
    assert_true(n > 3);
}

/* A sampler makes the workspace that it borrows grow: one that cannot be created must leave it fit
 * for those that were there. */
static void borrowing_fails_whole(void **state)
{
    (void)state;
    for (int c = 1; c < N_CONFIGURATIONS; c++) {
        uint64_t n = 0;
        for (bool failed = true; failed; n++) {
            test_allocator allocator;
            test_allocator_init(&allocator);
            pluck_workspace *workspace = NULL;
            assert_int_equal(
                pluck_workspace_create(&workspace, N_VOCAB, &three, &allocator.interface, NULL),
                PLUCK_OK);
            pluck_sampler_options options = {.struct_size = sizeof options,
                                             .allocator = &allocator.interface,
                                             .workspace = workspace};
            pluck_config *config[] = {test_config("{\"logit_bias\": {\"9\": 1}}"),
                                      test_config(configurations[c])};
            pluck_sampler *first = NULL, *second = NULL;
            assert_int_equal(pluck_sampler_create(&first, config[0], N_VOCAB, &options, NULL),
                             PLUCK_OK);
            allocator.fail_at = n;
            pluck_error err = {.status = PLUCK_OK};
            pluck_status status = pluck_sampler_create(&second, config[1], N_VOCAB, &options, &err);
            allocator.fail_at = UINT64_MAX;
            failed = allocator.failed;
            if (failed) {
                check_nomem(status, &err, &allocator);
                assert_null(second);
            } else {
                check_as_new(second, configurations[c], 0);
            }
            check_as_new(first, "{\"logit_bias\": {\"9\": 1}}", 0);
            pluck_config_destroy(&config[0]);
            pluck_config_destroy(&config[1]);
            pluck_sampler_destroy(&first);
            pluck_sampler_destroy(&second);
            pluck_workspace_destroy(&workspace);
            assert_int_equal(allocator.n_live, 0);
        }
        assert_true(n > 3);
    }
}

static int setup(void **state)
{
    (void)state;
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 3, N_VOCAB, x);
    return 0;
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creating_fails_whole),
        cmocka_unit_test(cloning_fails_whole),
        cmocka_unit_test(accepting_fails_without_a_trace),
        cmocka_unit_test(accepting_many_is_all_or_none),
        cmocka_unit_test(batches_accept_all_or_none),
        cmocka_unit_test(loading_fails_without_a_trace),
        cmocka_unit_test(reconfiguring_fails_without_a_trace),
        cmocka_unit_test(registering_fails_whole),
        cmocka_unit_test(traces_fail_whole_and_allocate_only_when_created),
        cmocka_unit_test(rows_without_samplers_fail_whole),
        cmocka_unit_test(workspaces_fail_whole),
        cmocka_unit_test(borrowing_fails_whole),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
