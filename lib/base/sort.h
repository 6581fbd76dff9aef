/*
 * A stable sort whose time no input can make quadratic and whose memory comes from the caller.
 */
#ifndef PL_SORT_H
#define PL_SORT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a must stand before b. */
typedef bool (*pl_before)(const void *a, const void *b);

bool pl_is_sorted(const void *items, size_t n, size_t size_bytes, pl_before before);

/* scratch has room for n items of size_bytes. */
void pl_sort(void *items, void *scratch, size_t n, size_t size_bytes, pl_before before);

#endif
