/*
 * Hierarchical softmax (F. Morin, Y. Bengio, "Hierarchical probabilistic neural network language
 * model", AISTATS 2005): p(token | h) = product over its path of sigmoid(+-(u . h + b)).
 *
 * Sums of logarithms run from the root to the leaf, here as in the searches, so that a token's
 * log-probability has the same bits whoever asks. All tokens at once take one pass over the inner
 * nodes in descending order of number, parents before children.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "select/rules.h"

#include <math.h>
#include <stdint.h>

/* u . h + b of an inner node, turned so that its sigmoid is the probability of the right child.
 * Counts the dot product. PLUCK_ERR_NAN if it is NaN. */
static pluck_status logit_of(pluck_head_query *query, const float *hidden, uint32_t node,
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

/* Allowed leaves at or below a node. */
static uint32_t n_allowed_of(const pluck_head_query *query, uint32_t node)
{
    uint32_t n_vocab = query->head->n_vocab;
    if (node < n_vocab)
        return plk_query_allows(query, node);
    return (query->is_masked ? query->n_allowed : query->head->n_leaves)[node - n_vocab];
}

static void open_query(pluck_head_query *query)
{
    size_t n = query->head->n_vocab;
    query->entries = plk_arrays_add(&query->memory, 2 * n - 1, sizeof *query->entries);
    query->path = plk_arrays_add(&query->memory, n, sizeof *query->path);
    query->n_allowed = plk_arrays_add(&query->memory, n - 1, sizeof *query->n_allowed);
}

/* Allowed leaves below every inner node, children before parents. */
static void mask_changed(pluck_head_query *query)
{
    const pluck_tree *tree = query->head->tree;
    for (uint32_t i = 0; i + 1 < tree->n_tokens; i++) {
        uint32_t node = tree->n_tokens + i;
        query->n_allowed[i] = n_allowed_of(query, plk_tree_child(tree, node, 0)) +
                              n_allowed_of(query, plk_tree_child(tree, node, 1));
    }
}

static pluck_status logprob_of(pluck_head_query *query, const float *hidden, uint32_t token,
                               double *logprob, pluck_error *err)
{
    const pluck_tree *tree = query->head->tree;
    uint32_t root = plk_tree_root(tree);
    uint32_t n_path = 0;
    for (uint32_t node = token; node != root; node = query->head->parents[node])
        query->path[n_path++] = node;
    double sum = 0;
    uint32_t node = root;
    while (n_path-- > 0) {
        double logit = 0;
        pluck_status status = logit_of(query, hidden, node, &logit, err);
        if (status != PLUCK_OK)
            return status;
        uint32_t child = query->path[n_path];
        plk_log_sigmoid right = plk_log_sigmoid_of(logit);
        sum += plk_tree_child(tree, node, 1) == child ? right.positive : right.negative;
        node = child;
    }
    *logprob = sum;
    return PLUCK_OK;
}

static void put(const pluck_head_query *query, uint32_t node, double logprob, float *logprobs)
{
    if (node < query->head->n_vocab)
        logprobs[node] = (float)logprob;
    else
        query->entries[node - query->head->n_vocab].logprob = logprob;
}

static pluck_status all_logprobs(pluck_head_query *query, const float *hidden, float *logprobs,
                                 pluck_error *err)
{
    const pluck_tree *tree = query->head->tree;
    uint32_t root = plk_tree_root(tree);
    put(query, root, 0.0, logprobs);
    for (uint32_t node = root; node >= tree->n_tokens; node--) {
        double logit = 0;
        pluck_status status = logit_of(query, hidden, node, &logit, err);
        if (status != PLUCK_OK)
            return status;
        double above = query->entries[node - tree->n_tokens].logprob;
        plk_log_sigmoid right = plk_log_sigmoid_of(logit);
        put(query, plk_tree_child(tree, node, 0), above + right.negative, logprobs);
        put(query, plk_tree_child(tree, node, 1), above + right.positive, logprobs);
    }
    return PLUCK_OK;
}

/* The subtrees that still count are a stack at the beginning of the entries: disjoint, so never
 * more than leaves. */
static pluck_status log_mass_of(pluck_head_query *query, const float *hidden, double *log_mass,
                                pluck_error *err)
{
    const pluck_tree *tree = query->head->tree;
    uint32_t n_vocab = tree->n_tokens;
    plk_tree_entry *stack = query->entries;
    size_t n = 1;
    double sum = -HUGE_VAL;
    stack[0] = (plk_tree_entry){.node = plk_tree_root(tree)};
    while (n > 0) {
        plk_tree_entry top = stack[--n];
        uint32_t n_allowed = n_allowed_of(query, top.node);
        if (n_allowed == 0 || top.logprob == -HUGE_VAL)
            continue;
        if (top.node < n_vocab || n_allowed == query->head->n_leaves[top.node - n_vocab]) {
            sum = plk_log_add(sum, top.logprob);
            continue;
        }
        double logit = 0;
        pluck_status status = logit_of(query, hidden, top.node, &logit, err);
        if (status != PLUCK_OK)
            return status;
        plk_log_sigmoid right = plk_log_sigmoid_of(logit);
        stack[n++] = (plk_tree_entry){.node = plk_tree_child(tree, top.node, 0),
                                      .logprob = top.logprob + right.negative};
        stack[n++] = (plk_tree_entry){.node = plk_tree_child(tree, top.node, 1),
                                      .logprob = top.logprob + right.positive};
    }
    if (sum == -HUGE_VAL)
        return plk_head_fail_empty(err);
    *log_mass = sum < 0 ? sum : 0;
    return PLUCK_OK;
}

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
    if (logprob > -HUGE_VAL && n_allowed_of(query, node) > 0)
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
        pluck_status status = logit_of(query, hidden, top.node, &logit, err);
        if (status != PLUCK_OK)
            return status;
        plk_log_sigmoid right = plk_log_sigmoid_of(logit);
        const pluck_tree *tree = query->head->tree;
        push_child(query, heap, plk_tree_child(tree, top.node, 0), top.logprob + right.negative);
        push_child(query, heap, plk_tree_child(tree, top.node, 1), top.logprob + right.positive);
    }
    return PLUCK_OK;
}

