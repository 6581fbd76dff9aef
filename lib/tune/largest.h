/*
 * The largest values of a long series, in little memory: for quantiles near its upper end.
 */
#ifndef PLK_LARGEST_H
#define PLK_LARGEST_H

#include <pluck/base.h>

#include <stdbool.h>
#include <stddef.h>

/* A heap whose root is the smallest value kept. */
typedef struct plk_largest {
    pluck_allocator allocator;
    double *values;
    size_t n, capacity;
} plk_largest;

/* Keeps the capacity >= 1 largest. Returns false when memory is short. An object that is all zero
 * may be closed. */
bool plk_largest_open(plk_largest *heap, size_t capacity, const pluck_allocator *allocator);
void plk_largest_close(plk_largest *heap);

void plk_largest_add(plk_largest *heap, double value);

/* Puts what is kept into descending order; nothing may be added after it. */
void plk_largest_sort(plk_largest *heap);

#endif
