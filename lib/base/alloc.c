/*
 * Allocation through the caller's functions. Products are checked before they reach the allocator,
 * so that a hostile size gives NULL and never a short block.
 */
#include "base/alloc.h"

#include "base/error.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static void *default_alloc(void *user, size_t size_bytes)
{
    (void)user;
    return malloc(size_bytes);
}

static void default_free(void *user, void *memory)
{
    (void)user;
    free(memory);
}

pluck_allocator plk_allocator_or_default(const pluck_allocator *allocator)
{
    if (allocator)
        return *allocator;
    return (pluck_allocator){default_alloc, default_free, NULL};
}

bool plk_add_size(size_t a, size_t b, size_t *sum)
{
    if (a > SIZE_MAX - b)
        return false;
    *sum = a + b;
    return true;
}

bool plk_mul_size(size_t a, size_t b, size_t *product)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *product = a * b;
    return true;
}

void *plk_alloc(const pluck_allocator *allocator, size_t n, size_t size_bytes)
{
    size_t total = 0;
    if (!plk_mul_size(n != 0 ? n : 1, size_bytes, &total) || total > PTRDIFF_MAX)
        return NULL;
    return allocator->alloc(allocator->user, total);
}

void *plk_alloc_zero(const pluck_allocator *allocator, size_t n, size_t size_bytes)
{
    void *memory = plk_alloc(allocator, n, size_bytes);
    if (memory)
        memset(memory, 0, (n != 0 ? n : 1) * size_bytes);
    return memory;
}

void plk_free(const pluck_allocator *allocator, void *memory)
{
    if (memory)
        allocator->free(allocator->user, memory);
}

pluck_status plk_grow(const pluck_allocator *allocator, void *items, size_t *capacity, size_t n,
                      size_t size_bytes, pluck_error *err)
{
    enum { FIRST = 16 };
    size_t larger = *capacity != 0 ? *capacity : FIRST;
    void *old = NULL;
    if (n <= *capacity)
        return PLUCK_OK;
    while (larger < n)
        larger = larger <= SIZE_MAX / 2 ? 2 * larger : n;
    void *moved = plk_alloc(allocator, larger, size_bytes);
    if (!moved)
        return plk_fail_nomem(err, larger * size_bytes);
    memcpy(&old, items, sizeof old);
    if (*capacity > 0)
        memcpy(moved, old, *capacity * size_bytes);
    plk_free(allocator, old);
    memcpy(items, &moved, sizeof moved);
    *capacity = larger;
    return PLUCK_OK;
}

void *plk_copy(const pluck_allocator *allocator, const void *bytes, size_t n_bytes)
{
    void *copy = plk_alloc(allocator, n_bytes, 1);
    if (copy && n_bytes > 0)
        memcpy(copy, bytes, n_bytes);
    return copy;
}

/* What stands before each array. */
struct plk_array_link {
    alignas(max_align_t) struct plk_array_link *before;
};

void *plk_arrays_add(plk_arrays *arrays, size_t n, size_t size_bytes)
{
    struct plk_array_link *link = NULL;
    size_t total = 0;
    if (arrays->failed_bytes != 0)
        return NULL;
    if (!plk_mul_size(n != 0 ? n : 1, size_bytes, &total) ||
        !plk_add_size(total, sizeof *link, &total))
        total = SIZE_MAX;
    link = plk_alloc(&arrays->allocator, total, 1);
    if (!link) {
        arrays->failed_bytes = total;
        return NULL;
    }
    link->before = arrays->last;
    arrays->last = link;
    return link + 1;
}

void *plk_arrays_add_zero(plk_arrays *arrays, size_t n, size_t size_bytes)
{
    void *memory = plk_arrays_add(arrays, n, size_bytes);
    if (memory)
        memset(memory, 0, (n != 0 ? n : 1) * size_bytes);
    return memory;
}

pluck_status plk_arrays_check(const plk_arrays *arrays, pluck_error *err)
{
    return arrays->failed_bytes == 0 ? PLUCK_OK : plk_fail_nomem(err, arrays->failed_bytes);
}

void plk_arrays_free(plk_arrays *arrays)
{
    pluck_allocator allocator = arrays->allocator;
    struct plk_array_link *link = arrays->last;
    arrays->last = NULL;
    while (link) {
        struct plk_array_link *before = link->before;
        plk_free(&allocator, link);
        link = before;
    }
}

/*
 * Merge sort from the bottom up: runs of 1, 2, 4 … items are merged from one array into the other,
 * n log2 n comparisons at most. qsort() promises neither its time nor where its memory comes from.
 */

bool plk_is_sorted(const void *items, size_t n, size_t size_bytes, plk_before before)
{
    const char *item = items;
    for (size_t i = 1; i < n; i++, item += size_bytes) {
        if (before(item + size_bytes, item))
            return false;
    }
    return true;
}

/* Merges the sorted [left, middle) and [middle, right) into out; equal items of the first come
 * first. */
static void merge(const char *left, const char *middle, const char *right, char *out,
                  size_t size_bytes, plk_before before)
{
    const char *a = left, *b = middle;
    while (a < middle && b < right) {
        const char **from = before(b, a) ? &b : &a;
        memcpy(out, *from, size_bytes);
        *from += size_bytes;
        out += size_bytes;
    }
    memcpy(out, a, (size_t)(middle - a));
    out += middle - a;
    memcpy(out, b, (size_t)(right - b));
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void plk_sort(void *items, void *scratch, size_t n, size_t size_bytes, plk_before before)
{
    if (plk_is_sorted(items, n, size_bytes, before))
        return;
    char *from = items, *to = scratch;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t start = 0; start < n; start += 2 * run) {
            size_t middle = smaller(start + run, n), end = smaller(start + 2 * run, n);
            merge(from + start * size_bytes, from + middle * size_bytes, from + end * size_bytes,
                  to + start * size_bytes, size_bytes, before);
        }
        char *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != items)
        memcpy(items, from, n * size_bytes);
}
