/*
 * Why: tuning in C, where there is no Python: on each instruction set, under the sanitizers, and on
 * an emulated processor. Fits are compared with roots that are known in closed form, in each cell
 * of the grid and at both of its ends; with a bisection in double on rows of many tokens; and with
 * the same bits on every instruction set, for any number of threads and for rows in any order.
 */
#include "support/cases.h"
#include "support/isa.h"
#include "support/tune_rows.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_OBJECTIVES = 6, GRID = PLUCK_TUNE_GRID };

static pluck_tune_fit fit_to(const pluck_tune_data *data, pluck_tune_options options)
{
    pluck_error err = {.message = ""};
    pluck_tune_fit fit = PLUCK_INIT(pluck_tune_fit);
    if (pluck_tune_temperature(data, &options, &fit, &err) != PLUCK_OK)
        fail_msg("%s", err.message);
    return fit;
}

static void check_near(double found, double expected, double tolerance, const char *what)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%s: %.17g, expected %.17g", what, found, expected);
}

/* What the objective is to meet so that rows of two tokens with this gap have their answer at t:
 * p = 1 / (1 + exp(-gap / t)) is the first token's probability. */
static double value_at(pluck_tune_objective objective, double gap, double t)
{
    double p = 1 / (1 + exp(-gap / t)), q = 1 / (1 + exp(gap / t));
    double entropy = -p * log(p) - q * log(q);
    return objective == PLUCK_TUNE_ENTROPY ? entropy : exp(entropy);
}

/* The gap for which a share of first tokens is most probable at t: gap / t = ln(s / (1 - s)). */
static float gap_at(double share, double t)
{
    return (float)(t * log(share / (1 - share)));
}

/* Roots at the ends, at each point of the grid and between them. */
static void roots_are_found_in_each_cell_of_the_grid(void **state)
{
    static const pluck_tune_objective objectives[] = {PLUCK_TUNE_NLL, PLUCK_TUNE_BRIER,
                                                      PLUCK_TUNE_ENTROPY, PLUCK_TUNE_PERPLEXITY,
                                                      PLUCK_TUNE_DIVERSITY};
    enum { N_ROWS = 20, N_FIRST = 16 };
    double share = (double)N_FIRST / N_ROWS, min_t = 0.25, max_t = 8;
    /* Four points per cell; where time is short, the points of the grid. */
    int n = (GRID - 1) * (test_n_repeats(4) > 0 ? 4 : 1);
    (void)state;
    for (int at = 0; at <= n; at++) {
        double t = min_t * pow(max_t / min_t, at / (double)n);
        float gap = gap_at(share, t);
        tune_rows rows = tune_rows_two(N_ROWS, gap, N_FIRST);
        for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++) {
            char what[64];
            pluck_tune_options options = {.struct_size = sizeof options,
                                          .objective = objectives[i],
                                          .min_t = min_t,
                                          .max_t = max_t};
            if (objectives[i] >= PLUCK_TUNE_ENTROPY)
                options.value = value_at(objectives[i], (double)gap, t);
            pluck_tune_fit fit = fit_to(&rows.data, options);
            snprintf(what, sizeof what, "%s, t = %g", pluck_tune_objective_name(objectives[i]), t);
            check_near(fit.temperature, t, 2e-6 * t, what);
            assert_true(fit.temperature >= min_t && fit.temperature <= max_t);
            assert_true(fit.n_passes <= 3);
            if (at > 0 && at < n)
                assert_int_equal(fit.limit, PLUCK_TUNE_INSIDE);
            assert_true(fit.grid_t[0] == min_t && fit.grid_t[GRID - 1] == max_t);
        }
        tune_rows_free(&rows);
    }
}

