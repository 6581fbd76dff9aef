/*
 * Why: the library selects without sorting, sums in float lanes and draws without a normaliser.
 * Whether the answer is still the one that docs/stages.md defines can only be judged by something
 * that does none of this: tests/support/brute_force.c, in long double. Every case is one
 * configuration and one row, random and hostile, of every type and alignment, on every instruction
 * set; the promises are those of docs/numerics.md.
 */
#include "support/brute_force.h"
#include "support/cases.h"
#include "support/config_parts.h"
#include "support/dump_reading.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/reference.h"
#include "support/samplers.h"
#include "support/stage_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_HISTORY = 300 };

typedef struct exact_case {
    stage_text json;
    uint32_t n_vocab;
    logit_kind kind;
    logit_row row;
    pluck_token history[MAX_HISTORY];
    size_t n_history;
} exact_case;

/* Cases in which brute force is no judge (see brute_force.h), and all. */
static unsigned n_doubts, n_judged;

static uint32_t random_size(test_random *random)
{
    static const uint32_t sizes[] = {1, 63, 64, 65, 127, 128, 192, 257, 1000, 4095, 4096, 4097};
    if (test_random_below(random, 2))
        return 1 + (uint32_t)test_random_below(random, 200);
    return sizes[test_random_below(random, sizeof sizes / sizeof *sizes)];
}

static logit_row random_row(logit_kind kind, uint32_t n_vocab, uint64_t seed, test_random *random)
{
    float *x = malloc(n_vocab * sizeof *x);
    assert_non_null(x);
    logit_fill(kind, seed, n_vocab, x);
    pluck_dtype dtype = (pluck_dtype)test_random_below(random, 3);
    logit_row row = logit_row_make(x, n_vocab, dtype, test_random_below(random, 65));
    free(x);
    return row;
}

/* Everything but the stages, which stand between stage_begin() and stage_end(). */
static void begin_case(exact_case *c, uint64_t seed, uint32_t n_vocab, test_random *random)
{
    c->n_vocab = n_vocab ? n_vocab : random_size(random);
    c->kind = (logit_kind)test_random_below(random, LOGITS_KINDS);
    c->row = random_row(c->kind, c->n_vocab, seed, random);
    c->n_history = test_random_below(random, MAX_HISTORY);
    for (size_t i = 0; i < c->n_history; i++) {
        size_t range = test_random_below(random, 2) && c->n_vocab > 8 ? 8 : c->n_vocab;
        c->history[i] = (pluck_token)test_random_below(random, range);
    }
    stage_begin(&c->json, seed);
}

/* Whatever the decisions were: a distribution, most probable first. */
static bool is_distribution(const test_distribution *d)
{
    double sum = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        if (!(d->probs[i].prob > 0) || (i > 0 && d->probs[i].prob > d->probs[i - 1].prob))
            return test_case_failed("entry %u: p = %g is out of order", i,
                                    (double)d->probs[i].prob);
        sum += (double)d->probs[i].prob;
    }
    return fabs(sum - 1) <= 1e-6 || test_case_failed("probabilities sum to 1 %+g", sum - 1);
}

/* The draw is one of the distribution, and reports its p and how many there are. */
static bool draw_agrees(pluck_sampler *sampler, pluck_logits logits, const test_distribution *d,
                        const brute_force *row)
{
    pluck_draw draw;
    pluck_token token;
    assert_int_equal(pluck_sampler_draw(sampler, logits, &draw, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), PLUCK_OK);
    if (draw.token != token)
        return test_case_failed("draw gives token %d, sample %d", draw.token, token);
    if (draw.n_survivors != d->n)
        return test_case_failed("draw counts %u tokens, distribution %u", draw.n_survivors, d->n);
    double p = (double)test_distribution_p(d, draw.token);
    if (p == 0)
        return test_case_failed("draw gives token %d, which has no probability", draw.token);
    if (!(fabs(exp((double)draw.logprob) / p - 1) <= (1 + fabs((double)draw.logprob)) * 0x1p-22) &&
        p > 0x1p-126)
        return test_case_failed("draw: ln p = %.9g, distribution: p = %.9g", (double)draw.logprob,
                                p);
    if (row->doubt)
        return true;
    long double exact = brute_force_logprob(row, (uint32_t)draw.token);
    long double slack = row->mean_slack;
    for (uint32_t i = 0; i < row->n; i++)
        if (row->items[i].token == (uint32_t)draw.token)
            slack += row->items[i].slack;
    long double allowed = (4 + 2 * fabsl(exact)) * 0x1p-23L + slack;
    if (!(fabsl((long double)draw.logprob - exact) <= allowed))
        return test_case_failed("token %d: ln p = %.9g, exactly %.12Lg", draw.token,
                                (double)draw.logprob, exact);
    return true;
}

