/*
 * Why: what a trace says must also be what a person computes from the definitions; what it cannot
 * say must be an error that leaves no half of an explanation behind; and the strangest rows and
 * parameters must give numbers that make sense.
 */
#include "support/cases.h"
#include "support/config_parts.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/stage_cases.h"

#include <pluck/trace.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* That of a trace of a failed chain is empty. */
static const pluck_trace_report *report_of(const pluck_trace *trace)
{
    static const pluck_trace_report empty = {.n_stages = 0};
    const pluck_trace_report *report = pluck_trace_get_report(trace);
    return report ? report : &empty;
}

/* A chain with a trace at every step goes on like one without. */
static void a_trace_changes_nothing(void **state)
{
    (void)state;
    enum { N = 50, N_STEPS = 30 };
    static const char *const chains[] = {
        "{\"seed\": 1, \"mirostat\": 2, \"repeat_penalty\": 1.3}",
        "{\"seed\": 2, \"mirostat\": 1, \"xtc_probability\": 0.5}",
        "{\"seed\": 3, \"draw\": \"adaptive_p\"}",
        "{\"seed\": 4, \"top_p\": 0.9, \"temperature\": 0.8, \"dry_multiplier\": 1}"};
    float x[N];
    for (size_t c = 0; c < sizeof chains / sizeof *chains; c++) {
        pluck_sampler *plain = test_sampler(chains[c], N, test_isa(), 0), *traced = NULL;
        assert_int_equal(pluck_sampler_clone(&traced, plain, NULL), PLUCK_OK);
        pluck_trace *trace = NULL;
        assert_int_equal(pluck_trace_create(&trace, traced, NULL, NULL), PLUCK_OK);
        for (int step = 0; step < N_STEPS; step++) {
            for (int i = 0; i < N; i++)
                x[i] = (float)(2 * sin((double)(i * i + 7 * step)));
            pluck_logits logits = {x, PLUCK_F32, N};
            pluck_token a, b;
            assert_int_equal(pluck_sampler_sample(plain, logits, &a, NULL), PLUCK_OK);
            assert_int_equal(pluck_sampler_sample(traced, logits, &b, NULL), PLUCK_OK);
            assert_int_equal(pluck_trace_run(trace, traced, logits, NULL, 0, NULL), PLUCK_OK);
            assert_int_equal(a, b);
            assert_int_equal(a, report_of(trace)->draw->drawn.token);
            pluck_sampler_accept(plain, a, NULL);
            pluck_sampler_accept(traced, a, NULL);
        }
        pluck_trace_destroy(&trace);
        pluck_sampler_destroy(&plain);
        pluck_sampler_destroy(&traced);
    }
}

/* A trace of one chain on one row, for tests by hand. */
typedef struct by_hand {
    pluck_sampler *sampler;
    pluck_trace *trace;
} by_hand;

static by_hand trace_by_hand(const char *json, const float *x, uint32_t n,
                             const pluck_token *followed, size_t n_followed)
{
    by_hand h = {test_sampler(json, n, test_isa(), 0), NULL};
    assert_int_equal(pluck_trace_create(&h.trace, h.sampler, NULL, NULL), PLUCK_OK);
    assert_int_equal(pluck_trace_run(h.trace, h.sampler, (pluck_logits){x, PLUCK_F32, n}, followed,
                                     n_followed, NULL),
                     PLUCK_OK);
    return h;
}

static void end_by_hand(by_hand *h)
{
    pluck_trace_destroy(&h->trace);
    pluck_sampler_destroy(&h->sampler);
}

static void check_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-6 * (1 + fabs(expected))))
        fail_msg("%.9g, not %.9g", value, expected);
}

