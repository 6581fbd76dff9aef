/*
 * Best-first search (Hart, Nilsson, Raphael 1968, without a heuristic): a max-heap of nodes by
 * log-probability, at first the root; the top is taken off, a leaf is an answer, an inner node is
 * evaluated and gives its two children. No node below is more probable than the node itself, since
 * ln sigmoid <= 0 and rounded addition is monotonic; so leaves come out in order, and no node is
 * evaluated that is less probable than the last leaf.
 *
 * At equal log-probability inner nodes come first, then leaves by token: a leaf is given only when
 * nothing can hide a lower token with the same log-probability.
 */
#include "heads/heads.h"

#include "base/error.h"
#include "select/rules.h"
#include "simd/scalar_math.h"

#include <math.h>
#include <stdint.h>

pluck_status plk_tree_logit(pluck_head_query *query, const float *hidden, uint32_t node,
                            double *logit, pluck_error *err)
{
    const pluck_head *head = query->head;
    size_t row = node - head->n_vocab;
    double dot = plk_rows_dot(&head->rows, row, hidden);
    double value = head->bias ? dot + (double)head->bias[row] : dot;
    query->stats.n_dots++;
    if (isnan(value))
        return plk_fail(err, PLUCK_ERR_NAN, "head: the logit of inner node %zu is NaN", row);
    *logit = head->sign == PLUCK_TREE_RIGHT ? value : -value;
    return PLUCK_OK;
}

uint32_t plk_tree_n_allowed(const pluck_head_query *query, uint32_t node)
{
    uint32_t n_vocab = query->head->n_vocab;
    if (node < n_vocab)
        return plk_query_allows(query, node);
    return (query->is_masked ? query->n_allowed : query->head->n_leaves)[node - n_vocab];
}

typedef struct node_heap {
    plk_tree_entry *entries;
    size_t n;
    uint32_t n_vocab;
} node_heap;

static bool before(const node_heap *heap, const plk_tree_entry *a, const plk_tree_entry *b)
{
    bool a_inner = a->node >= heap->n_vocab, b_inner = b->node >= heap->n_vocab;
    if (a->logprob == b->logprob && a_inner != b_inner)
        return a_inner;
    return plk_is_better(a->logprob, a->node, b->logprob, b->node);
}

/* The heap never holds more than one entry a leaf, because its subtrees are disjoint. */
static void push(node_heap *heap, uint32_t node, double logprob)
{
    plk_tree_entry entry = {.logprob = logprob, .node = node};
    size_t i = heap->n++;
    while (i > 0 && before(heap, &entry, &heap->entries[(i - 1) / 2])) {
        heap->entries[i] = heap->entries[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->entries[i] = entry;
}

static plk_tree_entry pop(node_heap *heap)
{
    plk_tree_entry top = heap->entries[0];
    plk_tree_entry last = heap->entries[--heap->n];
    size_t i = 0;
    for (size_t child = 1; child < heap->n; child = 2 * i + 1) {
        if (child + 1 < heap->n && before(heap, &heap->entries[child + 1], &heap->entries[child]))
            child++;
        if (!before(heap, &heap->entries[child], &last))
            break;
        heap->entries[i] = heap->entries[child];
        i = child;
    }
    heap->entries[i] = last;
    return top;
}

static void push_child(pluck_head_query *query, node_heap *heap, uint32_t node, double logprob)
{
    if (logprob > -HUGE_VAL && plk_tree_n_allowed(query, node) > 0)
        push(heap, node, logprob);
}

/* The next leaf in order; *found is false if there is none with log-probability >= least. */
static pluck_status next_leaf(pluck_head_query *query, const float *hidden, node_heap *heap,
                              double least, plk_tree_entry *leaf, bool *found, pluck_error *err)
{
    *found = false;
    while (heap->n > 0 && heap->entries[0].logprob >= least) {
        plk_tree_entry top = pop(heap);
        if (top.node < heap->n_vocab) {
            *leaf = top;
            *found = true;
            return PLUCK_OK;
        }
        double logit = 0;
        pluck_status status = plk_tree_logit(query, hidden, top.node, &logit, err);
        if (status != PLUCK_OK)
            return status;
        plk_log_sigmoid right = plk_log_sigmoid_of(logit);
        const pluck_tree *tree = query->head->tree;
        push_child(query, heap, plk_tree_child(tree, top.node, 0), top.logprob + right.negative);
        push_child(query, heap, plk_tree_child(tree, top.node, 1), top.logprob + right.positive);
    }
    return PLUCK_OK;
}

pluck_status plk_tree_select(pluck_head_query *query, const float *hidden, plk_selection *selection,
                             pluck_error *err)
{
    double log_mass = 0;
    if (selection->rule == PLK_SELECT_TOP_P && selection->p < 1 && query->is_masked) {
        pluck_status status = query->head->ops->log_mass(query, hidden, &log_mass, err);
        if (status != PLUCK_OK)
            return status;
    }
    node_heap heap = {.entries = query->entries, .n_vocab = query->head->n_vocab};
    push(&heap, plk_tree_root(query->head->tree), 0.0);
    double mass = 0, least = -HUGE_VAL;
    uint32_t n = 0;
    for (;;) {
        plk_tree_entry leaf = {0};
        bool found = false;
        pluck_status status = next_leaf(query, hidden, &heap, least, &leaf, &found, err);
        if (status != PLUCK_OK)
            return status;
        if (!found)
            break;
        if (n == 0 && selection->rule == PLK_SELECT_MIN_P)
            least = leaf.logprob + plk_min_p_offset(selection->p);
        if (n < selection->capacity)
            plk_list_put(&selection->list, n, leaf.node, leaf.logprob);
        n++;
        mass += plk_exp(leaf.logprob - log_mass);
        if (selection->rule == PLK_SELECT_TOP_K && n == selection->k)
            break;
        if (selection->rule == PLK_SELECT_TOP_P && selection->p < 1 &&
            plk_top_p_reached(mass, selection->p, 1.0, 0.0))
            break;
    }
    if (n == 0)
        return plk_head_fail_empty(err);
    selection->n = n;
    return PLUCK_OK;
}
