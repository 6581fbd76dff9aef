/*
 * Exact temperature is the promise that trees are known to break: tempering every node is not
 * tempering the distribution. So draws at several temperatures, with and without a mask, with and
 * without replacement, are compared by chi-square with the distribution enumerated in long double.
 * The seeds are fixed; thresholds are such that a correct sampler fails once in 10^6 seeds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cases.h"
#include "support/chi_square.h"
#include "support/head_cases.h"

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

enum { N_VOCAB = 60, DIM = 7, N_DRAWS = 60000, N_ROWS = 300 };

static const double temperatures[] = {0.05, 0.5, 0.7, 1, 1.5, 3, 100};

enum { N_TEMPERATURES = sizeof temperatures / sizeof *temperatures };

/* counts against n draws from p. */
static void check_counts(const char *what, const uint64_t *counts, const long double *p, size_t n_p,
                         uint64_t n)
{
    double rounded[N_VOCAB];
    for (size_t i = 0; i < n_p; i++)
        rounded[i] = (double)p[i];
    chi_square test = chi_square_test(counts, rounded, n_p, n);
    if (!(test.p_value > 1e-6))
        fail_msg("%s: chi-square %g with %g degrees of freedom, p-value %g", what, test.statistic,
                 test.freedom, test.p_value);
}

static void tempered(const long double *logprobs, const int32_t *mask, double temperature, size_t n,
                     long double *p)
{
    long double max = -HUGE_VALL, sum = 0;
    for (size_t t = 0; t < n; t++) {
        bool allowed = !mask || ((uint32_t)mask[t / 32] >> (t % 32) & 1) != 0;
        p[t] = allowed ? logprobs[t] / (long double)temperature : -HUGE_VALL;
        max = fmaxl(max, p[t]);
    }
    for (size_t t = 0; t < n; t++)
        sum += p[t] = expl(p[t] - max);
    for (size_t t = 0; t < n; t++)
        p[t] /= sum;
}

static void check_draws(const head_case *c, const float *hidden, const int32_t *mask,
                        double temperature)
{
    long double logprobs[N_VOCAB], p[N_VOCAB];
    uint64_t counts[N_VOCAB] = {0};
    pluck_head_query *query = NULL;
    head_case_logprobs(c, hidden, logprobs);
    tempered(logprobs, mask, temperature, N_VOCAB, p);
    assert_ok(pluck_head_query_create(&query, c->head, NULL, &err));
    assert_ok(pluck_head_query_set_mask(query, mask, (N_VOCAB + 31) / 32, &err));
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, c->seed, 1, 0);
    uint64_t n_draws = test_n_repeats(N_DRAWS);
    for (uint64_t i = 0; i < n_draws; i++) {
        pluck_logprob drawn = {-1, 1};
        assert_ok(head_draw(query, hidden, temperature, &rng, &drawn, &err));
        counts[drawn.token]++;
        if (!(fabs((double)drawn.logprob - (double)logprobs[drawn.token]) < 1e-5))
            fail_msg("%s: ln p of %" PRId32 " is %g, exactly %Lg", head_case_text(c), drawn.token,
                     (double)drawn.logprob, logprobs[drawn.token]);
    }
    char what[256];
    (void)snprintf(what, sizeof what, "%s, T = %g%s", head_case_text(c), temperature,
                   mask ? ", masked" : "");
    check_counts(what, counts, p, N_VOCAB, n_draws);
    pluck_head_query_destroy(&query);
}

static void test_draws_have_the_tempered_distribution(void **state)
{
    (void)state;
    static const int32_t masks[3][2] = {
        {(int32_t)0xFFFF0F35, 0x0FFFF0A1}, {0x00010000, 0x00000101}, {0x10, 0}};
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case made = head_case_make((pluck_head_kind)kind, 11, N_VOCAB, DIM);
        head_case c = made;
        test_random random = test_random_make(12);
        float hidden[DIM];
        head_case_hidden(&random, &c, hidden);
        for (int i = 0; i < N_TEMPERATURES; i++) {
            check_draws(&c, hidden, NULL, temperatures[i]);
            check_draws(&c, hidden, masks[i % 3], temperatures[i]);
        }
        head_case_free(&c);
    }
}

