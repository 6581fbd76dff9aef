/* One exact pass; sums over rows in row order. */
#include "tune/tune_measure.h"

#include "base/alloc.h"
#include "base/error.h"
#include "simd/scalar_math.h"
#include "tune/calibration.h"
#include "tune/tune_pass.h"

#include <math.h>
#include <string.h>

/* What is known of one temperature: sums until finish(). */
typedef struct column {
    double beta;
    pluck_tune_stats stats;
    plk_calibration calibration;
} column;

typedef struct measurer {
    pluck_allocator allocator;
    const pluck_tune_request *request;
    column *columns;
    pluck_tune_row *row; /* of the row that is being taken */
    bool has_targets;
} measurer;

static void work(const void *user, const plk_tune_logits *row, pluck_token target,
                 uint32_t *scratch, void *result)
{
    const measurer *m = user;
    plk_tune_moments *moments = result;
    (void)scratch;
    for (size_t i = 0; i < m->request->n; i++) {
        plk_tune_moments_exact(row, m->columns[i].beta, true, &moments[i]);
        plk_tune_moments_target(row, target, &moments[i]);
    }
}

static void take(void *user, uint64_t row, const void *result)
{
    measurer *m = user;
    const plk_tune_moments *moments = result;
    for (size_t i = 0; i < m->request->n; i++) {
        pluck_tune_stats *s = &m->columns[i].stats;
        pluck_tune_row *r = &m->row[i];
        r->entropy = plk_tune_entropy(&moments[i]);
        r->confidence = plk_exp(-moments[i].log_z);
        r->nll = plk_tune_nll(&moments[i]);
        r->brier = plk_tune_brier(&moments[i]);
        r->is_correct = moments[i].is_correct;
        s->rows++;
        s->entropy += r->entropy;
        s->effective += plk_exp(r->entropy);
        s->confidence += r->confidence;
        s->nll += r->nll;
        s->brier += r->brier;
        s->accuracy += r->is_correct;
        plk_calibration_add(&m->columns[i].calibration, r->confidence, r->is_correct);
    }
    if (m->request->row)
        m->request->row(m->request->user, row, m->row);
}

static void finish(const measurer *m, column *c)
{
    pluck_tune_stats *s = &c->stats;
    double n = (double)s->rows;
    s->entropy /= n;
    s->effective /= n;
    s->confidence /= n;
    s->nll /= n;
    s->brier /= n;
    s->accuracy /= n;
    s->ece = plk_calibration_finish(&c->calibration);
    if (!m->has_targets)
        s->accuracy = s->ece = (double)NAN;
}

static void publish(const measurer *m)
{
    const pluck_tune_request *request = m->request;
    uint32_t n_bins = plk_binning_count(&request->binning);
    for (size_t i = 0; i < request->n; i++) {
        if (request->stats)
            request->stats[i] = m->columns[i].stats;
        if (request->bins)
            memcpy(request->bins + i * n_bins, m->columns[i].calibration.bins,
                   n_bins * sizeof *request->bins);
    }
}

static pluck_status check(const pluck_tune_request *request, pluck_error *err)
{
    if (!request || !request->temperatures || request->n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "measure: at least one temperature is needed");
    for (size_t i = 0; i < request->n; i++)
        if (!(request->temperatures[i] >= 1e-3 && request->temperatures[i] <= 1e3))
            return plk_fail(err, PLUCK_ERR_INVALID, "temperature %g is outside [0.001, 1000]",
                            request->temperatures[i]);
    if (plk_binning_count(&request->binning) == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "%u bins: at most %u", request->binning.n,
                        PLUCK_TUNE_MAX_BINS);
    return PLUCK_OK;
}

static pluck_status open_columns(measurer *m, uint64_t rows, pluck_error *err)
{
    size_t n = m->request->n;
    m->columns = plk_alloc_zero(&m->allocator, n, sizeof *m->columns);
    m->row = plk_alloc(&m->allocator, n, sizeof *m->row);
    if (!m->columns || !m->row)
        return plk_fail_nomem(err, n * sizeof *m->columns);
    for (size_t i = 0; i < n; i++) {
        m->columns[i].stats.temperature = m->request->temperatures[i];
        m->columns[i].beta = 1 / m->request->temperatures[i];
        if (!plk_calibration_open(&m->columns[i].calibration, &m->request->binning, rows,
                                  &m->allocator))
            return plk_fail_nomem(err, (size_t)rows * sizeof(double));
    }
    return PLUCK_OK;
}

static void close_columns(measurer *m)
{
    for (size_t i = 0; m->columns && i < m->request->n; i++)
        plk_calibration_close(&m->columns[i].calibration);
    plk_free(&m->allocator, m->columns);
    plk_free(&m->allocator, m->row);
}

pluck_status plk_tune_measure(const pluck_tune_data *data, const pluck_tune_request *request,
                              pluck_error *err)
{
    uint64_t rows = 0;
    pluck_status status = check(request, err);
    if (status == PLUCK_OK)
        status = plk_tune_check(data, &rows, err);
    if (status != PLUCK_OK)
        return status;
    measurer m = {.allocator = plk_allocator_or_default(data->allocator),
                  .request = request,
                  .has_targets = plk_tune_has_targets(data)};
    plk_tune_pass pass = {.data = data,
                          .work = work,
                          .result_bytes = request->n * sizeof(plk_tune_moments),
                          .take = take,
                          .user = &m,
                          .total = rows};
    status = open_columns(&m, rows, err);
    if (status == PLUCK_OK)
        status = plk_tune_pass_run(&pass, err);
    if (status == PLUCK_OK && m.columns[0].stats.rows == 0)
        status = plk_fail(err, PLUCK_ERR_INVALID, "no row has a target");
    for (size_t i = 0; status == PLUCK_OK && i < request->n; i++)
        finish(&m, &m.columns[i]);
    if (status == PLUCK_OK)
        publish(&m);
    close_columns(&m);
    return status;
}
