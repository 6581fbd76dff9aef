/*
 * Most lookups are of features that were pruned away, and they are the larger part of the work of
 * reading a line. The pairs are sorted by from, and the upper bits of from (from >> shift) index
 * where the pairs with these bits begin. There are about as many slots as pairs, so that a lookup
 * reads one or two neighbouring numbers, and a pair in every second case. What is left in a slot is
 * searched by halves: a map made to crowd into one slot costs log2 n steps, not n.
 */
#include "heads/fasttext/fasttext_impl.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 16 };

static uint32_t from_of(const plk_fasttext_prune *pair)
{
    return (uint32_t)pair->from;
}

static int by_from(const void *a, const void *b)
{
    uint32_t x = from_of(a), y = from_of(b);
    return (x > y) - (x < y);
}

static void sort_slot(plk_fasttext_prune *pairs, size_t n)
{
    if (n > SHORT) {
        qsort(pairs, n, sizeof *pairs, by_from);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        plk_fasttext_prune pair = pairs[i];
        size_t j = i;
        for (; j > 0 && from_of(&pairs[j - 1]) > from_of(&pair); j--)
            pairs[j] = pairs[j - 1];
        pairs[j] = pair;
    }
}

/* Counting sort by slot: firsts[s] is the end of slot s before its pairs are put in from behind,
 * and its beginning after. */
static void sort_by_slot(plk_fasttext_prune_map *map, const plk_fasttext_prune *unsorted)
{
    for (size_t i = 0; i < map->n; i++)
        map->firsts[from_of(&unsorted[i]) >> map->shift]++;
    for (uint32_t s = 1; s <= map->n_slots; s++)
        map->firsts[s] += map->firsts[s - 1];
    for (size_t i = map->n; i-- > 0;)
        map->pairs[--map->firsts[from_of(&unsorted[i]) >> map->shift]] = unsorted[i];
    for (uint32_t s = 0; s < map->n_slots; s++)
        sort_slot(map->pairs + map->firsts[s], map->firsts[s + 1] - map->firsts[s]);
}

bool plk_fasttext_prune_build(plk_fasttext_prune_map *map, const pluck_allocator *allocator,
                              bool *is_twice)
{
    uint32_t largest = 0;
    for (size_t i = 0; i < map->n; i++)
        largest = from_of(&map->pairs[i]) > largest ? from_of(&map->pairs[i]) : largest;
    map->n_slots = 1;
    while (map->n_slots < map->n)
        map->n_slots *= 2;
    assert(largest <= INT32_MAX);
    for (map->shift = 0; largest >> map->shift >= map->n_slots;)
        map->shift++;
    map->firsts = plk_alloc_zero(allocator, (size_t)map->n_slots + 1, sizeof *map->firsts);
    plk_fasttext_prune *unsorted = plk_alloc(allocator, map->n, sizeof *unsorted);
    *is_twice = false;
    if (map->firsts && unsorted) {
        memcpy(unsorted, map->pairs, map->n * sizeof *unsorted);
        sort_by_slot(map, unsorted);
        for (size_t i = 1; i < map->n; i++)
            *is_twice |= map->pairs[i].from == map->pairs[i - 1].from;
    }
    bool fits = map->firsts && unsorted;
    plk_free(allocator, unsorted);
    return fits;
}

void plk_fasttext_prune_free(plk_fasttext_prune_map *map, const pluck_allocator *allocator)
{
    plk_free(allocator, map->pairs);
    plk_free(allocator, map->firsts);
    *map = (plk_fasttext_prune_map){.pairs = NULL};
}

int32_t plk_fasttext_prune_find(const plk_fasttext_prune_map *map, uint32_t from)
{
    uint32_t slot = from >> map->shift;
    if (slot >= map->n_slots)
        return -1;
    uint32_t low = map->firsts[slot], high = map->firsts[slot + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, here = from_of(&map->pairs[middle]);
        if (here == from)
            return map->pairs[middle].to;
        if (here < from)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
