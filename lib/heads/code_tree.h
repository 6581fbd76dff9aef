/*
 * What a code tree is made of, and what its builders share. The public functions are in head.h.
 */
#ifndef PLK_CODE_TREE_H
#define PLK_CODE_TREE_H

#include <pluck/head.h>

/* Node numbers: leaves 0 .. n_tokens - 1, inner nodes n_tokens .. 2 n_tokens - 2. */
struct pluck_tree {
    pluck_allocator allocator;
    uint32_t n_tokens;
    int32_t *children; /* [n_tokens - 1][2]; a child's number is below its parent's */
};

/* A tree whose children are not yet set. */
pluck_status plk_tree_alloc(pluck_tree **out, uint32_t n_tokens, const pluck_allocator *allocator,
                            pluck_error *err);

/* n_tokens in [1, PLUCK_MAX_VOCAB]; what: the name of the function, for the message. */
pluck_status plk_tree_check_size(const char *what, uint32_t n_tokens, pluck_error *err);

/* The same tree in memory of its own. */
pluck_status plk_tree_copy(pluck_tree **out, const pluck_tree *tree,
                           const pluck_allocator *allocator, pluck_error *err);

/* parents[child] = parent, for all nodes but the root; parents[root] = root. 2 n_tokens - 1
 * numbers. */
void plk_tree_parents(const pluck_tree *tree, uint32_t *parents);

static inline uint32_t plk_tree_root(const pluck_tree *tree)
{
    return 2 * tree->n_tokens - 2;
}

/* side: 0 left, 1 right. */
static inline uint32_t plk_tree_child(const pluck_tree *tree, uint32_t node, unsigned side)
{
    return (uint32_t)tree->children[2 * (size_t)(node - tree->n_tokens) + side];
}

#endif
