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

/* Points the levels over n weights into memory; NULL: returns only how many doubles they take. */
static size_t lay_out(plk_sum_tree *tree, size_t n, double *memory)
{
    size_t used = 0;
    uint32_t level = 0;
    for (; level == 0 || n > 1; n = round_up(n) / FAN) {
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

static pluck_status build(pluck_weighted *weighted, pluck_weights weights, double total,
                          uint32_t n_positive, pluck_error *err)
{
    (void)total;
    (void)n_positive;
    plk_sum_tree *tree = &weighted->sum_tree;
    size_t n = lay_out(tree, weights.n, NULL) + LINE_BYTES / sizeof(double);
    unsigned char *memory = plk_arrays_add_zero(&weighted->memory, n, sizeof(double));
    if (!memory)
        return plk_arrays_check(&weighted->memory, err);
    uintptr_t misaligned = (uintptr_t)memory % LINE_BYTES;
    memory += misaligned != 0 ? LINE_BYTES - misaligned : 0;
    lay_out(tree, weights.n, (double *)(void *)memory);
    for (uint32_t i = 0; i < weights.n; i++)
        tree->levels[0][i] = plk_weight_at(weights, i) + 0.0; /* -0 becomes 0 */
    size_t n_sums = weights.n;
    for (uint32_t level = 0; level < tree->n_levels; level++) {
        n_sums = round_up(n_sums) / FAN;
        for (size_t i = 0; i < n_sums; i++)
            tree->levels[level + 1][i] = sum_of(tree->levels[level] + i * FAN);
    }
    /* The sum of plk_weights_check() did not overflow; this one, in a different order, could. */
    return isfinite(plk_sum_tree_total(weighted)) ? PLUCK_OK : plk_weights_fail_sum(err);
}

void plk_sum_tree_set(pluck_weighted *weighted, uint32_t index, double weight)
{
    plk_sum_tree *tree = &weighted->sum_tree;
    tree->levels[0][index] = weight + 0.0; /* -0 becomes 0 */
    for (uint32_t level = 0; level < tree->n_levels; level++) {
        uint32_t parent = index / FAN;
        tree->levels[level + 1][parent] = sum_of(tree->levels[level] + (size_t)parent * FAN);
        index = parent;
    }
}

static double probability(const pluck_weighted *weighted, uint32_t index)
{
    return weighted->sum_tree.levels[0][index] / plk_sum_tree_total(weighted);
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

static inline void draw_group(const plk_sum_tree *tree, double scale, pluck_pcg64 *rng, size_t n,
                              uint32_t *indices)
{
    double total = tree->levels[tree->n_levels][0] * scale;
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

static void draw(const pluck_weighted *weighted, pluck_pcg64 *rng, size_t n_draws,
                 uint32_t *indices)
{
    const plk_sum_tree *tree = &weighted->sum_tree;
    pluck_pcg64 own = *rng;
    double scale = plk_weights_scale(plk_sum_tree_total(weighted));
    for (size_t first = 0; first < n_draws; first += GROUP) {
        size_t n = n_draws - first < GROUP ? n_draws - first : GROUP;
        if (scale == 1) /* so that the usual case is compiled without it */
            draw_group(tree, 1, &own, n, indices + first);
        else
            draw_group(tree, scale, &own, n, indices + first);
    }
    *rng = own;
}

const plk_weighted_ops plk_weighted_sum_tree = {
    .kind = PLUCK_WEIGHTED_SUM_TREE,
    .name = "sum_tree",
    .build = build,
    .draw = draw,
    .probability = probability,
};
