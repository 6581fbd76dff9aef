/*
 * Why: more than one token from one row. Draws without replacement must have the law of drawing
 * again from what is left, in their order, which is judged by chi-square over ordered triples
 * against their exact probabilities, for every way through the draw; and reach every survivor in
 * the end, however improbable beside the first. Log-probabilities must be those of the distribution
 * they are said to be of: the same bits that draws report, and a double's softmax of the logits as
 * they came.
 */
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/config_parts.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/stage_cases.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_TRIPLES = 30000, MAX_VOCAB = 4999 };

/* The tokens that matter are few, anywhere in the vocabulary. */
typedef struct triple_case {
    const char *json;
    uint32_t n_vocab, step; /* tokens 0, step, 2 step … have logits, the others -inf or very low */
    float low;
    float spread;
} triple_case;

static const triple_case triple_cases[] = {
    {"{\"seed\": 1}", 6, 1, -INFINITY, 0.5f},
    {"{\"seed\": 2}", 700, 100, -INFINITY, 0.3f},
    {"{\"seed\": 3}", 700, 100, -300.0f, 1.5f},
    {"{\"seed\": 4, \"temperature\": 2}", 640, 128, -1e4f, 6.0f},
    {"{\"seed\": 5, \"top_k\": 6}", 700, 100, -9.0f, 0.7f},
    {"{\"seed\": 6, \"top_p\": 0.98}", 700, 100, -9.0f, 0.2f},
    {"{\"seed\": 7, \"top_p\": 0.95, \"temperature\": 1.5}", 5, 1, -9.0f, 0.6f},
};

static void fill(const triple_case *c, float *x)
{
    for (uint32_t i = 0; i < c->n_vocab; i++)
        x[i] = i % c->step == 0 ? -c->spread * (float)(i / c->step % 4) : c->low;
}

static void triples_follow(const triple_case *c)
{
    enum { MAX_TOKENS = 8, MAX_CELLS = MAX_TOKENS * MAX_TOKENS * MAX_TOKENS };
    float x[MAX_VOCAB];
    fill(c, x);
    pluck_logits logits = {x, PLUCK_F32, c->n_vocab};
    pluck_sampler *sampler = test_sampler(c->json, c->n_vocab, test_isa(), 0);
    test_distribution d = test_distribution_of(sampler, logits);
    double p[MAX_TOKENS] = {0}, exact[MAX_CELLS] = {0};
    uint64_t counts[MAX_CELLS] = {0};
    uint32_t n = 0;
    while (n < d.n && n < MAX_TOKENS && d.probs[n].prob > 1e-9f) {
        p[n] = (double)d.probs[n].prob;
        n++;
    }
    assert_in_range(n, 4, MAX_TOKENS);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < n; j++)
            for (uint32_t k = 0; k < n; k++)
                if (i != j && j != k && i != k)
                    exact[(i * MAX_TOKENS + j) * MAX_TOKENS + k] =
                        p[i] * p[j] / (1 - p[i]) * p[k] / (1 - p[i] - p[j]);
    uint64_t n_triples = test_n_repeats(N_TRIPLES);
    for (uint64_t draw = 0; draw < n_triples; draw++) {
        pluck_draw draws[3];
        size_t n_drawn = 0, cell = 0;
        pluck_sampler_set_position(sampler, draw, NULL);
        assert_int_equal(pluck_sampler_draw_distinct(sampler, logits, 3, draws, &n_drawn, NULL),
                         PLUCK_OK);
        assert_int_equal(n_drawn, 3);
        for (int i = 0; i < 3; i++) {
            uint32_t rank = 0;
            while (rank + 1 < n && d.probs[rank].token != draws[i].token)
                rank++;
            cell = cell * MAX_TOKENS + rank;
        }
        counts[cell]++;
    }
    double p_value = chi_square_test(counts, exact, MAX_CELLS, n_triples).p_value;
    if (!(p_value >= 1e-8))
        fail_msg("%s: p-value %g", c->json, p_value);
    test_distribution_free(&d);
    pluck_sampler_destroy(&sampler);
}

/* A correct sampler fails with probability 7e-8. */
static void ordered_triples_have_their_probabilities(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof triple_cases / sizeof *triple_cases; i++)
        triples_follow(triple_cases + i);
}

