/*
 * <pluck/tune.h> for callers in C: what tests/cli/test_cli_tune.py cannot reach through the
 * command. Numbers are compared with NumPy there; here with what they are on rows that can be
 * solved by hand.
 */
#include "support/tune_rows.h"

#include <pluck/tune.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* n_rows rows of two tokens, the first better by gap; the first followed in n_first of them. */
typedef struct two_tokens {
    char logits[64], targets[64];
    pluck_tune_data data;
} two_tokens;

enum { N_ROWS = 100 };

static FILE *create(char *name)
{
    strcpy(name, "/tmp/pluck_tune_XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    return fdopen(fd, "wb");
}

static two_tokens open_rows(float gap, int n_first)
{
    two_tokens t = {.data = PLUCK_INIT(pluck_tune_data)};
    FILE *logits = create(t.logits), *targets = create(t.targets);
    for (int i = 0; i < N_ROWS; i++) {
        const float row[2] = {gap, 0};
        fwrite(row, sizeof row, 1, logits);
        /* Spread, so that halves are alike. */
        fprintf(targets, "%d\n", i * 37 % N_ROWS < n_first ? 0 : 1);
    }
    fclose(logits);
    fclose(targets);
    pluck_dump_options options = {.struct_size = sizeof options, .raw_n_vocab = 2};
    assert_int_equal(pluck_dump_open(&t.data.dump, t.logits, &options, NULL), PLUCK_OK);
    assert_int_equal(pluck_targets_open(&t.data.targets, t.targets, NULL, NULL), PLUCK_OK);
    return t;
}

static void close_rows(two_tokens *t)
{
    pluck_dump_destroy(&t->data.dump);
    pluck_targets_destroy(&t->data.targets);
    remove(t->logits);
    remove(t->targets);
}

/* With a gap of g and a share s of first tokens, p = s where g / T = ln(s / (1 - s)). */
static void likelihood_and_brier_are_best_where_p_is_the_share(void **state)
{
    (void)state;
    for (int n_first = 55; n_first < 100; n_first += 11) {
        two_tokens t = open_rows(2, n_first);
        double share = n_first / (double)N_ROWS;
        double expected = 2 / log(share / (1 - share));
        for (int objective = 0; objective <= PLUCK_TUNE_BRIER; objective += PLUCK_TUNE_BRIER) {
            pluck_tune_fit fit = PLUCK_INIT(pluck_tune_fit);
            pluck_tune_options options = {.struct_size = sizeof options,
                                          .objective = (pluck_tune_objective)objective};
            assert_int_equal(pluck_tune_temperature(&t.data, &options, &fit, NULL), PLUCK_OK);
            assert_int_equal(fit.limit, PLUCK_TUNE_INSIDE);
            assert_true(fabs(fit.temperature - expected) < 1e-6 * expected);
            /* Binomial: the logit of a share has the variance 1 / (n s (1 - s)). */
            double error = expected * expected / 2 / sqrt(N_ROWS * share * (1 - share));
            assert_true(fabs(fit.standard_error - error) < 1e-5 * error);
        }
        close_rows(&t);
    }
}

static void progress(void *user, uint64_t done, uint64_t total)
{
    uint64_t *last = user;
    assert_true(done >= *last && done <= total);
    *last = done;
}

static void count_rows(void *user, uint64_t row, const pluck_tune_row *measured)
{
    uint64_t *next = user;
    assert_true(row == *next);
    assert_true(measured[0].confidence >= measured[1].confidence);
    ++*next;
}

static void rows_come_in_order_and_progress_reaches_the_end(void **state)
{
    (void)state;
    two_tokens t = open_rows(1, 70);
    uint64_t last = 0, next = 20;
    const double temperatures[2] = {1, 3};
    pluck_tune_stats stats[2];
    t.data.progress = progress;
    t.data.user = &last;
    pluck_pool *pool = NULL;
    assert_int_equal(pluck_pool_create(&pool, 3, NULL, NULL), PLUCK_OK);
    t.data.parallel = pluck_pool_parallel(pool);
    t.data.first = 20;
    t.data.end = 90;
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = temperatures,
                                  .n = 2,
                                  .stats = stats,
                                  .row = count_rows,
                                  .user = &next};
    assert_int_equal(pluck_tune_measure(&t.data, &request, NULL), PLUCK_OK);
    assert_true(next == 90 && last == 70 && stats[1].rows == 70);
    pluck_pool_destroy(&pool);
    close_rows(&t);
}

enum { N_CONFIDENT = 70, N_EQUAL = 8 };

static void keep_confidence(void *user, uint64_t row, const pluck_tune_row *measured)
{
    ((double *)user)[row] = measured->confidence;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Bins of equal mass share out the rows in the order of their confidences, and tell both ends. */
static void bins_of_equal_mass_end_at_confidences(void **state)
{
    (void)state;
    tune_rows t = tune_rows_normal(N_CONFIDENT, 9, 1.5, 11);
    double confidences[N_CONFIDENT];
    const double temperature = 1.5;
    pluck_tune_stats stats;
    pluck_tune_bin bins[N_EQUAL];
    size_t n_wide = 0;
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = &temperature,
                                  .n = 1,
                                  .binning = {.n = N_EQUAL, .equal_mass = true},
                                  .stats = &stats,
                                  .bins = bins,
                                  .row = keep_confidence,
                                  .user = confidences};
    assert_int_equal(pluck_tune_measure(&t.data, &request, NULL), PLUCK_OK);
    qsort(confidences, N_CONFIDENT, sizeof *confidences, ascending);
    size_t first = 0;
    for (size_t b = 0; b < N_EQUAL; b++) {
        size_t n = N_CONFIDENT / N_EQUAL + (b < N_CONFIDENT % N_EQUAL);
        assert_int_equal(bins[b].rows, n);
        assert_true(bins[b].low == confidences[first]);
        n_wide += bins[b].low < bins[b].high;
        assert_true(bins[b].high == confidences[first + n - 1]);
        first += n;
    }
    assert_int_equal(first, N_CONFIDENT);
    assert_int_equal(n_wide, N_EQUAL);
    tune_rows_free(&t);
}

