/*
 * Rows over threads. What a row gives depends on the row alone (its numbers come from its own
 * stream), so the number of threads changes only the time. Each worker has a query of its own.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "thread/pool.h"

#include <stdint.h>
#include <string.h>

typedef struct rows_job rows_job;

typedef struct row_worker {
    pluck_head_query *query;
    pluck_head_stats stats;
} row_worker;

struct rows_job {
    const pluck_head_batch *batch;
    pluck_status (*one)(const rows_job *job, pluck_head_query *query, size_t row,
                        const float *hidden, pluck_error *err);
    double temperature;
    uint64_t seed, stream, position;
    uint32_t k, *n;
    const pluck_token *given;
    pluck_token *drawn;
    double *logprobs;
    pluck_scored_token *scored;
    row_worker *workers;
};

static pluck_status do_row(void *context, uint32_t worker, size_t row, pluck_error *err)
{
    rows_job *job = context;
    row_worker *w = &job->workers[worker];
    pluck_status status =
        job->one(job, w->query, row, job->batch->hidden + row * w->query->head->dim, err);
    w->stats.n_dots += w->query->stats.n_dots;
    w->stats.n_trials += w->query->stats.n_trials;
    return status;
}

static pluck_status open_workers(const pluck_head *head, const rows_job *job, uint32_t n_workers,
                                 pluck_error *err)
{
    size_t n_words = ((size_t)head->n_vocab + 31) / 32;
    pluck_status status = PLUCK_OK;
    for (uint32_t i = 0; i < n_workers && status == PLUCK_OK; i++) {
        status = pluck_head_query_create(&job->workers[i].query, head, &head->allocator, err);
        if (status == PLUCK_OK)
            status =
                pluck_head_query_set_mask(job->workers[i].query, job->batch->mask, n_words, err);
    }
    return status;
}

static pluck_status run_workers(const pluck_head *head, rows_job *job, uint32_t n_workers,
                                pluck_head_stats *stats, pluck_error *err)
{
    pluck_error why = {.status = PLUCK_OK};
    size_t failed_row;
    pluck_status status = plk_parallel_over(n_workers, job->batch->n_rows, do_row, job, &failed_row,
                                            &head->allocator, &why);
    if (status != PLUCK_OK && failed_row < job->batch->n_rows)
        return plk_fail(err, status, "row %zu: %s", failed_row, why.message);
    if (status != PLUCK_OK)
        return plk_fail(err, status, "%s", why.message);
    pluck_head_stats sum = {0};
    for (uint32_t i = 0; i < n_workers; i++) {
        sum.n_dots += job->workers[i].stats.n_dots;
        sum.n_trials += job->workers[i].stats.n_trials;
    }
    if (stats)
        *stats = sum;
    return PLUCK_OK;
}

static pluck_status run(const pluck_head *head, rows_job *job, pluck_head_stats *stats,
                        pluck_error *err)
{
    const pluck_head_batch *batch = job->batch;
    if (!head || !batch || (!batch->hidden && batch->n_rows != 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "head: head, batch and hidden must not be NULL");
    if (batch->n_threads < 1 || batch->n_threads > PLK_MAX_THREADS)
        return plk_fail(err, PLUCK_ERR_INVALID, "head: n_threads = %u is outside [1, %d]",
                        (unsigned)batch->n_threads, PLK_MAX_THREADS);
    /* The one of an empty batch checks the mask. */
    uint32_t n_workers = batch->n_threads;
    if (batch->n_rows < n_workers)
        n_workers = batch->n_rows > 0 ? (uint32_t)batch->n_rows : 1;
    job->workers = plk_alloc_zero(&head->allocator, n_workers, sizeof *job->workers);
    if (!job->workers)
        return plk_fail_nomem(err, n_workers * sizeof *job->workers);
    pluck_status status = open_workers(head, job, n_workers, err);
    if (status == PLUCK_OK)
        status = run_workers(head, job, n_workers, stats, err);
    for (uint32_t i = 0; i < n_workers; i++)
        pluck_head_query_destroy(&job->workers[i].query);
    plk_free(&head->allocator, job->workers);
    return status;
}

static pluck_status sample_one(const rows_job *job, pluck_head_query *query, size_t row,
                               const float *hidden, pluck_error *err)
{
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, job->seed, job->stream + row, job->position);
    return pluck_head_sample(query, hidden, job->temperature, &rng, &job->drawn[row],
                             job->logprobs ? &job->logprobs[row] : NULL, err);
}

pluck_status pluck_head_sample_rows(const pluck_head *head, const pluck_head_batch *batch,
                                    double temperature, uint64_t seed, uint64_t stream,
                                    uint64_t position, pluck_token *tokens, double *logprobs,
                                    pluck_head_stats *stats, pluck_error *err)
{
    if (!tokens)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_sample_rows: tokens must not be NULL");
    rows_job job = {.batch = batch,
                    .one = sample_one,
                    .temperature = temperature,
                    .seed = seed,
                    .stream = stream,
                    .position = position,
                    .drawn = tokens,
                    .logprobs = logprobs};
    return run(head, &job, stats, err);
}

static pluck_status logprob_one(const rows_job *job, pluck_head_query *query, size_t row,
                                const float *hidden, pluck_error *err)
{
    return pluck_head_query_logprob(query, hidden, job->given[row], &job->logprobs[row], err);
}

pluck_status pluck_head_logprob_rows(const pluck_head *head, const pluck_head_batch *batch,
                                     const pluck_token *tokens, double *logprobs,
                                     pluck_head_stats *stats, pluck_error *err)
{
    if (!tokens || !logprobs)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_logprob_rows: tokens and logprobs must not be NULL");
    rows_job job = {.batch = batch, .one = logprob_one, .given = tokens, .logprobs = logprobs};
    return run(head, &job, stats, err);
}

static pluck_status top_k_one(const rows_job *job, pluck_head_query *query, size_t row,
                              const float *hidden, pluck_error *err)
{
    return pluck_head_top_k(query, hidden, job->k, job->scored + row * job->k, &job->n[row], err);
}

pluck_status pluck_head_top_k_rows(const pluck_head *head, const pluck_head_batch *batch,
                                   uint32_t k, pluck_scored_token *tokens, uint32_t *n,
                                   pluck_head_stats *stats, pluck_error *err)
{
    if (!tokens || !n)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_top_k_rows: tokens and n must not be NULL");
    rows_job job = {.batch = batch, .one = top_k_one, .k = k, .scored = tokens, .n = n};
    return run(head, &job, stats, err);
}
