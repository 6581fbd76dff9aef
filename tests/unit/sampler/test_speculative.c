/*
 * Why: speculative decoding must be invisible. Whatever is drafted, the tokens that come out have
 * jointly the law of sampling from the target alone; a greedy target gets its own tokens; mistakes
 * are named. test_speculative_samplers.c does the same with samplers.
 *
 *     test_speculative [N_SEQUENCES]      60,000 unless given
 *
 * Sequences of three tokens are counted against their exact probabilities by chi-square. A correct
 * program fails with probability 10 * 1e-8 at most; seeds are fixed.
 */
#include "support/allocator.h"
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/random.h"
#include "support/samplers.h"

#include <pluck/pluck.h>
#include <pluck/speculative.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { V = 5, LENGTH = 3, BINS = V * V * V, MAX_DRAFTS = 4 };

static const double SMALLEST_P_VALUE = 1e-8;
static uint64_t n_sequences = 60000;

/* A language model of V tokens that knows the last one; V stands for the start. */
typedef struct model {
    float p[V + 1][V];
} model;

/* sparsity: how many of eight entries are 0, the first of a row never. */
static model make_model(uint64_t seed, size_t sparsity)
{
    test_random random = test_random_make(seed);
    model m;
    for (int row = 0; row <= V; row++) {
        double sum = 0, weights[V];
        for (int i = 0; i < V; i++) {
            bool zero = i != (row + (int)seed) % V && test_random_below(&random, 8) < sparsity;
            weights[i] = zero ? 0 : exp(1.5 * test_random_normal(&random));
            sum += weights[i];
        }
        for (int i = 0; i < V; i++)
            m.p[row][i] = (float)(weights[i] / sum);
    }
    return m;
}

static pluck_support support_of(const model *m, pluck_token last, pluck_prob probs[V])
{
    pluck_support support = {probs, 0};
    for (int i = 0; i < V; i++)
        if (m->p[last][i] > 0)
            probs[support.n++] = (pluck_prob){i, m->p[last][i]};
    return support;
}

static pluck_token draw_from(const model *m, pluck_token last, double u)
{
    double sum = 0;
    pluck_token token = 0;
    for (int i = 0; i < V; i++) {
        token = m->p[last][i] > 0 ? i : token;
        sum += (double)m->p[last][i];
        if (sum > u)
            break;
    }
    return token;
}

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

/* Tokens of one sequence: at least LENGTH of them, from as many steps as it takes. The drafts are
 * drawn with the numbers that a sampler of the same seed and stream would use. certain: the drafts
 * are what draft thinks most likely, without supports. */
static void speculate(const model *target, const model *draft, uint32_t n_drafts, bool certain,
                      uint64_t stream, pluck_token tokens[LENGTH])
{
    pluck_speculation *s = make_speculation(V, 7, stream);
    pluck_token last = V;
    for (uint64_t position = 0; position < LENGTH;) {
        pluck_prob draft_probs[MAX_DRAFTS][V], target_probs[MAX_DRAFTS + 1][V];
        pluck_support supports[MAX_DRAFTS], targets[MAX_DRAFTS + 1];
        pluck_token drafted[MAX_DRAFTS], context = last;
        for (uint32_t i = 0; i <= n_drafts; i++) {
            targets[i] = support_of(target, context, target_probs[i]);
            if (i == n_drafts)
                break;
            pluck_pcg64 rng;
            pluck_pcg64_seed(&rng, 7, stream, position + i);
            supports[i] = support_of(draft, context, draft_probs[i]);
            drafted[i] = certain ? (context * 2 + 1) % V
                                 : draw_from(draft, context, pluck_pcg64_uniform(&rng));
            context = drafted[i];
        }
        pluck_drafts drafts = {drafted, certain ? NULL : supports, n_drafts};
        pluck_verdict verdict;
        pluck_error err;
        if (pluck_speculation_verify(s, position, &drafts, targets, &verdict, &err) != PLUCK_OK)
            fail_msg("stream %llu: %s", (unsigned long long)stream, err.message);
        assert_in_range(verdict.n_accepted, 0, n_drafts);
        for (uint32_t i = 0; i <= verdict.n_accepted; i++, position++) {
            last = i < verdict.n_accepted ? drafted[i] : verdict.next;
            if (position < LENGTH)
                tokens[position] = last;
        }
    }
    pluck_speculation_destroy(&s);
}