/* Answers a little beyond either end, and far beyond it. */
static void answers_beyond_the_grid_end_at_its_limits(void **state)
{
    enum { N_ROWS = 20, N_FIRST = 16 };
    double share = (double)N_FIRST / N_ROWS, min_t = 0.5, max_t = 4;
    static const struct {
        double t;
        pluck_tune_limit limit;
    } beyond[] = {{0.02, PLUCK_TUNE_AT_MIN},
                  {0.499, PLUCK_TUNE_AT_MIN},
                  {4.01, PLUCK_TUNE_AT_MAX},
                  {60, PLUCK_TUNE_AT_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        float gap = gap_at(share, beyond[i].t);
        tune_rows rows = tune_rows_two(N_ROWS, gap, N_FIRST);
        for (int o = 0; o < N_OBJECTIVES; o++) {
            pluck_tune_options options = {.struct_size = sizeof options,
                                          .objective = (pluck_tune_objective)o,
                                          .min_t = min_t,
                                          .max_t = max_t,
                                          .n_bootstrap = 10};
            if (o >= PLUCK_TUNE_ENTROPY)
                options.value = value_at(options.objective, (double)gap, beyond[i].t);
            pluck_tune_fit fit = fit_to(&rows.data, options);
            assert_int_equal(fit.limit, beyond[i].limit);
            assert_true(fit.temperature == (fit.limit == PLUCK_TUNE_AT_MIN ? min_t : max_t));
            assert_true(isnan(fit.standard_error) && isnan(fit.low) && isnan(fit.high));
        }
        tune_rows_free(&rows);
    }
}

/* Targets that are always the best token, always the worst, and logits that say nothing. */
static void hopeless_rows_have_the_limits_that_they_should(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        tune_rows rows = tune_rows_two(30, 1.5f, which == 0 ? 30 : 0);
        for (int o = 0; o <= PLUCK_TUNE_BRIER; o++) {
            pluck_tune_fit fit =
                fit_to(&rows.data, (pluck_tune_options){.struct_size = sizeof(pluck_tune_options),
                                                        .objective = (pluck_tune_objective)o});
            assert_int_equal(fit.limit, which == 0 ? PLUCK_TUNE_AT_MIN : PLUCK_TUNE_AT_MAX);
            assert_true(fit.temperature == (which == 0 ? 0.05 : 20));
        }
        tune_rows_free(&rows);
    }
    tune_rows flat = tune_rows_two(30, 0, 12);
    pluck_tune_fit fit =
        fit_to(&flat.data,
               (pluck_tune_options){.struct_size = sizeof(pluck_tune_options), .n_bootstrap = 10});
    assert_true(fit.temperature == 1 && fit.limit == PLUCK_TUNE_INSIDE && isnan(fit.low));
    tune_rows_free(&flat);
}

/* The grid looks at every second of these rows. Their targets are all the first token, as if no
 * temperature were low enough; of all rows, nine in ten are. */
static void a_grid_over_some_of_the_rows_leads_to_the_answer_of_all(void **state)
{
    enum { N_ROWS = PLUCK_TUNE_GRID_ROWS + 104 };
    (void)state;
    tune_rows rows = tune_rows_two(N_ROWS, 2, N_ROWS);
    for (uint64_t r = 0, seen = 0; r < N_ROWS; r++) {
        if (r % 2 != 0)
            rows.targets[r] = seen++ % 5 == 0;
    }
    tune_rows_reopen(&rows);
    uint64_t n_first = 0;
    for (uint64_t r = 0; r < N_ROWS; r++)
        n_first += rows.targets[r] == 0;
    double share = (double)n_first / N_ROWS;
    pluck_tune_fit fit =
        fit_to(&rows.data, (pluck_tune_options){.struct_size = sizeof(pluck_tune_options),
                                                .objective = PLUCK_TUNE_NLL});
    check_near(fit.temperature, 2 / log(share / (1 - share)), 1e-6, "all rows");
    assert_true(fit.rows == N_ROWS && fit.limit == PLUCK_TUNE_INSIDE);
    tune_rows_free(&rows);
}

/* Means over rows in double, by the formulas of tune.h. */
typedef struct means {
    double nll, brier, entropy, effective, confidence, accuracy, slope;
} means;

static means means_at(const tune_rows *rows, double t)
{
    means m = {0};
    for (uint64_t r = 0; r < rows->n_rows; r++) {
        const float *z = rows->logits + r * rows->n_vocab;
        int y = rows->targets[r];
        uint32_t best = 0;
        double sum = 0, dot = 0, square = 0;
        for (uint32_t i = 1; i < rows->n_vocab; i++)
            best = z[i] > z[best] ? i : best;
        for (uint32_t i = 0; i < rows->n_vocab; i++) {
            double d = (double)z[i] - (double)z[best], e = exp(d / t);
            sum += e;
            dot += e * d;
            square += e * e;
        }
        double d = (double)z[y] - (double)z[best], nll = log(sum) - d / t;
        double entropy = log(sum) - dot / sum / t;
        m.nll += nll;
        m.brier += square / (sum * sum) - 2 * exp(-nll) + 1;
        m.entropy += entropy;
        m.effective += exp(entropy);
        m.confidence += 1 / sum;
        m.accuracy += (uint32_t)y == best;
        m.slope += dot / sum - d;
    }
    double *const all[] = {&m.nll,        &m.brier,    &m.entropy, &m.effective,
                           &m.confidence, &m.accuracy, &m.slope};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        *all[i] /= (double)rows->n_rows;
    return m;
}

