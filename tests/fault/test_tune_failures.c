/*
 * Why: tuning when memory runs out. In each way to call it the N-th allocation fails, N = 1, 2, 3
 * and so on until a run meets no failure. Each failure has to be reported as such, leave nothing
 * allocated, and change no output.
 */
#include "support/allocator.h"
#include "support/tune_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N_ROWS = 12, N_VOCAB = 9, N_BINS = 15 };

static tune_rows rows;
static pluck_pool *pool;

/* Calls the library; what it gives is in out, of which the call may use out_bytes. */
typedef pluck_status attempt(const pluck_tune_data *data, void *out, pluck_error *err);

static void fail_each_allocation(const char *what, attempt *run, size_t out_bytes,
                                 uint64_t n_expected)
{
    enum { MAX_OUT = 16384 };
    static unsigned char before[MAX_OUT], out[MAX_OUT];
    assert_true(out_bytes <= MAX_OUT);
    memset(before, 0x5a, sizeof before);
    for (uint64_t n = 0;; n++) {
        pluck_error err = {.status = PLUCK_OK};
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = n;
        pluck_tune_data data = rows.data;
        data.allocator = &allocator.interface;
        data.parallel = pluck_pool_parallel(pool);
        memset(out, 0x5a, sizeof out);
        pluck_status status = run(&data, out, &err);
        if (allocator.n_live != 0)
            fail_msg("%s: allocation %d fails: %d blocks are left", what, (int)n,
                     (int)allocator.n_live);
        if (!allocator.failed) {
            if (status != PLUCK_OK)
                fail_msg("%s: %s", what, err.message);
            assert_true(memcmp(out, before, out_bytes) != 0);
            if (n < n_expected)
                fail_msg("%s: %d allocations, at least %d expected", what, (int)n, (int)n_expected);
            return;
        }
        if (status != PLUCK_ERR_NOMEM || err.status != PLUCK_ERR_NOMEM)
            fail_msg("%s: allocation %d fails: status %s", what, (int)n, pluck_status_name(status));
        assert_true(test_allocator_explains(&allocator, &err));
        assert_memory_equal(out, before, out_bytes);
    }
}

static pluck_status fit(const pluck_tune_data *data, pluck_tune_options options, void *out,
                        pluck_error *err)
{
    pluck_tune_fit found, *fit = out;
    found = *fit;
    found.struct_size = sizeof found;
    pluck_status status = pluck_tune_temperature(data, &options, &found, err);
    found.struct_size = fit->struct_size;
    *fit = found;
    return status;
}

static pluck_status fit_nll(const pluck_tune_data *data, void *out, pluck_error *err)
{
    return fit(data,
               (pluck_tune_options){.struct_size = sizeof(pluck_tune_options), .n_bootstrap = 50},
               out, err);
}

static pluck_status fit_brier(const pluck_tune_data *data, void *out, pluck_error *err)
{
    return fit(data,
               (pluck_tune_options){.struct_size = sizeof(pluck_tune_options),
                                    .objective = PLUCK_TUNE_BRIER},
               out, err);
}

static pluck_status fit_ece(const pluck_tune_data *data, void *out, pluck_error *err)
{
    return fit(data,
               (pluck_tune_options){.struct_size = sizeof(pluck_tune_options),
                                    .objective = PLUCK_TUNE_ECE},
               out, err);
}

static pluck_status fit_ece_of_equal_mass(const pluck_tune_data *data, void *out, pluck_error *err)
{
    return fit(data,
               (pluck_tune_options){.struct_size = sizeof(pluck_tune_options),
                                    .objective = PLUCK_TUNE_ECE,
                                    .binning = {.equal_mass = true}},
               out, err);
}

static pluck_status measure(const pluck_tune_data *data, bool equal_mass, void *out,
                            pluck_error *err)
{
    const double temperatures[2] = {1, 2};
    pluck_tune_stats *stats = out;
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = temperatures,
                                  .n = 2,
                                  .binning = {.equal_mass = equal_mass},
                                  .stats = stats,
                                  .bins = (pluck_tune_bin *)(void *)(stats + 2)};
    return pluck_tune_measure(data, &request, err);
}

static pluck_status measure_widths(const pluck_tune_data *data, void *out, pluck_error *err)
{
    return measure(data, false, out, err);
}

static pluck_status measure_masses(const pluck_tune_data *data, void *out, pluck_error *err)
{
    return measure(data, true, out, err);
}

static pluck_status find_needed(const pluck_tune_data *data, void *out, pluck_error *err)
{
    return pluck_tune_cuts(data, 1, NULL, 0, 0.9, out, err);
}

static pluck_status find_cuts(const pluck_tune_data *data, void *out, pluck_error *err)
{
    pluck_tune_cut *cuts = out;
    pluck_tune_cut own[2] = {{.kind = PLUCK_TUNE_TOP_P, .setting = 0.5},
                             {.kind = PLUCK_TUNE_TOP_K, .setting = 3}};
    double needed[PLUCK_TUNE_N_CUT_KINDS];
    pluck_status status = pluck_tune_cuts(data, 1, own, 2, 0.9, needed, err);
    if (status == PLUCK_OK)
        memcpy(cuts, own, sizeof own);
    else
        assert_true(own[0].tokens_kept == 0 && own[1].mass_kept == 0);
    return status;
}

/* The counts are those of the runner (3 and 4 for each of two workers), and what each call adds. */
static void each_call_reports_a_failed_allocation(void **state)
{
    static const struct {
        const char *what;
        attempt *run;
        size_t out_bytes;
        uint64_t n_expected;
    } calls[] = {
        {"nll with an interval", fit_nll, sizeof(pluck_tune_fit), 3 * 11 + 1},
        {"brier", fit_brier, sizeof(pluck_tune_fit), 2 * 11},
        {"ece", fit_ece, sizeof(pluck_tune_fit), 3 * (11 + 3) + 1},
        {"ece, equal mass", fit_ece_of_equal_mass, sizeof(pluck_tune_fit),
         3 * (11 + 4 + PLUCK_TUNE_GRID) + 1},
        {"measure", measure_widths,
         2 * sizeof(pluck_tune_stats) + 2 * N_BINS * sizeof(pluck_tune_bin), 11 + 7},
        {"measure, equal mass", measure_masses,
         2 * sizeof(pluck_tune_stats) + 2 * N_BINS * sizeof(pluck_tune_bin), 11 + 10},
        {"needed settings", find_needed, PLUCK_TUNE_N_CUT_KINDS * sizeof(double), 11 + 6},
        {"cuts", find_cuts, 2 * sizeof(pluck_tune_cut), 11 + 6},
    };
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        fail_each_allocation(calls[i].what, calls[i].run, calls[i].out_bytes, calls[i].n_expected);
}

static int make_rows(void **state)
{
    (void)state;
    rows = tune_rows_normal(N_ROWS, N_VOCAB, 1.5, 11);
    return pluck_pool_create(&pool, 2, NULL, NULL) == PLUCK_OK ? 0 : 1;
}

static int free_rows(void **state)
{
    (void)state;
    pluck_pool_destroy(&pool);
    tune_rows_free(&rows);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_reports_a_failed_allocation),
    };
    return cmocka_run_group_tests(tests, make_rows, free_rows);
}
