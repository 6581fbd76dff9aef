/*
 * Why: a program has several files, in C and C++, and several sequences. Samplers of all files must
 * share one table of functions, because llama_sampler_copy() aborts if they do not; a copy must go
 * on as its original does; and a batch must give what single calls give, whatever fails in it. The
 * newest table is also tested on libllama itself if PLUCK_LIBLLAMA names the folder that holds it.
 */
#include "llama_engine.h"
#include "other_files.h"
#include "support/random.h"

#include <pluck/llama.h>
#include <pluck/pluck.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VOCAB = 300, N_OUTPUTS = 300, N_STEPS = 40 };

static float logits[N_OUTPUTS][N_VOCAB];
static struct llama_context *ctx = (struct llama_context *)logits;

static void fill_logits(int n_outputs, uint64_t seed)
{
    test_random random = test_random_make(seed);
    for (int i = 0; i < n_outputs; i++)
        for (int t = 0; t < N_VOCAB; t++)
            logits[i][t] = (float)(2.5 * test_random_normal(&random));
    llama_engine_set_logits(logits[0], n_outputs, N_VOCAB);
}

static pluck_token step(struct llama_sampler *sampler, uint64_t seed)
{
    fill_logits(1, seed);
    pluck_token token = pluck_llama_sample(sampler, ctx, -1);
    assert_true(token >= 0);
    return token;
}

static void expect_error(struct llama_sampler *sampler, pluck_status status, const char *word)
{
    pluck_error err = {.message = ""};
    assert_int_equal(status, pluck_llama_sampler_error(sampler, &err));
    if (!strstr(err.message, word))
        fail_msg("no \"%s\" in \"%s\"", word, err.message);
}

static const char *const json = "{\"seed\": 5, \"repeat_penalty\": 1.4, \"top_p\": 0.95}";

#if LLAMA_STAND_IN >= 202608
/* Both give the same tokens from here on. */
static void check_twins(struct llama_sampler *a, struct llama_sampler *b)
{
    for (uint64_t i = 0; i < N_STEPS; i++)
        assert_int_equal(step(a, 1000 + i), step(b, 1000 + i));
    assert_int_equal(PLUCK_OK, pluck_llama_sampler_error(a, NULL));
    assert_int_equal(PLUCK_OK, pluck_llama_sampler_error(b, NULL));
}

static void samplers_of_all_files_can_be_copied_to_each_other(void **state)
{
    (void)state;
    struct llama_sampler *samplers[] = {
        pluck_llama_sampler_init(json, N_VOCAB),
        other_c_file_make(json, N_VOCAB),
        other_cpp_file_make(json, N_VOCAB),
    };
    enum { N = sizeof samplers / sizeof *samplers };
    for (size_t i = 0; i < N; i++) {
        assert_ptr_equal(samplers[0]->iface, samplers[i]->iface);
        assert_non_null(pluck_llama_sampler_get(samplers[i]));
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            if (i == j)
                continue;
            step(samplers[i], 10 * i + j);
            llama_engine_copy(samplers[i], samplers[j]);
            check_twins(samplers[i], samplers[j]);
        }
    for (size_t i = 0; i < N; i++)
        llama_engine_free(samplers[i]);
}

static void a_copy_takes_the_whole_state(void **state)
{
    (void)state;
    struct llama_sampler *from = pluck_llama_sampler_init("{\"seed\": \"random\"}", N_VOCAB);
    struct llama_sampler *to = pluck_llama_sampler_init("{\"seed\": \"random\"}", N_VOCAB);
    for (uint64_t i = 0; i < 5; i++) {
        step(from, i);
        step(to, 100 + i);
    }
    assert_int_equal(-1, pluck_llama_sample(from, ctx, 7));
    llama_engine_copy(from, to);
    expect_error(from, PLUCK_ERR_INVALID, "no logits");
    expect_error(to, PLUCK_ERR_INVALID, "no logits");
    check_twins(from, to);
    llama_engine_free(from);
    /* The copy is its own, and still draws another seed at each reset. */
    pluck_sampler_info first = PLUCK_INIT(pluck_sampler_info);
    pluck_sampler_info second = PLUCK_INIT(pluck_sampler_info);
    pluck_sampler_get_info(pluck_llama_sampler_get(to), &first, NULL);
    llama_engine_reset(to);
    pluck_sampler_get_info(pluck_llama_sampler_get(to), &second, NULL);
    assert_true(first.seed != second.seed);
    step(to, 1);
    llama_engine_free(to);
}

