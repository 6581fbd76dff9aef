/*
 * Why: an explanation that is wrong is worse than none. Whatever a trace says of a stage is
 * compared with what the library does when the chain ends there: the distributions of ever longer
 * chains know nothing of traces. What it says of the draw is checked against the draw itself, the
 * generator, and the law that the point of the draw must have.
 */
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/config_parts.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/stage_cases.h"

#include <pluck/trace.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 300, MAX_STAGES = 5, MAX_HISTORY = 40, N_FOLLOWED = 6 };

/* A random chain on a random row. */
typedef struct chain_case {
    stage_text stages[MAX_STAGES]; /* as JSON objects */
    size_t n;
    const pluck_stage *draw;
    uint32_t n_vocab;
    float x[MAX_VOCAB];
    pluck_token history[MAX_HISTORY], followed[N_FOLLOWED];
    size_t n_history;
    uint64_t seed;
} chain_case;

static void make_case(chain_case *c, uint64_t seed)
{
    test_random random = test_random_make(seed);
    c->seed = seed;
    c->n_vocab = 1 + (uint32_t)test_random_below(&random, MAX_VOCAB);
    c->n = test_random_below(&random, MAX_STAGES + 1);
    do
        c->draw = pluck_stage_at(test_random_below(&random, n_known_stages()));
    while (c->draw->kind != PLUCK_STAGE_DRAW);
    for (size_t i = 0; i < c->n;) {
        const pluck_stage *stage = pluck_stage_at(test_random_below(&random, n_known_stages()));
        if (stage->kind == PLUCK_STAGE_DRAW)
            continue;
        c->stages[i].n = 0;
        stage_add_random(c->stages + i++, stage, STAGE_MODERATE, (stage_tokens){c->n_vocab, NULL},
                         &random);
    }
    for (uint32_t t = 0; t < c->n_vocab; t++) {
        c->x[t] = (float)(2 * test_random_normal(&random));
        if (test_random_below(&random, 5) == 0)
            c->x[t] = (float)(int)c->x[t];
        if (test_random_below(&random, 20) == 0 && t > 0)
            c->x[t] = -INFINITY;
    }
    c->n_history = test_random_below(&random, MAX_HISTORY);
    for (size_t i = 0; i < c->n_history; i++)
        c->history[i] = (pluck_token)test_random_below(&random, c->n_vocab < 9 ? c->n_vocab : 9);
    for (size_t i = 0; i < N_FOLLOWED; i++)
        c->followed[i] = (pluck_token)test_random_below(&random, c->n_vocab);
}

static pluck_logits logits_of(const chain_case *c)
{
    return (pluck_logits){c->x, PLUCK_F32, c->n_vocab};
}

/* The first n stages, then the draw or "categorical" for NULL. */
static pluck_sampler *sampler_of(const chain_case *c, size_t n, const pluck_stage *draw,
                                 pluck_isa isa)
{
    stage_text json;
    stage_begin(&json, c->seed);
    for (size_t i = 0; i < n; i++)
        stage_text_add(&json, "%s%s", i ? ", " : "", c->stages[i].text);
    stage_end(&json, draw);
    pluck_sampler *sampler = test_sampler(json.text, c->n_vocab, isa, 3);
    test_accept(sampler, c->history, c->n_history);
    return sampler;
}

static bool is_neutral(const chain_case *c, size_t index)
{
    stage_text json;
    stage_begin(&json, 0);
    stage_text_add(&json, "%s", c->stages[index].text);
    stage_end(&json, NULL);
    pluck_config *config = test_config(json.text);
    bool neutral = config_stage(config, 0).is_neutral;
    pluck_config_destroy(&config);
    return neutral;
}

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * (1 + fabs(b));
}

static double entropy_of(const test_distribution *d)
{
    double h = 0;
    for (uint32_t i = 0; i < d->n; i++)
        h -= (double)d->probs[i].prob * log((double)d->probs[i].prob);
    return h;
}

/* Probability that d gives to the tokens that next has. */
static double mass_kept(const test_distribution *d, const test_distribution *next)
{
    double mass = 0;
    for (uint32_t i = 0; i < next->n; i++)
        mass += (double)test_distribution_p(d, next->probs[i].token);
    return mass;
}

