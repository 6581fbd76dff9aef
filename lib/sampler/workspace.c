/*
 * Scratch memories are allocations of their own, so that each is first touched, and its pages
 * placed, by the thread that works in it.
 *
 * Rows are independent, and within a row there is one thread, so that no result can depend on how
 * rows are spread. A thread lends its scratch memory to the sampler whose row it works on. Rows are
 * handed out one by one, because their costs differ. Only if the tokens that are kept are to be
 * listed, rows come in groups, each row of a group with a scratch memory of its own: the
 * calling thread then copies them, in the order of the rows.
 *
 * The message of the first failed row is got by computing it again: that changes nothing, so it
 * fails in the same way, and threads need not agree on an error.
 *
 * Rows without samplers: each worker has a sampler of its own for the call (each row, if there are
 * fewer), and gives it the keys of the row that it works on. Nothing is accepted, so that its
 * history stays empty.
 */
#include "sampler/sampler_impl.h"

#include "base/error.h"

#include <stdatomic.h>

pluck_status pluck_workspace_create(pluck_workspace **out, uint32_t n_vocab,
                                    const pluck_parallel *parallel,
                                    const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_workspace_create: out must not be NULL");
    *out = NULL;
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "n_vocab = %u is outside [1, %u]", n_vocab,
                        PLUCK_MAX_VOCAB);
    if (parallel && (!parallel->run || parallel->n_workers == 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "parallel.run is NULL, or parallel.n_workers is 0");
    pluck_allocator memory = plk_allocator_or_default(allocator);
    uint32_t n = parallel ? parallel->n_workers : 1;
    pluck_workspace *w = plk_alloc_zero(&memory, 1, sizeof *w);
    if (!w)
        return plk_fail_nomem(err, sizeof *w);
    *w = (pluck_workspace){.allocator = memory, .n_vocab = n_vocab};
    if (parallel)
        w->parallel = *parallel;
    w->scratches = plk_alloc(&memory, n, sizeof *w->scratches);
    pluck_status status = PLUCK_OK;
    if (!w->scratches)
        status = plk_fail_nomem(err, n * sizeof *w->scratches);
    for (uint32_t i = 0; i < n && status == PLUCK_OK; i++) {
        status = plk_scratch_create(&w->scratches[i], n_vocab, &memory, err);
        w->n_workers += status == PLUCK_OK;
    }
    if (status != PLUCK_OK)
        pluck_workspace_destroy(&w);
    *out = w;
    return status;
}

void pluck_workspace_destroy(pluck_workspace **workspace)
{
    if (!workspace || !*workspace)
        return;
    pluck_workspace *w = *workspace;
    pluck_allocator allocator = w->allocator;
    for (uint32_t i = 0; i < w->n_workers; i++)
        plk_scratch_destroy(&w->scratches[i]);
    plk_free(&allocator, w->scratches);
    plk_free(&allocator, w);
    *workspace = NULL;
}

pluck_logits plk_logits_at(const pluck_matrix *rows, size_t row)
{
    size_t row_bytes = rows->n_cols * pluck_dtype_size_bytes(rows->dtype);
    size_t stride = rows->row_stride_bytes != 0 ? rows->row_stride_bytes : row_bytes;
    const void *data = rows->rows ? rows->rows[row] : (const char *)rows->data + row * stride;
    return (pluck_logits){data, rows->dtype, rows->n_cols};
}

/* Checks the samplers and takes their scratch memory away: one that is listed twice has none the
 * second time. On failure *n_taken of them have lost it. */
static pluck_status detach_scratches(const pluck_workspace *workspace,
                                     pluck_sampler *const *samplers, size_t n, size_t *n_taken,
                                     pluck_error *err)
{
    for (size_t i = 0; i < n; i++) {
        *n_taken = i;
        if (!samplers[i])
            continue;
        if (samplers[i]->workspace != workspace)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "sampler %zu does not borrow this workspace; create it with "
                            "options.workspace set to this one",
                            i);
        if (!samplers[i]->scratch)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "sampler %zu is listed twice; each may be listed once", i);
        samplers[i]->scratch = NULL;
    }
    *n_taken = n;
    return PLUCK_OK;
}

static void attach_scratches(const pluck_workspace *workspace, pluck_sampler *const *samplers,
                             size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (samplers[i])
            samplers[i]->scratch = workspace->scratches[0];
}

/* The random numbers of rows without samplers: row r has stream stream0 + r. */
typedef struct row_keys {
    uint64_t seed, stream0, position;
} row_keys;