static void a_sampler_for_another_vocabulary_is_not_copied(void **state)
{
    (void)state;
    struct llama_sampler *from = pluck_llama_sampler_init(json, N_VOCAB + 1);
    struct llama_sampler *to = pluck_llama_sampler_init(json, N_VOCAB);
    struct llama_sampler *twin = pluck_llama_sampler_init(json, N_VOCAB);
    step(to, 1);
    step(twin, 1);
    llama_engine_copy(from, to);
    expect_error(to, PLUCK_ERR_INVALID, "another vocabulary");
    check_twins(to, twin);
    llama_engine_free(from);
    llama_engine_free(to);
    llama_engine_free(twin);
}
#endif

#if LLAMA_STAND_IN >= 202601
static void the_backend_is_left_to_others(void **state)
{
    (void)state;
    struct llama_sampler *sampler = pluck_llama_sampler_init(json, N_VOCAB);
#    if LLAMA_STAND_IN >= 202608
    assert_false(sampler->iface->backend_init(sampler, NULL, 1));
    sampler->iface->backend_reset(sampler);
#    else
    assert_false(sampler->iface->backend_init(sampler, NULL));
#    endif
    step(sampler, 1);
    llama_engine_free(sampler);
}
#endif

static void a_sampler_of_a_c_file_works_in_a_cpp_file(void **state)
{
    (void)state;
    struct llama_sampler *a = pluck_llama_sampler_init(json, N_VOCAB);
    struct llama_sampler *b = pluck_llama_sampler_init(json, N_VOCAB);
    for (uint64_t i = 0; i < N_STEPS; i++) {
        pluck_token expected = step(a, i);
        assert_int_equal(expected, other_cpp_file_sample(b, ctx));
    }
    llama_engine_free(a);
    llama_engine_free(b);
}

typedef struct batch {
    pluck_pool *pool;
    pluck_workspace *workspace; /* NULL: each sampler has memory of its own */
    struct llama_sampler *samplers[N_OUTPUTS], *twins[N_OUTPUTS];
    int32_t idxs[N_OUTPUTS];
    llama_token tokens[N_OUTPUTS];
} batch;

static struct llama_sampler *make_in(pluck_workspace *workspace, const char *text)
{
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.workspace = workspace;
    assert_int_equal(PLUCK_OK, pluck_config_from_json(&config, text, strlen(text), NULL, NULL));
    assert_int_equal(PLUCK_OK, pluck_sampler_create(&sampler, config, N_VOCAB, &options, NULL));
    pluck_config_destroy(&config);
    struct llama_sampler *made = pluck_llama_sampler_wrap(&sampler, NULL);
    assert_non_null(made);
    return made;
}

/* Outputs in another order than samplers. */
static void open_batch(batch *b, bool shares)
{
    *b = (batch){.pool = NULL};
    if (shares) {
        assert_int_equal(PLUCK_OK, pluck_pool_create(&b->pool, 3, NULL, NULL));
        assert_int_equal(PLUCK_OK,
                         pluck_workspace_create(&b->workspace, N_VOCAB,
                                                pluck_pool_parallel(b->pool), NULL, NULL));
    }
    for (int i = 0; i < N_OUTPUTS; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"seed\": %d, \"repeat_penalty\": 1.3, \"top_k\": %d}", i,
                 2 + i % 50);
        b->samplers[i] = make_in(b->workspace, text);
        b->twins[i] = make_in(NULL, text);
        b->idxs[i] = (i * 7) % N_OUTPUTS;
    }
}

static void close_batch(batch *b)
{
    for (int i = 0; i < N_OUTPUTS; i++) {
        llama_engine_free(b->samplers[i]);
        llama_engine_free(b->twins[i]);
    }
    pluck_workspace_destroy(&b->workspace);
    pluck_pool_destroy(&b->pool);
}

static void a_batch_gives_the_tokens_of_single_calls(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 127, 128, 129, N_OUTPUTS};
    for (int shares = 0; shares < 2; shares++) {
        batch b;
        open_batch(&b, shares);
        for (uint64_t i = 0; i < 21; i++) {
            size_t n = sizes[i % (sizeof sizes / sizeof *sizes)];
            fill_logits(N_OUTPUTS, i);
            assert_true(
                pluck_llama_sample_batch(b.workspace, b.samplers, ctx, b.idxs, n, b.tokens));
            for (size_t r = 0; r < n; r++)
                assert_int_equal(pluck_llama_sample(b.twins[r], ctx, b.idxs[r]), b.tokens[r]);
        }
        close_batch(&b);
    }
}