typedef struct row_case {
    stage_text json;
    uint32_t n_vocab;
    logit_row row;
} row_case;

static void make_case(row_case *c, uint64_t seed)
{
    static const uint32_t sizes[] = {1, 2, 63, 64, 65, 200, 1000, MAX_VOCAB};
    test_random random = test_random_make(seed);
    c->n_vocab = sizes[test_random_below(&random, sizeof sizes / sizeof *sizes)];
    float *x = malloc(c->n_vocab * sizeof *x);
    assert_non_null(x);
    logit_fill((logit_kind)(seed % LOGITS_KINDS), seed, c->n_vocab, x);
    c->row = logit_row_make(x, c->n_vocab, (pluck_dtype)test_random_below(&random, 3), seed % 7);
    free(x);
    stage_begin(&c->json, seed);
    size_t n_stages = test_random_below(&random, 3);
    for (size_t i = 0; i < n_stages;) {
        const pluck_stage *stage = pluck_stage_at(test_random_below(&random, n_known_stages()));
        if (stage->kind == PLUCK_STAGE_DRAW)
            continue;
        stage_text_add(&c->json, i++ ? ", " : "");
        stage_add_random(&c->json, stage, STAGE_MODERATE, (stage_tokens){c->n_vocab, NULL},
                         &random);
    }
    stage_end(&c->json, NULL);
}

static bool is_same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Each once, each with its log-probability; the first is the draw's; all survivors if asked. */
static bool draws_are_sound(pluck_sampler *sampler, const row_case *c, const pluck_draw *draws,
                            size_t n_asked, size_t n_drawn)
{
    pluck_draw one;
    unsigned char seen[MAX_VOCAB] = {0};
    assert_int_equal(pluck_sampler_draw(sampler, c->row.logits, &one, NULL), PLUCK_OK);
    if (one.token != draws[0].token || !is_same(one.logprob, draws[0].logprob))
        return test_case_failed("the first token is not that of the draw");
    /* The survivors that a draw reports are those with p > 0 in a double. */
    static pluck_logprob kept[MAX_VOCAB];
    uint32_t n_kept = 0;
    test_top_logprobs(sampler, c->row.logits, PLUCK_LOGPROB_FINAL, c->n_vocab, kept, &n_kept);
    size_t expected = n_asked < n_kept ? n_asked : n_kept;
    if (n_drawn != expected)
        return test_case_failed("%zu tokens, not %zu", n_drawn, expected);
    for (size_t i = 0; i < n_drawn; i++) {
        double logprob;
        if (seen[draws[i].token]++ || draws[i].n_survivors != one.n_survivors)
            return test_case_failed("token %d comes twice", draws[i].token);
        if (i >= 10)
            continue;
        pluck_sampler_logprob(sampler, c->row.logits, PLUCK_LOGPROB_FINAL, draws[i].token, &logprob,
                              NULL);
        if (!is_same((float)logprob, draws[i].logprob))
            return test_case_failed("token %d: ln p = %.9g, or %.9g", draws[i].token, logprob,
                                    (double)draws[i].logprob);
    }
    return true;
}

static bool distinct_draws_hold(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    row_case c;
    make_case(&c, seed);
    static pluck_draw draws[MAX_VOCAB + 5], scalar[MAX_VOCAB + 5];
    pluck_sampler *sampler = test_sampler(c.json.text, c.n_vocab, isa, 0);
    pluck_sampler *other = test_sampler(c.json.text, c.n_vocab, PLUCK_ISA_SCALAR, 0);
    size_t n = 0, n_scalar = 0, asked = seed % 3 ? 1 + seed % 50 : c.n_vocab + 5;
    pluck_status status =
        pluck_sampler_draw_distinct(sampler, c.row.logits, asked, draws, &n, NULL);
    bool holds = status == pluck_sampler_draw_distinct(other, c.row.logits, asked, scalar,
                                                       &n_scalar, NULL) &&
                 n == n_scalar && memcmp(draws, scalar, n * sizeof *draws) == 0;
    if (!holds)
        test_case_failed("%s differs from scalar", pluck_isa_name(isa));
    holds = holds && (status != PLUCK_OK || draws_are_sound(sampler, &c, draws, asked, n));
    if (!holds)
        test_case_failed("%s\n    %zu of %u tokens", c.json.text, asked, c.n_vocab);
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&other);
    logit_row_destroy(&c.row);
    return holds;
}

