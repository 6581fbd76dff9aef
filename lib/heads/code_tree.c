/*
 * Code trees: the parts that all builders share, the two builders that need no data (balanced,
 * given children), and statistics.
 *
 * The number of a node is above those of its children, so every pass over the tree is a loop:
 * upward in ascending order of number, downward in descending order. Nothing recurses, because a
 * tree of n leaves can be n - 1 deep.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "simd/fp_state.h"
#include "simd/kernels.h"

#include <stdint.h>
#include <string.h>

pluck_status plk_tree_check_size(const char *what, uint32_t n_tokens, pluck_error *err)
{
    if (n_tokens >= 1 && n_tokens <= PLUCK_MAX_VOCAB)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: n_tokens = %u is outside [1, %u]", what,
                    (unsigned)n_tokens, (unsigned)PLUCK_MAX_VOCAB);
}

pluck_status plk_tree_alloc(pluck_tree **out, uint32_t n_tokens, const pluck_allocator *allocator,
                            pluck_error *err)
{
    plk_arrays memory = {.allocator = plk_allocator_or_default(allocator)};
    pluck_tree *tree = plk_arrays_add(&memory, 1, sizeof *tree);
    int32_t *children = plk_arrays_add(&memory, 2 * (size_t)(n_tokens - 1), sizeof *tree->children);
    pluck_status status = plk_arrays_check(&memory, err);
    if (status != PLUCK_OK) {
        plk_arrays_free(&memory);
        return status;
    }
    *tree = (pluck_tree){.memory = memory, .n_tokens = n_tokens, .children = children};
    *out = tree;
    return PLUCK_OK;
}

pluck_status plk_tree_copy(pluck_tree **out, const pluck_tree *tree,
                           const pluck_allocator *allocator, pluck_error *err)
{
    pluck_status status = plk_tree_alloc(out, tree->n_tokens, allocator, err);
    if (status == PLUCK_OK)
        memcpy((*out)->children, tree->children,
               2 * (size_t)(tree->n_tokens - 1) * sizeof *tree->children);
    return status;
}

void pluck_tree_destroy(pluck_tree **tree)
{
    if (!tree || !*tree)
        return;
    plk_arrays_free(&(*tree)->memory);
    *tree = NULL;
}

/* The nodes are made from the root down, so that they count backward, and the ranges that still
 * need a node form a queue. */
pluck_status plk_tree_from_ranges(pluck_tree **out, uint32_t n_tokens, plk_tree_split split,
                                  void *context, const pluck_allocator *allocator, pluck_error *err)
{
    typedef struct range {
        uint32_t begin, end;
    } range;
    pluck_allocator memory = plk_allocator_or_default(allocator);
    range *ranges = plk_alloc(&memory, n_tokens, sizeof *ranges);
    if (!ranges)
        return plk_fail_nomem(err, n_tokens * sizeof *ranges);
    pluck_status status = plk_tree_alloc(out, n_tokens, allocator, err);
    uint32_t n_ranges = 1;
    ranges[0] = (range){0, n_tokens};
    for (uint32_t i = 0; status == PLUCK_OK && i + 1 < n_tokens; i++) {
        range whole = ranges[i];
        uint32_t middle = split(context, whole.begin, whole.end);
        const range parts[2] = {{whole.begin, middle}, {middle, whole.end}};
        for (size_t side = 0; side < 2; side++) {
            int32_t *child = &(*out)->children[2 * (size_t)(n_tokens - 2 - i) + side];
            *child = (int32_t)parts[side].begin;
            if (parts[side].end - parts[side].begin > 1) {
                *child = (int32_t)(2 * n_tokens - 2 - n_ranges);
                ranges[n_ranges++] = parts[side];
            }
        }
    }
    plk_free(&memory, ranges);
    return status;
}

static uint32_t halve(void *context, uint32_t begin, uint32_t end)
{
    (void)context;
    return begin + (end - begin + 1) / 2;
}

pluck_status pluck_tree_create_balanced(pluck_tree **out, uint32_t n_tokens,
                                        const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_tree_create_balanced: out must not be NULL");
    *out = NULL;
    pluck_status status = plk_tree_check_size("pluck_tree_create_balanced", n_tokens, err);
    if (status != PLUCK_OK)
        return status;
    return plk_tree_from_ranges(out, n_tokens, halve, NULL, allocator, err);
}

/* n - 1 nodes with two children each, every child below its parent and used once: that is 2 n - 2
 * different children out of the 2 n - 2 nodes below the root, hence a tree. */
