/*
 * Why: sampled softmax is right only if three things agree: candidates come as the proposal says,
 * their expected counts are those of the formula, and loss and gradient are those of the corrected
 * logits. Each is judged on its own, the gradient by central differences; over all tokens with
 * counts of 1 the loss is that of the whole softmax.
 */
#include "support/allocator.h"
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/random.h"

#include <pluck/sampled_softmax.h>
#include <pluck/softmax.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_CASES = 150, MAX_N = 40 };

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

static pluck_candidate_sampler *create(uint32_t n_vocab)
{
    pluck_candidate_sampler *candidates = NULL;
    assert_ok(pluck_candidate_sampler_create(&candidates, n_vocab, NULL, &err));
    return candidates;
}

static long double exact_p(uint32_t n_vocab, pluck_token token)
{
    return log1pl(1 / ((long double)token + 1)) / logl((long double)n_vocab + 1);
}

static void probabilities_and_expected_counts_are_those_of_the_formulas(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 2, 100, 50257, PLUCK_MAX_VOCAB};
    const uint64_t tries[] = {1, 2, 64, 8192, 1000000000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        pluck_candidate_sampler *candidates = create(sizes[s]);
        for (uint32_t k = 0; k < sizes[s]; k = k * 3 + 1) {
            pluck_token token = (pluck_token)k;
            long double p = exact_p(sizes[s], token);
            double got;
            assert_ok(pluck_candidate_sampler_probability(candidates, token, &got, &err));
            assert_true(fabsl((long double)got - p) <= 1e-15L * p);
            for (size_t t = 0; t < sizeof tries / sizeof *tries; t++) {
                long double n = (long double)tries[t];
                long double once = sizes[s] == 1 ? 1 : -expm1l(n * log1pl(-p));
                assert_ok(pluck_candidate_sampler_expected(candidates, token, tries[t], false, &got,
                                                           &err));
                assert_true(fabsl((long double)got - n * p) <= 1e-15L * n * p);
                assert_ok(pluck_candidate_sampler_expected(candidates, token, tries[t], true, &got,
                                                           &err));
                assert_true(fabsl((long double)got - once) <= 2e-14L * once && got <= 1);
            }
        }
        pluck_candidate_sampler_destroy(&candidates);
    }
}

/* A correct one fails with probability 1e-8. */
static void candidates_come_as_the_proposal_says(void **state)
{
    (void)state;
    enum { N_VOCAB = 200, PORTION = 1000, N_PORTIONS = 1000 };
    pluck_candidate_sampler *candidates = create(N_VOCAB);
    uint64_t counts[N_VOCAB] = {0}, n_tries = 0;
    double p[N_VOCAB];
    pluck_token tokens[PORTION];
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 4, 0, 0);
    for (int i = 0; i < N_PORTIONS; i++) {
        assert_ok(
            pluck_candidate_sampler_draw(candidates, &rng, PORTION, false, tokens, &n_tries, &err));
        assert_int_equal(n_tries, PORTION);
        for (int k = 0; k < PORTION; k++)
            counts[tokens[k]]++;
    }
    for (int k = 0; k < N_VOCAB; k++)
        p[k] = (double)exact_p(N_VOCAB, k);
    assert_true(chi_square_test(counts, p, N_VOCAB, (uint64_t)PORTION * N_PORTIONS).p_value >=
                1e-8);
    pluck_candidate_sampler_destroy(&candidates);
}

/* The same numbers with repetition give the same tokens in the same order, repeated ones apart. */
static void unique_candidates_are_the_first_different_ones(void **state)
{
    (void)state;
    enum { N_VOCAB = 70, N = 50, MAX_TRIES = 100000 };
    static pluck_token all[MAX_TRIES];
    pluck_candidate_sampler *candidates = create(N_VOCAB);
    for (uint64_t seed = 0; seed < 20; seed++) {
        pluck_token tokens[N];
        uint64_t n_tries = 0, n_all = 0;
        bool seen[N_VOCAB] = {false};
        pluck_pcg64 rng, again;
        pluck_pcg64_seed(&rng, seed, 0, 0);
        again = rng;
        assert_ok(pluck_candidate_sampler_draw(candidates, &rng, N, true, tokens, &n_tries, &err));
        assert_true(n_tries >= N && n_tries < MAX_TRIES);
        assert_ok(pluck_candidate_sampler_draw(candidates, &again, (uint32_t)n_tries, false, all,
                                               &n_all, &err));
        assert_memory_equal(&rng, &again, sizeof rng);
        size_t n = 0;
        for (uint64_t i = 0; i < n_tries; i++) {
            if (!seen[all[i]])
                assert_int_equal(tokens[n++], all[i]);
            seen[all[i]] = true;
        }
        assert_int_equal(n, N);
    }
    pluck_token every[N_VOCAB];
    uint64_t n_tries;
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 1, 0, 0);
    assert_ok(pluck_candidate_sampler_draw(candidates, &rng, N_VOCAB, true, every, &n_tries, &err));
    pluck_candidate_sampler_destroy(&candidates);
}

