/*
 * A stable sort whose time no input can make quadratic and whose memory comes from the caller.
 */
#ifndef PLK_SORT_H
#define PLK_SORT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a must stand before b. */
typedef bool (*plk_before)(const void *a, const void *b);

bool plk_is_sorted(const void *items, size_t n, size_t size_bytes, plk_before before);

/* scratch has room for n items of size_bytes. */
void plk_sort(void *items, void *scratch, size_t n, size_t size_bytes, plk_before before);

#endif
