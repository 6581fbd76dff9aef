/*
 * Why: pluck_sampler_run() and pluck_workspace_run() replace a dozen calls, and a token must not
 * depend on what is reported about it. So every field, in every combination, has the bits that the
 * single calls give; batches have those of single rows, whoever's threads they use and however the
 * rows lie; and what cannot be done leaves the samplers as they were.
 */
#include "support/cases.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/stage_cases.h"
#include "support/token_texts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 999, N_TOP = 7, N_GIVEN = 5, MAX_ROWS = 9, GAP = 3, MAX_STATE = 1 << 16 };

typedef struct row_case {
    stage_text json;
    uint32_t n_vocab;
    logit_row row;
    int32_t mask[MAX_VOCAB / 32 + 1];
    bool is_masked;
} row_case;

/* Chains that leave the nucleus uncut when a token is picked, which random ones seldom do. */
static const char *const deferring[] = {
    "{\"seed\": 1, \"top_p\": 0.9}",
    "{\"seed\": 2, \"top_p\": 0.5, \"temperature\": 1.7}",
    "{\"seed\": 3, \"logit_bias\": {\"0\": 1.5}, \"top_p\": 0.8, \"temperature\": 0.6}",
};

/* A random chain, with a draw that may learn, and a row of any type. */
static void make_case(row_case *c, uint64_t seed, uint32_t n_vocab)
{
    static const uint32_t sizes[] = {1, 2, 63, 64, 65, 200, MAX_VOCAB};
    test_random random = test_random_make(seed);
    c->n_vocab =
        n_vocab != 0 ? n_vocab : sizes[test_random_below(&random, sizeof sizes / sizeof *sizes)];
    static float x[MAX_VOCAB];
    logit_fill((logit_kind)(seed % LOGITS_KINDS), seed, c->n_vocab, x);
    pluck_dtype dtype = n_vocab != 0 ? PLUCK_F32 : (pluck_dtype)test_random_below(&random, 3);
    c->row = logit_row_make(x, c->n_vocab, dtype, seed % 7);
    stage_begin(&c->json, seed);
    const pluck_stage *draw = NULL;
    size_t n_stages = test_random_below(&random, 4);
    for (size_t i = 0; i < n_stages;) {
        const pluck_stage *stage = pluck_stage_at(test_random_below(&random, 200));
        if (!stage)
            continue;
        if (stage->kind == PLUCK_STAGE_DRAW) {
            draw = stage;
            continue;
        }
        stage_text_add(&c->json, i++ ? ", " : "");
        stage_add_random(&c->json, stage, STAGE_MODERATE, (stage_tokens){c->n_vocab, NULL},
                         &random);
    }
    stage_end(&c->json, draw);
    if (seed % 5 == 4) {
        c->json.n = 0;
        stage_text_add(&c->json, "%s", deferring[seed / 5 % 3]);
    }
    c->is_masked = test_random_below(&random, 4) == 0;
    for (size_t i = 0; i < sizeof c->mask / sizeof *c->mask; i++)
        c->mask[i] = (int32_t)test_random_bits(&random);
}

/* With some history, the same for the same seed. */
static pluck_sampler *make_sampler(const row_case *c, uint64_t seed, pluck_isa isa,
                                   pluck_workspace *workspace)
{
    pluck_config *config = test_config(c->json.text);
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .isa = isa,
                                     .stream = seed,
                                     .workspace = workspace,
                                     .token_text = test_token_text};
    pluck_sampler *sampler = NULL;
    pluck_error err = {.status = PLUCK_OK};
    if (pluck_sampler_create(&sampler, config, c->n_vocab, &options, &err) != PLUCK_OK)
        fail_msg("%s: %s", c->json.text, err.message);
    pluck_config_destroy(&config);
    test_random random = test_random_make(seed + 1);
    for (size_t n = test_random_below(&random, 20); n > 0; n--) {
        pluck_token token = (pluck_token)test_random_below(&random, c->n_vocab);
        assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
    }
    if (c->is_masked)
        pluck_sampler_set_mask(sampler, c->mask, (c->n_vocab + 31) / 32, NULL);
    return sampler;
}

