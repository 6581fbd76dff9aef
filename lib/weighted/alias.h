/*
 * The inside of an alias table.
 */
#ifndef PL_ALIAS_H
#define PL_ALIAS_H

#include <pluck/weighted.h>

/* Cell i is i itself with probability threshold / 2^32, else alias. A cell that is all i's has
 * threshold 0 and alias i. */
typedef struct pl_alias_cell {
    uint32_t threshold;
    uint32_t alias;
} pl_alias_cell;

struct pluck_alias {
    pluck_allocator allocator;
    uint32_t n;
    pl_alias_cell *cells;
};

/* A table whose n cells are not filled in. */
pluck_status pl_alias_alloc(pluck_alias **out, uint32_t n, const pluck_allocator *allocator,
                            pluck_error *err);

/* How many of n 2^32 each entry has, for checked weights and their sum. */
void pl_alias_units(pluck_weights weights, double total, uint64_t *units);

#endif
