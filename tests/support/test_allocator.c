/*
 * Each block is preceded by a mark that freeing removes. New memory is filled with a pattern, so
 * that nothing can rely on zeroes.
 */
#include "support/test_allocator.h"

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

static void *allocate(void *user, size_t size_bytes)
{
    enum { FILL = 0xA5, MOST_FILLED = 1 << 16 };
    test_allocator *allocator = user;
    allocator->n_allocations++;
    allocator->n_bytes += size_bytes;
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
