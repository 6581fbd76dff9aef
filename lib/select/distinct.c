/*
 * Drawing without replacement is drawing again and again from what is left. In the draw by
 * rejection (pick.c) that costs nearly nothing: a token that was taken counts as -inf in its block,
 * whose weight becomes the exact sum of the rest, and every other weight stays the bound that it
 * was. A trial either takes a token or makes one more block's weight exact, so that n tokens take
 * at most n + n_blocks trials, and no pass over the vocabulary.
 *
 * The distribution is that of the n largest of logit + Gumbel noise (Plackett 1975; Efraimidis and
 * Spirakis 2006; Kool et al., Stochastic Beams and Where to Find Them, 2019), in their order.
 *
 * When all that is left is too improbable next to what was taken (below 2^-125 of the largest), the
 * largest of what is left becomes the new origin of the exponentials.
 */
#include "select/pick.h"

#include "select/mass.h"

#include <math.h>
#include <string.h>

typedef struct rest {
    plk_view view; /* max is that of what was left when the blocks were weighed */
    uint32_t n_blocks;
    uint32_t n_groups;
    uint64_t *taken; /* one word per block, one bit per token */
} rest;

/* The stored logits of a block; those taken are -inf. */
static void load_block(const rest *r, uint32_t block, float *x)
{
    float buffer[PLK_BLOCK];
    memcpy(x, plk_view_block(&r->view, block, buffer), sizeof buffer);
    for (uint32_t i = 0; i < PLK_BLOCK && r->taken[block] != 0; i++)
        if (r->taken[block] >> i & 1)
            x[i] = -INFINITY;
}

static double exponentials(const rest *r, uint32_t block, float *e)
{
    float x[PLK_BLOCK];
    double sum = 0.0;
    load_block(r, block, x);
    plk_view_exp_values(&r->view, x, 1, e);
    for (uint32_t i = 0; i < PLK_BLOCK; i++)
        sum += (double)e[i];
    return sum;
}

static double sum_of_group(const float *weights)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < PLK_BLOCK; i++)
        sum += (double)weights[i];
    return sum;
}

static void set_weight(const rest *r, uint32_t block, double sum)
{
    plk_scratch *w = r->view.scratch;
    uint32_t group = block / PLK_BLOCK;
    w->weights[block] = (float)sum;
    w->group_sums[group] = sum_of_group(w->weights + (size_t)group * PLK_BLOCK);
}

static void take(const rest *r, uint32_t index)
{
    uint32_t block = index / PLK_BLOCK;
    float x[PLK_BLOCK];
    r->taken[block] |= (uint64_t)1 << index % PLK_BLOCK;
    load_block(r, block, x);
    r->view.scratch->block_max[block] = r->view.kernels->max(x, 1);
}

/* False if nothing is left. */
static bool weigh(rest *r)
{
    uint32_t n_groups = (r->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK;
    r->view.max = r->view.kernels->max(r->view.scratch->block_max, n_groups);
    if (r->view.max == -INFINITY)
        return false;
    r->n_groups = n_groups;
    for (uint32_t g = 0; g < n_groups; g++) {
        float *weights = r->view.scratch->weights + (size_t)g * PLK_BLOCK;
        plk_pick_weigh(&r->view, g, weights);
        r->view.scratch->group_sums[g] = sum_of_group(weights);
    }
    return true;
}

/* One trial: true if it drew an index. */
static bool draw(const rest *r, double total, pluck_pcg64 *rng, uint32_t *index)
{
    const plk_scratch *w = r->view.scratch;
    double within;
    uint32_t g =
        plk_pick_find_double(w->group_sums, r->n_groups, pluck_pcg64_uniform(rng) * total, &within);
    uint32_t i =
        plk_pick_find_float(w->weights + (size_t)g * PLK_BLOCK, PLK_BLOCK, within, &within);
    uint32_t block = g * PLK_BLOCK + i;
    float e[PLK_BLOCK];
    double sum = exponentials(r, block, e);
    if (!(within < sum)) {
        set_weight(r, block, sum);
        return false;
    }
    *index = block * PLK_BLOCK + plk_pick_find_float(e, PLK_BLOCK, within, &within);
    take(r, *index);
    e[*index % PLK_BLOCK] = 0.0f;
    sum = 0.0;
    for (uint32_t k = 0; k < PLK_BLOCK; k++)
        sum += (double)e[k];
    set_weight(r, block, sum);
    return true;
}

static uint32_t index_of(const plk_view *view, uint32_t token)
{
    if (!view->compact)
        return token;
    uint32_t low = 0, high = view->n;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (view->scratch->ids[middle] <= token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

size_t plk_view_pick_distinct(const plk_view *view, pluck_pcg64 *rng, size_t n, uint32_t *tokens)
{
    rest r = {.view = *view, .n_blocks = plk_view_n_blocks(view), .taken = view->scratch->spare};
    memset(r.taken, 0, r.n_blocks * sizeof *r.taken);
    if (view->compact) { /* the maxima of these are not kept */
        plk_scratch *w = view->scratch;
        for (uint32_t b = 0; b < r.n_blocks; b++)
            w->block_max[b] = view->kernels->max(w->values + (size_t)b * PLK_BLOCK, 1);
        for (uint32_t b = r.n_blocks; b % PLK_BLOCK != 0; b++)
            w->block_max[b] = -INFINITY;
    }
    take(&r, index_of(view, tokens[0]));
    bool any_left = weigh(&r);
    size_t n_drawn = 1;
    while (n_drawn < n && any_left) {
        uint32_t index;
        double total = 0.0;
        for (uint32_t g = 0; g < r.n_groups; g++)
            total += view->scratch->group_sums[g];
        if (!(total > 0.0))
            any_left = weigh(&r);
        else if (draw(&r, total, rng, &index))
            tokens[n_drawn++] = plk_view_token(view, index);
    }
    return n_drawn;
}
