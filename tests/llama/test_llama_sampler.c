/*
 * Why: pluck/llama.h must make of a chain of llama.cpp what a pluck_sampler makes of the same
 * logits: the same tokens, the same distribution, state that follows accept, reset and clone, and
 * failures that can be seen. The program is built with the table of functions of each date, and the
 * newest, which is that of release v0.5.0, runs on libllama itself if PLUCK_LIBLLAMA names the
 * folder that holds it.
 */
#include "llama_engine.h"
#include "support/random.h"

#include <pluck/llama.h>
#include <pluck/pluck.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* More tokens than the survivors that apply writes, so that some chains leave more. */
enum { N_VOCAB = 4500, N_WRITTEN = 4096, N_STEPS = 60 };

static const char *const configurations[] = {
    "{\"seed\": 1}",
    "{\"seed\": 2, \"temperature\": 0}",
    "{\"seed\": 3, \"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05, \"temperature\": 0.8}",
    "{\"seed\": 4, \"repeat_penalty\": 1.3, \"repeat_last_n\": 20, \"top_p\": 0.9}",
    "{\"seed\": 5, \"xtc_probability\": 0.5, \"xtc_threshold\": 0.05, \"min_p\": 0.01}",
    "{\"seed\": 6, \"mirostat\": 2, \"mirostat_tau\": 3}",
    "{\"seed\": 7, \"dry_multiplier\": 1, \"temperature\": 0.5}",
};
enum { N_CONFIGURATIONS = sizeof configurations / sizeof *configurations };

typedef struct fixture {
    float logits[N_VOCAB];
    llama_token_data data[N_VOCAB];
    llama_token_data_array candidates;
    pluck_prob probs[N_VOCAB];
} fixture;

static fixture f;

static void fill_logits(uint64_t seed)
{
    test_random random = test_random_make(seed);
    for (int i = 0; i < N_VOCAB; i++)
        f.logits[i] = (float)(2.5 * test_random_normal(&random));
}

/* All tokens in order. */
static void fill_candidates(void)
{
    for (int i = 0; i < N_VOCAB; i++)
        f.data[i] = (llama_token_data){i, f.logits[i], 0};
    f.candidates = (llama_token_data_array){f.data, N_VOCAB, -1, false};
}

/* The first n of a random order; the logits of the others become -inf. */
static void shuffle_candidates(uint64_t seed, size_t n)
{
    test_random random = test_random_make(seed);
    fill_candidates();
    for (size_t i = N_VOCAB; i-- > 1;) {
        size_t j = test_random_below(&random, i + 1);
        llama_token_data swapped = f.data[i];
        f.data[i] = f.data[j];
        f.data[j] = swapped;
    }
    for (size_t i = n; i < N_VOCAB; i++)
        f.logits[f.data[i].id] = -INFINITY;
    f.candidates.size = n;
}