/* Ordered pairs of different tokens: p(a) p(b) / (1 - p(a)). */
static void test_draws_without_replacement_have_the_right_pairs(void **state)
{
    (void)state;
    enum { N = 6 };
    static const double some[] = {0.3, 1, 4};
    const int32_t mask[1] = {0x3B};
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 21, N, DIM);
        test_random random = test_random_make(22);
        float hidden[DIM];
        pluck_head_query *query = NULL;
        head_case_hidden(&random, &c, hidden);
        assert_ok(pluck_head_query_create(&query, c.head, NULL, &err));
        for (int i = 0; i < 6; i++) {
            long double logprobs[N], p[N], pairs[N * N];
            uint64_t counts[N * N] = {0};
            const int32_t *used = i % 2 ? mask : NULL;
            head_case_logprobs(&c, hidden, logprobs);
            tempered(logprobs, used, some[i / 2], N, p);
            assert_ok(pluck_head_query_set_mask(query, used, 1, &err));
            for (int a = 0; a < N; a++)
                for (int b = 0; b < N; b++)
                    pairs[a * N + b] = a == b || p[a] == 0 ? 0 : p[a] * p[b] / (1 - p[a]);
            pluck_pcg64 rng;
            pluck_pcg64_seed(&rng, 5, (uint64_t)i, 0);
            uint64_t n_draws = test_n_repeats(N_DRAWS);
            for (uint64_t draw = 0; draw < n_draws; draw++) {
                pluck_logprob tokens[2];
                uint32_t n = 0;
                assert_ok(
                    pluck_head_query_sample(query, hidden, some[i / 2], &rng, 2, tokens, &n, &err));
                assert_int_equal(n, 2);
                counts[tokens[0].token * N + tokens[1].token]++;
            }
            check_counts(head_case_text(&c), counts, pairs, (size_t)N * N, n_draws);
        }
        pluck_head_query_destroy(&query);
        head_case_free(&c);
    }
}

static void test_distinct_draws_end_when_all_tokens_are_drawn(void **state)
{
    (void)state;
    static const double some[] = {1e-40, 1e-12, 0.01, 1, 50};
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 31, N_VOCAB, DIM);
        test_random random = test_random_make(32);
        float hidden[DIM];
        pluck_head_query *query = NULL;
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, 1, 1, 0);
        head_case_hidden(&random, &c, hidden);
        assert_ok(pluck_head_query_create(&query, c.head, NULL, &err));
        for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
            pluck_logprob tokens[N_VOCAB + 5];
            bool seen[N_VOCAB] = {false};
            uint32_t n = 0;
            assert_ok(pluck_head_query_sample(query, hidden, some[i], &rng, N_VOCAB + 5, tokens, &n,
                                              &err));
            if (n != N_VOCAB)
                fail_msg("%s, T = %g: %" PRIu32 " tokens", head_case_text(&c), some[i], n);
            for (uint32_t t = 0; t < n; t++) {
                assert_false(seen[tokens[t].token]);
                seen[tokens[t].token] = true;
            }
        }
        pluck_head_query_destroy(&query);
        head_case_free(&c);
    }
}

/* From below 1e-30 to the largest double there is no NaN, no endless loop; the cold end is greedy.
 * */
