/*
 * Why: pluck_sampler_run() and pluck_workspace_run() replace a dozen calls, and a token must not
 * depend on what is reported about it. So every field, in every combination, has the bits that the
 * single calls give; batches have those of single rows, whoever's threads they use and however the
 * rows lie; and what cannot be done leaves the samplers as they were.
 */
#include "sampler/sampler_impl.h"
#include "support/cases.h"
#include "support/isa.h"
#include "support/output_cases.h"
#include "support/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    N_GIVEN = OUTPUTS_N_GIVEN,
    N_TOP = OUTPUTS_N_TOP,
    MAX_ROWS = OUTPUTS_ROWS,
    MAX_VOCAB = OUTPUTS_VOCAB,
    GAP = OUTPUTS_GAP
};

static pluck_token given[MAX_ROWS * N_GIVEN];

static bool is_same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static float logprob(pluck_sampler *sampler, const row_case *c, pluck_logprob_kind kind,
                     pluck_token token)
{
    double value = 1.0;
    assert_int_equal(pluck_sampler_logprob(sampler, c->row.logits, kind, token, &value, NULL),
                     PLUCK_OK);
    return (float)value;
}

static uint32_t rank_in_row(const row_case *c, pluck_token token)
{
    float own = c->row.exact[token];
    uint32_t rank = 0;
    for (uint32_t i = 0; i < c->n_vocab; i++)
        rank += c->row.exact[i] > own ||
                (c->row.exact[i] == own && own > -INFINITY && i < (uint32_t)token);
    return rank;
}

/* In long double, against the softmax of the logits as they came. */
static bool log_mass_agrees(const row_case *c, const test_distribution *d, float got)
{
    long double max = -HUGE_VALL, of_kept = -HUGE_VALL, sum = 0, kept = 0;
    for (uint32_t i = 0; i < c->n_vocab; i++)
        max = fmaxl(max, (long double)c->row.exact[i]);
    for (uint32_t i = 0; i < c->n_vocab; i++)
        sum += expl((long double)c->row.exact[i] - max);
    for (uint32_t i = 0; i < d->n; i++)
        of_kept = fmaxl(of_kept, (long double)c->row.exact[d->probs[i].token]);
    for (uint32_t i = 0; i < d->n; i++)
        kept += expl((long double)c->row.exact[d->probs[i].token] - of_kept);
    long double exact = of_kept - max + logl(kept) - logl(sum);
    bool agrees =
        got <= 0.0f && (fabsl((long double)got - exact) <= 0x1p-21L + fabsl(exact) * 0x1p-23L ||
                        (got == -INFINITY && exact < -3e38L));
    return agrees || test_case_failed("log mass %.9g, exactly %.12Lg", (double)got, exact);
}

static int by_token(const void *a, const void *b)
{
    const pluck_prob *x = a, *y = b;
    return (x->token > y->token) - (x->token < y->token);
}

/* What lists tokens: the survivors, the best, the given ones, all. */
static bool lists_agree(pluck_sampler *single, const row_case *c, const pluck_outputs *o,
                        const test_distribution *best_first)
{
    test_distribution d = *best_first;
    static pluck_prob ascending[MAX_VOCAB];
    memcpy(ascending, d.probs, d.n * sizeof *ascending);
    qsort(ascending, d.n, sizeof *ascending, by_token);
    bool agrees = !o->kept_offsets || (o->kept_offsets[0] == 0 && o->kept_offsets[1] == d.n);
    for (uint32_t i = 0; i < d.n && o->kept; i++)
        agrees &=
            o->kept[i] == ascending[i].token &&
            (!o->kept_logprobs || i >= 20 ||
             is_same(o->kept_logprobs[i], logprob(single, c, PLUCK_LOGPROB_FINAL, o->kept[i])));
    if (!agrees)
        return test_case_failed("the tokens kept differ");
    for (uint32_t i = 0, at = 0; i < c->n_vocab && o->probs; i++) {
        bool is_kept = at < d.n && ascending[at].token == (pluck_token)i;
        if (!is_same(o->probs[i], is_kept ? ascending[at].prob : 0.0f))
            return test_case_failed("probability %u differs", i);
        at += is_kept;
    }
    for (uint32_t i = 0; i < N_TOP && o->top; i++) {
        pluck_token token = o->top[i].token;
        if (token == PLUCK_NO_TOKEN)
            agrees &= o->top[i].logprob == -INFINITY &&
                      i >= (o->top_kind == PLUCK_LOGPROB_FINAL ? d.n : 0);
        else
            agrees &= is_same(o->top[i].logprob, logprob(single, c, o->top_kind, token)) &&
                      (o->top_kind == PLUCK_LOGPROB_FINAL ? i >= d.n || token == d.probs[i].token
                                                          : rank_in_row(c, token) == i);
    }
    if (!agrees)
        return test_case_failed("the best tokens differ");
    for (uint32_t i = 0; i < N_GIVEN; i++) {
        uint32_t rank = 0;
        while (rank < d.n && d.probs[rank].token != given[i])
            rank++;
        if (o->given_logprobs)
            agrees &= is_same(o->given_logprobs[i], logprob(single, c, o->given_kind, given[i]));
        if (o->given_ranks && o->given_kind == PLUCK_LOGPROB_RAW)
            agrees &= o->given_ranks[i] == rank_in_row(c, given[i]);
        else if (o->given_ranks)
            agrees &= rank < d.n ? o->given_ranks[i] == rank : o->given_ranks[i] >= d.n;
    }
    return agrees || test_case_failed("the tokens given differ");
}