static pluck_sampler *make_pluck(const char *json)
{
    pluck_sampler *sampler = NULL;
    pluck_error err;
    if (pluck_sampler_from_json(&sampler, json, strlen(json), N_VOCAB, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    return sampler;
}

static struct llama_sampler *make_llama(const char *json)
{
    struct llama_sampler *sampler = pluck_llama_sampler_init(json, N_VOCAB);
    assert_non_null(sampler);
    return sampler;
}

static pluck_token sample_pluck(pluck_sampler *sampler)
{
    pluck_token token = -1;
    pluck_error err;
    pluck_logits logits = {f.logits, PLUCK_F32, N_VOCAB};
    if (pluck_sampler_sample(sampler, logits, &token, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    return token;
}

static llama_token_data before[N_VOCAB];

/* What apply left, against the sampler that it should equal and the candidates before. p is the
 * exponential of a float: 2^-24 of a logarithm above -17 is 1e-6, and the sum of p has that too. */
static void check_candidates(pluck_sampler *sampler, pluck_token token, size_t size)
{
    uint32_t n = 0;
    pluck_logits logits = {f.logits, PLUCK_F32, N_VOCAB};
    assert_int_equal(PLUCK_OK,
                     pluck_sampler_distribution(sampler, logits, f.probs, N_VOCAB, &n, NULL));
    if (n > N_WRITTEN) {
        assert_int_equal(size, f.candidates.size);
        assert_false(f.candidates.sorted);
        assert_in_range(f.candidates.selected, 0, size - 1);
        assert_int_equal(token, f.data[f.candidates.selected].id);
        assert_memory_equal(before, f.data, size * sizeof *f.data);
        return;
    }
    assert_int_equal(n, f.candidates.size);
    assert_true(f.candidates.sorted);
    assert_in_range(f.candidates.selected, 0, n - 1);
    assert_int_equal(token, f.data[f.candidates.selected].id);
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(f.probs[i].token, f.data[i].id);
        double p = (double)f.probs[i].prob;
        assert_true(fabs((double)f.data[i].p - p) <= 2e-6 * p);
        assert_true(fabs(exp((double)f.data[i].logit) - p) <= 2e-6 * p);
        sum += (double)f.data[i].p;
    }
    assert_true(fabs(sum - 1) < 1e-5);
}

/* part: 0: all tokens as candidates; else so many of them, shuffled. */
static void check_sequence(const char *json, size_t part)
{
    pluck_sampler *twin = make_pluck(json);
    struct llama_sampler *sampler = make_llama(json);
    for (uint64_t step = 0; step < N_STEPS; step++) {
        fill_logits(step);
        fill_candidates();
        if (part > 0 && step % 3 < 2)
            shuffle_candidates(step, part);
        size_t size = f.candidates.size;
        memcpy(before, f.data, sizeof before);
        llama_engine_apply(sampler, &f.candidates);
        pluck_token token = sample_pluck(twin);
        check_candidates(twin, token, size);
        llama_engine_accept(sampler, token);
        assert_int_equal(PLUCK_OK, pluck_sampler_accept(twin, token, NULL));
    }
    assert_int_equal(PLUCK_OK, pluck_llama_sampler_error(sampler, NULL));
    llama_engine_free(sampler);
    pluck_sampler_destroy(&twin);
}

static void apply_gives_the_sampler_s_token_and_distribution(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CONFIGURATIONS; i++)
        check_sequence(configurations[i], 0);
}

static void candidates_already_truncated_are_a_row_with_bans(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CONFIGURATIONS; i++) {
        check_sequence(configurations[i], 1);
        check_sequence(configurations[i], 37);
        check_sequence(configurations[i], N_VOCAB);
    }
}

static void the_direct_path_gives_the_same_tokens(void **state)
{
    (void)state;
    struct llama_context *ctx = (struct llama_context *)&f;
    llama_engine_set_logits(f.logits, 1, N_VOCAB);
    for (size_t i = 0; i < N_CONFIGURATIONS; i++) {
        pluck_sampler *twin = make_pluck(configurations[i]);
        struct llama_sampler *sampler = make_llama(configurations[i]);
        for (uint64_t step = 0; step < N_STEPS; step++) {
            fill_logits(step);
            pluck_token token = sample_pluck(twin);
            assert_int_equal(token, pluck_llama_sample(sampler, ctx, -1));
            assert_int_equal(PLUCK_OK, pluck_sampler_accept(twin, token, NULL));
        }
        assert_int_equal(N_STEPS, pluck_sampler_position(pluck_llama_sampler_get(sampler)));
        llama_engine_free(sampler);
        pluck_sampler_destroy(&twin);
    }
}

/* One token from candidates, accepted. */
static pluck_token step_llama(struct llama_sampler *sampler, uint64_t seed)
{
    fill_logits(seed);
    fill_candidates();
    llama_engine_apply(sampler, &f.candidates);
    assert_true(f.candidates.selected >= 0);
    pluck_token token = f.data[f.candidates.selected].id;
    llama_engine_accept(sampler, token);
    return token;
}

static void reset_starts_the_same_sequence_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CONFIGURATIONS; i++) {
        pluck_token tokens[N_STEPS];
        struct llama_sampler *sampler = make_llama(configurations[i]);
        for (uint64_t step = 0; step < N_STEPS; step++)
            tokens[step] = step_llama(sampler, step);
        llama_engine_reset(sampler);
        for (uint64_t step = 0; step < N_STEPS; step++)
            assert_int_equal(tokens[step], step_llama(sampler, step));
        llama_engine_free(sampler);
    }
}

