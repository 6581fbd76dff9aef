/*
 * One allocation, cut into cache-line aligned arrays. Pages that a configuration never touches (the
 * candidate arrays of a sampler that only scans) are never committed by the system.
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
        {&w->ids, n_tokens, sizeof(uint32_t)},
        {&w->values, n_tokens, sizeof(float)},
        {&w->ordered, n_tokens, sizeof(float)},
        {&w->keys, n_tokens, sizeof(pl_key)},
        {&w->spare, n_tokens, sizeof(pl_key)},
        {&w->edits, w->max_edits, sizeof(pl_edit)},
        {&w->edits_spare, w->max_edits, sizeof(pl_edit)},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        size_t start = place(&size, arrays[i].n, arrays[i].size_bytes);
        if (base) {
            void *address = base + start;
            memcpy(arrays[i].array, &address, sizeof address);
        }
    }
    return size + ALIGNMENT;
}

pluck_status pl_workspace_create(pl_workspace **out, uint32_t n_vocab, size_t max_edits,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    *out = NULL;
    pl_workspace shape = {.allocator = *allocator,
                          .n_vocab = n_vocab,
                          .n_blocks = (n_vocab + PL_BLOCK - 1) / PL_BLOCK,
                          .max_edits = max_edits < n_vocab ? max_edits : n_vocab};
    size_t header = round_up(sizeof shape, ALIGNMENT);
    size_t size = header + lay_out(&shape, NULL);
    unsigned char *memory = pl_alloc(allocator, size, 1);
    if (!memory)
        return pl_fail_nomem(err, size);
    lay_out(&shape, memory + header);
    memcpy(memory, &shape, sizeof shape);
    *out = (pl_workspace *)(void *)memory;
    return PLUCK_OK;
}

void pl_workspace_destroy(pl_workspace **workspace)
{
    if (!*workspace)
        return;
    pluck_allocator allocator = (*workspace)->allocator;
    pl_free(&allocator, *workspace);
    *workspace = NULL;
}