typedef struct batch {
    const pluck_workspace *workspace;
    pluck_sampler *const *samplers; /* [n_rows]; may hold NULL. NULL: those of workers serve */
    pluck_sampler *const *workers;  /* [n_workers, or n_rows if those are fewer] */
    row_keys keys;
    const pluck_matrix *rows;
    const pluck_outputs *out;
    size_t first;                 /* row of the group */
    _Atomic size_t lowest_failed; /* row; n_rows: none */
} batch;

/* The sampler of a row; NULL: none. */
static pluck_sampler *sampler_of(const batch *b, uint32_t worker, size_t row)
{
    if (b->samplers)
        return b->samplers[row];
    bool has_few_rows = b->rows->n_rows < b->workspace->n_workers;
    pluck_sampler *sampler = b->workers[has_few_rows ? row : worker];
    sampler->seed = b->keys.seed;
    sampler->stream = b->keys.stream0 + row;
    (void)pluck_sampler_set_position(sampler, b->keys.position, NULL);
    return sampler;
}

/* A row that fails does not stop the others: every row is done. */
static pluck_status fill_one(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    (void)err;
    batch *b = context;
    size_t row = b->first + item;
    pluck_sampler *sampler = sampler_of(b, worker, row);
    uint32_t n_kept = 0;
    if (!sampler) {
        plk_outputs_clear(b->out, row, b->workspace->n_vocab, PLUCK_OK);
    } else {
        sampler->scratch = b->workspace->scratches[b->out->kept_offsets ? item : worker];
        if (plk_sampler_fill(sampler, plk_logits_at(b->rows, row), b->out, row, &n_kept, NULL) !=
            PLUCK_OK) {
            size_t lowest = atomic_load(&b->lowest_failed);
            while (row < lowest && !atomic_compare_exchange_weak(&b->lowest_failed, &lowest, row))
                continue;
        }
    }
    if (b->out->kept_offsets)
        b->out->kept_offsets[row + 1] = n_kept;
    return PLUCK_OK;
}

static void fill_all(batch *b)
{
    const pluck_workspace *w = b->workspace;
    const pluck_parallel *parallel = w->parallel.run ? &w->parallel : NULL;
    size_t n_rows = b->rows->n_rows, group = b->out->kept_offsets ? w->n_workers : n_rows;
    if (b->out->kept_offsets)
        b->out->kept_offsets[0] = 0;
    for (; b->first < n_rows; b->first += group) {
        size_t n = n_rows - b->first < group ? n_rows - b->first : group;
        (void)plk_parallel_run(parallel, w->n_workers, n, fill_one, b, NULL, NULL);
        for (size_t i = 0; b->out->kept_offsets && i < n; i++)
            plk_outputs_keep(b->out, b->first + i, (uint32_t)b->out->kept_offsets[b->first + i + 1],
                             w->scratches[i]);
    }
}

/* All rows, and what comes after the last. The samplers have lost their scratch memory before, and
 * get it back. */
static pluck_status run_batch(batch *b, pluck_error *err)
{
    size_t n_rows = b->rows->n_rows;
    uint32_t n_vocab = b->workspace->n_vocab;
    pluck_error why = {.status = PLUCK_OK};
    pluck_status status = PLUCK_OK;
    atomic_init(&b->lowest_failed, n_rows);
    fill_all(b);
    if (b->samplers)
        attach_scratches(b->workspace, b->samplers, n_rows);
    size_t failed = atomic_load(&b->lowest_failed);
    if (failed < n_rows) {
        uint32_t n_kept;
        pluck_sampler *sampler = sampler_of(b, 0, failed);
        sampler->scratch = b->workspace->scratches[0];
        status = plk_sampler_fill(sampler, plk_logits_at(b->rows, failed), b->out, failed, &n_kept,
                                  &why);
    }
    pluck_status finished = plk_outputs_finish(b->samplers, b->out, n_rows, n_vocab, err);
    if (finished != PLUCK_OK)
        return finished;
    if (status != PLUCK_OK)
        return plk_fail(err, status, "row %zu: %s", failed, why.message);
    return PLUCK_OK;
}