static bool is_cleared(const pluck_outputs *o, uint32_t n_vocab, pluck_status status)
{
    return (!o->tokens || o->tokens[0] == PLUCK_NO_TOKEN) &&
           (!o->statuses || o->statuses[0] == status) && (!o->logprobs || isnan(o->logprobs[0])) &&
           (!o->raw_logprobs || isnan(o->raw_logprobs[0])) &&
           (!o->n_survivors || o->n_survivors[0] == 0) &&
           (!o->top || (o->top[0].token == PLUCK_NO_TOKEN && o->top[0].logprob == -INFINITY)) &&
           (!o->kept_log_mass || isnan(o->kept_log_mass[0])) &&
           (!o->given_logprobs || isnan(o->given_logprobs[N_GIVEN - 1])) &&
           (!o->given_ranks || o->given_ranks[0] == 0) &&
           (!o->probs || isnan(o->probs[n_vocab - 1]));
}

static bool row_agrees(pluck_sampler *single, const row_case *c, const pluck_outputs *o,
                       pluck_status status)
{
    pluck_draw draw = {.token = -2};
    bool has_given = o->given_logprobs || o->given_ranks;
    bool is_final = o->tokens || o->n_survivors || o->kept_offsets || o->kept_log_mass ||
                    o->probs || (o->top && o->top_kind == PLUCK_LOGPROB_FINAL) ||
                    (has_given && o->given_kind == PLUCK_LOGPROB_FINAL);
    pluck_status expected = pluck_sampler_draw(single, c->row.logits, &draw, NULL);
    /* The logits as they came have a report even where no token can be chosen. */
    if (!is_final && expected == PLUCK_ERR_EMPTY)
        return status == PLUCK_OK;
    if (expected != status)
        return test_case_failed("status %s", pluck_status_name(status));
    if (status != PLUCK_OK)
        return is_cleared(o, c->n_vocab, status) || test_case_failed("a failed row has outputs");
    if ((o->tokens && o->tokens[0] != draw.token) || (o->statuses && o->statuses[0] != PLUCK_OK) ||
        (o->logprobs && !is_same(o->logprobs[0], draw.logprob)) ||
        (o->n_survivors && o->n_survivors[0] != draw.n_survivors) ||
        (o->raw_logprobs &&
         !is_same(o->raw_logprobs[0], logprob(single, c, PLUCK_LOGPROB_RAW, draw.token))))
        return test_case_failed("the draw of token %d differs", draw.token);
    test_distribution d = test_distribution_of(single, c->row.logits);
    bool agrees = (!o->kept_log_mass || log_mass_agrees(c, &d, o->kept_log_mass[0])) &&
                  lists_agree(single, c, o, &d);
    test_distribution_free(&d);
    return agrees;
}

static bool run_agrees(const row_case *c, uint64_t seed, pluck_isa isa, int wanted)
{
    static row_results r;
    pluck_sampler *all = row_case_sampler(c, seed, isa, NULL);
    pluck_sampler *single = row_case_sampler(c, seed, isa, NULL);
    pluck_outputs outputs = row_outputs(&r, wanted, 1, c->n_vocab, given);
    pluck_status status = pluck_sampler_run(all, c->row.logits, &outputs, NULL);
    bool agrees = outputs.tokens || sampler_states_equal(all, single);
    agrees = agrees && row_agrees(single, c, &outputs, status);
    outputs.accept = outputs.tokens != NULL;
    if (agrees && status == PLUCK_OK && outputs.accept) {
        pluck_token token = -1;
        agrees = pluck_sampler_run(all, c->row.logits, &outputs, NULL) == PLUCK_OK &&
                 pluck_sampler_next(single, c->row.logits, &token, NULL) == PLUCK_OK &&
                 token == r.tokens[0] && sampler_states_equal(all, single);
    }
    pluck_sampler_destroy(&all);
    pluck_sampler_destroy(&single);
    return agrees || test_case_failed("outputs %#x of %s", (unsigned)wanted, c->json.text);
}

