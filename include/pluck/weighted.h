/*
 * Stored distributions: build once from weights, draw many times. Entry i of n weights has the
 * probability weight[i] / sum of all.
 *
 *                   memory an entry   build     draw          change a weight
 *   pluck_alias     8 bytes           O(n)      O(1)          build anew
 *   pluck_sum_tree  9.2 bytes         O(n)      O(log n)      O(log n)
 *   pluck_huffman   24 bytes          O(n)      O(H + 1)      build anew
 *
 * H is the entropy of the distribution in bits. Take the alias table for many draws from one
 * distribution, the sum tree for a distribution that changes between draws, the Huffman-shaped tree
 * when few entries hold most of the mass and the table would not stay in the cache. For one draw
 * from fresh logits take a sampler (sampler.h), which builds nothing.
 *
 *     pluck_alias *table = NULL;
 *     pluck_pcg64 rng;
 *     uint32_t index;
 *     if (pluck_alias_create(&table, (pluck_weights){w, PLUCK_WEIGHTS_F32, n}, NULL, &err) ==
 *         PLUCK_OK) {
 *         pluck_pcg64_seed(&rng, seed, stream, position);
 *         pluck_alias_draw(table, &rng, &index, &err);
 *     }
 *     pluck_alias_destroy(&table);
 *
 * Common to all
 *   - Weights are finite and >= 0, in any scale; at least one is positive. NaN or an infinity gives
 *     PLUCK_ERR_NAN naming the first such entry, a negative weight PLUCK_ERR_INVALID, a sum that
 *     overflows a double PLUCK_ERR_INVALID, a sum of 0 PLUCK_ERR_EMPTY. -0 counts as 0. The weights
 *     are copied; the caller's array is read during creation only.
 *   - An entry of weight 0 is never drawn. Only the ratios of weights matter: subnormal ones are as
 *     exact as any.
 *   - draw_many gives what as many draws one by one give, faster, and leaves rng where they do.
 *     Every draw takes one number of rng.
 *   - Draws, changes and probabilities allocate nothing. Results are the same bits on every
 *     machine.
 *   - Tables and trees that do not change may be used by many threads at once, each with a rng of
 *     its own; pluck_sum_tree_set() needs its tree for itself.
 *   - save writes a .safetensors file, whole or not at all; load reads it back to the same draws.
 *     A file that is not what it should be is PLUCK_ERR_FORMAT, whatever its bytes are. The layout
 *     is at each save. "__metadata__" holds "format": "pluck-weighted" and "kind".
 *   - allocator may be NULL, and must outlive the object.
 */
#ifndef PLUCK_WEIGHTED_H
#define PLUCK_WEIGHTED_H

#include <pluck/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pluck_weights_type {
    PLUCK_WEIGHTS_F32 = 0, /* float */
    PLUCK_WEIGHTS_F64 = 1  /* double */
} pluck_weights_type;

/* The most weights: n is in [1, PLUCK_MAX_WEIGHTS] everywhere. */
#define PLUCK_MAX_WEIGHTS ((uint32_t)1 << 30)

/* n weights, of any alignment. */
typedef struct pluck_weights {
    const void *data;
    pluck_weights_type type;
    uint32_t n;
} pluck_weights;

/*
 * Alias table
 *
 * A. J. Walker, "An efficient method for generating discrete random variables with general
 * distributions", ACM TOMS 3(3), 1977; built in linear time as M. D. Vose (1991) does, by the sweep
 * of Huebschle-Schneider and Sanders (2019), in integers.
 *
 * Exactness. The weights become integers m[i] with the sum n 2^32, exactly; the table holds the
 * distribution m[i] / (n 2^32) without any further error. m[i] is 0 where the weight is 0, and
 *     |m[i] / (n 2^32) - weight[i] / sum| <= 2^-32 / n + 2^-51,
 * so that all probabilities together are off by at most 2^-32 + 2^-50 in sum of absolute values
 * (an entry whose probability is below 2^-32 / n may become 0). A draw takes one 64-bit number:
 * that there are 2^64 of them, and not a multiple of n 2^32, moves a probability by at most 2^-64
 * for each cell in which the entry has a part.
 */
typedef struct pluck_alias pluck_alias;

/* O(n). On failure *out is NULL. While it runs it needs 8 more bytes an entry. */
PLUCK_API pluck_status pluck_alias_create(pluck_alias **out, pluck_weights weights,
                                          const pluck_allocator *allocator, pluck_error *err);
PLUCK_API void pluck_alias_destroy(pluck_alias **alias);

/* The number of entries; 0 for NULL. */
PLUCK_API uint32_t pluck_alias_size(const pluck_alias *alias);

PLUCK_API pluck_status pluck_alias_draw(const pluck_alias *alias, pluck_pcg64 *rng, uint32_t *index,
                                        pluck_error *err);
PLUCK_API pluck_status pluck_alias_draw_many(const pluck_alias *alias, pluck_pcg64 *rng,
                                             size_t n_draws, uint32_t *indices, pluck_error *err);

/* *prob = m[index] / (n 2^32). O(n): the table does not store it. */
PLUCK_API pluck_status pluck_alias_probability(const pluck_alias *alias, uint32_t index,
                                               double *prob, pluck_error *err);

/* All n of them. O(n). */
PLUCK_API pluck_status pluck_alias_probabilities(const pluck_alias *alias, double *probs,
                                                 pluck_error *err);

/* "kind": "alias"; tensor "cells", U32 [n, 2]: a threshold t and another entry a. Cell i is i with
 * probability t / 2^32 and a otherwise; each cell has probability 1 / n. */