/* The first instruction set is judged by brute force, the others by the bits of the first. */
static bool isas_agree(const exact_case *c, const brute_force *row, pluck_status status)
{
    pluck_isa isas[TEST_MAX_TABLES];
    unsigned n_isas = test_all_isas(isas);
    test_distribution first = {.probs = NULL};
    bool agrees = true;
    for (unsigned i = 0; i < n_isas && agrees; i++) {
        pluck_sampler *sampler = test_sampler(c->json.text, c->n_vocab, isas[i], 0);
        test_accept(sampler, c->history, c->n_history);
        test_distribution d = test_distribution_of(sampler, c->row.logits);
        if (d.status != status)
            agrees = test_case_failed("status %s, not %s", pluck_status_name(d.status),
                                      pluck_status_name(status));
        else if (i > 0 && !test_distribution_equal(&d, &first))
            agrees = test_case_failed("%s differs from %s", pluck_isa_name(isas[i]),
                                      pluck_isa_name(isas[0]));
        else if (i == 0 && status == PLUCK_OK)
            agrees = is_distribution(&d) && (row->doubt || brute_force_agrees(row, d.probs, d.n)) &&
                     draw_agrees(sampler, c->row.logits, &d, row);
        test_distribution spent = i == 0 ? first : d;
        first = i == 0 ? d : first;
        test_distribution_free(&spent);
        pluck_sampler_destroy(&sampler);
    }
    test_distribution_free(&first);
    return agrees;
}

static bool judge(exact_case *c)
{
    pluck_config *config = test_config(c->json.text);
    brute_force row;
    pluck_status status =
        brute_force_run(&row, config, c->row.exact, c->n_vocab, c->history, c->n_history);
    bool agrees = isas_agree(c, &row, status);
    if (!agrees)
        test_case_failed("%s\n    %u %s logits, %s, history of %zu", c->json.text, c->n_vocab,
                         pluck_dtype_name(c->row.logits.dtype), logit_kind_name(c->kind),
                         c->n_history);
    n_judged++;
    n_doubts += row.doubt;
    brute_force_free(&row);
    pluck_config_destroy(&config);
    logit_row_destroy(&c->row);
    return agrees;
}

static const pluck_stage *random_stage(test_random *random, bool draw)
{
    for (;;) {
        const pluck_stage *stage = pluck_stage_at(test_random_below(random, n_known_stages()));
        if ((stage->kind == PLUCK_STAGE_DRAW) == draw && brute_force_knows(stage))
            return stage;
    }
}

/* As many random stages as the context says at most, then a draw. */
typedef struct chain_shape {
    unsigned max_stages;
    uint32_t n_vocab; /* 0: random */
} chain_shape;

static bool random_chain_agrees(uint64_t seed, pluck_isa isa, const void *context)
{
    const chain_shape *shape = context;
    test_random random = test_random_make(seed);
    exact_case c;
    begin_case(&c, seed, shape->n_vocab, &random);
    stage_values values = test_random_below(&random, 2) ? STAGE_MODERATE : STAGE_ANY;
    size_t n_stages = 1 + test_random_below(&random, shape->max_stages);
    for (size_t i = 0; i < n_stages; i++) {
        stage_text_add(&c.json, i ? ", " : "");
        stage_add_random(&c.json, random_stage(&random, false), values,
                         (stage_tokens){c.n_vocab, NULL}, &random);
    }
    bool greedy = test_random_below(&random, 10) == 0;
    stage_end(&c.json, greedy ? random_stage(&random, true) : NULL);
    (void)isa;
    return judge(&c);
}

static void check_doubts(void)
{
    printf("           %u of %u rows left out as too close to call\n", n_doubts, n_judged);
    assert_true(n_doubts * 10 <= n_judged + 20);
    n_doubts = n_judged = 0;
}

static void single_stages_agree_with_brute_force(void **state)
{
    (void)state;
    test_cases_run_once("single_stages_agree_with_brute_force", 1000000, 3000, random_chain_agrees,
                        &(chain_shape){1, 0});
    check_doubts();
}