static bool step_agrees(const pluck_token_fate *fate, size_t index, const test_distribution *d)
{
    const pluck_token_step *step = fate->steps + index;
    double above = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        if (d->probs[i].token != fate->token) {
            above += (double)d->probs[i].prob;
            continue;
        }
        if (fate->removed_by <= index)
            return test_case_failed("token %d is said to be removed by %zu, but is there after %zu",
                                    fate->token, fate->removed_by, index);
        if (step->rank != i + 1 || !near(step->prob, (double)d->probs[i].prob, 1e-5) ||
            !near(step->above, above, 1e-5))
            return test_case_failed("token %d after %zu: rank %u, p %g, above %g; not %u, %g, %g",
                                    fate->token, index, step->rank, step->prob, step->above, i + 1,
                                    (double)d->probs[i].prob, above);
        return true;
    }
    if (fate->removed_by > index || step->prob != 0 || step->logit > -(double)INFINITY)
        return test_case_failed("token %d is not said to be removed after %zu", fate->token, index);
    return true;
}

/* A stage that raises one token beyond all others, whose probability then is no double above 0:
 * they are neither removed nor in the distribution. */
static bool underflows(const pluck_stage_report *r, const test_distribution *before,
                       const test_distribution *after)
{
    return r->n_edits > 0 && r->n_removed < before->n - after->n && after->probs[0].prob > 0.999f;
}

/* That of a trace of a failed chain is empty. */
static const pluck_trace_report *report_of(const pluck_trace *trace)
{
    static const pluck_trace_report empty = {.n_stages = 0};
    const pluck_trace_report *report = pluck_trace_get_report(trace);
    return report ? report : &empty;
}

static bool report_agrees(const pluck_trace *trace, size_t index, const test_distribution *before,
                          const test_distribution *after)
{
    const pluck_stage_report *r = report_of(trace)->stages[index];
    if (r->n_survivors != after->n)
        return test_case_failed("%s: %u survivors, not %u", r->stage, r->n_survivors, after->n);
    if (!near(r->entropy, entropy_of(after), 1e-5) ||
        !near(r->entropy_before, entropy_of(before), 1e-5))
        return test_case_failed("%s: entropy %g to %g, not %g to %g", r->stage, r->entropy_before,
                                r->entropy, entropy_of(before), entropy_of(after));
    if (!near(r->mass, mass_kept(before, after), 1e-5) || r->n_removed != before->n - after->n)
        return test_case_failed("%s: mass %g, %u removed, not %g, %u", r->stage, r->mass,
                                r->n_removed, mass_kept(before, after), before->n - after->n);
    for (size_t i = 0; i < N_FOLLOWED; i++)
        if (!step_agrees(report_of(trace)->tokens[i], index, after))
            return test_case_failed("%s", r->stage);
    return true;
}

static pluck_trace *trace_of(pluck_sampler *sampler, const chain_case *c)
{
    pluck_trace *trace = NULL;
    pluck_trace_options options = {.struct_size = sizeof options, .max_edits = MAX_VOCAB};
    pluck_trace_create(&trace, sampler, &options, NULL);
    pluck_trace_run(trace, sampler, logits_of(c), c->followed, N_FOLLOWED, NULL);
    return trace;
}

/* The reports of a trace against the distributions of chains that end after each stage. */
static bool reports_agree(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    chain_case c;
    make_case(&c, seed);
    pluck_sampler *sampler = sampler_of(&c, c.n, c.draw, isa);
    pluck_trace *trace = trace_of(sampler, &c);
    pluck_token unused;
    size_t index = 0;
    bool ok = true, judged = true;
    if (pluck_sampler_sample(sampler, logits_of(&c), &unused, NULL) != PLUCK_OK) {
        ok = report_of(trace)->n_stages == 0 || test_case_failed("a trace of a failed chain");
        c.n = 0;
    } else {
        pluck_sampler *prefix = sampler_of(&c, 0, NULL, isa);
        test_distribution before = test_distribution_of(prefix, logits_of(&c));
        pluck_sampler_destroy(&prefix);
        ok = report_agrees(trace, index++, &before, &before);
        for (size_t i = 0; i <= c.n && ok; i++) {
            if (i < c.n && is_neutral(&c, i))
                continue;
            prefix = sampler_of(&c, i < c.n ? i + 1 : c.n, i < c.n ? NULL : c.draw, isa);
            test_distribution after = test_distribution_of(prefix, logits_of(&c));
            judged = judged && !underflows(report_of(trace)->stages[index], &before, &after);
            ok = !judged || report_agrees(trace, index, &before, &after);
            index++;
            pluck_sampler_destroy(&prefix);
            test_distribution_free(&before);
            before = after;
        }
        test_distribution_free(&before);
        if (ok && report_of(trace)->n_stages != index)
            ok = test_case_failed("%zu reports, not %zu", report_of(trace)->n_stages, index);
    }
    pluck_trace_destroy(&trace);
    pluck_sampler_destroy(&sampler);
    return ok;
}

