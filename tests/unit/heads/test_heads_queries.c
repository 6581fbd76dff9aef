/*
 * A head answers without looking at most tokens, so nothing but a look at all of them shows that
 * it is right: every query is compared with the distribution by brute force in long double,
 * sorted, for all kinds of heads, with and without a mask. What a best-first search evaluates is
 * counted too, because doing too much would not show in its answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/cases.h"
#include "support/head_cases.h"
#include "support/isa.h"

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

enum { MAX_VOCAB = 400, MAX_DIM = 100, MASK_WORDS = (MAX_VOCAB + 31) / 32 };

typedef struct ranked {
    long double logprob;
    pluck_token token;
} ranked;

/* One head, one hidden state, one mask, and the truth about them. */
typedef struct fixture {
    head_case c;
    pluck_head_query *query;
    float hidden[MAX_DIM];
    long double truth[MAX_VOCAB];
    double logprobs[MAX_VOCAB]; /* what pluck_head_query_logprob() says */
    int32_t mask[MASK_WORDS];
    bool masked;
    ranked order[MAX_VOCAB]; /* allowed tokens, by logprobs */
    uint32_t n_allowed;
    long double mass; /* of the allowed ones */
} fixture;

static bool allowed(const fixture *f, uint32_t t)
{
    return !f->masked || ((uint32_t)f->mask[t / 32] >> (t % 32) & 1) != 0;
}

static int by_rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->logprob != y->logprob)
        return x->logprob > y->logprob ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static void make_mask(fixture *f, test_random *random)
{
    uint32_t n = f->c.n_vocab;
    memset(f->mask, 0, sizeof f->mask);
    f->masked = test_random_below(random, 2) != 0;
    size_t rarity = 1 + test_random_below(random, 10);
    for (uint32_t t = 0; t < n; t++)
        if (test_random_below(random, rarity) == 0)
            f->mask[t / 32] |= (int32_t)((uint32_t)1 << t % 32);
    uint32_t one = (uint32_t)test_random_below(random, n);
    f->mask[one / 32] |= (int32_t)((uint32_t)1 << one % 32);
    if (f->masked)
        assert_ok(pluck_head_query_set_mask(f->query, f->mask, (n + 31) / 32, &err));
}

static void open_fixture(fixture *f, pluck_head_kind kind, uint64_t seed)
{
    test_random random = test_random_make(seed + 1000000);
    uint32_t n = 1 + (uint32_t)test_random_below(&random, MAX_VOCAB);
    memset(f, 0, sizeof *f);
    f->c = head_case_make(kind, seed, n, 1 + (uint32_t)test_random_below(&random, MAX_DIM));
    assert_ok(pluck_head_query_create(&f->query, f->c.head, NULL, &err));
    head_case_hidden(&random, &f->c, f->hidden);
    head_case_logprobs(&f->c, f->hidden, f->truth);
    make_mask(f, &random);
    for (uint32_t t = 0; t < n; t++) {
        assert_ok(
            pluck_head_query_logprob(f->query, f->hidden, (pluck_token)t, &f->logprobs[t], &err));
        if (!allowed(f, t))
            continue;
        f->order[f->n_allowed++] = (ranked){(long double)f->logprobs[t], (pluck_token)t};
        f->mass += expl(f->truth[t]);
    }
    qsort(f->order, f->n_allowed, sizeof *f->order, by_rank);
}

static void close_fixture(fixture *f)
{
    pluck_head_query_destroy(&f->query);
    head_case_free(&f->c);
}

static void for_each_case(void (*check)(fixture *f), uint64_t n_seeds)
{
    static fixture f;
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        for (uint64_t seed = 0; seed < test_n_repeats(n_seeds); seed++) {
            open_fixture(&f, (pluck_head_kind)kind, seed);
            check(&f);
            close_fixture(&f);
        }
    }
}

