/*
 * An allocator that counts, fails on request, and knows its own memory: freeing something else, or
 * twice, ends the program.
 */
#ifndef TEST_ALLOCATOR_H
#define TEST_ALLOCATOR_H

#include <pluck/base.h>

typedef struct test_allocator {
    pluck_allocator interface; /* to give to the library */
    uint64_t n_allocations;    /* asked for so far, failed ones included */
    uint64_t n_bytes;          /* of these */
    uint64_t n_live;           /* allocated and not yet freed */
    uint64_t fail_at; /* that many more succeed and the next one fails; UINT64_MAX: never */
    bool failed;      /* whether one has failed */
} test_allocator;

/* allocator must stay where it is: interface points at it. */
void test_allocator_init(test_allocator *allocator);

#endif
