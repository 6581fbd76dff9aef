/*
 * Bound and refine. Tempering the choice at every node is not tempering the distribution: the mass
 * of p^beta below a node depends on all that is below. So each node v carries the logarithm of a
 * bound
 *   A(v) >= sum over allowed leaves t at or below v of p(t)^beta,
 * at first p(v)^beta n^(1 - beta) with n the number of those leaves (by concavity of x^beta), or
 * p(v)^beta if beta >= 1. A descent goes from v to a child c with probability A(c) / A(v), and
 * fails with what is left. It reaches leaf t with probability p(t)^beta / A(root) exactly, because
 * all factors in between cancel; so given that it succeeds, the token has the right distribution,
 * for whatever bounds. After each descent A(v) becomes the sum over the children along its way. A
 * failure happens only at a node that was evaluated for the first time, so there are never more
 * than the tree has inner nodes (but for rounding, one in 10^15).
 *
 * A drawn token that may not be drawn again has A = 0, and the next draw goes on with the bounds
 * that are there.
 *
 * Rounding: A is kept as a logarithm of absolute size |ln p| beta, so a probability is off by 2^-52
 * of that, relatively.
 *
 * The nodes that were reached form a tree of entries: logprob = ln p(v), bound = ln A(v), child =
 * the entry of the left child, with the right one behind it. child = 0 means that the node is not
 * evaluated; the root, entry 0, is the child of no node.
 */
#include "heads/heads.h"

#include "base/error.h"
#include "simd/scalar_math.h"

#include <math.h>

/* Temperature 1, no mask: every bound is exact from the start, and none is needed. */
static pluck_status descend(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
                            pluck_pcg64 *rng, pluck_error *err)
{
    const pluck_tree *tree = query->head->tree;
    uint32_t node = plk_tree_root(tree);
    double logprob = 0;
    while (node >= tree->n_tokens) {
        double logit = 0;
        pluck_status status = plk_tree_logit(query, hidden, node, &logit, err);
        if (status != PLUCK_OK)
            return status;
        bool right = pluck_pcg64_uniform(rng) < plk_sigmoid(logit);
        plk_log_sigmoid side = plk_log_sigmoid_of(logit);
        logprob += right ? side.positive : side.negative;
        node = plk_tree_child(tree, node, right);
    }
    query->stats.n_trials = 1;
    plk_list_put(&sampling->list, 0, node, logprob);
    sampling->n = 1;
    return PLUCK_OK;
}

typedef struct bounded_tree {
    pluck_head_query *query;
    const float *hidden;
    double beta;
    plk_tree_entry *entries;
    uint32_t n;
} bounded_tree;

static void add_entry(bounded_tree *bounded, uint32_t node, double logprob)
{
    uint32_t n_allowed = plk_tree_n_allowed(bounded->query, node);
    double bound = -HUGE_VAL;
    if (n_allowed > 0 && logprob > -HUGE_VAL) {
        bound = bounded->beta * logprob;
        if (bounded->beta < 1 && n_allowed > 1)
            bound += (1 - bounded->beta) * plk_log(n_allowed);
    }
    bounded->entries[bounded->n++] =
        (plk_tree_entry){.logprob = logprob, .bound = bound, .node = node};
}

static pluck_status evaluate(bounded_tree *bounded, uint32_t at, pluck_error *err)
{
    const pluck_tree *tree = bounded->query->head->tree;
    uint32_t node = bounded->entries[at].node;
    double logit = 0;
    pluck_status status = plk_tree_logit(bounded->query, bounded->hidden, node, &logit, err);
    if (status != PLUCK_OK)
        return status;
    plk_log_sigmoid right = plk_log_sigmoid_of(logit);
    double logprob = bounded->entries[at].logprob;
    bounded->entries[at].child = bounded->n;
    add_entry(bounded, plk_tree_child(tree, node, 0), logprob + right.negative);
    add_entry(bounded, plk_tree_child(tree, node, 1), logprob + right.positive);
    return PLUCK_OK;
}

/* The bounds along the way, from its end to the root. */
static void refine(bounded_tree *bounded, const uint32_t *path, uint32_t n_path)
{
    while (n_path-- > 0) {
        plk_tree_entry *entry = &bounded->entries[path[n_path]];
        entry->bound = plk_log_add(bounded->entries[entry->child].bound,
                                   bounded->entries[entry->child + 1].bound);
    }
}

/* One descent; *leaf = 0 if it failed, or if the root is the leaf. */
static pluck_status try_descent(bounded_tree *bounded, pluck_pcg64 *rng, uint32_t *leaf,
                                bool *failed, pluck_error *err)
{
    uint32_t n_vocab = bounded->query->head->n_vocab;
    uint32_t *path = bounded->query->path;
    uint32_t n_path = 0, at = 0;
    *failed = false;
    while (bounded->entries[at].node >= n_vocab) {
        if (bounded->entries[at].child == 0) {
            pluck_status status = evaluate(bounded, at, err);
            if (status != PLUCK_OK)
                return status;
        }
        const plk_tree_entry *entry = &bounded->entries[at];
        const plk_tree_entry *left = &bounded->entries[entry->child], *right = left + 1;
        double u = pluck_pcg64_uniform(rng);
        double p_right = plk_exp(right->bound - entry->bound);
        path[n_path++] = at;
        if (u < p_right) {
            at = entry->child + 1;
        } else if (u < p_right + plk_exp(left->bound - entry->bound)) {
            at = entry->child;
        } else {
            *failed = true;
            break;
        }
    }
    *leaf = at;
    bounded->query->stats.n_trials++;
    if (!*failed) {
        bounded->query->path[n_path] = at;
        return PLUCK_OK;
    }
    refine(bounded, path, n_path);
    return PLUCK_OK;
}

/* Takes the leaf out, so that it cannot be drawn again. */
static void remove_leaf(bounded_tree *bounded, uint32_t leaf)
{
    uint32_t n_path = 0;
    while (bounded->query->path[n_path] != leaf)
        n_path++;
    bounded->entries[leaf].bound = -HUGE_VAL;
    refine(bounded, bounded->query->path, n_path);
}

pluck_status plk_tree_sample(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
                             pluck_pcg64 *rng, pluck_error *err)
{
    if (sampling->k == 1 && !query->is_masked && fabs(sampling->beta - 1) < 0x1p-52)
        return descend(query, hidden, sampling, rng, err);
    bounded_tree bounded = {
        .query = query, .hidden = hidden, .beta = sampling->beta, .entries = query->entries};
    add_entry(&bounded, plk_tree_root(query->head->tree), 0.0);
    uint32_t n = 0;
    while (n < sampling->k && bounded.entries[0].bound > -HUGE_VAL) {
        uint32_t leaf = 0;
        bool failed = false;
        pluck_status status = try_descent(&bounded, rng, &leaf, &failed, err);
        if (status != PLUCK_OK)
            return status;
        if (failed)
            continue;
        const plk_tree_entry *entry = &bounded.entries[leaf];
        plk_list_put(&sampling->list, n++, entry->node, entry->logprob);
        if (n < sampling->k)
            remove_leaf(&bounded, leaf);
    }
    if (n == 0)
        return plk_head_fail_empty(err);
    sampling->n = n;
    return PLUCK_OK;
}
