/*
 * Rows are taken in batches: workers turn the rows of a batch into results, one row each at a
 * time because rows differ in cost, and then the calling thread takes the results one after the
 * other. A failure is that of the first failing row, whichever worker met it first.
 */
#include "tune/tune_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "thread/thread.h"

#include <math.h>
#include <string.h>

enum { ROWS_PER_WORKER = 16 };

/* The memory of one worker. */
typedef struct worker_memory {
    plk_tune_logits row;
    float *read; /* for rows that cannot be used in place */
    uint32_t *scratch;
} worker_memory;

typedef struct runner {
    const plk_tune_pass *pass;
    plk_arrays memory;
    worker_memory *workers;
    uint32_t n_workers;
    uint32_t n_batch;     /* rows per batch */
    char *results;        /* one per row of the batch */
    bool *is_left;        /* rows without a target */
    uint64_t first, step; /* row i of the batch is first + i * step */
    bool has_targets;
} runner;

static pluck_dump_info info_of(const pluck_dump *dump)
{
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    (void)pluck_dump_get_info(dump, &info, NULL);
    return info;
}

static void row_range(const pluck_tune_data *data, uint64_t n_rows, uint64_t *first, uint64_t *end)
{
    *first = data->first;
    *end = data->first == 0 && data->end == 0 ? n_rows : data->end;
}

pluck_status plk_tune_check(const pluck_tune_data *data, uint64_t *rows, pluck_error *err)
{
    if (!data || !data->dump)
        return plk_fail(err, PLUCK_ERR_INVALID, "tune: data and its dump must not be NULL");
    if (data->parallel && (!data->parallel->run || data->parallel->n_workers == 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "tune: parallel needs a function run and at least one worker");
    pluck_dump_info info = info_of(data->dump);
    if (info.streamed)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the dump is a stream, which can be read only once, but tuning reads rows "
                        "several times; save it to a file");
    if (!plk_kernels_get(data->isa))
        return plk_fail(err, PLUCK_ERR_INVALID, "tune: isa %d is not supported here",
                        (int)data->isa);
    uint64_t first, end;
    row_range(data, info.n_rows, &first, &end);
    if (first >= end || end > info.n_rows)
        return plk_fail(
            err, PLUCK_ERR_INVALID, "rows %llu to %llu were requested, but the dump has %llu rows",
            (unsigned long long)first, (unsigned long long)end, (unsigned long long)info.n_rows);
    uint64_t n_targets = pluck_targets_count(data->targets);
    if (data->targets && n_targets != info.n_rows)
        return plk_fail(err, PLUCK_ERR_INVALID, "%llu targets for %llu rows: each row needs one",
                        (unsigned long long)n_targets, (unsigned long long)info.n_rows);
    *rows = end - first;
    return PLUCK_OK;
}

bool plk_tune_has_targets(const pluck_tune_data *data)
{
    return data->targets || info_of(data->dump).has_targets;
}

static pluck_status runner_open(runner *run, const plk_tune_pass *pass, pluck_error *err)
{
    size_t n_vocab = info_of(pass->data->dump).n_vocab;
    size_t n_blocks = (n_vocab + PLK_BLOCK - 1) / PLK_BLOCK;
    plk_arrays *memory = &run->memory;
    *run = (runner){.pass = pass,
                    .memory = {.allocator = plk_allocator_or_default(pass->data->allocator)},
                    .n_workers = pass->data->parallel ? pass->data->parallel->n_workers : 1,
                    .has_targets = plk_tune_has_targets(pass->data)};
    run->n_batch = run->n_workers * ROWS_PER_WORKER;
    run->workers = plk_arrays_add_zero(memory, run->n_workers, sizeof *run->workers);
    run->results = plk_arrays_add(memory, run->n_batch, pass->result_bytes);
    run->is_left = plk_arrays_add_zero(memory, run->n_batch, sizeof *run->is_left);
    for (uint32_t i = 0; run->workers && i < run->n_workers; i++) {
        worker_memory *w = &run->workers[i];
        w->row.kernels = plk_kernels_get(pass->data->isa);
        w->row.x = plk_arrays_add(memory, n_blocks * PLK_BLOCK + PLK_SLACK, sizeof(float));
        w->row.block_max = plk_arrays_add(memory, n_blocks, sizeof(float));
        w->scratch = plk_arrays_add(memory, n_blocks * PLK_BLOCK * pass->scratch_per_logit,
                                    sizeof *w->scratch);
        w->read = plk_arrays_add(memory, n_vocab, sizeof(float));
    }
    return plk_arrays_check(memory, err);
}