static void check_logprobs(fixture *f)
{
    float all[MAX_VOCAB];
    assert_ok(pluck_head_query_logprobs(f->query, f->hidden, all, &err));
    for (uint32_t t = 0; t < f->c.n_vocab; t++) {
        double error = fabs(f->logprobs[t] - (double)f->truth[t]);
        if (!(error <= 4e-6 + 4e-7 * fabs(f->logprobs[t])))
            fail_msg("%s: token %" PRIu32 ": ln p = %.9g, exactly %.9Lg", head_case_text(&f->c), t,
                     f->logprobs[t], f->truth[t]);
        if (all[t] != (float)f->logprobs[t])
            fail_msg("%s: token %" PRIu32 ": logprobs %.9g, logprob %.9g", head_case_text(&f->c), t,
                     (double)all[t], f->logprobs[t]);
    }
}

static void test_logprobs_are_those_of_brute_force(void **state)
{
    (void)state;
    for_each_case(check_logprobs, 150);
}

static void check_log_mass(fixture *f)
{
    double log_mass = 1;
    assert_ok(pluck_head_query_log_mass(f->query, f->hidden, &log_mass, &err));
    if (!(fabs(log_mass - (double)logl(f->mass)) <= 1e-5))
        fail_msg("%s: ln mass = %.9g, exactly %.9Lg", head_case_text(&f->c), log_mass,
                 logl(f->mass));
    if (!f->masked && head_cost(f->query).n_dots != 0)
        fail_msg("%s: the mass of all tokens costs something", head_case_text(&f->c));
}

static void test_log_mass_is_the_sum_over_allowed_tokens(void **state)
{
    (void)state;
    for_each_case(check_log_mass, 150);
}

/* The first n of the order, with the bits of pluck_head_query_logprob() rounded to floats. */
static void compare(const fixture *f, const char *what, const pluck_logprob *tokens, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        pluck_token token = f->order[i].token;
        if (tokens[i].token != token || tokens[i].logprob != (float)f->logprobs[token])
            fail_msg("%s: %s: place %" PRIu32 " has token %" PRId32 " (%.9g), expected %" PRId32
                     " (%.9g)",
                     head_case_text(&f->c), what, i, tokens[i].token, (double)tokens[i].logprob,
                     token, f->logprobs[token]);
    }
}

static void check_top_k(fixture *f)
{
    static const uint32_t ks[] = {1, 2, 5, 40, MAX_VOCAB, UINT32_MAX};
    pluck_logprob tokens[MAX_VOCAB], greedy;
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        uint32_t n = 0;
        assert_ok(pluck_head_query_select(f->query, f->hidden, TOP_K(ks[i]), tokens, MAX_VOCAB, &n,
                                          &err));
        uint32_t expected = ks[i] < f->n_allowed ? ks[i] : f->n_allowed;
        if (n != expected)
            fail_msg("%s: top %" PRIu32 " gave %" PRIu32, head_case_text(&f->c), ks[i], n);
        compare(f, "top_k", tokens, n);
        uint32_t counted = 0;
        tokens[1].token = -7;
        assert_ok(
            pluck_head_query_select(f->query, f->hidden, TOP_K(ks[i]), tokens, 1, &counted, &err));
        assert_int_equal(counted, n);
        assert_int_equal(tokens[1].token, -7);
    }
    assert_ok(head_greedy(f->query, f->hidden, &greedy, &err));
    compare(f, "greedy", &greedy, 1);
}

static void test_top_k_is_the_beginning_of_all_sorted(void **state)
{
    (void)state;
    for_each_case(check_top_k, 150);
}

/* The smallest number of tokens whose mass reaches p, and whether that is too close to call. */
static uint32_t nucleus(const fixture *f, double p, bool *close)
{
    long double mass = 0;
    *close = false;
    for (uint32_t i = 0; i < f->n_allowed; i++) {
        mass += expl(f->truth[f->order[i].token]) / f->mass;
        if (fabsl(mass - (long double)p) < 1e-6L)
            *close = true;
        if (mass >= (long double)p)
            return i + 1;
    }
    return f->n_allowed;
}

