/*
 * The rows that this process is given are taken in batches: workers turn the rows of a batch into
 * results, one row each at a time because rows differ in cost, and then the calling thread takes
 * the results one after the other. A failure is that of the first failing row, whichever worker met
 * it first.
 *
 * Measuring adds up the rows of each part; the whole is what the parts add up to.
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
    uint64_t start, step; /* item i of the pass is row start + i * step */
    uint64_t first;       /* item of the batch */
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
        run->pass->work(run->pass->user, index, &w->row, read.target, w->scratch, result);
    return status;
}

static uint64_t row_of(const runner *run, uint64_t i)
{
    return run->start + (run->first + i) * run->step;
}

static pluck_status do_row_of_batch(void *context, uint32_t worker, size_t i, pluck_error *err)
{
    runner *run = context;
    return do_row(run, &run->workers[worker], row_of(run, i),
                  run->results + i * run->pass->result_bytes, &run->is_left[i], err);
}

/* Does n rows and takes them; of a batch that fails, the *n_done before the first failing row. */
static pluck_status do_batch(runner *run, uint32_t n, size_t *n_done, pluck_error *err)
{
    pluck_status status = plk_parallel_run(run->pass->data->parallel, run->n_workers, n,
                                           do_row_of_batch, run, n_done, err);
    for (size_t i = 0; i < *n_done; i++)
        if (!run->is_left[i])
            run->pass->take(run->pass->user, row_of(run, i),
                            run->results + i * run->pass->result_bytes);
    return status;
}

static pluck_status do_items(void *user, uint64_t first, uint64_t end, uint64_t *failed,
                             pluck_error *err)
{
    runner *run = user;
    const plk_tune_pass *pass = run->pass;
    const pluck_tune_data *data = pass->data;
    uint64_t stride = pass->stride > 0 ? pass->stride : 1;
    for (run->first = first; run->first < end;) {
        uint64_t left = end - run->first;
        uint32_t n = left < run->n_batch ? (uint32_t)left : run->n_batch;
        size_t n_done;
        pluck_status status = do_batch(run, n, &n_done, err);
        *failed = run->first + n_done;
        if (status != PLUCK_OK)
            return status;
        pluck_dump_release(data->dump, row_of(run, n - 1) + 1);
        run->first += n;
        *pass->n_done += n * stride;
        if (data->progress)
            data->progress(data->user, *pass->n_done < pass->total ? *pass->n_done : pass->total,
                           pass->total);
    }
    return PLUCK_OK;
}

pluck_status plk_tune_pass_run(const plk_tune_pass *pass, pluck_error *err)
{
    const pluck_tune_data *data = pass->data;
    runner run;
    uint64_t first, end;
    row_range(data, info_of(data->dump).n_rows, &first, &end);
    pluck_error failure;
    if (runner_open(&run, pass, &failure) != PLUCK_OK)
        plk_tally_fail(pass->tally, 0, &failure);
    run.start = first + (pass->half == PLUCK_TUNE_ODD);
    run.step =
        (pass->half == PLUCK_TUNE_ALL ? 1 : 2) * (pass->stride > 0 ? pass->stride : (uint64_t)1);
    uint64_t n_items = run.start < end ? (end - run.start + run.step - 1) / run.step : 0;
    plk_put_u64(&pass->tally->about, run.start);
    plk_put_u64(&pass->tally->about, run.step);
    pluck_status status = plk_ranks_pass(data->ranks, n_items, pass->tally, do_items, &run, err);
    plk_arrays_free(&run.memory);
    return status;
}

/* Measuring: one exact pass. */

enum { ENTROPY, EFFECTIVE, CONFIDENCE, NLL, BRIER, N_MEANS };

typedef struct measurer {
    const pluck_tune_request *request;
    uint64_t first, n_rows; /* of the range */
    uint64_t n_parts;       /* at least 1 */
    uint64_t part;          /* of the last row */
    uint64_t *rows;         /* [n_parts] */
    uint64_t *correct;      /* [n_parts, n] */
    plk_exact_sum *sums;    /* [n_parts, n, N_MEANS] */
    plk_calibrations calibrations;
    pluck_tally tally;
    pluck_tune_row *row; /* of the row that is being taken */
    bool has_targets;
} measurer;