static void a_partition_ends_before_one_target_too_many(void **state)
{
    (void)state;
    const pluck_token targets[] = {5, 3, 5, 5, 9, 3, 7, 5};
    pluck_token tokens[4];
    uint32_t n_unique = 0;
    size_t n_used = 0;
    pluck_candidate_sampler *candidates = create(10);
    assert_ok(pluck_candidate_sampler_partition(candidates, targets, 8, 3, tokens, &n_unique,
                                                &n_used, &err));
    assert_int_equal(n_used, 6);
    assert_int_equal(n_unique, 3);
    assert_true(tokens[0] == 5 && tokens[1] == 3 && tokens[2] == 9);
    assert_ok(pluck_candidate_sampler_partition(candidates, targets + 6, 2, 3, tokens, &n_unique,
                                                &n_used, &err));
    assert_true(n_used == 2 && n_unique == 2 && tokens[0] == 7 && tokens[1] == 5);
    assert_ok(pluck_candidate_sampler_partition(candidates, targets, 0, 3, tokens, &n_unique,
                                                &n_used, &err));
    assert_true(n_used == 0 && n_unique == 0);
    const pluck_token bad[] = {1, 2, 10};
    assert_int_equal(
        pluck_candidate_sampler_partition(candidates, bad, 3, 4, tokens, &n_unique, &n_used, &err),
        PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "targets[2] = 10 is outside"));
    assert_ok(
        pluck_candidate_sampler_partition(candidates, bad, 2, 4, tokens, &n_unique, &n_used, &err));
    assert_int_equal(n_unique, 2); /* nothing is left marked by the failure */
    pluck_candidate_sampler_destroy(&candidates);
}

typedef struct input {
    size_t n;
    float logits[MAX_N];
    double expected[MAX_N];
    pluck_token tokens[MAX_N];
} input;

static void make_input(input *in, uint64_t seed)
{
    test_random random = test_random_make(seed);
    in->n = 1 + test_random_below(&random, MAX_N);
    for (size_t i = 0; i < in->n; i++) {
        in->logits[i] = (float)test_random_normal(&random);
        in->expected[i] = exp(2 * test_random_normal(&random) - 3);
        in->tokens[i] = (pluck_token)test_random_below(&random, 15); /* hits are frequent */
    }
}

static long double exact_loss(const input *in, const long double *logits)
{
    long double sum = 0, target = 0;
    for (size_t i = 0; i < in->n; i++) {
        long double o = logits[i] - logl((long double)in->expected[i]);
        if (i == 0)
            target = o;
        if (i == 0 || in->tokens[i] != in->tokens[0])
            sum += expl(o);
    }
    return logl(sum) - target;
}

static bool loss_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    long double h = 1e-6L;
    input in;
    float gradient[MAX_N];
    long double logits[MAX_N] = {0};
    double loss = 0;
    make_input(&in, seed);
    assert_ok(
        pluck_sampled_softmax(in.logits, in.expected, in.tokens, in.n, &loss, gradient, &err));
    for (size_t i = 0; i < in.n; i++)
        logits[i] = (long double)in.logits[i];
    long double exact = exact_loss(&in, logits);
    if (!(fabsl((long double)loss - exact) <= 2e-6L))
        return test_case_failed("loss %.9g, exactly %.9Lg", loss, exact);
    for (size_t i = 0; i < in.n; i++) {
        long double at = logits[i];
        logits[i] = at + h;
        long double more = exact_loss(&in, logits);
        logits[i] = at - h;
        long double slope = (more - exact_loss(&in, logits)) / (2 * h);
        logits[i] = at;
        if (!(fabsl((long double)gradient[i] - slope) <= 1e-6L))
            return test_case_failed("gradient[%zu] = %.9g, difference %.9Lg", i,
                                    (double)gradient[i], slope);
        if (i > 0 && in.tokens[i] == in.tokens[0] && gradient[i] != 0)
            return test_case_failed("an accidental hit has a gradient");
    }
    assert_ok(
        pluck_sampled_softmax(in.logits, in.expected, in.tokens, in.n, &loss, in.logits, &err));
    return memcmp(in.logits, gradient, in.n * sizeof *gradient) == 0 ||
           test_case_failed("differs in place");
}

static void the_gradient_is_a_difference_of_the_loss(void **state)
{
    (void)state;
    test_cases_run_once("the_gradient_is_a_difference_of_the_loss", 1, N_CASES, loss_case, NULL);
}