/* All outputs of some rows, and memory for them. */
typedef struct results {
    pluck_token tokens[MAX_ROWS], kept[MAX_ROWS * MAX_VOCAB];
    pluck_status statuses[MAX_ROWS];
    float logprobs[MAX_ROWS], raw_logprobs[MAX_ROWS], log_mass[MAX_ROWS];
    uint32_t n_survivors[MAX_ROWS];
    pluck_logprob top[MAX_ROWS * N_TOP];
    size_t offsets[MAX_ROWS + 1];
    float kept_logprobs[MAX_ROWS * MAX_VOCAB];
    float given_logprobs[MAX_ROWS * N_GIVEN];
    uint32_t given_ranks[MAX_ROWS * N_GIVEN];
    float probs[MAX_ROWS * (MAX_VOCAB + GAP)];
} results;

static pluck_token given[MAX_ROWS * N_GIVEN];

enum {
    TOKENS = 1 << 0,
    STATUSES = 1 << 1,
    LOGPROBS = 1 << 2,
    RAW_LOGPROBS = 1 << 3,
    SURVIVORS = 1 << 4,
    TOP = 1 << 5,
    TOP_FINAL = 1 << 6,
    OFFSETS = 1 << 7,
    KEPT = 1 << 8,
    KEPT_LOGPROBS = 1 << 9,
    LOG_MASS = 1 << 10,
    GIVEN_LOGPROBS = 1 << 11,
    GIVEN_RANKS = 1 << 12,
    GIVEN_FINAL = 1 << 13,
    PROBS = 1 << 14,
    ALL = (1 << 15) - 1
};

/* The wanted ones; what depends on another one that is not wanted is left out. */
static pluck_outputs outputs_of(results *r, int wanted, uint32_t n_vocab)
{
    memset(r, 0x5A, sizeof *r);
    if (!(wanted & TOKENS))
        wanted &= ~(LOGPROBS | RAW_LOGPROBS);
    if (!(wanted & OFFSETS))
        wanted &= ~KEPT;
    if (!(wanted & KEPT))
        wanted &= ~KEPT_LOGPROBS;
    return (pluck_outputs){
        .struct_size = sizeof(pluck_outputs),
        .tokens = wanted & TOKENS ? r->tokens : NULL,
        .statuses = wanted & STATUSES ? r->statuses : NULL,
        .logprobs = wanted & LOGPROBS ? r->logprobs : NULL,
        .raw_logprobs = wanted & RAW_LOGPROBS ? r->raw_logprobs : NULL,
        .n_survivors = wanted & SURVIVORS ? r->n_survivors : NULL,
        .n_top = N_TOP,
        .top_kind = wanted & TOP_FINAL ? PLUCK_LOGPROB_FINAL : PLUCK_LOGPROB_RAW,
        .top = wanted & TOP ? r->top : NULL,
        .kept_offsets = wanted & OFFSETS ? r->offsets : NULL,
        .kept = wanted & KEPT ? r->kept : NULL,
        .kept_logprobs = wanted & KEPT_LOGPROBS ? r->kept_logprobs : NULL,
        .kept_capacity = wanted & KEPT ? sizeof r->kept / sizeof *r->kept : 0,
        .kept_log_mass = wanted & LOG_MASS ? r->log_mass : NULL,
        .n_given = N_GIVEN,
        .given = given,
        .given_kind = wanted & GIVEN_FINAL ? PLUCK_LOGPROB_FINAL : PLUCK_LOGPROB_RAW,
        .given_logprobs = wanted & GIVEN_LOGPROBS ? r->given_logprobs : NULL,
        .given_ranks = wanted & GIVEN_RANKS ? r->given_ranks : NULL,
        .probs = wanted & PROBS ? r->probs : NULL,
        .probs_stride = n_vocab + GAP,
    };
}

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

/* The saved bytes of both; true if they are equal, or if the state cannot be saved. */
static bool same_state(const pluck_sampler *a, const pluck_sampler *b)
{
    static char of_a[MAX_STATE], of_b[MAX_STATE];
    size_t n_a = 0, n_b = 0;
    if (pluck_sampler_save(a, of_a, sizeof of_a, &n_a, NULL) != PLUCK_OK)
        return true;
    return pluck_sampler_save(b, of_b, sizeof of_b, &n_b, NULL) == PLUCK_OK && n_a == n_b &&
           memcmp(of_a, of_b, n_a) == 0;
}