static void chains_agree_with_brute_force(void **state)
{
    (void)state;
    test_cases_run_once("chains_agree_with_brute_force", 2000000, 3000, random_chain_agrees,
                        &(chain_shape){6, 0});
    check_doubts();
}

static void large_vocabularies_agree_with_brute_force(void **state)
{
    (void)state;
    test_cases_run_once("large_vocabularies_agree_with_brute_force", 3000000, 12,
                        random_chain_agrees, &(chain_shape){2, 50257});
    test_cases_run_once("large_vocabularies_agree_with_brute_force", 4000000, 4,
                        random_chain_agrees, &(chain_shape){2, 131072});
    check_doubts();
}

/* One stage, as JSON, on one kind of logits. */
typedef struct fixed_case {
    const char *stages;
    uint32_t n_vocab;
    int kind; /* -1: all of them */
} fixed_case;

static bool fixed_case_agrees(uint64_t seed, pluck_isa isa, const void *context)
{
    const fixed_case *fixed = context;
    test_random random = test_random_make(seed);
    exact_case c = {.n_vocab = fixed->n_vocab};
    c.kind = fixed->kind < 0 ? (logit_kind)(seed % LOGITS_KINDS) : (logit_kind)fixed->kind;
    c.row = random_row(c.kind, c.n_vocab, seed, &random);
    stage_text_add(&c.json, "%s", fixed->stages);
    (void)isa;
    return judge(&c);
}

#define SMOOTHING(factor, curve)                                                                   \
    "{\"stages\": [{\"type\": \"smoothing\", \"factor\": " factor ", \"curve\": " curve "}"

static void run_fixed(const char *test, const fixed_case *cases, size_t n_cases)
{
    for (size_t i = 0; i < n_cases; i++)
        test_cases_run_once(test, 1, cases[i].kind < 0 ? LOGITS_KINDS : 2, fixed_case_agrees,
                            cases + i);
}

static void ends_of_parameter_ranges_agree_with_brute_force(void **state)
{
    (void)state;
    static const fixed_case cases[] = {
        {"{\"top_k\": 1}", 300, -1},
        {"{\"top_k\": 2147483647}", 300, -1},
        {"{\"top_k\": 300}", 300, -1},
        {"{\"top_k\": 299}", 300, -1},
        {"{\"top_p\": 0}", 300, -1},
        {"{\"top_p\": 0, \"min_keep\": 7}", 300, -1},
        {"{\"top_p\": 1e-300}", 300, -1},
        {"{\"top_p\": 0.5, \"min_keep\": 16777216}", 300, -1},
        {"{\"min_p\": 1}", 300, -1},
        {"{\"min_p\": 1, \"min_keep\": 5}", 300, -1},
        {"{\"min_p\": 1e-300}", 300, -1},
        {"{\"min_p\": 0.5, \"min_keep\": 16777216}", 300, -1},
        {"{\"min_p\": 4.9e-324}", 300, -1},
        {"{\"temperature\": 0}", 300, -1},
        {"{\"temperature\": 1e-30}", 300, -1},
        {"{\"temperature\": 1e30}", 300, -1},
        {"{\"temperature\": 4.9e-324}", 300, -1},
        {"{\"temperature\": 1e-100}", 300, -1},
        {"{\"temperature\": 1e36}", 300, -1},
        {"{\"temperature\": 1e38}", 300, -1},
        {"{\"temperature\": 1e60}", 300, -1},
        {"{\"temperature\": 1.7e308}", 300, -1},
        {"{\"top_k\": 7, \"temperature\": 1e-30}", 300, -1},
        {"{\"top_p\": 0.7, \"temperature\": 1e-3}", 300, -1},
        {"{\"temperature\": 1e38, \"top_k\": 9, \"order\": [\"temperature\", \"top_k\"]}", 300, -1},
        {"{\"temperature\": 1e38, \"top_p\": 0.9, \"order\": [\"temperature\", \"top_p\"]}", 300,
         -1},
        {"{\"temperature\": 1e38, \"min_p\": 0.9, \"order\": [\"temperature\", \"min_p\"]}", 300,
         -1},
    };
    run_fixed("ends_of_parameter_ranges_agree_with_brute_force", cases,
              sizeof cases / sizeof *cases);
}

