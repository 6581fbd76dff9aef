/*
 * The public queries: arguments are checked and the floating-point environment is entered here, the
 * kinds of heads answer. A temperature so low that 1/T leaves the range of what they are made for
 * asks for the most probable tokens instead.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "thread/pool.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double LEAST_TEMPERATURE = 1e-30;

pluck_status pluck_head_query_create(pluck_head_query **out, const pluck_head *head,
                                     const pluck_allocator *allocator, pluck_error *err)
{
    if (!out || !head)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_create: out and head must not be NULL");
    *out = NULL;
    pluck_allocator memory = plk_allocator_or_default(allocator);
    pluck_head_query *query = plk_alloc_zero(&memory, 1, sizeof *query);
    if (!query)
        return plk_fail_nomem(err, sizeof *query);
    query->allocator = memory;
    query->head = head;
    query->n_mask_words = ((size_t)head->n_vocab + 31) / 32;
    query->mask = plk_alloc(&memory, query->n_mask_words, sizeof *query->mask);
    pluck_status status = query->mask
                              ? head->ops->open_query(query, err)
                              : plk_fail_nomem(err, query->n_mask_words * sizeof *query->mask);
    if (status != PLUCK_OK)
        pluck_head_query_destroy(&query);
    *out = query;
    return status;
}

void pluck_head_query_destroy(pluck_head_query **query)
{
    if (!query || !*query)
        return;
    pluck_head_query *q = *query;
    pluck_allocator allocator = q->allocator;
    plk_free(&allocator, q->mask);
    plk_free(&allocator, q->scores);
    plk_free(&allocator, q->sums);
    plk_free(&allocator, q->candidates);
    plk_free(&allocator, q->ids);
    plk_free(&allocator, q->gathered);
    plk_free(&allocator, q->entries);
    plk_free(&allocator, q->path);
    plk_free(&allocator, q->n_allowed);
    plk_free(&allocator, q->clusters);
    plk_free(&allocator, q->expanded);
    plk_free(&allocator, q->projected);
    plk_free(&allocator, q->tail);
    plk_free(&allocator, q);
    *query = NULL;
}

pluck_status pluck_head_query_set_mask(pluck_head_query *query, const int32_t *words,
                                       size_t n_words, pluck_error *err)
{
    if (!query)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_set_mask: query must not be NULL");
    if (!words) {
        query->masked = false;
        return PLUCK_OK;
    }
    uint32_t n_vocab = query->head->n_vocab;
    if (n_words != query->n_mask_words)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_set_mask: n_words = %zu, expected %zu for %u tokens",
                        n_words, query->n_mask_words, (unsigned)n_vocab);
    uint32_t last = n_vocab % 32 ? ((uint32_t)1 << n_vocab % 32) - 1 : UINT32_MAX;
    uint32_t any = 0;
    for (size_t i = 0; i < n_words; i++)
        any |= (uint32_t)words[i] & (i + 1 == n_words ? last : UINT32_MAX);
    if (any == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY, "pluck_head_query_set_mask: no token is allowed");
    memcpy(query->mask, words, n_words * sizeof *words);
    query->mask[n_words - 1] &= last;
    query->masked = true;
    if (query->head->ops->mask_changed)
        query->head->ops->mask_changed(query);
    return PLUCK_OK;
}

pluck_head_stats pluck_head_query_get_stats(const pluck_head_query *query)
{
    return query ? query->stats : (pluck_head_stats){0};
}

static bool all_finite(const float *x, uint32_t n)
{
    uint32_t bad = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7F800000u) == 0x7F800000u;
    }
    return bad == 0;
}

/* What every query begins with. */
static pluck_status begin(pluck_head_query *query, const float *hidden, const void *output,
                          const char *what, pluck_error *err)
{
    if (!query || !hidden || !output)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_%s: query, hidden and the output must not be NULL", what);
    query->stats = (pluck_head_stats){0};
    uint32_t dim = query->head->dim;
    if (all_finite(hidden, dim))
        return PLUCK_OK;
    uint32_t i = 0;
    while (isfinite(hidden[i]))
        i++;
    return plk_fail(err, PLUCK_ERR_NAN, "pluck_head_%s: hidden[%u] is not finite", what,
                    (unsigned)i);
}

