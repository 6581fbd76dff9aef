/*
 * D. A. Huffman, "A method for the construction of minimum-redundancy codes", Proc. IRE 40, 1952,
 * with two queues instead of a heap (J. van Leeuwen, 1976): sums of merged nodes come out in
 * ascending order, also when they are rounded, because rounding is monotone; so the least unmerged
 * thing is the next entry in order of weight or the oldest unmerged node. An entry goes first if
 * its weight is less than or equal, which keeps the tree shallow; equal entries go by index.
 *
 * The order comes from a radix sort: positive doubles are ordered as their bits are. It is stable,
 * takes eight passes of a byte, skips bytes that all share, and neither recurses nor allocates.
 *
 * Nodes are numbered from the root, so that the ones that draws visit most lie together. The mean
 * depth is the sum of all nodes' weights over that of the root.
 */
#include "weighted/kinds.h"

#include "base/alloc.h"
#include "base/error.h"
#include "rng/pcg64_step.h"

#include <math.h>
#include <string.h>

typedef struct keyed {
    uint64_t key; /* the bits of the weight */
    uint32_t entry;
} keyed;

/* Sorts by ascending key; the result is in items or in spare, which is returned. */
static keyed *sort(keyed *items, keyed *spare, uint32_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint32_t starts[257] = {0};
        for (uint32_t i = 0; i < n; i++)
            starts[(items[i].key >> shift & 0xFF) + 1]++;
        if (starts[(items[0].key >> shift & 0xFF) + 1] == n)
            continue;
        for (size_t b = 1; b < 257; b++)
            starts[b] += starts[b - 1];
        for (uint32_t i = 0; i < n; i++)
            spare[starts[items[i].key >> shift & 0xFF]++] = items[i];
        keyed *swap = items;
        items = spare;
        spare = swap;
    }
    return items;
}

static void gather_positive(const double *weights, uint32_t n_weights, keyed *items)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_weights; i++) {
        if (weights[i] > 0) {
            memcpy(&items[n].key, &weights[i], sizeof items[n].key);
            items[n++].entry = i;
        }
    }
}

/* order[n] ascends by weight; sums has room for n. The i-th node to be merged is node n - 2 - i. */
static void merge(plk_huffman *h, const keyed *order, uint32_t n, double *sums)
{
    uint32_t entry = 0, oldest = 0;
    double all = 0;
    for (uint32_t i = 0; i + 1 < n; i++) {
        plk_huffman_node *node = &h->nodes[n - 2 - i];
        double parts[2];
        for (int side = 0; side < 2; side++) {
            double weight = entry < n ? h->weights[order[entry].entry] : 0;
            if (entry < n && (oldest >= i || weight <= sums[oldest])) {
                node->children[side] = PLK_HUFFMAN_LEAF | order[entry++].entry;
                parts[side] = weight;
            } else {
                node->children[side] = n - 2 - oldest;
                parts[side] = sums[oldest++];
            }
        }
        node->left = parts[0];
        sums[i] = parts[0] + parts[1];
        all += sums[i];
    }
    h->root = n > 1 ? 0 : PLK_HUFFMAN_LEAF | order[0].entry;
    h->total = n > 1 ? sums[n - 2] : h->weights[order[0].entry];
    h->mean_depth = all / h->total;
}

static pluck_status build(pluck_weighted *weighted, pluck_weights weights, double total,
                          uint32_t n_positive, pluck_error *err)
{
    (void)total;
    plk_arrays scratch = {.allocator = weighted->memory.allocator};
    plk_huffman *h = &weighted->huffman;
    h->weights = plk_arrays_add(&weighted->memory, weights.n, sizeof *h->weights);
    h->nodes = plk_arrays_add(&weighted->memory, n_positive, sizeof *h->nodes);
    keyed *items = plk_arrays_add(&scratch, n_positive, sizeof *items);
    keyed *spare = plk_arrays_add(&scratch, n_positive, sizeof *spare);
    pluck_status status = plk_arrays_check(&scratch, err);
    if (h->nodes && spare) {
        for (uint32_t i = 0; i < weights.n; i++)
            h->weights[i] = plk_weight_at(weights, i) + 0.0; /* -0 becomes 0 */
        gather_positive(h->weights, weights.n, items);
        const keyed *order = sort(items, spare, n_positive);
        /* The sums take the place of the sort's other half: they are half as large. */
        merge(h, order, n_positive, (double *)(void *)(order == items ? spare : items));
        if (!isfinite(h->total))
            status = plk_weights_fail_sum(err);
    }
    plk_arrays_free(&scratch);
    return status;
}

/* As many draws at once as hide the time that each waits for its next node. */
enum { GROUP = 8 };

/* One step down, without a branch that a processor would have to guess. */
static uint32_t step(const plk_huffman_node *node, double scale, double *target)
{
    double left = node->left * scale;
    uint32_t right = *target >= left;
    const double passed[2] = {0, left};
    *target -= passed[right];
    return node->children[right];
}

static inline void draw_group(const plk_huffman *huffman, double scale, pluck_pcg64 *rng, size_t n,
                              uint32_t *indices)
{
    double total = huffman->total * scale;
    double targets[GROUP];
    uint32_t at[GROUP];
    for (size_t i = 0; i < n; i++) {
        targets[i] = (double)(plk_pcg64_step(rng) >> 11) * 0x1p-53 * total;
        at[i] = huffman->root;
    }
    for (size_t n_on = n; n_on > 0;) {
        n_on = 0;
        for (size_t i = 0; i < n; i++) {
            if (at[i] & PLK_HUFFMAN_LEAF)
                continue;
            at[i] = step(&huffman->nodes[at[i]], scale, &targets[i]);
            n_on++;
        }
    }
    for (size_t i = 0; i < n; i++)
        indices[i] = at[i] - PLK_HUFFMAN_LEAF;
}

static void draw(const pluck_weighted *weighted, pluck_pcg64 *rng, size_t n_draws,
                 uint32_t *indices)
{
    const plk_huffman *huffman = &weighted->huffman;
    pluck_pcg64 own = *rng;
    double scale = plk_weights_scale(huffman->total);
    for (size_t first = 0; first < n_draws; first += GROUP) {
        size_t n = n_draws - first < GROUP ? n_draws - first : GROUP;
        if (scale == 1) /* so that the usual case is compiled without it */
            draw_group(huffman, 1, &own, n, indices + first);
        else
            draw_group(huffman, scale, &own, n, indices + first);
    }
    *rng = own;
}

static double probability(const pluck_weighted *weighted, uint32_t index)
{
    return weighted->huffman.weights[index] / weighted->huffman.total;
}

const plk_weighted_ops plk_weighted_huffman = {
    .kind = PLUCK_WEIGHTED_HUFFMAN,
    .name = "huffman",
    .build = build,
    .draw = draw,
    .probability = probability,
};
