/*
 * Rows are independent, and within a row there is one thread, so that no result can depend on how
 * rows are spread. A thread lends its lane of the workspace to the sampler whose row it works on.
 * Rows are handed out one by one, because their costs differ.
 *
 * The message of the first failed row is got by sampling it again: sampling changes nothing, so it
 * fails in the same way, and threads need not agree on an error.
 */
#include <pluck/batch.h>

#include "base/error.h"
#include "sampler/sampler_impl.h"

#ifdef _OPENMP
#    include <omp.h>
#endif

/* Checks the samplers and takes their lanes away: one that comes twice has none the second time. On
 * failure *n_taken of them have lost it. */
static pluck_status take_lanes(const pluck_workspace *workspace, pluck_sampler *const *samplers,
                               size_t n, size_t *n_taken, pluck_error *err)
{
    for (size_t i = 0; i < n; i++) {
        *n_taken = i;
        if (!samplers[i])
            return pl_fail(err, PLUCK_ERR_INVALID, "sampler %zu is NULL", i);
        if (samplers[i]->shared != workspace)
            return pl_fail(
                err, PLUCK_ERR_INVALID,
                "sampler %zu does not borrow this workspace; name it in the options that "
                "create the sampler",
                i);
        if (!samplers[i]->workspace)
            return pl_fail(err, PLUCK_ERR_INVALID, "sampler %zu comes twice", i);
        samplers[i]->workspace = NULL;
    }
    *n_taken = n;
    return PLUCK_OK;
}

static void give_back_lanes(const pluck_workspace *workspace, pluck_sampler *const *samplers,
                            size_t n)
{
    for (size_t i = 0; i < n; i++)
        samplers[i]->workspace = workspace->lanes[0];
}

static void sample_rows(const pluck_workspace *workspace, pluck_sampler *const *samplers,
                        const pluck_logits *logits, size_t n, uint32_t n_threads,
                        pluck_token *tokens, pluck_status *statuses)
{
#ifdef _OPENMP
#    pragma omp parallel for schedule(dynamic, 1) num_threads((int)n_threads)
    for (size_t i = 0; i < n; i++) {
        samplers[i]->workspace = workspace->lanes[omp_get_thread_num()];
        statuses[i] = pluck_sampler_sample(samplers[i], logits[i], &tokens[i], NULL);
    }
#else
    (void)n_threads;
    for (size_t i = 0; i < n; i++) {
        samplers[i]->workspace = workspace->lanes[0];
        statuses[i] = pluck_sampler_sample(samplers[i], logits[i], &tokens[i], NULL);
    }
#endif
}

pluck_status pluck_sampler_sample_batch(pluck_workspace *workspace, pluck_sampler *const *samplers,
                                        const pluck_logits *logits, size_t n, uint32_t threads,
                                        pluck_token *tokens, pluck_status *statuses,
                                        pluck_error *err)
{
    if (!workspace || !samplers || !logits || !tokens || !statuses)
        return pl_fail(err, PLUCK_ERR_INVALID, "a required pointer is NULL");
    size_t n_taken = 0;
    pluck_status status = take_lanes(workspace, samplers, n, &n_taken, err);
    if (status != PLUCK_OK) {
        give_back_lanes(workspace, samplers, n_taken);
        return status;
    }
    uint32_t n_threads =
        threads == 0 || threads > workspace->n_lanes ? workspace->n_lanes : threads;
    if (n < n_threads)
        n_threads = n > 0 ? (uint32_t)n : 1;
    sample_rows(workspace, samplers, logits, n, n_threads, tokens, statuses);
    give_back_lanes(workspace, samplers, n);
    for (size_t i = 0; i < n; i++) {
        if (statuses[i] == PLUCK_OK)
            continue;
        pluck_token unused;
        pluck_error row = {.status = PLUCK_OK};
        status = pluck_sampler_sample(samplers[i], logits[i], &unused, &row);
        return pl_fail(err, status, "row %zu: %s", i, row.message);
    }
    return PLUCK_OK;
}
