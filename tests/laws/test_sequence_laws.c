/*
 * Why: a sampler carries state from token to token, keeps only part of the history, and undoes
 * accepts by arithmetic. However it got where it is, it must be what a new sampler is that accepted
 * the same tokens: same distribution bits, same token. Random walks of accepting, rewinding,
 * cloning, saving, loading, resetting and sampling are compared with that new sampler at every
 * step, for chains of stages that come from the registry's tables.
 */
#include "stages/stage_impl.h"
#include "support/cases.h"
#include "support/config_parts.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/stage_cases.h"
#include "support/token_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 130, MAX_HISTORY = 600, N_STEPS = 40 };

typedef struct walk {
    stage_text json;
    uint32_t n_vocab;
    uint32_t max_rewind;
    uint64_t keep_history;
    uint64_t stream;
    pluck_isa isa;
    float logits[MAX_VOCAB];
    bool learns; /* the draw: what it drew and what was accepted matters, not only the history */
    pluck_token history[MAX_HISTORY]; /* what the sampler under test should have accepted */
    bool is_prompt[MAX_HISTORY];
    size_t n_history;
    size_t n_longest; /* the longest history since the last reset: what it can rewind from */
    test_random random;
} walk;

static pluck_logits logits_of(const walk *w)
{
    return (pluck_logits){w->logits, PLUCK_F32, w->n_vocab};
}

static pluck_sampler *new_sampler(const walk *w)
{
    pluck_config *config = test_config(w->json.text);
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .isa = w->isa,
                                     .stream = w->stream,
                                     .max_rewind = w->max_rewind,
                                     .keep_history = w->keep_history,
                                     .token_text = test_token_text};
    assert_int_equal(pluck_sampler_create(&sampler, config, w->n_vocab, &options, NULL), PLUCK_OK);
    pluck_config_destroy(&config);
    return sampler;
}

static bool same_draw(const pluck_draw *a, const pluck_draw *b)
{
    return a->token == b->token && a->n_survivors == b->n_survivors &&
           memcmp(&a->logprob, &b->logprob, sizeof a->logprob) == 0;
}

/* Many draws at once are those of as many positions; the sampler stays where it is. */
static bool many_draws_equal(const walk *w, pluck_sampler *sampler)
{
    enum { N = 5 };
    uint64_t position = pluck_sampler_position(sampler);
    pluck_draw many[N], one = {.token = -1};
    assert_int_equal(pluck_sampler_draw_many(sampler, logits_of(w), N, many, NULL), PLUCK_OK);
    if (pluck_sampler_position(sampler) != position)
        return test_case_failed("drawing many moved the position");
    bool equal = true;
    for (uint64_t i = 0; i < N && equal; i++) {
        pluck_sampler_set_position(sampler, position + i, NULL);
        pluck_sampler_draw(sampler, logits_of(w), &one, NULL);
        equal = same_draw(many + i, &one);
    }
    pluck_sampler_set_position(sampler, position, NULL);
    return equal || test_case_failed("draw %d of many differs from the draw alone", one.token);
}