static void distinct_draws_are_different_tokens_with_their_logprobs(void **state)
{
    (void)state;
    test_cases_run("distinct_draws_are_different_tokens_with_their_logprobs", 1, 200,
                   distinct_draws_hold, NULL);
}

/* Each next token is e^-200 times as probable: below what a float holds beside the one before. */
static void what_is_left_is_drawn_however_improbable(void **state)
{
    (void)state;
    enum { N = 300 };
    float x[N];
    for (int i = 0; i < N; i++)
        x[i] = i % 70 == 3 ? -200.0f * (float)(i / 70) : -INFINITY;
    pluck_sampler *sampler = test_sampler("{\"seed\": 1}", N, test_isa(), 0);
    pluck_draw draws[10];
    size_t n = 0;
    assert_int_equal(
        pluck_sampler_draw_distinct(sampler, (pluck_logits){x, PLUCK_F32, N}, 10, draws, &n, NULL),
        PLUCK_OK);
    assert_true(n >= 4);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(draws[i].token, 3 + 70 * (int)i);
        assert_true(draws[i].logprob == -200.0f * (float)i);
    }
    pluck_sampler_destroy(&sampler);
}

/* Against a softmax in long double of what the logits are. */
static bool raw_agrees(pluck_sampler *sampler, const row_case *c, const pluck_logprob *best,
                       uint32_t n, uint32_t asked)
{
    long double max = -HUGE_VALL, sum = 0;
    uint32_t n_candidates = 0;
    for (uint32_t i = 0; i < c->n_vocab; i++)
        max = fmaxl(max, (long double)c->row.exact[i]);
    for (uint32_t i = 0; i < c->n_vocab; i++) {
        sum += expl((long double)c->row.exact[i] - max);
        n_candidates += c->row.exact[i] > -INFINITY;
    }
    if (n != (asked < n_candidates ? asked : n_candidates))
        return test_case_failed("%u of %u tokens", n, n_candidates);
    for (uint32_t i = 0; i < n; i++) {
        float x = c->row.exact[best[i].token], one = best[i].logprob;
        long double exact = (long double)x - max - logl(sum);
        double alone = (double)one;
        if (i < 5)
            pluck_sampler_logprob(sampler, c->row.logits, PLUCK_LOGPROB_RAW, best[i].token, &alone,
                                  NULL);
        one = (float)alone;
        if (!is_same(one, best[i].logprob))
            return test_case_failed("token %d: %.9g alone", best[i].token, (double)one);
        if (exact > -(long double)FLT_MAX &&
            !(fabsl((long double)one - exact) <= (4 + 2 * fabsl(exact)) * 0x1p-23L))
            return test_case_failed("token %d: ln p = %.9g, exactly %.12Lg", best[i].token,
                                    (double)one, exact);
        float before = i ? c->row.exact[best[i - 1].token] : INFINITY;
        if (!(before > x || (before == x && best[i - 1].token < best[i].token)))
            return test_case_failed("entry %u is out of order", i);
    }
    for (uint32_t i = 0, rank = 0; i < c->n_vocab && n > 0; i++) {
        rank += c->row.exact[i] > c->row.exact[best[n - 1].token];
        if (rank >= n)
            return test_case_failed("better tokens are missing");
    }
    return true;
}

static bool final_agrees(pluck_sampler *sampler, const row_case *c, uint32_t asked)
{
    test_distribution d = test_distribution_of(sampler, c->row.logits);
    pluck_logprob best[100];
    uint32_t n = 0;
    bool agrees =
        test_top_logprobs(sampler, c->row.logits, PLUCK_LOGPROB_FINAL, asked, best, &n) == d.status;
    for (uint32_t i = 0; i < n && i < d.n && agrees; i++)
        agrees = best[i].token == d.probs[i].token &&
                 (d.probs[i].prob < 0x1p-120f ||
                  fabs(exp((double)best[i].logprob) / (double)d.probs[i].prob - 1) <=
                      (1 + fabs((double)best[i].logprob)) * 0x1p-22);
    agrees = agrees && n >= (asked < d.n ? asked : d.n);
    test_distribution_free(&d);
    return agrees || test_case_failed("the final log-probabilities are not the distribution's");
}