static pluck_status check_children(const int32_t *children, uint32_t n_tokens, uint8_t *used,
                                   pluck_error *err)
{
    for (uint32_t i = 0; i + 1 < n_tokens; i++) {
        for (size_t side = 0; side < 2; side++) {
            int32_t child = children[2 * (size_t)i + side];
            if (child < 0 || (uint32_t)child >= n_tokens + i)
                return plk_fail(err, PLUCK_ERR_INVALID,
                                "tree: node %u has child %d, expected one from 0 to %u",
                                (unsigned)(n_tokens + i), (int)child, (unsigned)(n_tokens + i - 1));
            if (used[child] != 0)
                return plk_fail(err, PLUCK_ERR_INVALID,
                                "tree: node %d has two parents; the second is node %u", (int)child,
                                (unsigned)(n_tokens + i));
            used[child] = 1;
        }
    }
    return PLUCK_OK;
}

pluck_status pluck_tree_create_from_children(pluck_tree **out, const int32_t *children,
                                             uint32_t n_tokens, const pluck_allocator *allocator,
                                             pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_tree_create_from_children: out must not be NULL");
    *out = NULL;
    pluck_status status = plk_tree_check_size("pluck_tree_create_from_children", n_tokens, err);
    if (status != PLUCK_OK)
        return status;
    if (!children && n_tokens > 1)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_tree_create_from_children: children must not be NULL");
    pluck_allocator memory = plk_allocator_or_default(allocator);
    uint8_t *used = plk_alloc_zero(&memory, 2 * (size_t)n_tokens, sizeof *used);
    if (!used)
        return plk_fail_nomem(err, 2 * (size_t)n_tokens);
    status = check_children(children, n_tokens, used, err);
    if (status == PLUCK_OK)
        status = plk_tree_alloc(out, n_tokens, allocator, err);
    if (status == PLUCK_OK && n_tokens > 1)
        memcpy((*out)->children, children, 2 * (size_t)(n_tokens - 1) * sizeof *children);
    plk_free(&memory, used);
    return status;
}

uint32_t pluck_tree_n_tokens(const pluck_tree *tree)
{
    return tree ? tree->n_tokens : 0;
}

const int32_t *pluck_tree_children(const pluck_tree *tree)
{
    return tree ? tree->children : NULL;
}

void plk_tree_parents(const pluck_tree *tree, uint32_t *parents)
{
    uint32_t root = plk_tree_root(tree);
    parents[root] = root;
    for (uint32_t node = tree->n_tokens; node <= root; node++) {
        parents[plk_tree_child(tree, node, 0)] = node;
        parents[plk_tree_child(tree, node, 1)] = node;
    }
}

/* The length of the code of a token, and the code itself unless bits is NULL. Without parents at
 * hand, one pass upward finds the path, last bit first: a node that has the present one as a child
 * has a higher number. */
static size_t walk_up(const pluck_tree *tree, pluck_token token, uint8_t *bits, size_t length)
{
    size_t n = 0;
    int32_t node = token;
    for (size_t i = 0; i + 1 < tree->n_tokens; i++) {
        const int32_t *pair = &tree->children[2 * i];
        if (pair[0] != node && pair[1] != node)
            continue;
        n++;
        if (bits)
            bits[length - n] = pair[1] == node;
        node = (int32_t)(tree->n_tokens + i);
    }
    return n;
}

pluck_status pluck_tree_code(const pluck_tree *tree, pluck_token token, uint8_t *bits,
                             size_t capacity, size_t *n_needed, pluck_error *err)
{
    if (!tree || !n_needed || (!bits && capacity != 0))
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "pluck_tree_code: tree, n_needed and, if capacity > 0, bits must not be NULL");
    if (token < 0 || (uint32_t)token >= tree->n_tokens)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_tree_code: token %d is outside [0, %u]",
                        (int)token, (unsigned)(tree->n_tokens - 1));
    *n_needed = walk_up(tree, token, NULL, 0);
    if (capacity < *n_needed && bits)
        return plk_fail(err, PLUCK_ERR_SPACE,
                        "pluck_tree_code: the code has %zu bits, but capacity is %zu", *n_needed,
                        capacity);
    if (bits)
        (void)walk_up(tree, token, bits, *n_needed);
    return PLUCK_OK;
}

static pluck_status total_of(const int64_t *counts, uint32_t n, double *total, pluck_error *err)
{
    *total = 0;
    for (uint32_t t = 0; t < n; t++) {
        if (counts[t] < 0)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "pluck_tree_get_stats: counts[%u] = %lld is negative", (unsigned)t,
                            (long long)counts[t]);
        *total += (double)counts[t];
    }
    return PLUCK_OK;
}

/* depths[node], from the root down. */
static void find_depths(const pluck_tree *tree, uint32_t *depths)
{
    uint32_t root = plk_tree_root(tree);
    depths[root] = 0;
    for (uint32_t node = root; node >= tree->n_tokens; node--) {
        depths[plk_tree_child(tree, node, 0)] = depths[node] + 1;
        depths[plk_tree_child(tree, node, 1)] = depths[node] + 1;
    }
}