/* Less than 0 below the answer. */
static double lack_at(const tune_rows *rows, pluck_tune_options options, double t)
{
    means m = means_at(rows, t);
    if (options.objective == PLUCK_TUNE_NLL)
        return -m.slope;
    if (options.objective == PLUCK_TUNE_BRIER)
        return means_at(rows, t * (1 + 1e-5)).brier - means_at(rows, t * (1 - 1e-5)).brier;
    if (options.objective == PLUCK_TUNE_DIVERSITY)
        return m.effective - options.value;
    return m.entropy -
           (options.objective == PLUCK_TUNE_ENTROPY ? options.value : log(options.value));
}

static double bisect(const tune_rows *rows, pluck_tune_options options)
{
    double low = 0.3, high = 4;
    for (int i = 0; i < 34; i++) {
        double middle = sqrt(low * high);
        *(lack_at(rows, options, middle) < 0 ? &low : &high) = middle;
    }
    return sqrt(low * high);
}

#define OPTIONS .struct_size = sizeof(pluck_tune_options)

static const pluck_tune_options cases[N_OBJECTIVES - 1] = {
    {OPTIONS, .objective = PLUCK_TUNE_NLL, .n_bootstrap = 60, .seed = 5},
    {OPTIONS, .objective = PLUCK_TUNE_BRIER},
    {OPTIONS, .objective = PLUCK_TUNE_ENTROPY, .value = 2},
    {OPTIONS, .objective = PLUCK_TUNE_PERPLEXITY, .value = 9},
    {OPTIONS, .objective = PLUCK_TUNE_DIVERSITY, .value = 12},
};

static void fits_and_means_are_those_of_a_bisection_in_double(void **state)
{
    (void)state;
    tune_rows rows = tune_rows_normal(40, 200, 1.6, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_tune_fit fit = fit_to(&rows.data, cases[i]);
        check_near(fit.temperature, bisect(&rows, cases[i]), 1e-5,
                   pluck_tune_objective_name(cases[i].objective));
    }
    const double temperatures[3] = {0.05, 1, 20};
    pluck_tune_stats stats[3];
    pluck_tune_request request = {
        .struct_size = sizeof request, .temperatures = temperatures, .n = 3, .stats = stats};
    assert_int_equal(pluck_tune_measure(&rows.data, &request, NULL), PLUCK_OK);
    for (int i = 0; i < 3; i++) {
        means m = means_at(&rows, temperatures[i]);
        check_near(stats[i].nll, m.nll, 1e-6 * fmax(1, m.nll), "nll");
        check_near(stats[i].brier, m.brier, 1e-6, "brier");
        check_near(stats[i].entropy, m.entropy, 1e-6 * fmax(1, m.entropy), "entropy");
        check_near(stats[i].effective, m.effective, 1e-6 * m.effective, "effective");
        check_near(stats[i].confidence, m.confidence, 1e-6, "confidence");
        assert_true(stats[i].accuracy == m.accuracy);
    }
    tune_rows_free(&rows);
}

static void equal_bits(const void *a, const void *b, size_t size_bytes, const char *what)
{
    if (memcmp(a, b, size_bytes) != 0)
        fail_msg("%s: different bits", what);
}

