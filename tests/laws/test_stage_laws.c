/*
 * Why: what must be true of any stage, whatever it computes. Stages and parameter values come from
 * the registry's tables alone, so a new stage is tested here from the day it is listed. A law that
 * a stage breaks by its definition names that stage and the reason below.
 */
#include "support/cases.h"
#include "support/config_parts.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/stage_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 300, MAX_HISTORY = 80, CASES_A_STAGE = 400 };

/* One stage with random parameters, on one row, after a history. */
typedef struct law_case {
    const pluck_stage *stage;
    stage_text json;
    uint32_t n_vocab;
    float logits[MAX_VOCAB];
    pluck_token history[MAX_HISTORY];
    size_t n_history;
} law_case;

static void make_json(law_case *c, stage_values values, const uint32_t *rename, uint64_t seed)
{
    test_random random = test_random_make(seed);
    stage_begin(&c->json, seed);
    if (c->stage->kind != PLUCK_STAGE_DRAW)
        stage_add_random(&c->json, c->stage, values, (stage_tokens){c->n_vocab, rename}, &random);
    stage_end(&c->json, c->stage->kind == PLUCK_STAGE_DRAW ? c->stage : NULL);
}

static void make_case(law_case *c, const pluck_stage *stage, stage_values values, logit_kind kind,
                      uint64_t seed)
{
    test_random random = test_random_make(seed ^ 0x5EED);
    c->stage = stage;
    c->n_vocab = 1 + (uint32_t)test_random_below(&random, MAX_VOCAB);
    logit_fill(kind, seed, c->n_vocab, c->logits);
    c->n_history = test_random_below(&random, MAX_HISTORY);
    for (size_t i = 0; i < c->n_history; i++)
        c->history[i] = (pluck_token)test_random_below(&random, c->n_vocab);
    make_json(c, values, NULL, seed);
}

static test_distribution run(const char *json, const law_case *c, pluck_isa isa)
{
    pluck_sampler *sampler = test_sampler(json, c->n_vocab, isa, 0);
    test_accept(sampler, c->history, c->n_history);
    test_distribution d =
        test_distribution_of(sampler, (pluck_logits){c->logits, PLUCK_F32, c->n_vocab});
    pluck_sampler_destroy(&sampler);
    return d;
}

static bool failed(const law_case *c, const char *what)
{
    return test_case_failed("%s: %s\n    on %u logits after %zu tokens", c->json.text, what,
                            c->n_vocab, c->n_history);
}

static void run_law(const char *test, test_case_function *law)
{
    for (size_t i = 0; pluck_stage_at(i); i++) {
        const pluck_stage *stage = pluck_stage_at(i);
        test_cases_run(test, 1 + 1000 * i, CASES_A_STAGE, law, stage);
    }
}

/* The stage that a case is about: the seed alone decides, so that a replay needs nothing else. */
static const pluck_stage *stage_of(uint64_t seed)
{
    return pluck_stage_at((size_t)(seed / 1000) % n_known_stages());
}

static logit_kind kind_of(uint64_t seed)
{
    return (logit_kind)(seed % LOGITS_KINDS);
}

/* A law that a stage breaks by its definition, and why. */
typedef struct law_exception {
    const char *stage, *reason;
} law_exception;

static bool is_exception(const law_exception *exceptions, size_t n, const pluck_stage *stage)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(exceptions[i].stage, stage->name) == 0)
            return true;
    return false;
}

#define IS_EXCEPTION(list, stage) is_exception(list, sizeof list / sizeof *list, stage)

static bool neutral_is_identity(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    law_case c;
    make_case(&c, stage_of(seed), STAGE_NEUTRAL, kind_of(seed), seed);
    if (c.stage->kind == PLUCK_STAGE_DRAW || c.stage->n_params == 0)
        return true;
    pluck_config *config = test_config(c.json.text);
    bool neutral = config_stage(config, 0).is_neutral;
    pluck_config_destroy(&config);
    if (!neutral)
        return failed(&c, "all parameters are neutral, and the stage is not");
    test_distribution with = run(c.json.text, &c, isa), without = run("{}", &c, isa);
    bool holds = test_distribution_equal(&with, &without) || failed(&c, "not the identity");
    test_distribution_free(&with);
    test_distribution_free(&without);
    return holds;
}

static void neutral_parameters_are_the_identity(void **state)
{
    (void)state;
    run_law("neutral_parameters_are_the_identity", neutral_is_identity);
}

static const law_exception may_ban_all[] = {
    {"mask", "nothing may be allowed"},
    {"bad_words", "every token left may be banned"},
    {"no_repeat_ngram", "every token left may be banned"},
    {"min_tokens", "every token left may be banned"},
    {"infill", "leaves a token that ends the text, however improbable"},
};

/* Removing tokens scales what is left by one common factor. Where the best one is banned, tokens
 * come to light that were too improbable beside it for any double. */