static bool runs_hold(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    row_case c;
    row_case_make(&c, seed, 0, -1);
    test_random random = test_random_make(seed + 2);
    for (int i = 0; i < N_GIVEN; i++)
        given[i] = (pluck_token)test_random_below(&random, c.n_vocab);
    bool holds =
        run_agrees(&c, seed, isa, OUT_ALL) && run_agrees(&c, seed, isa, OUT_ALL & ~OUT_TOKENS);
    for (int i = 0; i < 3 && holds; i++)
        holds = run_agrees(&c, seed, isa, (int)(test_random_bits(&random) & OUT_ALL));
    logit_row_destroy(&c.row);
    return holds;
}

static void every_field_has_the_bits_of_the_single_calls(void **state)
{
    (void)state;
    test_cases_run("every_field_has_the_bits_of_the_single_calls", 1, 400, runs_hold, NULL);
}

/* NaN and +inf that the configuration bans: the logits as they came are then a list too. */
static void bad_logits_that_are_banned_are_in_no_list(void **state)
{
    (void)state;
    static const float values[] = {1, NAN, 3, INFINITY, 2.5f, -INFINITY, 0};
    enum { N = sizeof values / sizeof *values };
    row_case c = {.n_vocab = N};
    c.row = logit_row_make((const float[]){1, -INFINITY, 3, -INFINITY, 2.5f, -INFINITY, 0}, N,
                           PLUCK_F32, 0);
    stage_text_add(
        &c.json,
        "{\"on_nan\": \"ban\", \"seed\": 4, \"top_k\": 2, \"logit_bias\": {\"2\": -0.75}}");
    memcpy(given, (const pluck_token[]){0, 1, 2, 3, 6}, N_GIVEN * sizeof *given);
    static row_results r;
    pluck_sampler *sampler = row_case_sampler(&c, 1, test_isa(), NULL);
    pluck_sampler *banned = row_case_sampler(&c, 1, test_isa(), NULL);
    pluck_outputs outputs =
        row_outputs(&r, OUT_ALL & ~OUT_TOP_FINAL & ~OUT_GIVEN_FINAL, 1, N, given);
    assert_int_equal(
        pluck_sampler_run(sampler, (pluck_logits){values, PLUCK_F32, N}, &outputs, NULL), PLUCK_OK);
    assert_true(row_agrees(banned, &c, &outputs, PLUCK_OK));
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&banned);
    logit_row_destroy(&c.row);
}

