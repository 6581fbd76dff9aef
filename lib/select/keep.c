/*
 * Top-k without sorting the vocabulary. A threshold is wanted that about k tokens reach:
 *   1. Every block whose maximum reaches t holds a token that does, so the k-th largest block
 *      maximum is a lower bound of the k-th largest logit. It is approached by bisection, counting
 *      maxima, which is a pass over 1/64 of the data.
 *   2. In real vocabularies large logits crowd into few blocks, and thousands of tokens may reach
 *      that bound. Bisection goes on, counting tokens in those blocks alone.
 *   3. What reaches the threshold is gathered, and the k best of it are selected exactly.
 * Thresholds only decide how much is gathered: the answer is exact for every one of them.
 */
#include "select/keep.h"

#include <float.h>
#include <math.h>

/* Counts what reaches a threshold: block maxima, or tokens in listed blocks. */
typedef size_t (*count_function)(const pl_view *view, size_t n_listed, float threshold);

static size_t count_maxima(const pl_view *view, size_t n_listed, float threshold)
{
    (void)n_listed;
    const pl_workspace *w = view->workspace;
    return view->kernels->count(w->block_max, (w->n_blocks + PL_BLOCK - 1) / PL_BLOCK, threshold);
}

static size_t count_listed(const pl_view *view, size_t n_listed, float threshold)
{
    float buffer[PL_BLOCK];
    size_t n = 0;
    for (size_t i = 0; i < n_listed; i++) {
        const float *x = pl_view_block(view, view->workspace->block_ids[i], buffer);
        n += view->kernels->count(x, 1, threshold);
    }
    return n;
}

/* Floats in their order as unsigned integers, so that bisection ends after 32 steps at most. */
static uint32_t ordered(float logit)
{
    return (uint32_t)(pl_key_make(logit, 0) >> 32);
}

static float from_ordered(uint32_t value)
{
    return pl_key_logit((pl_key)value << 32);
}

/* A threshold not far below the maximum that at least k reach; low if none of a few tries is. */
static float gallop(const pl_view *view, count_function count, size_t n_listed, size_t k, float low)
{
    const float first_step = 2.0f, growth = 4.0f, last_step = 1e5f;
    for (float step = first_step; step < last_step; step *= growth) {
        float threshold = view->max - step;
        if (!(threshold > low))
            break;
        if (count(view, n_listed, threshold) >= k)
            return threshold;
    }
    return low;
}

/* A threshold >= low that at least k reach, and not many more unless ties make it so. At least k
 * reach low. */
static float bisect(const pl_view *view, count_function count, size_t n_listed, size_t k, float low)
{
    const size_t enough = 2 * k + PL_BLOCK;
    uint32_t reached = ordered(gallop(view, count, n_listed, k, low));
    uint32_t missed = ordered(view->max) + 1;
    while (missed - reached > 1) {
        uint32_t middle = reached + (missed - reached) / 2;
        size_t n = count(view, n_listed, from_ordered(middle));
        if (n < k) {
            missed = middle;
            continue;
        }
        reached = middle;
        if (n <= enough)
            break;
    }
    return from_ordered(reached);
}

/* Lists the blocks whose maximum reaches the threshold; returns how many. */
static size_t list_blocks(const pl_view *view, float threshold)
{
    pl_workspace *w = view->workspace;
    return view->kernels->gather(w->block_max, w->n_blocks, threshold, INFINITY, 0, w->block_ids,
                                 w->block_spare);
}

/* Gathers from the listed blocks what reaches the threshold. */
static uint32_t gather_listed(const pl_view *view, size_t n_listed, float threshold)
{
    pl_workspace *w = view->workspace;
    float buffer[PL_BLOCK];
    size_t n = 0;
    for (size_t i = 0; i < n_listed; i++) {
        uint32_t block = w->block_ids[i];
        const float *x = pl_view_block(view, block, buffer);
        n += view->kernels->gather(x, PL_BLOCK, threshold, INFINITY, block * PL_BLOCK, w->ids + n,
                                   w->values + n);
    }
    return (uint32_t)n;
}

uint32_t pl_view_gather(const pl_view *view, float threshold)
{
    return gather_listed(view, list_blocks(view, threshold), threshold);
}

/* Gathers a superset of the k best tokens of a dense view, usually little more than them. */
static uint32_t gather_top(const pl_view *view, uint32_t k)
{
    float threshold = -FLT_MAX;
    if (count_maxima(view, 0, threshold) >= k)
        threshold = bisect(view, count_maxima, 0, k, threshold);
    size_t n_listed = list_blocks(view, threshold);
    if (count_listed(view, n_listed, threshold) > k)
        threshold = bisect(view, count_listed, n_listed, k, threshold);
    return gather_listed(view, n_listed, threshold);
}

void pl_candidate_keys(const pl_view *view, uint32_t n)
{
    const pl_workspace *w = view->workspace;
    for (uint32_t i = 0; i < n; i++)
        w->keys[i] = pl_key_make(w->values[i], w->ids[i]);
}

void pl_view_keep_from(pl_view *view, uint32_t n, pl_key lowest)
{
    pl_workspace *w = view->workspace;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool keep = pl_key_make(w->values[i], w->ids[i]) >= lowest;
        w->ids[kept] = w->ids[i];
        w->values[kept] = w->values[i];
        kept += keep;
    }
    pl_view_become_compact(view, kept);
}

void pl_view_keep_top(pl_view *view, uint32_t k)
{
    pl_workspace *w = view->workspace;
    if (k >= (view->compact ? view->n : w->n_vocab))
        return;
    uint32_t n = view->compact ? view->n : gather_top(view, k);
    if (k >= n) {
        pl_view_become_compact(view, n);
        return;
    }
    pl_candidate_keys(view, n);
    pl_view_keep_from(view, n, pl_key_select(w->keys, n, k, w->spare));
}

float pl_view_threshold(const pl_view *view, double offset)
{
    double exact = (double)view->max + offset / view->scale;
    if (!(exact > -(double)FLT_MAX))
        return -FLT_MAX;
    float threshold = (float)exact;
    return (double)threshold < exact ? nextafterf(threshold, INFINITY) : threshold;
}

void pl_view_keep_near_max(pl_view *view, double offset, uint32_t min_keep)
{
    pl_workspace *w = view->workspace;
    float threshold = pl_view_threshold(view, offset);
    uint32_t n = 0;
    if (view->compact)
        for (uint32_t i = 0; i < view->n; i++)
            n += w->values[i] >= threshold;
    else
        n = pl_view_gather(view, threshold);
    if (n < min_keep) {
        pl_view_keep_top(view, min_keep);
        return;
    }
    if (!view->compact) {
        pl_view_become_compact(view, n);
        return;
    }
    pl_view_keep_from(view, view->n, pl_key_make(threshold, UINT32_MAX));
}

uint32_t pl_view_best(const pl_view *view, uint32_t k)
{
    pl_workspace *w = view->workspace;
    uint32_t n = view->compact ? view->n : gather_top(view, k);
    pl_candidate_keys(view, n);
    if (k < n) {
        pl_key lowest = pl_key_select(w->keys, n, k, w->spare);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n; i++) {
            pl_key key = pl_key_make(w->values[i], w->ids[i]);
            w->keys[kept] = key;
            kept += key >= lowest;
        }
        n = kept;
    }
    pl_key_sort(w->keys, n, w->spare);
    return n;
}
