/*
 * Stored distributions: build one from weights, and draw from it many times. A distribution of n
 * weights has n entries, and entry i has the probability weight[i] / sum of all weights. There are
 * three kinds:
 *
 *                            memory       build   draw       change a weight
 *   PLUCK_WEIGHTED_ALIAS     8 n bytes    O(n)    O(1)       build anew
 *   PLUCK_WEIGHTED_SUM_TREE  9.2 n bytes  O(n)    O(log n)   O(log n)
 *   PLUCK_WEIGHTED_HUFFMAN   24 n bytes   O(n)    O(H + 1)   build anew
 *
 * H is the entropy of the distribution in bits. Use the alias table for many draws from one
 * distribution, and the sum tree for a distribution that changes between draws. Use the
 * Huffman-shaped tree when few entries have most of the probability and an alias table would not
 * stay in the cache. For one draw from fresh logits use a sampler (sampler.h), which builds
 * nothing.
 *
 *     pluck_weighted *table = NULL;
 *     pluck_weights weights = {w, PLUCK_F32, n};
 *     pluck_pcg64 rng;
 *     uint32_t indices[100];
 *     if (pluck_weighted_create(&table, PLUCK_WEIGHTED_ALIAS, weights, NULL, &err) == PLUCK_OK) {
 *         pluck_pcg64_seed(&rng, seed, stream, position);
 *         pluck_weighted_draw(table, &rng, 100, indices, &err);
 *     }
 *     pluck_weighted_destroy(&table);
 *
 * Results have the same bits on every machine. An object may be used by many threads at once, each
 * with its own rng, as long as none of them calls pluck_weighted_set().
 */
#ifndef PLUCK_WEIGHTED_H
#define PLUCK_WEIGHTED_H