/* Logits that are mapped when they are read, and what other stages make of them. */
static void smoothed_logits_agree_with_brute_force(void **state)
{
    (void)state;
    static const fixed_case cases[] = {
        {SMOOTHING("0.3", "1") "]}", 300, -1},
        {SMOOTHING("0.3", "1") "]}", 1, -1},
        {SMOOTHING("0.02", "3") "]}", 300, -1},
        {SMOOTHING("0.02", "3.0000001") "]}", 300, -1},
        {SMOOTHING("1e6", "2") "]}", 300, -1},
        {SMOOTHING("1e-300", "1.5") "]}", 300, -1},
        {SMOOTHING("0.2", "1") ", {\"type\": \"temperature\", \"t\": 1e-30}]}", 300, -1},
        {SMOOTHING("0.2", "1") ", {\"type\": \"min_p\", \"p\": 0.1}]}", 4097, -1},
        {SMOOTHING("0.2", "1.5") ", {\"type\": \"top_k\", \"k\": 40}]}", 4097, -1},
        {SMOOTHING("0.05", "1") ", {\"type\": \"typical\", \"p\": 0.7}]}", 4097, -1},
        {SMOOTHING("0.05", "2.5") ", {\"type\": \"smoothing\", \"factor\": 0.4}]}", 300, -1},
        {SMOOTHING("0.05", "1") ", {\"type\": \"top_p\", \"p\": 0.9}, {\"type\": "
                                "\"temperature\", \"t\": 1.7}]}",
         4097, -1},
        {"{\"stages\": [{\"type\": \"temperature\", \"t\": 1e-30}, {\"type\": \"smoothing\", "
         "\"factor\": 0.2}]}",
         300, -1},
        {"{\"stages\": [{\"type\": \"top_k\", \"k\": 1}, {\"type\": \"smoothing\", "
         "\"factor\": 0.2}]}",
         300, -1},
        {"{\"stages\": [{\"type\": \"logit_bias\", \"bias\": {\"0\": 3, \"70\": false}}, "
         "{\"type\": "
         "\"smoothing\", \"factor\": 0.2}, {\"type\": \"exp_decay_length\", \"start\": 0, "
         "\"factor\": 1.5, \"tokens\": [0, 1, 70]}, {\"type\": \"temperature\", \"t\": 0.6}]}",
         300, -1},
    };
    run_fixed("smoothed_logits_agree_with_brute_force", cases, sizeof cases / sizeof *cases);
}

static void ties_at_the_boundary_of_a_large_vocabulary(void **state)
{
    (void)state;
    static const fixed_case cases[] = {
        {"{\"top_k\": 50000}", 131072, TEST_VECTOR_EQUAL},
        {"{\"top_k\": 1}", 131072, TEST_VECTOR_ZEROS},
        {"{\"top_k\": 1000}", 131072, LOGITS_PLATEAU},
        {"{\"top_k\": 20000}", 131072, TEST_VECTOR_TIES},
        {"{\"top_p\": 0.777777}", 131072, TEST_VECTOR_EQUAL},
        {"{\"top_p\": 0.333333}", 131072, LOGITS_PLATEAU},
        {"{\"min_p\": 1}", 131072, LOGITS_SIGNED_ZEROS},
        {"{\"min_p\": 0.01, \"min_keep\": 70000}", 131072, LOGITS_PLATEAU},
        {"{\"top_k\": 60000, \"min_p\": 0.2, \"min_keep\": 40000}", 131072, LOGITS_PLATEAU},
    };
    run_fixed("ties_at_the_boundary_of_a_large_vocabulary", cases, sizeof cases / sizeof *cases);
}

/* Rows of tests/data under the configurations that people use. */
static bool real_row_agrees(uint64_t seed, pluck_isa isa, const void *context)
{
    static const char *const chains[] = {
        "{}",
        "{\"temperature\": 0.7, \"top_p\": 0.95}",
        "{\"top_k\": 40, \"top_p\": 0.9, \"min_p\": 0.05, \"temperature\": 0.8}",
        "{\"repeat_penalty\": 1.1, \"frequency_penalty\": 0.2, \"top_p\": 0.99}",
        "{\"min_p\": 0.02, \"temperature\": 1.5}",
        "{\"temperature\": 0}",
    };
    enum { N_CHAINS = sizeof chains / sizeof *chains };
    pluck_dump *dump = NULL;
    pluck_logits logits;
    (void)isa;
    assert_int_equal(pluck_dump_open(&dump, context, NULL, NULL), PLUCK_OK);
    assert_int_equal(read_logits(dump, seed / N_CHAINS, NULL, &logits, NULL), PLUCK_OK);
    float *x = malloc(logits.n_vocab * sizeof *x);
    assert_non_null(x);
    if (logits.dtype == PLUCK_F16)
        plk_kernels_get(PLUCK_ISA_SCALAR)->widen_f16(logits.data, logits.n_vocab, x);
    else
        memcpy(x, logits.data, logits.n_vocab * sizeof *x);
    exact_case c = {.n_vocab = logits.n_vocab, .n_history = 100};
    for (size_t i = 0; i < c.n_history; i++)
        c.history[i] = (pluck_token)(i * i % logits.n_vocab);
    c.row = logit_row_make(x, logits.n_vocab, logits.dtype, seed % 3);
    stage_text_add(&c.json, "%s", chains[seed % N_CHAINS]);
    pluck_dump_destroy(&dump);
    free(x);
    return judge(&c);
}