pluck_status pluck_head_query_logprob(pluck_head_query *query, const float *hidden,
                                      pluck_token token, double *logprob, pluck_error *err)
{
    pluck_status status = begin(query, hidden, logprob, "logprob", err);
    if (status != PLUCK_OK)
        return status;
    if (token < 0 || (uint32_t)token >= query->head->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_logprob: token %d is outside [0, %u]", (int)token,
                        (unsigned)(query->head->n_vocab - 1));
    double value = 0;
    plk_fp_state fp = plk_fp_enter();
    status = query->head->ops->logprob(query, hidden, (uint32_t)token, &value, err);
    plk_fp_leave(fp);
    if (status == PLUCK_OK)
        *logprob = value;
    return status;
}

pluck_status pluck_head_query_logprobs(pluck_head_query *query, const float *hidden,
                                       float *logprobs, pluck_error *err)
{
    pluck_status status = begin(query, hidden, logprobs, "logprobs", err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    status = query->head->ops->logprobs(query, hidden, logprobs, err);
    plk_fp_leave(fp);
    return status;
}

pluck_status pluck_head_query_log_mass(pluck_head_query *query, const float *hidden,
                                       double *log_mass, pluck_error *err)
{
    pluck_status status = begin(query, hidden, log_mass, "log_mass", err);
    if (status != PLUCK_OK)
        return status;
    double value = 0;
    if (query->masked) {
        plk_fp_state fp = plk_fp_enter();
        status = query->head->ops->log_mass(query, hidden, &value, err);
        plk_fp_leave(fp);
    }
    if (status == PLUCK_OK)
        *log_mass = value;
    return status;
}

static pluck_status run_selection(pluck_head_query *query, const float *hidden,
                                  plk_selection *selection, pluck_error *err)
{
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = query->head->ops->select(query, hidden, selection, err);
    plk_fp_leave(fp);
    return status;
}

static pluck_status run_sampling(pluck_head_query *query, const float *hidden, double temperature,
                                 plk_sampling *sampling, pluck_pcg64 *rng, pluck_error *err)
{
    if (temperature < LEAST_TEMPERATURE) {
        plk_selection selection = {.rule = PLK_SELECT_TOP_K,
                                   .k = sampling->k,
                                   .capacity = sampling->k,
                                   .tokens = sampling->tokens};
        pluck_status status = run_selection(query, hidden, &selection, err);
        sampling->n = selection.n;
        return status;
    }
    sampling->beta = 1 / temperature;
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = query->head->ops->sample(query, hidden, sampling, rng, err);
    plk_fp_leave(fp);
    return status;
}

static pluck_status check_sampling(double temperature, const pluck_pcg64 *rng, const char *what,
                                   pluck_error *err)
{
    if (!(temperature >= 0) || isinf(temperature))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_%s: temperature = %g is outside [0, infinity)", what,
                        temperature);
    if (!rng)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_%s: rng must not be NULL", what);
    return PLUCK_OK;
}

pluck_status pluck_head_sample(pluck_head_query *query, const float *hidden, double temperature,
                               pluck_pcg64 *rng, pluck_token *token, double *logprob,
                               pluck_error *err)
{
    pluck_status status = begin(query, hidden, token, "sample", err);
    if (status == PLUCK_OK)
        status = check_sampling(temperature, rng, "sample", err);
    if (status != PLUCK_OK)
        return status;
    pluck_scored_token drawn = {0};
    plk_sampling sampling = {.k = 1, .with_logprobs = logprob != NULL, .tokens = &drawn};
    status = run_sampling(query, hidden, temperature, &sampling, rng, err);
    if (status != PLUCK_OK)
        return status;
    *token = drawn.token;
    if (logprob)
        *logprob = drawn.logprob;
    return PLUCK_OK;
}