static void reports_agree_with_the_distributions_of_shorter_chains(void **state)
{
    (void)state;
    test_cases_run_once("reports_agree_with_the_distributions_of_shorter_chains", 0, 600,
                        reports_agree, NULL);
}

/* What a bound says holds for every token that was followed. */
static bool fate_agrees(const pluck_trace *trace, const pluck_token_fate *fate)
{
    if (fate->removed_by == PLUCK_TRACE_SURVIVED || fate->removed_by == 0)
        return true;
    const pluck_stage_report *r = report_of(trace)->stages[fate->removed_by];
    const pluck_token_step *step = fate->steps + fate->removed_by - 1;
    double lacked = fate->lacked_logit, upper = r->best_kept.logit - step->logit;
    bool right = true;
    if (r->bound == PLUCK_BOUND_NONE)
        right = lacked == 0;
    else if (r->bound == PLUCK_BOUND_FORMULA || r->bound == PLUCK_BOUND_WORST_KEPT)
        right = lacked >= 0 && near(step->logit + lacked, r->bound_logit, 1e-6) &&
                (lacked > 0 || fate->token > r->worst_kept.token);
    else if (r->bound == PLUCK_BOUND_BEST_KEPT)
        right = lacked == upper && lacked <= 0;
    else if (lacked == 0 && step->logit == r->bound_logit)
        right = fate->token > r->worst_kept.token; /* a tie at the lower end */
    else
        right = lacked > 0 ? step->logit + lacked <= r->best_kept.logit : lacked >= upper;
    return right ||
           test_case_failed("%s, bound %d at %g: token %d with %g lacked %g", r->stage,
                            (int)r->bound, r->bound_logit, fate->token, step->logit, lacked);
}

static bool bounds_hold(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    chain_case c;
    make_case(&c, seed);
    pluck_sampler *sampler = sampler_of(&c, c.n, c.draw, isa);
    pluck_trace *trace = trace_of(sampler, &c);
    bool ok = true;
    for (size_t i = 0; i < report_of(trace)->n_tokens && ok; i++)
        ok = fate_agrees(trace, report_of(trace)->tokens[i]);
    for (size_t i = 0; i < report_of(trace)->n_stages && ok; i++) {
        const pluck_stage_report *r = report_of(trace)->stages[i];
        bool below = r->bound == PLUCK_BOUND_FORMULA || r->bound == PLUCK_BOUND_WORST_KEPT;
        if (below && r->n_removed > 0 && r->best_removed.logit > r->bound_logit + 1e-6)
            ok = test_case_failed("%s removed %d above its bound", r->stage, r->best_removed.token);
        if (below && r->worst_kept.logit < r->bound_logit - 1e-6)
            ok = test_case_failed("%s kept %d below its bound", r->stage, r->worst_kept.token);
    }
    pluck_trace_destroy(&trace);
    pluck_sampler_destroy(&sampler);
    return ok;
}

static void bounds_divide_what_is_kept_from_what_is_removed(void **state)
{
    (void)state;
    test_cases_run_once("bounds_divide_what_is_kept_from_what_is_removed", 0, 1000, bounds_hold,
                        NULL);
}

/* A token that lacks so much survives with a little more, and does not with a little less. */
static bool lacked_is_exact(uint64_t seed, pluck_isa isa, const void *context)
{
    static const char *const chains[] = {"{\"top_k\": 20}", "{\"min_p\": 0.2}",
                                         "{\"temperature\": 0.7, \"min_p\": 0.1}",
                                         "{\"temperature\": 0}"};
    (void)context;
    chain_case c;
    make_case(&c, seed);
    c.n_vocab = MAX_VOCAB;
    for (uint32_t t = 0; t < c.n_vocab; t++)
        c.x[t] = (float)sin((double)(seed + 3 * t * t));
    pluck_sampler *sampler = test_sampler(chains[seed % 4], c.n_vocab, isa, 0);
    pluck_trace *trace = trace_of(sampler, &c);
    bool ok = true;
    for (size_t i = 0; i < N_FOLLOWED && ok; i++) {
        pluck_token_fate fate = *report_of(trace)->tokens[i];
        if (fate.removed_by == PLUCK_TRACE_SURVIVED || fate.lacked_logit == 0)
            continue;
        float was = c.x[fate.token];
        for (int side = -1; side <= 1; side += 2) {
            c.x[fate.token] = (float)((double)was + fate.lacked_logit + side * 1e-5);
            test_distribution d = test_distribution_of(sampler, logits_of(&c));
            bool survives = test_distribution_p(&d, fate.token) > 0;
            test_distribution_free(&d);
            if (ok && survives != (side > 0))
                ok = test_case_failed("token %d lacked %g, but with %+g it %s", fate.token,
                                      fate.lacked_logit, fate.lacked_logit + side * 1e-5,
                                      survives ? "survives" : "falls");
        }
        c.x[fate.token] = was;
    }
    pluck_trace_destroy(&trace);
    pluck_sampler_destroy(&sampler);
    return ok;
}

