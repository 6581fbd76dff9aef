/*
 * The public queries: arguments are checked and the floating-point environment is entered here, the
 * kinds of heads answer. A temperature so low that 1/T leaves the range of what they are made for
 * asks for the most probable tokens instead.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "thread/thread.h"

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
    plk_arrays memory = {.allocator = plk_allocator_or_default(allocator)};
    pluck_head_query *query = plk_arrays_add_zero(&memory, 1, sizeof *query);
    if (!query)
        return plk_arrays_check(&memory, err);
    query->memory = memory;
    query->head = head;
    query->n_mask_words = ((size_t)head->n_vocab + 31) / 32;
    query->mask = plk_arrays_add(&query->memory, query->n_mask_words, sizeof *query->mask);
    head->ops->open_query(query);
    pluck_status status = plk_arrays_check(&query->memory, err);
    if (status != PLUCK_OK)
        pluck_head_query_destroy(&query);
    *out = query;
    return status;
}

void pluck_head_query_destroy(pluck_head_query **query)
{
    if (!query || !*query)
        return;
    plk_arrays_free(&(*query)->memory);
    *query = NULL;
}

pluck_status pluck_head_query_set_mask(pluck_head_query *query, const int32_t *words,
                                       size_t n_words, pluck_error *err)
{
    if (!query)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_set_mask: query must not be NULL");
    if (!words) {
        query->is_masked = false;
        return PLUCK_OK;
    }
    uint32_t n_vocab = query->head->n_vocab;
    if (n_words != query->n_mask_words)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_set_mask: the mask has %zu words, but it needs %zu for "
                        "%u tokens (pass NULL to remove the mask)",
                        n_words, query->n_mask_words, (unsigned)n_vocab);
    uint32_t last = n_vocab % 32 ? ((uint32_t)1 << n_vocab % 32) - 1 : UINT32_MAX;
    uint32_t any = 0;
    for (size_t i = 0; i < n_words; i++)
        any |= (uint32_t)words[i] & (i + 1 == n_words ? last : UINT32_MAX);
    if (any == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "pluck_head_query_set_mask: the mask allows no token");
    memcpy(query->mask, words, n_words * sizeof *words);
    query->mask[n_words - 1] &= last;
    query->is_masked = true;
    if (query->head->ops->mask_changed)
        query->head->ops->mask_changed(query);
    return PLUCK_OK;
}

pluck_status pluck_head_query_get_stats(const pluck_head_query *query, pluck_head_stats *stats,
                                        pluck_error *err)
{
    if (!query || !stats)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_get_stats: query and stats must not be NULL");
    return PLK_WRITE_STRUCT(stats, &query->stats, "stats", pluck_head_stats, err);
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
static pluck_status check_query(pluck_head_query *query, const float *hidden, const void *output,
                                const char *what, pluck_error *err)
{
    if (!query || !hidden || !output)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_%s: query, hidden and the output must not be NULL", what);
    query->stats = (pluck_head_stats){0};
    uint32_t dim = query->head->dim;
    if (all_finite(hidden, dim))
        return PLUCK_OK;
    uint32_t i = 0;
    while (isfinite(hidden[i]))
        i++;
    return plk_fail(err, PLUCK_ERR_NAN, "pluck_head_query_%s: hidden[%u] is not finite", what,
                    (unsigned)i);
}

pluck_status pluck_head_query_logprob(pluck_head_query *query, const float *hidden,
                                      pluck_token token, double *logprob, pluck_error *err)
{
    pluck_status status = check_query(query, hidden, logprob, "logprob", err);
    if (status != PLUCK_OK)
        return status;
    if (token < 0 || (uint32_t)token >= query->head->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_logprob: token %d is outside [0, %u]", (int)token,
                        (unsigned)(query->head->n_vocab - 1));
    PLK_RETURN_IN_FP(query->head->ops->logprob(query, hidden, (uint32_t)token, logprob, err));
}

pluck_status pluck_head_query_logprobs(pluck_head_query *query, const float *hidden,
                                       float *logprobs, pluck_error *err)
{
    pluck_status status = check_query(query, hidden, logprobs, "logprobs", err);
    if (status != PLUCK_OK)
        return status;
    PLK_RETURN_IN_FP(query->head->ops->logprobs(query, hidden, logprobs, err));
}

pluck_status pluck_head_query_log_mass(pluck_head_query *query, const float *hidden,
                                       double *log_mass, pluck_error *err)
{
    pluck_status status = check_query(query, hidden, log_mass, "log_mass", err);
    if (status != PLUCK_OK)
        return status;
    if (!query->is_masked) {
        *log_mass = 0;
        return PLUCK_OK;
    }
    PLK_RETURN_IN_FP(query->head->ops->log_mass(query, hidden, log_mass, err));
}

pluck_status plk_head_select(pluck_head_query *query, const float *hidden, plk_selection *selection,
                             pluck_error *err)
{
    pluck_status status = check_query(query, hidden, selection, "select", err);
    if (status != PLUCK_OK)
        return status;
    PLK_RETURN_IN_FP(query->head->ops->select(query, hidden, selection, err));
}

pluck_status pluck_head_query_sample(pluck_head_query *query, const float *hidden,
                                     double temperature, pluck_pcg64 *rng, uint32_t k,
                                     pluck_logprob *tokens, uint32_t *n, pluck_error *err)
{
    if (!rng || !tokens || !n)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_sample: rng, tokens and n must not be NULL");
    if (!(temperature >= 0) || isinf(temperature))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_sample: temperature = %g is outside [0, infinity)",
                        temperature);
    if (k < 1)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_query_sample: k must be at least 1");
    if (temperature < LEAST_TEMPERATURE) {
        plk_selection greedy = {
            .rule = PLK_SELECT_TOP_K, .k = k, .capacity = k, .list = {.tokens = tokens}};
        pluck_status status = plk_head_select(query, hidden, &greedy, err);
        if (status == PLUCK_OK)
            *n = greedy.n;
        return status;
    }
    plk_sampling sampling = {.beta = 1 / temperature, .k = k, .list = {.tokens = tokens}};
    pluck_status status = check_query(query, hidden, tokens, "sample", err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    status = query->head->ops->sample(query, hidden, &sampling, rng, err);
    plk_fp_leave(fp);
    if (status == PLUCK_OK)
        *n = sampling.n;
    return status;
}

static pluck_status read_selection(const pluck_selection *given, plk_selection *selection,
                                   pluck_error *err)
{
    pluck_selection s;
    pluck_status status = PLK_READ_STRUCT(&s, given, "selection", pluck_selection, err);
    if (status != PLUCK_OK)
        return status;
    if ((s.top_k != 0) + (s.top_p != 0) + (s.min_p != 0) != 1)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_select: selection: exactly one of top_k, top_p and min_p "
                        "must be above 0");
    double p = s.top_p != 0 ? s.top_p : s.min_p;
    if (s.top_k == 0 && !(p > 0 && p <= 1))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_select: selection.%s = %g is outside (0, 1]",
                        s.top_p != 0 ? "top_p" : "min_p", p);
    selection->rule = s.top_k != 0   ? PLK_SELECT_TOP_K
                      : s.top_p != 0 ? PLK_SELECT_TOP_P
                                     : PLK_SELECT_MIN_P;
    selection->k = s.top_k;
    selection->p = p;
    return PLUCK_OK;
}

pluck_status pluck_head_query_select(pluck_head_query *query, const float *hidden,
                                     const pluck_selection *selection, pluck_logprob *tokens,
                                     uint32_t capacity, uint32_t *n_total, pluck_error *err)
{
    if (!selection || !n_total || (!tokens && capacity != 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_query_select: selection, n_total and, if capacity > 0, tokens "
                        "must not be NULL");
    plk_selection wanted = {.capacity = capacity, .list = {.tokens = tokens}};
    pluck_status status = read_selection(selection, &wanted, err);
    if (status == PLUCK_OK)
        status = plk_head_select(query, hidden, &wanted, err);
    if (status == PLUCK_OK)
        *n_total = wanted.n;
    return status;
}

/*
 * Rows over workers. What a row gives depends on the row alone (its random numbers come from its
 * own stream), so the number of workers changes only the time. Each worker has its own query.
 */