static void test_extreme_temperatures_converge(void **state)
{
    (void)state;
    static const double cold[] = {0, 1e-300, 1e-31, 1e-30, 1e-29, 1e-12, 1e-6, 1e-4};
    static const double hot[] = {1e3, 1e20, 1e300, 1.7976931348623157e308};
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 41, N_VOCAB, DIM);
        test_random random = test_random_make(42);
        float hidden[DIM];
        long double logprobs[N_VOCAB], p[N_VOCAB];
        pluck_head_query *query = NULL;
        pluck_logprob best, drawn = {-1, 1};
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, 1, 1, 0);
        head_case_hidden(&random, &c, hidden);
        assert_ok(pluck_head_query_create(&query, c.head, NULL, &err));
        assert_ok(head_greedy(query, hidden, &best, &err));
        for (size_t i = 0; i < sizeof cold / sizeof *cold; i++) {
            for (int draw = 0; draw < 50; draw++) {
                assert_ok(head_draw(query, hidden, cold[i], &rng, &drawn, &err));
                assert_int_equal(drawn.token, best.token);
            }
        }
        head_case_logprobs(&c, hidden, logprobs);
        for (size_t i = 0; i < sizeof hot / sizeof *hot; i++) {
            uint64_t counts[N_VOCAB] = {0};
            tempered(logprobs, NULL, hot[i], N_VOCAB, p);
            uint64_t n_draws = test_n_repeats(20000);
            for (uint64_t draw = 0; draw < n_draws; draw++) {
                assert_ok(head_draw(query, hidden, hot[i], &rng, &drawn, &err));
                counts[drawn.token]++;
            }
            check_counts(head_case_text(&c), counts, p, N_VOCAB, n_draws);
        }
        assert_int_equal(head_draw(query, hidden, -1, &rng, &drawn, &err), PLUCK_ERR_INVALID);
        assert_int_equal(head_draw(query, hidden, HUGE_VAL, &rng, &drawn, &err), PLUCK_ERR_INVALID);
        assert_int_equal(head_draw(query, hidden, (double)NAN, &rng, &drawn, &err),
                         PLUCK_ERR_INVALID);
        pluck_head_query_destroy(&query);
        head_case_free(&c);
    }
}

/* A chain is the worst shape: every failed descent evaluates at least one node that was not. */
static void test_a_deep_tree_ends_after_as_many_trials_as_it_has_nodes(void **state)
{
    (void)state;
    enum { N = 3000 };
    int32_t *children = malloc(2 * N * sizeof *children);
    float *nodes = malloc(N * sizeof *nodes);
    test_random random = test_random_make(51);
    for (int i = 0; i + 1 < N; i++) {
        children[2 * i] = i + 1;
        children[2 * i + 1] = i == 0 ? 0 : N + i - 1;
        nodes[i] = (float)(6 + test_random_normal(&random));
    }
    pluck_matrix matrix = {.data = nodes, .dtype = PLUCK_F32, .n_rows = N - 1, .n_cols = 1};
    float hidden = 1;
    pluck_tree *tree = NULL;
    pluck_head *head = NULL;
    pluck_head_query *query = NULL;
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 1, 1, 0);
    assert_ok(pluck_tree_create_from_children(&tree, children, N, NULL, &err));
    assert_ok(
        pluck_head_create_hierarchical(&head, tree, &matrix, NULL, PLUCK_TREE_RIGHT, NULL, &err));
    assert_ok(pluck_head_query_create(&query, head, NULL, &err));
    for (int i = 0; i < 20; i++) {
        pluck_logprob drawn = {-1, 1};
        double temperature = pow(10, test_random_uniform(&random) * 6 - 3);
        assert_ok(head_draw(query, &hidden, temperature, &rng, &drawn, &err));
        pluck_head_stats stats = head_cost(query);
        assert_true(stats.n_dots <= N - 1);
        assert_true(stats.n_trials <= N + 2);
        double alone = 0;
        assert_ok(pluck_head_query_logprob(query, &hidden, drawn.token, &alone, &err));
        assert_true((float)alone == drawn.logprob);
    }
    pluck_head_query_destroy(&query);
    pluck_head_destroy(&head);
    pluck_tree_destroy(&tree);
    free(children);
    free(nodes);
}

typedef struct rows_result {
    pluck_token drawn[N_ROWS];
    float logprobs[N_ROWS], given[N_ROWS];
    pluck_logprob top[N_ROWS * 3];
    pluck_head_stats stats[2];
} rows_result;

