/*
 * A sorted array: a window holds few distinct tokens (64 by default), for which binary search and a
 * short memmove beat a hash table, and the ascending order is what plk_view_edit wants. Where
 * prompts do not count, a token of a prompt empties the array, and undoing it counts anew. A whole
 * history at once is sorted by a heap (Williams 1964). The array of an unlimited window grows by a
 * constant: copying it is cheap next to the moves of a new token, and memory stays close to 8 bytes
 * for each different token.
 */
#include "history/history.h"

#include "base/error.h"

#include <string.h>

enum { STEP = 256, WORD_BITS = 64 };

/* Room for n different tokens, and for one that enters before another leaves. */
static size_t capacity_for(const plk_token_counts *counts, size_t n)
{
    if (counts->window == SIZE_MAX)
        n = (n + STEP - 1) / STEP * STEP;
    return (n < counts->n_vocab ? n : counts->n_vocab) + 1;
}

pluck_status plk_token_counts_create(plk_token_counts *counts, size_t window, uint32_t n_vocab,
                                     const pluck_allocator *allocator, pluck_error *err)
{
    *counts = (plk_token_counts){.allocator = *allocator, .window = window, .n_vocab = n_vocab};
    size_t capacity = capacity_for(counts, window == SIZE_MAX ? STEP : window);
    counts->capacity = capacity;
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

/* Room for n different tokens. */
static pluck_status make_room(plk_token_counts *counts, size_t n, pluck_error *err)
{
    size_t capacity = capacity_for(counts, n);
    if (capacity <= counts->capacity)
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

/* Marks the token; whether it was unmarked. */
static bool mark(uint64_t *bits, uint32_t token)
{
    uint64_t bit = (uint64_t)1 << token % WORD_BITS;
    bool is_new = (bits[token / WORD_BITS] & bit) == 0;
    bits[token / WORD_BITS] |= bit;
    return is_new;
}

/* How many different tokens there will be. */
static pluck_status count_together(const plk_token_counts *counts, const pluck_token *tokens,
                                   size_t n, size_t *n_together, pluck_error *err)
{
    size_t n_words = counts->n_vocab / WORD_BITS + 1;
    uint64_t *bits = plk_alloc_zero(&counts->allocator, n_words, sizeof *bits);
    if (!bits)
        return plk_fail_nomem(err, n_words * sizeof *bits);
    *n_together = counts->n;
    for (size_t i = 0; i < counts->n; i++)
        (void)mark(bits, counts->items[i].token);
    for (size_t i = 0; i < n; i++)
        *n_together += mark(bits, (uint32_t)tokens[i]);
    plk_free(&counts->allocator, bits);
    return PLUCK_OK;
}

pluck_status plk_token_counts_reserve(plk_token_counts *counts, const pluck_token *tokens, size_t n,
                                      pluck_error *err)
{
    if (counts->window != SIZE_MAX)
        return PLUCK_OK;
    size_t n_together = counts->n + n;
    if (n > STEP && n_together > counts->capacity) {
        pluck_status status = count_together(counts, tokens, n, &n_together, err);
        if (status != PLUCK_OK)
            return status;
    }
    return make_room(counts, n_together, err);
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

/* Counts the tokens of the last n ages in items, which have room for n of them; returns how many
 * different ones there are. */
static size_t count_anew(plk_token_count *items, const plk_history *history, size_t n)
{
    for (size_t age = 0; age < n; age++)
        items[age] = (plk_token_count){(uint32_t)plk_history_at(history, age), 1};
    sort(items, n);
    size_t n_different = 0;
    for (size_t i = 0; i < n; i++) {
        if (n_different > 0 && items[n_different - 1].token == items[i].token)
            items[n_different - 1].count++;
        else
            items[n_different++] = items[i];
    }
    return n_different;
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
    if (n < counts->capacity && counts->window != SIZE_MAX) {
        counts->n = count_anew(counts->items, history, n);
        return PLUCK_OK;
    }
    /* Undoing a prompt brings back what counted before it: at most everything. */
    size_t n_all = counts->window == SIZE_MAX ? plk_history_length(history) : n;
    plk_token_count *items = plk_alloc(&counts->allocator, n_all, sizeof *items);
    if (!items)
        return plk_fail_nomem(err, n_all * sizeof *items);
    size_t n_different = count_anew(items, history, n_all);
    pluck_status status = make_room(counts, n_different, err);
    if (status == PLUCK_OK && n < n_all)
        n_different = count_anew(items, history, n);
    if (status == PLUCK_OK) {
        memcpy(counts->items, items, n_different * sizeof *items);
        counts->n = n_different;
    }
    plk_free(&counts->allocator, items);
    return status;
}