static void real_logits_agree_with_brute_force(void **state)
{
    (void)state;
    const char *root = getenv("PLUCK_SOURCE_ROOT");
    static const struct {
        const char *name;
        uint64_t n;
    } dumps[] = {{"gpt2bpe50k.npy", 24}, {"stories260K.npy", 384}};
    for (size_t i = 0; i < sizeof dumps / sizeof *dumps; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/data/%s", root ? root : ".", dumps[i].name);
        test_cases_run_once("real_logits_agree_with_brute_force", 0, dumps[i].n, real_row_agrees,
                            path);
    }
    check_doubts();
}

/*
 * Every value but one lies 16.0000001 below the largest, where the difference is rounded by nearly
 * half of its ulp, always in the same direction: nothing averages out. Each exponential is off by
 * 2^-24 |ln e|, so that their sum may be off by the mean of that, which is at most 2^-24 (H - ln p
 * of the best token): half an ulp for every nat of entropy beyond what a token's own ln p grants.
 */
static bool crowd_agrees(uint64_t seed, pluck_isa isa, const void *context)
{
    enum { N = 131072 };
    (void)context;
    float origin = 0.4f + (float)seed * 1e-5f, low = nextafterf(origin - 16.0f, -100.0f);
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < N; i++)
        x[i] = i == 77 ? origin : low;
    double below = (double)low - (double)origin;
    char json[64];
    snprintf(json, sizeof json, "{\"temperature\": %.17g}", -below / log(N));
    pluck_sampler *sampler = test_sampler(json, N, isa, 0);
    pluck_prob best;
    uint32_t n;
    pluck_logits logits = {x, PLUCK_F32, N};
    assert_int_equal(pluck_sampler_distribution(sampler, logits, &best, 1, &n, NULL), PLUCK_OK);
    pluck_sampler_destroy(&sampler);
    free(x);
    long double crowd = (N - 1) * expl((long double)below / (-(long double)below / logl(N)));
    long double p = 1 / (1 + crowd), entropy = log1pl(crowd) + crowd * p * logl(N);
    long double off = fabsl((long double)best.prob - p) / reference_float_ulp(p);
    if (best.token == 77 && off <= 4 - 2 * logl(p) + entropy / 2)
        return true;
    return test_case_failed("p = %.9g, exactly %.12Lg: off by %.2Lf ulps", (double)best.prob, p,
                            off);
}

static void roundings_in_one_direction_stay_within_the_entropy_bound(void **state)
{
    (void)state;
    test_cases_run("roundings_in_one_direction_stay_within_the_entropy_bound", 0, 40, crowd_agrees,
                   NULL);
}

static void every_registered_stage_has_a_reference(void **state)
{
    (void)state;
    for (size_t i = 0; pluck_stage_at(i); i++) {
        const pluck_stage *stage = pluck_stage_at(i);
        if (!brute_force_knows(stage))
            fail_msg("%s: list its definition in tests/support/brute_force.c", stage->name);
    }
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_registered_stage_has_a_reference),
        cmocka_unit_test(single_stages_agree_with_brute_force),
        cmocka_unit_test(chains_agree_with_brute_force),
        cmocka_unit_test(ends_of_parameter_ranges_agree_with_brute_force),
        cmocka_unit_test(large_vocabularies_agree_with_brute_force),
        cmocka_unit_test(smoothed_logits_agree_with_brute_force),
        cmocka_unit_test(ties_at_the_boundary_of_a_large_vocabulary),
        cmocka_unit_test(real_logits_agree_with_brute_force),
        cmocka_unit_test(roundings_in_one_direction_stay_within_the_entropy_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