/* The draws are greedy over the logits 3, 2.9, 2, 1, 0, the rest far below; after the prompt of ten
 * tokens each case counts generated tokens only. */
static const struct {
    const char *json;
    pluck_token expected[6];
} prompt_cases[] = {
    {"{\"temperature\": 0, \"min_tokens\": 4, \"min_tokens_ids\": [0]}", {1, 1, 1, 1, 0, 0}},
    {"{\"temperature\": 0, \"exp_decay_start\": 2, \"exp_decay_factor\": 2, "
     "\"exp_decay_tokens\": [2]}",
     {0, 0, 0, 2, 2, 2}},
    {"{\"temperature\": 0, \"presence_penalty\": 5, \"repeat_ignore_prompt\": true}",
     {0, 1, 2, 3, 4, 0}},
};
enum { N_PROMPT_CASES = sizeof prompt_cases / sizeof *prompt_cases };

/* After a prompt that the caller has given: by candidates or straight from the logits. */
static void check_generated(struct llama_sampler *sampler, const pluck_token expected[6],
                            bool direct)
{
    for (int i = 0; i < 6; i++) {
        static const float best[] = {3, 2.9f, 2, 1, 0};
        for (int j = 0; j < N_VOCAB; j++)
            f.logits[j] = j < 5 ? best[j] : -100;
        fill_candidates();
        pluck_token token = -1;
        if (direct) {
            token = pluck_llama_sample(sampler, (struct llama_context *)&f, -1);
        } else {
            llama_engine_apply(sampler, &f.candidates);
            assert_int_equal(0, f.candidates.selected);
            token = f.data[0].id;
            llama_engine_accept(sampler, token);
        }
        assert_int_equal(expected[i], token);
    }
}

static void accept_prompt(struct llama_sampler *sampler)
{
    for (int i = 0; i < 10; i++)
        llama_engine_accept(sampler, i % 2);
}

static void what_is_accepted_before_the_first_draw_is_the_prompt(void **state)
{
    (void)state;
    llama_engine_set_logits(f.logits, 1, N_VOCAB);
    for (size_t i = 0; i < N_PROMPT_CASES; i++) {
        for (int direct = 0; direct < 2; direct++) {
            struct llama_sampler *sampler = make_llama(prompt_cases[i].json);
            accept_prompt(sampler);
            struct llama_sampler *clone = llama_engine_clone(sampler);
            check_generated(sampler, prompt_cases[i].expected, direct);
            llama_engine_reset(sampler);
            accept_prompt(sampler);
            check_generated(sampler, prompt_cases[i].expected, direct);
            assert_int_equal(PLUCK_OK, pluck_llama_sampler_error(sampler, NULL));
            llama_engine_free(sampler);
            llama_engine_accept(clone, 3); /* the prompt goes on in a clone */
            check_generated(clone, prompt_cases[i].expected, direct);
            llama_engine_free(clone);
        }
    }
}

/* A token that was chosen elsewhere is generated all the same. */
static void what_is_accepted_after_a_draw_is_generated(void **state)
{
    (void)state;
    static const pluck_token expected[6] = {0, 0, 0, 0, 0, 0};
    struct llama_sampler *sampler = make_llama(prompt_cases[0].json);
    step_llama(sampler, 1);
    struct llama_sampler *clone = llama_engine_clone(sampler);
    for (int i = 0; i < 3; i++) {
        llama_engine_accept(sampler, 7);
        llama_engine_accept(clone, 7);
    }
    check_generated(sampler, expected, false);
    check_generated(clone, expected, false);
    llama_engine_free(clone);
    llama_engine_free(sampler);
}

static uint64_t seed_inside(const pluck_sampler *sampler)
{
    pluck_sampler_info info = PLUCK_INIT(pluck_sampler_info);
    assert_int_equal(PLUCK_OK, pluck_sampler_get_info(sampler, &info, NULL));
    return info.seed;
}

