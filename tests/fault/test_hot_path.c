/*
 * Why: an engine calls sample and accept for every token, often from a thread that must not wait
 * for an allocator. Between the first token and the last nothing may be allocated or freed: neither
 * through the sampler's allocator nor through malloc, which the linker redirects to counters here.
 */
#include "support/allocator.h"
#include "support/cases.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/token_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VOCAB = 3000, N_TOKENS = 1000 };

static unsigned long n_calls;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    n_calls++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_calls++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    n_calls++;
    return __real_realloc(memory, size);
}

void __wrap_free(void *memory)
{
    n_calls++;
    __real_free(memory);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    n_calls++;
    return __real_aligned_alloc(alignment, size);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    n_calls++;
    return __real_posix_memalign(memory, alignment, size);
}

static const char *const configurations[] = {
    "{}",
    "{\"temperature\": 0}",
    "{\"top_k\": 40}",
    "{\"top_p\": 0.95, \"min_keep\": 3}",
    "{\"min_p\": 0.05}",
    "{\"repeat_penalty\": 1.1, \"frequency_penalty\": 0.2, \"logit_bias\": {\"7\": 2, \"8\": "
    "false}}",
    "{\"seed\": 9, \"logit_bias\": {\"7\": 2}, \"repeat_penalty\": 1.1, \"top_k\": 100, \"top_p\": "
    "0.9, "
    "\"min_p\": 0.02, \"top_a\": 0.1, \"temperature\": 0.7}",
    "{\"on_nan\": \"ban\", \"top_p\": 0.5}",
};

/* Everything that may run once a token. */
static void one_token(pluck_sampler *sampler, pluck_logits logits)
{
    pluck_token token = -1;
    pluck_draw draw;
    pluck_prob best[20];
    uint32_t n_total;
    if (pluck_sampler_sample(sampler, logits, &token, NULL) != PLUCK_OK ||
        pluck_sampler_draw(sampler, logits, &draw, NULL) != PLUCK_OK ||
        pluck_sampler_distribution(sampler, logits, best, 20, &n_total, NULL) != PLUCK_OK ||
        pluck_sampler_accept(sampler, token, NULL) != PLUCK_OK ||
        pluck_sampler_accept(sampler, 5, NULL) != PLUCK_OK ||
        pluck_sampler_rewind(sampler, 1, NULL) != PLUCK_OK)
        fail_msg("a call failed");
}

static void check_configuration(const char *json, const float *x)
{
    pluck_config *config = test_config(json);
    test_allocator allocator;
    test_allocator_init(&allocator);
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .allocator = &allocator.interface,
                                     .token_text = test_token_text};
    pluck_sampler *sampler = NULL;
    assert_int_equal(pluck_sampler_create(&sampler, config, N_VOCAB, &options, NULL), PLUCK_OK);
    uint64_t n_allocations = allocator.n_allocations, n_live = allocator.n_live;
    unsigned long n_before = n_calls;
    for (int i = 0; i < N_TOKENS; i++)
        one_token(sampler, (pluck_logits){x + i % 64, PLUCK_F32, N_VOCAB});
    unsigned long n_made = n_calls - n_before;
    if (n_made != 0 || allocator.n_allocations != n_allocations || allocator.n_live != n_live)
        fail_msg("%s: %lu calls of malloc and free, %llu of the sampler's allocator", json, n_made,
                 (unsigned long long)(allocator.n_allocations - n_allocations));
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    assert_int_equal(allocator.n_live, 0);
}

static void nothing_is_allocated_from_the_first_token_to_the_last(void **state)
{
    (void)state;
    float *x = malloc((N_VOCAB + 64) * sizeof *x);
    assert_non_null(x);
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 1, N_VOCAB + 64, x);
    for (size_t i = 0; i < sizeof configurations / sizeof *configurations; i++)
        check_configuration(configurations[i], x);
    free(x);
}

static void a_batch_allocates_nothing(void **state)
{
    (void)state;
    enum { N_ROWS = sizeof configurations / sizeof *configurations };
    float *x = malloc((N_VOCAB + N_ROWS) * sizeof *x);
    assert_non_null(x);
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 1, N_VOCAB + N_ROWS, x);
    test_allocator allocator;
    test_allocator_init(&allocator);
    pluck_pool *pool = NULL;
    assert_int_equal(pluck_pool_create(&pool, 3, &allocator.interface, NULL), PLUCK_OK);
    pluck_workspace *workspace = NULL;
    assert_int_equal(pluck_workspace_create(&workspace, N_VOCAB, pluck_pool_parallel(pool),
                                            &allocator.interface, NULL),
                     PLUCK_OK);
    pluck_sampler *samplers[N_ROWS];
    const void *starts[N_ROWS];
    pluck_matrix rows = {.rows = starts, .dtype = PLUCK_F32, .n_cols = N_VOCAB, .n_rows = N_ROWS};
    for (size_t i = 0; i < N_ROWS; i++) {
        pluck_config *config = test_config(configurations[i]);
        pluck_sampler_options options = {.struct_size = sizeof options,
                                         .allocator = &allocator.interface,
                                         .workspace = workspace};
        assert_int_equal(pluck_sampler_create(&samplers[i], config, N_VOCAB, &options, NULL),
                         PLUCK_OK);
        pluck_config_destroy(&config);
        starts[i] = x + i;
    }
    uint64_t n_allocations = allocator.n_allocations, n_live = allocator.n_live;
    unsigned long n_before = n_calls;
    for (int t = 0; t < N_TOKENS / 10; t++) {
        static pluck_token tokens[N_ROWS], kept[N_ROWS * N_VOCAB];
        size_t offsets[N_ROWS + 1];
        pluck_logprob top[N_ROWS * 20];
        float logprobs[N_ROWS], masses[N_ROWS];
        pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
        outputs.accept = true;
        outputs.tokens = tokens;
        outputs.logprobs = logprobs;
        outputs.n_top = 20;
        outputs.top = top;
        outputs.kept_offsets = offsets;
        outputs.kept = kept;
        outputs.kept_capacity = N_ROWS * N_VOCAB;
        outputs.kept_log_mass = masses;
        assert_int_equal(pluck_workspace_run(workspace, samplers, &rows, &outputs, NULL), PLUCK_OK);
    }
    assert_int_equal(n_calls - n_before, 0);
    assert_int_equal(allocator.n_allocations, n_allocations);
    assert_int_equal(allocator.n_live, n_live);
    for (size_t i = 0; i < N_ROWS; i++)
        pluck_sampler_destroy(&samplers[i]);
    pluck_workspace_destroy(&workspace);
    pluck_pool_destroy(&pool);
    assert_int_equal(allocator.n_live, 0);
    free(x);
}

static void the_counter_sees_what_the_library_allocates(void **state)
{
    (void)state;
    unsigned long n_before = n_calls;
    pluck_sampler *sampler = test_sampler("{}", 10, PLUCK_ISA_BEST, 0);
    assert_true(n_calls > n_before + 2);
    pluck_sampler_destroy(&sampler);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counter_sees_what_the_library_allocates),
        cmocka_unit_test(nothing_is_allocated_from_the_first_token_to_the_last),
        cmocka_unit_test(a_batch_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
