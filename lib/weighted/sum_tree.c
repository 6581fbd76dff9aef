/*
 * Levels of sums, each an eighth as long as the one below. The 8 parts of a sum are one cache line.
 * They are added as ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7)), when the tree is made and when a
 * weight below them changes, so that both give the same bits.
 *
 * A draw goes down with what is left of u total: at a node it cumulates the 8 parts, counts how
 * many of these sums it reaches, and takes the last of them off. Counting needs no branch that a
 * processor would have to guess. A part of 0 is passed, because its cumulated sum is that of the
 * part before; only where rounding leaves the target at or beyond all 8 could it end on one, and
 * there the last part above 0 is taken. Each node rounds at most 8 times, by 2^-53 of the total.
 * Weights so small that u total would be subnormal are scaled up by a power of two on the way.
 */
#include "weighted/kinds.h"

#include "base/alloc.h"
#include "base/error.h"
#include "rng/pcg64_step.h"
#include "simd/fp_state.h"

#include <math.h>
#include <string.h>

enum { FAN = PLK_SUM_TREE_FAN, LINE_BYTES = 64 };

static double sum_of(const double *parts)
{
    return ((parts[0] + parts[1]) + (parts[2] + parts[3])) +
           ((parts[4] + parts[5]) + (parts[6] + parts[7]));
}

static size_t round_up(size_t n)
{
    return (n + FAN - 1) / FAN * FAN;
}

/* Points the levels into memory; for NULL returns only how many doubles they take. */
static size_t lay_out(pluck_sum_tree *tree, double *memory)
{
    size_t used = 0;
    uint32_t level = 0;
    for (size_t n = tree->n; level == 0 || n > 1; n = round_up(n) / FAN) {
        if (memory)
            tree->levels[level] = memory + used;
        used += round_up(n);
        level++;
    }
    if (memory)
        tree->levels[level] = memory + used;
    tree->n_levels = level;
    return used + 1;
}

static void add_up(pluck_sum_tree *tree)
{
    size_t n = tree->n;
    for (uint32_t level = 0; level < tree->n_levels; level++) {
        n = round_up(n) / FAN;
        for (size_t i = 0; i < n; i++)
            tree->levels[level + 1][i] = sum_of(tree->levels[level] + i * FAN);
    }
}

static pluck_status create(pluck_sum_tree **out, pluck_weights weights,
                           const pluck_allocator *allocator, pluck_error *err)
{
    pluck_allocator memory = plk_allocator_or_default(allocator);
    double total;
    uint32_t n_positive;
    pluck_status status =
        plk_weights_check(weights, "pluck_sum_tree_create", &total, &n_positive, err);
    if (status != PLUCK_OK)
        return status;
    pluck_sum_tree shape = {.allocator = memory, .n = weights.n};
    size_t n = lay_out(&shape, NULL) + LINE_BYTES / sizeof(double);
    pluck_sum_tree *tree = plk_alloc(&memory, 1, sizeof *tree);
    shape.memory = plk_alloc_zero(&memory, n, sizeof(double));
    if (!tree || !shape.memory) {
        plk_free(&memory, shape.memory);
        plk_free(&memory, tree);
        return plk_fail_nomem(err, n * sizeof(double));
    }
    uintptr_t misaligned = (uintptr_t)shape.memory % LINE_BYTES;
    unsigned char *aligned =
        (unsigned char *)shape.memory + (misaligned != 0 ? LINE_BYTES - misaligned : 0);
    *tree = shape;
    lay_out(tree, (double *)(void *)aligned);
    for (uint32_t i = 0; i < weights.n; i++)
        tree->levels[0][i] = plk_weight_at(weights, i) + 0.0; /* -0 becomes 0 */
    add_up(tree);
    /* The sum of plk_weights_check() did not overflow; this one, in another order, could. */
    if (!isfinite(pluck_sum_tree_total(tree))) {
        pluck_sum_tree_destroy(&tree);
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_sum_tree_create: the sum of the weights overflows a double, scale "
                        "them down");
    }
    *out = tree;
    return PLUCK_OK;
}

pluck_status pluck_sum_tree_create(pluck_sum_tree **out, pluck_weights weights,
                                   const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_sum_tree_create: out is NULL");
    *out = NULL;
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = create(out, weights, allocator, err);
    plk_fp_leave(fp);
    return status;
}

void pluck_sum_tree_destroy(pluck_sum_tree **tree)
{
    if (!tree || !*tree)
        return;
    pluck_allocator allocator = (*tree)->allocator;
    plk_free(&allocator, (*tree)->memory);
    plk_free(&allocator, *tree);
    *tree = NULL;
}

uint32_t pluck_sum_tree_size(const pluck_sum_tree *tree)
{
    return tree ? tree->n : 0;
}

double pluck_sum_tree_total(const pluck_sum_tree *tree)
{
    return tree ? tree->levels[tree->n_levels][0] : 0;
}

static void change(pluck_sum_tree *tree, uint32_t index, double weight)
{
    tree->levels[0][index] = weight;
    for (uint32_t level = 0; level < tree->n_levels; level++) {
        uint32_t parent = index / FAN;
        tree->levels[level + 1][parent] = sum_of(tree->levels[level] + (size_t)parent * FAN);
        index = parent;
    }
}

