/* Pairs of hidden states and the tokens that came next. */
#include "training.h"

#include "thread/pool.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int read_targets(pair_set *pairs, const call *c, const char *hidden, const char *path)
{
    int64_t *values = NULL;
    size_t n = 0;
    plk_shape shape;
    int code = integers_read(c->who, path, &values, &n, &shape);
    if (code != EXIT_DONE)
        return code;
    if (n != pairs->hidden.n_rows)
        code = complain(c->who, EXIT_DATA, "%s: has %zu targets for %llu hidden states", path, n,
                        (unsigned long long)pairs->hidden.n_rows);
    else
        code = source_check_shape(c, hidden, &pairs->hidden.shape, path, &shape);
    pairs->targets = malloc(n * sizeof *pairs->targets);
    if (!pairs->targets)
        code = complain_memory(c->who);
    for (size_t i = 0; code == EXIT_DONE && i < n; i++) {
        if (values[i] < 0 || values[i] >= PLUCK_MAX_VOCAB)
            code = complain(c->who, EXIT_DATA, "%s: target %zu is %lld, no token", path, i,
                            (long long)values[i]);
        pairs->targets[i] = (pluck_token)values[i];
    }
    free(values);
    return code;
}

int pairs_read(pair_set *pairs, const call *c, const input_flags *input, const char *hidden,
               const char *tokens)
{
    *pairs = (pair_set){.targets = NULL};
    int code = float_rows_read(&pairs->hidden, c, input, hidden);
    if (code == EXIT_DONE && pairs->hidden.n_rows > UINT32_MAX)
        code = complain(c->who, EXIT_DATA, "%s: has more than 2^32 - 1 rows", hidden);
    if (code == EXIT_DONE)
        code = read_targets(pairs, c, hidden, tokens);
    if (code != EXIT_DONE)
        pairs_free(pairs);
    return code;
}

void pairs_free(pair_set *pairs)
{
    float_rows_free(&pairs->hidden);
    free(pairs->targets);
    *pairs = (pair_set){.targets = NULL};
}

int pairs_check(const pair_set *pairs, const call *c, const char *hidden, const char *tokens,
                uint32_t n_tokens, uint32_t dim)
{
    if (pairs->hidden.n_cols != dim)
        return complain(c->who, EXIT_DATA, "%s: rows have %u values, expected %u", hidden,
                        (unsigned)pairs->hidden.n_cols, (unsigned)dim);
    for (uint64_t i = 0; i < pairs->hidden.n_rows; i++)
        if ((uint32_t)pairs->targets[i] >= n_tokens)
            return complain(c->who, EXIT_DATA,
                            "%s: row %llu: the target is %d, but there are %u tokens (0 to %u)",
                            tokens, (unsigned long long)i, (int)pairs->targets[i],
                            (unsigned)n_tokens, (unsigned)n_tokens - 1);
    return EXIT_DONE;
}

/* Each worker has its own query, and a row its place. */
typedef struct loss_job {
    const pair_set *pairs;
    pluck_head_query **queries;
    double *logprobs;
} loss_job;

static pluck_status score_row(void *context, uint32_t worker, size_t row, pluck_error *err)
{
    const loss_job *job = context;
    const pair_set *pairs = job->pairs;
    return pluck_head_query_logprob(job->queries[worker],
                                    pairs->hidden.values + row * pairs->hidden.n_cols,
                                    pairs->targets[row], &job->logprobs[row], err);
}

/* Not pluck_head_run(), which rounds log-probabilities to float. */
static pluck_status score(loss_job *job, const pluck_head *head, size_t n, uint32_t n_threads,
                          pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    pluck_error why;
    size_t failed = n;
    for (uint32_t i = 0; i < n_threads && status == PLUCK_OK; i++)
        status = pluck_head_query_create(&job->queries[i], head, NULL, err);
    if (status != PLUCK_OK)
        return status;
    status = plk_parallel_over(n_threads, n, score_row, job, &failed, NULL, &why);
    if (status == PLUCK_OK)
        return PLUCK_OK;
    *err = why;
    if (failed < n)
        (void)snprintf(err->message, sizeof err->message, "row %zu: %.200s", failed, why.message);
    return status;
}

int pairs_loss(const pair_set *pairs, const call *c, const pluck_head *head, uint32_t n_threads,
               double *loss)
{
    size_t n = (size_t)pairs->hidden.n_rows;
    loss_job job = {.pairs = pairs,
                    .queries = calloc(n_threads, sizeof *job.queries),
                    .logprobs = malloc(n * sizeof *job.logprobs)};
    pluck_error err;
    pluck_status status = PLUCK_ERR_NOMEM;
    bool has_memory = job.queries && job.logprobs;
    if (has_memory)
        status = score(&job, head, n, n_threads, &err);
    double sum = 0;
    for (size_t i = 0; status == PLUCK_OK && i < n; i++)
        sum -= job.logprobs[i];
    *loss = sum / (double)n;
    for (uint32_t i = 0; job.queries && i < n_threads; i++)
        pluck_head_query_destroy(&job.queries[i]);
    free(job.queries);
    free(job.logprobs);
    if (!has_memory)
        return complain_memory(c->who);
    return status == PLUCK_OK ? EXIT_DONE
                              : complain(c->who, exit_code_of(status), "%s", err.message);
}
