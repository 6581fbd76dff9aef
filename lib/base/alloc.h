/*
 * Memory through the caller's allocator, sizes that cannot overflow unnoticed, and a sort.
 */
#ifndef PLK_ALLOC_H
#define PLK_ALLOC_H

#include <pluck/base.h>

/* *allocator, or malloc and free for NULL: objects keep this copy. */
pluck_allocator plk_allocator_or_default(const pluck_allocator *allocator);

/* n * size_bytes bytes, not cleared; NULL if the product overflows or memory is short. n = 0
 * allocates one element. */
void *plk_alloc(const pluck_allocator *allocator, size_t n, size_t size_bytes);

/* The same, cleared. */
void *plk_alloc_zero(const pluck_allocator *allocator, size_t n, size_t size_bytes);

/* NULL is allowed. */
void plk_free(const pluck_allocator *allocator, void *memory);

/* Makes room for at least n items of size_bytes in an array that grows by doubling. items is the
 * address of the pointer to them; *capacity is how many have room, 0 with NULL at first. On failure
 * nothing changes. */
pluck_status plk_grow(const pluck_allocator *allocator, void *items, size_t *capacity, size_t n,
                      size_t size_bytes, pluck_error *err);

/* A copy of n_bytes bytes; NULL if memory is short. */
void *plk_copy(const pluck_allocator *allocator, const void *bytes, size_t n_bytes);

/*
 * Arrays that end together. A failure sticks: adding gives NULL from then on, so that it is enough
 * to ask once, after the last one.
 */
typedef struct plk_arrays {
    pluck_allocator allocator;
    struct plk_array_link *last;
    size_t failed_bytes; /* 0: all were allocated */
} plk_arrays;

/* n items of size_bytes, n = 0 as one; the second clears them. An object that holds its arrays may
 * be the first of them. */
void *plk_arrays_add(plk_arrays *arrays, size_t n, size_t size_bytes);
void *plk_arrays_add_zero(plk_arrays *arrays, size_t n, size_t size_bytes);

/* PLUCK_ERR_NOMEM if one could not be allocated. */
pluck_status plk_arrays_check(const plk_arrays *arrays, pluck_error *err);

/* Leaves none. */
void plk_arrays_free(plk_arrays *arrays);

/* *sum = a + b, *product = a * b; false, and nothing written, on overflow. */
bool plk_add_size(size_t a, size_t b, size_t *sum);
bool plk_mul_size(size_t a, size_t b, size_t *product);

/* Whether a must stand before b. */
typedef bool (*plk_before)(const void *a, const void *b);

bool plk_is_sorted(const void *items, size_t n, size_t size_bytes, plk_before before);

/* A stable sort whose time no input can make quadratic. scratch has room for n items of
 * size_bytes. */
void plk_sort(void *items, void *scratch, size_t n, size_t size_bytes, plk_before before);

#endif
