/*
 * One allocation, cut into cache-line aligned arrays: first what every row needs, a 64th of the
 * vocabulary long, then the candidates. Pages that a configuration never touches (the candidates of
 * a sampler that only scans) are never committed by the system. Edits are an allocation of their
 * own, because several samplers with different numbers of them may come to share a workspace.
 */
#include "select/workspace.h"

#include "base/error.h"

#include <string.h>

enum { ALIGNMENT = 64 };

/* Where the next array of n elements goes in a layout that is being measured or filled in. */
static size_t place(size_t *at_bytes, size_t n, size_t size_bytes)
{
    size_t start = (*at_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *at_bytes = start + n * size_bytes;
    return start;
}

static size_t round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Points the arrays into base, or only measures for NULL. n_vocab <= 2^24, so nothing overflows. */
static size_t lay_out(pl_workspace *w, unsigned char *base)
{
    size_t n_tokens = round_up(w->n_vocab, PL_BLOCK) + PL_SLACK;
    size_t n_maxima = round_up(w->n_blocks, PL_BLOCK);
    size_t n_listed = w->n_blocks + (size_t)PL_SLACK;
    size_t size = base ? (size_t)(ALIGNMENT - (uintptr_t)base % ALIGNMENT) % ALIGNMENT : 0;
    const struct {
        void *array;
        size_t n, size_bytes;
    } arrays[] = {
        {&w->block_max, n_maxima, sizeof(float)},
        {&w->weights, n_maxima, sizeof(float)},
        {&w->group_sums, n_maxima / PL_BLOCK, sizeof(double)},
        {&w->block_sums, n_maxima, sizeof(double)},
        {&w->block_ids, n_listed, sizeof(uint32_t)},
        {&w->block_spare, n_listed, sizeof(float)},
        {&w->picks, PL_PICKS_ARRAYS * n_maxima, sizeof(double)},
        {&w->ids, n_tokens, sizeof(uint32_t)},
        {&w->values, n_tokens, sizeof(float)},
        {&w->keys, n_tokens, sizeof(pl_key)},
        {&w->spare, n_tokens, sizeof(pl_key)},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        size_t start = place(&size, arrays[i].n, arrays[i].size_bytes);
        if (base) {
            void *address = base + start;
            memcpy(arrays[i].array, &address, sizeof address);
        }
    }
    if (base) {
        w->ordered = (float *)(void *)w->keys;
        w->places = (uint32_t *)(void *)w->keys + n_tokens;
    }
    return size + ALIGNMENT;
}

pluck_status pl_workspace_reserve_edits(pl_workspace *workspace, size_t n, pluck_error *err)
{
    n = n < workspace->n_vocab ? n : workspace->n_vocab;
    if (n <= workspace->max_edits)
        return PLUCK_OK;
    pl_edit *memory = pl_alloc(&workspace->allocator, 2 * n, sizeof *memory);
    if (!memory)
        return pl_fail_nomem(err, 2 * n * sizeof *memory);
    pl_free(&workspace->allocator, workspace->edits_memory);
    workspace->edits_memory = memory;
    workspace->edits = memory;
    workspace->edits_spare = memory + n;
    workspace->max_edits = n;
    return PLUCK_OK;
}

pluck_status pl_workspace_create(pl_workspace **out, uint32_t n_vocab, size_t max_edits,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    *out = NULL;
    pl_workspace shape = {.allocator = *allocator,
                          .n_vocab = n_vocab,
                          .n_blocks = (n_vocab + PL_BLOCK - 1) / PL_BLOCK};
    size_t header = round_up(sizeof shape, ALIGNMENT);
    size_t size = header + lay_out(&shape, NULL);
    unsigned char *memory = pl_alloc(allocator, size, 1);
    if (!memory)
        return pl_fail_nomem(err, size);
    lay_out(&shape, memory + header);
    memcpy(memory, &shape, sizeof shape);
    pl_workspace *workspace = (pl_workspace *)(void *)memory;
    pluck_status status = pl_workspace_reserve_edits(workspace, max_edits, err);
    if (status == PLUCK_OK)
        *out = workspace;
    else
        pl_workspace_destroy(&workspace);
    return status;
}

void pl_workspace_destroy(pl_workspace **workspace)
{
    if (!*workspace)
        return;
    pluck_allocator allocator = (*workspace)->allocator;
    pl_free(&allocator, (*workspace)->edits_memory);
    pl_free(&allocator, *workspace);
    *workspace = NULL;
}
