/*
 * The inside of stored distributions: the weights that they are made from, and the three kinds.
 */
#ifndef PLK_WEIGHTED_KINDS_H
#define PLK_WEIGHTED_KINDS_H

#include "file/file.h"

#include <pluck/weighted.h>

/*
 * Weights
 */

/* Weight i as a double, exactly. */
double plk_weight_at(pluck_weights weights, uint32_t i);

/* Refuses what <pluck/weighted.h> says weights must not be; function begins the messages. *total
 * is their sum, within 2^-52 of it; *n_positive is how many are above 0. */
pluck_status plk_weights_check(pluck_weights weights, const char *function, double *total,
                               uint32_t *n_positive, pluck_error *err);

/* PLUCK_ERR_INVALID unless index < n. */
pluck_status plk_weights_check_index(const char *function, uint32_t index, uint32_t n,
                                     pluck_error *err);

/* The power of two by which a draw multiplies weights with this total: 1, unless the product of
 * total and random number could be subnormal, which would round the ratios of weights away. */
double plk_weights_scale(double total);

/*
 * Alias tables
 */

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

/*
 * Sum trees
 */

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

/*
 * Huffman-shaped trees
 */

/* A child with this bit is entry child - PLK_HUFFMAN_LEAF, else a node. */
#define PLK_HUFFMAN_LEAF ((uint32_t)1 << 31)

typedef struct plk_huffman_node {
    double left; /* the weight of the entries under children[0] */
    uint32_t children[2];
} plk_huffman_node;

struct pluck_huffman {
    pluck_allocator allocator;
    uint32_t n;
    uint32_t root; /* a child */
    double total;
    double mean_depth;
    double *weights;         /* [n] */
    plk_huffman_node *nodes; /* [entries of positive weight - 1], the root first */
};

/*
 * Files
 */

/* The load functions on bytes that are there: source is not closed. */
pluck_status plk_alias_read(pluck_alias **out, const plk_source *source,
                            const pluck_allocator *allocator, pluck_error *err);
pluck_status plk_sum_tree_read(pluck_sum_tree **out, const plk_source *source,
                               const pluck_allocator *allocator, pluck_error *err);
pluck_status plk_huffman_read(pluck_huffman **out, const plk_source *source,
                              const pluck_allocator *allocator, pluck_error *err);

#endif
