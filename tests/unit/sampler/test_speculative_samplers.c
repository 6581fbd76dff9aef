/*
 * Why: with samplers, speculation must be invisible too: penalties see the drafts before them,
 * random stages keep their law, draws that learn end up in the state of sampling alone, and a
 * failure or a rewind leaves no trace.
 *
 *     test_speculative_samplers [N_SEQUENCES]      10,000 unless given
 *
 * Sequences of three tokens are counted against those of the same sampler without speculation, by
 * chi-square. A correct program fails with probability 3 * 1e-8 at most; seeds are fixed.
 */
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/random.h"
#include "support/samplers.h"

#include <pluck/pluck.h>
#include <pluck/speculative.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 5, LENGTH = 3, BINS = V * V * V, MAX_DRAFTS = 4 };

static const double SMALLEST_P_VALUE = 1e-8;
static uint64_t n_sequences = 10000;

static pluck_speculation *make_speculation(uint32_t n_vocab, uint64_t seed, uint64_t stream)
{
    pluck_speculation *s = NULL;
    pluck_error err;
    if (pluck_speculation_create(&s, n_vocab, seed, stream, NULL, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    return s;
}

static size_t bin_of(const pluck_token tokens[LENGTH])
{
    return (size_t)((tokens[0] * V + tokens[1]) * V + tokens[2]);
}

/* Logits that depend on the last token. */
static void fill_row(uint64_t seed, pluck_token last, float row[V])
{
    test_random random = test_random_make(seed * 1000 + (uint64_t)last);
    for (int i = 0; i < V; i++)
        row[i] = (float)(1.2 * test_random_normal(&random));
}

static void sample_alone(pluck_sampler *sampler, pluck_token tokens[LENGTH])
{
    pluck_token last = V;
    for (int i = 0; i < LENGTH; i++) {
        float row[V];
        fill_row(1, last, row);
        pluck_logits logits = {row, PLUCK_F32, V};
        assert_int_equal(PLUCK_OK, pluck_sampler_sample(sampler, logits, &last, NULL));
        assert_int_equal(PLUCK_OK, pluck_sampler_accept(sampler, last, NULL));
        tokens[i] = last;
    }
}

typedef struct step {
    pluck_token drafted[MAX_DRAFTS];
    pluck_prob probs[MAX_DRAFTS][V];
    pluck_support supports[MAX_DRAFTS];
    float rows[MAX_DRAFTS + 1][V];
    pluck_matrix matrix; /* of the rows */
    pluck_drafts drafts;
} step;

/* Drafts after the token last; the drafting sampler has accepted them then. */
static void draft_step(step *s, pluck_sampler *draft, pluck_token last, uint32_t n)
{
    s->drafts = (pluck_drafts){s->drafted, s->supports, n};
    s->matrix = (pluck_matrix){.data = s->rows, .dtype = PLUCK_F32, .n_cols = V, .n_rows = n + 1};
    for (uint32_t i = 0; i <= n; i++) {
        float row[V];
        fill_row(1, last, s->rows[i]);
        if (i == n)
            break;
        fill_row(2, last, row);
        pluck_logits logits = {row, PLUCK_F32, V};
        s->supports[i].probs = s->probs[i];
        assert_int_equal(PLUCK_OK, pluck_sampler_sample(draft, logits, &last, NULL));
        assert_int_equal(PLUCK_OK, pluck_sampler_distribution(draft, logits, s->probs[i], V,
                                                              &s->supports[i].n, NULL));
        assert_int_equal(PLUCK_OK, pluck_sampler_accept(draft, last, NULL));
        s->drafted[i] = last;
    }
}

static void sample_speculatively(pluck_sampler *target, pluck_sampler *draft,
                                 pluck_speculation *speculation, pluck_token tokens[LENGTH])
{
    pluck_token last = V;
    for (size_t n = 0; n < LENGTH;) {
        step s;
        pluck_verdict verdict;
        pluck_error err;
        draft_step(&s, draft, last, 2);
        if (pluck_speculation_step(speculation, target, &s.matrix, &s.drafts, &verdict, &err) !=
            PLUCK_OK)
            fail_msg("%s", err.message);
        last = verdict.next;
        assert_int_equal(PLUCK_OK, pluck_sampler_rewind(draft, 2 - verdict.n_accepted, NULL));
        assert_int_equal(PLUCK_OK, pluck_sampler_accept(draft, last, NULL));
        assert_int_equal(pluck_sampler_position(draft), pluck_sampler_position(target));
        for (uint32_t i = 0; i <= verdict.n_accepted; i++, n++)
            if (n < LENGTH)
                tokens[n] = i < verdict.n_accepted ? s.drafted[i] : last;
    }
}

/* The p-value of two rows of counts of equal sums having one law. */
static double same_law(const uint64_t *a, const uint64_t *b)
{
    double statistic = 0, freedom = -1;
    for (size_t i = 0; i < BINS; i++) {
        double sum = (double)(a[i] + b[i]), difference = (double)a[i] - (double)b[i];
        if (sum < 10)
            continue;
        statistic += difference * difference / sum;
        freedom++;
    }
    return freedom > 0 ? chi_square_tail(statistic, freedom) : 1;
}

static void check_samplers(const char *json)
{
    static uint64_t alone[BINS], together[BINS];
    pluck_sampler *single = test_sampler(json, V, PLUCK_ISA_BEST, 0);
    pluck_sampler *target = test_sampler(json, V, PLUCK_ISA_BEST, 0);
    pluck_sampler *draft = test_sampler("{\"seed\": 99, \"top_k\": 3}", V, PLUCK_ISA_BEST, 0);
    memset(alone, 0, sizeof alone);
    memset(together, 0, sizeof together);
    for (uint64_t i = 0; i < n_sequences; i++) {
        pluck_token tokens[LENGTH];
        pluck_speculation *speculation = make_speculation(V, 5, i);
        test_start_stream(single, i);
        test_start_stream(target, n_sequences + i);
        test_start_stream(draft, i);
        sample_alone(single, tokens);
        alone[bin_of(tokens)]++;
        sample_speculatively(target, draft, speculation, tokens);
        together[bin_of(tokens)]++;
        pluck_speculation_destroy(&speculation);
    }
    double p_value = same_law(alone, together);
    if (p_value < SMALLEST_P_VALUE)
        fail_msg("%s: p = %g", json, p_value);
    pluck_sampler_destroy(&single);
    pluck_sampler_destroy(&target);
    pluck_sampler_destroy(&draft);
}

static void samplers_that_look_back_keep_their_law(void **state)
{
    (void)state;
    check_samplers("{\"seed\": 5, \"repeat_penalty\": 2, \"presence_penalty\": 1}");
    check_samplers("{\"seed\": 5, \"xtc_probability\": 0.5, \"xtc_threshold\": 0.2}");
    check_samplers("{\"seed\": 5, \"mirostat\": 2, \"mirostat_tau\": 1, \"mirostat_eta\": 0.8}");
}

/* Both give the same tokens from here on. */
static void check_same_state(pluck_sampler *a, pluck_sampler *b)
{
    pluck_token left[LENGTH], right[LENGTH];
    assert_int_equal(pluck_sampler_position(a), pluck_sampler_position(b));
    for (int i = 0; i < 20; i++) {
        sample_alone(a, left);
        sample_alone(b, right);
        assert_memory_equal(left, right, sizeof left);
    }
}

static const char learner[] =
    "{\"seed\": 3, \"stages\": [{\"type\": \"penalties\", \"repeat\": 1.5}], \"draw\": {\"type\": "
    "\"adaptive_p\", \"target\": 0.4}}";

static void a_step_is_undone_by_rewinding_what_it_emitted(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        step s;
        pluck_verdict first, second;
        pluck_token tokens[LENGTH];
        pluck_sampler *target = test_sampler(learner, V, PLUCK_ISA_BEST, seed), *before = NULL;
        pluck_sampler *draft = test_sampler("{\"seed\": 4}", V, PLUCK_ISA_BEST, seed);
        pluck_speculation *speculation = make_speculation(V, seed, 0);
        sample_alone(target, tokens);
        assert_int_equal(PLUCK_OK, pluck_sampler_clone(&before, target, NULL));
        draft_step(&s, draft, tokens[2], 3);
        assert_int_equal(PLUCK_OK, pluck_speculation_step(speculation, target, &s.matrix, &s.drafts,
                                                          &first, NULL));
        assert_int_equal(3 + first.n_accepted + 1, pluck_sampler_position(target));
        assert_int_equal(PLUCK_OK, pluck_sampler_rewind(target, first.n_accepted + 1, NULL));
        assert_int_equal(PLUCK_OK, pluck_speculation_step(speculation, target, &s.matrix, &s.drafts,
                                                          &second, NULL));
        assert_int_equal(first.n_accepted, second.n_accepted);
        assert_int_equal(first.next, second.next);
        assert_int_equal(PLUCK_OK, pluck_sampler_rewind(target, first.n_accepted + 1, NULL));
        check_same_state(before, target);
        pluck_speculation_destroy(&speculation);
        pluck_sampler_destroy(&draft);
        pluck_sampler_destroy(&before);
        pluck_sampler_destroy(&target);
    }
}

/* A draw that learns has learnt what it would have, had it drawn these tokens itself. */
static void learning_draws_learn_as_if_alone(void **state)
{
    (void)state;
    unsigned n_compared = 0;
    for (uint64_t stream = 0; stream < 300; stream++) {
        step s;
        pluck_verdict verdict;
        pluck_token tokens[LENGTH];
        pluck_sampler *alone = test_sampler(learner, V, PLUCK_ISA_BEST, stream), *target = NULL;
        assert_int_equal(PLUCK_OK, pluck_sampler_clone(&target, alone, NULL));
        pluck_speculation *speculation = make_speculation(V, stream, 0);
        sample_alone(alone, tokens);
        pluck_sampler *draft = test_sampler("{\"seed\": 4}", V, PLUCK_ISA_BEST, stream);
        draft_step(&s, draft, V, 2);
        assert_int_equal(PLUCK_OK, pluck_speculation_step(speculation, target, &s.matrix, &s.drafts,
                                                          &verdict, NULL));
        if (verdict.n_accepted == 2 && verdict.next == tokens[2] &&
            memcmp(s.drafted, tokens, 2 * sizeof *tokens) == 0) {
            check_same_state(alone, target);
            n_compared++;
        }
        pluck_speculation_destroy(&speculation);
        pluck_sampler_destroy(&draft);
        pluck_sampler_destroy(&alone);
        pluck_sampler_destroy(&target);
    }
    assert_true(n_compared > 3);
}

static void a_failed_step_changes_nothing(void **state)
{
    (void)state;
    step s;
    pluck_token tokens[LENGTH];
    pluck_error err = {.status = PLUCK_OK};
    pluck_verdict verdict = {77, 78};
    pluck_sampler *before = NULL;
    pluck_sampler *target = test_sampler("{\"seed\": 3, \"repeat_penalty\": 1.1, \"mirostat\": 2}",
                                         V, PLUCK_ISA_BEST, 1);
    pluck_sampler *draft = test_sampler("{\"seed\": 4}", V, PLUCK_ISA_BEST, 1);
    pluck_speculation *speculation = make_speculation(V, 1, 0);
    sample_alone(target, tokens);
    assert_int_equal(PLUCK_OK, pluck_sampler_clone(&before, target, NULL));
    draft_step(&s, draft, tokens[2], 3);
    /* Certain drafts that the target is sure of are accepted up to the bad row. */
    for (int i = 0; i < 3; i++)
        s.rows[i][s.drafted[i]] = 1000;
    s.rows[3][1] = NAN;
    s.drafts.supports = NULL;
    assert_int_equal(PLUCK_ERR_NAN, pluck_speculation_step(speculation, target, &s.matrix,
                                                           &s.drafts, &verdict, &err));
    assert_int_equal(PLUCK_ERR_NAN, err.status);
    assert_int_equal(77, verdict.n_accepted);
    check_same_state(before, target);
    pluck_speculation_destroy(&speculation);
    pluck_sampler_destroy(&draft);
    pluck_sampler_destroy(&before);
    pluck_sampler_destroy(&target);
}

/*
 * The rule of draws: an engine with a target whose draw is gumbel, and drafts without supports.
 */

enum { WIDE = 60, N_TOKENS = 400 };

/* Logits of two models that depend on the last token; those of the second one are a little off. */
static void fill_wide(pluck_token last, bool is_draft, float row[WIDE])
{
    test_random random = test_random_make((uint64_t)last + 77);
    for (int i = 0; i < WIDE; i++)
        row[i] = (float)(2 * test_random_normal(&random));
    for (int i = 0; is_draft && i < WIDE; i++)
        row[i] += (float)(0.4 * test_random_normal(&random));
}

static pluck_logits wide_logits(const float row[WIDE])
{
    return (pluck_logits){row, PLUCK_F32, WIDE};
}

/* What must hold for the share of accepted drafts, summed over the drafts that were judged. */
typedef struct coupling {
    double n_judged, n_accepted, bound;
} coupling;

/* (1 - TV) / (1 + TV) of the two models, as the samplers draw from them. */
static double bound_at(pluck_sampler *target, pluck_sampler *draft, pluck_token last)
{
    float rows[2][WIDE];
    pluck_prob probs[2][WIDE];
    pluck_sampler *samplers[2] = {target, draft};
    double p[2][WIDE] = {{0}}, tv = 0;
    for (int k = 0; k < 2; k++) {
        uint32_t n = 0;
        fill_wide(last, k == 1, rows[k]);
        assert_int_equal(PLUCK_OK, pluck_sampler_distribution(samplers[k], wide_logits(rows[k]),
                                                              probs[k], WIDE, &n, NULL));
        for (uint32_t i = 0; i < n; i++)
            p[k][probs[k][i].token] = (double)probs[k][i].prob;
    }
    for (int i = 0; i < WIDE; i++)
        tv += 0.5 * fabs(p[0][i] - p[1][i]);
    return (1 - tv) / (1 + tv);
}

/* One step with n drafts, checked against what the target alone draws from alone[0] on. */
static uint32_t step_with_shared_noise(pluck_sampler *target, pluck_sampler *draft,
                                       pluck_speculation *speculation, const pluck_token *alone,
                                       uint32_t n, coupling *c)
{
    float rows[MAX_DRAFTS + 1][WIDE], row[WIDE];
    pluck_token drafted[MAX_DRAFTS], last = alone[-1];
    double bounds[MAX_DRAFTS];
    pluck_verdict verdict;
    pluck_error err;
    for (uint32_t i = 0; i <= n; i++) {
        fill_wide(last, false, rows[i]);
        if (i == n)
            break;
        fill_wide(last, true, row);
        bounds[i] = bound_at(target, draft, last);
        assert_int_equal(PLUCK_OK, pluck_sampler_next(draft, wide_logits(row), &last, NULL));
        drafted[i] = last;
    }
    pluck_matrix matrix = {.data = rows, .dtype = PLUCK_F32, .n_cols = WIDE, .n_rows = n + 1};
    pluck_drafts drafts = {drafted, NULL, n};
    if (pluck_speculation_step(speculation, target, &matrix, &drafts, &verdict, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    for (uint32_t i = 0; i < n && i <= verdict.n_accepted; i++) {
        c->n_judged++;
        c->n_accepted += i < verdict.n_accepted;
        c->bound += bounds[i];
    }
    assert_memory_equal(drafted, alone, verdict.n_accepted * sizeof *drafted);
    assert_int_equal(verdict.next, alone[verdict.n_accepted]);
    if (verdict.n_accepted < n)
        assert_int_not_equal(drafted[verdict.n_accepted], verdict.next);
    assert_int_equal(PLUCK_OK, pluck_sampler_rewind(draft, n - verdict.n_accepted, NULL));
    assert_int_equal(PLUCK_OK, pluck_sampler_accept(draft, verdict.next, NULL));
    return verdict.n_accepted + 1;
}

static coupling check_shared_noise(const char *json, const char *draft_json)
{
    pluck_token alone[1 + N_TOKENS + MAX_DRAFTS + 1] = {0};
    coupling c = {0};
    pluck_sampler *single = test_sampler(json, WIDE, PLUCK_ISA_BEST, 2);
    pluck_sampler *target = test_sampler(json, WIDE, PLUCK_ISA_BEST, 2);
    pluck_sampler *draft = test_sampler(draft_json, WIDE, PLUCK_ISA_BEST, 2);
    pluck_speculation *speculation = make_speculation(WIDE, 1, 2);
    for (size_t i = 1; i < sizeof alone / sizeof *alone; i++) {
        float row[WIDE];
        fill_wide(alone[i - 1], false, row);
        assert_int_equal(PLUCK_OK, pluck_sampler_next(single, wide_logits(row), &alone[i], NULL));
    }
    for (uint32_t at = 1, n = 0; at <= N_TOKENS; n = (n + 1) % (MAX_DRAFTS + 1))
        at += step_with_shared_noise(target, draft, speculation, alone + at, n, &c);
    pluck_speculation_destroy(&speculation);
    pluck_sampler_destroy(&single);
    pluck_sampler_destroy(&target);
    pluck_sampler_destroy(&draft);
    return c;
}

/* What is emitted is, token for token, what the target alone draws, with any drafts. */
static void drafts_without_supports_change_no_token_of_gumbel(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "{\"seed\": 5, \"draw\": \"gumbel\"}",
        "{\"seed\": 5, \"draw\": \"gumbel\", \"temperature\": 0.8, \"top_p\": 0.9, "
        "\"repeat_penalty\": 1.5}",
        "{\"seed\": 5, \"draw\": \"gumbel\", \"top_k\": 9, \"dry_multiplier\": 1, "
        "\"dry_allowed_length\": 1}",
        "{\"seed\": 5, \"draw\": \"gumbel\", \"xtc_probability\": 0.5, \"xtc_threshold\": 0.1}"};
    static const char *const strangers[] = {"{\"seed\": 9}", "{\"temperature\": 0}"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        coupling c = check_shared_noise(targets[i], targets[i]);
        if (c.n_accepted < 0.5 * c.n_judged)
            fail_msg("%s: %g of %g drafts accepted", targets[i], c.n_accepted, c.n_judged);
        for (size_t k = 0; k < sizeof strangers / sizeof *strangers; k++)
            check_shared_noise(targets[i], strangers[k]);
    }
}

/* Within four standard deviations of the bound of Daliri, Musco and Suresh (2024). */
static void shared_noise_accepts_as_many_drafts_as_promised(void **state)
{
    (void)state;
    static const char *const configs[] = {
        "{\"seed\": 6, \"draw\": \"gumbel\"}",
        "{\"seed\": 7, \"draw\": \"gumbel\", \"temperature\": 2}",
        "{\"seed\": 8, \"draw\": \"gumbel\", \"temperature\": 0.5}"};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        coupling c = check_shared_noise(configs[i], configs[i]);
        if (c.n_accepted < c.bound - 4 * 0.5 * sqrt(c.n_judged))
            fail_msg("%s: %g of %g drafts accepted, at least %g expected", configs[i], c.n_accepted,
                     c.n_judged, c.bound);
    }
}

/* By either rule, for the second draft too, and nothing has changed then. */
static void drafts_outside_the_vocabulary_are_refused(void **state)
{
    (void)state;
    static const char *const configs[] = {"{\"seed\": 5}", "{\"seed\": 5, \"draw\": \"gumbel\"}"};
    for (int i = 0; i < 2; i++) {
        float rows[3][V] = {{9e9f}, {9e9f}, {9e9f}};
        pluck_token drafted[2] = {0, V};
        pluck_matrix matrix = {.data = rows, .dtype = PLUCK_F32, .n_cols = V, .n_rows = 3};
        pluck_drafts drafts = {drafted, NULL, 2};
        pluck_verdict verdict = {77, 78};
        pluck_error err;
        pluck_sampler *target = test_sampler(configs[i], V, PLUCK_ISA_BEST, 1);
        pluck_speculation *speculation = make_speculation(V, 1, 0);
        assert_int_equal(PLUCK_ERR_INVALID, pluck_speculation_step(speculation, target, &matrix,
                                                                   &drafts, &verdict, &err));
        assert_string_equal(err.message, "draft 1: token 5 is outside [0, 4]");
        assert_int_equal(77, verdict.n_accepted);
        assert_int_equal(0, pluck_sampler_position(target));
        pluck_speculation_destroy(&speculation);
        pluck_sampler_destroy(&target);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samplers_that_look_back_keep_their_law),
        cmocka_unit_test(a_step_is_undone_by_rewinding_what_it_emitted),
        cmocka_unit_test(learning_draws_learn_as_if_alone),
        cmocka_unit_test(a_failed_step_changes_nothing),
        cmocka_unit_test(drafts_without_supports_change_no_token_of_gumbel),
        cmocka_unit_test(shared_noise_accepts_as_many_drafts_as_promised),
        cmocka_unit_test(drafts_outside_the_vocabulary_are_refused),
    };
    n_sequences = argc > 1 ? strtoull(argv[1], NULL, 10) : test_n_repeats(n_sequences);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
