/*
 * The inside of a Huffman-shaped sampling tree.
 */
#ifndef PLK_HUFFMAN_H
#define PLK_HUFFMAN_H

#include <pluck/weighted.h>

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

#endif
