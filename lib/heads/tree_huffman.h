/*
 * The merging loop of Huffman's algorithm, for readers of files whose counts are in the order that
 * their trainer saw.
 */
#ifndef PLK_TREE_HUFFMAN_H
#define PLK_TREE_HUFFMAN_H

#include "heads/code_tree.h"

/*
 * Builds children[n_tokens - 1][2] with the leaves in the order in which counts gives them, sorted
 * or not: order[i] is the token of the i-th, or NULL for i itself. sums: n_tokens - 1 numbers of
 * scratch. The sum of the counts is at most INT64_MAX.
 */
void plk_tree_huffman_merge(const int64_t *counts, const uint32_t *order, uint32_t n_tokens,
                            int64_t *sums, int32_t *children);

#endif
