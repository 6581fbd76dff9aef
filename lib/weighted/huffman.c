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
#include "simd/fp_state.h"

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

static uint32_t gather_positive(const pluck_huffman *h, keyed *items)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        if (h->weights[i] > 0) {
            memcpy(&items[n].key, &h->weights[i], sizeof items[n].key);
            items[n++].entry = i;
        }
    }
    return n;
}

/* order[n] ascends by weight; sums has room for n. The i-th node to be merged is node n - 2 - i. */
static void merge(pluck_huffman *h, const keyed *order, uint32_t n, double *sums)
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

static pluck_status build(pluck_huffman *h, uint32_t n_positive, pluck_error *err)
{
    keyed *items = plk_alloc(&h->allocator, n_positive, sizeof *items);
    keyed *spare = plk_alloc(&h->allocator, n_positive, sizeof *spare);
    pluck_status status = PLUCK_OK;
    if (!items || !spare) {
        status = plk_fail_nomem(err, n_positive * sizeof *items);
    } else {
        (void)gather_positive(h, items);
        const keyed *order = sort(items, spare, n_positive);
        /* The sums take the place of the sort's other half: they are half as large. */
        merge(h, order, n_positive, (double *)(void *)(order == items ? spare : items));
    }
    plk_free(&h->allocator, items);
    plk_free(&h->allocator, spare);
    if (status == PLUCK_OK && !isfinite(h->total))
        status = plk_fail(err, PLUCK_ERR_INVALID,
                          "pluck_huffman_create: the sum of the weights overflows a double, scale "
                          "them down");
    return status;
}

static pluck_status create(pluck_huffman **out, pluck_weights weights,
                           const pluck_allocator *allocator, pluck_error *err)
{
    pluck_allocator memory = plk_allocator_or_default(allocator);
    double total;
    uint32_t n_positive;
    pluck_status status =
        plk_weights_check(weights, "pluck_huffman_create", &total, &n_positive, err);
    if (status != PLUCK_OK)
        return status;
    pluck_huffman *h = plk_alloc_zero(&memory, 1, sizeof *h);
    if (!h)
        return plk_fail_nomem(err, sizeof *h);
    h->allocator = memory;
    h->n = weights.n;
    h->weights = plk_alloc(&memory, weights.n, sizeof *h->weights);
    h->nodes = plk_alloc(&memory, n_positive, sizeof *h->nodes);
    if (!h->weights || !h->nodes) {
        status = plk_fail_nomem(err, weights.n * sizeof *h->nodes);
    } else {
        for (uint32_t i = 0; i < weights.n; i++)
            h->weights[i] = plk_weight_at(weights, i) + 0.0; /* -0 becomes 0 */
        status = build(h, n_positive, err);
    }
    if (status == PLUCK_OK)
        *out = h;
    else
        pluck_huffman_destroy(&h);
    return status;
}

pluck_status pluck_huffman_create(pluck_huffman **out, pluck_weights weights,
                                  const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_huffman_create: out is NULL");
    *out = NULL;
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = create(out, weights, allocator, err);
    plk_fp_leave(fp);
    return status;
}

void pluck_huffman_destroy(pluck_huffman **huffman)
{
    if (!huffman || !*huffman)
        return;
    pluck_allocator allocator = (*huffman)->allocator;
    plk_free(&allocator, (*huffman)->weights);
    plk_free(&allocator, (*huffman)->nodes);
    plk_free(&allocator, *huffman);
    *huffman = NULL;
}

uint32_t pluck_huffman_size(const pluck_huffman *huffman)
{
    return huffman ? huffman->n : 0;
}

double pluck_huffman_mean_depth(const pluck_huffman *huffman)
{
    return huffman ? huffman->mean_depth : 0;
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

static inline void draw_group(const pluck_huffman *huffman, double scale, pluck_pcg64 *rng,
                              size_t n, uint32_t *indices)
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

static pluck_status draw(const pluck_huffman *huffman, pluck_pcg64 *rng, size_t n_draws,
                         uint32_t *indices, const char *function, pluck_error *err)
{
    if (!huffman || !rng || (!indices && n_draws > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: a required pointer is NULL", function);
    plk_fp_state fp = plk_fp_enter();
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
    plk_fp_leave(fp);
    return PLUCK_OK;
}

pluck_status pluck_huffman_draw(const pluck_huffman *huffman, pluck_pcg64 *rng, uint32_t *index,
                                pluck_error *err)
{
    return draw(huffman, rng, 1, index, "pluck_huffman_draw", err);
}

pluck_status pluck_huffman_draw_many(const pluck_huffman *huffman, pluck_pcg64 *rng, size_t n_draws,
                                     uint32_t *indices, pluck_error *err)
{
    return draw(huffman, rng, n_draws, indices, "pluck_huffman_draw_many", err);
}

pluck_status pluck_huffman_probability(const pluck_huffman *huffman, uint32_t index, double *prob,
                                       pluck_error *err)
{
    if (!huffman || !prob)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_huffman_probability: a required pointer is NULL");
    pluck_status status =
        plk_weights_check_index("pluck_huffman_probability", index, huffman->n, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    *prob = huffman->weights[index] / huffman->total;
    plk_fp_leave(fp);
    return PLUCK_OK;
}