/* Each call once more for each instruction set, and on three threads. */
static void bits_depend_neither_on_the_instruction_set_nor_on_threads(void **state)
{
    pluck_isa isas[TEST_MAX_TABLES];
    unsigned n_isas = test_all_isas(isas);
    (void)state;
    tune_rows rows = tune_rows_normal(20, 700, 0.8, 4);
    pluck_tune_data data = rows.data;
    pluck_pool *pool = NULL;
    assert_int_equal(pluck_pool_create(&pool, 3, NULL, NULL), PLUCK_OK);
    data.isa = isas[0];
    const double temperatures[2] = {1, 0.7};
    for (size_t i = 0; i <= n_isas; i++) {
        pluck_tune_data other = rows.data;
        other.isa = i < n_isas ? isas[i] : isas[0];
        other.parallel = i < n_isas ? NULL : pluck_pool_parallel(pool);
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            pluck_tune_fit a = fit_to(&data, cases[k]), b = fit_to(&other, cases[k]);
            equal_bits(&a.temperature, &b.temperature, sizeof(double), "temperature");
            equal_bits(&a.standard_error, &b.standard_error, sizeof(double), "standard error");
            equal_bits(&a.low, &b.low, 2 * sizeof(double), "interval");
            equal_bits(a.grid_value, b.grid_value, sizeof a.grid_value, "grid");
        }
        pluck_tune_stats stats[2][2];
        pluck_tune_cut cuts[2] = {{.kind = PLUCK_TUNE_TOP_P, .setting = 0.9},
                                  {.kind = PLUCK_TUNE_MIN_P, .setting = 0.02}};
        pluck_tune_cut again[2] = {cuts[0], cuts[1]};
        double needed[2][PLUCK_TUNE_N_CUT_KINDS];
        for (int k = 0; k < 2; k++) {
            const pluck_tune_data *d = k == 0 ? &data : &other;
            pluck_tune_request request = {.struct_size = sizeof request,
                                          .temperatures = temperatures,
                                          .n = 2,
                                          .stats = stats[k]};
            assert_int_equal(pluck_tune_measure(d, &request, NULL), PLUCK_OK);
            assert_int_equal(
                pluck_tune_cuts(d, 1.3, k == 0 ? cuts : again, 2, 0.9, needed[k], NULL), PLUCK_OK);
        }
        equal_bits(stats[0], stats[1], sizeof stats[0], "means");
        equal_bits(needed[0], needed[1], sizeof needed[0], "needed settings");
        for (int k = 0; k < 2; k++)
            assert_true(cuts[k].tokens_kept == again[k].tokens_kept &&
                        cuts[k].mass_kept == again[k].mass_kept &&
                        cuts[k].target_kept == again[k].target_kept);
    }
    pluck_pool_destroy(&pool);
    tune_rows_free(&rows);
}

/* Tokens that a cut keeps in a row, from the definition of its stage: those that need less. */
static double need_of(const float *z, uint32_t n, uint32_t token, pluck_tune_cut_kind kind)
{
    double max = -(double)INFINITY, sum = 0, before = 0, mean = 0, deviation = 0;
    uint32_t rank = 0;
    for (uint32_t i = 0; i < n; i++) {
        max = fmax(max, (double)z[i]);
        mean += (double)z[i] / n;
    }
    for (uint32_t i = 0; i < n; i++) {
        double e = exp((double)z[i] - max);
        bool is_before = z[i] > z[token] || (z[i] == z[token] && i < token);
        sum += e;
        before += is_before ? e : 0;
        rank += is_before;
        deviation += ((double)z[i] - mean) * ((double)z[i] - mean) / n;
    }
    switch (kind) {
    case PLUCK_TUNE_TOP_P:
        return before / sum;
    case PLUCK_TUNE_MIN_P:
        return max - (double)z[token];
    case PLUCK_TUNE_TOP_K:
        return rank;
    default:
        return (max - (double)z[token]) / sqrt(deviation);
    }
}

static bool keeps(double need, pluck_tune_cut_kind kind, double setting)
{
    return kind == PLUCK_TUNE_MIN_P         ? need <= -log(setting)
           : kind == PLUCK_TUNE_TOP_N_SIGMA ? need <= setting
                                            : need < setting;
}

