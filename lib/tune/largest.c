/* A binary heap of fixed capacity, the smallest value at its root. */
#include "tune/largest.h"

#include "base/alloc.h"

bool pl_largest_open(pl_largest *heap, size_t capacity, const pluck_allocator *allocator)
{
    *heap = (pl_largest){.allocator = *allocator, .capacity = capacity};
    heap->values = pl_alloc(allocator, capacity, sizeof *heap->values);
    return heap->values != NULL;
}

void pl_largest_close(pl_largest *heap)
{
    pl_free(&heap->allocator, heap->values);
    *heap = (pl_largest){.n = 0};
}

/* Puts value where the root was, among n values, and lets it sink. */
static void sink(double *values, size_t n, double value)
{
    size_t at = 0;
    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && values[child + 1] < values[child])
            child++;
        if (values[child] >= value)
            break;
        values[at] = values[child];
        at = child;
    }
    values[at] = value;
}

void pl_largest_add(pl_largest *heap, double value)
{
    if (heap->n == heap->capacity) {
        if (value > heap->values[0])
            sink(heap->values, heap->n, value);
        return;
    }
    size_t at = heap->n++;
    while (at > 0 && heap->values[(at - 1) / 2] > value) {
        heap->values[at] = heap->values[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->values[at] = value;
}

void pl_largest_sort(pl_largest *heap)
{
    for (size_t n = heap->n; n > 1; n--) {
        const double smallest = heap->values[0];
        sink(heap->values, n - 1, heap->values[n - 1]);
        heap->values[n - 1] = smallest;
    }
}