typedef struct row_worker {
    pluck_head_query *query;
    pluck_head_stats stats;
} row_worker;

typedef struct rows_job {
    pluck_head_batch batch;
    row_worker *workers;
    uint32_t n_workers;
} rows_job;

static void add_cost(row_worker *w)
{
    w->stats.n_dots += w->query->stats.n_dots;
    w->stats.n_trials += w->query->stats.n_trials;
}

static pluck_status draw_token(const pluck_head_batch *b, row_worker *w, const float *hidden,
                               size_t row, pluck_error *err)
{
    pluck_pcg64 rng;
    pluck_logprob drawn;
    uint32_t n = 0;
    pluck_pcg64_seed(&rng, b->seed, b->stream + row, b->position);
    pluck_status status =
        pluck_head_query_sample(w->query, hidden, b->temperature, &rng, 1, &drawn, &n, err);
    if (status != PLUCK_OK)
        return status;
    add_cost(w);
    b->tokens[row] = drawn.token;
    if (b->logprobs)
        b->logprobs[row] = drawn.logprob;
    return PLUCK_OK;
}

static pluck_status score_given(const pluck_head_batch *b, row_worker *w, const float *hidden,
                                size_t row, pluck_error *err)
{
    for (size_t i = row * b->n_given; i < (row + 1) * b->n_given; i++) {
        double logprob = 0;
        pluck_status status =
            pluck_head_query_logprob(w->query, hidden, b->given[i], &logprob, err);
        if (status != PLUCK_OK)
            return status;
        add_cost(w);
        b->given_logprobs[i] = (float)logprob;
    }
    return PLUCK_OK;
}