/* Compares all that two samplers can be asked; sampling twice gives the same token. */
static bool samplers_equal(const walk *w, pluck_sampler *a, pluck_sampler *b)
{
    pluck_sampler_info info_a = test_info_of(a), info_b = test_info_of(b);
    if (info_a.position != info_b.position || info_a.stream != info_b.stream ||
        info_a.seed != info_b.seed || info_a.n_prompt != info_b.n_prompt)
        return test_case_failed("position, stream or seed differ");
    pluck_token first = -1, again = -1;
    pluck_draw draw_a = {.token = -2}, draw_b = {.token = -2};
    pluck_status status = pluck_sampler_sample(a, logits_of(w), &first, NULL);
    if (pluck_sampler_draw(a, logits_of(w), &draw_a, NULL) != status ||
        pluck_sampler_sample(a, logits_of(w), &again, NULL) != status || again != first)
        return test_case_failed("sampling twice gave %d, then %d", first, again);
    if (pluck_sampler_draw(b, logits_of(w), &draw_b, NULL) != status ||
        !same_draw(&draw_a, &draw_b) || (status == PLUCK_OK && draw_a.token != first))
        return test_case_failed("sample gave token %d, draw %d, and the new sampler %d", first,
                                draw_a.token, draw_b.token);
    if (status == PLUCK_OK && !many_draws_equal(w, a))
        return false;
    test_distribution of_a = test_distribution_of(a, logits_of(w));
    test_distribution of_b = test_distribution_of(b, logits_of(w));
    bool equal = of_a.status == status && test_distribution_equal(&of_a, &of_b);
    test_distribution_free(&of_a);
    test_distribution_free(&of_b);
    return equal || test_case_failed("the distributions differ");
}

/* Accepts a token, or for a draw that learns, after sampling, what was drawn every other time. */
static pluck_token accept_one(const walk *w, pluck_sampler *sampler, pluck_token token,
                              bool take_drawn)
{
    pluck_token drawn = token;
    if (w->learns && pluck_sampler_sample(sampler, logits_of(w), &drawn, NULL) == PLUCK_OK &&
        take_drawn)
        token = drawn;
    assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
    return token;
}

/* What step i of the history was, again. */
static void accept_again(const walk *w, pluck_sampler *sampler, size_t i)
{
    if (w->is_prompt[i])
        assert_int_equal(pluck_sampler_prompt(sampler, w->history + i, 1, NULL), PLUCK_OK);
    else
        accept_one(w, sampler, w->history[i], false);
}

/* The tokens that the sampler holds are the last ones. */
static bool history_is_true(const walk *w, const pluck_sampler *sampler)
{
    pluck_token held[MAX_HISTORY];
    size_t n = pluck_sampler_history(sampler, held, MAX_HISTORY);
    return (n <= w->n_history &&
            memcmp(held, w->history + (w->n_history - n), n * sizeof *held) == 0) ||
           test_case_failed("the history differs");
}

static bool is_as_new(const walk *w, pluck_sampler *sampler)
{
    pluck_sampler *fresh = new_sampler(w);
    for (size_t i = 0; i < w->n_history; i++)
        accept_again(w, fresh, i);
    bool equal = history_is_true(w, sampler) && samplers_equal(w, sampler, fresh);
    pluck_sampler_destroy(&fresh);
    return equal || test_case_failed("after %zu tokens", w->n_history);
}

/* Mostly few different tokens, so that they repeat. */
static void accept_some(walk *w, pluck_sampler *sampler, size_t n)
{
    for (size_t i = 0; i < n && w->n_history < MAX_HISTORY; i++) {
        size_t range = test_random_below(&w->random, 4) && w->n_vocab > 5 ? 5 : w->n_vocab;
        pluck_token token = (pluck_token)test_random_below(&w->random, range);
        bool is_prompt = test_random_below(&w->random, 12) == 0;
        w->is_prompt[w->n_history] = is_prompt;
        w->history[w->n_history] = token;
        if (is_prompt)
            accept_again(w, sampler, w->n_history);
        else
            w->history[w->n_history] =
                accept_one(w, sampler, token, test_random_below(&w->random, 2) == 0);
        w->n_history++;
    }
    if (w->n_history > w->n_longest)
        w->n_longest = w->n_history;
}

/* As many as max_rewind allows counting from the longest history, which is always possible. */
static void rewind_some(walk *w, pluck_sampler *sampler)
{
    size_t undone = w->n_longest - w->n_history;
    size_t most = w->max_rewind > undone ? w->max_rewind - undone : 0;
    if (most > w->n_history)
        most = w->n_history;
    size_t n = test_random_below(&w->random, 3) ? test_random_below(&w->random, most + 1) : most;
    assert_int_equal(pluck_sampler_rewind(sampler, (uint32_t)n, NULL), PLUCK_OK);
    w->n_history -= n;
}