/* Sums over rows are exact. Only resamples depend on where a row is. */
static void the_order_of_rows_changes_no_bit(void **state)
{
    enum { N_ROWS = 60, N_VOCAB = 300 };
    (void)state;
    tune_rows rows = tune_rows_normal(N_ROWS, N_VOCAB, 1.3, 9);
    tune_rows turned = tune_rows_normal(N_ROWS, N_VOCAB, 1.3, 9);
    for (size_t r = 0; r < N_ROWS; r++) {
        size_t from = r * 23 % N_ROWS; /* 23 does not divide 60 */
        memcpy(turned.logits + r * N_VOCAB, rows.logits + from * N_VOCAB,
               N_VOCAB * sizeof *rows.logits);
        turned.targets[r] = rows.targets[from];
    }
    tune_rows_reopen(&turned);
    for (size_t k = 0; k <= sizeof cases / sizeof *cases; k++) {
        pluck_tune_options options = {OPTIONS, .objective = PLUCK_TUNE_ECE};
        if (k < sizeof cases / sizeof *cases)
            options = cases[k];
        pluck_tune_fit a = fit_to(&rows.data, options), b = fit_to(&turned.data, options);
        equal_bits(&a.temperature, &b.temperature, sizeof(double), "temperature");
        equal_bits(&a.standard_error, &b.standard_error, sizeof(double), "standard error");
        equal_bits(a.grid_value, b.grid_value, sizeof a.grid_value, "grid");
    }
    double temperature = 0.8;
    pluck_tune_stats stats[2];
    pluck_tune_bin bins[2][15];
    pluck_tune_cut cuts[2] = {{.kind = PLUCK_TUNE_TOP_P, .setting = 0.9},
                              {.kind = PLUCK_TUNE_TOP_P, .setting = 0.9}};
    for (size_t i = 0; i < 2; i++) {
        const pluck_tune_data *data = i == 0 ? &rows.data : &turned.data;
        pluck_tune_request request = {.struct_size = sizeof request,
                                      .temperatures = &temperature,
                                      .n = 1,
                                      .stats = &stats[i],
                                      .bins = bins[i]};
        assert_int_equal(pluck_tune_measure(data, &request, NULL), PLUCK_OK);
        assert_int_equal(pluck_tune_cuts(data, temperature, &cuts[i], 1, 0.9, NULL, NULL),
                         PLUCK_OK);
    }
    equal_bits(&stats[0], &stats[1], sizeof stats[0], "means");
    equal_bits(bins[0], bins[1], sizeof bins[0], "bins");
    equal_bits(&cuts[0].mass_kept, &cuts[1].mass_kept, sizeof(double), "mass kept");
    tune_rows_free(&rows);
    tune_rows_free(&turned);
}

static void cuts_keep_what_their_definition_keeps(void **state)
{
    static const double settings[PLUCK_TUNE_N_CUT_KINDS] = {0.8, 0.03, 6, 1.2};
    (void)state;
    tune_rows rows = tune_rows_normal(60, 90, 1, 6);
    for (int kind = 0; kind < PLUCK_TUNE_N_CUT_KINDS; kind++) {
        pluck_tune_cut cut = {.kind = (pluck_tune_cut_kind)kind, .setting = settings[kind]};
        double needed[PLUCK_TUNE_N_CUT_KINDS], kept = 0, tokens = 0;
        assert_int_equal(pluck_tune_cuts(&rows.data, 1, &cut, 1, 0.9, needed, NULL), PLUCK_OK);
        uint64_t n_at_needed = 0, n_below = 0;
        double tighter = kind == PLUCK_TUNE_MIN_P   ? needed[kind] * (1 + 4e-6)
                         : kind == PLUCK_TUNE_TOP_K ? needed[kind] - 1
                                                    : needed[kind] - 4e-6;
        for (uint64_t r = 0; r < rows.n_rows; r++) {
            const float *z = rows.logits + r * rows.n_vocab;
            for (uint32_t i = 0; i < rows.n_vocab; i++) {
                double need = need_of(z, rows.n_vocab, i, cut.kind);
                bool is_target = i == (uint32_t)rows.targets[r];
                tokens += keeps(need, cut.kind, cut.setting);
                kept += is_target && keeps(need, cut.kind, cut.setting);
                n_at_needed += is_target && keeps(need, cut.kind, needed[kind]);
                n_below += is_target && keeps(need, cut.kind, tighter);
            }
        }
        assert_true(cut.target_kept == kept / (double)rows.n_rows);
        check_near(cut.tokens_kept, tokens / (double)rows.n_rows, 1e-12, "tokens");
        assert_true((double)n_at_needed >= 0.9 * (double)rows.n_rows);
        assert_true((double)n_below < 0.9 * (double)rows.n_rows);
    }
    tune_rows_free(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_found_in_each_cell_of_the_grid),
        cmocka_unit_test(answers_beyond_the_grid_end_at_its_limits),
        cmocka_unit_test(hopeless_rows_have_the_limits_that_they_should),
        cmocka_unit_test(a_grid_over_some_of_the_rows_leads_to_the_answer_of_all),
        cmocka_unit_test(fits_and_means_are_those_of_a_bisection_in_double),
        cmocka_unit_test(bits_depend_neither_on_the_instruction_set_nor_on_threads),
        cmocka_unit_test(the_order_of_rows_changes_no_bit),
        cmocka_unit_test(cuts_keep_what_their_definition_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
