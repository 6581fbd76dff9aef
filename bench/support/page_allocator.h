/*
 * An allocator that counts, and knows which of its memory has been touched: large pieces are pages
 * of their own, which the system commits when they are first used.
 */
#ifndef BENCH_PAGE_ALLOCATOR_H
#define BENCH_PAGE_ALLOCATOR_H

#include <pluck/base.h>

enum { PAGE_ALLOCATOR_PIECES = 256 };

typedef struct page_allocator {
    pluck_allocator interface; /* to give to the library */
    size_t n_allocations;      /* so far */
    size_t n_bytes;            /* of these */
    struct {
        unsigned char *memory;
        size_t size_bytes;
        bool is_mapped;
    } pieces[PAGE_ALLOCATOR_PIECES];
    size_t n_pieces;
} page_allocator;

/* allocator must stay where it is: interface points at it. */
void page_allocator_init(page_allocator *allocator);

/* Bytes of what is allocated now that were touched; small pieces count whole. */
size_t page_allocator_touched(const page_allocator *allocator);

#endif
