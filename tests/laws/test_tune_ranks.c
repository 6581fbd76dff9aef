/*
 * Why: a dump of many gigabytes is tuned by many processes, and what they answer must not depend on
 * how many there were. So: fits, means, bins, parts and cuts have the same bits, and a failing row
 * gives the same message, for one process and for 1 to 7 ranks between which the rows are divided
 * at random, over files and over threads, with 1 to 4 threads in each rank.
 */
#include "support/fake_ranks.h"
#include "support/tune_rows.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_RANKS = 7, MAX_TEMPERATURES = 3, MAX_PARTS = 11, N_BINS = 15, N_CUTS = 4 };

/* Everything that a job may give, as numbers without padding between them. */
typedef struct result {
    double fit[7], grid_t[PLUCK_TUNE_GRID], grid_value[PLUCK_TUNE_GRID];
    pluck_tune_stats stats[MAX_TEMPERATURES], parts[MAX_PARTS * MAX_TEMPERATURES];
    pluck_tune_bin bins[MAX_TEMPERATURES * N_BINS];
    double cuts[N_CUTS][3], needed[PLUCK_TUNE_N_CUT_KINDS];
} result;

typedef struct job {
    const char *name;
    enum { FIT, MEASURE, CUTS } kind;
    pluck_tune_options options; /* of the fit; its binning is for MEASURE too */
    size_t n_parts;             /* MEASURE */
    bool has_odd;
    bool needs; /* CUTS: also the settings that are needed */
    unsigned n_passes;
} job;

typedef struct call {
    const job *job;
    pluck_tune_data data;
} call;

static pluck_status fit(const call *c, const pluck_tune_data *data, result *out, pluck_error *err)
{
    pluck_tune_options options = c->job->options;
    pluck_tune_fit f = PLUCK_INIT(pluck_tune_fit);
    options.struct_size = sizeof options;
    pluck_status status = pluck_tune_temperature(data, &options, &f, err);
    if (status != PLUCK_OK)
        return status;
    const double numbers[7] = {f.temperature, f.limit,        f.standard_error, f.low,
                               f.high,        (double)f.rows, f.n_passes};
    memcpy(out->fit, numbers, sizeof numbers);
    memcpy(out->grid_t, f.grid_t, sizeof f.grid_t);
    memcpy(out->grid_value, f.grid_value, sizeof f.grid_value);
    return PLUCK_OK;
}

static pluck_status measure(const call *c, const pluck_tune_data *data, result *out,
                            pluck_error *err)
{
    static const double temperatures[] = {1, 0.7, 3}, odd[] = {1.5, 0.7, 0.1};
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = temperatures,
                                  .n = MAX_TEMPERATURES,
                                  .binning = c->job->options.binning,
                                  .stats = out->stats,
                                  .bins = out->bins,
                                  .odd_temperatures = c->job->has_odd ? odd : NULL,
                                  .n_parts = c->job->n_parts,
                                  .parts = out->parts};
    return pluck_tune_measure(data, &request, err);
}

static pluck_status cut(const call *c, const pluck_tune_data *data, result *out, pluck_error *err)
{
    pluck_tune_cut cuts[N_CUTS] = {{.kind = PLUCK_TUNE_TOP_P, .setting = 0.9},
                                   {.kind = PLUCK_TUNE_MIN_P, .setting = 0.05},
                                   {.kind = PLUCK_TUNE_TOP_K, .setting = 10},
                                   {.kind = PLUCK_TUNE_TOP_N_SIGMA, .setting = 1}};
    pluck_status status =
        pluck_tune_cuts(data, 1.2, cuts, N_CUTS, 0.8, c->job->needs ? out->needed : NULL, err);
    for (int i = 0; i < N_CUTS && status == PLUCK_OK; i++) {
        out->cuts[i][0] = cuts[i].target_kept;
        out->cuts[i][1] = cuts[i].tokens_kept;
        out->cuts[i][2] = cuts[i].mass_kept;
    }
    return status;
}

static pluck_status run(const void *user, const pluck_ranks *ranks, void *out, pluck_error *err)
{
    static pluck_status (*const kinds[])(const call *, const pluck_tune_data *, result *,
                                         pluck_error *) = {fit, measure, cut};
    const call *c = user;
    pluck_tune_data data = c->data;
    data.ranks = ranks;
    memset(out, 0, sizeof(result));
    return kinds[c->job->kind](c, &data, out, err);
}