static pluck_status check_target(const plk_tune_logits *row, pluck_token target, uint64_t index,
                                 pluck_error *err)
{
    if ((uint32_t)target >= row->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "row %llu: the target %d is outside the vocabulary of %u tokens",
                        (unsigned long long)index, (int)target, row->n_vocab);
    if (row->x[target] == -INFINITY)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "row %llu: the logit of its target, token %d, is -inf: impossible at every "
                        "temperature",
                        (unsigned long long)index, (int)target);
    return PLUCK_OK;
}

static pluck_status do_row(const runner *run, worker_memory *w, uint64_t index, char *result,
                           bool *is_left, pluck_error *err)
{
    const pluck_tune_data *data = run->pass->data;
    pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
    pluck_status status = pluck_dump_read(data->dump, index, w->read, &read, err);
    if (status == PLUCK_OK && data->targets)
        status = pluck_targets_read(data->targets, index, 1, &read.target, err);
    *is_left = status == PLUCK_OK && run->has_targets && read.target == PLUCK_NO_TOKEN;
    if (*is_left)
        return PLUCK_OK;
    if (status == PLUCK_OK)
        status = plk_tune_logits_read(&w->row, read.logits, index, err);
    if (status == PLUCK_OK && run->has_targets)
        status = check_target(&w->row, read.target, index, err);
    if (status == PLUCK_OK)
        run->pass->work(run->pass->user, &w->row, read.target, w->scratch, result);
    return status;
}

static pluck_status do_row_of_batch(void *context, uint32_t worker, size_t i, pluck_error *err)
{
    runner *run = context;
    return do_row(run, &run->workers[worker], run->first + i * run->step,
                  run->results + i * run->pass->result_bytes, &run->is_left[i], err);
}

/* Does n rows and takes them; of a batch that fails, those before the first failing row. */
static pluck_status do_batch(runner *run, uint32_t n, pluck_error *err)
{
    size_t n_done;
    pluck_status status = plk_parallel_run(run->pass->data->parallel, run->n_workers, n,
                                           do_row_of_batch, run, &n_done, err);
    for (size_t i = 0; i < n_done; i++)
        if (!run->is_left[i])
            run->pass->take(run->pass->user, run->first + i * run->step,
                            run->results + i * run->pass->result_bytes);
    return status;
}

pluck_status plk_tune_pass_run(const plk_tune_pass *pass, pluck_error *err)
{
    const pluck_tune_data *data = pass->data;
    runner run;
    uint64_t row, end, n_done = 0;
    row_range(data, info_of(data->dump).n_rows, &row, &end);
    uint64_t stride = pass->stride > 0 ? pass->stride : 1;
    uint64_t step = (pass->half == PLUCK_TUNE_ALL ? 1 : 2) * stride;
    row += pass->half == PLUCK_TUNE_ODD;
    pluck_status status = runner_open(&run, pass, err);
    while (status == PLUCK_OK && row < end) {
        uint64_t left = (end - row + step - 1) / step;
        uint32_t n = left < run.n_batch ? (uint32_t)left : run.n_batch;
        run.first = row;
        run.step = step;
        status = do_batch(&run, n, err);
        row += n * step;
        n_done += n * stride;
        pluck_dump_release(data->dump, row < end ? row : end);
        if (data->progress)
            data->progress(data->user, pass->done_before + n_done, pass->total);
    }
    plk_arrays_free(&run.memory);
    return status;
}

/* Measuring: one exact pass. */

/* One temperature. stats has only the counts, rows and accuracy, until finish(). */
typedef struct column {
    double beta;
    pluck_tune_stats stats;
    plk_exact_sum entropy, effective, confidence, nll, brier;
} column;