static void check_law(const model *target, const model *draft, uint32_t n_drafts, bool certain)
{
    static uint64_t counts[BINS];
    static double p[BINS];
    memset(counts, 0, sizeof counts);
    for (pluck_token a = 0; a < V; a++)
        for (pluck_token b = 0; b < V; b++)
            for (pluck_token c = 0; c < V; c++)
                p[bin_of((pluck_token[]){a, b, c})] =
                    (double)target->p[V][a] * (double)target->p[a][b] * (double)target->p[b][c];
    for (uint64_t stream = 0; stream < n_sequences; stream++) {
        pluck_token tokens[LENGTH];
        speculate(target, draft, n_drafts, certain, stream, tokens);
        counts[bin_of(tokens)]++;
    }
    chi_square found = chi_square_test(counts, p, BINS, n_sequences);
    if (found.p_value < SMALLEST_P_VALUE)
        fail_msg("%u drafts, certain %d: chi-square %g of %g bins, p = %g", n_drafts, certain,
                 found.statistic, found.freedom + 1, found.p_value);
}

static void tokens_have_the_law_of_the_target(void **state)
{
    (void)state;
    model target = make_model(1, 0), other = make_model(2, 0);
    check_law(&target, &other, 0, false);
    check_law(&target, &other, 1, false);
    check_law(&target, &other, 2, false);
    check_law(&target, &other, MAX_DRAFTS, false);
    check_law(&target, &target, 2, false);
}

static void sparse_supports_keep_the_law(void **state)
{
    (void)state;
    model target = make_model(3, 4), draft = make_model(5, 5);
    check_law(&target, &draft, 1, false);
    check_law(&target, &draft, 3, false);
}

static void drafts_without_supports_keep_the_law(void **state)
{
    (void)state;
    model target = make_model(6, 2);
    check_law(&target, &target, 3, true);
}

static void what_is_drafted_from_the_target_itself_is_accepted(void **state)
{
    (void)state;
    pluck_speculation *s = make_speculation(V, 1, 2);
    model m = make_model(4, 3);
    for (uint64_t position = 0; position < 1000; position++) {
        pluck_prob probs[V];
        pluck_support support = support_of(&m, (pluck_token)(position % V), probs);
        const pluck_support targets[] = {support, support};
        for (uint32_t i = 0; i < support.n; i++) {
            pluck_verdict verdict;
            pluck_drafts drafts = {&probs[i].token, &support, 1};
            assert_int_equal(
                PLUCK_OK, pluck_speculation_verify(s, position, &drafts, targets, &verdict, NULL));
            assert_int_equal(1, verdict.n_accepted);
        }
    }
    pluck_speculation_destroy(&s);
}

static void a_greedy_target_takes_exactly_its_own_tokens(void **state)
{
    (void)state;
    pluck_speculation *s = make_speculation(10, 1, 2);
    const pluck_prob best[] = {{3, 1}, {4, 1}, {5, 1}};
    const pluck_support targets[] = {{best, 1}, {best + 1, 1}, {best + 2, 1}};
    const pluck_prob unsure[] = {{3, 0.2f}, {4, 0.5f}, {9, 0.3f}};
    const pluck_support supports[] = {{unsure, 3}, {unsure, 3}};
    const struct {
        pluck_token drafts[2];
        uint32_t n_accepted;
        pluck_token next;
    } expected[] = {{{3, 4}, 2, 5}, {{3, 9}, 1, 4}, {{9, 4}, 0, 3}, {{4, 3}, 0, 3}};
    for (uint64_t position = 0; position < 200; position++)
        for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
            for (int with = 0; with < 2; with++) {
                pluck_drafts drafts = {expected[i].drafts, with ? supports : NULL, 2};
                pluck_verdict verdict;
                assert_int_equal(PLUCK_OK, pluck_speculation_verify(s, position, &drafts, targets,
                                                                    &verdict, NULL));
                assert_int_equal(expected[i].n_accepted, verdict.n_accepted);
                assert_int_equal(expected[i].next, verdict.next);
            }
    pluck_speculation_destroy(&s);
}