static bool top_logprobs_hold(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    row_case c;
    make_case(&c, seed);
    pluck_sampler *sampler = test_sampler(c.json.text, c.n_vocab, isa, 0);
    /* The untouched logits know nothing of a mask. */
    int32_t *bits = calloc(c.n_vocab / 32 + 1, sizeof *bits);
    assert_non_null(bits);
    bits[0] = 1;
    pluck_logprob best[100];
    uint32_t n = 0, asked = 1 + (uint32_t)(seed % 100);
    bool holds = final_agrees(sampler, &c, asked);
    pluck_sampler_set_mask(sampler, bits, (c.n_vocab + 31) / 32, NULL);
    assert_int_equal(test_top_logprobs(sampler, c.row.logits, PLUCK_LOGPROB_RAW, asked, best, &n),
                     PLUCK_OK);
    holds = holds && raw_agrees(sampler, &c, best, n, asked);
    if (!holds)
        test_case_failed("%s: %u of %u", c.json.text, asked, c.n_vocab);
    free(bits);
    pluck_sampler_destroy(&sampler);
    logit_row_destroy(&c.row);
    return holds;
}

static void top_logprobs_are_those_of_the_two_distributions(void **state)
{
    (void)state;
    test_cases_run("top_logprobs_are_those_of_the_two_distributions", 1, 200, top_logprobs_hold,
                   NULL);
}

static void a_removed_token_has_minus_infinity(void **state)
{
    (void)state;
    static const float x[] = {3, 2, 1, -INFINITY};
    pluck_logits logits = {x, PLUCK_F32, 4};
    pluck_sampler *sampler = test_sampler("{\"top_k\": 2}", 4, test_isa(), 0);
    for (pluck_token t = 0; t < 4; t++) {
        double raw = 0, final = 0;
        assert_int_equal(pluck_sampler_logprob(sampler, logits, PLUCK_LOGPROB_RAW, t, &raw, NULL),
                         PLUCK_OK);
        assert_int_equal(
            pluck_sampler_logprob(sampler, logits, PLUCK_LOGPROB_FINAL, t, &final, NULL), PLUCK_OK);
        assert_true((raw == -(double)INFINITY) == (t == 3));
        assert_true((final == -(double)INFINITY) == (t >= 2));
    }
    pluck_sampler_destroy(&sampler);
}

static void mistakes_of_the_caller_are_invalid(void **state)
{
    (void)state;
    static const float x[] = {3, 2, 1};
    pluck_logits logits = {x, PLUCK_F32, 3}, other = {x, PLUCK_F32, 2};
    pluck_sampler *s = test_sampler("{}", 3, test_isa(), 0);
    pluck_logprob_kind raw = PLUCK_LOGPROB_RAW;
    pluck_draw draws[3];
    double logprob;
    size_t n_drawn;
    const pluck_status statuses[] = {
        pluck_sampler_draw_distinct(NULL, logits, 1, draws, &n_drawn, NULL),
        pluck_sampler_draw_distinct(s, other, 1, draws, &n_drawn, NULL),
        pluck_sampler_draw_distinct(s, logits, 0, draws, &n_drawn, NULL),
        pluck_sampler_draw_distinct(s, logits, 1, NULL, &n_drawn, NULL),
        pluck_sampler_draw_distinct(s, logits, 1, draws, NULL, NULL),
        pluck_sampler_logprob(NULL, logits, raw, 0, &logprob, NULL),
        pluck_sampler_logprob(s, logits, raw, 3, &logprob, NULL),
        pluck_sampler_logprob(s, logits, raw, -1, &logprob, NULL),
        pluck_sampler_logprob(s, logits, (pluck_logprob_kind)2, 0, &logprob, NULL),
        pluck_sampler_logprob(s, logits, raw, 0, NULL, NULL),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        assert_int_equal(statuses[i], PLUCK_ERR_INVALID);
    pluck_sampler_destroy(&s);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordered_triples_have_their_probabilities),
        cmocka_unit_test(distinct_draws_are_different_tokens_with_their_logprobs),
        cmocka_unit_test(what_is_left_is_drawn_however_improbable),
        cmocka_unit_test(top_logprobs_are_those_of_the_two_distributions),
        cmocka_unit_test(a_removed_token_has_minus_infinity),
        cmocka_unit_test(mistakes_of_the_caller_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
