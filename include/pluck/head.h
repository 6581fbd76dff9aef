/*
 * Code trees, on which heads are built that need no logit of every token.
 */
#ifndef PLUCK_HEAD_H
#define PLUCK_HEAD_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Code trees
 *
 * A full binary tree: n_tokens leaves, n_tokens - 1 inner nodes. Leaves are numbered 0 .. n_tokens
 * - 1 by token, inner nodes from n_tokens on, a node always above its children; the root is the
 * last, 2 n_tokens - 2. One token alone is the root, and has an empty code. The code of a token is
 * the way from the root to it: 0 is left, 1 is right. A tree is constant once created. Any depth
 * is allowed up to n_tokens - 1; nothing recurses. allocator may be NULL, and must outlive the
 * tree.
 */
typedef struct pluck_tree pluck_tree;

/*
 * The Huffman tree of counts[n_tokens], all >= 0 and their sum at most INT64_MAX, node for node as
 * word2vec and fastText build it: tokens in descending order of count, ties in ascending order of
 * token; two cursors, over the leaves from the smallest count up and over the inner nodes from the
 * oldest; the leaf is taken only if its count is strictly smaller. The first taken becomes the
 * left child. Inner node n_tokens + i uses row i of their output matrix. The mean code length is
 * within [H, H + 1) bits of the entropy H of the counts, if two of them are above 0. O(n_tokens
 * log n_tokens).
 */
PLUCK_API pluck_status pluck_tree_huffman(pluck_tree **out, const int64_t *counts,
                                          uint32_t n_tokens, const pluck_allocator *allocator,
                                          pluck_error *err);

/* All codes floor(log2 n_tokens) or one more bits long, tokens in order from left to right. */
PLUCK_API pluck_status pluck_tree_balanced(pluck_tree **out, uint32_t n_tokens,
                                           const pluck_allocator *allocator, pluck_error *err);

/*
 * The tree with these codes: the code of token t is the bytes bits[ends[t - 1] .. ends[t] - 1]
 * (from 0 for t = 0), each 0 or 1. No code may be the beginning of another, and together they must
 * fill the tree: PLUCK_ERR_INVALID says which token breaks that.
 */
PLUCK_API pluck_status pluck_tree_from_codes(pluck_tree **out, const uint8_t *bits,
                                             const size_t *ends, uint32_t n_tokens,
                                             const pluck_allocator *allocator, pluck_error *err);

/* The tree with these children: children[2 i] and children[2 i + 1] are the left and right child of
 * node n_tokens + i, numbered as above. Copied. */
PLUCK_API pluck_status pluck_tree_from_children(pluck_tree **out, const int32_t *children,
                                                uint32_t n_tokens, const pluck_allocator *allocator,
                                                pluck_error *err);

/*
 * A tree in which near vectors share a long beginning of their codes: 2-means, again and again
 * (Lloyd's algorithm, at most 16 rounds each, from a vector chosen by seed and the one farthest
 * from it). Each side gets at least a sixteenth of the vectors, and half of them where all are the
 * same, so that the depth stays below 11 log2 n_tokens + 2. vectors: [n_tokens, dim], magnitudes
 * at most 1e15. The same seed gives the same tree everywhere. O(n_tokens dim depth).
 */
PLUCK_API pluck_status pluck_tree_from_vectors(pluck_tree **out, const float *vectors,
                                               uint32_t n_tokens, uint32_t dim, uint64_t seed,
                                               const pluck_allocator *allocator, pluck_error *err);

PLUCK_API void pluck_tree_destroy(pluck_tree **tree);

PLUCK_API uint32_t pluck_tree_n_tokens(const pluck_tree *tree);

/* 2 (n_tokens - 1) numbers, as pluck_tree_from_children() takes them; valid as long as the tree. */
PLUCK_API const int32_t *pluck_tree_children(const pluck_tree *tree);

/* Writes the first capacity bits of the code of token, a byte each (0 or 1), root first, and its
 * length to *length. bits may be NULL if capacity is 0. */
PLUCK_API pluck_status pluck_tree_code(const pluck_tree *tree, pluck_token token, uint8_t *bits,
                                       size_t capacity, size_t *length, pluck_error *err);

typedef struct pluck_tree_stats {
    uint32_t n_tokens;
    uint32_t min_length, max_length; /* of a code, in bits */
    double mean_length;              /* weighted by counts if given, else over tokens */
    double entropy_bits;             /* of the counts; of n_tokens equal ones if not given */
} pluck_tree_stats;

/* counts[n_tokens] >= 0, or NULL. histogram may be NULL; histogram[l] = tokens whose code has l
 * bits, for l < histogram_size. Allocates. */
PLUCK_API pluck_status pluck_tree_get_stats(const pluck_tree *tree, const int64_t *counts,
                                            pluck_tree_stats *stats, uint32_t *histogram,
                                            size_t histogram_size, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
