/*
 * Rows over threads. A shared counter hands out rows; what a row gives depends on the row alone
 * (its numbers come from its own stream), so the number of threads changes only the time. Each
 * thread has a query of its own. Of the rows that fail, the first one is reported: all before it
 * are done before the work ends, because rows are handed out in order.
 */
#include "heads/head_rows.h"

#include "base/alloc.h"
#include "base/error.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { MAX_THREADS = 1024 };

typedef struct rows_job rows_job;

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
    _Atomic size_t next;
    atomic_bool failed;
};

typedef struct worker {
    rows_job *job;
    pluck_head_query *query;
    pthread_t thread;
    pluck_head_stats stats;
    pluck_status status;
    size_t failed_row;
    pluck_error err;
} worker;

static void *work(void *argument)
{
    worker *w = argument;
    rows_job *job = w->job;
    const size_t dim = w->query->head->dim;
    while (!atomic_load(&job->failed)) {
        const size_t row = atomic_fetch_add(&job->next, 1);
        if (row >= job->batch->n_rows)
            break;
        w->status = job->one(job, w->query, row, job->batch->hidden + row * dim, &w->err);
        if (w->status) {
            w->failed_row = row;
            atomic_store(&job->failed, true);
            break;
        }
        w->stats.n_dots += w->query->stats.n_dots;
        w->stats.n_trials += w->query->stats.n_trials;
    }
    return NULL;
}

static pluck_status open_workers(const pluck_head *head, rows_job *job, worker *workers,
                                 size_t n_workers, pluck_error *err)
{
    const size_t n_words = ((size_t)head->n_vocab + 31) / 32;
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < n_workers && status == PLUCK_OK; i++) {
        workers[i].job = job;
        status = pluck_head_query_create(&workers[i].query, head, &head->allocator, err);
        if (status == PLUCK_OK)
            status = pluck_head_query_set_mask(workers[i].query, job->batch->mask, n_words, err);
    }
    return status;
}

/* A thread that the system refuses is done without. */
static void run_workers(worker *workers, size_t n_workers)
{
    size_t n_started = 1;
    while (n_started < n_workers &&
           pthread_create(&workers[n_started].thread, NULL, work, &workers[n_started]) == 0)
        n_started++;
    work(&workers[0]);
    for (size_t i = 1; i < n_started; i++)
        pthread_join(workers[i].thread, NULL);
}

static pluck_status collect(const worker *workers, size_t n_workers, pluck_head_stats *stats,
                            pluck_error *err)
{
    const worker *first = NULL;
    pluck_head_stats sum = {0};
    for (size_t i = 0; i < n_workers; i++) {
        const worker *w = &workers[i];
        sum.n_dots += w->stats.n_dots;
        sum.n_trials += w->stats.n_trials;
        if (w->status && (!first || w->failed_row < first->failed_row))
            first = w;
    }
    if (first)
        return pl_fail(err, first->status, "row %zu: %s", first->failed_row, first->err.message);
    if (stats)
        *stats = sum;
    return PLUCK_OK;
}

static pluck_status run(const pluck_head *head, rows_job *job, pluck_head_stats *stats,
                        pluck_error *err)
{
    const pluck_head_batch *batch = job->batch;
    if (!head || !batch || (!batch->hidden && batch->n_rows))
        return pl_fail(err, PLUCK_ERR_INVALID, "head: head, batch and hidden must not be NULL");
    if (batch->n_threads < 1 || batch->n_threads > MAX_THREADS)
        return pl_fail(err, PLUCK_ERR_INVALID, "head: n_threads = %" PRIu32 " is outside [1, %d]",
                       batch->n_threads, MAX_THREADS);
    const size_t n_workers =
        batch->n_rows < batch->n_threads ? (batch->n_rows ? batch->n_rows : 1) : batch->n_threads;
    worker *workers = pl_alloc_zero(&head->allocator, n_workers, sizeof *workers);
    if (!workers)
        return pl_fail_nomem(err, n_workers * sizeof *workers);
    pluck_status status = open_workers(head, job, workers, n_workers, err);
    if (status == PLUCK_OK) {
        run_workers(workers, n_workers);
        status = collect(workers, n_workers, stats, err);
    }
    for (size_t i = 0; i < n_workers; i++)
        pluck_head_query_destroy(&workers[i].query);
    pl_free(&head->allocator, workers);
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
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_head_sample_rows: tokens must not be NULL");
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
    return pluck_head_logprob(query, hidden, job->given[row], &job->logprobs[row], err);
}

pluck_status pluck_head_logprob_rows(const pluck_head *head, const pluck_head_batch *batch,
                                     const pluck_token *tokens, double *logprobs,
                                     pluck_head_stats *stats, pluck_error *err)
{
    if (!tokens || !logprobs)
        return pl_fail(err, PLUCK_ERR_INVALID,
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
        return pl_fail(err, PLUCK_ERR_INVALID,
                       "pluck_head_top_k_rows: tokens and n must not be NULL");
    rows_job job = {.batch = batch, .one = top_k_one, .k = k, .scored = tokens, .n = n};
    return run(head, &job, stats, err);
}