/* The copy goes on alone; neither it nor the original notices the other. */
static bool clone_is_independent(walk *w, pluck_sampler *sampler)
{
    pluck_sampler *copy = NULL;
    assert_int_equal(pluck_sampler_clone(&copy, sampler, NULL), PLUCK_OK);
    bool holds = samplers_equal(w, copy, sampler);
    walk of_copy = *w;
    accept_some(&of_copy, copy, 1 + test_random_below(&w->random, 9));
    rewind_some(&of_copy, copy);
    holds = holds && is_as_new(&of_copy, copy) && is_as_new(w, sampler);
    accept_some(w, sampler, 2);
    holds = holds && is_as_new(&of_copy, copy) && is_as_new(w, sampler);
    pluck_sampler_destroy(&copy);
    return holds && is_as_new(w, sampler);
}

static unsigned char *saved_bytes(const pluck_sampler *sampler, size_t *n_bytes)
{
    assert_int_equal(pluck_sampler_save(sampler, NULL, 0, n_bytes, NULL), PLUCK_OK);
    unsigned char *bytes = malloc(*n_bytes);
    size_t again = 0;
    assert_non_null(bytes);
    assert_int_equal(pluck_sampler_save(sampler, bytes, *n_bytes, &again, NULL), PLUCK_OK);
    assert_int_equal(again, *n_bytes);
    return bytes;
}

/* A sampler of another stream that was somewhere else takes the place of the one that was saved,
 * and is saved as the same bytes. */