static void what_a_token_lacked_is_what_would_have_saved_it(void **state)
{
    (void)state;
    test_cases_run_once("what_a_token_lacked_is_what_would_have_saved_it", 0, 400, lacked_is_exact,
                        NULL);
}

/* The draw of a trace against the draw itself and the generator. */
static bool draw_agrees(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    chain_case c;
    make_case(&c, seed);
    pluck_sampler *sampler = sampler_of(&c, c.n, c.draw, isa);
    pluck_trace *trace = trace_of(sampler, &c);
    const pluck_trace_draw *t = report_of(trace)->draw;
    pluck_draw d;
    bool ok = true;
    if (pluck_sampler_draw(sampler, logits_of(&c), &d, NULL) == PLUCK_OK) {
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, c.seed, 3, c.n_history);
        for (size_t i = 0; i < report_of(trace)->n_stages; i++) {
            const pluck_stage_report *r = report_of(trace)->stages[i];
            for (size_t w = 0; w < r->n_words; w++)
                ok = pluck_pcg64_next(&rng) == r->words[w] && ok;
        }
        for (size_t w = 0; w < t->n_words; w++)
            ok = pluck_pcg64_next(&rng) == t->words[w] && ok;
        if (!ok)
            test_case_failed("the numbers are not the generator's");
        if (t->drawn.token != d.token || t->drawn.n_survivors != d.n_survivors ||
            memcmp(&t->drawn.logprob, &d.logprob, sizeof d.logprob) != 0)
            ok = test_case_failed("drew %d, not %d", t->drawn.token, d.token);
        if (!near(t->high - t->low, exp((double)d.logprob), 1e-6) || t->low < 0 || t->high > 1)
            ok = test_case_failed("[%.17g, %.17g) is not p = %g", t->low, t->high,
                                  exp((double)d.logprob));
        if (!(t->low <= t->at && t->at < t->high))
            ok = test_case_failed("%.17g is not in [%.17g, %.17g)", t->at, t->low, t->high);
        bool is_race = c.draw && strcmp(c.draw->name, "gumbel") == 0;
        if (t->n_words == 0 && (t->at != t->low || (d.n_survivors != 1 && !is_race)))
            ok = test_case_failed("%zu numbers for %u tokens", t->n_words, d.n_survivors);
        double u = t->n_words ? (double)(t->words[t->n_words - 1] >> 11) * 0x1p-53 : 0;
        if (t->inverse && !near(t->at, u, 1e-6))
            ok = test_case_failed("at %.9g, but the number is %.9g", t->at, u);
    }
    pluck_trace_destroy(&trace);
    pluck_sampler_destroy(&sampler);
    return ok;
}

static void the_draw_is_the_one_that_is_drawn(void **state)
{
    (void)state;
    test_cases_run_once("the_draw_is_the_one_that_is_drawn", 0, 1000, draw_agrees, NULL);
}

/* Whatever way a draw takes, its numbers amount to one uniform one. */
static void the_point_of_the_draw_is_uniform(void **state)
{
    (void)state;
    enum { N = 500, N_DRAWS = 8000, N_BINS = 40 };
    static const char *const chains[] = {"{\"seed\": 5}", "{\"seed\": 6, \"top_k\": 50}",
                                         "{\"seed\": 7, \"top_p\": 0.7}",
                                         "{\"seed\": 8, \"top_p\": 0.3, \"temperature\": 2}"};
    float x[N];
    test_random random = test_random_make(99);
    for (int i = 0; i < N; i++)
        x[i] = (float)(2 * test_random_normal(&random));
    for (size_t c = 0; c < sizeof chains / sizeof *chains; c++) {
        pluck_sampler *sampler = test_sampler(chains[c], N, test_isa(), 0);
        pluck_trace *trace = NULL;
        assert_int_equal(pluck_trace_create(&trace, sampler, NULL, NULL), PLUCK_OK);
        uint64_t counts[N_BINS] = {0}, n_inverse = 0;
        double p[N_BINS];
        for (int i = 0; i < N_DRAWS; i++) {
            pluck_sampler_set_position(sampler, (uint64_t)i, NULL);
            assert_int_equal(
                pluck_trace_run(trace, sampler, (pluck_logits){x, PLUCK_F32, N}, NULL, 0, NULL),
                PLUCK_OK);
            counts[(int)(N_BINS * report_of(trace)->draw->at)]++;
            n_inverse += report_of(trace)->draw->inverse;
        }
        for (int i = 0; i < N_BINS; i++)
            p[i] = 1.0 / N_BINS;
        if (c < 2)
            assert_int_equal(n_inverse, c == 1 ? N_DRAWS : 0);
        chi_square result = chi_square_test(counts, p, N_BINS, N_DRAWS);
        if (result.p_value < 1e-6)
            fail_msg("%s: chi-square %g, p-value %g", chains[c], result.statistic, result.p_value);
        pluck_trace_destroy(&trace);
        pluck_sampler_destroy(&sampler);
    }
}