static void outputs_that_fail_in_a_batch_stop_no_other(void **state)
{
    (void)state;
    for (int shares = 0; shares < 2; shares++) {
        batch b;
        open_batch(&b, shares);
        fill_logits(N_OUTPUTS, 1);
        logits[b.idxs[3]][8] = NAN;
        for (int t = 0; t < N_VOCAB; t++)
            logits[b.idxs[150]][t] = -INFINITY;
        logits[b.idxs[200]][9] = INFINITY;
        b.idxs[100] = N_OUTPUTS;
        struct llama_sampler *skipped = b.samplers[5];
        b.samplers[5] = NULL;
        assert_false(
            pluck_llama_sample_batch(b.workspace, b.samplers, ctx, b.idxs, N_OUTPUTS, b.tokens));
        b.samplers[5] = skipped;
        expect_error(b.samplers[3], PLUCK_ERR_NAN, "token 8");
        expect_error(b.samplers[100], PLUCK_ERR_INVALID, "no logits");
        expect_error(b.samplers[150], PLUCK_ERR_EMPTY, "");
        expect_error(b.samplers[200], PLUCK_ERR_NAN, "token 9");
        for (int r = 0; r < N_OUTPUTS; r++) {
            bool failed = r == 3 || r == 5 || r == 100 || r == 150 || r == 200;
            pluck_token expected = failed ? -1 : pluck_llama_sample(b.twins[r], ctx, b.idxs[r]);
            assert_int_equal(expected, b.tokens[r]);
            assert_int_equal(failed ? 0 : 1,
                             pluck_sampler_position(pluck_llama_sampler_get(b.samplers[r])));
            assert_int_equal(PLUCK_OK, pluck_llama_sampler_error(b.samplers[r], NULL));
        }
        /* A sampler that failed has not drawn yet: what it accepts is its prompt. */
        pluck_sampler_info info = PLUCK_INIT(pluck_sampler_info);
        llama_engine_accept(b.samplers[3], 1);
        pluck_sampler_get_info(pluck_llama_sampler_get(b.samplers[3]), &info, NULL);
        assert_int_equal(1, info.n_prompt);
        llama_engine_accept(b.samplers[4], 1);
        pluck_sampler_get_info(pluck_llama_sampler_get(b.samplers[4]), &info, NULL);
        assert_int_equal(0, info.n_prompt);
        close_batch(&b);
    }
}

static void a_batch_of_other_samplers_is_refused(void **state)
{
    (void)state;
    batch b;
    open_batch(&b, true);
    fill_logits(N_OUTPUTS, 1);
    /* These do not borrow the workspace. */
    assert_false(pluck_llama_sample_batch(b.workspace, b.twins, ctx, b.idxs, 2, b.tokens));
    assert_int_equal(-1, b.tokens[0]);
    assert_int_equal(-1, b.tokens[1]);
    expect_error(b.twins[0], PLUCK_ERR_INVALID, "does not borrow this workspace");
    assert_int_equal(0, pluck_sampler_position(pluck_llama_sampler_get(b.twins[0])));
    struct llama_sampler_i table = {.name = NULL};
    struct llama_sampler other = {&table, &table}, *others[] = {&other};
    assert_false(pluck_llama_sample_batch(b.workspace, others, ctx, b.idxs, 1, b.tokens));
    assert_int_equal(-1, b.tokens[0]);
    assert_false(pluck_llama_sample_batch(NULL, others, ctx, b.idxs, 1, b.tokens));
    assert_false(pluck_llama_sample_batch(NULL, NULL, ctx, b.idxs, 1, b.tokens));
    assert_false(pluck_llama_sample_batch(NULL, b.twins, NULL, b.idxs, 1, b.tokens));
    assert_false(pluck_llama_sample_batch(NULL, b.twins, ctx, NULL, 1, b.tokens));
    assert_false(pluck_llama_sample_batch(NULL, b.twins, ctx, b.idxs, 1, NULL));
    assert_true(pluck_llama_sample_batch(NULL, NULL, NULL, NULL, 0, NULL));
    close_batch(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if LLAMA_STAND_IN >= 202608
        cmocka_unit_test(samplers_of_all_files_can_be_copied_to_each_other),
        cmocka_unit_test(a_copy_takes_the_whole_state),
        cmocka_unit_test(a_sampler_for_another_vocabulary_is_not_copied),
#endif
#if LLAMA_STAND_IN >= 202601
        cmocka_unit_test(the_backend_is_left_to_others),
#endif
        cmocka_unit_test(a_sampler_of_a_c_file_works_in_a_cpp_file),
        cmocka_unit_test(a_batch_gives_the_tokens_of_single_calls),
        cmocka_unit_test(outputs_that_fail_in_a_batch_stop_no_other),
        cmocka_unit_test(a_batch_of_other_samplers_is_refused),
    };
    llama_engine_open();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    llama_engine_close();
    return n_failed;
}