#include <pluck/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Alias table
 *
 * A. J. Walker, "An efficient method for generating discrete random variables with general
 * distributions", ACM TOMS 3(3), 1977; built in linear time as M. D. Vose (1991) does, by the sweep
 * of Huebschle-Schneider and Sanders (2019), in integers.
 *
 * Exactness. The weights become integers m[i] whose sum is exactly n 2^32; the table holds the
 * distribution m[i] / (n 2^32) without any further error. m[i] is 0 where the weight is 0, and
 *     |m[i] / (n 2^32) - weight[i] / sum| <= 2^-32 / n + 2^-51,
 * so that the absolute errors of all probabilities add up to at most 2^-32 + 2^-50. The probability
 * of an entry may become 0 if it is below 2^-32 / n. A draw uses one 64-bit number. Unless n is a
 * power of two, 2^64 is not a multiple of n 2^32; this adds at most 2^-64 to the absolute error of
 * a probability for each cell in which the entry has a part (pluck_weighted_save() says what a cell
 * is).
 *
 * Sum tree
 *
 * A tree of sums over 8 entries each (C. K. Wong, M. C. Easton, "An efficient method for weighted
 * sampling without replacement", SIAM J. Comput. 9, 1980, with wider nodes). Whenever one of the 8
 * entries of a sum changes, the sum is computed anew from all 8 in a fixed order. So the tree
 * depends only on the present weights, not on earlier ones, and rounding errors do not accumulate.
 *
 * Exactness. A draw uses one 64-bit number: its upper 53 bits are a double on [0, 1), with which
 * the draw goes down the tree. With L levels (L = 1 for n <= 8, 8 for n = 2^24) the absolute error
 * of a probability is at most (8 L + 2) 2^-53.
 *
 * Huffman-shaped tree
 *
 * A draw is a binary search for a random number, down the tree of D. A. Huffman's code (1952) for
 * the weights. The mean number of comparisons is in [H, H + 1), and no tree of comparisons has a
 * smaller mean. Entries of weight 0 are not in the tree. An entry can be as deep as n - 1
 * comparisons.
 *
 * Exactness. A draw uses one 64-bit number: its upper 53 bits are a double on [0, 1). An entry is
 * at depth d if d comparisons lead to it; the absolute error of its probability is at most
 * (3 d + 2) 2^-53.
 */
typedef enum pluck_weighted_kind {
    PLUCK_WEIGHTED_ALIAS = 0,
    PLUCK_WEIGHTED_SUM_TREE = 1,
    PLUCK_WEIGHTED_HUFFMAN = 2
} pluck_weighted_kind;

/* The largest number of weights: n is in [1, PLUCK_MAX_WEIGHTS]. */
#define PLUCK_MAX_WEIGHTS ((uint32_t)1 << 30)

/* n weights at data, of type PLUCK_F32 or PLUCK_F64, at any alignment. */
typedef struct pluck_weights {
    const void *data;
    pluck_dtype dtype;
    uint32_t n;
} pluck_weights;

typedef struct pluck_weighted pluck_weighted;

/*
 * Builds a distribution; the weights are read during the call only. On failure *out is NULL.
 * Weights must be finite and >= 0, in any scale, and at least one must be positive; -0 counts as 0.
 * Only their ratios matter: subnormal weights are as exact as others.
 *
 * Returns PLUCK_ERR_NAN if a weight is NaN or infinite, PLUCK_ERR_INVALID if one is negative (both
 * messages name the first such weight) or if the sum overflows a double, and PLUCK_ERR_EMPTY if all
 * weights are 0. The allocator may be NULL; otherwise it must outlive the object. During the call,
 * building an alias table takes another 8 n bytes of memory, and building a Huffman-shaped tree
 * another 32 n bytes.
 */
PLUCK_API pluck_status pluck_weighted_create(pluck_weighted **out, pluck_weighted_kind kind,
                                             pluck_weights weights,
                                             const pluck_allocator *allocator, pluck_error *err);

PLUCK_API void pluck_weighted_destroy(pluck_weighted **weighted);

/*
 * Writes a .safetensors file, which appears whole or not at all. Its "__metadata__" has "format":
 * "pluck-weighted" and "kind". The tensor depends on the kind. PLUCK_ERR_EMPTY if all weights of a
 * sum tree are 0.
 *   kind "alias"      tensor "cells", U32 [n, 2]: for each cell a threshold t and an entry a. Each
 *                     cell has the probability 1 / n. Cell i gives entry i with probability
 *                     t / 2^32, else the entry a.
 *   kind "sum_tree"   tensor "weights", F64 [n]
 *   kind "huffman"    tensor "weights", F64 [n]; the tree is built again when the file is opened
 */
PLUCK_API pluck_status pluck_weighted_save(const pluck_weighted *weighted, const char *path,
                                           pluck_error *err);

/* Reads a saved distribution. It has the kind that was saved, and gives the same draws as the saved
 * one. The file is closed before the call returns. PLUCK_ERR_FORMAT if the file is not a valid
 * stored distribution; its bytes may come from an untrusted source. PLUCK_ERR_CONFIG if the library
 * was built without JSON. */
PLUCK_API pluck_status pluck_weighted_open(pluck_weighted **out, const char *path,
                                           const pluck_allocator *allocator, pluck_error *err);

/* The number of entries; 0 for NULL. */
PLUCK_API uint32_t pluck_weighted_size(const pluck_weighted *weighted);

/* The sum of the weights; 0 for NULL. 1 for an alias table, which does not keep their scale. */
PLUCK_API double pluck_weighted_total(const pluck_weighted *weighted);

/* The mean number of comparisons per draw: 1 for an alias table, 8 times the number of levels for a
 * sum tree, and the mean depth for a Huffman-shaped tree (0 if one entry has all the weight). 0 for
 * NULL. */
PLUCK_API double pluck_weighted_mean_depth(const pluck_weighted *weighted);

/*
 * Draws n entries and writes their indices. Each draw uses one number of rng, so that one call for
 * n draws and n calls for one draw each give the same indices and leave rng in the same state; one
 * call is faster. An entry of weight 0 is never drawn. Allocates nothing. PLUCK_ERR_EMPTY if all
 * weights of a sum tree are 0; then nothing is written and rng does not change.
 */
PLUCK_API pluck_status pluck_weighted_draw(const pluck_weighted *weighted, pluck_pcg64 *rng,
                                           size_t n, uint32_t *indices, pluck_error *err);

/* *prob becomes the probability of one entry as stored, without the error that drawing adds. For an
 * alias table it is m[index] / (n 2^32), which takes O(n); for a tree it is weight / total.
 * PLUCK_ERR_EMPTY if all weights of a sum tree are 0. */
PLUCK_API pluck_status pluck_weighted_probability(const pluck_weighted *weighted, uint32_t index,
                                                  double *prob, pluck_error *err);

/* Writes the probabilities of all n entries to probs, as pluck_weighted_probability() gives them.
 * Takes O(n). */
PLUCK_API pluck_status pluck_weighted_probabilities(const pluck_weighted *weighted, double *probs,
                                                    pluck_error *err);

/*
 * Changes one weight of a sum tree; other kinds give PLUCK_ERR_INVALID. Afterwards the tree is the
 * one that pluck_weighted_create() makes from the present weights. All weights may become 0; draws
 * then give PLUCK_ERR_EMPTY. The weight must be finite and >= 0, and the sum of all weights must
 * not overflow a double, with the errors of pluck_weighted_create(). No other thread may use the
 * tree during the call. Allocates nothing.
 */
PLUCK_API pluck_status pluck_weighted_set(pluck_weighted *tree, uint32_t index, double weight,
                                          pluck_error *err);

/* One weight of a sum tree; other kinds give PLUCK_ERR_INVALID. */
PLUCK_API pluck_status pluck_weighted_get(const pluck_weighted *tree, uint32_t index,
                                          double *weight, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