/* Counts that are all 0 weigh the same. */
static void sum_up(const pluck_tree *tree, const uint32_t *depths, const int64_t *counts,
                   double total, pluck_tree_stats *stats)
{
    double log2_e = 0x1.71547652b82fep0;
    uint32_t n = tree->n_tokens;
    bool weighted = counts && total > 0;
    stats->n_tokens = n;
    stats->min_length = stats->max_length = depths[0];
    double bits = 0, log_sum = 0;
    for (uint32_t t = 0; t < n; t++) {
        double weight = weighted ? (double)counts[t] : 1;
        stats->min_length = depths[t] < stats->min_length ? depths[t] : stats->min_length;
        stats->max_length = depths[t] > stats->max_length ? depths[t] : stats->max_length;
        bits += weight * depths[t];
        log_sum += weight > 0 ? weight * plk_log(weight) : 0;
    }
    double sum = weighted ? total : (double)n;
    double entropy = (plk_log(sum) - log_sum / sum) * log2_e;
    stats->mean_length = bits / sum;
    stats->entropy_bits = entropy > 0 ? entropy : 0;
}

pluck_status pluck_tree_get_stats(const pluck_tree *tree, const int64_t *counts,
                                  pluck_tree_stats *stats, pluck_error *err)
{
    if (!tree || !stats)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_tree_get_stats: tree and stats must not be NULL");
    uint32_t n = tree->n_tokens;
    double total = 0;
    pluck_tree_stats known;
    pluck_status status = PLK_READ_STRUCT(&known, stats, "stats", pluck_tree_stats, err);
    if (status == PLUCK_OK && !known.histogram && known.n_histogram > 0)
        status = plk_fail(err, PLUCK_ERR_INVALID,
                          "pluck_tree_get_stats: stats.histogram is NULL; n_histogram must be 0");
    if (status == PLUCK_OK && counts)
        status = total_of(counts, n, &total, err);
    if (status != PLUCK_OK)
        return status;
    uint32_t *depths = plk_alloc(&tree->memory.allocator, 2 * (size_t)n - 1, sizeof *depths);
    if (!depths)
        return plk_fail_nomem(err, (2 * (size_t)n - 1) * sizeof *depths);
    plk_fp_state fp = plk_fp_enter();
    find_depths(tree, depths);
    sum_up(tree, depths, counts, total, &known);
    plk_fp_leave(fp);
    for (size_t l = 0; l < known.n_histogram; l++)
        known.histogram[l] = 0;
    for (uint32_t t = 0; t < n; t++)
        if (depths[t] < known.n_histogram)
            known.histogram[depths[t]]++;
    plk_free(&tree->memory.allocator, depths);
    return PLK_WRITE_STRUCT(stats, &known, "stats", pluck_tree_stats, err);
}

/*
 * A tree from given codes: every code is walked from the root, and makes the nodes that it misses.
 * A full tree of n leaves has exactly n - 1 inner nodes, so the one after those says that the
 * codes do not fill the tree. Nodes are made parent first and numbered backward, which gives a
 * parent the higher number.
 */

typedef struct code_walk {
    pluck_tree *tree;
    uint32_t n_made; /* inner nodes; the first is the root */
} code_walk;

enum { NO_CHILD = -1 };

static pluck_status add_code(code_walk *walk, const uint8_t *bits, size_t length, uint32_t token,
                             pluck_error *err)
{
    uint32_t n_tokens = walk->tree->n_tokens;
    uint32_t at = 0;
    if (length == 0)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "codes: the code of token %u is empty; only a tree of one token has an empty code",
            (unsigned)token);
    for (size_t i = 0; i < length; i++) {
        bool last = i + 1 == length;
        if (bits[i] > 1)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "codes: bit %zu of token %u is %u, expected 0 or 1", i, (unsigned)token,
                            bits[i]);
        /* The slot of child bits[i] of the inner node that was made as the at-th. */
        int32_t *child = &walk->tree->children[2 * (size_t)(n_tokens - 2 - at) + bits[i]];
        if (last && *child == NO_CHILD) {
            *child = (int32_t)token;
        } else if (last || (*child != NO_CHILD && *child < (int32_t)n_tokens)) {
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "codes: the code of token %u equals an earlier code, or one begins "
                            "with the other; no code may be the beginning of another",
                            (unsigned)token);
        } else if (*child == NO_CHILD) {
            if (walk->n_made == n_tokens - 1)
                return plk_fail(err, PLUCK_ERR_INVALID,
                                "codes: the code of token %u needs an inner node more than the "
                                "tokens can fill; together the codes must fill the tree, so that "
                                "every node has two children",
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
                            "codes: the code of a single token must be empty; it has %zu bits",
                            ends[0]);
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