static pluck_status check_k(uint32_t k, const char *what, pluck_error *err)
{
    return k >= 1 ? PLUCK_OK
                  : plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_%s: k must be at least 1", what);
}

pluck_status pluck_head_sample_distinct(pluck_head_query *query, const float *hidden,
                                        double temperature, uint32_t k, pluck_pcg64 *rng,
                                        pluck_scored_token *tokens, uint32_t *n, pluck_error *err)
{
    static const char what[] = "sample_distinct";
    pluck_status status = begin(query, hidden, n ? tokens : NULL, what, err);
    if (status == PLUCK_OK)
        status = check_sampling(temperature, rng, what, err);
    if (status == PLUCK_OK)
        status = check_k(k, what, err);
    if (status != PLUCK_OK)
        return status;
    plk_sampling sampling = {.k = k, .with_logprobs = true, .tokens = tokens};
    status = run_sampling(query, hidden, temperature, &sampling, rng, err);
    if (status == PLUCK_OK)
        *n = sampling.n;
    return status;
}

pluck_status pluck_head_greedy(pluck_head_query *query, const float *hidden,
                               pluck_scored_token *token, pluck_error *err)
{
    pluck_status status = begin(query, hidden, token, "greedy", err);
    if (status != PLUCK_OK)
        return status;
    plk_selection selection = {.rule = PLK_SELECT_TOP_K, .k = 1, .capacity = 1, .tokens = token};
    return run_selection(query, hidden, &selection, err);
}

pluck_status pluck_head_top_k(pluck_head_query *query, const float *hidden, uint32_t k,
                              pluck_scored_token *tokens, uint32_t *n, pluck_error *err)
{
    pluck_status status = begin(query, hidden, n ? tokens : NULL, "top_k", err);
    if (status == PLUCK_OK)
        status = check_k(k, "top_k", err);
    if (status != PLUCK_OK)
        return status;
    plk_selection selection = {.rule = PLK_SELECT_TOP_K, .k = k, .capacity = k, .tokens = tokens};
    status = run_selection(query, hidden, &selection, err);
    if (status == PLUCK_OK)
        *n = selection.n;
    return status;
}

pluck_status pluck_head_top_p(pluck_head_query *query, const float *hidden, double p,
                              pluck_scored_token *tokens, uint32_t capacity, uint32_t *n,
                              pluck_error *err)
{
    pluck_status status = begin(query, hidden, tokens || capacity == 0 ? n : NULL, "top_p", err);
    if (status == PLUCK_OK && !(p > 0 && p <= 1))
        status = plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_top_p: p = %g is outside (0, 1]", p);
    if (status != PLUCK_OK)
        return status;
    plk_selection selection = {
        .rule = PLK_SELECT_TOP_P, .p = p, .capacity = capacity, .tokens = tokens};
    status = run_selection(query, hidden, &selection, err);
    if (status == PLUCK_OK)
        *n = selection.n;
    return status;
}

pluck_status pluck_head_min_p(pluck_head_query *query, const float *hidden, double min_p,
                              pluck_scored_token *tokens, uint32_t capacity, uint32_t *n,
                              pluck_error *err)
{
    pluck_status status = begin(query, hidden, tokens || capacity == 0 ? n : NULL, "min_p", err);
    if (status == PLUCK_OK && !(min_p >= 0 && min_p <= 1))
        status = plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_min_p: min_p = %g is outside [0, 1]",
                          min_p);
    if (status != PLUCK_OK)
        return status;
    plk_selection selection = {
        .rule = PLK_SELECT_MIN_P, .p = min_p, .capacity = capacity, .tokens = tokens};
    status = run_selection(query, hidden, &selection, err);
    if (status == PLUCK_OK)
        *n = selection.n;
    return status;
}

/*
 * Rows over threads. What a row gives depends on the row alone (its numbers come from its own
 * stream), so the number of threads changes only the time. Each worker has a query of its own.
 */

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