static void numbers_are_those_computed_by_hand(void **state)
{
    (void)state;
    /* p = .4, .3, .2, .1 */
    const float x[] = {logf(.4f), logf(.3f), logf(.2f), logf(.1f)};
    const pluck_token followed[] = {3, 2};
    by_hand h = trace_by_hand("{\"min_p\": 0.6, \"temperature\": 0.5, \"logit_bias\": {\"2\": 1}}",
                              x, 4, followed, 2);
    assert_int_equal(report_of(h.trace)->n_stages, 5);
    const pluck_stage_report *bias = report_of(h.trace)->stages[1];
    assert_string_equal(bias->stage, "logit_bias");
    assert_int_equal(bias->n_edits, 1);
    assert_int_equal(bias->edits[0].token, 2);
    check_near(bias->edits[0].before, log(.2));
    check_near(bias->edits[0].after, log(.2) + 1);
    const pluck_stage_report *min_p = report_of(h.trace)->stages[2];
    assert_string_equal(min_p->stage, "min_p");
    assert_int_equal(min_p->bound, PLUCK_BOUND_FORMULA);
    double sum = .8 + .2 * exp(1);
    check_near(min_p->bound_logit, log(.2) + 1 + log(.6));
    check_near(min_p->bound_prob, .2 * exp(1) * .6 / sum);
    check_near(min_p->mass, (.4 + .2 * exp(1)) / sum);
    assert_int_equal(min_p->n_removed, 2);
    assert_int_equal(min_p->best_removed.token, 1);
    assert_int_equal(min_p->worst_kept.token, 0);
    const pluck_token_fate *fate = report_of(h.trace)->tokens[0];
    assert_int_equal(fate->removed_by, 2);
    check_near(fate->lacked_logit, log(.2) + 1 + log(.6) - log(.1));
    check_near(fate->lacked_prob, (.2 * exp(1) * .6 - .1) / sum);
    assert_int_equal(fate->steps[1].rank, 4);
    check_near(fate->steps[1].above, (.7 + .2 * exp(1)) / sum);
    const pluck_stage_report *temperature = report_of(h.trace)->stages[3];
    check_near(temperature->temperature, .5);
    assert_int_equal(temperature->n_edits, 0);
    assert_int_equal(report_of(h.trace)->tokens[1]->removed_by, PLUCK_TRACE_SURVIVED);
    end_by_hand(&h);
}

static void stages_tell_the_numbers_that_they_worked_with(void **state)
{
    (void)state;
    const float x[] = {logf(.1f), logf(.2f), logf(.3f), logf(.4f)};
    by_hand h = trace_by_hand("{\"temperature\": 1, \"dynatemp_range\": 0.5}", x, 4, NULL, 0);
    const pluck_stage_report *r = report_of(h.trace)->stages[1];
    assert_string_equal(r->values[0].name, "T");
    check_near(r->values[0].value, 1.42321965);
    check_near(r->temperature, 1.42321965);
    end_by_hand(&h);
    h = trace_by_hand("{\"mirostat\": 1, \"mirostat_tau\": 1}", x, 4, NULL, 0);
    r = report_of(h.trace)->stages[1];
    assert_int_equal(r->n_values, 3);
    check_near(r->values[0].value, 2);
    assert_true(fabs(r->values[1].value - .774054) < 1e-5);
    assert_int_equal((int)r->values[2].value, 3);
    assert_int_equal(r->n_survivors, 3);
    end_by_hand(&h);
    h = trace_by_hand("{\"xtc_probability\": 1, \"xtc_threshold\": 0.25}", x, 4,
                      (const pluck_token[]){3}, 1);
    r = report_of(h.trace)->stages[1];
    assert_int_equal(r->bound, PLUCK_BOUND_BEST_KEPT);
    assert_int_equal(r->n_words, 1);
    assert_int_equal(r->best_kept.token, 2);
    check_near(report_of(h.trace)->tokens[0]->lacked_logit, log(.3) - log(.4));
    check_near(report_of(h.trace)->tokens[0]->lacked_prob, -.1);
    end_by_hand(&h);
}

static void min_keep_moves_the_bound(void **state)
{
    (void)state;
    const float x[] = {3, 0, -1, -2};
    by_hand h = trace_by_hand("{\"min_p\": 0.9, \"min_keep\": 2}", x, 4, NULL, 0);
    const pluck_stage_report *r = report_of(h.trace)->stages[1];
    assert_int_equal(r->bound, PLUCK_BOUND_WORST_KEPT);
    check_near(r->bound_logit, 0);
    end_by_hand(&h);
}

static void ties_lack_nothing(void **state)
{
    (void)state;
    const float x[] = {1, 1, 1, 1};
    by_hand h = trace_by_hand("{\"top_k\": 2}", x, 4, (const pluck_token[]){2, 1}, 2);
    assert_int_equal(report_of(h.trace)->tokens[0]->removed_by, 1);
    assert_true(report_of(h.trace)->tokens[0]->lacked_logit == 0);
    assert_int_equal(report_of(h.trace)->tokens[0]->steps[0].rank, 3);
    assert_int_equal(report_of(h.trace)->tokens[1]->removed_by, PLUCK_TRACE_SURVIVED);
    end_by_hand(&h);
}