static void work(const void *user, uint64_t row, const plk_tune_logits *logits, pluck_token target,
                 uint32_t *scratch, void *result)
{
    const measurer *m = user;
    const pluck_tune_request *request = m->request;
    plk_tune_moments *moments = result;
    bool is_odd = request->odd_temperatures && (row - m->first) % 2 == 1;
    const double *temperatures = is_odd ? request->odd_temperatures : request->temperatures;
    (void)scratch;
    for (size_t i = 0; i < request->n; i++) {
        plk_tune_moments_exact(logits, 1 / temperatures[i], true, &moments[i]);
        plk_tune_moments_target(logits, target, &moments[i]);
    }
}

static void take(void *user, uint64_t row, const void *result)
{
    measurer *m = user;
    const plk_tune_moments *moments = result;
    size_t n = m->request->n;
    while (row - m->first >= plk_share_first(m->n_rows, m->part + 1, m->n_parts))
        m->part++;
    m->rows[m->part]++;
    for (size_t i = 0; i < n; i++) {
        plk_exact_sum *sums = m->sums + (m->part * n + i) * N_MEANS;
        pluck_tune_row *r = &m->row[i];
        r->entropy = plk_tune_entropy(&moments[i]);
        r->confidence = plk_exp(-moments[i].log_z);
        r->nll = plk_tune_nll(&moments[i]);
        r->brier = plk_tune_brier(&moments[i]);
        r->is_correct = moments[i].is_correct;
        m->correct[m->part * n + i] += r->is_correct;
        plk_exact_sum_add(&sums[ENTROPY], r->entropy);
        plk_exact_sum_add(&sums[EFFECTIVE], plk_exp(r->entropy));
        plk_exact_sum_add(&sums[CONFIDENCE], r->confidence);
        plk_exact_sum_add(&sums[NLL], r->nll);
        plk_exact_sum_add(&sums[BRIER], r->brier);
        plk_calibrations_add(&m->calibrations, &m->tally, i, r->confidence, r->is_correct);
    }
    if (m->request->row)
        m->request->row(m->request->user, row, m->row);
}

/* Those of a part, but for the ECE. */
static pluck_tune_stats stats_of(const measurer *m, uint64_t part, size_t i)
{
    size_t place = (size_t)part * m->request->n + i;
    const plk_exact_sum *sums = m->sums + place * N_MEANS;
    double n = (double)m->rows[part], unknown = (double)NAN;
    return (pluck_tune_stats){.temperature = m->request->temperatures[i],
                              .rows = m->rows[part],
                              .entropy = plk_exact_sum_value(&sums[ENTROPY]) / n,
                              .effective = plk_exact_sum_value(&sums[EFFECTIVE]) / n,
                              .confidence = plk_exact_sum_value(&sums[CONFIDENCE]) / n,
                              .nll = plk_exact_sum_value(&sums[NLL]) / n,
                              .brier = plk_exact_sum_value(&sums[BRIER]) / n,
                              .ece = unknown,
                              .accuracy = m->has_targets ? (double)m->correct[place] / n : unknown};
}

/* Makes the first part the whole. */
static void join_parts(measurer *m)
{
    size_t n = m->request->n, n_sums = n * N_MEANS;
    for (uint64_t part = 1; part < m->n_parts; part++) {
        m->rows[0] += m->rows[part];
        for (size_t i = 0; i < n; i++)
            m->correct[i] += m->correct[part * n + i];
        for (size_t i = 0; i < n_sums; i++)
            plk_exact_sum_merge(&m->sums[i], &m->sums[part * n_sums + i]);
    }
}

static void finish(measurer *m)
{
    const pluck_tune_request *request = m->request;
    uint32_t n_bins = plk_binning_count(&request->binning);
    for (uint64_t part = 0; part < request->n_parts; part++)
        for (size_t i = 0; i < request->n; i++)
            request->parts[part * request->n + i] = stats_of(m, part, i);
    join_parts(m);
    for (size_t i = 0; i < request->n; i++) {
        pluck_tune_bin *bins = request->bins ? request->bins + i * n_bins : NULL;
        pluck_tune_stats stats = stats_of(m, 0, i);
        double ece = plk_calibrations_finish(&m->calibrations, i, bins);
        stats.ece = m->has_targets ? ece : (double)NAN;
        if (request->stats)
            request->stats[i] = stats;
    }
}