static bool loaded_takes_over(walk *w, pluck_sampler **sampler)
{
    size_t n_bytes = 0, n_again = 0;
    unsigned char *bytes = saved_bytes(*sampler, &n_bytes);
    walk elsewhere = *w;
    elsewhere.stream++;
    elsewhere.n_history = elsewhere.n_longest = 0;
    pluck_sampler *other = new_sampler(&elsewhere);
    accept_some(&elsewhere, other, test_random_below(&w->random, 30));
    pluck_error err = {.message = ""};
    if (pluck_sampler_restore(other, bytes, n_bytes, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    unsigned char *again = saved_bytes(other, &n_again);
    bool same = n_again == n_bytes && memcmp(again, bytes, n_bytes) == 0;
    free(bytes);
    free(again);
    pluck_sampler_destroy(sampler);
    *sampler = other;
    return (same || test_case_failed("loaded, it is saved as other bytes")) && is_as_new(w, other);
}

static bool step(walk *w, pluck_sampler **sampler)
{
    switch (test_random_below(&w->random, 14)) {
    case 12:
    case 13:
        return loaded_takes_over(w, sampler) || test_case_failed("saving and loading");
    case 0:
        return clone_is_independent(w, *sampler) || test_case_failed("cloning");
    case 1: { /* the clone takes the place of the original */
        pluck_sampler *copy = NULL;
        assert_int_equal(pluck_sampler_clone(&copy, *sampler, NULL), PLUCK_OK);
        pluck_sampler_destroy(sampler);
        *sampler = copy;
        return is_as_new(w, *sampler) || test_case_failed("destroying the original of a clone");
    }
    case 2:
        if (test_random_below(&w->random, 3) == 0) {
            assert_int_equal(pluck_sampler_reset(*sampler, NULL), PLUCK_OK);
            w->n_history = w->n_longest = 0;
        }
        return is_as_new(w, *sampler) || test_case_failed("resetting");
    case 3:
        if (test_random_below(&w->random, 3) == 0) {
            w->stream = test_random_bits(&w->random);
            test_start_stream(*sampler, w->stream);
            w->n_history = w->n_longest = 0;
        }
        return is_as_new(w, *sampler) || test_case_failed("changing the stream");
    case 4:
    case 5:
    case 6:
        rewind_some(w, *sampler);
        return is_as_new(w, *sampler) || test_case_failed("rewinding");
    case 7:
        accept_some(w, *sampler, test_random_below(&w->random, 100));
        return is_as_new(w, *sampler) || test_case_failed("accepting many");
    default:
        accept_some(w, *sampler, test_random_below(&w->random, 8));
        return is_as_new(w, *sampler) || test_case_failed("accepting");
    }
}

static void begin_walk(walk *w, uint64_t seed, pluck_isa isa)
{
    w->random = test_random_make(seed);
    w->n_vocab = 1 + (uint32_t)test_random_below(&w->random, MAX_VOCAB);
    w->isa = isa;
    w->stream = test_random_below(&w->random, 3);
    w->n_history = w->n_longest = 0;
    w->learns = false;
    static const uint32_t max_rewinds[] = {1, 5, 16, 100, 0};
    w->max_rewind = max_rewinds[test_random_below(&w->random, 5)];
    static const uint64_t keep_histories[] = {0, 10, 300, UINT64_MAX};
    w->keep_history = keep_histories[test_random_below(&w->random, 4)];
    logit_fill(LOGITS_GRID, seed, w->n_vocab, w->logits);
    stage_begin(&w->json, seed);
}

static bool finish_walk(walk *w)
{
    pluck_sampler *sampler = new_sampler(w);
    w->max_rewind = w->max_rewind ? w->max_rewind : PLUCK_DEFAULT_MAX_REWIND;
    bool holds = is_as_new(w, sampler);
    for (int i = 0; i < N_STEPS && holds; i++)
        holds = step(w, &sampler);
    pluck_sampler_destroy(&sampler);
    return holds || test_case_failed("%s, max_rewind %u", w->json.text, w->max_rewind);
}

/* Chains of up to three stages; seed % the number of stages decides the first of them. */
static bool walk_is_as_new(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    walk w;
    begin_walk(&w, seed, isa);
    const pluck_stage *draw = NULL;
    size_t n_stages = 1 + test_random_below(&w.random, 3), n_added = 0;
    for (size_t i = 0; i < n_stages; i++) {
        size_t index = i == 0 ? (size_t)seed : (size_t)test_random_bits(&w.random);
        const pluck_stage *stage = pluck_stage_at(index % n_known_stages());
        if (stage->kind == PLUCK_STAGE_DRAW) {
            draw = stage;
            continue;
        }
        stage_text_add(&w.json, n_added++ ? ", " : "");
        stage_add_random(&w.json, stage,
                         test_random_below(&w.random, 2) ? STAGE_ANY : STAGE_MODERATE,
                         (stage_tokens){w.n_vocab, NULL}, &w.random);
    }
    w.learns = draw && plk_stage_of(draw)->observe;
    stage_end(&w.json, draw);
    return finish_walk(&w);
}

static void any_walk_ends_where_a_new_sampler_would_be(void **state)
{
    (void)state;
    test_cases_run("any_walk_ends_where_a_new_sampler_would_be", 1, 400, walk_is_as_new, NULL);
}

/* Windows of penalties around what the ring keeps, and the whole history. */
static bool window_walk_is_as_new(uint64_t seed, pluck_isa isa, const void *context)
{
    static const int windows[] = {-1, 1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 100, 590, 700};
    (void)context;
    walk w;
    begin_walk(&w, seed, isa);
    int last_n = windows[seed % (sizeof windows / sizeof *windows)];
    stage_text_add(
        &w.json,
        "{\"type\": \"penalties\", \"last_n\": %d, \"repeat\": 1.3, \"frequency\": 0.25, "
        "\"presence\": 0.5, \"ignore_prompt\": %s}",
        last_n, seed % 3 ? "false" : "true");
    stage_end(&w.json, NULL);
    return finish_walk(&w);
}

static void windows_of_penalties_survive_any_walk(void **state)
{
    (void)state;
    test_cases_run("windows_of_penalties_survive_any_walk", 1, 280, window_walk_is_as_new, NULL);
}

/* A prompt in front, and prompts in between, leave no trace in penalties that ignore them. */
static bool prompt_is_ignored(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    walk w;
    begin_walk(&w, seed, isa);
    stage_text_add(
        &w.json,
        "{\"type\": \"penalties\", \"last_n\": %d, \"repeat\": 1.3, \"frequency\": 0.25, "
        "\"ignore_prompt\": true}",
        (int)test_random_below(&w.random, 40) - 1);
    stage_end(&w.json, NULL);
    pluck_sampler *with = new_sampler(&w), *without = new_sampler(&w);
    size_t n_before = test_random_below(&w.random, 100), n = test_random_below(&w.random, 60);
    for (size_t i = 0; i < n_before + n; i++) {
        pluck_token token = (pluck_token)test_random_below(&w.random, w.n_vocab);
        if (i >= n_before)
            pluck_sampler_accept(without, token, NULL);
        if (i + 1 == n_before || (i < n_before && test_random_below(&w.random, 2)))
            pluck_sampler_prompt(with, &token, 1, NULL);
        else
            pluck_sampler_accept(with, token, NULL);
    }
    test_distribution a = test_distribution_of(with, logits_of(&w));
    test_distribution b = test_distribution_of(without, logits_of(&w));
    bool equal = test_distribution_equal(&a, &b) ||
                 test_case_failed("%s: %zu tokens up to a prompt's last, then %zu", w.json.text,
                                  n_before, n);
    test_distribution_free(&a);
    test_distribution_free(&b);
    pluck_sampler_destroy(&with);
    pluck_sampler_destroy(&without);
    return equal;
}

static void an_ignored_prompt_leaves_no_trace(void **state)
{
    (void)state;
    test_cases_run("an_ignored_prompt_leaves_no_trace", 1, 200, prompt_is_ignored, NULL);
}

/* Longer than the buffers that a whole history starts with, all the way there and back. */
static void a_whole_history_rewinds_to_its_beginning(void **state)
{
    (void)state;
    enum { LENGTH = 5000, VOCAB = 900 };
    float x[VOCAB];
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 5, VOCAB, x);
    pluck_logits logits = {x, PLUCK_F32, VOCAB};
    pluck_config *config =
        test_config("{\"repeat_penalty\": 1.5, \"repeat_last_n\": -1, \"frequency_penalty\": 0.1}");
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {.struct_size = sizeof options, .max_rewind = LENGTH};
    assert_int_equal(pluck_sampler_create(&sampler, config, VOCAB, &options, NULL), PLUCK_OK);
    pluck_config_destroy(&config);
    test_distribution before[LENGTH / 500];
    for (int i = 0; i < LENGTH; i++) {
        if (i % 500 == 0)
            before[i / 500] = test_distribution_of(sampler, logits);
        assert_int_equal(pluck_sampler_accept(sampler, i * 7 % VOCAB, NULL), PLUCK_OK);
    }
    for (int i = LENGTH - 500; i >= 0; i -= 500) {
        assert_int_equal(pluck_sampler_rewind(sampler, 500, NULL), PLUCK_OK);
        test_distribution now = test_distribution_of(sampler, logits);
        assert_true(test_distribution_equal(&now, before + i / 500));
        test_distribution_free(&now);
        test_distribution_free(before + i / 500);
    }
    assert_int_equal(pluck_sampler_position(sampler), 0);
    pluck_sampler_destroy(&sampler);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_walk_ends_where_a_new_sampler_would_be),
        cmocka_unit_test(windows_of_penalties_survive_any_walk),
        cmocka_unit_test(an_ignored_prompt_leaves_no_trace),
        cmocka_unit_test(a_whole_history_rewinds_to_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
