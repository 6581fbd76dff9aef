/*
 * The largest values of a long series, in little memory: for quantiles near its upper end.
 */
#ifndef PL_LARGEST_H
#define PL_LARGEST_H

#include <pluck/base.h>

#include <stdbool.h>
#include <stddef.h>

/* A heap whose root is the smallest value kept. */
typedef struct pl_largest {
    pluck_allocator allocator;
    double *values;
    size_t n, capacity;
} pl_largest;

/* Keeps the capacity >= 1 largest. Returns false when memory is short. An object that is all zero
 * may be closed. */
bool pl_largest_open(pl_largest *heap, size_t capacity, const pluck_allocator *allocator);
void pl_largest_close(pl_largest *heap);

void pl_largest_add(pl_largest *heap, double value);

/* Puts what is kept into descending order; nothing may be added after it. */
void pl_largest_sort(pl_largest *heap);

#endif