static void too_little_room_is_said_and_changes_nothing(void **state)
{
    (void)state;
    row_case c;
    row_case_make(&c, 0, 200, PLUCK_F32);
    c.json.n = 0;
    stage_text_add(&c.json, "{\"seed\": 4, \"top_k\": 12, \"draw\": \"mirostat_v2\"}");
    c.is_masked = false;
    static row_results r;
    float other[200] = {[7] = 50.0f};
    pluck_logits other_logits = {other, PLUCK_F32, 200};
    pluck_sampler *sampler = row_case_sampler(&c, 1, test_isa(), NULL);
    pluck_sampler *untouched = row_case_sampler(&c, 1, test_isa(), NULL);
    test_distribution d = test_distribution_of(sampler, c.row.logits);
    assert_true(d.n > 1);
    /* A token that was drawn before stays the one that was drawn. */
    pluck_token drawn = -1;
    assert_int_equal(pluck_sampler_set_position(sampler, 1000, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_set_position(untouched, 1000, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_sample(sampler, other_logits, &drawn, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_sample(untouched, other_logits, &drawn, NULL), PLUCK_OK);
    pluck_outputs outputs =
        row_outputs(&r, OUT_TOKENS | OUT_STATUSES | OUT_OFFSETS | OUT_KEPT, 1, c.n_vocab, given);
    outputs.accept = true;
    outputs.kept_capacity = d.n - 1;
    pluck_error err = {.status = PLUCK_OK};
    assert_int_equal(pluck_sampler_run(sampler, c.row.logits, &outputs, &err), PLUCK_ERR_SPACE);
    assert_non_null(strstr(err.message, "kept_capacity"));
    assert_int_equal(r.offsets[1], d.n);
    assert_int_equal(r.tokens[0], PLUCK_NO_TOKEN);
    assert_int_equal(r.statuses[0], PLUCK_ERR_SPACE);
    assert_true(sampler_states_equal(sampler, untouched));
    outputs.kept_capacity = d.n;
    assert_int_equal(pluck_sampler_run(sampler, c.row.logits, &outputs, &err), PLUCK_OK);
    assert_int_equal(r.kept[d.n], 0x5A5A5A5A);
    for (uint32_t i = 0; i < d.n; i++)
        assert_true(test_distribution_p(&d, r.kept[i]) > 0.0f);
    outputs.kept = NULL;
    outputs.kept_capacity = 0;
    assert_int_equal(pluck_sampler_run(sampler, c.row.logits, &outputs, &err), PLUCK_OK);
    test_distribution_free(&d);
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&untouched);
    logit_row_destroy(&c.row);
}

static void run_backwards(void *user, size_t n,
                          void (*task)(void *data, uint32_t worker, size_t item), void *data)
{
    const uint32_t *n_workers = user;
    for (size_t i = n; i-- > 0;)
        task(data, (uint32_t)(i % *n_workers), i);
}

enum { BATCH_VOCAB = 333 };

/* Samplers 2 and 5 are not there; row 7 has a NaN; rows lie apart, with NaN in the gaps. */
static bool batch_agrees(const pluck_parallel *parallel, uint64_t seed, int wanted)
{
    static float data[MAX_ROWS * (BATCH_VOCAB + GAP)];
    static row_case cases[MAX_ROWS];
    static row_results all, one;
    pluck_workspace *workspace = NULL;
    pluck_sampler *samplers[MAX_ROWS] = {NULL}, *alone[MAX_ROWS] = {NULL};
    assert_int_equal(pluck_workspace_create(&workspace, BATCH_VOCAB, parallel, NULL, NULL),
                     PLUCK_OK);
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = NAN;
    for (size_t r = 0; r < MAX_ROWS; r++) {
        row_case_make(&cases[r], seed * MAX_ROWS + r, BATCH_VOCAB, PLUCK_F32);
        memcpy(data + r * (BATCH_VOCAB + GAP), cases[r].row.exact, BATCH_VOCAB * sizeof *data);
        logit_row_destroy(&cases[r].row);
        if (r == 2 || r == 5)
            continue;
        samplers[r] = row_case_sampler(&cases[r], r, PLUCK_ISA_BEST, workspace);
        alone[r] = row_case_sampler(&cases[r], r, PLUCK_ISA_BEST, NULL);
    }
    data[7 * (BATCH_VOCAB + GAP) + 100] = NAN;
    const pluck_matrix rows = {.data = data,
                               .dtype = PLUCK_F32,
                               .n_cols = BATCH_VOCAB,
                               .n_rows = MAX_ROWS,
                               .row_stride_bytes = (BATCH_VOCAB + GAP) * sizeof *data};
    pluck_outputs outputs = row_outputs(&all, wanted, MAX_ROWS, BATCH_VOCAB, given);
    outputs.accept = true;
    pluck_error err = {.status = PLUCK_OK};
    pluck_status status = pluck_workspace_run(workspace, samplers, &rows, &outputs, &err);
    bool agrees = status != PLUCK_OK && strncmp(err.message, "row ", 4) == 0 &&
                  all.statuses[7] == PLUCK_ERR_NAN;
    pluck_outputs single;
    for (size_t r = 0; r < MAX_ROWS && agrees; r++) {
        single = row_outputs(&one, wanted, 1, BATCH_VOCAB, given + r * N_GIVEN);
        single.accept = true;
        if (!alone[r]) {
            agrees = all.tokens[r] == PLUCK_NO_TOKEN && all.statuses[r] == PLUCK_OK &&
                     (!(wanted & OUT_OFFSETS) || all.offsets[r] == all.offsets[r + 1]);
            continue;
        }
        const float *row = data + r * (BATCH_VOCAB + GAP);
        pluck_sampler_run(alone[r], (pluck_logits){row, PLUCK_F32, BATCH_VOCAB}, &single, NULL);
        agrees = sampler_states_equal(samplers[r], alone[r]) &&
                 row_results_equal(&outputs, r, &single, 0, BATCH_VOCAB);
        if (!agrees)
            test_case_failed("row %zu: %s", r, cases[r].json.text);
    }
    for (size_t r = 0; r < MAX_ROWS; r++) {
        pluck_sampler_destroy(&samplers[r]);
        pluck_sampler_destroy(&alone[r]);
    }
    pluck_workspace_destroy(&workspace);
    return agrees;
}

static void batches_have_the_bits_of_single_rows(void **state)
{
    (void)state;
    static uint32_t worker_counts[] = {1, 2, 7};
    for (int i = 0; i < MAX_ROWS * N_GIVEN; i++)
        given[i] = i * 37 % BATCH_VOCAB;
    for (uint64_t seed = 0; seed < 6; seed++)
        for (size_t w = 0; w < 3; w++) {
            pluck_pool *pool = NULL;
            assert_int_equal(pluck_pool_create(&pool, worker_counts[w], NULL, NULL), PLUCK_OK);
            const pluck_parallel backwards = {
                .run = run_backwards, .user = &worker_counts[w], .n_workers = worker_counts[w]};
            const pluck_parallel *parallels[] = {NULL, pluck_pool_parallel(pool), &backwards};
            for (size_t p = 0; p < 3; p++)
                if (!batch_agrees(parallels[p], seed, OUT_ALL) ||
                    !batch_agrees(parallels[p], seed, OUT_TOKENS | OUT_STATUSES))
                    fail_msg("%u workers, kind %zu, seed %llu", worker_counts[w], p,
                             (unsigned long long)seed);
            pluck_pool_destroy(&pool);
        }
}

/* Counts what is exponentiated, in blocks, by a table of kernels that calls the real one. */
static const plk_kernels *real;
static size_t n_exponentiated;

static void counted_exp_values(const float *x, size_t n_blocks, plk_exponent exponent, float *e)
{
    n_exponentiated += n_blocks;
    real->exp_values(x, n_blocks, exponent, e);
}

static void counted_exp_sums(const float *x, size_t n_blocks, plk_exponent exponent, double *sums)
{
    n_exponentiated += n_blocks;
    real->exp_sums(x, n_blocks, exponent, sums);
}

static void counted_exp_dots(const float *x, size_t n_blocks, plk_exponent exponent, double *sums,
                             double *dots)
{
    n_exponentiated += n_blocks;
    real->exp_dots(x, n_blocks, exponent, sums, dots);
}

static void counted_exp_sums_from(const float *x, size_t n_blocks, plk_exponent exponent,
                                  float threshold, double *sums)
{
    n_exponentiated += n_blocks;
    real->exp_sums_from(x, n_blocks, exponent, threshold, sums);
}

/* What takes parts of the row, for picks and for boundaries, stays below half a pass. */
static void passes_over_all_exponentials_are_as_few_as_can_be(void **state)
{
    (void)state;
    enum { N_BLOCKS = 1000, N = N_BLOCKS * PLK_BLOCK, NO = -1 };
    enum { FINAL = OUT_LOGPROBS | OUT_TOP | OUT_TOP_FINAL };
    enum { RAW = OUT_RAW_LOGPROBS | OUT_TOP };
    enum { NONE = OUT_SURVIVORS | OUT_OFFSETS | OUT_GIVEN_RANKS | OUT_GIVEN_FINAL };
    static const struct {
        const char *json;
        int none, final, raw, both; /* passes */
    } cases[] = {
        {"{\"temperature\": 0}", 0, 0, 1, 1},
        {"{\"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05, \"temperature\": 0.8}", 0, 0, 1, 1},
        {"{\"min_p\": 0.1, \"temperature\": 0.8}", 0, 0, 1, 1},
        {"{}", 0, 1, 1, 1},
        {"{\"logit_bias\": {\"7\": -1, \"999\": false}}", 0, 1, 1, 1},
        {"{\"temperature\": 0.8}", 0, 1, 1, 2},
        {"{\"top_p\": 0.9}", NO, 1, 1, 1},
        {"{\"top_p\": 0.9, \"temperature\": 0.8}", NO, 1, 1, 1},
        {"{\"typical_p\": 0.9}", 1, 1, 1, 1},
        {"{\"xtc_probability\": 1, \"xtc_threshold\": 0.4}", 1, 1, 1, 1},
    };
    static float row[N];
    static row_results r;
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 5, N, row);
    for (size_t i = 0; i < N; i++)
        row[i] *= 3.0f;
    row[N / 2] = 20.0f; /* xtc finds one likely token, and removes none */
    memset(given, 0, sizeof given);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int wanted[] = {OUT_TOKENS | NONE, OUT_TOKENS | FINAL, OUT_TOKENS | RAW,
                              OUT_TOKENS | RAW | OUT_LOGPROBS};
        const int passes[] = {cases[i].none, cases[i].final, cases[i].raw, cases[i].both};
        pluck_sampler *sampler = test_sampler(cases[i].json, N, test_isa(), 3);
        real = sampler->kernels;
        plk_kernels counting = *real;
        counting.exp_values = counted_exp_values;
        counting.exp_sums = counted_exp_sums;
        counting.exp_dots = counted_exp_dots;
        counting.exp_sums_from = counted_exp_sums_from;
        sampler->kernels = &counting;
        for (size_t w = 0; w < 4; w++) {
            pluck_outputs outputs = row_outputs(&r, wanted[w], 1, N, given);
            n_exponentiated = 0;
            assert_int_equal(
                pluck_sampler_run(sampler, (pluck_logits){row, PLUCK_F32, N}, &outputs, NULL),
                PLUCK_OK);
            if (passes[w] != NO && (n_exponentiated + N_BLOCKS / 2) / N_BLOCKS != (size_t)passes[w])
                fail_msg("%s, outputs %#x: %zu of %d blocks, not %d passes", cases[i].json,
                         (unsigned)wanted[w], n_exponentiated, N_BLOCKS, passes[w]);
        }
        pluck_sampler_destroy(&sampler);
    }
}