static bool only_removes(const law_case *c, const test_distribution *after,
                         const test_distribution *before)
{
    bool bans = IS_EXCEPTION(may_ban_all, c->stage);
    if (after->n == 0 || (after->n > before->n && !bans))
        return failed(c, "no tokens left, or more than before");
    double factor = 0;
    for (uint32_t i = 0; i < after->n; i++) {
        double p = (double)test_distribution_p(before, after->probs[i].token);
        if (p == 0 && !bans)
            return failed(c, "a token came from nowhere");
        double q = (double)after->probs[i].prob;
        if (p < 0x1p-120 || q < 0x1p-120)
            continue;
        if (factor == 0)
            factor = q / p;
        if (fabs(q / p / factor - 1) > 1e-6 || factor < 1 - 1e-6)
            return failed(c, "what is left was reweighted");
    }
    return true;
}

static bool truncation_only_removes(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    law_case c;
    make_case(&c, stage_of(seed), STAGE_ANY, kind_of(seed), seed);
    if (c.stage->kind != PLUCK_STAGE_TRUNCATE)
        return true;
    test_distribution after = run(c.json.text, &c, isa), before = run("{}", &c, isa);
    bool banned = after.status == PLUCK_ERR_EMPTY && IS_EXCEPTION(may_ban_all, c.stage);
    bool holds = after.status == PLUCK_OK ? only_removes(&c, &after, &before)
                                          : banned || failed(&c, pluck_status_name(after.status));
    test_distribution_free(&after);
    test_distribution_free(&before);
    return holds;
}

static void truncating_stages_only_remove_and_never_empty_the_set(void **state)
{
    (void)state;
    run_law("truncating_stages_only_remove_and_never_empty_the_set", truncation_only_removes);
}

static const law_exception removes_tokens[] = {
    {"entmax", "improbable tokens get the probability 0: that is what it is for"},
    {"exp_decay_length", "raises exponentially: the other tokens end below what a double holds"},
    {"smoothing", "pushes far logits below what a double holds"},
};

/* Ordinary parameters and logits between -16 and 16, so that no probability underflows. Temperature
 * 0 and bans, which reweighting stages may state, are not ordinary. */
static bool reweighting_keeps(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    law_case c;
    make_case(&c, stage_of(seed), STAGE_MODERATE, LOGITS_GRID, seed);
    if (c.stage->kind != PLUCK_STAGE_REWEIGHT || IS_EXCEPTION(removes_tokens, c.stage))
        return true;
    test_distribution after = run(c.json.text, &c, isa);
    bool holds = (after.status == PLUCK_OK && after.n == c.n_vocab) ||
                 failed(&c, "the set of tokens changed");
    test_distribution_free(&after);
    return holds;
}

static void reweighting_stages_keep_the_set(void **state)
{
    (void)state;
    run_law("reweighting_stages_keep_the_set", reweighting_keeps);
}

/* Stages that look at a logit's own value, not at differences. */
static const law_exception shift_variant[] = {
    {"penalties", "repeat multiplies or divides the logit, by its sign"},
    {"exp_decay_length", "adds a multiple of the logit's magnitude"},
};

/* Same tokens, and p within half a float ulp of the logits (2^-18 at 116) on either side: a changed
 * logit is rounded to float, and differently where it is shifted. */
static bool nearly_equal(const test_distribution *a, const test_distribution *b)
{
    if (a->status != b->status || a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        double p = (double)a->probs[i].prob;
        double q = (double)test_distribution_p(b, a->probs[i].token);
        if (!(fabs(p - q) <= 2e-5 * p + 0x1p-149))
            return false;
    }
    return true;
}

static bool shift_changes_nothing(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    law_case c;
    make_case(&c, stage_of(seed), STAGE_MODERATE, LOGITS_GRID, seed);
    if (IS_EXCEPTION(shift_variant, c.stage))
        return true;
    test_distribution at_rest = run(c.json.text, &c, isa);
    bool reweights = c.stage->kind == PLUCK_STAGE_REWEIGHT;
    float shift = (float)(seed % 200) - 100.0f;
    shift *= reweights ? 1.0f : 64.0f;
    for (uint32_t i = 0; i < c.n_vocab; i++)
        c.logits[i] += shift;
    test_distribution shifted = run(c.json.text, &c, isa);
    bool holds =
        reweights ? nearly_equal(&at_rest, &shifted) : test_distribution_equal(&at_rest, &shifted);
    if (!holds)
        failed(&c, "adding a constant to every logit changed the distribution");
    test_distribution_free(&at_rest);
    test_distribution_free(&shifted);
    return holds;
}

static void a_shift_of_all_logits_changes_nothing(void **state)
{
    (void)state;
    run_law("a_shift_of_all_logits_changes_nothing", shift_changes_nothing);
}

static void shuffle(uint32_t *rename, uint32_t n, uint64_t seed)
{
    test_random random = test_random_make(seed ^ 0xC0FFEE);
    for (uint32_t i = 0; i < n; i++)
        rename[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)test_random_below(&random, i);
        uint32_t swap = rename[i - 1];
        rename[i - 1] = rename[j];
        rename[j] = swap;
    }
}