static void expect(pluck_status status, const char *words, pluck_status got, const pluck_error *err)
{
    assert_int_equal(status, got);
    assert_int_equal(status, err->status);
    if (!strstr(err->message, words))
        fail_msg("no \"%s\" in \"%s\"", words, err->message);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    pluck_error err = {.status = PLUCK_OK};
    pluck_verdict v;
    pluck_speculation *s = make_speculation(4, 1, 1);
    const pluck_prob good[] = {{0, 0.5f}, {3, 0.5f}}, outside[] = {{0, 0.5f}, {4, 0.5f}};
    const pluck_prob negative[] = {{0, -0.5f}, {1, 1}}, nothing[] = {{0, 0}};
    const pluck_support fine[] = {{good, 2}, {good, 2}}, bad = {outside, 2}, minus = {negative, 2};
    pluck_support empty = {nothing, 1}, none = {NULL, 0};
    pluck_token zero = 0, two = 2, four = 4;
    pluck_drafts drafts = {&zero, fine, 1};
    expect(PLUCK_ERR_INVALID, "target 0: token 4",
           pluck_speculation_verify(s, 0, &drafts, &bad, &v, &err), &err);
    expect(PLUCK_ERR_INVALID, "target 0: the probability of token 0",
           pluck_speculation_verify(s, 0, &drafts, &minus, &v, &err), &err);
    expect(PLUCK_ERR_INVALID, "draft 0: token 4 is outside [0, 3]",
           pluck_speculation_verify(s, 0, &(pluck_drafts){&four, fine, 1}, fine, &v, &err), &err);
    expect(PLUCK_ERR_INVALID, "draft 0: token 4",
           pluck_speculation_verify(s, 0, &(pluck_drafts){&zero, &bad, 1}, fine, &v, &err), &err);
    expect(PLUCK_ERR_INVALID, "draft 0: token 2 has the probability 0",
           pluck_speculation_verify(s, 0, &(pluck_drafts){&two, fine, 1}, fine, &v, &err), &err);
    expect(PLUCK_ERR_EMPTY, "target 0 has no token",
           pluck_speculation_verify(s, 0, &drafts, &empty, &v, &err), &err);
    expect(PLUCK_ERR_EMPTY, "target 0 has no token",
           pluck_speculation_verify(s, 0, &drafts, &none, &v, &err), &err);
    expect(PLUCK_ERR_INVALID, "NULL", pluck_speculation_verify(s, 0, NULL, fine, &v, &err), &err);
    expect(PLUCK_ERR_INVALID, "NULL",
           pluck_speculation_verify(s, 0, &(pluck_drafts){NULL, fine, 1}, fine, &v, &err), &err);
    /* Nothing of this stays in the working memory. */
    assert_int_equal(PLUCK_OK, pluck_speculation_verify(s, 0, &drafts, fine, &v, NULL));
    assert_int_equal(1, v.n_accepted);
    pluck_sampler *other = test_sampler("{}", 9, PLUCK_ISA_BEST, 0);
    const float row[9] = {0};
    pluck_matrix rows = {.data = row, .dtype = PLUCK_F32, .n_cols = 9, .n_rows = 2};
    expect(PLUCK_ERR_INVALID, "the speculation is for a vocabulary of 4 tokens, the sampler for 9",
           pluck_speculation_step(s, other, &rows, &drafts, &v, &err), &err);
    pluck_sampler *target = test_sampler("{}", 4, PLUCK_ISA_BEST, 0);
    expect(PLUCK_ERR_INVALID, "rows of 9 logits",
           pluck_speculation_step(s, target, &rows, &drafts, &v, &err), &err);
    rows.n_cols = 4;
    rows.n_rows = 1;
    expect(PLUCK_ERR_INVALID,
           "1 drafts need 2 rows of logits, one per draft and one after the last; 1 were given",
           pluck_speculation_step(s, target, &rows, &drafts, &v, &err), &err);
    rows.n_rows = 2;
    rows.data = NULL;
    expect(PLUCK_ERR_INVALID, "NULL", pluck_speculation_step(s, target, &rows, &drafts, &v, &err),
           &err);
    pluck_sampler_destroy(&target);
    pluck_sampler_destroy(&other);
    pluck_speculation_destroy(&s);
    expect(PLUCK_ERR_INVALID, "n_vocab = 0", pluck_speculation_create(&s, 0, 1, 1, NULL, &err),
           &err);
    assert_null(s);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_allocator memory;
    for (uint64_t n = 0;; n++) {
        pluck_speculation *s = NULL;
        test_allocator_init(&memory);
        memory.fail_at = n;
        pluck_status status = pluck_speculation_create(&s, 1000, 1, 1, &memory.interface, NULL);
        assert_int_equal(memory.failed ? PLUCK_ERR_NOMEM : PLUCK_OK, status);
        pluck_speculation_destroy(&s);
        assert_int_equal(0, memory.n_live);
        if (!memory.failed)
            break;
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_have_the_law_of_the_target),
        cmocka_unit_test(sparse_supports_keep_the_law),
        cmocka_unit_test(drafts_without_supports_keep_the_law),
        cmocka_unit_test(what_is_drafted_from_the_target_itself_is_accepted),
        cmocka_unit_test(a_greedy_target_takes_exactly_its_own_tokens),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    n_sequences = argc > 1 ? strtoull(argv[1], NULL, 10) : test_n_repeats(n_sequences);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