static pluck_status list_top(const pluck_head_batch *b, row_worker *w, const float *hidden,
                             size_t row, pluck_error *err)
{
    plk_selection selection = {.rule = PLK_SELECT_TOP_K,
                               .k = b->n_top,
                               .capacity = b->n_top,
                               .list = {.tokens = b->top + row * b->n_top}};
    pluck_status status = plk_head_select(w->query, hidden, &selection, err);
    if (status != PLUCK_OK)
        return status;
    add_cost(w);
    for (uint32_t i = selection.n; i < b->n_top; i++)
        selection.list.tokens[i] = (pluck_logprob){PLUCK_NO_TOKEN, -INFINITY};
    return PLUCK_OK;
}

static pluck_status do_row(void *context, uint32_t worker, size_t row, pluck_error *err)
{
    const rows_job *job = context;
    const pluck_head_batch *b = &job->batch;
    row_worker *w = &job->workers[worker];
    const float *hidden = b->hidden + row * w->query->head->dim;
    pluck_status status = PLUCK_OK;
    if (b->tokens)
        status = draw_token(b, w, hidden, row, err);
    if (status == PLUCK_OK && b->given_logprobs)
        status = score_given(b, w, hidden, row, err);
    if (status == PLUCK_OK && b->top)
        status = list_top(b, w, hidden, row, err);
    return status;
}

static pluck_status open_workers(const pluck_head *head, rows_job *job, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    for (uint32_t i = 0; i < job->n_workers && status == PLUCK_OK; i++) {
        status =
            pluck_head_query_create(&job->workers[i].query, head, &head->memory.allocator, err);
        if (status == PLUCK_OK)
            status = pluck_head_query_set_mask(job->workers[i].query, job->batch.mask,
                                               job->batch.n_mask_words, err);
    }
    return status;
}

static pluck_status run_workers(rows_job *job, pluck_error *err)
{
    pluck_error why = {.status = PLUCK_OK};
    size_t failed_row = 0, n_rows = job->batch.n_rows;
    pluck_status status = plk_parallel_run(job->batch.parallel, job->n_workers, n_rows, do_row, job,
                                           &failed_row, &why);
    if (status != PLUCK_OK)
        return plk_fail(err, status, "row %zu: %s", failed_row, why.message);
    if (!job->batch.stats)
        return PLUCK_OK;
    pluck_head_stats sum = {.n_dots = 0};
    for (uint32_t i = 0; i < job->n_workers; i++) {
        sum.n_dots += job->workers[i].stats.n_dots;
        sum.n_trials += job->workers[i].stats.n_trials;
    }
    return PLK_WRITE_STRUCT(job->batch.stats, &sum, "batch.stats", pluck_head_stats, err);
}

static pluck_status check_batch(const pluck_head_batch *b, pluck_error *err)
{
    if (!b->hidden && b->n_rows != 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_run: batch.hidden is NULL, but n_rows is %zu", b->n_rows);
    if (b->logprobs && !b->tokens)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_run: batch.logprobs needs batch.tokens");
    if (!b->given != (b->n_given == 0) || !b->given_logprobs != (b->n_given == 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_run: batch.given and given_logprobs must be NULL if n_given is "
                        "0, and must not be otherwise");
    if (!b->top != (b->n_top == 0))
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "pluck_head_run: batch.top must be NULL if n_top is 0, and must not be otherwise");
    return PLUCK_OK;
}

pluck_status pluck_head_run(const pluck_head *head, const pluck_head_batch *batch, pluck_error *err)
{
    if (!head || !batch)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_run: head and batch must not be NULL");
    rows_job job = {.workers = NULL};
    pluck_status status = PLK_READ_STRUCT(&job.batch, batch, "batch", pluck_head_batch, err);
    if (status == PLUCK_OK)
        status = check_batch(&job.batch, err);
    if (status == PLUCK_OK)
        status = plk_parallel_workers(job.batch.parallel, &job.n_workers, err);
    if (status != PLUCK_OK)
        return status;
    job.workers = plk_alloc_zero(&head->memory.allocator, job.n_workers, sizeof *job.workers);
    if (!job.workers)
        return plk_fail_nomem(err, job.n_workers * sizeof *job.workers);
    status = open_workers(head, &job, err);
    if (status == PLUCK_OK)
        status = run_workers(&job, err);
    for (uint32_t i = 0; i < job.n_workers; i++)
        pluck_head_query_destroy(&job.workers[i].query);
    plk_free(&head->memory.allocator, job.workers);
    return status;
}
