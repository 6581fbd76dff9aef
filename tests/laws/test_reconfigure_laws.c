/*
 * Why: a server changes the parameters of a sequence that is under way. Whatever came before, the
 * sampler must then be one that always had the new configuration, and stay that through accepting,
 * rewinding past the change, saving and cloning. Random sequences of these, with random chains and
 * stages of the application, are compared with a new sampler at every step. What a draw has learnt
 * is not in the history: it has tests of its own here.
 *
 * The environment variable PLUCK_CASES gives the number of sequences.
 */
#include "sampler/sampler_impl.h"
#include "support/cases.h"
#include "support/config_parts.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/stage_cases.h"
#include "support/token_texts.h"

#include <pluck/stage.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 130, MAX_HISTORY = 700, N_STEPS = 14, N_CONFIGS = 3 };

/*
 * A stage of the application: lowers the tokens of its window by how often they occur there. It
 * counts them as they come and go, and compares the counts with the tokens that it can look at.
 */

typedef struct recent_params {
    int64_t n;
} recent_params;

typedef struct recent_state {
    uint32_t n_vocab;
    int counts[MAX_VOCAB];
} recent_state;

static size_t recent_window(const void *params)
{
    int64_t n = ((const recent_params *)params)->n;
    return n < 0 ? SIZE_MAX : (size_t)n;
}

static size_t recent_max_edits(const void *params, uint32_t n_vocab)
{
    (void)params;
    return n_vocab;
}

static pluck_status recent_create(void **state, const void *params, uint32_t n_vocab,
                                  uint32_t max_rewind, pluck_error *err)
{
    (void)params;
    (void)max_rewind;
    (void)err;
    recent_state *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->n_vocab = n_vocab;
    *state = s;
    return PLUCK_OK;
}

static pluck_status recent_clone(void **out, const void *state, pluck_error *err)
{
    pluck_status status = recent_create(out, NULL, 0, 0, err);
    memcpy(*out, state, sizeof(recent_state));
    return status;
}

static void recent_reset(void *state)
{
    memset(((recent_state *)state)->counts, 0, sizeof((recent_state *)state)->counts);
}

/* The first token enters the window or leaves it, and the one behind the window does the
 * opposite. */
static void recent_change(const void *params, void *state, const pluck_context *context, int by)
{
    int *counts = ((recent_state *)state)->counts;
    size_t window = recent_window(params);
    assert_true(pluck_context_n_history(context) - 1 <= window);
    counts[pluck_context_token(context, 0)] += by;
    if (pluck_context_n_history(context) > window)
        counts[pluck_context_token(context, window)] -= by;
}

static void recent_accept(const void *params, void *state, const pluck_context *context)
{
    recent_change(params, state, context, 1);
}

static void recent_rewind(const void *params, void *state, const pluck_context *context)
{
    recent_change(params, state, context, -1);
}

static size_t recent_save(const void *params, const void *state, void *bytes, size_t capacity)
{
    (void)params;
    if (capacity >= sizeof(recent_state))
        memcpy(bytes, state, sizeof(recent_state));
    return sizeof(recent_state);
}

static pluck_status recent_load(const void *params, void *state, const void *bytes, size_t n,
                                pluck_error *err)
{
    (void)params;
    (void)err;
    if (n != sizeof(recent_state))
        return PLUCK_ERR_FORMAT;
    memcpy(state, bytes, n);
    return PLUCK_OK;
}

static double recent_lower(void *user, pluck_token token, double logit)
{
    return logit - 0.5 * ((const recent_state *)user)->counts[token];
}

static pluck_status recent_apply(const void *params, void *state, pluck_view *view,
                                 const pluck_context *context, pluck_error *err)
{
    recent_state seen = {.n_vocab = ((const recent_state *)state)->n_vocab};
    size_t n_visible = pluck_context_n_history(context), n = 0;
    assert_true(n_visible <= recent_window(params));
    for (size_t age = 0; age < n_visible; age++)
        seen.counts[pluck_context_token(context, age)]++;
    assert_memory_equal(&seen, state, sizeof seen);
    pluck_token tokens[MAX_VOCAB];
    for (uint32_t t = 0; t < seen.n_vocab; t++)
        if (seen.counts[t] > 0)
            tokens[n++] = (pluck_token)t;
    return pluck_view_edit(view, tokens, n, recent_lower, &seen, err);
}

