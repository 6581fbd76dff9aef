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
#include "simd/scalar_math.h"

#include <math.h>
#include <stdint.h>

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
        query->n_allowed[i] = plk_tree_n_allowed(query, plk_tree_child(tree, node, 0)) +
                              plk_tree_n_allowed(query, plk_tree_child(tree, node, 1));
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
        pluck_status status = plk_tree_logit(query, hidden, node, &logit, err);
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
        pluck_status status = plk_tree_logit(query, hidden, node, &logit, err);
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
        uint32_t n_allowed = plk_tree_n_allowed(query, top.node);
        if (n_allowed == 0 || top.logprob == -HUGE_VAL)
            continue;
        if (top.node < n_vocab || n_allowed == query->head->n_leaves[top.node - n_vocab]) {
            sum = plk_log_add(sum, top.logprob);
            continue;
        }
        double logit = 0;
        pluck_status status = plk_tree_logit(query, hidden, top.node, &logit, err);
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

const plk_head_ops plk_head_hierarchical = {
    .open_query = open_query,
    .mask_changed = mask_changed,
    .logprob = logprob_of,
    .logprobs = all_logprobs,
    .log_mass = log_mass_of,
    .sample = plk_tree_sample,
    .select = plk_tree_select,
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
