/*
 * The mass of part of the tokens, and what follows from it. In a dense view only the blocks count
 * whose maximum reaches the part; in each the exponentials that are not in it count as 0, in the
 * sum's fixed tree. Rounding never reverses the order of two numbers, so that such a sum, its
 * integer and the sum of all integers never fall when the part grows. Hence a prefix that is the
 * first to reach a mass is one prefix, whoever computes it from whatever parts.
 *
 * Searches among gathered tokens have sums of the same exponentials in other blocks. They decide by
 * these as long as they are clear, and ask for the mass where they are not.
 */
#include "select/mass.h"

#include "select/rules.h"
#include "select/share.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Lists the blocks of a dense view whose maximum lies in [low, high); returns how many. */
static uint32_t list_blocks(const plk_view *view, float low, float high)
{
    plk_scratch *w = view->scratch;
    return (uint32_t)view->kernels->gather(w->block_max, w->n_blocks, low, high, 0, w->block_ids,
                                           w->block_spare);
}

/* The first of n_listed blocks and those that follow it without a gap, as far as they can be had in
 * one piece. */
static const float *first_piece(const plk_view *view, const uint32_t *ids, uint32_t n_listed,
                                uint32_t *n_blocks, float *buffer)
{
    *n_blocks = 1;
    while (*n_blocks < n_listed && ids[*n_blocks] == ids[0] + *n_blocks)
        ++*n_blocks;
    return plk_view_blocks(view, ids[0], n_blocks, buffer);
}

/* The mass of some blocks, of which low <= x < high counts. */
static plk_mass mass_in(const plk_view *view, const float *x, uint32_t n_blocks, float low,
                        float high)
{
    if (high == INFINITY)
        return plk_view_mass_of(view, x, n_blocks, low);
    float below[PLK_RUN_BLOCKS * PLK_BLOCK];
    plk_mass mass = 0;
    for (uint32_t b = 0, n; b < n_blocks; b += n) {
        n = n_blocks - b < PLK_RUN_BLOCKS ? n_blocks - b : PLK_RUN_BLOCKS;
        memcpy(below, x + (size_t)b * PLK_BLOCK, n * PLK_BLOCK * sizeof *below);
        for (uint32_t i = 0; i < n * PLK_BLOCK; i++) /* vectorised by the compiler */
            below[i] = below[i] < high ? below[i] : -INFINITY;
        mass += plk_view_mass_of(view, below, n, low);
    }
    return mass;
}

plk_mass plk_view_mass_between(const plk_view *view, float low, float high)
{
    if (!(low < high))
        return 0;
    if (view->share)
        return plk_share_mass_between(view, low, high);
    if (view->compact)
        return mass_in(view, view->scratch->values, plk_view_n_blocks(view), low, high);
    uint32_t n = list_blocks(view, low, INFINITY);
    const uint32_t *ids = view->scratch->block_ids;
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    plk_mass mass = 0;
    for (uint32_t i = 0, n_blocks; i < n; i += n_blocks) {
        const float *x = first_piece(view, ids + i, n - i, &n_blocks, buffer);
        mass += mass_in(view, x, n_blocks, low, high);
    }
    return mass;
}

plk_blocks_mass plk_view_blocks_mass(const plk_view *view, float low, float high, float threshold)
{
    const plk_scratch *w = view->scratch;
    plk_blocks_mass found = {.n = list_blocks(view, low, high)};
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    for (uint32_t i = 0, n_blocks; i < found.n; i += n_blocks) {
        const float *x = first_piece(view, w->block_ids + i, found.n - i, &n_blocks, buffer);
        found.all += plk_view_mass_of(view, x, n_blocks, -FLT_MAX);
        if (threshold < INFINITY)
            found.from += plk_view_mass_of(view, x, n_blocks, threshold);
    }
    for (uint32_t i = found.n; i % PLK_BLOCK != 0; i++)
        w->block_spare[i] = -INFINITY;
    found.maxima = plk_view_sum_of(view, w->block_spare, (found.n + PLK_BLOCK - 1) / PLK_BLOCK);
    return found;
}

