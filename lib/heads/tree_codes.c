/*
 * A tree from given codes: every code is walked from the root, and makes the nodes that it misses.
 * A full tree of n leaves has exactly n - 1 inner nodes, so the one after those says that the
 * codes do not fill the tree. Nodes are made parent first and numbered backward, which gives a
 * parent the higher number.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdint.h>

typedef struct code_walk {
    pluck_tree *tree;
    uint32_t n_made; /* inner nodes; the first is the root */
} code_walk;

enum { NO_CHILD = -1 };

/* The slot of child side of the inner node that was made as the i-th. */
static int32_t *slot(const code_walk *walk, uint32_t i, size_t side)
{
    return &walk->tree->children[2 * (size_t)(walk->tree->n_tokens - 2 - i) + side];
}

static pluck_status add_code(code_walk *walk, const uint8_t *bits, size_t length, uint32_t token,
                             pluck_error *err)
{
    uint32_t n_tokens = walk->tree->n_tokens;
    uint32_t at = 0;
    if (length == 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "codes: the one of token %u is empty; only one token alone has that",
                        (unsigned)token);
    for (size_t i = 0; i < length; i++) {
        bool last = i + 1 == length;
        if (bits[i] > 1)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "codes: bit %zu of token %u is %u, expected 0 or 1", i, (unsigned)token,
                            bits[i]);
        int32_t *child = slot(walk, at, bits[i]);
        if (last && *child == NO_CHILD) {
            *child = (int32_t)token;
        } else if (last || (*child != NO_CHILD && *child < (int32_t)n_tokens)) {
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "codes: the one of token %u and an earlier one begin alike: no code "
                            "may be the beginning of another",
                            (unsigned)token);
        } else if (*child == NO_CHILD) {
            if (walk->n_made == n_tokens - 1)
                return plk_fail(err, PLUCK_ERR_INVALID,
                                "codes: up to token %u they leave ways that no token can end: "
                                "together they must fill the tree",
                                (unsigned)token);
            *child = (int32_t)(2 * n_tokens - 2 - walk->n_made);
            at = walk->n_made++;
        } else {
            at = 2 * n_tokens - 2 - (uint32_t)*child;
        }
    }
    return PLUCK_OK;
}

/* n codes that end at n different leaves of n - 1 inner nodes leave no free slot; fewer nodes
 * cannot hold n leaves. */
static pluck_status add_codes(code_walk *walk, const uint8_t *bits, const size_t *ends,
                              pluck_error *err)
{
    uint32_t n_tokens = walk->tree->n_tokens;
    size_t begin = 0;
    for (size_t i = 0; i < 2 * (size_t)(n_tokens - 1); i++)
        walk->tree->children[i] = NO_CHILD;
    for (uint32_t t = 0; t < n_tokens; t++) {
        if (ends[t] < begin)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "codes: ends[%u] = %zu is below the one before, %zu", (unsigned)t,
                            ends[t], begin);
        if (n_tokens == 1 && ends[0] == 0)
            return PLUCK_OK;
        if (n_tokens == 1)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "codes: the one of a token alone must be empty, not %zu bits", ends[0]);
        pluck_status status = add_code(walk, bits + begin, ends[t] - begin, t, err);
        if (status != PLUCK_OK)
            return status;
        begin = ends[t];
    }
    return PLUCK_OK;
}

pluck_status pluck_tree_create_from_codes(pluck_tree **out, const uint8_t *bits, const size_t *ends,
                                          uint32_t n_tokens, const pluck_allocator *allocator,
                                          pluck_error *err)
{
    if (!out || !ends || (!bits && n_tokens > 1))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_tree_create_from_codes: out, bits and ends must not be NULL");
    *out = NULL;
    pluck_status status = plk_tree_check_size("pluck_tree_create_from_codes", n_tokens, err);
    if (status != PLUCK_OK)
        return status;
    code_walk walk = {.n_made = n_tokens > 1};
    status = plk_tree_alloc(&walk.tree, n_tokens, allocator, err);
    if (status != PLUCK_OK)
        return status;
    status = add_codes(&walk, bits, ends, err);
    if (status != PLUCK_OK)
        pluck_tree_destroy(&walk.tree);
    *out = walk.tree;
    return status;
}
