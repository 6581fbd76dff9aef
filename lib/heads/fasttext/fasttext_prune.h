/*
 * The map of a pruned fastText model: which hashed features it kept, and where.
 */
#ifndef PLK_FASTTEXT_PRUNE_H
#define PLK_FASTTEXT_PRUNE_H

#include <pluck/base.h>

typedef struct plk_fasttext_prune {
    int32_t from, to;
} plk_fasttext_prune;

typedef struct plk_fasttext_prune_map {
    plk_fasttext_prune *pairs; /* ascending by from */
    size_t n;
    uint32_t *firsts; /* pairs of slot s: firsts[s] .. firsts[s + 1] - 1; n_slots + 1 of them */
    uint32_t n_slots, shift;
} plk_fasttext_prune_map;

/* The pairs are those of map->pairs[0 .. n - 1], in any order, which the map keeps; n < 2^31, and
 * no from is negative. False if memory is short. *is_twice: whether a from is there twice. */
bool plk_fasttext_prune_build(plk_fasttext_prune_map *map, const pluck_allocator *allocator,
                              bool *is_twice);

void plk_fasttext_prune_free(plk_fasttext_prune_map *map, const pluck_allocator *allocator);

/* Where from went, or -1. */
int32_t plk_fasttext_prune_find(const plk_fasttext_prune_map *map, uint32_t from);

#endif