/* How many of the first n of 64 values are this one. */
static size_t count_equal(const plk_kernels *kernels, const float *x, uint32_t n, float value)
{
    size_t n_equal = 0;
    if (n == PLK_BLOCK)
        return kernels->count(x, 1, value) - kernels->count(x, 1, nextafterf(value, INFINITY));
    for (uint32_t i = 0; i < n; i++)
        n_equal += plk_float_at(x, i) == value;
    return n_equal;
}

size_t plk_view_n_equal_before(const plk_view *view, float stored, uint32_t token)
{
    const plk_scratch *w = view->scratch;
    float buffer[PLK_BLOCK];
    size_t n_equal = 0;
    if (view->compact) {
        for (uint32_t i = 0; i < view->n && w->ids[i] < token; i++)
            n_equal += w->values[i] == stored;
        return n_equal;
    }
    uint32_t n = list_blocks(view, stored, INFINITY);
    for (uint32_t i = 0; i < n && w->block_ids[i] * PLK_BLOCK < token; i++) {
        uint32_t first = w->block_ids[i] * PLK_BLOCK;
        n_equal += count_equal(view->kernels, plk_view_block(view, w->block_ids[i], buffer),
                               token - first < PLK_BLOCK ? token - first : PLK_BLOCK, stored);
    }
    return n_equal;
}

plk_mass plk_mass_at_least(double p, plk_mass total)
{
    double least = ceil(plk_top_p_mass(p, (double)total, plk_logit_rounding));
    return least > 1.0 ? (plk_mass)least : 1;
}

plk_mass plk_mass_above(double p, plk_mass total)
{
    return (plk_mass)floor(plk_top_p_mass(p, (double)total, -plk_logit_rounding)) + 1;
}

uint32_t plk_mass_n_equal(plk_mass before, plk_mass each, plk_mass needed, uint32_t n_equal)
{
    if (before >= needed)
        return 1;
    plk_mass rest = needed - before;
    if (each == 0 || rest > each * n_equal)
        return n_equal;
    return (uint32_t)((rest + each - 1) / each);
}

/* What a sum of exponentials in double can differ from the mass of their tokens by. */
static double sum_error(const plk_view *view, double sum)
{
    return 0x5p-24 * sum + 0x1p-40 * (double)plk_view_n_summed(view);
}

bool plk_mass_is_clear(const plk_view *view, double sum, plk_mass needed)
{
    double limit = plk_mass_value(needed);
    return fabs(sum - limit) > sum_error(view, fmax(sum, limit));
}

plk_equal_values plk_find_reaching(const float *values, const double *sums, uint32_t n,
                                   bool (*reaches)(const void *search, float value, double sum),
                                   const void *search)
{
    uint32_t low = 0, high = n - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, last = middle;
        while (last + 1 < n && values[last + 1] == values[middle])
            last++;
        if (reaches(search, values[middle], sums[last]))
            high = middle;
        else
            low = last + 1;
    }
    plk_equal_values found = {low, low + 1};
    while (found.first > 0 && values[found.first - 1] == values[low])
        found.first--;
    while (found.end < n && values[found.end] == values[low])
        found.end++;
    return found;
}

uint32_t plk_view_n_equal_kept(const plk_view *view, const plk_band *before, double sum,
                               plk_mass needed, uint32_t n_equal)
{
    if (n_equal == 1)
        return 1;
    plk_mass each = plk_view_mass_of_one(view, before->value);
    if (sum == 0.0)
        return plk_mass_n_equal(0, each, needed, n_equal);
    double error = sum_error(view, sum);
    plk_mass least = (plk_mass)(fmax(sum - error, 0.0) * 0x1p39);
    plk_mass most = (plk_mass)((sum + error) * 0x1p39) + 1;
    uint32_t n = plk_mass_n_equal(least, each, needed, n_equal);
    if (n == plk_mass_n_equal(most, each, needed, n_equal))
        return n;
    return plk_mass_n_equal(plk_view_mass_between(view, before->low, before->high), each, needed,
                            n_equal);
}
