/*
 * The largest values of a long series, in little memory: for quantiles near its upper end.
 */
#ifndef PL_LARGEST_H
#define PL_LARGEST_H

#include <stdbool.h>
#include <stddef.h>

/* A heap whose root is the smallest value kept. */
typedef struct pl_largest {
    double *values;
    size_t n, capacity;
} pl_largest;

/* Keeps the capacity >= 1 largest. Returns false when memory is short. */
bool pl_largest_open(pl_largest *heap, size_t capacity);
void pl_largest_close(pl_largest *heap);

void pl_largest_add(pl_largest *heap, double value);

/* Puts what is kept into descending order; nothing may be added after it. */
void pl_largest_sort(pl_largest *heap);

#endif