PLUCK_API pluck_status pluck_alias_save(const pluck_alias *alias, const char *path,
                                        pluck_error *err);
PLUCK_API pluck_status pluck_alias_load(pluck_alias **out, const char *path,
                                        const pluck_allocator *allocator, pluck_error *err);

/*
 * Sum tree
 *
 * A tree of sums over 8 entries each (C. K. Wong, M. C. Easton, "An efficient method for weighted
 * sampling without replacement", SIAM J. Comput. 9, 1980, with wider nodes). Every sum is computed
 * from its 8 parts in a fixed order whenever one of them changes: the tree depends on the present
 * weights alone, not on how they came about, and nothing drifts.
 *
 * Exactness. A draw takes a double u on [0, 1) of 53 bits and goes down the tree; with L levels
 * (L = 1 for n <= 8, 8 for n = 2^24) a probability is off by at most (8 L + 2) 2^-53.
 */
typedef struct pluck_sum_tree pluck_sum_tree;

/* O(n). On failure *out is NULL. */
PLUCK_API pluck_status pluck_sum_tree_create(pluck_sum_tree **out, pluck_weights weights,
                                             const pluck_allocator *allocator, pluck_error *err);
PLUCK_API void pluck_sum_tree_destroy(pluck_sum_tree **tree);

/* The number of entries, 0 for NULL; the sum of the weights, 0 for NULL. */
PLUCK_API uint32_t pluck_sum_tree_size(const pluck_sum_tree *tree);
PLUCK_API double pluck_sum_tree_total(const pluck_sum_tree *tree);

/* Changes one weight. It is as if the tree had been created with it, but that all weights may
 * become 0 (draws then give PLUCK_ERR_EMPTY). On failure nothing changed. */
PLUCK_API pluck_status pluck_sum_tree_set(pluck_sum_tree *tree, uint32_t index, double weight,
                                          pluck_error *err);

PLUCK_API pluck_status pluck_sum_tree_weight(const pluck_sum_tree *tree, uint32_t index,
                                             double *weight, pluck_error *err);

/* *prob = weight / total; PLUCK_ERR_EMPTY if the total is 0. */
PLUCK_API pluck_status pluck_sum_tree_probability(const pluck_sum_tree *tree, uint32_t index,
                                                  double *prob, pluck_error *err);

/* PLUCK_ERR_EMPTY if the total is 0; nothing is written then, and rng stays. */
PLUCK_API pluck_status pluck_sum_tree_draw(const pluck_sum_tree *tree, pluck_pcg64 *rng,
                                           uint32_t *index, pluck_error *err);
PLUCK_API pluck_status pluck_sum_tree_draw_many(const pluck_sum_tree *tree, pluck_pcg64 *rng,
                                                size_t n_draws, uint32_t *indices,
                                                pluck_error *err);

/* "kind": "sum_tree"; tensor "weights", F64 [n]. A tree whose total is 0 is not saved:
 * PLUCK_ERR_EMPTY. */
PLUCK_API pluck_status pluck_sum_tree_save(const pluck_sum_tree *tree, const char *path,
                                           pluck_error *err);
PLUCK_API pluck_status pluck_sum_tree_load(pluck_sum_tree **out, const char *path,
                                           const pluck_allocator *allocator, pluck_error *err);

/*
 * Huffman-shaped tree
 *
 * A binary search for the drawn number along the tree of D. A. Huffman's code (1952) of the
 * weights: the mean number of comparisons is within [H, H + 1), H the entropy in bits, and no tree
 * of comparisons has a smaller mean. Entries of weight 0 are not in it. Depths may reach n - 1;
 * nothing recurses.
 *
 * Exactness. A draw takes a double u on [0, 1) of 53 bits; the probability of an entry at depth d
 * is off by at most (3 d + 2) 2^-53.
 */
typedef struct pluck_huffman pluck_huffman;

/* O(n). On failure *out is NULL. While it runs it needs 32 more bytes an entry. */
PLUCK_API pluck_status pluck_huffman_create(pluck_huffman **out, pluck_weights weights,
                                            const pluck_allocator *allocator, pluck_error *err);
PLUCK_API void pluck_huffman_destroy(pluck_huffman **huffman);

/* The number of entries; 0 for NULL. */
PLUCK_API uint32_t pluck_huffman_size(const pluck_huffman *huffman);

/* The mean number of comparisons of a draw; 0 for NULL, and if one entry has all the weight. */
PLUCK_API double pluck_huffman_mean_depth(const pluck_huffman *huffman);

PLUCK_API pluck_status pluck_huffman_draw(const pluck_huffman *huffman, pluck_pcg64 *rng,
                                          uint32_t *index, pluck_error *err);
PLUCK_API pluck_status pluck_huffman_draw_many(const pluck_huffman *huffman, pluck_pcg64 *rng,
                                               size_t n_draws, uint32_t *indices, pluck_error *err);

/* *prob = weight / sum of all. */
PLUCK_API pluck_status pluck_huffman_probability(const pluck_huffman *huffman, uint32_t index,
                                                 double *prob, pluck_error *err);

/* "kind": "huffman"; tensor "weights", F64 [n]. The tree is built again by load. */
PLUCK_API pluck_status pluck_huffman_save(const pluck_huffman *huffman, const char *path,
                                          pluck_error *err);
PLUCK_API pluck_status pluck_huffman_load(pluck_huffman **out, const char *path,
                                          const pluck_allocator *allocator, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
