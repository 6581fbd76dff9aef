/*
 * The inside of an alias table.
 */
#ifndef PLK_ALIAS_H
#define PLK_ALIAS_H

#include <pluck/weighted.h>

/* Cell i is i itself with probability threshold / 2^32, else alias. A cell that is all i's has
 * threshold 0 and alias i. */
typedef struct plk_alias_cell {
    uint32_t threshold;
    uint32_t alias;
} plk_alias_cell;

struct pluck_alias {
    pluck_allocator allocator;
    uint32_t n;
    plk_alias_cell *cells;
};

/* A table whose n cells are not filled in. */
pluck_status plk_alias_alloc(pluck_alias **out, uint32_t n, const pluck_allocator *allocator,
                             pluck_error *err);

/* How many of n 2^32 each entry has, for checked weights and their sum. */
void plk_alias_units(pluck_weights weights, double total, uint64_t *units);

#endif
