/* A binary heap of fixed capacity, the smallest value at its root. */
#include "tune/largest.h"

#include "base/alloc.h"

bool plk_largest_open(plk_largest *heap, size_t capacity, const pluck_allocator *allocator)
{
    *heap = (plk_largest){.allocator = *allocator, .capacity = capacity};
    heap->values = plk_alloc(allocator, capacity, sizeof *heap->values);
    return heap->values != NULL;
}

void plk_largest_close(plk_largest *heap)
{
    plk_free(&heap->allocator, heap->values);
    *heap = (plk_largest){.n = 0};
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

void plk_largest_add(plk_largest *heap, double value)
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

void plk_largest_sort(plk_largest *heap)
{
    for (size_t n = heap->n; n > 1; n--) {
        double smallest = heap->values[0];
        sink(heap->values, n - 1, heap->values[n - 1]);
        heap->values[n - 1] = smallest;
    }
}
