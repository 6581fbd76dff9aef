/*
 * Huffman's algorithm with two cursors instead of a heap. Sums of merged nodes come out in
 * ascending order, so the smallest unmerged thing is either the leaf at one cursor or the oldest
 * unmerged inner node at the other. This is the loop of word2vec.c (CreateBinaryTree, Mikolov et
 * al. 2013) and of fastText's loss.cc (buildTree), whose choices at ties decide which row of a
 * trained matrix belongs to which node: a leaf goes first only if its count is strictly smaller.
 *
 * Both programs let inner nodes that do not exist yet count 10^15; here they do not count, which is
 * the same for counts below that.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>

void plk_tree_huffman_merge(const int64_t *counts, const uint32_t *order, uint32_t n_tokens,
                            int64_t *sums, int32_t *children)
{
    uint32_t n_leaves = n_tokens; /* unmerged: the first n_leaves of the order */
    uint32_t oldest = 0;          /* inner node that is not merged */
    for (uint32_t i = 0; i + 1 < n_tokens; i++) {
        sums[i] = 0;
        for (size_t side = 0; side < 2; side++) {
            int64_t count = 0;
            uint32_t node = n_tokens + oldest;
            if (n_leaves > 0) {
                node = order ? order[n_leaves - 1] : n_leaves - 1;
                count = counts[node];
            }
            if (n_leaves > 0 && (oldest >= i || count < sums[oldest])) {
                n_leaves--;
            } else {
                node = n_tokens + oldest;
                count = sums[oldest++];
            }
            children[2 * (size_t)i + side] = (int32_t)node;
            sums[i] += count;
        }
    }
}

typedef struct counted {
    int64_t count;
    uint32_t token;
} counted;

static int descending(const void *a, const void *b)
{
    const counted *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static pluck_status check_counts(const int64_t *counts, uint32_t n_tokens, pluck_error *err)
{
    int64_t total = 0;
    for (uint32_t t = 0; t < n_tokens; t++) {
        if (counts[t] < 0)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "pluck_tree_create_huffman: counts[%u] = %lld is negative", (unsigned)t,
                            (long long)counts[t]);
        if (counts[t] > INT64_MAX - total)
            return plk_fail(
                err, PLUCK_ERR_INVALID,
                "pluck_tree_create_huffman: the sum of the counts exceeds 2^63 - 1 at token %u",
                (unsigned)t);
        total += counts[t];
    }
    return PLUCK_OK;
}

pluck_status pluck_tree_create_huffman(pluck_tree **out, const int64_t *counts, uint32_t n_tokens,
                                       const pluck_allocator *allocator, pluck_error *err)
{
    if (!out || !counts)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_tree_create_huffman: out and counts must not be NULL");
    *out = NULL;
    pluck_status status = plk_tree_check_size("pluck_tree_create_huffman", n_tokens, err);
    if (status == PLUCK_OK)
        status = check_counts(counts, n_tokens, err);
    if (status != PLUCK_OK)
        return status;
    plk_arrays memory = {.allocator = plk_allocator_or_default(allocator)};
    counted *sorted = plk_arrays_add(&memory, n_tokens, sizeof *sorted);
    uint32_t *order = plk_arrays_add(&memory, n_tokens, sizeof *order);
    int64_t *sums = plk_arrays_add(&memory, n_tokens, sizeof *sums);
    status = plk_arrays_check(&memory, err);
    if (status == PLUCK_OK)
        status = plk_tree_alloc(out, n_tokens, allocator, err);
    if (status == PLUCK_OK) {
        for (uint32_t t = 0; t < n_tokens; t++)
            sorted[t] = (counted){counts[t], t};
        qsort(sorted, n_tokens, sizeof *sorted, descending);
        for (uint32_t t = 0; t < n_tokens; t++)
            order[t] = sorted[t].token;
        plk_tree_huffman_merge(counts, order, n_tokens, sums, (*out)->children);
    }
    plk_arrays_free(&memory);
    return status;
}