static void edges_are_traced(void **state)
{
    (void)state;
    const float one[] = {-3}, banned[] = {-INFINITY, 5, -INFINITY};
    by_hand h = trace_by_hand("{\"temperature\": 0}", one, 1, (const pluck_token[]){0}, 1);
    const pluck_trace_draw *d = report_of(h.trace)->draw;
    assert_true(d->low == 0 && d->high == 1 && d->at >= 0 && d->at < 1);
    assert_int_equal(report_of(h.trace)->tokens[0]->steps[1].rank, 1);
    end_by_hand(&h);
    h = trace_by_hand("{\"seed\": 9}", banned, 3, (const pluck_token[]){0, 1}, 2);
    assert_int_equal(report_of(h.trace)->tokens[0]->removed_by, 0);
    assert_int_equal(report_of(h.trace)->draw->drawn.token, 1);
    assert_int_equal(report_of(h.trace)->stages[0]->n_survivors, 1);
    end_by_hand(&h);
}

static void what_cannot_be_traced_is_an_error_and_an_empty_trace(void **state)
{
    (void)state;
    enum { N = 3 };
    const float good[N] = {1, 2, 3}, bad[N] = {1, NAN, 2},
                none[N] = {-INFINITY, -INFINITY, -INFINITY};
    const pluck_token outside[] = {3}, negative[] = {-1}, two[] = {0, 1};
    pluck_sampler *sampler = test_sampler("{\"top_k\": 2}", N, test_isa(), 0);
    pluck_sampler *longer = test_sampler("{\"top_k\": 2, \"min_p\": 0.1}", N, test_isa(), 0);
    pluck_sampler *wider = test_sampler("{\"top_k\": 2}", N + 1, test_isa(), 0);
    pluck_trace_options small = {.struct_size = sizeof small, .max_tokens = 1};
    pluck_trace *trace = NULL;
    assert_int_equal(pluck_trace_create(&trace, sampler, &small, NULL), PLUCK_OK);
    const struct {
        pluck_sampler *sampler;
        const float *x;
        const pluck_token *tokens;
        size_t n;
        pluck_status status;
    } cases[] = {{sampler, bad, NULL, 0, PLUCK_ERR_NAN},
                 {sampler, none, NULL, 0, PLUCK_ERR_EMPTY},
                 {sampler, good, outside, 1, PLUCK_ERR_INVALID},
                 {sampler, good, negative, 1, PLUCK_ERR_INVALID},
                 {sampler, good, two, 2, PLUCK_ERR_INVALID},
                 {longer, good, NULL, 0, PLUCK_ERR_INVALID},
                 {wider, good, NULL, 0, PLUCK_ERR_INVALID}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_error err;
        pluck_logits logits = {good, PLUCK_F32, N};
        assert_int_equal(pluck_trace_run(trace, sampler, logits, two, 1, NULL), PLUCK_OK);
        assert_int_equal(report_of(trace)->n_stages, 3);
        logits.data = cases[i].x;
        logits.n_vocab = test_info_of(cases[i].sampler).n_vocab;
        assert_int_equal(
            pluck_trace_run(trace, cases[i].sampler, logits, cases[i].tokens, cases[i].n, &err),
            cases[i].status);
        assert_null(pluck_trace_get_report(trace));
    }
    pluck_trace_destroy(&trace);
    pluck_trace_destroy(&trace);
    pluck_trace_destroy(NULL);
    assert_null(pluck_trace_get_report(NULL));
    pluck_trace_options huge = {.struct_size = sizeof huge, .max_tokens = SIZE_MAX};
    assert_int_equal(pluck_trace_create(&trace, sampler, &huge, NULL), PLUCK_ERR_NOMEM);
    assert_null(trace);
    pluck_error err = {.status = PLUCK_OK};
    huge = (pluck_trace_options){.max_tokens = 1};
    assert_int_equal(pluck_trace_create(&trace, sampler, &huge, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "PLUCK_INIT(pluck_trace_options)"));
    assert_null(trace);
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&longer);
    pluck_sampler_destroy(&wider);
}