static pluck_status check_run(const pluck_workspace *workspace, const pluck_matrix *rows,
                              pluck_error *err)
{
    if (!workspace || !rows || (!rows->data && !rows->rows && rows->n_rows > 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "workspace, rows and the logits of the rows must not be NULL");
    if (rows->n_cols != workspace->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "rows of %u logits were given to a workspace for %u tokens", rows->n_cols,
                        workspace->n_vocab);
    if (!plk_is_logit_dtype(rows->dtype))
        return plk_fail(err, PLUCK_ERR_INVALID, "dtype %d is not a type of logits",
                        (int)rows->dtype);
    return PLUCK_OK;
}

pluck_status pluck_workspace_run(pluck_workspace *workspace, pluck_sampler *const *samplers,
                                 const pluck_matrix *rows, const pluck_outputs *outputs,
                                 pluck_error *err)
{
    pluck_outputs out;
    size_t n_taken = 0;
    pluck_status status = check_run(workspace, rows, err);
    if (status == PLUCK_OK && !samplers && rows->n_rows > 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "samplers is NULL");
    if (status == PLUCK_OK)
        status = plk_outputs_check(&out, outputs, workspace->n_vocab, rows->n_rows, err);
    if (status != PLUCK_OK)
        return status;
    status = detach_scratches(workspace, samplers, rows->n_rows, &n_taken, err);
    if (status != PLUCK_OK) {
        attach_scratches(workspace, samplers, n_taken);
        return status;
    }
    batch b = {.workspace = workspace, .samplers = samplers, .rows = rows, .out = &out};
    return run_batch(&b, err);
}

/* n_wanted samplers. On failure *n of them are there. */
static pluck_status create_workers(pluck_sampler **workers, uint32_t n_wanted,
                                   pluck_workspace *workspace, const pluck_config *config,
                                   uint32_t *n, pluck_error *err)
{
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .max_rewind = 1,
                                     .allocator = &workspace->allocator,
                                     .workspace = workspace};
    pluck_status status =
        pluck_sampler_create(&workers[0], config, workspace->n_vocab, &options, err);
    for (*n = status == PLUCK_OK; *n < n_wanted && status == PLUCK_OK; *n += status == PLUCK_OK)
        status = pluck_sampler_clone(&workers[*n], workers[0], err);
    return status;
}

static pluck_status sample_rows(pluck_workspace *workspace, const pluck_config *config,
                                row_keys keys, const pluck_matrix *rows,
                                const pluck_outputs *outputs, pluck_error *err)
{
    pluck_outputs out;
    uint32_t n_vocab = workspace->n_vocab, n = 0;
    pluck_status status = check_run(workspace, rows, err);
    if (status == PLUCK_OK)
        status = plk_outputs_check(&out, outputs, n_vocab, rows->n_rows, err);
    if (status != PLUCK_OK)
        return status;
    if (out.accept)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "outputs.accept must be false: without samplers, nothing can accept the tokens");
    size_t n_wanted = rows->n_rows < workspace->n_workers ? rows->n_rows : workspace->n_workers;
    n_wanted = n_wanted > 0 ? n_wanted : 1; /* an unusable configuration fails without rows too */
    pluck_sampler **workers = plk_alloc_zero(&workspace->allocator, n_wanted, sizeof *workers);
    if (!workers)
        return plk_fail_nomem(err, n_wanted * sizeof *workers);
    status = create_workers(workers, (uint32_t)n_wanted, workspace, config, &n, err);
    if (status == PLUCK_OK) {
        batch b = {
            .workspace = workspace, .workers = workers, .keys = keys, .rows = rows, .out = &out};
        status = run_batch(&b, err);
    }
    for (uint32_t i = 0; i < n; i++)
        pluck_sampler_destroy(&workers[i]);
    plk_free(&workspace->allocator, workers);
    return status;
}

pluck_status pluck_sample_rows(pluck_workspace *workspace, const pluck_config *config,
                               uint64_t seed, uint64_t stream0, uint64_t position,
                               const pluck_matrix *rows, const pluck_outputs *outputs,
                               pluck_error *err)
{
    if (!config || !rows)
        return plk_fail(err, PLUCK_ERR_INVALID, "config or rows is NULL");
    row_keys keys = {.seed = seed, .stream0 = stream0, .position = position};
    if (workspace)
        return sample_rows(workspace, config, keys, rows, outputs, err);
    pluck_workspace *own = NULL;
    pluck_status status = pluck_workspace_create(&own, rows->n_cols, NULL, NULL, err);
    if (status == PLUCK_OK)
        status = sample_rows(own, config, keys, rows, outputs, err);
    pluck_workspace_destroy(&own);
    return status;
}
