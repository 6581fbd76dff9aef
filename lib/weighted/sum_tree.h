/*
 * The inside of a sum tree.
 */
#ifndef PLK_SUM_TREE_H
#define PLK_SUM_TREE_H

#include <pluck/weighted.h>

enum { PLK_SUM_TREE_FAN = 8, PLK_SUM_TREE_MAX_LEVELS = 12 };

struct pluck_sum_tree {
    pluck_allocator allocator;
    uint32_t n;
    uint32_t n_levels; /* below the root: at least 1 */
    /* levels[0] are the weights, levels[k + 1][i] the sum of levels[k][8 i .. 8 i + 7]; each is
     * padded with zeros to a multiple of 8, but for the root, levels[n_levels][0]. */
    double *levels[PLK_SUM_TREE_MAX_LEVELS];
    void *memory;
};

#endif