/* Tokens follow their logits where all logits differ; with ties, which of the equal tokens stay is
 * the tie rule's business, and the probabilities are the same. */
static bool follows(const test_distribution *before, const test_distribution *after,
                    const uint32_t *rename, bool ties)
{
    if (before->status != after->status || before->n != after->n)
        return false;
    for (uint32_t i = 0; i < before->n; i++) {
        double p = (double)before->probs[i].prob, q = (double)after->probs[i].prob;
        if (!ties)
            q = (double)test_distribution_p(after, (pluck_token)rename[before->probs[i].token]);
        if (!(fabs(p - q) <= 2e-5 * p + 0x1p-149))
            return false;
    }
    return true;
}

static const law_exception not_by_renaming[] = {
    {"infill", "a token has its text by its number"},
};

static bool permutation_permutes(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    bool ties = seed % 2;
    law_case c;
    if (IS_EXCEPTION(not_by_renaming, stage_of(seed)))
        return true;
    logit_kind kind = ties ? LOGITS_GRID : (logit_kind)TEST_VECTOR_NORMAL;
    make_case(&c, stage_of(seed), STAGE_MODERATE, kind, seed);
    bool history_matters = c.stage->kind == PLUCK_STAGE_REWEIGHT;
    if (ties && history_matters) /* equal tokens of which one was seen are no longer equal */
        return true;
    test_distribution before = run(c.json.text, &c, isa);
    uint32_t rename[MAX_VOCAB];
    shuffle(rename, c.n_vocab, seed);
    law_case moved = c;
    make_json(&moved, STAGE_MODERATE, rename, seed);
    for (uint32_t i = 0; i < c.n_vocab; i++)
        moved.logits[rename[i]] = c.logits[i];
    for (size_t i = 0; i < c.n_history; i++)
        moved.history[i] = (pluck_token)rename[c.history[i]];
    test_distribution after = run(moved.json.text, &moved, isa);
    bool holds = follows(&before, &after, rename, ties) ||
                 failed(&c, "renaming the tokens gave another distribution");
    test_distribution_free(&before);
    test_distribution_free(&after);
    return holds;
}

static void renaming_the_tokens_renames_the_result(void **state)
{
    (void)state;
    run_law("renaming_the_tokens_renames_the_result", permutation_permutes);
}

static const law_exception not_by_rank[] = {
    {"xtc", "what stays is the least likely token"},
    {"mask", "bans chosen tokens"},
    {"bad_words", "bans chosen tokens"},
    {"no_repeat_ngram", "bans chosen tokens"},
    {"min_tokens", "bans chosen tokens"},
    {"infill", "joins tokens by their texts"},
};

/* The lowest tokens of equal ones stay: an all-equal row keeps a prefix of the vocabulary. */
static bool ties_go_low(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    law_case c;
    make_case(&c, stage_of(seed), STAGE_ANY, LOGITS_GRID, seed);
    if (c.stage->kind == PLUCK_STAGE_REWEIGHT || IS_EXCEPTION(not_by_rank, c.stage))
        return true;
    for (uint32_t i = 0; i < c.n_vocab; i++)
        c.logits[i] = i % 2 ? 0.0f : -0.0f;
    test_distribution d = run(c.json.text, &c, isa);
    bool holds = d.status == PLUCK_OK;
    for (uint32_t i = 0; i < d.n; i++)
        holds = holds && d.probs[i].token == (pluck_token)i;
    test_distribution_free(&d);
    return holds || failed(&c, "of equal tokens others than the lowest stayed");
}

static void of_equal_tokens_the_lowest_stay(void **state)
{
    (void)state;
    run_law("of_equal_tokens_the_lowest_stay", ties_go_low);
}

/* Whatever the parameters and the row: a distribution, or an error that says there is none. */
static bool anything_goes(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    law_case c;
    make_case(&c, stage_of(seed), STAGE_ANY, kind_of(seed), seed);
    test_distribution d = run(c.json.text, &c, isa);
    double sum = 0;
    for (uint32_t i = 0; i < d.n; i++)
        sum += (double)d.probs[i].prob;
    bool holds = d.status == PLUCK_ERR_EMPTY || (d.status == PLUCK_OK && fabs(sum - 1) <= 1e-6);
    test_distribution_free(&d);
    return holds || failed(&c, "no distribution");
}

static void any_parameters_on_any_row_give_a_distribution(void **state)
{
    (void)state;
    run_law("any_parameters_on_any_row_give_a_distribution", anything_goes);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neutral_parameters_are_the_identity),
        cmocka_unit_test(truncating_stages_only_remove_and_never_empty_the_set),
        cmocka_unit_test(reweighting_stages_keep_the_set),
        cmocka_unit_test(a_shift_of_all_logits_changes_nothing),
        cmocka_unit_test(renaming_the_tokens_renames_the_result),
        cmocka_unit_test(of_equal_tokens_the_lowest_stay),
        cmocka_unit_test(any_parameters_on_any_row_give_a_distribution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
