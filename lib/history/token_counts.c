/*
 * A sorted array: a window holds few distinct tokens (64 by default), for which binary search and a
 * short memmove beat a hash table, and the ascending order is what pl_view_edit wants. Where prompts do
 * not count, a token of a prompt empties the array, and undoing it counts anew.
 */
#include "history/token_counts.h"

#include "base/error.h"

#include <string.h>

enum { FIRST_UNLIMITED_CAPACITY = 256 };

pluck_status pl_token_counts_create(pl_token_counts *counts, size_t window,
                                    const pluck_allocator *allocator, pluck_error *err)
{
    size_t capacity = window == SIZE_MAX ? FIRST_UNLIMITED_CAPACITY : window + 1;
    *counts = (pl_token_counts){.allocator = *allocator, .capacity = capacity, .window = window};
    counts->items = pl_alloc(allocator, capacity, sizeof *counts->items);
    return counts->items ? PLUCK_OK : pl_fail_nomem(err, capacity * sizeof *counts->items);
}

void pl_token_counts_destroy(pl_token_counts *counts)
{
    pl_free(&counts->allocator, counts->items);
    counts->items = NULL;
}

pluck_status pl_token_counts_clone(pl_token_counts *out, const pl_token_counts *counts,
                                   pluck_error *err)
{
    *out = *counts;
    out->items = pl_alloc(&counts->allocator, counts->capacity, sizeof *out->items);
    if (!out->items)
        return pl_fail_nomem(err, counts->capacity * sizeof *out->items);
    memcpy(out->items, counts->items, counts->n * sizeof *out->items);
    return PLUCK_OK;
}

void pl_token_counts_clear(pl_token_counts *counts)
{
    counts->n = 0;
}

pluck_status pl_token_counts_reserve(pl_token_counts *counts, pluck_error *err)
{
    if (counts->n < counts->capacity)
        return PLUCK_OK;
    size_t capacity = counts->capacity * 2;
    pl_token_count *items = pl_alloc(&counts->allocator, capacity, sizeof *items);
    if (!items)
        return pl_fail_nomem(err, capacity * sizeof *items);
    memcpy(items, counts->items, counts->n * sizeof *items);
    pl_free(&counts->allocator, counts->items);
    counts->items = items;
    counts->capacity = capacity;
    return PLUCK_OK;
}

/* The index of the token, or of the place where it belongs. */
static size_t find(const pl_token_counts *counts, uint32_t token)
{
    size_t low = 0, high = counts->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (counts->items[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add(pl_token_counts *counts, pluck_token token)
{
    size_t at = find(counts, (uint32_t)token);
    pl_token_count *item = counts->items + at;
    if (at < counts->n && item->token == (uint32_t)token) {
        item->count++;
        return;
    }
    memmove(item + 1, item, (counts->n - at) * sizeof *item);
    *item = (pl_token_count){(uint32_t)token, 1};
    counts->n++;
}

static void take_away(pl_token_counts *counts, pluck_token token)
{
    size_t at = find(counts, (uint32_t)token);
    pl_token_count *item = counts->items + at;
    if (--item->count > 0)
        return;
    counts->n--;
    memmove(item, item + 1, (counts->n - at) * sizeof *item);
}

/* The tokens that would count if the window were unlimited. */
static uint64_t reach(const pl_token_counts *counts, const pl_history *history)
{
    return counts->ignores_prompt ? history->n_generated : history->position;
}

void pl_token_counts_accept(pl_token_counts *counts, const pl_history *history)
{
    if (counts->ignores_prompt && history->n_generated == 0) {
        counts->n = 0;
        return;
    }
    add(counts, pl_history_at(history, 0));
    if (reach(counts, history) > counts->window)
        take_away(counts, pl_history_at(history, counts->window));
}

/* The items of what counted before a token of a prompt are as many as there was room for then. */
static void count_before_prompt(pl_token_counts *counts, const pl_history *history)
{
    size_t n = pl_history_generated_before(history);
    n = n < counts->window ? n : counts->window;
    for (size_t age = 1; age <= n; age++)
        add(counts, pl_history_at(history, age));
}

void pl_token_counts_rewind(pl_token_counts *counts, const pl_history *history)
{
    if (counts->ignores_prompt && history->n_generated == 0) {
        count_before_prompt(counts, history);
        return;
    }
    take_away(counts, pl_history_at(history, 0));
    if (reach(counts, history) > counts->window)
        add(counts, pl_history_at(history, counts->window));
}