static void check_top_p(fixture *f)
{
    static const double ps[] = {1e-9, 0.1, 0.5, 0.9, 0.95, 0.999, 1};
    pluck_logprob tokens[MAX_VOCAB];
    for (size_t i = 0; i < sizeof ps / sizeof *ps; i++) {
        uint32_t n = 0;
        bool close = false;
        assert_ok(pluck_head_query_select(f->query, f->hidden, TOP_P(ps[i]), tokens, MAX_VOCAB, &n,
                                          &err));
        uint32_t expected = ps[i] == 1 ? f->n_allowed : nucleus(f, ps[i], &close);
        if (n != expected && !close)
            fail_msg("%s: top_p %g gave %" PRIu32 ", expected %" PRIu32, head_case_text(&f->c),
                     ps[i], n, expected);
        compare(f, "top_p", tokens, n);
        uint32_t counted = 0;
        assert_ok(
            pluck_head_query_select(f->query, f->hidden, TOP_P(ps[i]), NULL, 0, &counted, &err));
        assert_int_equal(counted, n);
    }
}

static void test_top_p_is_the_smallest_nucleus(void **state)
{
    (void)state;
    for_each_case(check_top_p, 100);
}

static void check_min_p(fixture *f)
{
    static const double ps[] = {1e-300, 0.01, 0.05, 0.5, 1};
    pluck_logprob tokens[MAX_VOCAB];
    for (size_t i = 0; i < sizeof ps / sizeof *ps; i++) {
        uint32_t n = 0, expected = 0;
        long double least = f->order[0].logprob + logl((long double)ps[i]);
        bool close = false;
        for (uint32_t r = 0; r < f->n_allowed; r++) {
            expected += f->order[r].logprob >= least;
            close = close || fabsl(f->order[r].logprob - least) < 1e-12L;
        }
        assert_ok(pluck_head_query_select(f->query, f->hidden, MIN_P(ps[i]), tokens, MAX_VOCAB, &n,
                                          &err));
        if (n != expected && !close)
            fail_msg("%s: min_p %g gave %" PRIu32 ", expected %" PRIu32, head_case_text(&f->c),
                     ps[i], n, expected);
        if (ps[i] == 1)
            assert_true(n >= 1);
        compare(f, "min_p", tokens, n);
    }
}

static void test_min_p_is_relative_to_the_most_probable(void **state)
{
    (void)state;
    for_each_case(check_min_p, 100);
}

/* Inner nodes at least as probable as the last token, counted over the whole tree. */
static void check_evaluated_nodes(fixture *f)
{
    if (f->c.kind != PLUCK_HEAD_HIERARCHICAL || f->masked)
        return;
    uint32_t n_vocab = f->c.n_vocab;
    const int32_t *children = pluck_tree_children(f->c.tree);
    long double *mass = calloc(2 * (size_t)n_vocab, sizeof *mass);
    for (uint32_t t = 0; t < n_vocab; t++)
        mass[t] = expl(f->truth[t]);
    for (uint32_t i = 0; i + 1 < n_vocab; i++)
        mass[n_vocab + i] = mass[children[2 * (size_t)i]] + mass[children[2 * (size_t)i + 1]];
    pluck_logprob tokens[MAX_VOCAB];
    for (uint32_t k = 1; k <= n_vocab; k += 1 + k / 2) {
        uint32_t n = 0, needed = 0;
        assert_ok(
            pluck_head_query_select(f->query, f->hidden, TOP_K(k), tokens, MAX_VOCAB, &n, &err));
        long double least = expl(f->truth[tokens[n - 1].token]);
        for (uint32_t i = 0; i + 1 < n_vocab; i++)
            needed += mass[n_vocab + i] >= least * (1 - 1e-5L);
        uint64_t n_dots = head_cost(f->query).n_dots;
        if (n_dots > needed)
            fail_msg("%s: top %" PRIu32 " evaluated %" PRIu64 " nodes, %" PRIu32 " are needed",
                     head_case_text(&f->c), k, n_dots, needed);
    }
    free(mass);
}

static void test_best_first_evaluates_only_more_probable_nodes(void **state)
{
    (void)state;
    for_each_case(check_evaluated_nodes, 100);
}

