/*
 * Scratch memories are allocations of their own, so that each is first touched, and its pages
 * placed, by the thread that works in it.
 *
 * Rows are independent, and within a row there is one thread, so that no result can depend on how
 * rows are spread. A thread lends its scratch memory to the sampler whose row it works on. Rows are
 * handed out one by one, because their costs differ.
 *
 * The message of the first failed row is got by sampling it again: sampling changes nothing, so it
 * fails in the same way, and threads need not agree on an error.
 */
#include "sampler/sampler_impl.h"

#include "base/error.h"

static pluck_status create_scratches(pluck_workspace *workspace, uint32_t threads, pluck_error *err)
{
    const pluck_allocator *allocator = &workspace->allocator;
    pluck_status status = pluck_pool_create(&workspace->pool, threads, allocator, err);
    if (status != PLUCK_OK)
        return status;
    uint32_t n = pluck_pool_parallel(workspace->pool)->n_workers;
    workspace->scratches = plk_alloc(allocator, n, sizeof(plk_scratch *));
    if (!workspace->scratches)
        return plk_fail_nomem(err, n * sizeof(plk_scratch *));
    for (uint32_t i = 0; i < n && status == PLUCK_OK; i++) {
        status =
            plk_scratch_create(&workspace->scratches[i], workspace->n_vocab, 0, allocator, err);
        workspace->n_workers += status == PLUCK_OK;
    }
    return status;
}

pluck_status pluck_workspace_create(pluck_workspace **out, uint32_t n_vocab, uint32_t threads,
                                    const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "a required pointer is NULL");
    *out = NULL;
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "n_vocab = %u is outside [1, %u]", n_vocab,
                        PLUCK_MAX_VOCAB);
    pluck_allocator own = plk_allocator_or_default(allocator);
    pluck_workspace *workspace = plk_alloc_zero(&own, 1, sizeof *workspace);
    if (!workspace)
        return plk_fail_nomem(err, sizeof *workspace);
    workspace->allocator = own;
    workspace->n_vocab = n_vocab;
    pluck_status status = create_scratches(workspace, threads, err);
    if (status != PLUCK_OK)
        pluck_workspace_destroy(&workspace);
    *out = workspace;
    return status;
}

void pluck_workspace_destroy(pluck_workspace **workspace)
{
    if (!workspace || !*workspace)
        return;
    pluck_workspace *w = *workspace;
    pluck_allocator allocator = w->allocator;
    pluck_pool_destroy(&w->pool);
    for (uint32_t i = 0; i < w->n_workers; i++)
        plk_scratch_destroy(&w->scratches[i]);
    plk_free(&allocator, w->scratches);
    plk_free(&allocator, w);
    *workspace = NULL;
}

uint32_t pluck_workspace_threads(const pluck_workspace *workspace)
{
    return workspace ? workspace->n_workers : 0;
}

pluck_status plk_workspace_reserve_edits(pluck_workspace *workspace, size_t n, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    for (uint32_t i = 0; i < workspace->n_workers && status == PLUCK_OK; i++)
        status = plk_scratch_reserve_edits(workspace->scratches[i], n, err);
    return status;
}

/* Checks the samplers and takes their scratch memory away: one that comes twice has none the
 * second time. On failure *n_taken of them have lost it. */
static pluck_status take_scratches(const pluck_workspace *workspace, pluck_sampler *const *samplers,
                                   size_t n, size_t *n_taken, pluck_error *err)
{
    for (size_t i = 0; i < n; i++) {
        *n_taken = i;
        if (!samplers[i])
            return plk_fail(err, PLUCK_ERR_INVALID, "sampler %zu is NULL", i);
        if (samplers[i]->workspace != workspace)
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

static void give_back_scratches(const pluck_workspace *workspace, pluck_sampler *const *samplers,
                                size_t n)
{
    for (size_t i = 0; i < n; i++)
        samplers[i]->scratch = workspace->scratches[0];
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
    b->samplers[i]->scratch = b->workspace->scratches[worker];
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
    pluck_status status = take_scratches(workspace, samplers, n, &n_taken, err);
    if (status != PLUCK_OK) {
        give_back_scratches(workspace, samplers, n_taken);
        return status;
    }
    batch_rows rows = {workspace, samplers, logits, tokens, statuses};
    const pluck_parallel *parallel = pluck_pool_parallel(workspace->pool);
    plk_parallel_run(parallel, threads == 0 ? workspace->n_workers : threads, n, sample_row, &rows,
                     NULL, NULL);
    give_back_scratches(workspace, samplers, n);
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