/* Everything of a trace as text, every number with all its bits. */
static void write_trace(const pluck_trace *trace, char *text, size_t capacity)
{
    size_t n = 0;
#define ADD(...) n += (size_t)snprintf(text + n, capacity - n, __VA_ARGS__)
    for (size_t i = 0; i < report_of(trace)->n_stages; i++) {
        const pluck_stage_report *r = report_of(trace)->stages[i];
        ADD("%s %u %u %a %a %a %a %d %a %a %d %a %a %d %a %a %d %a %a %u %zu\n", r->stage,
            r->n_survivors, r->n_removed, r->mass, r->entropy_before, r->entropy, r->temperature,
            (int)r->bound, r->bound_logit, r->bound_prob, r->worst_kept.token, r->worst_kept.logit,
            r->worst_kept.prob, r->best_kept.token, r->best_kept.logit, r->best_kept.prob,
            r->best_removed.token, r->best_removed.logit, r->best_removed.prob, r->n_edits,
            r->n_words);
        for (size_t v = 0; v < r->n_values; v++)
            ADD(" %s %a", r->values[v].name, r->values[v].value);
        for (uint32_t e = 0; e < r->n_listed; e++)
            ADD(" %d %a %a", r->edits[e].token, r->edits[e].before, r->edits[e].after);
    }
    const pluck_trace_draw *d = report_of(trace)->draw;
    if (d)
        ADD("\n%d %a %u %a %a %a %zu\n", d->drawn.token, (double)d->drawn.logprob,
            d->drawn.n_survivors, d->low, d->high, d->at, d->n_words);
    for (size_t i = 0; i < report_of(trace)->n_tokens; i++) {
        const pluck_token_fate *f = report_of(trace)->tokens[i];
        ADD("%d %zu %a %a", f->token, f->removed_by, f->lacked_logit, f->lacked_prob);
        for (size_t s = 0; s < report_of(trace)->n_stages; s++)
            ADD(" %a %a %u %a", f->steps[s].logit, f->steps[s].prob, f->steps[s].rank,
                f->steps[s].above);
    }
#undef ADD
    assert_true(n < capacity);
}

static bool same_on_all_sets(uint64_t seed, pluck_isa isa, const void *context)
{
    enum { CAPACITY = 1 << 18 };
    (void)isa, (void)context;
    chain_case c;
    make_case(&c, seed);
    pluck_isa isas[8];
    unsigned n_isas = test_all_isas(isas);
    char *text = calloc(2, CAPACITY);
    bool ok = text != NULL;
    for (unsigned k = 0; k < n_isas && ok; k++) {
        pluck_sampler *sampler = sampler_of(&c, c.n, c.draw, isas[k]);
        pluck_trace *trace = trace_of(sampler, &c);
        char *own = text + (k > 0 ? CAPACITY : 0);
        *own = '\0';
        write_trace(trace, own, CAPACITY);
        if (strcmp(own, text) != 0)
            ok = test_case_failed("%s differs from %s:\n%s\n%s", pluck_isa_name(isas[k]),
                                  pluck_isa_name(isas[0]), own, text);
        pluck_trace_destroy(&trace);
        pluck_sampler_destroy(&sampler);
    }
    free(text);
    return ok;
}

static void traces_are_the_same_on_every_instruction_set(void **state)
{
    (void)state;
    test_cases_run_once("traces_are_the_same_on_every_instruction_set", 0, 200, same_on_all_sets,
                        NULL);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_agree_with_the_distributions_of_shorter_chains),
        cmocka_unit_test(bounds_divide_what_is_kept_from_what_is_removed),
        cmocka_unit_test(what_a_token_lacked_is_what_would_have_saved_it),
        cmocka_unit_test(the_draw_is_the_one_that_is_drawn),
        cmocka_unit_test(the_point_of_the_draw_is_uniform),
        cmocka_unit_test(traces_are_the_same_on_every_instruction_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
