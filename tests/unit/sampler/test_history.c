/*
 * Why: a server reads back what a sequence accepted, for stop sequences, for a session that moves,
 * and to change the configuration. keep_history promises a number of tokens whatever the stages
 * need, after any rewind and any restore, and at a cost that follows the tokens accepted.
 */
#include "support/allocator.h"
#include "support/cases.h"
#include "support/random.h"
#include "support/samplers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VOCAB = 300, N_TOKENS = 3000 };

static pluck_token token_at(size_t i)
{
    return (pluck_token)(i * i % 293);
}

static pluck_sampler *keeping(const char *json, uint64_t keep_history, uint32_t max_rewind,
                              const pluck_allocator *allocator)
{
    pluck_config *config = test_config(json);
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.keep_history = keep_history;
    options.max_rewind = max_rewind;
    options.allocator = allocator;
    assert_int_equal(pluck_sampler_create(&sampler, config, N_VOCAB, &options, NULL), PLUCK_OK);
    pluck_config_destroy(&config);
    return sampler;
}

/* The sampler holds the last tokens of the n that were accepted, least of them or more. */
static size_t check_held(const pluck_sampler *sampler, size_t n, uint64_t least)
{
    static pluck_token tokens[N_TOKENS];
    size_t held = pluck_sampler_history(sampler, tokens, N_TOKENS);
    assert_true(held <= n && held >= (least < n ? least : n));
    assert_int_equal(held, test_info_of(sampler).n_history);
    for (size_t i = 0; i < held; i++)
        assert_int_equal(tokens[i], token_at(n - held + i));
    return held;
}

static void that_many_tokens_are_held_whatever_happens(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, 15, 16, 17, 300, 1000, 2048, 1u << 30, UINT64_MAX};
    static const char *const configurations[] = {
        "{}",
        "{\"repeat_penalty\": 1.1}",
        "{\"repeat_penalty\": 1.1, \"repeat_last_n\": 700}",
        "{\"repeat_penalty\": 1.1, \"repeat_last_n\": -1}",
    };
    test_random random = test_random_make(1);
    for (size_t c = 0; c < sizeof configurations / sizeof *configurations; c++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            uint32_t max_rewind = 1 + (uint32_t)test_random_below(&random, 60);
            pluck_sampler *sampler = keeping(configurations[c], lengths[k], max_rewind, NULL);
            size_t n = 0;
            while (n < N_TOKENS) {
                pluck_token some[97];
                size_t n_some = 1 + test_random_below(&random, 97);
                n_some = n_some < N_TOKENS - n ? n_some : N_TOKENS - n;
                for (size_t i = 0; i < n_some; i++)
                    some[i] = token_at(n + i);
                test_accept(sampler, some, n_some);
                n += n_some;
                check_held(sampler, n, lengths[k]);
                uint32_t n_back = (uint32_t)test_random_below(&random, max_rewind + 1);
                if (n_back <= n && pluck_sampler_rewind(sampler, n_back, NULL) == PLUCK_OK)
                    n -= n_back;
                check_held(sampler, n, lengths[k]);
            }
            pluck_sampler_destroy(&sampler);
        }
}

/* Too little room: the last tokens, and how many there are. */
static void a_small_array_gets_the_last_tokens(void **state)
{
    (void)state;
    pluck_sampler *sampler = keeping("{}", 50, 1, NULL);
    pluck_token tokens[60];
    assert_int_equal(pluck_sampler_history(sampler, tokens, 60), 0);
    for (size_t i = 0; i < 40; i++)
        test_accept(sampler, &(pluck_token){token_at(i)}, 1);
    assert_int_equal(pluck_sampler_history(sampler, NULL, 0), 40);
    for (size_t capacity = 0; capacity <= 41; capacity++) {
        size_t n = capacity < 40 ? capacity : 40;
        memset(tokens, 0x7f, sizeof tokens);
        assert_int_equal(pluck_sampler_history(sampler, tokens, capacity), 40);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(tokens[i], token_at(40 - n + i));
        assert_int_equal(tokens[n], 0x7f7f7f7f);
    }
    pluck_sampler_destroy(&sampler);
}