static void halves_share_out_the_rows(void **state)
{
    (void)state;
    two_tokens t = open_rows(1, 70);
    uint64_t rows = 0;
    t.data.end = 99;
    for (int half = PLUCK_TUNE_ALL; half <= PLUCK_TUNE_ODD; half++) {
        pluck_tune_fit fit = PLUCK_INIT(pluck_tune_fit);
        pluck_tune_options options = {.struct_size = sizeof options, .half = (pluck_tune_half)half};
        assert_int_equal(pluck_tune_temperature(&t.data, &options, &fit, NULL), PLUCK_OK);
        assert_true(fit.rows == (half == PLUCK_TUNE_ALL ? 99 : half == PLUCK_TUNE_EVEN ? 50 : 49));
        rows += fit.rows;
    }
    assert_true(rows == 2 * 99);
    close_rows(&t);
}

static void callers_mistakes_are_refused_and_change_nothing(void **state)
{
    (void)state;
    two_tokens t = open_rows(1, 70);
    pluck_error err;
    pluck_tune_fit fit, before;
    memset(&fit, 7, sizeof fit);
    fit.struct_size = sizeof fit;
    before = fit;
    pluck_tune_options wrong[] = {{.objective = (pluck_tune_objective)6},
                                  {.half = (pluck_tune_half)3},
                                  {.objective = PLUCK_TUNE_ENTROPY, .value = -1},
                                  {.objective = PLUCK_TUNE_DIVERSITY},
                                  {.objective = PLUCK_TUNE_PERPLEXITY, .value = (double)NAN},
                                  {.min_t = 2, .max_t = 1},
                                  {.max_t = 1e4},
                                  {.binning = {.n = PLUCK_TUNE_MAX_BINS + 1}},
                                  {.n_bootstrap = 100001},
                                  {.level = 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wrong[i].struct_size = sizeof wrong[i];
        assert_int_equal(pluck_tune_temperature(&t.data, &wrong[i], &fit, &err), PLUCK_ERR_INVALID);
        assert_memory_equal(&fit, &before, sizeof fit);
    }
    assert_int_equal(pluck_tune_temperature(NULL, NULL, &fit, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tune_temperature(&t.data, NULL, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tune_measure(&t.data, NULL, &err), PLUCK_ERR_INVALID);
    fit.struct_size = 0;
    assert_int_equal(pluck_tune_temperature(&t.data, NULL, &fit, &err), PLUCK_ERR_INVALID);
    assert_string_equal(err.message,
                        "fit.struct_size is 0; initialise it with PLUCK_INIT(pluck_tune_fit)");
    fit.struct_size = sizeof fit;
    assert_int_equal(pluck_tune_temperature(&t.data, &(pluck_tune_options){.seed = 1}, &fit, &err),
                     PLUCK_ERR_INVALID);
    pluck_tune_data unsized = t.data;
    unsized.struct_size = 0;
    assert_int_equal(pluck_tune_temperature(&unsized, NULL, &fit, &err), PLUCK_ERR_INVALID);
    assert_memory_equal(&fit, &before, sizeof fit);
    t.data.parallel = &(pluck_parallel){.n_workers = 1};
    assert_int_equal(pluck_tune_temperature(&t.data, NULL, &fit, &err), PLUCK_ERR_INVALID);
    t.data.parallel = NULL;
    pluck_tune_cut cut = {.kind = PLUCK_TUNE_TOP_P, .setting = 0.5};
    double needed[PLUCK_TUNE_N_CUT_KINDS];
    assert_int_equal(pluck_tune_cuts(&t.data, 0, &cut, 1, 1, NULL, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tune_cuts(&t.data, 1, &cut, 1, 0, needed, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_tune_cuts(&t.data, 1, NULL, 1, 1, needed, &err), PLUCK_ERR_INVALID);
    cut.setting = (double)NAN;
    assert_int_equal(pluck_tune_cuts(&t.data, 1, &cut, 1, 1, needed, &err), PLUCK_ERR_INVALID);
    t.data.end = N_ROWS + 1;
    assert_int_equal(pluck_tune_temperature(&t.data, NULL, &fit, &err), PLUCK_ERR_INVALID);
    close_rows(&t);
}

static void names_end(void **state)
{
    (void)state;
    assert_string_equal(pluck_tune_objective_name(PLUCK_TUNE_DIVERSITY), "diversity");
    assert_null(pluck_tune_objective_name((pluck_tune_objective)6));
    assert_string_equal(pluck_tune_cut_name(PLUCK_TUNE_TOP_N_SIGMA), "top_n_sigma");
    assert_null(pluck_tune_cut_name((pluck_tune_cut_kind)PLUCK_TUNE_N_CUT_KINDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(likelihood_and_brier_are_best_where_p_is_the_share),
        cmocka_unit_test(rows_come_in_order_and_progress_reaches_the_end),
        cmocka_unit_test(bins_of_equal_mass_end_at_confidences),
        cmocka_unit_test(halves_share_out_the_rows),
        cmocka_unit_test(callers_mistakes_are_refused_and_change_nothing),
        cmocka_unit_test(names_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