static const pluck_param recent_table[] = {{"n", NULL, PLUCK_PARAM_INTEGER, 0, -1, 1000, 10,
                                            (double)NAN, "the window", offsetof(recent_params, n)}};

static const pluck_custom_stage recent_stage = {
    .struct_size = sizeof recent_stage,
    .info = {.name = "recent",
             .kind = PLUCK_STAGE_REWEIGHT,
             .params = recent_table,
             .n_params = 1,
             .params_size_bytes = sizeof(recent_params)},
    .window = recent_window,
    .max_edits = recent_max_edits,
    .apply = recent_apply,
    .create = recent_create,
    .destroy = free,
    .clone = recent_clone,
    .reset = recent_reset,
    .accept = recent_accept,
    .rewind = recent_rewind,
    .save = recent_save,
    .load = recent_load,
};

typedef struct walk {
    stage_text json[N_CONFIGS];
    pluck_config *configs[N_CONFIGS];
    size_t now; /* the configuration that the sampler has */
    uint32_t n_vocab;
    uint32_t max_rewind;
    uint64_t keep_history;
    pluck_isa isa;
    float logits[MAX_VOCAB];
    pluck_token history[MAX_HISTORY];
    bool is_prompt[MAX_HISTORY];
    size_t n_history;
    size_t n_longest; /* since the sequence began */
    test_random random;
    pluck_sampler *sampler;
} walk;

static pluck_logits logits_of(const walk *w)
{
    return (pluck_logits){w->logits, PLUCK_F32, w->n_vocab};
}

