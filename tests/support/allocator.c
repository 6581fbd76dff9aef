/*
 * Each block is preceded by a mark that freeing removes. New memory is filled with a pattern, so
 * that nothing can rely on zeroes.
 */
#include "support/allocator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t mark = UINT64_C(0x6B636F6C42657541);

typedef union header {
    struct {
        uint64_t mark;
        const test_allocator *owner;
    } info;
    max_align_t alignment;
} header;

static void record(test_allocator *allocator, size_t size_bytes)
{
    size_t *middle = allocator->sizes + TEST_ALLOCATOR_NEAR;
    if (!allocator->failed) {
        memmove(allocator->sizes, allocator->sizes + 1, TEST_ALLOCATOR_NEAR * sizeof *middle);
        memset(middle, 0, (TEST_ALLOCATOR_NEAR + 1) * sizeof *middle);
        *middle = size_bytes;
        allocator->n_after = 0;
    } else if (allocator->n_after < TEST_ALLOCATOR_NEAR) {
        middle[++allocator->n_after] = size_bytes;
    }
}

static void *allocate(void *user, size_t size_bytes)
{
    enum { FILL = 0xA5, MOST_FILLED = 1 << 16 };
    test_allocator *allocator = user;
    allocator->n_allocations++;
    allocator->n_bytes += size_bytes;
    record(allocator, size_bytes);
    if (allocator->fail_at == 0) {
        allocator->failed = true;
        allocator->fail_at = UINT64_MAX;
        return NULL;
    }
    if (allocator->fail_at != UINT64_MAX)
        allocator->fail_at--;
    header *block = malloc(sizeof *block + size_bytes);
    if (!block)
        return NULL;
    block->info.mark = mark;
    block->info.owner = allocator;
    allocator->n_live++;
    memset(block + 1, FILL, size_bytes < MOST_FILLED ? size_bytes : MOST_FILLED);
    return block + 1;
}

static void release(void *user, void *memory)
{
    test_allocator *allocator = user;
    header *block = (header *)memory - 1;
    if (block->info.mark != mark || block->info.owner != allocator) {
        fputs("test_allocator: freeing memory that is not allocated here\n", stderr);
        abort();
    }
    block->info.mark = 0;
    allocator->n_live--;
    free(block);
}

void test_allocator_init(test_allocator *allocator)
{
    *allocator = (test_allocator){
        .interface = {.alloc = allocate, .free = release, .user = allocator},
        .fail_at = UINT64_MAX,
    };
}

bool test_allocator_explains(const test_allocator *allocator, const pluck_error *err)
{
    static const char before[] = "out of memory: ";
    const char *number = strstr(err->message, before);
    if (!allocator->failed || !number)
        return false;
    if (!strstr(number, "bytes were asked for"))
        return true;
    size_t told = (size_t)strtoull(number + strlen(before), NULL, 10);
    size_t refused = allocator->sizes[TEST_ALLOCATOR_NEAR];
    for (size_t begin = 0; begin <= TEST_ALLOCATOR_NEAR && told >= refused; begin++) {
        size_t sum = 0;
        for (size_t i = begin; i < TEST_ALLOCATOR_SIZES; i++) {
            sum += allocator->sizes[i];
            if (told == allocator->sizes[i] || (i >= TEST_ALLOCATOR_NEAR && told == sum))
                return true;
        }
    }
    fprintf(stderr, "'%s', but %zu bytes were refused\n", err->message, refused);
    return false;
}