typedef struct measurer {
    const pluck_tune_request *request;
    column *columns;
    plk_calibration *calibrations; /* one per column */
    pluck_tune_row *row;           /* of the row that is being taken */
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
        column *c = &m->columns[i];
        pluck_tune_row *r = &m->row[i];
        r->entropy = plk_tune_entropy(&moments[i]);
        r->confidence = plk_exp(-moments[i].log_z);
        r->nll = plk_tune_nll(&moments[i]);
        r->brier = plk_tune_brier(&moments[i]);
        r->is_correct = moments[i].is_correct;
        c->stats.rows++;
        c->stats.accuracy += r->is_correct;
        plk_exact_sum_add(&c->entropy, r->entropy);
        plk_exact_sum_add(&c->effective, plk_exp(r->entropy));
        plk_exact_sum_add(&c->confidence, r->confidence);
        plk_exact_sum_add(&c->nll, r->nll);
        plk_exact_sum_add(&c->brier, r->brier);
        plk_calibration_add(&m->calibrations[i], r->confidence, r->is_correct);
    }
    if (m->request->row)
        m->request->row(m->request->user, row, m->row);
}

static void finish(const measurer *m)
{
    const pluck_tune_request *request = m->request;
    uint32_t n_bins = plk_binning_count(&request->binning);
    for (size_t i = 0; i < request->n; i++) {
        const column *c = &m->columns[i];
        pluck_tune_stats s = c->stats;
        double n = (double)s.rows;
        s.entropy = plk_exact_sum_value(&c->entropy) / n;
        s.effective = plk_exact_sum_value(&c->effective) / n;
        s.confidence = plk_exact_sum_value(&c->confidence) / n;
        s.nll = plk_exact_sum_value(&c->nll) / n;
        s.brier = plk_exact_sum_value(&c->brier) / n;
        s.accuracy /= n;
        s.ece = plk_calibration_finish(&m->calibrations[i]);
        if (!m->has_targets)
            s.accuracy = s.ece = (double)NAN;
        if (request->stats)
            request->stats[i] = s;
        if (request->bins)
            memcpy(request->bins + i * n_bins, m->calibrations[i].bins,
                   n_bins * sizeof *request->bins);
    }
}

static pluck_status check(const pluck_tune_request *request, pluck_error *err)
{
    if (!request || !request->temperatures || request->n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "request must hold at least one temperature");
    for (size_t i = 0; i < request->n; i++)
        if (!(request->temperatures[i] >= 1e-3 && request->temperatures[i] <= 1e3))
            return plk_fail(err, PLUCK_ERR_INVALID, "temperature %g is outside [0.001, 1000]",
                            request->temperatures[i]);
    if (plk_binning_count(&request->binning) == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "binning.n is %u; it must be at most %u",
                        request->binning.n, PLUCK_TUNE_MAX_BINS);
    return PLUCK_OK;
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
    size_t n = request->n;
    plk_arrays memory = {.allocator = plk_allocator_or_default(data->allocator)};
    measurer m = {.request = request,
                  .columns = plk_arrays_add_zero(&memory, n, sizeof *m.columns),
                  .calibrations = plk_calibrations_open(&memory, n, &request->binning, rows),
                  .row = plk_arrays_add(&memory, n, sizeof *m.row),
                  .has_targets = plk_tune_has_targets(data)};
    plk_tune_pass pass = {.data = data,
                          .work = work,
                          .result_bytes = n * sizeof(plk_tune_moments),
                          .take = take,
                          .user = &m,
                          .total = rows};
    status = plk_arrays_check(&memory, err);
    for (size_t i = 0; status == PLUCK_OK && i < n; i++) {
        m.columns[i].stats.temperature = request->temperatures[i];
        m.columns[i].beta = 1 / request->temperatures[i];
    }
    if (status == PLUCK_OK)
        status = plk_tune_pass_run(&pass, err);
    if (status == PLUCK_OK && m.columns[0].stats.rows == 0)
        status = plk_fail(err, PLUCK_ERR_INVALID, "no row has a target; give at least one");
    if (status == PLUCK_OK)
        finish(&m);
    plk_arrays_free(&memory);
    return status;
}
