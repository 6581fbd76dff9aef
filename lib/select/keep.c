/*
 * Top-k without sorting the vocabulary. A threshold is wanted that about k tokens reach:
 *   1. Every block whose maximum reaches t holds a token that does, so the k-th largest block
 *      maximum is a lower bound of the k-th largest logit. It is approached by bisection, counting
 *      maxima, which is a pass over 1/64 of the data. What reaches it is gathered.
 *   2. In real vocabularies large logits crowd into few blocks, and thousands of tokens may have
 *      been gathered. Bisection goes on, counting them alone.
 *   3. Of the few that are left the k best are selected exactly.
 * Thresholds only decide how much is looked at: the answer is exact for every one of them. Ties,
 * which no threshold separates, are taken in token order.
 */
#include "select/keep.h"

#include "select/rules.h"
#include "select/share.h"

#include <float.h>
#include <math.h>

/* Consecutive listed blocks, as one piece. Blocks between them that are not listed come along where
 * gaps are short: no token in them reaches the threshold that the list was made with. */
typedef struct listed_run {
    const float *x;
    uint32_t block;
    uint32_t n_blocks;
    size_t next; /* index of the first listed block beyond the run */
} listed_run;

static listed_run run_at(const plk_view *view, size_t n_listed, size_t index, float *buffer)
{
    enum { MAX_STEP = 3, MAX_LISTED = 256 };
    const uint32_t *ids = view->scratch->block_ids;
    listed_run run = {.block = ids[index], .next = index + 1};
    while (run.next < n_listed && run.next - index < MAX_LISTED &&
           ids[run.next] - ids[run.next - 1] <= MAX_STEP)
        run.next++;
    run.n_blocks = ids[run.next - 1] - run.block + 1;
    run.x = plk_view_blocks(view, run.block, &run.n_blocks, buffer);
    while (ids[run.next - 1] >= run.block + run.n_blocks)
        run.next--;
    return run;
}

/* Floats in their order as unsigned integers, so that bisection ends after 32 steps at most. */
static uint32_t ordered(float logit)
{
    return (uint32_t)(plk_key_of(logit, 0) >> 32);
}

static float from_ordered(uint32_t value)
{
    return plk_key_logit((plk_key)value << 32);
}

/* What is counted: 64 * n_blocks floats, block maxima or candidates, padded with -inf. */
typedef struct counted {
    const plk_view *view;
    const float *x;
    size_t n_blocks;
} counted;

static size_t count(const counted *values, float threshold)
{
    return values->view->kernels->count(values->x, values->n_blocks, threshold);
}

/* A threshold not far below the maximum that at least k reach; -FLT_MAX if no try finds one. */
static float gallop(const counted *values, size_t k)
{
    float first_step = 2.0f, growth = 4.0f, last_step = 1e5f;
    for (float step = first_step; step < last_step; step *= growth) {
        float threshold = values->view->max - step;
        if (threshold > -FLT_MAX && count(values, threshold) >= k)
            return threshold;
    }
    return -FLT_MAX;
}

/* What bisection found: at least k reach the threshold. tied: they are too many because of equal
 * ones; fewer than k, namely n_above, are larger than the threshold. */
typedef struct bound {
    float threshold;
    bool tied;
    size_t n_above;
} bound;

/* A threshold that at least k of the values reach, k >= 1, and not many more unless ties make it
 * so; -FLT_MAX if there are fewer. */