static uint64_t seed_of(const struct llama_sampler *sampler)
{
    return seed_inside(pluck_llama_sampler_get(sampler));
}

static void reset_draws_another_random_seed(void **state)
{
    (void)state;
    struct llama_sampler *sampler =
        make_llama("{\"seed\": \"random\", \"repeat_penalty\": 1.5, \"temperature\": 1.5}");
    uint64_t first = seed_of(sampler);
    step_llama(sampler, 0);
    struct llama_sampler *clone = llama_engine_clone(sampler);
    assert_true(seed_of(clone) == first);
    llama_engine_reset(sampler);
    llama_engine_reset(clone);
    assert_true(seed_of(sampler) != first && seed_of(clone) != first);
    assert_true(seed_of(sampler) != seed_of(clone));

    /* The sequence is the one of the new seed, from its beginning. */
    char json[120];
    snprintf(json, sizeof json, "{\"seed\": %llu, \"repeat_penalty\": 1.5, \"temperature\": 1.5}",
             (unsigned long long)seed_of(sampler));
    struct llama_sampler *twin = make_llama(json);
    for (uint64_t step = 0; step < N_STEPS; step++)
        assert_int_equal(step_llama(sampler, step), step_llama(twin, step));
    llama_engine_reset(twin);
    assert_true(seed_of(twin) == seed_of(sampler));

    /* One that was made elsewhere keeps its seed. */
    pluck_sampler *made = make_pluck("{\"seed\": \"random\"}");
    uint64_t seed = seed_inside(made);
    struct llama_sampler *wrapped = pluck_llama_sampler_wrap(&made, NULL);
    llama_engine_reset(wrapped);
    assert_true(seed_of(wrapped) == seed);
    assert_int_equal(PLUCK_OK, pluck_llama_sampler_error(sampler, NULL));
    llama_engine_free(wrapped);
    llama_engine_free(twin);
    llama_engine_free(clone);
    llama_engine_free(sampler);
}

static void a_clone_goes_on_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_CONFIGURATIONS; i++) {
        pluck_token tokens[N_STEPS];
        struct llama_sampler *sampler = make_llama(configurations[i]);
        for (uint64_t step = 0; step < N_STEPS / 2; step++)
            step_llama(sampler, step);
        struct llama_sampler *clone = llama_engine_clone(sampler);
        assert_non_null(clone);
        for (uint64_t step = N_STEPS / 2; step < N_STEPS; step++)
            tokens[step] = step_llama(sampler, step);
        llama_engine_free(sampler);
        for (uint64_t step = N_STEPS / 2; step < N_STEPS; step++)
            assert_int_equal(tokens[step], step_llama(clone, step));
        llama_engine_free(clone);
    }
}

static void expect_failure(struct llama_sampler *sampler, pluck_status status, const char *word)
{
    pluck_error err = {.status = PLUCK_OK};
    assert_int_equal(status, pluck_llama_sampler_error(sampler, &err));
    assert_int_equal(status, err.status);
    if (!strstr(err.message, word))
        fail_msg("no \"%s\" in \"%s\"", word, err.message);
    assert_int_equal(PLUCK_OK, pluck_llama_sampler_error(sampler, &err));
}

/* The candidates are as they were, with nothing selected. */
static void expect_untouched(struct llama_sampler *sampler)
{
    size_t size = f.candidates.size;
    memcpy(before, f.data, sizeof before);
    f.candidates.selected = 0;
    llama_engine_apply(sampler, &f.candidates);
    assert_int_equal(-1, f.candidates.selected);
    assert_int_equal(size, f.candidates.size);
    assert_memory_equal(before, f.data, sizeof before);
}

