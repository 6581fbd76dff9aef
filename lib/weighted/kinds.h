/*
 * The inside of stored distributions: a table of functions per kind, and what each kind keeps. The
 * public functions (weighted.c) check their arguments and enter the floating-point environment.
 */
#ifndef PLK_WEIGHTED_KINDS_H
#define PLK_WEIGHTED_KINDS_H

#include "base/alloc.h"
#include "file/file.h"

#include <pluck/weighted.h>

typedef struct plk_weighted_ops {
    pluck_weighted_kind kind;
    const char *name; /* in files */

    /* From checked weights: their sum, and how many are above 0. Adds its arrays to the memory of
     * weighted. PLUCK_ERR_INVALID: the sum overflows, in the order in which it was taken here. */
    pluck_status (*build)(pluck_weighted *weighted, pluck_weights weights, double total,
                          uint32_t n_positive, pluck_error *err);

    void (*draw)(const pluck_weighted *weighted, pluck_pcg64 *rng, size_t n, uint32_t *indices);
    double (*probability)(const pluck_weighted *weighted, uint32_t index);
    /* All at once; NULL: one by one. */
    void (*probabilities)(const pluck_weighted *weighted, double *probs);
} plk_weighted_ops;

extern const plk_weighted_ops plk_weighted_alias;
extern const plk_weighted_ops plk_weighted_sum_tree;
extern const plk_weighted_ops plk_weighted_huffman;

/* Cell i is i itself with probability threshold / 2^32, else alias. A cell that is all i's has
 * threshold 0 and alias i. */
typedef struct plk_alias_cell {
    uint32_t threshold;
    uint32_t alias;
} plk_alias_cell;

enum { PLK_SUM_TREE_FAN = 8, PLK_SUM_TREE_MAX_LEVELS = 12 };

typedef struct plk_sum_tree {
    uint32_t n_levels; /* below the root: at least 1 */
    /* levels[0] are the weights, levels[k + 1][i] the sum of levels[k][8 i .. 8 i + 7]; each is
     * padded with zeros to a multiple of 8, but for the root, levels[n_levels][0]. */
    double *levels[PLK_SUM_TREE_MAX_LEVELS];
} plk_sum_tree;

/* A child with this bit is entry child - PLK_HUFFMAN_LEAF, else a node. */
#define PLK_HUFFMAN_LEAF ((uint32_t)1 << 31)

typedef struct plk_huffman_node {
    double left; /* the weight of the entries under children[0] */
    uint32_t children[2];
} plk_huffman_node;

typedef struct plk_huffman {
    uint32_t root; /* a child */
    double total;
    double mean_depth;
    double *weights;         /* [n] */
    plk_huffman_node *nodes; /* [entries of positive weight - 1], the root first */
} plk_huffman;

struct pluck_weighted {
    plk_arrays memory;
    const plk_weighted_ops *ops;
    uint32_t n;
    union {
        plk_alias_cell *cells; /* alias table: [n] */
        plk_sum_tree sum_tree;
        plk_huffman huffman;
    };
};

static inline double plk_sum_tree_total(const pluck_weighted *tree)
{
    return tree->sum_tree.levels[tree->sum_tree.n_levels][0];
}

/* Sets one weight, which is finite and >= 0, and the sums above it. */
void plk_sum_tree_set(pluck_weighted *tree, uint32_t index, double weight);

/* Weight i as a double, exactly. */
double plk_weight_at(pluck_weights weights, uint32_t i);

/* Refuses what <pluck/weighted.h> says weights must not be. *total is their sum, within 2^-52 of
 * it; *n_positive is how many are above 0. */
pluck_status plk_weights_check(pluck_weights weights, double *total, uint32_t *n_positive,
                               pluck_error *err);

/* PLUCK_ERR_INVALID: the sum of the weights overflows a double. */
pluck_status plk_weights_fail_sum(pluck_error *err);

/* The power of two by which a draw multiplies weights with this total: 1, unless the product of
 * total and random number could be subnormal, which would round the ratios of weights away. */
double plk_weights_scale(double total);

/* How many of n 2^32 each entry has, for checked weights and their sum. */
void plk_alias_units(pluck_weights weights, double total, uint64_t *units);

/* pluck_weighted_open() on bytes that are there: source is not closed. */
pluck_status plk_weighted_read(pluck_weighted **out, const plk_source *source,
                               const pluck_allocator *allocator, pluck_error *err);

#endif