static pluck_status check_temperatures(const double *temperatures, size_t n, pluck_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!(temperatures[i] >= 1e-3 && temperatures[i] <= 1e3))
            return plk_fail(err, PLUCK_ERR_INVALID, "temperature %g is outside [0.001, 1000]",
                            temperatures[i]);
    return PLUCK_OK;
}

static pluck_status check(const pluck_tune_request *request, pluck_error *err)
{
    if (!request || !request->temperatures || request->n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "request must hold at least one temperature");
    pluck_status status = check_temperatures(request->temperatures, request->n, err);
    if (status == PLUCK_OK && request->odd_temperatures)
        status = check_temperatures(request->odd_temperatures, request->n, err);
    if (status != PLUCK_OK)
        return status;
    if (plk_binning_count(&request->binning) == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "binning.n is %u; it must be at most %u",
                        request->binning.n, PLUCK_TUNE_MAX_BINS);
    if (request->n_parts > PLUCK_TUNE_MAX_PARTS || (request->n_parts > 0 && !request->parts))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "n_parts is %zu; it must be at most %u, and parts must not be NULL unless "
                        "it is 0",
                        request->n_parts, PLUCK_TUNE_MAX_PARTS);
    return PLUCK_OK;
}

/* Its arrays, and the sections of its tally, which is closed first. */
static pluck_status measurer_open(measurer *m, const pluck_tune_data *data, plk_arrays *memory,
                                  pluck_error *err)
{
    const pluck_tune_request *request = m->request;
    size_t n_parts = request->n_parts > 0 ? request->n_parts : 1, n_all = n_parts * request->n;
    plk_byte_writer *about = &m->tally.about;
    m->first = data->first;
    m->n_parts = n_parts;
    m->rows = plk_arrays_add_zero(memory, n_parts, sizeof *m->rows);
    m->correct = plk_arrays_add_zero(memory, n_all, sizeof *m->correct);
    m->sums = plk_arrays_add_zero(memory, n_all, N_MEANS * sizeof *m->sums);
    m->row = plk_arrays_add(memory, request->n, sizeof *m->row);
    for (size_t i = 0; i < request->n; i++) {
        plk_put_f64(about, request->temperatures[i]);
        plk_put_f64(about, request->odd_temperatures ? request->odd_temperatures[i] : 0);
    }
    plk_tally_section_add(&m->tally, PLK_TALLY_COUNTS, m->rows, n_parts);
    plk_tally_section_add(&m->tally, PLK_TALLY_COUNTS, m->correct, n_all);
    plk_tally_section_add(&m->tally, PLK_TALLY_SUMS, m->sums, n_all * N_MEANS);
    return plk_calibrations_open(&m->calibrations, request->n, &request->binning, m->n_rows, memory,
                                 &m->tally, err);
}

pluck_status plk_tune_measure(const pluck_tune_data *data, const pluck_tune_request *request,
                              pluck_error *err)
{
    measurer m = {.request = request};
    uint64_t n_done = 0;
    pluck_status status = check(request, err);
    if (status == PLUCK_OK)
        status = plk_tune_check(data, &m.n_rows, err);
    if (status != PLUCK_OK)
        return status;
    plk_arrays memory = {.allocator = plk_allocator_or_default(data->allocator)};
    plk_tune_pass pass = {.data = data,
                          .work = work,
                          .result_bytes = request->n * sizeof(plk_tune_moments),
                          .take = take,
                          .user = &m,
                          .tally = &m.tally,
                          .n_done = &n_done,
                          .total = m.n_rows};
    m.has_targets = plk_tune_has_targets(data);
    plk_tally_open(&m.tally, "measure", &memory.allocator);
    status = measurer_open(&m, data, &memory, err);
    if (status == PLUCK_OK)
        status = plk_tune_pass_run(&pass, err);
    if (status == PLUCK_OK) {
        uint64_t n_rows = 0;
        for (uint64_t part = 0; part < m.n_parts; part++)
            n_rows += m.rows[part];
        if (n_rows == 0)
            status = plk_fail(err, PLUCK_ERR_INVALID, "no row has a target; give at least one");
    }
    if (status == PLUCK_OK)
        finish(&m);
    plk_tally_close(&m.tally);
    plk_arrays_free(&memory);
    return status;
}