/* A state goes to a sampler that keeps fewer or more: it holds what both keep. */
static void keep_history_may_differ_between_save_and_restore(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 100, 900, UINT64_MAX};
    enum { N = sizeof lengths / sizeof *lengths, N_ACCEPTED = 2500, MAX_BYTES = 1 << 15 };
    unsigned char *bytes = malloc(2 * MAX_BYTES), *again = bytes + MAX_BYTES;
    assert_non_null(bytes);
    for (size_t from = 0; from < N; from++)
        for (size_t to = 0; to < N; to++) {
            const char *json = "{\"repeat_penalty\": 1.1, \"repeat_last_n\": 20}";
            pluck_sampler *saved = keeping(json, lengths[from], 30, NULL);
            pluck_sampler *restored = keeping(json, lengths[to], 30, NULL);
            for (size_t i = 0; i < N_ACCEPTED; i++)
                test_accept(saved, &(pluck_token){token_at(i)}, 1);
            size_t n_bytes = 0, n_again = 0;
            assert_int_equal(pluck_sampler_save(saved, bytes, MAX_BYTES, &n_bytes, NULL), PLUCK_OK);
            assert_int_equal(pluck_sampler_restore(restored, bytes, n_bytes, NULL), PLUCK_OK);
            uint64_t both = lengths[from] < lengths[to] ? lengths[from] : lengths[to];
            size_t held = check_held(restored, N_ACCEPTED, both);
            assert_true(held <= pluck_sampler_history(saved, NULL, 0));
            assert_int_equal(pluck_sampler_rewind(restored, 30, NULL), PLUCK_OK);
            check_held(restored, N_ACCEPTED - 30, both);
            for (size_t i = N_ACCEPTED - 30; i < N_ACCEPTED; i++)
                test_accept(restored, &(pluck_token){token_at(i)}, 1);
            assert_int_equal(pluck_sampler_save(restored, again, MAX_BYTES, &n_again, NULL),
                             PLUCK_OK);
            if (from == to)
                assert_int_equal(n_bytes, n_again);
            if (from == to)
                assert_memory_equal(bytes, again, n_bytes);
            pluck_sampler_destroy(&saved);
            pluck_sampler_destroy(&restored);
        }
    free(bytes);
}

/* A sampler that may keep a million tokens pays for those that it has. */
static void memory_follows_the_tokens_accepted(void **state)
{
    (void)state;
    test_allocator allocator, plain;
    test_allocator_init(&allocator);
    test_allocator_init(&plain);
    pluck_sampler *sampler = keeping("{}", 1000000, 0, &allocator.interface);
    pluck_sampler *other = keeping("{}", 0, 0, &plain.interface);
    assert_int_equal(allocator.n_bytes, plain.n_bytes);
    for (size_t i = 0; i < N_TOKENS; i++)
        test_accept(sampler, &(pluck_token){token_at(i)}, 1);
    /* A ring of 256 tokens becomes one of 512, and so on. */
    assert_int_equal(allocator.n_bytes - plain.n_bytes, 8 * (512 + 1024 + 2048 + 4096));
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&other);
    assert_int_equal(allocator.n_live, 0);
}

/* Counts the bytes that are allocated and not yet freed. */
enum { SIZE_BYTES = 16 };

static void *allocate_counted(void *user, size_t size_bytes)
{
    unsigned char *memory = malloc(SIZE_BYTES + size_bytes);
    if (!memory)
        return NULL;
    memcpy(memory, &size_bytes, sizeof size_bytes);
    *(size_t *)user += size_bytes;
    return memory + SIZE_BYTES;
}

static void free_counted(void *user, void *memory)
{
    size_t size_bytes;
    unsigned char *start = (unsigned char *)memory - SIZE_BYTES;
    memcpy(&size_bytes, start, sizeof size_bytes);
    *(size_t *)user -= size_bytes;
    free(start);
}

/* With penalties on the whole history memory follows the different tokens in it, 16 bytes each, not
 * the vocabulary; so it does in a clone and in a sampler that restores the state, and if all came
 * as one prompt. The history itself has 8 bytes for each token, up to the next power of two. */
