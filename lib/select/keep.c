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

/* Consecutive listed blocks, as one piece. Blocks between them that are not listed come along where
 * gaps are short: no token in them reaches the threshold that the list was made with. */
typedef struct listed_run {
    const float *x;
    uint32_t block;
    uint32_t n_blocks;
    size_t next; /* index of the first listed block beyond the run */
} listed_run;

static listed_run run_at(const pl_view *view, size_t n_listed, size_t index, float *buffer)
{
    enum { MAX_STEP = 3, MAX_LISTED = 256 };
    const uint32_t *ids = view->workspace->block_ids;
    listed_run run = {.block = ids[index], .next = index + 1};
    while (run.next < n_listed && run.next - index < MAX_LISTED &&
           ids[run.next] - ids[run.next - 1] <= MAX_STEP)
        run.next++;
    run.n_blocks = ids[run.next - 1] - run.block + 1;
    run.x = pl_view_blocks(view, run.block, &run.n_blocks, buffer);
    while (ids[run.next - 1] >= run.block + run.n_blocks)
        run.next--;
    return run;
}

static size_t count_listed(const pl_view *view, size_t n_listed, float threshold)
{
    float buffer[PL_RUN_BLOCKS * PL_BLOCK];
    size_t n = 0;
    for (size_t i = 0; i < n_listed;) {
        listed_run run = run_at(view, n_listed, i, buffer);
        n += view->kernels->count(run.x, run.n_blocks, threshold);
        i = run.next;
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

/* What bisection found: at least k tokens (or blocks) reach the threshold. tied: they are too many
 * because of equal ones; fewer than k, namely n_above, are larger than the threshold. */
typedef struct bound {
    float threshold;
    bool tied;
    size_t n_above;
} bound;

/* A threshold >= low that at least k reach, and not many more unless ties make it so. At least k
 * reach low. */
static bound bisect(const pl_view *view, count_function count, size_t n_listed, size_t k, float low)
{
    const size_t enough = 2 * k + PL_BLOCK;
    uint32_t reached = ordered(gallop(view, count, n_listed, k, low));
    uint32_t missed = ordered(view->max) + 1;
    size_t n_missed = 0;
    while (missed - reached > 1) {
        uint32_t middle = reached + (missed - reached) / 2;
        size_t n = count(view, n_listed, from_ordered(middle));
        if (n < k) {
            missed = middle;
            n_missed = n;
            continue;
        }
        reached = middle;
        if (n <= enough)
            return (bound){from_ordered(reached), false, 0};
    }
    return (bound){from_ordered(reached), true, n_missed};
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
    float buffer[PL_RUN_BLOCKS * PL_BLOCK];
    size_t n = 0;
    for (size_t i = 0; i < n_listed;) {
        listed_run run = run_at(view, n_listed, i, buffer);
        n += view->kernels->gather(run.x, (size_t)run.n_blocks * PL_BLOCK, threshold, INFINITY,
                                   run.block * PL_BLOCK, w->ids + n, w->values + n);
        i = run.next;
    }
    return (uint32_t)n;
}

uint32_t pl_view_gather(const pl_view *view, float threshold)
{
    return gather_listed(view, list_blocks(view, threshold), threshold);
}

/*
 * Gathers, of the blocks listed, the tokens above the boundary and its n_equal first equals. The
 * equals are looked for only until they are complete: among many equal logits that is soon.
 */
static uint32_t gather_to(const pl_view *view, size_t n_listed, pl_boundary boundary)
{
    if (boundary.whole)
        return gather_listed(view, n_listed, boundary.value);
    pl_workspace *w = view->workspace;
    const float above = from_ordered(ordered(boundary.value) + 1);
    float buffer[PL_RUN_BLOCKS * PL_BLOCK];
    uint32_t n = 0, n_equal = 0;
    for (size_t i = 0; i < n_listed;) {
        listed_run run = run_at(view, n_listed, i, buffer);
        i = run.next;
        for (uint32_t b = 0; b < run.n_blocks;) {
            bool complete = n_equal == boundary.n_equal;
            uint32_t n_blocks = complete ? run.n_blocks - b : 1;
            uint32_t end = n + (uint32_t)view->kernels->gather(
                                   run.x + (size_t)b * PL_BLOCK, (size_t)n_blocks * PL_BLOCK,
                                   complete ? above : boundary.value, INFINITY,
                                   (run.block + b) * PL_BLOCK, w->ids + n, w->values + n);
            b += n_blocks;
            if (complete) {
                n = end;
                continue;
            }
            for (uint32_t c = n; c < end; c++) {
                bool equal = w->values[c] == boundary.value;
                w->ids[n] = w->ids[c];
                w->values[n] = w->values[c];
                n += !equal || n_equal < boundary.n_equal;
                n_equal += equal && n_equal < boundary.n_equal;
            }
        }
    }
    return n;
}

/* Removes from a compact view what is beyond the boundary. */
static void keep_candidates_to(pl_view *view, pl_boundary boundary)
{
    pl_workspace *w = view->workspace;
    uint32_t n = 0, n_equal = 0;
    for (uint32_t i = 0; i < view->n; i++) {
        bool equal = w->values[i] == boundary.value;
        bool keep = w->values[i] > boundary.value ||
                    (equal && (boundary.whole || n_equal < boundary.n_equal));
        n_equal += equal;
        w->ids[n] = w->ids[i];
        w->values[n] = w->values[i];
        n += keep;
    }
    pl_view_become_compact(view, n);
}

void pl_view_keep_to(pl_view *view, pl_boundary boundary)
{
    if (view->compact)
        keep_candidates_to(view, boundary);
    else
        pl_view_become_compact(view, gather_to(view, list_blocks(view, boundary.value), boundary));
}

/* The keys of the first n candidates in ids and values, to keys. */
static void make_keys(const pl_view *view, uint32_t n)
{
    const pl_workspace *w = view->workspace;
    for (uint32_t i = 0; i < n; i++)
        w->keys[i] = pl_key_make(w->values[i], w->ids[i]);
}

/* Removes, of the first n candidates in ids and values, all but the k best; returns how many are
 * left. Their order by token stays. */
static uint32_t keep_best(const pl_view *view, uint32_t n, uint32_t k)
{
    pl_workspace *w = view->workspace;
    if (k >= n)
        return n;
    make_keys(view, n);
    pl_key lowest = pl_key_select(w->keys, n, k, w->spare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool keep = pl_key_make(w->values[i], w->ids[i]) >= lowest;
        w->ids[kept] = w->ids[i];
        w->values[kept] = w->values[i];
        kept += keep;
    }
    return kept;
}

/* Gathers the k best tokens of a dense view; returns how many there are. */
static uint32_t gather_best(const pl_view *view, uint32_t k)
{
    bound found = {-FLT_MAX, false, 0};
    if (count_maxima(view, 0, found.threshold) >= k)
        found = bisect(view, count_maxima, 0, k, found.threshold);
    size_t n_listed = list_blocks(view, found.threshold);
    if (count_listed(view, n_listed, found.threshold) > k)
        found = bisect(view, count_listed, n_listed, k, found.threshold);
    else
        found.tied = false;
    if (found.tied) {
        uint32_t n_above = (uint32_t)found.n_above;
        pl_boundary boundary = {found.threshold, n_above, k - n_above, false};
        return gather_to(view, n_listed, boundary);
    }
    return keep_best(view, gather_listed(view, n_listed, found.threshold), k);
}

void pl_view_keep_top(pl_view *view, uint32_t k)
{
    if (k >= (view->compact ? view->n : view->workspace->n_vocab))
        return;
    pl_view_become_compact(view,
                           view->compact ? keep_best(view, view->n, k) : gather_best(view, k));
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
    if (view->compact)
        keep_candidates_to(view, (pl_boundary){.value = threshold, .whole = true});
    else
        pl_view_become_compact(view, n);
}

uint32_t pl_view_best(const pl_view *view, uint32_t k)
{
    pl_workspace *w = view->workspace;
    uint32_t n = view->n;
    if (view->compact) {
        make_keys(view, n);
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
    } else {
        n = gather_best(view, k);
        make_keys(view, n);
    }
    pl_key_sort(w->keys, n, w->spare);
    return n;
}
