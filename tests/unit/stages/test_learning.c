/*
 * Why: draws that learn must learn from the right number. What adaptive_p and mirostat keep is
 * followed by the definitions in long double through a sequence, on rows whose survivors are not
 * the first tokens, so that an index taken for a token, or a probability taken after the
 * transformation instead of before, shows in the next distribution.
 */
#include "support/random.h"
#include "support/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_VOCAB = 300, N_KEPT = 9, N_STEPS = 60 };

typedef struct kept {
    pluck_token token;
    long double p;
} kept;

static int most_probable_first(const void *a, const void *b)
{
    const kept *x = a, *y = b;
    return x->p > y->p ? -1 : x->p < y->p;
}

static void make_row(uint64_t seed, float *row)
{
    test_random random = test_random_make(seed);
    for (int i = 0; i < N_VOCAB; i++)
        row[i] = (float)(2 * test_random_normal(&random));
}

/* The N_KEPT most probable tokens and their softmax. */
static void keep_best(const float *row, kept items[N_VOCAB])
{
    long double sum = 0;
    for (int i = 0; i < N_VOCAB; i++)
        items[i] = (kept){i, expl((long double)row[i])};
    qsort(items, N_VOCAB, sizeof *items, most_probable_first);
    for (int i = 0; i < N_KEPT; i++)
        sum += items[i].p;
    for (int i = 0; i < N_KEPT; i++)
        items[i].p /= sum;
}

static long double p_of(const kept *items, int n, pluck_token token)
{
    for (int i = 0; i < n; i++)
        if (items[i].token == token)
            return items[i].p;
    fail_msg("token %d was removed", token);
    return 0;
}

/* What adaptive_p makes of the probabilities when it aims at aim. */
static void transform(const kept items[N_KEPT], long double aim, kept out[N_KEPT])
{
    long double sum = 0;
    for (int i = 0; i < N_KEPT; i++) {
        long double d = fabsl(items[i].p - aim) / 0.3L;
        out[i] = (kept){items[i].token, expl(5 - 10 * d * d / (1 + d))};
        sum += out[i].p;
    }
    for (int i = 0; i < N_KEPT; i++)
        out[i].p /= sum;
}

static void check_distribution(pluck_sampler *sampler, pluck_logits logits, const kept *expected,
                               int n)
{
    test_distribution d = test_distribution_of(sampler, logits);
    assert_int_equal(d.n, n);
    for (int i = 0; i < n; i++) {
        long double p = (long double)test_distribution_p(&d, expected[i].token);
        if (!(fabsl(p - expected[i].p) <= 1e-5L * expected[i].p + 1e-7L))
            fail_msg("token %d has %.8Lg instead of %.8Lg", expected[i].token, p, expected[i].p);
    }
    test_distribution_free(&d);
}

/* ws and tw: the weighted sum of the probabilities drawn, and the total weight. */
static void adaptive_p_learns_the_probability_before_it_changed_it(void **state)
{
    (void)state;
    static const char json[] = "{\"seed\": 3, \"stages\": [{\"type\": \"top_k\", \"k\": 9}], "
                               "\"draw\": {\"type\": \"adaptive_p\", \"target\": 0.25, "
                               "\"decay\": 0.5}}";
    pluck_sampler *sampler = test_sampler(json, N_VOCAB, PLUCK_ISA_BEST, 0);
    long double ws = 0.25L / 0.5L, tw = 1 / 0.5L;
    bool was_drawn[N_KEPT] = {false};
    for (uint64_t step = 0; step < N_STEPS; step++) {
        float row[N_VOCAB];
        kept items[N_VOCAB], changed[N_KEPT];
        pluck_token token = -1;
        make_row(step, row);
        pluck_logits logits = {row, PLUCK_F32, N_VOCAB};
        keep_best(row, items);
        transform(items, fminl(fmaxl(0.5L - ws / tw, 0), 1), changed);
        check_distribution(sampler, logits, changed, N_KEPT);
        assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), PLUCK_OK);
        for (int i = 0; i < N_KEPT; i++)
            was_drawn[i] |= items[i].token == token;
        if (step % 5 == 4) { /* another token than the one drawn teaches nothing */
            token = token == items[0].token ? items[1].token : items[0].token;
        } else {
            ws = p_of(items, N_KEPT, token) + 0.5L * ws;
            tw = 1 + 0.5L * tw;
        }
        assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
    }
    for (int i = 0; i < 5; i++)
        assert_true(was_drawn[i]); /* or nothing was tried */
    pluck_sampler_destroy(&sampler);
}