static void memory_of_a_whole_history_follows_its_different_tokens(void **state)
{
    (void)state;
    enum { LARGE_VOCAB = 130000, N = 20000, N_BYTES = 1 << 18, STEP_BYTES = 2 * 8 * 256 };
    static pluck_token tokens[N];
    const char *json = "{\"repeat_penalty\": 1.1, \"repeat_last_n\": -1}";
    size_t n_live = 0, n_shared = 0, n_needed = 0;
    pluck_allocator allocator = {allocate_counted, free_counted, &n_live};
    pluck_allocator of_workspace = {allocate_counted, free_counted, &n_shared};
    unsigned char *bytes = malloc(N_BYTES);
    assert_non_null(bytes);
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.allocator = &allocator;
    assert_int_equal(
        pluck_workspace_create(&options.workspace, LARGE_VOCAB, NULL, &of_workspace, NULL),
        PLUCK_OK);
    size_t n_shared_before = n_shared;
    pluck_config *config = test_config(json);
    for (size_t n_different = 10; n_different <= N; n_different *= 2) {
        for (size_t i = 0; i < N; i++)
            tokens[i] = (pluck_token)(i % n_different * 6);
        for (int way = 0; way < 4; way++) {
            pluck_sampler *sampler = NULL, *clone = NULL;
            assert_int_equal(pluck_sampler_create(&sampler, config, LARGE_VOCAB, &options, NULL),
                             PLUCK_OK);
            size_t n_begin = n_live;
            if (way == 0)
                assert_int_equal(pluck_sampler_prompt(sampler, tokens, N, NULL), PLUCK_OK);
            for (size_t i = 0; way == 1 && i < N; i++)
                assert_int_equal(pluck_sampler_accept(sampler, tokens[i], NULL), PLUCK_OK);
            if (way == 2)
                assert_int_equal(pluck_sampler_restore(sampler, bytes, n_needed, NULL), PLUCK_OK);
            if (way == 3) {
                assert_int_equal(pluck_sampler_restore(sampler, bytes, n_needed, NULL), PLUCK_OK);
                assert_int_equal(pluck_sampler_clone(&clone, sampler, NULL), PLUCK_OK);
                pluck_sampler_destroy(&sampler);
                sampler = clone;
            }
            size_t n_of_history = 8 * (32768 - 256);
            assert_true(n_live - n_begin <= n_of_history + 16 * n_different + STEP_BYTES);
            if (way == 1)
                assert_int_equal(pluck_sampler_save(sampler, bytes, N_BYTES, &n_needed, NULL),
                                 PLUCK_OK);
            pluck_sampler_destroy(&sampler);
            assert_int_equal(n_live, 0);
        }
    }
    assert_int_equal(n_shared, n_shared_before);
    pluck_config_destroy(&config);
    pluck_workspace_destroy(&options.workspace);
    free(bytes);
}

/* What parking many sequences costs: a few hundred bytes and the history, which has 8 bytes for
 * each of the 256 tokens that can be rewound; and little more for a clone. */
static void a_sampler_that_borrows_a_workspace_is_small(void **state)
{
    (void)state;
    static const char *const chains[] = {
        "{}", "{\"temperature\": 0.8, \"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05}"};
    enum { N_SAMPLERS = 1000, OF_HISTORY = 8 * 256, OF_SAMPLER = 640 };
    static pluck_sampler *samplers[N_SAMPLERS];
    size_t n_live = 0;
    pluck_allocator allocator = {allocate_counted, free_counted, &n_live};
    pluck_sampler_options options = PLUCK_INIT(pluck_sampler_options);
    options.allocator = &allocator;
    assert_int_equal(pluck_workspace_create(&options.workspace, N_VOCAB, NULL, NULL, NULL),
                     PLUCK_OK);
    for (size_t c = 0; c < 2; c++) {
        pluck_config *config = test_config(chains[c]);
        for (size_t i = 0; i < N_SAMPLERS; i++) {
            pluck_status status =
                i % 2 ? pluck_sampler_clone(&samplers[i], samplers[i - 1], NULL)
                      : pluck_sampler_create(&samplers[i], config, N_VOCAB, &options, NULL);
            assert_int_equal(status, PLUCK_OK);
            for (size_t k = 0; k < 300; k++)
                test_accept(samplers[i], &(pluck_token){token_at(k)}, 1);
        }
        assert_true(n_live <= N_SAMPLERS * (OF_HISTORY + OF_SAMPLER));
        for (size_t i = 0; i < N_SAMPLERS; i++)
            pluck_sampler_destroy(&samplers[i]);
        assert_int_equal(n_live, 0);
        pluck_config_destroy(&config);
    }
    pluck_workspace_destroy(&options.workspace);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(that_many_tokens_are_held_whatever_happens),
        cmocka_unit_test(a_small_array_gets_the_last_tokens),
        cmocka_unit_test(keep_history_may_differ_between_save_and_restore),
        cmocka_unit_test(memory_follows_the_tokens_accepted),
        cmocka_unit_test(memory_of_a_whole_history_follows_its_different_tokens),
        cmocka_unit_test(a_sampler_that_borrows_a_workspace_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