static void mistakes_write_nothing(void **state)
{
    (void)state;
    row_case c;
    row_case_make(&c, 0, 64, PLUCK_F32);
    pluck_sampler *sampler = row_case_sampler(&c, 1, test_isa(), NULL);
    memset(given, 0, sizeof given);
    static row_results r, before;
    pluck_outputs cases[12];
    for (int i = 0; i < 12; i++)
        cases[i] = row_outputs(&r, OUT_ALL, 1, 64, given);
    before = r;
    const pluck_token outside[N_GIVEN] = {0, 0, 64}, negative[N_GIVEN] = {-1};
    cases[0].struct_size = 0;
    cases[1].tokens = NULL;
    cases[2].tokens = NULL;
    cases[2].logprobs = cases[2].raw_logprobs = NULL;
    cases[2].accept = true;
    cases[3].top_kind = (pluck_logprob_kind)2;
    cases[4].given_kind = (pluck_logprob_kind)-1;
    cases[5].given = NULL;
    cases[6].given = outside;
    cases[7].given = negative;
    cases[8].kept_offsets = NULL;
    cases[9].kept = NULL;
    cases[10].kept = NULL;
    cases[10].kept_logprobs = NULL;
    cases[11].probs_stride = 63;
    for (int i = 0; i < 12; i++) {
        pluck_error err = {.status = PLUCK_OK};
        if (pluck_sampler_run(sampler, c.row.logits, &cases[i], &err) != PLUCK_ERR_INVALID)
            fail_msg("case %d", i);
        assert_non_null(strstr(err.message, "outputs"));
        assert_memory_equal(&r, &before, sizeof r);
    }
    struct {
        pluck_outputs outputs;
        char more[64];
    } grown = {.outputs = row_outputs(&r, OUT_TOKENS, 1, 64, given)};
    grown.outputs.struct_size = sizeof grown;
    assert_int_equal(pluck_sampler_run(sampler, c.row.logits, &grown.outputs, NULL), PLUCK_OK);
    grown.more[63] = 1;
    assert_int_equal(pluck_sampler_run(sampler, c.row.logits, &grown.outputs, NULL),
                     PLUCK_ERR_INVALID);
    grown.outputs.struct_size = offsetof(pluck_outputs, statuses);
    assert_int_equal(pluck_sampler_run(sampler, c.row.logits, &grown.outputs, NULL), PLUCK_OK);
    pluck_sampler_destroy(&sampler);
    logit_row_destroy(&c.row);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_the_bits_of_the_single_calls),
        cmocka_unit_test(bad_logits_that_are_banned_are_in_no_list),
        cmocka_unit_test(too_little_room_is_said_and_changes_nothing),
        cmocka_unit_test(batches_have_the_bits_of_single_rows),
        cmocka_unit_test(passes_over_all_exponentials_are_as_few_as_can_be),
        cmocka_unit_test(mistakes_write_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