static size_t saved(const pluck_sampler *sampler, unsigned char *bytes, size_t capacity)
{
    size_t size = 0;
    assert_int_equal(pluck_sampler_save(sampler, bytes, capacity, &size, NULL), PLUCK_OK);
    return size;
}

/* The tables of many draws do not lie where the stage keeps what it will learn from. */
static void the_first_of_many_draws_teaches_what_a_single_one_does(void **state)
{
    (void)state;
    static const char json[] = "{\"seed\": 3, \"draw\": {\"type\": \"adaptive_p\"}}";
    enum { N_DRAWS = 7, CAPACITY = 4096 };
    pluck_sampler *one = test_sampler(json, N_VOCAB, PLUCK_ISA_BEST, 0);
    pluck_sampler *many = test_sampler(json, N_VOCAB, PLUCK_ISA_BEST, 0);
    for (uint64_t step = 0; step < N_STEPS; step++) {
        float row[N_VOCAB];
        pluck_draw draw, draws[N_DRAWS];
        unsigned char a[CAPACITY], b[CAPACITY];
        make_row(step, row);
        pluck_logits logits = {row, PLUCK_F32, N_VOCAB};
        assert_int_equal(pluck_sampler_draw(one, logits, &draw, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_draw_many(many, logits, N_DRAWS, draws, NULL), PLUCK_OK);
        assert_int_equal(draws[0].token, draw.token);
        assert_int_equal(pluck_sampler_accept(one, draw.token, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_accept(many, draw.token, NULL), PLUCK_OK);
        size_t size = saved(one, a, CAPACITY);
        assert_int_equal(saved(many, b, CAPACITY), size);
        assert_memory_equal(a, b, size);
    }
    pluck_sampler_destroy(&one);
    pluck_sampler_destroy(&many);
}

/* mu falls by eta times what the surprise of the token drawn, in bits, is above tau; tokens stay
 * whose surprise is at most mu. */
static void mirostat_v2_learns_the_surprise_of_what_is_left(void **state)
{
    (void)state;
    static const char json[] = "{\"seed\": 4, \"stages\": [{\"type\": \"top_k\", \"k\": 9}], "
                               "\"draw\": {\"type\": \"mirostat_v2\", \"tau\": 1.5, \"eta\": 0.3}}";
    pluck_sampler *sampler = test_sampler(json, N_VOCAB, PLUCK_ISA_BEST, 0);
    long double mu = 3;
    for (uint64_t step = 0; step < N_STEPS; step++) {
        float row[N_VOCAB];
        kept items[N_VOCAB];
        pluck_token token = -1;
        long double sum = 0;
        int n = 0;
        make_row(1000 + step, row);
        pluck_logits logits = {row, PLUCK_F32, N_VOCAB};
        keep_best(row, items);
        for (; n < N_KEPT && (n == 0 || -log2l(items[n].p) <= mu); n++)
            sum += items[n].p;
        for (int i = 0; i < n; i++)
            items[i].p /= sum;
        check_distribution(sampler, logits, items, n);
        assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), PLUCK_OK);
        mu -= 0.3L * (-log2l(p_of(items, n, token)) - 1.5L);
        assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
    }
    pluck_sampler_destroy(&sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adaptive_p_learns_the_probability_before_it_changed_it),
        cmocka_unit_test(the_first_of_many_draws_teaches_what_a_single_one_does),
        cmocka_unit_test(mirostat_v2_learns_the_surprise_of_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
