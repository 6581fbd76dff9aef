/*
 * Rows are independent, and within a row there is one thread, so that no result can depend on how
 * rows are spread. A thread lends its lane of the workspace to the sampler whose row it works on.
 * Rows are handed out one by one, because their costs differ.
 *
 * The message of the first failed row is got by sampling it again: sampling changes nothing, so it
 * fails in the same way, and threads need not agree on an error.
 */
#include <pluck/sampler.h>

#include "base/error.h"
#include "sampler/sampler_impl.h"

/* Checks the samplers and takes their lanes away: one that comes twice has none the second time. On
 * failure *n_taken of them have lost it. */
static pluck_status take_lanes(const pluck_workspace *workspace, pluck_sampler *const *samplers,
                               size_t n, size_t *n_taken, pluck_error *err)
{
    for (size_t i = 0; i < n; i++) {
        *n_taken = i;
        if (!samplers[i])
            return plk_fail(err, PLUCK_ERR_INVALID, "sampler %zu is NULL", i);
        if (samplers[i]->shared != workspace)
            return plk_fail(
                err, PLUCK_ERR_INVALID,
                "sampler %zu does not borrow this workspace; name it in the options that "
                "create the sampler",
                i);
        if (!samplers[i]->scratch)
            return plk_fail(err, PLUCK_ERR_INVALID, "sampler %zu comes twice", i);
        samplers[i]->scratch = NULL;
    }
    *n_taken = n;
    return PLUCK_OK;
}

static void give_back_lanes(const pluck_workspace *workspace, pluck_sampler *const *samplers,
                            size_t n)
{
    for (size_t i = 0; i < n; i++)
        samplers[i]->scratch = workspace->lanes[0];
}

typedef struct batch_rows {
    const pluck_workspace *workspace;
    pluck_sampler *const *samplers;
    const pluck_logits *logits;
    pluck_token *tokens;
    pluck_status *statuses;
} batch_rows;

/* A row that fails is no reason to stop: every row is done. */
static pluck_status sample_row(void *context, uint32_t worker, size_t i, pluck_error *err)
{
    batch_rows *b = context;
    (void)err;
    b->samplers[i]->scratch = b->workspace->lanes[worker];
    b->statuses[i] = pluck_sampler_sample(b->samplers[i], b->logits[i], &b->tokens[i], NULL);
    return PLUCK_OK;
}

pluck_status pluck_sampler_sample_batch(pluck_workspace *workspace, pluck_sampler *const *samplers,
                                        const pluck_logits *logits, size_t n, uint32_t threads,
                                        pluck_token *tokens, pluck_status *statuses,
                                        pluck_error *err)
{
    if (!workspace || !samplers || !logits || !tokens || !statuses)
        return plk_fail(err, PLUCK_ERR_INVALID, "a required pointer is NULL");
    size_t n_taken = 0;
    pluck_status status = take_lanes(workspace, samplers, n, &n_taken, err);
    if (status != PLUCK_OK) {
        give_back_lanes(workspace, samplers, n_taken);
        return status;
    }
    batch_rows rows = {workspace, samplers, logits, tokens, statuses};
    const pluck_parallel *parallel = pluck_pool_parallel(workspace->pool);
    plk_parallel_run(parallel, threads == 0 ? workspace->n_lanes : threads, n, sample_row, &rows,
                     NULL, NULL);
    give_back_lanes(workspace, samplers, n);
    for (size_t i = 0; i < n; i++) {
        if (statuses[i] == PLUCK_OK)
            continue;
        pluck_token unused;
        pluck_error row = {.status = PLUCK_OK};
        status = pluck_sampler_sample(samplers[i], logits[i], &unused, &row);
        return plk_fail(err, status, "row %zu: %s", i, row.message);
    }
    return PLUCK_OK;
}
