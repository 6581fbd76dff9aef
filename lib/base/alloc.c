/*
 * Allocation through the caller's functions. Products are checked before they reach the allocator,
 * so that a hostile size gives NULL and never a short block.
 */
#include "base/alloc.h"

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