static const job jobs[] = {
    {"nll", FIT, {.n_bootstrap = 40, .seed = 3}, .n_passes = 3},
    {"nll, even rows", FIT, {.half = PLUCK_TUNE_EVEN}, .n_passes = 3},
    {"nll, odd rows", FIT, {.half = PLUCK_TUNE_ODD}, .n_passes = 3},
    {"brier", FIT, {.objective = PLUCK_TUNE_BRIER, .n_bootstrap = 10}, .n_passes = 3},
    {"ece", FIT, {.objective = PLUCK_TUNE_ECE}, .n_passes = 3},
    {"ece, equal mass",
     FIT,
     {.objective = PLUCK_TUNE_ECE, .binning = {.n = 7, .equal_mass = true}},
     .n_passes = 3},
    {"entropy",
     FIT,
     {.objective = PLUCK_TUNE_ENTROPY, .value = 2, .n_bootstrap = 9},
     .n_passes = 3},
    {"perplexity", FIT, {.objective = PLUCK_TUNE_PERPLEXITY, .value = 5}, .n_passes = 3},
    {"diversity", FIT, {.objective = PLUCK_TUNE_DIVERSITY, .value = 6}, .n_passes = 3},
    {"beyond the range", FIT, {.objective = PLUCK_TUNE_PERPLEXITY, .value = 1e9}, .n_passes = 1},
    {"means", MEASURE, {.seed = 0}, .n_passes = 1},
    {"means, closed on the left",
     MEASURE,
     {.binning = {.n = 4, .closed_left = true}},
     .n_passes = 1},
    {"means, equal mass", MEASURE, {.binning = {.equal_mass = true}}, .n_passes = 1},
    {"means of parts", MEASURE, {.seed = 0}, .n_parts = MAX_PARTS, .n_passes = 1},
    {"cross-validation", MEASURE, {.seed = 0}, .n_parts = 3, .has_odd = true, .n_passes = 1},
    {"cuts", CUTS, {.seed = 0}, .n_passes = 1},
    {"needed settings", CUTS, {.seed = 0}, .needs = true, .n_passes = 1},
};

static pluck_pool *pools[4];

/* c alone, and then over ranks in both ways. */
static void compare(call *c, unsigned n_ranks, uint64_t seed, const char *what)
{
    static result alone, shared;
    pluck_error expected = {.status = PLUCK_OK}, err = {.status = PLUCK_OK};
    unsigned n_passes = 0;
    c->data.parallel = NULL;
    pluck_status status = run(c, NULL, &alone, &expected);
    c->data.parallel = pluck_pool_parallel(pools[seed % 4]);
    for (int way = 0; way < 2; way++) {
        pluck_status found =
            way == 0 ? test_ranks_replay(n_ranks, seed, run, c, &shared, &n_passes, &err)
                     : test_ranks_threads(n_ranks, seed, run, c, &shared, sizeof shared, &err);
        if (found != status || (status != PLUCK_OK && strcmp(err.message, expected.message) != 0))
            fail_msg("%s, %s, %u ranks: status %d, %s; alone %d, %s", c->job->name, what, n_ranks,
                     (int)found, err.message, (int)status, expected.message);
        if (memcmp(&alone, &shared, sizeof alone) != 0)
            fail_msg("%s, %s, %u ranks, way %d: other bits", c->job->name, what, n_ranks, way);
    }
    if (status == PLUCK_OK && n_passes != c->job->n_passes)
        fail_msg("%s, %s: %u passes, expected %u", c->job->name, what, n_passes, c->job->n_passes);
}

static void results_do_not_depend_on_the_ranks(void **state)
{
    (void)state;
    tune_rows rows = tune_rows_normal(45, 70, 1.3, 8);
    for (uint64_t r = 0; r < rows.n_rows; r += 6)
        rows.targets[r] = -1;
    tune_rows_reopen(&rows);
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        for (unsigned n_ranks = 1; n_ranks <= MAX_RANKS; n_ranks += 1 + n_ranks / 3) {
            call c = {.job = &jobs[i], .data = rows.data};
            compare(&c, n_ranks, 10 * i + n_ranks, "all rows");
            c.data.first = 3;
            c.data.end = 30;
            compare(&c, n_ranks, 1000 + 10 * i + n_ranks, "some rows");
        }
    tune_rows_free(&rows);
}

