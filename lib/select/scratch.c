/*
 * One allocation, cut into cache-line aligned arrays: first what every row needs, a 64th of the
 * vocabulary long, then the candidates. Pages that a configuration never touches (the candidates of
 * a sampler that only scans) are never committed by the system. Ids and values of candidates begin
 * with a page, because most truncations leave so few that they stay in the first one: where they
 * crossed into a second one, top_k 40 of 50,257 logits took 1.06 times as long.
 */
#include "select/scratch.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

enum { LINE = 64, PAGE = 4096 };

static size_t round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* Points the arrays into base, or only measures for NULL. n_vocab <= 2^24, so nothing overflows. */
static size_t lay_out(plk_scratch *w, unsigned char *base)
{
    size_t n_tokens = round_up(w->n_vocab, PLK_BLOCK) + PLK_SLACK;
    size_t n_maxima = round_up(w->n_blocks, PLK_BLOCK);
    size_t n_listed = round_up(w->n_blocks + (size_t)PLK_SLACK, PLK_BLOCK);
    size_t size = 0, before_page = base ? (PAGE - (uintptr_t)base % PAGE) % PAGE : 0;
    const struct {
        void *array;
        size_t n, size_bytes, alignment;
    } arrays[] = {
        {&w->block_max, n_maxima, sizeof(float), LINE},
        {&w->weights, n_maxima, sizeof(float), LINE},
        {&w->group_sums, n_maxima / PLK_BLOCK, sizeof(double), LINE},
        {&w->block_sums, n_maxima, sizeof(double), LINE},
        {&w->block_ids, n_listed, sizeof(uint32_t), LINE},
        {&w->block_spare, n_listed, sizeof(float), LINE},
        {&w->picks, PLK_PICKS_ARRAYS * n_maxima, sizeof(double), LINE},
        {&w->ids, n_tokens, sizeof(uint32_t), PAGE},
        {&w->values, n_tokens, sizeof(float), PAGE},
        {&w->keys, n_tokens, sizeof(plk_key), LINE},
        {&w->spare, n_tokens, sizeof(plk_key), LINE},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        size_t start = round_up(size, arrays[i].alignment);
        size = start + arrays[i].n * arrays[i].size_bytes;
        if (base) {
            void *address = base + before_page + start;
            memcpy(arrays[i].array, &address, sizeof address);
        }
    }
    if (base) {
        w->ordered = (float *)(void *)w->keys;
        w->places = (uint32_t *)(void *)w->keys + n_tokens;
    }
    return size + PAGE;
}

pluck_status plk_scratch_create(plk_scratch **out, uint32_t n_vocab,
                                const pluck_allocator *allocator, pluck_error *err)
{
    *out = NULL;
    plk_scratch shape = {.allocator = *allocator,
                         .n_vocab = n_vocab,
                         .n_blocks = (n_vocab + PLK_BLOCK - 1) / PLK_BLOCK};
    size_t header = round_up(sizeof shape, LINE);
    size_t size = header + lay_out(&shape, NULL);
    unsigned char *memory = plk_alloc(allocator, size, 1);
    if (!memory)
        return plk_fail_nomem(err, size);
    lay_out(&shape, memory + header);
    memcpy(memory, &shape, sizeof shape);
    plk_scratch *scratch = (plk_scratch *)(void *)memory;
    for (uint32_t b = shape.n_blocks; b % PLK_BLOCK != 0; b++)
        scratch->block_max[b] = -INFINITY;
    *out = scratch;
    return PLUCK_OK;
}

void plk_scratch_destroy(plk_scratch **scratch)
{
    if (!*scratch)
        return;
    pluck_allocator allocator = (*scratch)->allocator;
    plk_free(&allocator, *scratch);
    *scratch = NULL;
}