/* The most probable token in the short list settles the matter: no tail is looked at. */
static void check_tails(fixture *f)
{
    uint32_t n_short = f->c.n_vocab, n_tail_rows = 0;
    if (f->c.kind != PLUCK_HEAD_ADAPTIVE || f->masked)
        return;
    for (uint32_t i = 0; i < f->c.n_parts; i++)
        n_short -= f->c.sizes[i];
    pluck_logprob best;
    assert_ok(head_greedy(f->query, f->hidden, &best, &err));
    for (uint32_t i = 0, token = n_short; i < f->c.n_parts; token += f->c.sizes[i++]) {
        long double mass = 0;
        for (uint32_t t = token; t < token + f->c.sizes[i]; t++)
            mass += expl(f->truth[t]);
        if (mass >= expl(f->truth[best.token]) * (1 - 1e-5L))
            n_tail_rows += f->c.widths[i] + f->c.sizes[i];
    }
    uint64_t n_dots = head_cost(f->query).n_dots;
    if (n_dots > n_short + f->c.n_parts + n_tail_rows)
        fail_msg("%s: greedy took %" PRIu64 " dot products, %" PRIu32 " are needed",
                 head_case_text(&f->c), n_dots, n_short + f->c.n_parts + n_tail_rows);
}

static void test_tails_that_cannot_matter_are_not_evaluated(void **state)
{
    (void)state;
    for_each_case(check_tails, 150);
}

/* Every answer again on every instruction set. */
static void check_isas(fixture *f)
{
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    if (f->c.kind != PLUCK_HEAD_HIERARCHICAL)
        return;
    pluck_matrix nodes = {
        .data = f->c.weights, .dtype = f->c.dtype, .n_rows = f->c.n_vocab - 1, .n_cols = f->c.dim};
    for (size_t i = 0; i < n_tables; i++) {
        pluck_head_options options = {
            .struct_size = sizeof options, .isa = tables[i]->isa, .copy = true};
        pluck_head *head = NULL;
        pluck_head_query *query = NULL;
        assert_ok(pluck_head_create_hierarchical(&head, f->c.tree, &nodes, f->c.bias, f->c.sign,
                                                 &options, &err));
        assert_ok(pluck_head_query_create(&query, head, NULL, &err));
        for (uint32_t t = 0; t < f->c.n_vocab; t++) {
            double logprob = 0;
            assert_ok(pluck_head_query_logprob(query, f->hidden, (pluck_token)t, &logprob, &err));
            assert_memory_equal(&logprob, &f->logprobs[t], sizeof logprob);
        }
        pluck_head_query_destroy(&query);
        pluck_head_destroy(&head);
    }
}

static void test_results_are_the_same_bits_on_every_instruction_set(void **state)
{
    (void)state;
    for_each_case(check_isas, 40);
}

/* A query that was asked about this hidden state before, in any way, says the same as a new one. */
static void check_kept(fixture *f)
{
    pluck_logprob tokens[MAX_VOCAB];
    float moved[MAX_DIM];
    uint32_t n = 0;
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, f->c.seed, 0, 0);
    memcpy(moved, f->hidden, sizeof moved);
    moved[f->c.dim - 1] += 1;
    for (int before = 0; before < 4; before++) {
        double logprob = 0;
        pluck_token token = (pluck_token)(f->c.seed % f->c.n_vocab);
        assert_ok(pluck_head_query_logprob(f->query, moved, token, &logprob, &err));
        if (before == 1)
            assert_ok(pluck_head_query_sample(f->query, f->hidden, 1.5, &rng, 3, tokens, &n, &err));
        else if (before == 2)
            assert_ok(pluck_head_query_select(f->query, f->hidden, TOP_P(0.9), tokens, MAX_VOCAB,
                                              &n, &err));
        else if (before == 3)
            assert_ok(pluck_head_query_log_mass(f->query, f->hidden, &logprob, &err));
        assert_ok(pluck_head_query_logprob(f->query, f->hidden, token, &logprob, &err));
        assert_memory_equal(&logprob, &f->logprobs[token], sizeof logprob);
        uint64_t n_dots = head_cost(f->query).n_dots;
        bool is_flat = f->c.kind == PLUCK_HEAD_DENSE || f->c.kind == PLUCK_HEAD_DIFFERENTIATED;
        if (is_flat && (before == 1 || before == 2))
            assert_int_equal(n_dots, 1);
    }
}