/* Of this many rows the grid takes every second one. */
static void a_sampled_grid_does_not_depend_on_the_ranks(void **state)
{
    (void)state;
    static const job sampled = {"sampled", FIT, {.n_bootstrap = 3}, .n_passes = 3};
    tune_rows rows = tune_rows_two(PLUCK_TUNE_GRID_ROWS + 500, 1.5f, 3200);
    call c = {.job = &sampled, .data = rows.data};
    compare(&c, 3, 1, "all rows");
    tune_rows_free(&rows);
}

static void the_lowest_failing_row_is_named_whoever_reads_it(void **state)
{
    (void)state;
    static const struct {
        uint64_t rows[2];
        float logit;
        const char *message;
    } cases[] = {
        {{31, 8}, NAN, "row 8: the logit of token 5 is NaN"},
        {{0, 44}, INFINITY, "row 0: the logit of token 5 is +inf"},
        {{44, 43}, NAN, "row 43: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tune_rows rows = tune_rows_normal(45, 70, 1.3, 8);
        for (int k = 0; k < 2; k++)
            rows.logits[cases[i].rows[k] * rows.n_vocab + 5] = cases[i].logit;
        tune_rows_reopen(&rows);
        for (size_t k = 0; k < sizeof jobs / sizeof *jobs; k++) {
            static result out;
            pluck_error err = {.status = PLUCK_OK};
            call c = {.job = &jobs[k], .data = rows.data};
            if (jobs[k].options.half != PLUCK_TUNE_ALL)
                continue;
            assert_int_equal(run(&c, NULL, &out, &err), PLUCK_ERR_NAN);
            if (!strstr(err.message, cases[i].message))
                fail_msg("%s: %s; expected '%s'", jobs[k].name, err.message, cases[i].message);
            compare(&c, 1 + (unsigned)(k % MAX_RANKS), 100 * i + k, "a failing row");
        }
        tune_rows_free(&rows);
    }
    tune_rows rows = tune_rows_normal(9, 20, 1.3, 8);
    for (uint64_t r = 0; r < rows.n_rows; r++)
        rows.targets[r] = -1;
    tune_rows_reopen(&rows);
    call c = {.job = &jobs[0], .data = rows.data};
    compare(&c, 4, 7, "no targets");
    tune_rows_free(&rows);
}

/* Each row is given to the callback of the rank that reads it, and to no other. */
typedef struct seen {
    unsigned n[45];
} seen;

static void see(void *user, uint64_t row, const pluck_tune_row *measured)
{
    seen *s = user;
    assert_true(measured->entropy >= 0);
    s->n[row]++;
}

static pluck_status collect(const void *user, const pluck_ranks *ranks, void *out, pluck_error *err)
{
    static const double temperature = 1;
    pluck_tune_data data = *(const pluck_tune_data *)user;
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = &temperature,
                                  .n = 1,
                                  .row = see,
                                  .user = out};
    data.ranks = ranks;
    return pluck_tune_measure(&data, &request, err);
}

static void rows_are_shown_to_the_rank_that_reads_them(void **state)
{
    (void)state;
    tune_rows rows = tune_rows_normal(45, 20, 1.3, 8);
    seen s = {{0}};
    pluck_error err;
    unsigned n_passes;
    assert_int_equal(test_ranks_replay(5, 4, collect, &rows.data, &s, &n_passes, &err), PLUCK_OK);
    for (size_t i = 0; i < 45; i++)
        assert_int_equal(s.n[i], 1);
    tune_rows_free(&rows);
}

/* Parts are what the same rows give alone, and the whole is the same with and without them. */
static void parts_are_their_rows_measured_alone(void **state)
{
    (void)state;
    static result whole, plain, one;
    tune_rows rows = tune_rows_normal(45, 70, 1.3, 8);
    for (uint64_t r = 8; r < 13; r++)
        rows.targets[r] = -1;
    tune_rows_reopen(&rows);
    const job with_parts = {"parts", MEASURE, {.seed = 0}, .n_parts = MAX_PARTS};
    const job without = {"alone", MEASURE, {.seed = 0}, .n_parts = 0};
    call c = {.job = &with_parts, .data = rows.data};
    assert_int_equal(run(&c, NULL, &whole, NULL), PLUCK_OK);
    c.job = &without;
    assert_int_equal(run(&c, NULL, &plain, NULL), PLUCK_OK);
    assert_memory_equal(whole.stats, plain.stats, sizeof whole.stats);
    assert_memory_equal(whole.bins, plain.bins, sizeof whole.bins);
    for (size_t i = 0; i < MAX_PARTS; i++) {
        pluck_tune_stats *part = &whole.parts[i * MAX_TEMPERATURES];
        c.data.first = 45 * i / MAX_PARTS;
        c.data.end = 45 * (i + 1) / MAX_PARTS;
        if (c.data.first == 8) { /* 8 to 11 */
            assert_int_equal(part->rows, 0);
            assert_true(isnan(part->entropy) && isnan(part->nll) && isnan(part->accuracy));
            continue;
        }
        assert_int_equal(run(&c, NULL, &one, NULL), PLUCK_OK);
        for (size_t k = 0; k < MAX_TEMPERATURES; k++) {
            assert_true(isnan(part[k].ece));
            part[k].ece = one.stats[k].ece;
            assert_memory_equal(&part[k], &one.stats[k], sizeof *part);
        }
    }
    tune_rows_free(&rows);
}