static void failures_select_nothing_and_can_be_asked_for(void **state)
{
    (void)state;
    struct llama_sampler *sampler = make_llama("{\"top_p\": 0.9, \"seed\": 8}");
    pluck_token first = step_llama(sampler, 1);
    llama_engine_reset(sampler);

    fill_candidates();
    f.data[5].logit = NAN;
    expect_untouched(sampler);
    expect_failure(sampler, PLUCK_ERR_NAN, "token 5");

    fill_candidates();
    f.data[9].id = N_VOCAB;
    expect_untouched(sampler);
    expect_failure(sampler, PLUCK_ERR_INVALID, "is outside [0, 4499]");
    f.data[9].id = -1;
    expect_untouched(sampler);
    expect_failure(sampler, PLUCK_ERR_INVALID, "is outside [0, 4499]");

    f.data[9].id = 700;
    expect_untouched(sampler);
    expect_failure(sampler, PLUCK_ERR_INVALID, "token 700 comes twice");

    f.candidates.size = 0;
    expect_untouched(sampler);
    expect_failure(sampler, PLUCK_ERR_EMPTY, "-inf");

    llama_engine_accept(sampler, N_VOCAB);
    llama_engine_accept(sampler, -1);
    expect_failure(sampler, PLUCK_ERR_INVALID, "token 4500");

    /* Nothing of this is left behind. */
    assert_int_equal(first, step_llama(sampler, 1));
    llama_engine_free(sampler);
}

static void the_direct_path_fails_with_minus_one(void **state)
{
    (void)state;
    struct llama_context *ctx = (struct llama_context *)&f;
    struct llama_sampler *sampler = make_llama("{\"seed\": 9}");
    fill_logits(1);
    llama_engine_set_logits(f.logits, 1, N_VOCAB);
    assert_int_equal(-1, pluck_llama_sample(sampler, ctx, 3));
    expect_failure(sampler, PLUCK_ERR_INVALID, "no logits");
    llama_engine_set_logits(f.logits, 1, N_VOCAB - 1);
    assert_int_equal(-1, pluck_llama_sample(sampler, ctx, -1));
    expect_failure(sampler, PLUCK_ERR_INVALID, "4499 logits");
    llama_engine_set_logits(f.logits, 1, N_VOCAB);
    f.logits[4] = INFINITY;
    assert_int_equal(-1, pluck_llama_sample(sampler, ctx, -1));
    expect_failure(sampler, PLUCK_ERR_NAN, "token 4");
    assert_int_equal(-1, pluck_llama_sample(NULL, ctx, -1));
    assert_int_equal(-1, pluck_llama_sample(sampler, NULL, -1));
    assert_int_equal(0, pluck_sampler_position(pluck_llama_sampler_get(sampler)));
    llama_engine_free(sampler);
}

static void what_cannot_be_made_is_null(void **state)
{
    (void)state;
    pluck_error err = {.status = PLUCK_OK};
    pluck_sampler *none = NULL;
    assert_null(pluck_llama_sampler_init("{\"top_q\": 1}", N_VOCAB));
    assert_null(pluck_llama_sampler_init(NULL, N_VOCAB));
    assert_null(pluck_llama_sampler_init("{}", 0));
    assert_null(pluck_llama_sampler_init("{}", -5));
    assert_null(pluck_llama_sampler_wrap(&none, &err));
    assert_int_equal(PLUCK_ERR_INVALID, err.status);
    assert_null(pluck_llama_sampler_wrap(NULL, NULL));
}

static void a_wrapped_sampler_keeps_its_options(void **state)
{
    (void)state;
    pluck_sampler *twin = make_pluck("{\"seed\": 11}");
    pluck_sampler *wrapped = make_pluck("{\"seed\": 11}");
    assert_int_equal(PLUCK_OK, pluck_sampler_start(twin, 11, 77, NULL));
    assert_int_equal(PLUCK_OK, pluck_sampler_start(wrapped, 11, 77, NULL));
    pluck_sampler *inside = wrapped;
    struct llama_sampler *sampler = pluck_llama_sampler_wrap(&wrapped, NULL);
    assert_non_null(sampler);
    assert_null(wrapped);
    assert_ptr_equal(inside, pluck_llama_sampler_get(sampler));
    assert_string_equal("pluck", llama_engine_name(sampler));
    fill_logits(1);
    pluck_token expected = sample_pluck(twin);
    assert_int_equal(expected, step_llama(sampler, 1));
    llama_engine_free(sampler);
    pluck_sampler_destroy(&twin);
}