static void test_what_was_asked_before_changes_no_logprob(void **state)
{
    (void)state;
    for_each_case(check_kept, 60);
}

/* Where sigmoid(x) rounds to 1, the other side is still exact. */
static void test_tiny_probabilities_keep_their_digits(void **state)
{
    (void)state;
    const float node[1] = {1};
    pluck_matrix nodes = {.data = node, .dtype = PLUCK_F32, .n_rows = 1, .n_cols = 1};
    pluck_tree *tree = NULL;
    pluck_head *head = NULL;
    pluck_head_query *query = NULL;
    assert_ok(pluck_tree_create_balanced(&tree, 2, NULL, &err));
    assert_ok(
        pluck_head_create_hierarchical(&head, tree, &nodes, NULL, PLUCK_TREE_RIGHT, NULL, &err));
    assert_ok(pluck_head_query_create(&query, head, NULL, &err));
    for (float x = -3e4f; x <= 3e4f; x += 517.25f) {
        for (int side = 0; side < 2; side++) {
            long double turned = side ? (long double)x : -(long double)x;
            long double exact = turned < 0 ? turned - log1pl(expl(turned)) : -log1pl(expl(-turned));
            double logprob = 1;
            assert_ok(pluck_head_query_logprob(query, &x, side, &logprob, &err));
            if (!(fabsl((long double)logprob - exact) <= 1e-14L * fabsl(exact) + 0x1p-1074L))
                fail_msg("x = %g, side %d: %.17g, exactly %.17Lg", (double)x, side, logprob, exact);
        }
    }
    pluck_head_query_destroy(&query);
    pluck_head_destroy(&head);
    pluck_tree_destroy(&tree);
}

/* All logits 0: every token of a balanced tree is a tie, and lower tokens come first. */
static void test_ties_go_to_the_lower_token(void **state)
{
    (void)state;
    enum { N = 64 };
    float *zeros = calloc(N, sizeof *zeros);
    pluck_matrix nodes = {.data = zeros, .dtype = PLUCK_F32, .n_rows = N - 1, .n_cols = 1},
                 weights = {.data = zeros, .dtype = PLUCK_F32, .n_rows = N, .n_cols = 1};
    float hidden = 1;
    pluck_tree *tree = NULL;
    pluck_head *heads[2] = {NULL};
    assert_ok(pluck_tree_create_balanced(&tree, N, NULL, &err));
    assert_ok(
        pluck_head_create_hierarchical(&heads[0], tree, &nodes, NULL, PLUCK_TREE_LEFT, NULL, &err));
    assert_ok(pluck_head_create_dense(&heads[1], &weights, NULL, NULL, &err));
    for (size_t i = 0; i < 2; i++) {
        pluck_head_query *query = NULL;
        pluck_logprob tokens[5];
        uint32_t n = 0;
        assert_ok(pluck_head_query_create(&query, heads[i], NULL, &err));
        assert_ok(pluck_head_query_select(query, &hidden, TOP_K(5), tokens, 5, &n, &err));
        assert_int_equal(n, 5);
        for (int t = 0; t < 5; t++)
            assert_int_equal(tokens[t].token, t);
        pluck_head_query_destroy(&query);
        pluck_head_destroy(&heads[i]);
    }
    pluck_tree_destroy(&tree);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logprobs_are_those_of_brute_force),
        cmocka_unit_test(test_log_mass_is_the_sum_over_allowed_tokens),
        cmocka_unit_test(test_top_k_is_the_beginning_of_all_sorted),
        cmocka_unit_test(test_top_p_is_the_smallest_nucleus),
        cmocka_unit_test(test_min_p_is_relative_to_the_most_probable),
        cmocka_unit_test(test_best_first_evaluates_only_more_probable_nodes),
        cmocka_unit_test(test_tails_that_cannot_matter_are_not_evaluated),
        cmocka_unit_test(test_results_are_the_same_bits_on_every_instruction_set),
        cmocka_unit_test(test_what_was_asked_before_changes_no_logprob),
        cmocka_unit_test(test_tiny_probabilities_keep_their_digits),
        cmocka_unit_test(test_ties_go_to_the_lower_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