static void over_all_tokens_it_is_the_whole_softmax(void **state)
{
    (void)state;
    enum { N = 30 };
    float z[N], whole[N], sampled[N], reordered[N];
    double expected[N], loss, sampled_loss;
    pluck_token tokens[N];
    test_random random = test_random_make(8);
    for (int i = 0; i < N; i++) {
        z[i] = (float)test_random_normal(&random);
        expected[i] = 1;
    }
    int target = 11;
    assert_ok(pluck_cross_entropy(z, N, 1, (size_t)target, &loss, whole, &err));
    for (int i = 0; i < N; i++) {
        tokens[i] = (pluck_token)(i == 0 ? target : i <= target ? i - 1 : i);
        reordered[i] = z[tokens[i]];
    }
    assert_ok(pluck_sampled_softmax(reordered, expected, tokens, N, &sampled_loss, sampled, &err));
    assert_true(fabs(loss - sampled_loss) <= 1e-6);
    for (int i = 0; i < N; i++)
        assert_true(fabsf(sampled[i] - whole[tokens[i]]) <= 1e-6f);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    const float logits[] = {1, 2, 3}, bad[] = {1, NAN, 3}, banned[] = {-INFINITY, 1, 2};
    const double expected[] = {1, 1, 1}, zero[] = {1, 0, 1};
    const pluck_token tokens[] = {4, 5, 6};
    float gradient[3] = {7, 7, 7};
    double loss = 7;
    pluck_token drawn[3] = {7, 7, 7};
    uint64_t n_tries = 7;
    pluck_pcg64 rng = {1, 2, 3, 5};
    pluck_candidate_sampler *candidates = create(3), *none = candidates;
    const pluck_status invalid[] = {
        pluck_sampled_softmax(logits, zero, tokens, 3, &loss, gradient, &err),
        pluck_sampled_softmax(banned, expected, tokens, 3, &loss, gradient, &err),
        pluck_sampled_softmax(logits, expected, tokens, 0, &loss, gradient, &err),
        pluck_sampled_softmax(logits, expected, tokens, 3, &loss, NULL, &err),
        pluck_sampled_softmax(logits, expected, tokens, 3, NULL, gradient, &err),
        pluck_sampled_softmax(logits, NULL, tokens, 3, &loss, gradient, &err),
        pluck_candidate_sampler_create(&none, 0, NULL, &err),
        pluck_candidate_sampler_create(&none, PLUCK_MAX_VOCAB + 1, NULL, &err),
        pluck_candidate_sampler_create(NULL, 3, NULL, &err),
        pluck_candidate_sampler_draw(candidates, &rng, 4, true, drawn, &n_tries, &err),
        pluck_candidate_sampler_draw(candidates, &rng, 0, false, drawn, &n_tries, &err),
        pluck_candidate_sampler_draw(NULL, &rng, 1, false, drawn, &n_tries, &err),
        pluck_candidate_sampler_probability(candidates, 3, &loss, &err),
        pluck_candidate_sampler_probability(candidates, -1, &loss, &err),
        pluck_candidate_sampler_expected(candidates, 1, 0, true, &loss, &err),
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        if (invalid[i] != PLUCK_ERR_INVALID)
            fail_msg("mistake %zu gives %s", i, pluck_status_name(invalid[i]));
    assert_int_equal(pluck_sampled_softmax(bad, expected, tokens, 3, &loss, gradient, &err),
                     PLUCK_ERR_NAN);
    assert_null(none);
    assert_true(gradient[0] == 7 && loss == 7 && drawn[0] == 7 && n_tries == 7);
    pluck_candidate_sampler_destroy(&candidates);
    pluck_candidate_sampler_destroy(NULL);
}

static void a_failed_allocation_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t n = 0;; n++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = n;
        pluck_candidate_sampler *candidates = NULL;
        pluck_status status =
            pluck_candidate_sampler_create(&candidates, 1000, &allocator.interface, &err);
        assert_int_equal(status, allocator.failed ? PLUCK_ERR_NOMEM : PLUCK_OK);
        pluck_candidate_sampler_destroy(&candidates);
        assert_int_equal(allocator.n_live, 0);
        if (!allocator.failed) {
            assert_true(n >= 2);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probabilities_and_expected_counts_are_those_of_the_formulas),
        cmocka_unit_test(candidates_come_as_the_proposal_says),
        cmocka_unit_test(unique_candidates_are_the_first_different_ones),
        cmocka_unit_test(a_partition_ends_before_one_target_too_many),
        cmocka_unit_test(the_gradient_is_a_difference_of_the_loss),
        cmocka_unit_test(over_all_tokens_it_is_the_whole_softmax),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(a_failed_allocation_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