static const char *other_name(const struct llama_sampler *sampler)
{
    (void)sampler;
    return "top-k";
}

static void samplers_of_others_are_told_apart(void **state)
{
    (void)state;
    struct llama_sampler_i table = {.name = other_name};
    struct llama_sampler other = {&table, &table};
    assert_null(pluck_llama_sampler_get(&other));
    assert_null(pluck_llama_sampler_get(NULL));
    assert_int_equal(-1, pluck_llama_sample(&other, (struct llama_context *)&f, -1));
    assert_int_equal(PLUCK_ERR_INVALID, pluck_llama_sampler_error(&other, NULL));
    table.name = NULL;
    assert_null(pluck_llama_sampler_get(&other));
}

#if LLAMA_STAND_IN >= 202608
static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x > y ? -1 : x < y;
}

static void ban_all_but_the_best(size_t n)
{
    static float sorted[N_VOCAB];
    memcpy(sorted, f.logits, sizeof sorted);
    qsort(sorted, N_VOCAB, sizeof *sorted, descending);
    for (size_t i = 0; i < N_VOCAB; i++)
        if (f.logits[i] < sorted[n - 1])
            f.logits[i] = -INFINITY;
}

/* The token of one apply of a chain, which is accepted. */
static pluck_token step_chain(struct llama_sampler *chain, uint64_t seed, size_t n)
{
    pluck_token token = step_llama(chain, seed);
    assert_in_range(f.candidates.size, 1, n);
    return token;
}

static void in_a_real_chain_it_works_behind_other_samplers(void **state)
{
    (void)state;
    if (!llama_engine_is_real())
        skip();
    struct llama_sampler *chain = llama_engine_chain();
    const char *json = "{\"seed\": 12, \"top_p\": 0.9, \"repeat_penalty\": 1.2}";
    pluck_sampler *twin = make_pluck(json);
    llama_engine_chain_add(chain, llama_engine_top_k(20));
    llama_engine_chain_add(chain, make_llama(json));
    for (uint64_t step = 0; step < N_STEPS; step++) {
        pluck_token token = step_chain(chain, step, 20);
        ban_all_but_the_best(20);
        assert_int_equal(sample_pluck(twin), token);
        assert_int_equal(PLUCK_OK, pluck_sampler_accept(twin, token, NULL));
    }
    struct llama_sampler *clone = llama_engine_clone(chain);
    pluck_token tokens[N_STEPS];
    for (uint64_t step = 0; step < N_STEPS; step++)
        tokens[step] = step_chain(chain, 100 + step, 20);
    llama_engine_copy(clone, chain);
    for (uint64_t step = 0; step < N_STEPS; step++) {
        assert_int_equal(tokens[step], step_chain(clone, 100 + step, 20));
        assert_int_equal(tokens[step], step_chain(chain, 100 + step, 20));
    }
    llama_engine_free(clone);
    llama_engine_free(chain);
    pluck_sampler_destroy(&twin);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apply_gives_the_sampler_s_token_and_distribution),
        cmocka_unit_test(candidates_already_truncated_are_a_row_with_bans),
        cmocka_unit_test(the_direct_path_gives_the_same_tokens),
        cmocka_unit_test(reset_starts_the_same_sequence_again),
        cmocka_unit_test(what_is_accepted_before_the_first_draw_is_the_prompt),
        cmocka_unit_test(what_is_accepted_after_a_draw_is_generated),
        cmocka_unit_test(reset_draws_another_random_seed),
        cmocka_unit_test(a_clone_goes_on_alone),
        cmocka_unit_test(failures_select_nothing_and_can_be_asked_for),
        cmocka_unit_test(the_direct_path_fails_with_minus_one),
        cmocka_unit_test(what_cannot_be_made_is_null),
        cmocka_unit_test(a_wrapped_sampler_keeps_its_options),
        cmocka_unit_test(samplers_of_others_are_told_apart),
#if LLAMA_STAND_IN >= 202608
        cmocka_unit_test(in_a_real_chain_it_works_behind_other_samplers),
#endif
    };
    llama_engine_open();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    llama_engine_close();
    return n_failed;
}