static void run_rows(const head_case *c, const float *hidden, const int32_t *mask,
                     const pluck_parallel *parallel, rows_result *r)
{
    memset(r, 0, sizeof *r);
    r->stats[0] = r->stats[1] = PLUCK_INIT(pluck_head_stats);
    pluck_head_batch batch = PLUCK_INIT(pluck_head_batch);
    batch.hidden = hidden;
    batch.n_rows = N_ROWS;
    batch.mask = mask;
    batch.n_mask_words = (N_VOCAB + 31) / 32;
    batch.parallel = parallel;
    pluck_head_batch draws = batch, scores = batch;
    draws.temperature = 0.8;
    draws.seed = 3;
    draws.stream = 100;
    draws.position = 7;
    draws.tokens = r->drawn;
    draws.logprobs = r->logprobs;
    draws.n_top = 3;
    draws.top = r->top;
    draws.stats = &r->stats[0];
    assert_ok(pluck_head_run(c->head, &draws, &err));
    scores.n_given = 1;
    scores.given = r->drawn;
    scores.given_logprobs = r->given;
    scores.stats = &r->stats[1];
    assert_ok(pluck_head_run(c->head, &scores, &err));
}

/* A caller's own threads, of a strange kind. */
static void run_backwards(void *user, size_t n_items,
                          void (*task)(void *data, uint32_t worker, size_t item), void *data)
{
    (void)user;
    while (n_items-- > 0)
        task(data, (uint32_t)(n_items % 5), n_items);
}

static void test_rows_do_not_depend_on_the_threads(void **state)
{
    (void)state;
    static const uint32_t n_threads[] = {2, 3, 16};
    static rows_result one, many;
    const int32_t mask[2] = {0x7FFF0F35, 0x0FFFF0A1};
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 61, N_VOCAB, DIM);
        test_random random = test_random_make(62);
        static float hidden[N_ROWS * DIM];
        for (size_t r = 0; r < N_ROWS; r++)
            head_case_hidden(&random, &c, hidden + r * DIM);
        run_rows(&c, hidden, mask, NULL, &one);
        for (size_t i = 0; i < 3; i++) {
            pluck_pool *pool = NULL;
            assert_ok(pluck_pool_create(&pool, n_threads[i], NULL, &err));
            run_rows(&c, hidden, mask, pluck_pool_parallel(pool), &many);
            assert_memory_equal(&one, &many, sizeof one);
            pluck_pool_destroy(&pool);
        }
        run_rows(&c, hidden, mask, &(pluck_parallel){run_backwards, NULL, 5}, &many);
        assert_memory_equal(&one, &many, sizeof one);
        pluck_head_query *query = NULL;
        assert_ok(pluck_head_query_create(&query, c.head, NULL, &err));
        assert_ok(pluck_head_query_set_mask(query, mask, 2, &err));
        for (size_t r = 0; r < N_ROWS; r++) {
            pluck_logprob drawn = {-1, 1}, top[3];
            uint32_t n = 0;
            pluck_pcg64 rng;
            pluck_pcg64_seed(&rng, 3, 100 + r, 7);
            assert_ok(head_draw(query, hidden + r * DIM, 0.8, &rng, &drawn, &err));
            assert_int_equal(drawn.token, one.drawn[r]);
            assert_true(drawn.logprob == one.logprobs[r]);
            assert_true(one.given[r] == one.logprobs[r]);
            assert_ok(pluck_head_query_select(query, hidden + r * DIM, TOP_K(3), top, 3, &n, &err));
            assert_memory_equal(top, one.top + 3 * r, n * sizeof *top);
        }
        hidden[250 * DIM] = NAN;
        hidden[251 * DIM] = NAN;
        pluck_pool *pool = NULL;
        assert_ok(pluck_pool_create(&pool, 4, NULL, &err));
        pluck_head_batch batch = {.struct_size = sizeof batch,
                                  .hidden = hidden,
                                  .n_rows = N_ROWS,
                                  .parallel = pluck_pool_parallel(pool),
                                  .n_given = 1,
                                  .given = one.drawn,
                                  .given_logprobs = one.given};
        assert_int_equal(pluck_head_run(c.head, &batch, &err), PLUCK_ERR_NAN);
        pluck_pool_destroy(&pool);
        assert_non_null(strstr(err.message, "row 250"));
        pluck_head_query_destroy(&query);
        head_case_free(&c);
    }
}