/* The temperatures of odd rows: as measuring each half, added up by hand. */
static void odd_rows_have_their_own_temperatures(void **state)
{
    (void)state;
    static const double even[2] = {1, 0.6}, odd[2] = {1, 2.5};
    tune_rows rows = tune_rows_normal(31, 40, 1.3, 8);
    pluck_tune_stats both[2], single[2];
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = even,
                                  .odd_temperatures = odd,
                                  .n = 2,
                                  .stats = both};
    assert_int_equal(pluck_tune_measure(&rows.data, &request, NULL), PLUCK_OK);
    double nll = 0, entropy = 0, brier = 0;
    request.odd_temperatures = NULL;
    request.stats = single;
    for (uint64_t r = 0; r < rows.n_rows; r++) {
        pluck_tune_data data = rows.data;
        data.first = r;
        data.end = r + 1;
        request.temperatures = r % 2 == 0 ? even : odd;
        assert_int_equal(pluck_tune_measure(&data, &request, NULL), PLUCK_OK);
        nll += single[1].nll / 31;
        entropy += single[1].entropy / 31;
        brier += single[1].brier / 31;
    }
    assert_true(fabs(both[1].nll - nll) < 1e-12 && fabs(both[1].entropy - entropy) < 1e-12 &&
                fabs(both[1].brier - brier) < 1e-12);
    assert_true(both[1].rows == 31 && both[1].temperature == 0.6);
    request.temperatures = even;
    assert_int_equal(pluck_tune_measure(&rows.data, &request, NULL), PLUCK_OK);
    assert_memory_equal(&both[0], &single[0], sizeof both[0]);
    tune_rows_free(&rows);
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    static const double good = 1, bad = 2000;
    pluck_tune_stats stats, parts;
    tune_rows rows = tune_rows_normal(5, 20, 1.3, 8);
    const pluck_ranks empty = PLUCK_INIT(pluck_ranks);
    const struct {
        pluck_tune_request request;
        const pluck_ranks *ranks;
        const char *message;
    } cases[] = {
        {{.odd_temperatures = &bad}, NULL, "temperature 2000 is outside"},
        {{.n_parts = 3}, NULL, "parts must not be NULL"},
        {{.n_parts = PLUCK_TUNE_MAX_PARTS + 1, .parts = &parts}, NULL, "n_parts is 1001"},
        {{.n_parts = 0}, &empty, "begin, next and combine"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pluck_error err = {.status = PLUCK_OK};
        pluck_tune_request request = cases[i].request;
        pluck_tune_data data = rows.data;
        request.struct_size = sizeof request;
        request.temperatures = &good;
        request.n = 1;
        request.stats = &stats;
        data.ranks = cases[i].ranks;
        assert_int_equal(pluck_tune_measure(&data, &request, &err), PLUCK_ERR_INVALID);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s; expected '%s'", err.message, cases[i].message);
    }
    tune_rows_free(&rows);
}

static int open_pools(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(pluck_pool_create(&pools[i], i + 1, NULL, NULL), PLUCK_OK);
    return 0;
}

static int close_pools(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        pluck_pool_destroy(&pools[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_do_not_depend_on_the_ranks),
        cmocka_unit_test(a_sampled_grid_does_not_depend_on_the_ranks),
        cmocka_unit_test(the_lowest_failing_row_is_named_whoever_reads_it),
        cmocka_unit_test(rows_are_shown_to_the_rank_that_reads_them),
        cmocka_unit_test(parts_are_their_rows_measured_alone),
        cmocka_unit_test(odd_rows_have_their_own_temperatures),
        cmocka_unit_test(wrong_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, open_pools, close_pools);
}