/* What holds for every trace. */
static bool makes_sense(const pluck_trace *trace, const pluck_draw *d)
{
    const pluck_trace_draw *t = report_of(trace)->draw;
    if (t->drawn.token != d->token || t->drawn.n_survivors != d->n_survivors ||
        memcmp(&t->drawn.logprob, &d->logprob, sizeof d->logprob) != 0)
        return test_case_failed("drew %d, not %d", t->drawn.token, d->token);
    if (!(0 <= t->low && t->low <= t->at && t->at <= t->high && t->high <= 1))
        return test_case_failed("%g in [%g, %g)", t->at, t->low, t->high);
    for (size_t i = 0; i < report_of(trace)->n_stages; i++) {
        const pluck_stage_report *r = report_of(trace)->stages[i];
        if (!(r->mass >= 0 && r->mass <= 1 && r->entropy >= 0 && r->temperature > 0))
            return test_case_failed("%s: mass %g, entropy %g, temperature %g", r->stage, r->mass,
                                    r->entropy, r->temperature);
        if (r->n_survivors < 1 || (r->bound == PLUCK_BOUND_NONE) != isnan(r->bound_logit))
            return test_case_failed("%s: %u survivors, bound %d at %g", r->stage, r->n_survivors,
                                    (int)r->bound, r->bound_logit);
        for (uint32_t e = 0; e < r->n_listed; e++)
            if (isnan(r->edits[e].before) || !(r->edits[e].after < (double)INFINITY))
                return test_case_failed("%s: %g became %g", r->stage, r->edits[e].before,
                                        r->edits[e].after);
    }
    const pluck_token_fate *f = report_of(trace)->tokens[0];
    for (size_t i = 0; i < report_of(trace)->n_stages; i++)
        if (isnan(f->steps[i].logit) || !(f->steps[i].prob >= 0 && f->steps[i].above >= 0))
            return test_case_failed("token %d: logit %g, p %g, above %g", f->token,
                                    f->steps[i].logit, f->steps[i].prob, f->steps[i].above);
    return isfinite(f->lacked_logit) && isfinite(f->lacked_prob) ? true
                                                                 : test_case_failed("lacked");
}

/* Three stages and a draw with any parameters, on any kind of row. */
static bool anything_makes_sense(uint64_t seed, pluck_isa isa, const void *context)
{
    enum { MAX_VOCAB = 500 };
    float x[MAX_VOCAB];
    (void)context;
    test_random random = test_random_make(seed);
    uint32_t n = 1 + (uint32_t)test_random_below(&random, MAX_VOCAB);
    const pluck_stage *draw = NULL;
    stage_text json;
    stage_begin(&json, seed);
    for (int i = 0; i < 3;) {
        const pluck_stage *stage = pluck_stage_at(test_random_below(&random, n_known_stages()));
        if (stage->kind == PLUCK_STAGE_DRAW) {
            draw = stage;
            continue;
        }
        stage_text_add(&json, "%s", i++ ? ", " : "");
        stage_add_random(&json, stage, STAGE_ANY, (stage_tokens){n, NULL}, &random);
    }
    stage_end(&json, draw);
    logit_fill((logit_kind)test_random_below(&random, LOGITS_KINDS), seed, n, x);
    pluck_sampler *sampler = test_sampler(json.text, n, isa, seed);
    for (int i = 0; i < 9; i++)
        pluck_sampler_accept(sampler, (pluck_token)((uint32_t)i % 4 % n), NULL);
    pluck_trace *trace = NULL;
    assert_int_equal(pluck_trace_create(&trace, sampler, NULL, NULL), PLUCK_OK);
    pluck_logits logits = {x, PLUCK_F32, n};
    pluck_draw d;
    pluck_token followed = (pluck_token)test_random_below(&random, n);
    pluck_status status = pluck_sampler_draw(sampler, logits, &d, NULL);
    bool ok = pluck_trace_run(trace, sampler, logits, &followed, 1, NULL) == status;
    if (!ok)
        test_case_failed("the trace ends with another status");
    else if (status == PLUCK_OK)
        ok = makes_sense(trace, &d);
    pluck_trace_destroy(&trace);
    pluck_sampler_destroy(&sampler);
    return ok || test_case_failed("%s", json.text);
}

static void any_parameters_on_any_row_make_sense(void **state)
{
    (void)state;
    test_cases_run_once("any_parameters_on_any_row_make_sense", 0, 1500, anything_makes_sense,
                        NULL);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_changes_nothing),
        cmocka_unit_test(numbers_are_those_computed_by_hand),
        cmocka_unit_test(stages_tell_the_numbers_that_they_worked_with),
        cmocka_unit_test(min_keep_moves_the_bound),
        cmocka_unit_test(ties_lack_nothing),
        cmocka_unit_test(edges_are_traced),
        cmocka_unit_test(any_parameters_on_any_row_make_sense),
        cmocka_unit_test(what_cannot_be_traced_is_an_error_and_an_empty_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
