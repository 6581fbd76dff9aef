/*
 * An allocator that counts, fails on request, and knows its own memory: freeing something else, or
 * twice, ends the program.
 */
#ifndef ALLOCATOR_H
#define ALLOCATOR_H

#include <pluck/base.h>

#include <stddef.h>

/* The sizes that were asked for before and after one that was refused. */
enum { TEST_ALLOCATOR_NEAR = 8, TEST_ALLOCATOR_SIZES = 2 * TEST_ALLOCATOR_NEAR + 1 };

typedef struct test_allocator {
    pluck_allocator interface; /* to give to the library */
    uint64_t n_allocations;    /* asked for so far, failed ones included */
    uint64_t n_bytes;          /* of these */
    uint64_t n_live;           /* allocated and not yet freed */
    uint64_t fail_at; /* that many more succeed and the next one fails; UINT64_MAX: never */
    bool failed;      /* whether one has failed */
    size_t sizes[TEST_ALLOCATOR_SIZES]; /* the refused one in the middle, 0 where there is none */
    size_t n_after;                     /* sizes that were asked for after it */
} test_allocator;

/* allocator must stay where it is: interface points at it. */
void test_allocator_init(test_allocator *allocator);

/* Whether the error says so, and the number of bytes in it, if any, was asked for. One message may
 * stand for several requests: the number is a size that was asked for next to the refused one and
 * not smaller, or the sum of that one and its neighbours. */
bool test_allocator_explains(const test_allocator *allocator, const pluck_error *err);

#endif