static bool run_agrees(const row_case *c, uint64_t seed, pluck_isa isa, int wanted)
{
    static results r;
    pluck_sampler *all = make_sampler(c, seed, isa, NULL);
    pluck_sampler *single = make_sampler(c, seed, isa, NULL);
    pluck_outputs outputs = outputs_of(&r, wanted, c->n_vocab);
    pluck_status status = pluck_sampler_run(all, c->row.logits, &outputs, NULL);
    bool agrees = outputs.tokens || same_state(all, single);
    agrees = agrees && row_agrees(single, c, &outputs, status);
    outputs.accept = outputs.tokens != NULL;
    if (agrees && status == PLUCK_OK && outputs.accept) {
        pluck_token token = -1;
        agrees = pluck_sampler_run(all, c->row.logits, &outputs, NULL) == PLUCK_OK &&
                 pluck_sampler_next(single, c->row.logits, &token, NULL) == PLUCK_OK &&
                 token == r.tokens[0] && same_state(all, single);
    }
    pluck_sampler_destroy(&all);
    pluck_sampler_destroy(&single);
    return agrees || test_case_failed("outputs %#x of %s", (unsigned)wanted, c->json.text);
}

static bool runs_hold(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    row_case c;
    make_case(&c, seed, 0);
    test_random random = test_random_make(seed + 2);
    for (int i = 0; i < N_GIVEN; i++)
        given[i] = (pluck_token)test_random_below(&random, c.n_vocab);
    bool holds = run_agrees(&c, seed, isa, ALL) && run_agrees(&c, seed, isa, ALL & ~TOKENS);
    for (int i = 0; i < 3 && holds; i++)
        holds = run_agrees(&c, seed, isa, (int)(test_random_bits(&random) & ALL));
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
    static results r;
    pluck_sampler *sampler = make_sampler(&c, 1, test_isa(), NULL);
    pluck_sampler *banned = make_sampler(&c, 1, test_isa(), NULL);
    pluck_outputs outputs = outputs_of(&r, ALL & ~TOP_FINAL & ~GIVEN_FINAL, N);
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
    make_case(&c, 0, 200);
    c.json.n = 0;
    stage_text_add(&c.json, "{\"seed\": 4, \"top_k\": 12, \"draw\": \"mirostat_v2\"}");
    c.is_masked = false;
    static results r;
    float other[200] = {[7] = 50.0f};
    pluck_logits other_logits = {other, PLUCK_F32, 200};
    pluck_sampler *sampler = make_sampler(&c, 1, test_isa(), NULL);
    pluck_sampler *untouched = make_sampler(&c, 1, test_isa(), NULL);
    test_distribution d = test_distribution_of(sampler, c.row.logits);
    assert_true(d.n > 1);
    /* A token that was drawn before stays the one that was drawn. */
    pluck_token drawn = -1;
    assert_int_equal(pluck_sampler_set_position(sampler, 1000, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_set_position(untouched, 1000, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_sample(sampler, other_logits, &drawn, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_sample(untouched, other_logits, &drawn, NULL), PLUCK_OK);
    pluck_outputs outputs = outputs_of(&r, TOKENS | STATUSES | OFFSETS | KEPT, c.n_vocab);
    outputs.accept = true;
    outputs.kept_capacity = d.n - 1;
    pluck_error err = {.status = PLUCK_OK};
    assert_int_equal(pluck_sampler_run(sampler, c.row.logits, &outputs, &err), PLUCK_ERR_SPACE);
    assert_non_null(strstr(err.message, "kept_capacity"));
    assert_int_equal(r.offsets[1], d.n);
    assert_int_equal(r.tokens[0], PLUCK_NO_TOKEN);
    assert_int_equal(r.statuses[0], PLUCK_ERR_SPACE);
    assert_true(same_state(sampler, untouched));
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

/* Row r of a batch, against the same sampler alone. */
static bool batch_row_agrees(const results *all, size_t r, const results *one, uint32_t n_vocab)
{
    size_t n = one->offsets[1], at = all->offsets[r], stride = n_vocab + GAP;
    return all->tokens[r] == one->tokens[0] && all->statuses[r] == one->statuses[0] &&
           is_same(all->logprobs[r], one->logprobs[0]) &&
           is_same(all->raw_logprobs[r], one->raw_logprobs[0]) &&
           all->n_survivors[r] == one->n_survivors[0] &&
           is_same(all->log_mass[r], one->log_mass[0]) &&
           memcmp(all->top + r * N_TOP, one->top, N_TOP * sizeof *one->top) == 0 &&
           all->offsets[r + 1] - at == n &&
           memcmp(all->kept + at, one->kept, n * sizeof *one->kept) == 0 &&
           memcmp(all->kept_logprobs + at, one->kept_logprobs, n * sizeof(float)) == 0 &&
           memcmp(all->given_logprobs + r * N_GIVEN, one->given_logprobs,
                  N_GIVEN * sizeof(float)) == 0 &&
           memcmp(all->given_ranks + r * N_GIVEN, one->given_ranks, N_GIVEN * sizeof(uint32_t)) ==
               0 &&
           memcmp(all->probs + r * stride, one->probs, stride * sizeof(float)) == 0;
}

enum { BATCH_VOCAB = 333 };

/* Samplers 2 and 5 are not there; row 7 has a NaN; rows lie apart, with NaN in the gaps. */
static bool batch_agrees(const pluck_parallel *parallel, uint64_t seed, int wanted)
{
    static float data[MAX_ROWS * (BATCH_VOCAB + GAP)];
    static row_case cases[MAX_ROWS];
    static results all, one;
    pluck_workspace *workspace = NULL;
    pluck_sampler *samplers[MAX_ROWS] = {NULL}, *alone[MAX_ROWS] = {NULL};
    assert_int_equal(pluck_workspace_create(&workspace, BATCH_VOCAB, parallel, NULL, NULL),
                     PLUCK_OK);
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        data[i] = NAN;
    for (size_t r = 0; r < MAX_ROWS; r++) {
        make_case(&cases[r], seed * MAX_ROWS + r, BATCH_VOCAB);
        memcpy(data + r * (BATCH_VOCAB + GAP), cases[r].row.exact, BATCH_VOCAB * sizeof *data);
        logit_row_destroy(&cases[r].row);
        if (r == 2 || r == 5)
            continue;
        samplers[r] = make_sampler(&cases[r], r, PLUCK_ISA_BEST, workspace);
        alone[r] = make_sampler(&cases[r], r, PLUCK_ISA_BEST, NULL);
    }
    data[7 * (BATCH_VOCAB + GAP) + 100] = NAN;
    const pluck_matrix rows = {.data = data,
                               .dtype = PLUCK_F32,
                               .n_cols = BATCH_VOCAB,
                               .n_rows = MAX_ROWS,
                               .row_stride_bytes = (BATCH_VOCAB + GAP) * sizeof *data};
    pluck_outputs outputs = outputs_of(&all, wanted, BATCH_VOCAB);
    outputs.accept = true;
    pluck_error err = {.status = PLUCK_OK};
    pluck_status status = pluck_workspace_run(workspace, samplers, &rows, &outputs, &err);
    bool agrees = status != PLUCK_OK && strncmp(err.message, "row ", 4) == 0 &&
                  all.statuses[7] == PLUCK_ERR_NAN;
    for (size_t r = 0; r < MAX_ROWS && agrees; r++) {
        outputs = outputs_of(&one, wanted, BATCH_VOCAB);
        outputs.accept = true;
        outputs.given = given + r * N_GIVEN;
        if (!alone[r]) {
            agrees = all.tokens[r] == PLUCK_NO_TOKEN && all.statuses[r] == PLUCK_OK &&
                     (!(wanted & OFFSETS) || all.offsets[r] == all.offsets[r + 1]);
            continue;
        }
        const float *row = data + r * (BATCH_VOCAB + GAP);
        pluck_sampler_run(alone[r], (pluck_logits){row, PLUCK_F32, BATCH_VOCAB}, &outputs, NULL);
        agrees = same_state(samplers[r], alone[r]) &&
                 (wanted == ALL ? batch_row_agrees(&all, r, &one, BATCH_VOCAB)
                                : all.tokens[r] == one.tokens[0]);
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
                if (!batch_agrees(parallels[p], seed, ALL) ||
                    !batch_agrees(parallels[p], seed, TOKENS | STATUSES))
                    fail_msg("%u workers, kind %zu, seed %llu", worker_counts[w], p,
                             (unsigned long long)seed);
            pluck_pool_destroy(&pool);
        }
}

static void mistakes_write_nothing(void **state)
{
    (void)state;
    row_case c;
    make_case(&c, 0, 64);
    pluck_sampler *sampler = make_sampler(&c, 1, test_isa(), NULL);
    memset(given, 0, sizeof given);
    static results r, before;
    pluck_outputs cases[12];
    for (int i = 0; i < 12; i++)
        cases[i] = outputs_of(&r, ALL, 64);
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
    } grown = {.outputs = outputs_of(&r, TOKENS, 64)};
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
        cmocka_unit_test(mistakes_write_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