static pluck_status select_tokens(pluck_head_query *query, const float *hidden,
                                  plk_selection *selection, pluck_error *err)
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

/* Temperature 1, no mask: every bound is exact from the start, and none is needed. */
static pluck_status descend(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
                            pluck_pcg64 *rng, pluck_error *err)
{
    const pluck_tree *tree = query->head->tree;
    uint32_t node = plk_tree_root(tree);
    double logprob = 0;
    while (node >= tree->n_tokens) {
        double logit = 0;
        pluck_status status = logit_of(query, hidden, node, &logit, err);
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
    uint32_t n_allowed = n_allowed_of(bounded->query, node);
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
    pluck_status status = logit_of(bounded->query, bounded->hidden, node, &logit, err);
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

static pluck_status sample(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
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

const plk_head_ops plk_head_hierarchical = {
    .open_query = open_query,
    .mask_changed = mask_changed,
    .logprob = logprob_of,
    .logprobs = all_logprobs,
    .log_mass = log_mass_of,
    .sample = sample,
    .select = select_tokens,
};

static pluck_status set_tree(pluck_head *head, const pluck_tree *tree, pluck_error *err)
{
    size_t n = head->n_vocab;
    pluck_status status = plk_tree_copy(&head->tree, tree, &head->memory.allocator, err);
    if (status != PLUCK_OK)
        return status;
    head->parents = plk_arrays_add(&head->memory, 2 * n - 1, sizeof *head->parents);
    head->n_leaves = plk_arrays_add(&head->memory, n - 1, sizeof *head->n_leaves);
    if (head->parents)
        plk_tree_parents(head->tree, head->parents);
    for (size_t i = 0; head->n_leaves && i + 1 < n; i++) {
        head->n_leaves[i] = 0;
        for (size_t side = 0; side < 2; side++) {
            uint32_t child = (uint32_t)head->tree->children[2 * i + side];
            head->n_leaves[i] += child < n ? 1 : head->n_leaves[child - n];
        }
    }
    return PLUCK_OK;
}

pluck_status pluck_head_create_hierarchical(pluck_head **out, const pluck_tree *tree,
                                            const pluck_matrix *nodes, const float *bias,
                                            pluck_tree_sign sign, const pluck_head_options *options,
                                            pluck_error *err)
{
    if (!out || !tree)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_create_hierarchical: out and tree must not be NULL");
    *out = NULL;
    if (sign != PLUCK_TREE_RIGHT && sign != PLUCK_TREE_LEFT)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_create_hierarchical: sign %d is unknown", (int)sign);
    uint32_t n_inner = tree->n_tokens - 1;
    pluck_status status = plk_matrix_check(nodes, "nodes", n_inner, err);
    if (status != PLUCK_OK)
        return status;
    pluck_head *head = NULL;
    status =
        plk_head_alloc(&head, PLUCK_HEAD_HIERARCHICAL, tree->n_tokens, nodes->n_cols, options, err);
    if (status != PLUCK_OK)
        return status;
    head->sign = sign;
    status = set_tree(head, tree, err);
    if (status != PLUCK_OK) {
        pluck_head_destroy(&head);
        return status;
    }
    plk_head_set_rows(head, nodes, n_inner, &head->rows);
    return plk_head_finish(out, head, bias, n_inner, err);
}

/*
 * With e = exp(-|x|) <= 1, ln sigmoid(|x|) = -ln(1 + e) and ln sigmoid(-|x|) = -|x| - ln(1 + e):
 * sums of terms of one sign, so nothing cancels, however near to 0 or 1 the sigmoid is.
 *
 * ln(1 + y): with u = fl(1 + y), ln(u) y / (u - 1) corrects for what u lost (W. Kahan; D. Goldberg,
 * "What every computer scientist should know about floating-point arithmetic", ACM Computing
 * Surveys 23(1), 1991, theorem 4: within 5 ulps).
 */

double plk_log1p(double y)
{
    double u = 1.0 + y;
    return u > 1.0 ? plk_log(u) * (y / (u - 1.0)) : y;
}

plk_log_sigmoid plk_log_sigmoid_of(double x)
{
    double magnitude = fabs(x);
    double rest = plk_log1p(plk_exp(-magnitude));
    double large = -rest, small = -magnitude - rest;
    return x < 0 ? (plk_log_sigmoid){small, large} : (plk_log_sigmoid){large, small};
}

double plk_sigmoid(double x)
{
    double e = plk_exp(-fabs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
}

double plk_log_add(double a, double b)
{
    double larger = a > b ? a : b, smaller = a > b ? b : a;
    return larger == -HUGE_VAL ? larger : larger + plk_log1p(plk_exp(smaller - larger));
}
