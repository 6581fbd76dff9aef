/*
 * A sorted array: a window holds few distinct tokens (64 by default), for which binary search and a
 * short memmove beat a hash table, and the ascending order is what plk_view_edit wants. Where
 * prompts do not count, a token of a prompt empties the array, and undoing it counts anew. A whole
 * history at once is sorted by a heap (Williams 1964).
 */
#include "history/history.h"

#include "base/error.h"

#include <string.h>

enum { FIRST_UNLIMITED_CAPACITY = 256 };

pluck_status plk_token_counts_create(plk_token_counts *counts, size_t window,
                                     const pluck_allocator *allocator, pluck_error *err)
{
    size_t capacity = window == SIZE_MAX ? FIRST_UNLIMITED_CAPACITY : window + 1;
    *counts = (plk_token_counts){.allocator = *allocator, .capacity = capacity, .window = window};
    counts->items = plk_alloc(allocator, capacity, sizeof *counts->items);
    return counts->items ? PLUCK_OK : plk_fail_nomem(err, capacity * sizeof *counts->items);
}

void plk_token_counts_destroy(plk_token_counts *counts)
{
    plk_free(&counts->allocator, counts->items);
    counts->items = NULL;
}

pluck_status plk_token_counts_clone(plk_token_counts *out, const plk_token_counts *counts,
                                    pluck_error *err)
{
    *out = *counts;
    out->items = plk_alloc(&counts->allocator, counts->capacity, sizeof *out->items);
    if (!out->items)
        return plk_fail_nomem(err, counts->capacity * sizeof *out->items);
    memcpy(out->items, counts->items, counts->n * sizeof *out->items);
    return PLUCK_OK;
}

void plk_token_counts_clear(plk_token_counts *counts)
{
    counts->n = 0;
}

static pluck_status make_room(plk_token_counts *counts, size_t n, pluck_error *err)
{
    size_t capacity = counts->capacity;
    while (counts->window == SIZE_MAX && capacity < n)
        capacity *= 2;
    if (capacity == counts->capacity)
        return PLUCK_OK;
    plk_token_count *items = plk_alloc(&counts->allocator, capacity, sizeof *items);
    if (!items)
        return plk_fail_nomem(err, capacity * sizeof *items);
    memcpy(items, counts->items, counts->n * sizeof *items);
    plk_free(&counts->allocator, counts->items);
    counts->items = items;
    counts->capacity = capacity;
    return PLUCK_OK;
}

pluck_status plk_token_counts_reserve(plk_token_counts *counts, size_t n, pluck_error *err)
{
    return make_room(counts, counts->n + n, err);
}

/* The index of the token, or of the place where it belongs. */
static size_t find(const plk_token_counts *counts, uint32_t token)
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

static void add(plk_token_counts *counts, pluck_token token)
{
    size_t at = find(counts, (uint32_t)token);
    plk_token_count *item = counts->items + at;
    if (at < counts->n && item->token == (uint32_t)token) {
        item->count++;
        return;
    }
    memmove(item + 1, item, (counts->n - at) * sizeof *item);
    *item = (plk_token_count){(uint32_t)token, 1};
    counts->n++;
}

static void take_away(plk_token_counts *counts, pluck_token token)
{
    size_t at = find(counts, (uint32_t)token);
    plk_token_count *item = counts->items + at;
    if (--item->count > 0)
        return;
    counts->n--;
    memmove(item, item + 1, (counts->n - at) * sizeof *item);
}

/* The tokens that would count if the window were unlimited. */
static uint64_t reach(const plk_token_counts *counts, const plk_history *history)
{
    return counts->ignores_prompt ? history->n_generated : history->position;
}

void plk_token_counts_accept(plk_token_counts *counts, const plk_history *history)
{
    if (counts->ignores_prompt && history->n_generated == 0) {
        counts->n = 0;
        return;
    }
    add(counts, plk_history_at(history, 0));
    if (reach(counts, history) > counts->window)
        take_away(counts, plk_history_at(history, counts->window));
}

/* Moves the item at parent down to where it is not smaller than its children. */
static void sift_down(plk_token_count *heap, size_t parent, size_t n)
{
    plk_token_count item = heap[parent];
    for (size_t child; (child = 2 * parent + 1) < n; parent = child) {
        if (child + 1 < n && heap[child + 1].token > heap[child].token)
            child++;
        if (heap[child].token <= item.token)
            break;
        heap[parent] = heap[child];
    }
    heap[parent] = item;
}

static void sort(plk_token_count *items, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(items, i, n);
    for (size_t end = n; end-- > 1;) {
        plk_token_count largest = items[0];
        items[0] = items[end];
        items[end] = largest;
        sift_down(items, 0, end);
    }
}

/* Counts the tokens of these ages; there is room for all of them. */
static void count_anew(plk_token_counts *counts, const plk_history *history, size_t first_age,
                       size_t n_ages)
{
    plk_token_count *items = counts->items;
    for (size_t i = 0; i < n_ages; i++)
        items[i] = (plk_token_count){(uint32_t)plk_history_at(history, first_age + i), 1};
    sort(items, n_ages);
    size_t n = 0;
    for (size_t i = 0; i < n_ages; i++) {
        if (n > 0 && items[n - 1].token == items[i].token)
            items[n - 1].count++;
        else
            items[n++] = items[i];
    }
    counts->n = n;
}

static size_t in_window(const plk_token_counts *counts, uint64_t n)
{
    return n < counts->window ? (size_t)n : counts->window;
}

void plk_token_counts_rewind(plk_token_counts *counts, const plk_history *history)
{
    if (counts->ignores_prompt && history->n_generated == 0) {
        /* Few tokens at a time, because there is room for those that counted then, not for each of
         * them alone. */
        size_t n = in_window(counts, plk_history_generated_before(history));
        for (size_t age = 1; age <= n; age++)
            add(counts, plk_history_at(history, age));
        return;
    }
    take_away(counts, plk_history_at(history, 0));
    if (reach(counts, history) > counts->window)
        add(counts, plk_history_at(history, counts->window));
}

pluck_status plk_token_counts_restore(plk_token_counts *counts, const plk_history *history,
                                      pluck_error *err)
{
    size_t n = in_window(counts, reach(counts, history));
    /* Undoing a prompt brings back what counted before it: at most everything. */
    size_t most = counts->window == SIZE_MAX ? plk_history_length(history) : counts->window;
    pluck_status status = make_room(counts, most + 1, err);
    if (status == PLUCK_OK)
        count_anew(counts, history, 0, n);
    return status;
}