static bound bisect(const counted *values, size_t k)
{
    size_t enough = 2 * k + PLK_BLOCK;
    uint32_t reached = ordered(gallop(values, k));
    uint32_t missed = ordered(values->view->max) + 1;
    size_t n_missed = 0;
    while (missed - reached > 1) {
        uint32_t middle = reached + (missed - reached) / 2;
        size_t n = count(values, from_ordered(middle));
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
static size_t list_blocks(const plk_view *view, float threshold)
{
    plk_scratch *w = view->scratch;
    uint32_t first = view->first_block;
    return view->kernels->gather(w->block_max + first, view->end_block - first, threshold, INFINITY,
                                 first, w->block_ids, w->block_spare);
}

/* Of the listed blocks from index on, how many can be read where they lie. */
static size_t count_direct(const plk_view *view, size_t n_listed, size_t index)
{
    const uint32_t *ids = view->scratch->block_ids;
    uint32_t end = ids[index] + plk_view_n_direct(view, ids[index]);
    size_t i = index;
    while (i < n_listed && ids[i] < end)
        i++;
    return i - index;
}

/* Gathers from the listed blocks what reaches the threshold. */
static uint32_t gather_listed(const plk_view *view, size_t n_listed, float threshold)
{
    plk_scratch *w = view->scratch;
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    size_t n = 0;
    for (size_t i = 0; i < n_listed;) {
        size_t n_direct = count_direct(view, n_listed, i);
        if (n_direct > 0) {
            n += view->kernels->gather_blocks(view->logits.data, w->block_ids + i, n_direct,
                                              threshold, w->ids + n, w->values + n);
            i += n_direct;
            continue;
        }
        listed_run run = run_at(view, n_listed, i, buffer);
        n += view->kernels->gather(run.x, (size_t)run.n_blocks * PLK_BLOCK, threshold, INFINITY,
                                   run.block * PLK_BLOCK, w->ids + n, w->values + n);
        i = run.next;
    }
    return (uint32_t)n;
}

uint32_t plk_view_gather_own(const plk_view *view, float threshold)
{
    return gather_listed(view, list_blocks(view, threshold), threshold);
}

uint32_t plk_view_gather(const plk_view *view, float threshold)
{
    return view->share ? plk_share_gather(view, threshold) : plk_view_gather_own(view, threshold);
}

/*
 * Gathers, of the blocks listed, the tokens above the boundary and its n_equal first equals. The
 * equals are looked for only until they are complete: among many equal logits that is soon.
 */
static uint32_t gather_to(const plk_view *view, size_t n_listed, plk_boundary boundary)
{
    if (boundary.whole)
        return gather_listed(view, n_listed, boundary.value);
    plk_scratch *w = view->scratch;
    float above = from_ordered(ordered(boundary.value) + 1);
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    uint32_t n = 0, n_equal = 0;
    for (size_t i = 0; i < n_listed;) {
        listed_run run = run_at(view, n_listed, i, buffer);
        i = run.next;
        for (uint32_t b = 0; b < run.n_blocks;) {
            bool complete = n_equal == boundary.n_equal;
            uint32_t n_blocks = complete ? run.n_blocks - b : 1;
            uint32_t end = n + (uint32_t)view->kernels->gather(
                                   run.x + (size_t)b * PLK_BLOCK, (size_t)n_blocks * PLK_BLOCK,
                                   complete ? above : boundary.value, INFINITY,
                                   (run.block + b) * PLK_BLOCK, w->ids + n, w->values + n);
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

/* Removes, of the first n candidates, what is beyond the boundary; returns how many are left. */
static uint32_t filter_to(const plk_view *view, uint32_t n, plk_boundary boundary)
{
    plk_scratch *w = view->scratch;
    uint32_t kept = 0, n_equal = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool equal = w->values[i] == boundary.value;
        bool keep = w->values[i] > boundary.value ||
                    (equal && (boundary.whole || n_equal < boundary.n_equal));
        n_equal += equal;
        w->ids[kept] = w->ids[i];
        w->values[kept] = w->values[i];
        kept += keep;
    }
    return kept;
}

/* The keys of the first n candidates in ids and values, to keys. */
static void make_keys(const plk_view *view, uint32_t n)
{
    const plk_scratch *w = view->scratch;
    for (uint32_t i = 0; i < n; i++)
        w->keys[i] = plk_key_of(w->values[i], w->ids[i]);
}

uint32_t plk_view_narrow(const plk_view *view, uint32_t n, uint32_t k)
{
    plk_scratch *w = view->scratch;
    if (k >= n)
        return n;
    make_keys(view, n);
    plk_key lowest = plk_key_select(w->keys, n, k, w->spare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool keep = plk_key_of(w->values[i], w->ids[i]) >= lowest;
        w->ids[kept] = w->ids[i];
        w->values[kept] = w->values[i];
        kept += keep;
    }
    return kept;
}

/* Removes, of the first n candidates, those below the threshold; returns how many are left. */
static uint32_t keep_reaching(const plk_view *view, uint32_t n, float threshold)
{
    plk_scratch *w = view->scratch;
    uint32_t *places = w->places;
    uint32_t kept =
        (uint32_t)view->kernels->gather(w->values, n, threshold, INFINITY, 0, places, w->values);
    for (uint32_t i = 0; i < kept; i++)
        w->ids[i] = w->ids[places[i]];
    return kept;
}

void plk_view_keep_gathered(plk_view *view, uint32_t n, plk_boundary boundary)
{
    plk_view_become_compact(view, boundary.whole ? keep_reaching(view, n, boundary.value)
                                                 : filter_to(view, n, boundary));
}

/* Removes, of the first n candidates, all but the k best; returns how many are left. */
static uint32_t narrow(const plk_view *view, uint32_t n, uint32_t k)
{
    size_t enough = 2 * (size_t)k + PLK_BLOCK;
    if (n > enough) {
        float *values = view->scratch->values;
        for (uint32_t i = n; i % PLK_BLOCK != 0; i++)
            values[i] = -INFINITY;
        counted candidates = {view, values, (n + PLK_BLOCK - 1) / PLK_BLOCK};
        bound found = bisect(&candidates, k);
        uint32_t n_above = (uint32_t)found.n_above;
        if (found.tied)
            return filter_to(view, n, (plk_boundary){found.threshold, n_above, k - n_above, false});
        n = keep_reaching(view, n, found.threshold);
    }
    return plk_view_narrow(view, n, k);
}

uint32_t plk_view_gather_best_own(const plk_view *view, uint32_t k)
{
    uint32_t first = view->first_block / PLK_BLOCK; /* maxima are padded to whole groups of 64 */
    counted maxima = {view, view->scratch->block_max + (size_t)first * PLK_BLOCK,
                      (view->end_block + PLK_BLOCK - 1) / PLK_BLOCK - first};
    bound found = bisect(&maxima, k);
    if (!found.tied || found.threshold == -FLT_MAX)
        return narrow(view, plk_view_gather_own(view, found.threshold), k);
    /* Many blocks end at the same value: perhaps more tokens have it than can be kept. */
    uint32_t n = plk_view_gather_own(view, from_ordered(ordered(found.threshold) + 1));
    if (n >= k)
        return narrow(view, n, k);
    size_t n_listed = list_blocks(view, found.threshold);
    return gather_to(view, n_listed, (plk_boundary){found.threshold, n, k - n, false});
}

/* The same in the whole row. */
static uint32_t gather_best(const plk_view *view, uint32_t k)
{
    return view->share ? plk_share_gather_best(view, k) : plk_view_gather_best_own(view, k);
}

void plk_view_keep_top(plk_view *view, uint32_t k)
{
    if (k >= (view->compact ? view->n : view->scratch->n_vocab))
        return;
    plk_view_become_compact(view, view->compact ? plk_view_narrow(view, view->n, k)
                                                : gather_best(view, k));
}

float plk_view_threshold(const plk_view *view, double offset)
{
    double exact = (double)view->max + offset / view->scale;
    if (!(exact > -(double)FLT_MAX))
        return -FLT_MAX;
    float threshold = (float)exact;
    return (double)threshold < exact ? nextafterf(threshold, INFINITY) : threshold;
}

void plk_view_keep_near_max(plk_view *view, double offset, uint32_t min_keep)
{
    plk_scratch *w = view->scratch;
    float threshold = plk_view_threshold(view, offset);
    uint32_t n = 0;
    if (view->compact)
        for (uint32_t i = 0; i < view->n; i++)
            n += w->values[i] >= threshold;
    else
        n = plk_view_gather(view, threshold);
    if (n < min_keep) {
        plk_view_keep_top(view, min_keep);
        return;
    }
    if (view->compact)
        n = keep_reaching(view, view->n, threshold);
    plk_view_become_compact(view, n);
}

void plk_view_keep_probable(plk_view *view, double offset, uint32_t min_keep)
{
    offset -= plk_logit_rounding;
    if (offset > 0.0)
        plk_view_keep_top(view, min_keep);
    else
        plk_view_keep_near_max(view, offset, min_keep);
}

uint32_t plk_view_best(const plk_view *view, uint32_t k)
{
    plk_scratch *w = view->scratch;
    uint32_t n = view->n;
    if (view->compact) {
        make_keys(view, n);
        if (k < n) {
            plk_key lowest = plk_key_select(w->keys, n, k, w->spare);
            uint32_t kept = 0;
            for (uint32_t i = 0; i < n; i++) {
                plk_key key = plk_key_of(w->values[i], w->ids[i]);
                w->keys[kept] = key;
                kept += key >= lowest;
            }
            n = kept;
        }
    } else {
        n = gather_best(view, k);
        make_keys(view, n);
    }
    plk_key_sort(w->keys, n, w->spare);
    return n;
}