/* Fewer tokens than places: the rest is filled up. Tokens of a row may be given more than once. */
static void test_a_batch_fills_up_lists_and_scores_many_tokens(void **state)
{
    (void)state;
    enum { N = 4, N_GIVEN = 6, N_TOP = 6 };
    for (int kind = 0; kind < HEAD_CASE_KINDS; kind++) {
        head_case c = head_case_make((pluck_head_kind)kind, 71, N, DIM);
        const int32_t mask[1] = {0x6};
        const pluck_token given[2 * N_GIVEN] = {0, 1, 2, 3, 3, 0, 3, 2, 1, 0, 1, 1};
        test_random random = test_random_make(72);
        float hidden[2 * DIM], given_logprobs[2 * N_GIVEN];
        pluck_logprob top[2 * N_TOP];
        pluck_head_query *query = NULL;
        head_case_hidden(&random, &c, hidden);
        head_case_hidden(&random, &c, hidden + DIM);
        pluck_head_batch batch = {.struct_size = sizeof batch,
                                  .hidden = hidden,
                                  .n_rows = 2,
                                  .mask = mask,
                                  .n_mask_words = 1,
                                  .n_given = N_GIVEN,
                                  .given = given,
                                  .given_logprobs = given_logprobs,
                                  .n_top = N_TOP,
                                  .top = top};
        assert_ok(pluck_head_run(c.head, &batch, &err));
        assert_ok(pluck_head_query_create(&query, c.head, NULL, &err));
        for (size_t i = 0; i < 2 * N_GIVEN; i++) {
            double logprob = 0;
            assert_ok(pluck_head_query_logprob(query, hidden + i / N_GIVEN * DIM, given[i],
                                               &logprob, &err));
            assert_true((float)logprob == given_logprobs[i]);
        }
        for (size_t r = 0; r < 2; r++) {
            assert_true(top[r * N_TOP].token == 1 || top[r * N_TOP].token == 2);
            assert_int_equal(top[r * N_TOP].token + top[r * N_TOP + 1].token, 3);
            for (size_t i = r * N_TOP + 2; i < (r + 1) * N_TOP; i++)
                assert_true(top[i].token == PLUCK_NO_TOKEN && top[i].logprob == -INFINITY);
        }
        batch.given_logprobs = NULL;
        assert_int_equal(pluck_head_run(c.head, &batch, &err), PLUCK_ERR_INVALID);
        batch.given_logprobs = given_logprobs;
        batch.logprobs = given_logprobs;
        assert_int_equal(pluck_head_run(c.head, &batch, &err), PLUCK_ERR_INVALID);
        batch.logprobs = NULL;
        batch.n_mask_words = 2;
        assert_int_equal(pluck_head_run(c.head, &batch, &err), PLUCK_ERR_INVALID);
        batch.mask = NULL;
        batch.parallel = &(pluck_parallel){run_backwards, NULL, 0};
        assert_int_equal(pluck_head_run(c.head, &batch, &err), PLUCK_ERR_INVALID);
        pluck_head_query_destroy(&query);
        head_case_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_have_the_tempered_distribution),
        cmocka_unit_test(test_draws_without_replacement_have_the_right_pairs),
        cmocka_unit_test(test_distinct_draws_end_when_all_tokens_are_drawn),
        cmocka_unit_test(test_extreme_temperatures_converge),
        cmocka_unit_test(test_a_deep_tree_ends_after_as_many_trials_as_it_has_nodes),
        cmocka_unit_test(test_rows_do_not_depend_on_the_threads),
        cmocka_unit_test(test_a_batch_fills_up_lists_and_scores_many_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