static pluck_sampler *new_sampler(const walk *w, uint64_t keep_history)
{
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .isa = w->isa,
                                     .stream = 5,
                                     .max_rewind = w->max_rewind,
                                     .keep_history = keep_history,
                                     .token_text = test_token_text};
    pluck_error err = {.message = ""};
    if (pluck_sampler_create(&sampler, w->configs[w->now], w->n_vocab, &options, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    test_start_stream(sampler, 5);
    assert_int_equal(pluck_sampler_start(sampler, 9, 5, NULL), PLUCK_OK);
    return sampler;
}

static void accept_at(const walk *w, pluck_sampler *sampler, size_t i)
{
    assert_int_equal(w->is_prompt[i] ? pluck_sampler_prompt(sampler, w->history + i, 1, NULL)
                                     : pluck_sampler_accept(sampler, w->history[i], NULL),
                     PLUCK_OK);
}

/* Same distribution bits, same draw; the samplers themselves draw nothing. */
static bool samplers_equal(const walk *w, pluck_sampler *a, pluck_sampler *b)
{
    pluck_sampler_info info_a = test_info_of(a), info_b = test_info_of(b);
    if (info_a.position != info_b.position || info_a.stream != info_b.stream ||
        info_a.seed != info_b.seed || info_a.n_prompt != info_b.n_prompt)
        return test_case_failed("position, stream, seed or prompt differ");
    test_distribution of_a = test_distribution_of(a, logits_of(w));
    test_distribution of_b = test_distribution_of(b, logits_of(w));
    bool equal = test_distribution_equal(&of_a, &of_b);
    pluck_sampler *copy_a = NULL, *copy_b = NULL;
    assert_int_equal(pluck_sampler_clone(&copy_a, a, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_clone(&copy_b, b, NULL), PLUCK_OK);
    pluck_draw draw_a = {.token = -1}, draw_b = {.token = -1};
    equal = equal && pluck_sampler_draw(copy_a, logits_of(w), &draw_a, NULL) ==
                         pluck_sampler_draw(copy_b, logits_of(w), &draw_b, NULL);
    equal = equal && draw_a.token == draw_b.token && draw_a.n_survivors == draw_b.n_survivors;
    pluck_sampler_destroy(&copy_a);
    pluck_sampler_destroy(&copy_b);
    test_distribution_free(&of_a);
    test_distribution_free(&of_b);
    return equal || test_case_failed("the distributions or the draws differ");
}

/* As a sampler that always had this configuration. */
static bool is_as_new(const walk *w)
{
    pluck_token held[MAX_HISTORY];
    size_t n_held = pluck_sampler_history(w->sampler, held, MAX_HISTORY);
    if (n_held > w->n_history ||
        memcmp(held, w->history + (w->n_history - n_held), n_held * sizeof *held) != 0)
        return test_case_failed("the history differs");
    pluck_sampler *fresh = new_sampler(w, w->keep_history);
    for (size_t i = 0; i < w->n_history; i++)
        accept_at(w, fresh, i);
    bool equal = samplers_equal(w, w->sampler, fresh);
    pluck_sampler_destroy(&fresh);
    return equal;
}

static void accept_some(walk *w, size_t n)
{
    for (size_t i = 0; i < n && w->n_history < MAX_HISTORY; i++) {
        size_t range = test_random_below(&w->random, 4) && w->n_vocab > 5 ? 5 : w->n_vocab;
        w->history[w->n_history] = (pluck_token)test_random_below(&w->random, range);
        w->is_prompt[w->n_history] = test_random_below(&w->random, 12) == 0;
        accept_at(w, w->sampler, w->n_history++);
    }
    w->n_longest = w->n_history > w->n_longest ? w->n_history : w->n_longest;
}

/* Rewinding is possible as far as max_rewind says and the stages have their windows. */
static bool rewind_some(walk *w)
{
    size_t undone = w->n_longest - w->n_history, window = w->sampler->window;
    size_t n_held = pluck_sampler_history(w->sampler, NULL, 0);
    size_t most = w->max_rewind > undone ? w->max_rewind - undone : 0;
    if (n_held < w->n_history)
        most = n_held < window ? 0 : most < n_held - window ? most : n_held - window;
    most = most < w->n_history ? most : w->n_history;
    size_t n = test_random_below(&w->random, 3) ? test_random_below(&w->random, most + 1) : most;
    if (pluck_sampler_rewind(w->sampler, (uint32_t)most + 1, NULL) != PLUCK_ERR_INVALID ||
        pluck_sampler_rewind(w->sampler, (uint32_t)n, NULL) != PLUCK_OK)
        return test_case_failed("%zu of %zu tokens should rewind, and no more than %zu", n,
                                w->n_history, most);
    w->n_history -= n;
    return true;
}

/* Fails exactly if tokens are missing, and then nothing changes. */
static bool reconfigure(walk *w)
{
    size_t before = w->now, n_held = pluck_sampler_history(w->sampler, NULL, 0);
    w->now = test_random_below(&w->random, N_CONFIGS);
    pluck_sampler *example = new_sampler(w, 0);
    bool may_fail = n_held < w->n_history && n_held < example->window;
    pluck_sampler_destroy(&example);
    pluck_error err = {.message = ""};
    pluck_status status = pluck_sampler_reconfigure(w->sampler, w->configs[w->now], &err);
    if (status != (may_fail ? PLUCK_ERR_INVALID : PLUCK_OK))
        return test_case_failed("%s with %zu of %zu tokens", err.message, n_held, w->n_history);
    if (may_fail && !strstr(err.message, "create the sampler with keep_history"))
        return test_case_failed("the message is '%s'", err.message);
    if (may_fail)
        w->now = before;
    return pluck_sampler_history(w->sampler, NULL, 0) == n_held ||
           test_case_failed("the history is shorter");
}

static unsigned char *saved_bytes(const pluck_sampler *sampler, size_t *n_bytes)
{
    assert_int_equal(pluck_sampler_save(sampler, NULL, 0, n_bytes, NULL), PLUCK_OK);
    unsigned char *bytes = malloc(*n_bytes);
    size_t again = 0;
    assert_non_null(bytes);
    assert_int_equal(pluck_sampler_save(sampler, bytes, *n_bytes, &again, NULL), PLUCK_OK);
    return bytes;
}

static bool saved_equal(const pluck_sampler *a, const pluck_sampler *b)
{
    size_t n_a = 0, n_b = 0;
    unsigned char *of_a = saved_bytes(a, &n_a), *of_b = saved_bytes(b, &n_b);
    bool equal = n_a == n_b && memcmp(of_a, of_b, n_a) == 0;
    free(of_a);
    free(of_b);
    return equal;
}

static void park(walk *w)
{
    static const uint64_t keep_histories[] = {0, 10, 300, UINT64_MAX};
    size_t n_bytes = 0;
    unsigned char *bytes = saved_bytes(w->sampler, &n_bytes);
    pluck_sampler_destroy(&w->sampler);
    w->sampler = new_sampler(w, keep_histories[test_random_below(&w->random, 4)]);
    pluck_error err = {.message = ""};
    if (pluck_sampler_restore(w->sampler, bytes, n_bytes, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    free(bytes);
}

static bool step(walk *w)
{
    pluck_sampler *copy = NULL;
    switch (test_random_below(&w->random, 12)) {
    case 0:
        park(w);
        return is_as_new(w) || test_case_failed("saving and restoring");
    case 1:
        assert_int_equal(pluck_sampler_clone(&copy, w->sampler, NULL), PLUCK_OK);
        pluck_sampler_destroy(&w->sampler);
        w->sampler = copy;
        return is_as_new(w) || test_case_failed("cloning");
    case 2:
        if (test_random_below(&w->random, 4) == 0) {
            assert_int_equal(pluck_sampler_reset(w->sampler, NULL), PLUCK_OK);
            w->n_history = w->n_longest = 0;
        }
        return is_as_new(w) || test_case_failed("resetting");
    case 3:
    case 4:
        return (rewind_some(w) && is_as_new(w)) || test_case_failed("rewinding");
    case 5:
        accept_some(w, test_random_below(&w->random, 150));
        return is_as_new(w) || test_case_failed("accepting many");
    case 6:
    case 7:
        accept_some(w, test_random_below(&w->random, 8));
        return is_as_new(w) || test_case_failed("accepting");
    default:
        return (reconfigure(w) && is_as_new(w)) || test_case_failed("reconfiguring");
    }
}

/* Configurations of the same few stages, so that they have some in common, also twice. */
static void make_configs(walk *w, const pluck_registry *registry)
{
    enum { N_PIECES = 4 };
    static const char *const remembering[] = {"penalties", "dry", "no_repeat_ngram"};
    stage_text pieces[N_PIECES];
    const pluck_stage *draws[2] = {NULL, NULL};
    for (size_t i = 0; i < N_PIECES; i++) {
        pieces[i].n = 0;
        const pluck_stage *stage = pluck_stage_at(test_random_below(&w->random, n_known_stages()));
        if (stage->kind == PLUCK_STAGE_DRAW)
            draws[i % 2] = stage;
        if (stage->kind == PLUCK_STAGE_DRAW || test_random_below(&w->random, 2))
            stage = pluck_stage_find(remembering[test_random_below(&w->random, 3)]);
        if (test_random_below(&w->random, 4) == 0)
            stage_text_add(&pieces[i], "{\"type\": \"recent\", \"n\": %d}",
                           (int)test_random_below(&w->random, 60) - 1);
        else
            stage_add_random(&pieces[i], stage,
                             test_random_below(&w->random, 2) ? STAGE_ANY : STAGE_MODERATE,
                             (stage_tokens){w->n_vocab, NULL}, &w->random);
    }
    pluck_config_options options = PLUCK_INIT(pluck_config_options);
    options.registry = registry;
    for (size_t c = 0; c < N_CONFIGS; c++) {
        size_t n = test_random_below(&w->random, 5);
        stage_begin(&w->json[c], test_random_below(&w->random, 1000));
        for (size_t i = 0; i < n; i++)
            stage_text_add(&w->json[c], "%s%s", i ? ", " : "",
                           pieces[test_random_below(&w->random, N_PIECES)].text);
        stage_end(&w->json[c], draws[test_random_below(&w->random, 2)]);
        pluck_error err = {.message = ""};
        if (pluck_config_from_json(&w->configs[c], w->json[c].text, w->json[c].n, &options, &err) !=
            PLUCK_OK)
            fail_msg("%s: %s", w->json[c].text, err.message);
    }
}

static walk begin(uint64_t seed, const pluck_registry *registry)
{
    static const uint32_t max_rewinds[] = {1, 5, 16, 100, PLUCK_DEFAULT_MAX_REWIND};
    static const uint64_t keep_histories[] = {0, 10, 300, UINT64_MAX, UINT64_MAX};
    walk w = {.random = test_random_make(seed)};
    pluck_isa isas[16];
    w.isa = isas[test_random_below(&w.random, test_all_isas(isas))];
    w.n_vocab = 1 + (uint32_t)test_random_below(&w.random, MAX_VOCAB);
    w.max_rewind = max_rewinds[test_random_below(&w.random, 5)];
    w.keep_history = keep_histories[test_random_below(&w.random, 5)];
    logit_fill(LOGITS_GRID, seed, w.n_vocab, w.logits);
    make_configs(&w, registry);
    w.now = test_random_below(&w.random, N_CONFIGS);
    w.sampler = new_sampler(&w, w.keep_history);
    return w;
}

static void end(walk *w)
{
    pluck_sampler_destroy(&w->sampler);
    for (size_t c = 0; c < N_CONFIGS; c++)
        pluck_config_destroy(&w->configs[c]);
}

static bool walk_is_as_new(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa;
    walk w = begin(seed, context);
    bool holds = is_as_new(&w);
    for (int i = 0; i < N_STEPS && holds; i++)
        holds = step(&w);
    if (!holds)
        test_case_failed("%s, %s, %s, max_rewind %u, keep_history %llu, now %zu", w.json[0].text,
                         w.json[1].text, w.json[2].text, w.max_rewind,
                         (unsigned long long)w.keep_history, w.now);
    end(&w);
    return holds;
}

/* At the beginning it is what create makes; to the same configuration it changes no byte; and a
 * configuration that was left and came back is as if it had never been left. */
static bool bytes_are_equal(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa;
    walk w = begin(seed, context);
    size_t a = w.now, b = test_random_below(&w.random, N_CONFIGS);
    w.keep_history = UINT64_MAX;
    pluck_sampler_destroy(&w.sampler);
    w.sampler = new_sampler(&w, UINT64_MAX);
    assert_int_equal(pluck_sampler_reconfigure(w.sampler, w.configs[b], NULL), PLUCK_OK);
    w.now = b;
    pluck_sampler *fresh = new_sampler(&w, UINT64_MAX);
    bool holds = saved_equal(w.sampler, fresh) || test_case_failed("at position 0");
    pluck_sampler_destroy(&fresh);
    w.now = a;
    assert_int_equal(pluck_sampler_reconfigure(w.sampler, w.configs[a], NULL), PLUCK_OK);
    accept_some(&w, test_random_below(&w.random, 500));
    holds = holds && rewind_some(&w);
    pluck_token token = -1;
    bool learns = plk_chain_observes(&w.sampler->chain);
    (void)pluck_sampler_sample(w.sampler, logits_of(&w), &token, NULL);
    pluck_sampler *copy = NULL;
    assert_int_equal(pluck_sampler_clone(&copy, w.sampler, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_reconfigure(copy, w.configs[a], NULL), PLUCK_OK);
    holds = holds && (saved_equal(w.sampler, copy) || test_case_failed("to the same"));
    assert_int_equal(pluck_sampler_reconfigure(copy, w.configs[b], NULL), PLUCK_OK);
    learns |= plk_chain_observes(&copy->chain);
    assert_int_equal(pluck_sampler_reconfigure(copy, w.configs[a], NULL), PLUCK_OK);
    holds = holds && (learns || saved_equal(w.sampler, copy) || test_case_failed("there and back"));
    pluck_sampler_destroy(&copy);
    if (!holds)
        test_case_failed("%s, then %s", w.json[a].text, w.json[b].text);
    end(&w);
    return holds;
}

static uint64_t n_cases(uint64_t n)
{
    const char *text = getenv("PLUCK_CASES");
    return text ? strtoull(text, NULL, 10) : n;
}

static void a_reconfigured_sampler_is_as_if_it_always_had_been(void **state)
{
    test_cases_run_once("a_reconfigured_sampler_is_as_if_it_always_had_been", 1, n_cases(1500),
                        walk_is_as_new, *state);
}

static void there_and_back_changes_no_byte(void **state)
{
    test_cases_run_once("there_and_back_changes_no_byte", 1, n_cases(1000), bytes_are_equal,
                        *state);
}

static int make_registry(void **state)
{
    pluck_registry *registry = NULL;
    assert_int_equal(pluck_registry_create(&registry, NULL, NULL), PLUCK_OK);
    assert_int_equal(pluck_registry_add(registry, &recent_stage, NULL), PLUCK_OK);
    *state = registry;
    return 0;
}

static int destroy_registry(void **state)
{
    pluck_registry *registry = *state;
    pluck_registry_destroy(&registry);
    return 0;
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reconfigured_sampler_is_as_if_it_always_had_been),
        cmocka_unit_test(there_and_back_changes_no_byte),
    };
    return cmocka_run_group_tests(tests, make_registry, destroy_registry);
}