static pluck_status set(pluck_sum_tree *tree, uint32_t index, double weight, pluck_error *err)
{
    if (!isfinite(weight))
        return plk_fail(err, PLUCK_ERR_NAN,
                        "pluck_sum_tree_set: the weight is %g, it must be finite", weight);
    if (weight < 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_sum_tree_set: the weight is %g, it must not be negative", weight);
    double before = tree->levels[0][index];
    change(tree, index, weight + 0.0);
    if (isfinite(pluck_sum_tree_total(tree)))
        return PLUCK_OK;
    change(tree, index, before);
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "pluck_sum_tree_set: the sum of the weights would overflow a double");
}

pluck_status pluck_sum_tree_set(pluck_sum_tree *tree, uint32_t index, double weight,
                                pluck_error *err)
{
    if (!tree)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_sum_tree_set: tree is NULL");
    pluck_status status = plk_weights_check_index("pluck_sum_tree_set", index, tree->n, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    status = set(tree, index, weight, err);
    plk_fp_leave(fp);
    return status;
}

pluck_status pluck_sum_tree_weight(const pluck_sum_tree *tree, uint32_t index, double *weight,
                                   pluck_error *err)
{
    if (!tree || !weight)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_sum_tree_weight: a required pointer is NULL");
    pluck_status status = plk_weights_check_index("pluck_sum_tree_weight", index, tree->n, err);
    if (status == PLUCK_OK)
        *weight = tree->levels[0][index];
    return status;
}

/* Compares bits: a caller's floating-point settings may take a subnormal total for 0. */
static pluck_status check_total(const pluck_sum_tree *tree, const char *function, pluck_error *err)
{
    static const double zero = 0;
    double total = pluck_sum_tree_total(tree);
    if (memcmp(&total, &zero, sizeof total) != 0)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_EMPTY, "%s: all weights are 0", function);
}

pluck_status pluck_sum_tree_probability(const pluck_sum_tree *tree, uint32_t index, double *prob,
                                        pluck_error *err)
{
    if (!tree || !prob)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_sum_tree_probability: a required pointer is NULL");
    pluck_status status =
        plk_weights_check_index("pluck_sum_tree_probability", index, tree->n, err);
    if (status == PLUCK_OK)
        status = check_total(tree, "pluck_sum_tree_probability", err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    *prob = tree->levels[0][index] / pluck_sum_tree_total(tree);
    plk_fp_leave(fp);
    return PLUCK_OK;
}

/* Which of the 8 parts, of which one is above 0, the target lies in; *target goes down into it. */
static uint32_t find_part(const double *parts, double *target)
{
    double reach[FAN + 1] = {0};
    uint32_t n_reached = 0;
    for (uint32_t k = 0; k < FAN; k++) {
        reach[k + 1] = reach[k] + parts[k];
        n_reached += *target >= reach[k + 1];
    }
    if (n_reached < FAN) {
        *target -= reach[n_reached];
        return n_reached;
    }
    uint32_t last = FAN - 1;
    while (parts[last] == 0)
        last--;
    *target = 0;
    return last;
}

/* As many draws at once as hide the time that each waits for its next node. */
enum { GROUP = 8 };

static inline void draw_group(const pluck_sum_tree *tree, double scale, pluck_pcg64 *rng, size_t n,
                              uint32_t *indices)
{
    double total = pluck_sum_tree_total(tree) * scale;
    double targets[GROUP];
    uint32_t nodes[GROUP];
    for (size_t i = 0; i < n; i++) {
        targets[i] = (double)(plk_pcg64_step(rng) >> 11) * 0x1p-53 * total;
        nodes[i] = 0;
    }
    for (uint32_t level = tree->n_levels; level-- > 0;) {
        const double *parts = tree->levels[level];
        for (size_t i = 0; i < n; i++) {
            const double *own = parts + (size_t)nodes[i] * FAN;
            double scaled[FAN];
            for (uint32_t k = 0; k < FAN && scale != 1; k++)
                scaled[k] = own[k] * scale;
            nodes[i] = nodes[i] * FAN + find_part(scale != 1 ? scaled : own, &targets[i]);
        }
    }
    memcpy(indices, nodes, n * sizeof *indices);
}

static pluck_status draw(const pluck_sum_tree *tree, pluck_pcg64 *rng, size_t n_draws,
                         uint32_t *indices, const char *function, pluck_error *err)
{
    if (!tree || !rng || (!indices && n_draws > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: a required pointer is NULL", function);
    pluck_status status = check_total(tree, function, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    pluck_pcg64 own = *rng;
    double scale = plk_weights_scale(pluck_sum_tree_total(tree));
    for (size_t first = 0; first < n_draws; first += GROUP) {
        size_t n = n_draws - first < GROUP ? n_draws - first : GROUP;
        if (scale == 1) /* so that the usual case is compiled without it */
            draw_group(tree, 1, &own, n, indices + first);
        else
            draw_group(tree, scale, &own, n, indices + first);
    }
    *rng = own;
    plk_fp_leave(fp);
    return PLUCK_OK;
}

pluck_status pluck_sum_tree_draw(const pluck_sum_tree *tree, pluck_pcg64 *rng, uint32_t *index,
                                 pluck_error *err)
{
    return draw(tree, rng, 1, index, "pluck_sum_tree_draw", err);
}

pluck_status pluck_sum_tree_draw_many(const pluck_sum_tree *tree, pluck_pcg64 *rng, size_t n_draws,
                                      uint32_t *indices, pluck_error *err)
{
    return draw(tree, rng, n_draws, indices, "pluck_sum_tree_draw_many", err);
}
