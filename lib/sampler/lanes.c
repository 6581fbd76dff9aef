/*
 * Lanes are allocations of their own, so that each is first touched, and its pages placed, by the
 * thread that works in it.
 */
#include "sampler/lanes.h"

#include "base/error.h"

static pluck_status create_lanes(pluck_workspace *workspace, uint32_t threads, pluck_error *err)
{
    const pluck_allocator *allocator = &workspace->allocator;
    pluck_status status = pluck_pool_create(&workspace->pool, threads, allocator, err);
    if (status != PLUCK_OK)
        return status;
    uint32_t n = pluck_pool_parallel(workspace->pool)->n_workers;
    workspace->lanes = plk_alloc(allocator, n, sizeof(plk_scratch *));
    if (!workspace->lanes)
        return plk_fail_nomem(err, n * sizeof(plk_scratch *));
    for (uint32_t i = 0; i < n && status == PLUCK_OK; i++) {
        status = plk_scratch_create(&workspace->lanes[i], workspace->n_vocab, 0, allocator, err);
        workspace->n_lanes += status == PLUCK_OK;
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
    pluck_status status = create_lanes(workspace, threads, err);
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
    for (uint32_t i = 0; i < w->n_lanes; i++)
        plk_scratch_destroy(&w->lanes[i]);
    plk_free(&allocator, w->lanes);
    plk_free(&allocator, w);
    *workspace = NULL;
}

uint32_t pluck_workspace_threads(const pluck_workspace *workspace)
{
    return workspace ? workspace->n_lanes : 0;
}

pluck_status plk_lanes_reserve_edits(pluck_workspace *workspace, size_t n, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    for (uint32_t i = 0; i < workspace->n_lanes && status == PLUCK_OK; i++)
        status = plk_scratch_reserve_edits(workspace->lanes[i], n, err);
    return status;
}
